"""Records leave the audit log only past their time, with a signed note, and then verifying still holds."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar

import pytest

from house import START, Bench, HandClock
from tocsin.audit import Action, Deed, Kind, decode_record, verify
from tocsin.checkpoints import FILE, Checkpoints, own_public_key, read_checkpoints
from tocsin.config import Settings
from tocsin.errors import Unavailable
from tocsin.stores.sqlite import auditing
from tocsin.stores.sqlite.writing import WriteStore
from tocsin.ticks import DAY
from tocsin.witness import PRUNED_STEP, Witness

T = TypeVar("T")


class AtOnce:
    """A writer that does in this thread what it is asked to, or is stopping."""

    def __init__(self, bench: Bench) -> None:
        self._bench, self.stopping = bench, False

    def perform(self, work: Callable[[WriteStore], T]) -> Future[T]:
        if self.stopping:
            raise Unavailable("the service is stopping", 5)
        done: Future[T] = Future()
        done.set_result(self._bench.committer.run(work))
        return done


class Log:
    """An audit log in a store of its own, with its witness."""

    def __init__(self, folder: Path) -> None:
        self.clock, self.settings = HandClock(), Settings(data_dir=folder)
        self.bench = Bench(folder, self.clock)
        self.writer = AtOnce(self.bench)
        self.witness = Witness(self.clock, Checkpoints(self.settings))

    def note(self, target: str) -> None:
        """Something that happened just now, written and signed."""
        self.witness.note(Deed(at=self.clock(), actor="app:x", action=Action.READ, target=target))
        self.witness.flush(self.writer)

    def kept(self) -> list[int]:
        return [row.sequence for row in auditing.rows(self.bench.store.connection)]

    def findings(self) -> list[str]:
        marks, wrong = read_checkpoints(
            self.settings.data_dir / "audit" / FILE, [own_public_key(self.settings.data_dir)]
        )
        verdict = verify(auditing.rows(self.bench.store.connection), marks)
        return [each.problem for each in (*wrong, *verdict.findings)]


@pytest.fixture
def log(tmp_path: Path) -> Log:
    found = Log(tmp_path)
    for day in range(10):
        found.clock.at = START + day * DAY
        found.note(f"GET /api/incidents/{day}")
    found.witness.checkpoint(found.writer)
    return found


def test_records_past_their_time_go_and_the_rest_still_verifies(log: Log) -> None:
    assert log.witness.prune(log.writer, START + 4 * DAY) == 4
    assert log.kept() == [5, 6, 7, 8, 9, 10]
    assert log.findings() == []
    log.witness.flush(log.writer)
    (*_, last) = auditing.rows(log.bench.store.connection)
    record = decode_record(last.record)
    assert record is not None
    assert (last.sequence, record.action, record.detail) == (
        11,
        Action.SERVE,
        "removed 4 records, up to 4: past audit_keep_days",
    )
    assert log.findings() == []


def test_nothing_old_is_nothing_to_do_and_leaves_no_note(log: Log) -> None:
    before = (log.settings.data_dir / "audit" / FILE).read_bytes()
    assert log.witness.prune(log.writer, START) == 0
    assert (log.settings.data_dir / "audit" / FILE).read_bytes() == before


def test_the_log_goes_on_after_all_of_it_was_removed(log: Log) -> None:
    assert log.witness.prune(log.writer, START + 100 * DAY) == 10
    log.note("GET /api/incidents/11")
    assert log.kept() == [11, 12]
    log.witness.checkpoint(log.writer)
    assert log.findings() == []


def test_many_go_in_steps_each_with_its_note(tmp_path: Path) -> None:
    log = Log(tmp_path)
    deeds = [Deed(at=START, action=Action.READ, target=f"GET /{number}") for number in range(2 * PRUNED_STEP + 1)]
    log.bench.committer.run(lambda store: auditing.append(store.connection, deeds))
    assert log.witness.prune(log.writer, START + DAY) == len(deeds)
    marks, _ = read_checkpoints(tmp_path / "audit" / FILE, [own_public_key(tmp_path)])
    assert [each.kind for each in marks] == [Kind.PRUNED] * 3


def test_what_cannot_be_read_is_evidence_and_stays_with_all_behind_it(log: Log) -> None:
    connection = log.bench.store.connection
    connection.execute("DROP TRIGGER audit_is_not_edited")
    connection.execute("UPDATE audit SET record = x'7b' WHERE sequence = 3")
    assert log.witness.prune(log.writer, START + 100 * DAY) == 2
    assert log.kept()[0] == 3
    assert log.findings()


def test_what_cannot_be_written_waits_and_its_order_stays(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.writer.stopping = True
    log.note("GET /one")
    log.note("GET /two")
    assert log.kept() == []
    log.writer.stopping = False
    log.note("GET /three")
    records = [decode_record(row.record) for row in auditing.rows(log.bench.store.connection)]
    assert [each and each.target for each in records] == ["GET /one", "GET /two", "GET /three"]
