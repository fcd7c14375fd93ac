"""The store of `tocsin demo`: the sample alerts taken in as they would have been, with their own clock.

A marker file says that a folder is a demo's and whether it was loaded to the end; nothing without it is touched.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from tocsin import ticks
from tocsin.config import Settings
from tocsin.correlation.guards import Limits
from tocsin.demo import SampleAlert, sample_alerts
from tocsin.errors import InvalidInput
from tocsin.identity.keyfiles import read_private, write_private
from tocsin.ingest import Delivery, Result, read_line
from tocsin.local import KEY_FILE, SERVER_FILE
from tocsin.senders import REGISTRY
from tocsin.stores.sqlite.connection import DATABASE_NAME, WriterLock, open_writer
from tocsin.stores.sqlite.registry import Registry
from tocsin.stores.sqlite.writing import WriteStore
from tocsin.writer import Committer

MARKER: Final = "demo.json"
TIDY_COMMITS: Final = 100
_STORE_FILES: Final = (DATABASE_NAME, f"{DATABASE_NAME}-wal", f"{DATABASE_NAME}-shm", KEY_FILE, SERVER_FILE, MARKER)


class Marker(msgspec.Struct, frozen=True):
    """`end` is the moment, in ticks, that the sample alerts lead up to."""

    end: int
    complete: bool


def read_marker(data_dir: Path) -> Marker | None:
    """What is known of a demo in this folder; None where there is no complete one.

    Raises InvalidInput for a folder with a store that is no demo's: it must not be mixed or replaced.
    """
    content = read_private(data_dir / MARKER)
    if content is None:
        if (data_dir / DATABASE_NAME).exists():
            raise InvalidInput(f"{data_dir} holds a store that is no demo's; choose another --data-dir for the demo")
        return None
    try:
        return msgspec.json.decode(content, type=Marker)
    except msgspec.DecodeError as error:
        raise InvalidInput(f"{data_dir / MARKER} is damaged ({error}); remove the folder {data_dir}") from None


def load_demo(settings: Settings, end: int, advance: Callable[[int, int], None]) -> Counter[Result]:
    """Begin the folder's store anew and fill it; gives what became of the records. `advance` is told done and all.

    Keys and certificates stay, so that clients go on trusting the server. Raises StoreError, InvalidInput.
    """
    data_dir = settings.data_dir
    read_marker(data_dir)
    lock = WriterLock(data_dir)
    try:
        for name in _STORE_FILES:
            (data_dir / name).unlink(missing_ok=True)
        # Written first: killed midway, the folder is known as an incomplete demo and begun anew.
        write_private(data_dir / MARKER, msgspec.json.encode(Marker(end, complete=False)))
        alerts = sample_alerts(end)
        results = _fill(settings, alerts, advance)
        write_private(data_dir / MARKER, msgspec.json.encode(Marker(end, complete=True)))
    finally:
        lock.release()
    return results


def _fill(settings: Settings, alerts: Sequence[SampleAlert], advance: Callable[[int, int], None]) -> Counter[Result]:
    results: Counter[Result] = Counter()
    connection = open_writer(settings.data_dir / DATABASE_NAME)
    try:
        connection.execute("PRAGMA synchronous=OFF")  # a crash while loading costs nothing: it is begun anew
        clock = _HandClock(alerts[0].at)
        tenant = Registry(connection).ensure_default_tenant(clock.at)
        limits = Limits(incident_alerts_max=settings.incident_alerts_max)
        committer = Committer(WriteStore(connection), clock, limits, settings.retention_days)
        done = 0
        for commits, minute in enumerate(_by_minute(alerts), 1):
            clock.at = minute[-1].at
            answers = committer.ingest(list(_deliveries(tenant.tenant_id, minute)))
            results.update(line.result for each in answers for line in each)
            if commits % TIDY_COMMITS == 0:
                committer.tidy()
            done += len(minute)
            advance(done, len(alerts))
        committer.tidy()
        connection.execute("PRAGMA synchronous=FULL; PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()
    return results


class _HandClock:
    def __init__(self, at: int) -> None:
        self.at = at

    def __call__(self) -> int:
        return self.at


def _by_minute(alerts: Sequence[SampleAlert]) -> Iterator[list[SampleAlert]]:
    for _, group in itertools.groupby(alerts, key=lambda alert: alert.at // ticks.MINUTE):
        yield list(group)


def _deliveries(tenant_id: int, alerts: Sequence[SampleAlert]) -> Iterator[Delivery]:
    """One for each run of alerts of one sender, so that their order stays."""
    for name, run in itertools.groupby(alerts, key=lambda alert: alert.sender):
        sender = REGISTRY[name]
        yield Delivery(
            tenant_id, name, tuple(read_line(sender, number, alert.body) for number, alert in enumerate(run, 1))
        )
