"""Following a growing file: every line once, through both kinds of rotation and through restarts."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tocsin.errors import StoreError
from tocsin.follow import Follower, Position, load_position, save_position


class Log:
    """A log file as its writer treats it. Times of files rise by a second at every rotation."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "eve.json"
        self.age = 1_700_000_000
        self.warnings: list[str] = []
        self.told: list[str] = []
        self.position: Position | None = None
        self.current: Follower | None = None

    def write(self, *lines: str, path: Path | None = None) -> None:
        with (path or self.path).open("a") as file:
            file.write("".join(f"{line}\n" for line in lines))

    def turn(self) -> None:
        """Give what is written so far a time of its own, before what comes next."""
        self.age += 1
        for path in self.path.parent.iterdir():
            if path.stat().st_mtime > self.age:
                os.utime(path, (self.age, self.age))

    def rename(self, number: int = 1) -> Path:
        self.turn()
        target = self.path.with_name(f"eve.json.{number}")
        self.path.rename(target)
        return target

    def copy_and_cut(self) -> None:
        self.turn()
        self.path.with_name("eve.json.1").write_bytes(self.path.read_bytes())
        os.truncate(self.path, 0)

    def follower(self) -> Follower:
        """A new follower that goes on from what was kept, as after a restart."""
        self.close()
        self.current = Follower(self.path, self.position, self.warnings.append, self.told.append)
        return self.current

    def close(self) -> None:
        if self.current is not None:
            self.current.close()

    def read(self, follower: Follower, lines_max: int = 100) -> list[str]:
        """All that is new now, acknowledged."""
        found: list[str] = []
        while (chunk := follower.read(lines_max)) is not None:
            found += [line.decode().strip() for _, line in chunk.lines]
            self.position = chunk.position
        return found


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    log = Log(tmp_path)
    yield log
    log.close()


def test_a_file_that_appears_later_is_read_from_its_beginning(log: Log) -> None:
    follower = log.follower()
    assert log.read(follower) == []
    log.write("a", "b")
    assert log.read(follower) == ["a", "b"]
    log.write("c")
    assert log.read(follower) == ["c"]


def test_an_unfinished_last_line_is_waited_for(log: Log) -> None:
    log.path.write_text('{"a":1}\n{"b":')
    follower = log.follower()
    assert log.read(follower) == ['{"a":1}']
    with log.path.open("a") as file:
        file.write("2}\n")
    assert log.read(follower) == ['{"b":2}']


def test_lines_are_numbered_as_in_the_file_also_after_a_restart(log: Log) -> None:
    log.write("a", "", "c")
    chunk = log.follower().read(2)
    assert chunk is not None
    assert chunk.lines == ((1, b"a\n"), (2, b"\n"))
    log.position = chunk.position
    rest = log.follower().read(2)
    assert rest is not None
    assert rest.lines == ((3, b"c\n"),)


def test_only_line_feeds_end_lines(log: Log) -> None:
    log.path.write_bytes(b"a\rb\r\nc\x0bd\n")
    chunk = log.follower().read(10)
    assert chunk is not None
    assert [line for _, line in chunk.lines] == [b"a\rb\r\n", b"c\x0bd\n"]


def test_a_line_longer_than_one_read_is_whole(log: Log) -> None:
    log.write("x" * 3_000_000, "y")
    assert [len(line) for line in log.read(log.follower())] == [3_000_000, 1]


def test_what_was_not_acknowledged_is_given_again_after_a_restart(log: Log) -> None:
    log.write("a", "b", "c")
    follower = log.follower()
    chunk = follower.read(2)
    assert chunk is not None
    log.position = chunk.position
    follower.read(2)  # read, and never acknowledged
    assert log.read(log.follower()) == ["c"]


def test_the_rest_of_a_renamed_file_comes_before_the_new_one(log: Log) -> None:
    log.write("a")
    follower = log.follower()
    assert log.read(follower) == ["a"]
    log.write("b")
    old = log.rename()
    log.write("c")
    assert log.read(follower) == ["b", "c"]
    assert old.exists()
    assert not log.warnings
    assert len(log.told) == 1
    assert "rotated by renaming" in log.told[0]


def test_a_writer_may_go_on_with_the_renamed_file_until_it_opens_the_new_one(log: Log) -> None:
    log.write("a")
    follower = log.follower()
    log.read(follower)
    old = log.rename()
    log.path.touch()
    log.write("late", path=old)
    assert log.read(follower) == ["late"]
    log.write("later still", path=old)
    log.write("new")
    assert log.read(follower) == ["later still", "new"]


