"""200 manipulations of a real audit log in a real file, each looked for by `tocsin audit verify`."""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest
from shell import Terminal, terminal_fixture  # noqa: F401

from tocsin.audit import GENESIS, Action, Deed, encode_deed, seal_of
from tocsin.checkpoints import FILE, Checkpoints
from tocsin.config import Settings
from tocsin.stores.sqlite import auditing
from tocsin.stores.sqlite.connection import DATABASE_NAME, open_writer
from tocsin.ticks import SECOND, parse_ticks

START = parse_ticks("2026-03-02T09:00:00Z")
RECORDS, WATCHED, MANIPULATIONS = 80, 70, 200
Rows = list[tuple[int, bytes, bytes]]


def deed(number: int) -> Deed:
    return Deed(at=START + number * SECOND, actor="app:a", action=Action.READ, target=f"GET /api/incidents/{number}")


class Forger:
    """Somebody who can write the database file, knows how seals are made, and has not the key of checkpoints."""

    def __init__(self, path: Path) -> None:
        self.connection = apsw.Connection(str(path))
        self.connection.execute("DROP TRIGGER audit_is_not_edited; DROP TRIGGER audit_is_not_deleted")
        self.whole = self.rows()

    def rows(self) -> Rows:
        found: list[tuple[int, bytes, bytes]] = []
        for sequence, record, seal in self.connection.execute("SELECT sequence, record, seal FROM audit ORDER BY 1"):
            assert isinstance(sequence, int)
            assert isinstance(record, bytes)
            assert isinstance(seal, bytes)
            found.append((sequence, record, seal))
        return found

    def write(self, rows: Rows) -> None:
        with self.connection:
            self.connection.execute("DELETE FROM audit")
            self.connection.executemany("INSERT INTO audit VALUES (?, ?, ?)", rows)


def numbered(rows: Rows) -> Rows:
    return [(number, record, seal) for number, (_, record, seal) in enumerate(rows, 1)]


def sealed(rows: Rows) -> Rows:
    previous, made = GENESIS, []
    for number, (_, record, _) in enumerate(rows, 1):
        previous = seal_of(previous, record)
        made.append((number, record, previous))
    return made


def edit(rows: Rows, at: int, rng: random.Random) -> Rows:
    sequence, record, seal = rows[at]
    changed = bytearray(record)
    changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return [*rows[:at], (sequence, bytes(changed), seal), *rows[at + 1 :]]


def delete(rows: Rows, at: int, rng: random.Random) -> Rows:
    return rows[:at] + rows[at + rng.randint(1, 5) :]


def delete_and_number(rows: Rows, at: int, rng: random.Random) -> Rows:
    return numbered(delete(rows, at, rng))


def swap(rows: Rows, at: int, rng: random.Random) -> Rows:
    other = rng.choice([each for each in range(len(rows)) if each != at])
    made = list(rows)
    made[at], made[other] = (rows[at][0], *rows[other][1:]), (rows[other][0], *rows[at][1:])
    return made


def insert(rows: Rows, at: int, rng: random.Random) -> Rows:
    record = encode_deed(deed(rng.randrange(1000, 9999)))
    previous = rows[at - 1][2] if at else GENESIS
    return numbered([*rows[:at], (0, record, seal_of(previous, record)), *rows[at:]])


def cut_the_beginning(rows: Rows, at: int, _rng: random.Random) -> Rows:
    return rows[at + 1 :]


def cut_the_end(rows: Rows, at: int, _rng: random.Random) -> Rows:
    return rows[:at]


def seal_anew_with_an_edit(rows: Rows, at: int, rng: random.Random) -> Rows:
    return sealed(edit(rows, at, rng))


def seal_anew_without_some(rows: Rows, at: int, rng: random.Random) -> Rows:
    return sealed(delete(rows, at, rng))


def seal_anew_with_one_more(rows: Rows, at: int, rng: random.Random) -> Rows:
    return sealed(insert(rows, at, rng))


def go_on_otherwise(rows: Rows, at: int, rng: random.Random) -> Rows:
    return sealed([*rows[:at], *((0, encode_deed(deed(rng.randrange(1000, 9999))), b"") for _ in rows[at:])])


BREAKING: list[Callable[[Rows, int, random.Random], Rows]] = [
    edit,
    delete,
    delete_and_number,
    swap,
    insert,
    cut_the_beginning,
]
"""What breaks the chain."""
SOUND = [cut_the_end, seal_anew_with_an_edit, seal_anew_without_some, seal_anew_with_one_more, go_on_otherwise]
"""What leaves a chain that is sound by itself."""


@pytest.fixture(name="forger")
def forger_fixture(terminal: Terminal) -> Iterator[Forger]:
    path = terminal.data_dir / DATABASE_NAME
    connection, checkpoints = open_writer(path), Checkpoints(Settings(data_dir=terminal.data_dir))
    for number in range(1, RECORDS + 1):
        with connection:
            auditing.append(connection, [deed(number)])
        if number in (20, 45, WATCHED):
            checkpoints.write(*auditing.end(connection), START)
    connection.close()
    made = Forger(path)
    yield made
    made.connection.close()


def verified(terminal: Terminal) -> bool:
    ran = terminal.run("audit", "verify")
    assert ran.code in (0, 1)
    assert bool(ran.code) == ran.out.startswith("record "), ran.err
    return ran.code == 0


@pytest.mark.parametrize("seed", [secrets.randbits(32)])
def test_every_manipulation_older_than_the_last_checkpoint_is_found(
    terminal: Terminal, forger: Forger, seed: int
) -> None:
    print(f"seed {seed}")
    rng, kinds = random.Random(seed), [*BREAKING, *SOUND]
    assert verified(terminal)
    missed = []
    for number in range(MANIPULATIONS):
        manipulate, at = kinds[number % len(kinds)], rng.randrange(WATCHED)
        manipulated = manipulate(forger.whole, at, rng)
        assert manipulated != forger.whole
        forger.write(manipulated)
        if verified(terminal):
            missed.append(f"{manipulate.__name__} at {at}")
    assert missed == [], f"seed {seed}"
    forger.write(forger.whole)
    assert verified(terminal), "and what was put back as it was is sound"


@pytest.mark.parametrize("manipulate", SOUND)
def test_control_without_checkpoints_a_cut_end_and_a_chain_sealed_anew_are_missed(
    terminal: Terminal, forger: Forger, manipulate: Callable[[Rows, int, random.Random], Rows]
) -> None:
    (terminal.data_dir / "audit" / FILE).write_bytes(b"")
    rng = random.Random(3)
    for _ in range(8):
        forger.write(manipulate(forger.whole, rng.randrange(1, WATCHED), rng))
        ran = terminal.run("audit", "verify")
        assert ran.out == "", "nothing is found"
        assert ran.code == 1, "but it is no all-clear either"
        assert "a cut at the end of the log could not be seen" in ran.err


def test_a_cut_behind_the_last_checkpoint_is_beyond_what_is_promised(terminal: Terminal, forger: Forger) -> None:
    forger.write(forger.whole[: WATCHED + 3])
    ran = terminal.run("audit", "verify")
    assert ran.code == 0
    assert "3 newer than the last checkpoint" in ran.err
