"""The writer's thread: who gave up waiting disturbs nobody, and a defect in it stops the service."""

from __future__ import annotations

from pathlib import Path
from threading import Event

import pytest

from house import Bench, HandClock, lines, native
from tocsin.errors import Unavailable
from tocsin.ingest import Delivery, read_delivery
from tocsin.senders import REGISTRY
from tocsin.writer import CHECKPOINT_PAGES, Writer


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, HandClock())


def delivery(bench: Bench, number: int) -> Delivery:
    return read_delivery(REGISTRY["native"], bench.tenant.tenant_id, lines([native(number)]), 10)


def test_a_caller_that_stops_waiting_does_not_end_the_writer(bench: Bench) -> None:
    writer = Writer(bench.committer, alerts_waiting_max=100, on_broken=lambda: None)
    given_up = writer.submit(delivery(bench, 1))
    assert given_up.cancel()
    kept = writer.submit(delivery(bench, 2))
    writer.start()
    assert kept.result(30)
    writer.stop()
    assert bench.reader.count_incidents(bench.scope) == 1


def test_a_defect_between_commits_stops_the_service_and_answers_who_waits(bench: Bench) -> None:
    broken = Event()
    writer = Writer(bench.committer, alerts_waiting_max=100, on_broken=broken.set)
    del bench.store.entities  # whatever the defect is
    writer.start()
    with pytest.raises((Unavailable, AttributeError)):
        writer.submit(delivery(bench, 1)).result(30)
    assert broken.wait(30)
    assert writer.broken
    with pytest.raises(Unavailable):
        writer.submit(delivery(bench, 2)).result(30)
    writer.stop()


def test_what_was_committed_waits_no_more(bench: Bench) -> None:
    writer = Writer(bench.committer, alerts_waiting_max=2, on_broken=lambda: None)
    writer.start()
    for number in range(0, 20, 2):
        writer.submit(delivery(bench, number)).result(30)
        writer.perform(lambda _store: None).result(30)  # the group before this one has been counted off
    writer.stop()
    assert bench.reader.count_incidents(bench.scope) == 10


def test_who_comes_after_the_end_is_told_so_instead_of_waiting_for_ever(bench: Bench) -> None:
    writer = Writer(bench.committer, alerts_waiting_max=100, on_broken=lambda: None)
    writer.start()
    writer.stop()
    with pytest.raises(Unavailable, match="stopping"):
        writer.submit(delivery(bench, 1))
    with pytest.raises(Unavailable, match="stopping"):
        writer.perform(lambda _store: None)


def test_the_write_ahead_log_stays_short_however_much_is_written(bench: Bench) -> None:
    """Four times the bound is written; without checkpoints all of it would stand in the log."""
    for turn in range(16):
        bench.ingest(*[native(turn * 500 + number, description="x" * 8000) for number in range(500)])
        bench.committer.tidy()
    written = bench.path.stat().st_size
    assert written > 2 * CHECKPOINT_PAGES * 4096
    assert bench.path.with_name(bench.path.name + "-wal").stat().st_size < 1.5 * CHECKPOINT_PAGES * 4096


def test_more_than_may_wait_is_told_to_come_again(bench: Bench) -> None:
    writer = Writer(bench.committer, alerts_waiting_max=1, on_broken=lambda: None)
    writer.submit(delivery(bench, 1))
    with pytest.raises(Unavailable) as refusal:
        writer.submit(delivery(bench, 2))
    assert refusal.value.retry_after >= 1
    writer.start()
    writer.stop()


def test_memories_of_a_batch_that_failed_are_forgotten(bench: Bench) -> None:
    bench.ingest(native(1))
    before = dict(bench.store.entities._fresh)
    bench.store.begin()
    bench.store.entities.journal(bench.tenant.tenant_id, dict.fromkeys((1, 2), next(iter(before.values()))))
    bench.store.rollback()
    assert bench.store.entities._fresh == before
    bench.open()
    assert bench.store.entities._fresh == before
