"""The writer's thread: who gave up waiting disturbs nobody, and a defect in it stops the service."""

from __future__ import annotations

from pathlib import Path
from threading import Event

import pytest

from house import Bench, HandClock, lines, native
from tocsin.errors import Unavailable
from tocsin.ingest import Delivery, read_delivery
from tocsin.senders import REGISTRY
from tocsin.writer import Writer


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
