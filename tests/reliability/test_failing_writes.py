"""A write that fails is not acknowledged, takes no other down with it, and leaves nothing half-written."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import apsw
import pytest
from busy import Organisation
from failing import SYNC, WRITE, failing_disk
from soundness import assert_sound, counts, stored_identities
from structlog.testing import capture_logs

from house import Bench, Client, HandClock, lines, native, running
from tocsin import writer as writing
from tocsin.errors import NotFound, StorageFull, Unavailable
from tocsin.ingest import Delivery, LineResult, Result, read_delivery
from tocsin.senders import REGISTRY
from tocsin.stores.sqlite.connection import DATABASE_NAME, open_writer
from tocsin.stores.sqlite.registry import Registry
from tocsin.stores.sqlite.writing import WriteStore
from tocsin.ticks import SECOND
from tocsin.writer import Committer, Writer


def delivery(tenant_id: int, *alerts: dict[str, Any]) -> Delivery:
    return read_delivery(REGISTRY["native"], tenant_id, lines(alerts), 1000)


def created(future: Future[object]) -> bool:
    results: list[LineResult] = future.result(60)  # type: ignore[assignment]
    return [each.result for each in results] == [Result.CREATED]


def writer_of(committer: Committer, on_broken: Callable[[], None] = lambda: None) -> Writer:
    return Writer(committer, alerts_waiting_max=100_000, on_broken=on_broken)


def test_a_poisoned_delivery_and_work_that_raises_hurt_no_other_job_of_their_commit(tmp_path: Path) -> None:
    def raises(store: WriteStore) -> None:
        store.drop_refused(1, [1])
        store.connection.execute("INSERT INTO tenant (guid, name, created) VALUES ('g', 'n', 1)")
        raise ZeroDivisionError

    bench = Bench(tmp_path, HandClock())
    writer = writer_of(bench.committer)
    # Queued before the thread begins, so that one commit takes them all.
    before = [writer.submit(delivery(1, native(number))) for number in range(5)]
    poison = writer.submit(delivery(99, native(50)))
    failing = writer.perform(raises)
    after = [writer.submit(delivery(1, native(number))) for number in range(5, 10)]
    writer.start()
    assert all(created(future) for future in before + after)
    with pytest.raises(NotFound):
        poison.result(60)
    with pytest.raises(ZeroDivisionError):
        failing.result(60)
    assert created(writer.submit(delivery(1, native(60))))
    writer.stop()
    assert not writer.broken
    assert bench.store.connection.execute("SELECT count(*) FROM tenant").get == 1
    assert_sound(bench.store.connection)


def pages(client: Client, most: int | None) -> None:
    """Leave the store room for `most` pages in all; None is as much as the disk has."""

    def limit(store: WriteStore) -> None:
        used = store.connection.execute("PRAGMA page_count").get
        store.connection.execute(f"PRAGMA max_page_count={used + most if most is not None else 2**30}")

    client.service.writer.perform(limit).result(60)


def test_a_full_disk_is_answered_507_reads_go_on_and_writes_resume_when_there_is_room(tmp_path: Path) -> None:
    organisation = Organisation(4)
    clock = HandClock()
    with running(tmp_path, clock) as client, capture_logs() as lines:
        assert client.ingest(*organisation.alerts(200)).status_code == 200
        connection = open_reader_beside(client)
        pages(client, 30)
        kept, refusals = 200, 0
        while refusals < 5:
            before = counts(connection)
            batch = list(organisation.alerts(20))
            answer = client.ingest(*batch)
            if answer.status_code == 200:
                kept += 20
                continue
            refusals += 1
            assert answer.status_code == 507
            assert int(answer.headers["retry-after"]) > 0
            assert counts(connection) == before
            assert client.get("/api/incidents?$top=5").status_code == 200
            clock.at += 20 * SECOND
        # Five refusals in 100 seconds of the clock: the trace comes at once, and then once a minute.
        assert ["free space" in line["advice"] for line in lines if line["event"] == "disk_full"] == [True, True]
        assert len(stored_identities(connection)) == kept
        pages(client, None)
        assert client.ingest(*batch).status_code == 200
        assert len(stored_identities(connection)) == kept + 20
        assert_sound(connection)


def open_reader_beside(client: Client) -> apsw.Connection:
    path = client.service.settings.data_dir / DATABASE_NAME
    return apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)


def test_a_full_disk_refuses_changes_to_who_may_call_in_the_same_words(tmp_path: Path) -> None:
    bench = Bench(tmp_path, HandClock())
    registry, connection = Registry(bench.store.connection), bench.store.connection
    connection.execute(f"PRAGMA max_page_count={connection.execute('PRAGMA page_count').get}")

    def create_many() -> None:
        for number in range(1000):
            registry.create_tenant(f"tenant-{number}", str(uuid.uuid4()), bench.clock())

    with pytest.raises(StorageFull):
        create_many()
    connection.execute(f"PRAGMA max_page_count={2**30}")
    registry.create_tenant("another", str(uuid.uuid4()), bench.clock())


def test_a_full_disk_while_folding_memories_loses_none_of_them(tmp_path: Path) -> None:
    bench, organisation = Bench(tmp_path, HandClock()), Organisation(4)
    alerts = list(organisation.alerts(300))
    bench.ingest(*alerts[:250])
    connection = bench.store.connection
    connection.execute(f"PRAGMA max_page_count={connection.execute('PRAGMA page_count').get}")
    with pytest.raises(apsw.FullError):
        bench.store.entities.fold(bench.clock(), whole=True)
    connection.execute(f"PRAGMA max_page_count={2**30}")
    there = [each.incident_id for each in bench.ingest(*alerts[250:])]
    calm = Bench(tmp_path / "calm", HandClock())
    calm.ingest(*alerts[:250])
    assert there == [each.incident_id for each in calm.ingest(*alerts[250:])]


def run_until_it_fails(folder: Path, kind: str, n: int, *, for_good: bool) -> int:
    """Ingest over a disk whose `n`-th operation fails; gives how many deliveries were acknowledged."""
    told = threading.Event()
    acknowledged: list[str] = []
    with failing_disk() as disk:
        bench = Bench(folder, HandClock())
        writer = writer_of(bench.committer, told.set)
        writer.start()
        organisation = Organisation(n)
        disk.fail_at(kind, n, for_good=for_good)
        for _ in range(60):
            batch = list(organisation.alerts(10))
            future = writer.submit(delivery(1, *batch))
            if (error := future.exception(60)) is not None:
                assert type(error) is Unavailable
                assert error.retry_after > 0
                break
            acknowledged += [alert["providerAlertId"] for alert in batch]
        assert disk.failed
        assert writer.broken
        with pytest.raises(Unavailable):
            writer.submit(delivery(1, native(1))).result(60)
        writer.stop()
        assert told.is_set()
        disk.mend()
        bench.reader._connection.close()
        bench.store.connection.close()
    connection = open_writer(folder / DATABASE_NAME)
    stored = stored_identities(connection)
    assert set(acknowledged) <= set(stored)
    assert len(stored) == len(set(stored))
    assert_sound(connection)
    connection.close()
    return len(acknowledged) // 10


@pytest.mark.parametrize("for_good", [False, True], ids=["once", "for good"])
@pytest.mark.parametrize(("kind", "n"), [(SYNC, n) for n in (1, 2, 3, 5, 9)] + [(WRITE, n) for n in (1, 2, 3, 50, 400)])
def test_a_failed_write_or_flush_is_never_acknowledged_and_stops_the_writer(
    tmp_path: Path, kind: str, n: int, for_good: bool
) -> None:
    run_until_it_fails(tmp_path, kind, n, for_good=for_good)


@pytest.mark.parametrize("for_good", [False, True], ids=["once", "for good"])
@pytest.mark.parametrize(("kind", "n"), [(kind, n) for kind in (SYNC, WRITE) for n in (4, 7, 12, 60)])
def test_a_failure_while_the_log_is_folded_into_the_file_stops_the_writer_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, n: int, for_good: bool
) -> None:
    monkeypatch.setattr(writing, "CHECKPOINT_PAGES", 1)
    run_until_it_fails(tmp_path, kind, n, for_good=for_good)


@pytest.mark.nightly
@pytest.mark.parametrize("kind", [SYNC, WRITE])
def test_every_early_operation_may_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(writing, "CHECKPOINT_PAGES", 20)
    for n in range(1, 60):
        run_until_it_fails(tmp_path / f"once-{n}", kind, n, for_good=False)
        run_until_it_fails(tmp_path / f"always-{n}", kind, n, for_good=True)