def test_a_renamed_file_is_read_to_its_end_even_when_it_was_deleted(log: Log) -> None:
    log.write("a")
    follower = log.follower()
    log.read(follower)
    log.write("b")
    log.rename().unlink()
    log.write("c")
    assert log.read(follower) == ["b", "c"]


def test_an_unfinished_last_line_of_a_renamed_file_is_given_as_it_is(log: Log) -> None:
    log.path.write_text("a\nbroken")
    follower = log.follower()
    assert log.read(follower) == ["a"]
    log.rename()
    log.write("c")
    assert log.read(follower) == ["broken", "c"]


def test_rotation_while_nobody_followed_loses_nothing(log: Log) -> None:
    log.write("a")
    log.read(log.follower())
    log.write("b")
    log.rename()
    log.write("c")
    assert log.read(log.follower()) == ["b", "c"]


def test_several_rotations_while_nobody_followed_are_read_in_order(log: Log) -> None:
    log.write("older")
    log.rename(9)
    log.write("a")
    log.read(log.follower())
    log.write("b")
    log.rename(3)
    log.write("c")
    log.rename(2)
    log.write("d")
    log.rename(1)
    log.write("e")
    assert log.read(log.follower()) == ["b", "c", "d", "e"]
    assert not log.warnings


def test_a_rotated_file_that_was_packed_meanwhile_is_read_on(log: Log) -> None:
    log.write("a")
    log.read(log.follower())
    log.write("b")
    old = log.rename()
    packed = old.with_name("eve.json.1.gz")
    packed.write_bytes(gzip.compress(old.read_bytes()))
    old.unlink()
    log.write("c")
    assert log.read(log.follower()) == ["b", "c"]


def test_a_file_that_is_cut_is_read_from_its_beginning_again(log: Log) -> None:
    log.write("a", "b")
    follower = log.follower()
    assert log.read(follower) == ["a", "b"]
    log.copy_and_cut()
    assert log.read(follower) == []
    log.write("c")
    assert log.read(follower) == ["c"]


def test_what_was_unread_before_a_cut_is_read_from_the_copy(log: Log) -> None:
    log.write("a")
    follower = log.follower()
    log.read(follower)
    log.write("b")
    log.copy_and_cut()
    log.write("c")
    assert log.read(follower) == ["b", "c"]
    assert not log.warnings
    assert "rotated by copying" in log.told[0]


def test_a_cut_is_seen_even_when_the_file_has_grown_past_the_place(log: Log) -> None:
    log.write("a")
    log.read(log.follower())
    log.write("b")
    log.copy_and_cut()
    log.write("cccccc", "dddddd", "eeeeee")
    assert log.read(log.follower()) == ["b", "cccccc", "dddddd", "eeeeee"]


def test_a_cut_without_a_copy_is_said(log: Log) -> None:
    log.write("a")
    follower = log.follower()
    log.read(follower)
    os.truncate(log.path, 0)
    log.write("b")
    os.truncate(log.path, 2)
    log.path.write_text("c\n")
    assert log.read(follower) == ["c"]
    assert "cannot be read" in log.warnings[0]


def test_an_inode_that_is_used_again_is_not_taken_for_the_old_file(log: Log) -> None:
    log.write("first file", "more")
    log.read(log.follower())
    assert log.position is not None
    log.path.write_text("another file, longer than the first\n")  # the same inode
    assert log.read(log.follower()) == ["another file, longer than the first"]
    assert len(log.warnings) == 1


def test_a_rotated_name_is_told_from_a_neighbour(log: Log) -> None:
    log.write("a")
    log.read(log.follower())
    log.rename().unlink()
    log.write("not ours", path=log.path.with_name("eve.json.bak"))
    log.write("not ours either", path=log.path.with_name("eve.jsonl.1"))
    log.write("b")
    assert log.read(log.follower()) == ["b"]


def test_the_state_is_kept_privately_and_read_back(log: Log) -> None:
    log.write("a")
    log.read(log.follower())
    assert log.position is not None
    state = log.path.parent / "follow" / "state.json"
    save_position(state, log.path, log.position)
    assert load_position(state) == log.position
    assert state.stat().st_mode & 0o077 == 0


def test_a_damaged_state_is_said_and_not_read_as_the_beginning(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    state.write_text("{")
    with pytest.raises(StoreError, match="remove it"):
        load_position(state)
