"""What the server does by itself while it runs."""

from __future__ import annotations

import asyncio
from pathlib import Path

from house import HandClock, native, running
from tocsin.app import clean_up
from tocsin.retention import Housekeeping
from tocsin.stores.sqlite.writing import WriteStore
from tocsin.ticks import DAY


def test_a_round_of_housekeeping_that_fails_is_not_the_last(tmp_path: Path) -> None:
    clock = HandClock()
    with running(tmp_path, clock) as client:
        client.ingest(native(1))
        store = client.registry._connection
        store.execute("ALTER TABLE incident_superseded RENAME TO lost")
        clock.at += 400 * DAY

        def step(work: WriteStore) -> bool:
            return client.service.housekeeping.step(work, clock())

        asyncio.run(clean_up(client.service, step))
        assert store.execute("SELECT count(*) FROM incident").get == 1
        store.execute("ALTER TABLE lost RENAME TO incident_superseded")
        asyncio.run(clean_up(client.service, step))
        assert store.execute("SELECT count(*) FROM incident").get == 0


def test_versions_may_be_kept_longer_than_there_has_been_time(tmp_path: Path) -> None:
    with running(tmp_path, HandClock(), superseded_minutes=10**15) as client:
        client.ingest(native(1))
        housekeeping = Housekeeping(client.service.settings)
        work = client.service.writer.perform(lambda store: housekeeping.step(store, client.service.clock()))
        assert work.result() in (True, False)
