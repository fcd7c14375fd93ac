"""Writers and pollers at work at the same time: against the server, and against stamps as one should not give them.

`against_server` is the promise, `against_wall_clock_stamps` its control: rows are stamped when the work on them
begins and become visible when it ends, in another order.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Final

import apsw
import httpx2
import msgspec
from busy import Organisation
from poller import PAGE, Fetch, Poller, over_https
from running import ServerProcess, list_all

from house import lines
from tocsin import ticks
from tocsin.ticks import format_ticks

WRITERS: Final = 8
PAUSE: Final = 0.02
"""Seconds between two polls."""
HELD_MAX: Final = 0.01
"""Seconds that a writer of the control holds its stamp before the row is there."""


class Outcome(msgspec.Struct, frozen=True):
    """What pollers missed. `changes` counts versions written, `truth` incidents at the end."""

    changes: int
    truth: int
    missed: dict[str, int]
    polls: dict[str, int]
    rows: dict[str, int]


def _poll_until(done: threading.Event, pollers: Sequence[Poller]) -> list[threading.Thread]:
    """Each poller polls in a thread of its own; after `done` it drains what is left and ends."""

    def run(poller: Poller) -> None:
        while not done.wait(PAUSE):
            poller.poll()
        while poller.poll():
            pass

    return _started([lambda poller=poller: run(poller) for poller in pollers])  # type: ignore[misc]


def _started(works: Sequence[Callable[[], None]]) -> list[threading.Thread]:
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    return threads


def _run(works: Sequence[Callable[[], None]], pollers: Sequence[Poller]) -> None:
    done = threading.Event()
    polling = _poll_until(done, pollers)
    for thread in _started(works):
        thread.join()
    done.set()
    for thread in polling:
        thread.join()


def _outcome(changes: int, truth: dict[int, str], pollers: Sequence[Poller]) -> Outcome:
    return Outcome(
        changes,
        len(truth),
        {poller.operator: poller.missed(truth) for poller in pollers},
        {poller.operator: poller.polls for poller in pollers},
        {poller.operator: poller.rows for poller in pollers},
    )


def against_server(server: ServerProcess, seconds: float, seed: int, last_change: Callable[[], int]) -> Outcome:
    """Eight writers and two pollers over https for so long; the truth is the list once all is quiet."""
    until = time.monotonic() + seconds

    def write(number: int) -> None:
        organisation, random = Organisation(seed + number, gap=40, attack_share=0.6), Random(seed + number)
        with server.sensor() as http:
            while time.monotonic() < until:
                answer = http.post("/ingest/native", content=lines(organisation.alerts(random.randint(1, 8))))
                assert answer.status_code == 200, answer.text

    readers: list[httpx2.Client] = [server.reader() for _ in range(2)]
    pollers = [Poller(name, over_https(reader)) for name, reader in zip(("ge", "gt"), readers, strict=True)]
    _run([lambda number=number: write(number) for number in range(WRITERS)], pollers)  # type: ignore[misc]
    truth = {incident["incidentId"]: incident["lastUpdateTime"] for incident in list_all(readers[0])}
    for reader in readers:
        reader.close()
    return _outcome(last_change(), truth, pollers)


class _Table:
    """Rows with a stamp in SQLite, written by many threads in turn."""

    def __init__(self) -> None:
        self._connection = apsw.Connection(":memory:")
        self._connection.execute("CREATE TABLE row (id INTEGER PRIMARY KEY, stamp TEXT NOT NULL)")
        self._connection.execute("CREATE INDEX row_stamp ON row (stamp)")
        self._lock = threading.Lock()

    def insert(self, stamp: str) -> None:
        with self._lock:
            self._connection.execute("INSERT INTO row (stamp) VALUES (?)", (stamp,))

    def everything(self) -> dict[int, str]:
        return dict(self._rows("SELECT id, stamp FROM row"))

    def fetch(self) -> Fetch:
        def fetch(operator: str, cursor: str, skip: int) -> list[tuple[int, str]]:
            sign = {"ge": ">=", "gt": ">"}[operator]
            return self._rows(
                f"SELECT id, stamp FROM row WHERE stamp {sign} ? ORDER BY stamp DESC, id LIMIT ? OFFSET ?",
                cursor,
                PAGE,
                skip,
            )

        return fetch

    def _rows(self, statement: str, *values: Any) -> list[Any]:
        with self._lock:
            return self._connection.execute(statement, values).fetchall()


def against_wall_clock_stamps(seconds: float, seed: int) -> Outcome:
    """The same pollers over rows whose stamp is the time at which the work on them began."""
    table, until = _Table(), time.monotonic() + seconds

    def write(number: int) -> None:
        random, held = Random(seed + number), threading.Event()
        while time.monotonic() < until:
            stamp = format_ticks(ticks.now())
            held.wait(random.uniform(0, HELD_MAX))
            table.insert(stamp)

    pollers = [Poller(operator, table.fetch()) for operator in ("ge", "gt")]
    _run([lambda number=number: write(number) for number in range(WRITERS)], pollers)  # type: ignore[misc]
    truth = table.everything()
    return _outcome(len(truth), truth, pollers)
