"""How the real server ends: at a signal with all kept, at a failed flush by itself and with a status that says so."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from busy import Organisation
from running import ServerProcess, list_all
from soundness import assert_sound, stored_identities

from house import lines
from tocsin.stores.sqlite.connection import DATABASE_NAME, open_writer


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path) as process:
        yield process


def test_at_a_signal_the_server_answers_what_it_took_and_ends_with_status_0(
    server: ServerProcess, tmp_path: Path
) -> None:
    organisation, lock = Organisation(1), threading.Lock()
    acknowledged: list[str] = []
    begun = threading.Event()

    def send() -> None:
        with server.sensor() as http:
            while True:
                with lock:
                    batch = list(organisation.alerts(20))
                try:
                    answer = http.post("/ingest/native", content=lines(batch))
                except httpx2.TransportError:
                    return
                if answer.status_code == 200:
                    acknowledged.extend(alert["providerAlertId"] for alert in batch)
                begun.set()

    server.start()
    senders = [threading.Thread(target=send) for _ in range(3)]
    for sender in senders:
        sender.start()
    assert begun.wait(60)
    assert server.stop() == 0
    for sender in senders:
        sender.join()
    connection = open_writer(tmp_path / DATABASE_NAME)
    assert set(acknowledged) <= set(stored_identities(connection))
    assert_sound(connection)
    connection.close()


def test_at_a_failed_flush_the_server_acknowledges_nothing_more_and_ends_with_status_1(server: ServerProcess) -> None:
    server.flags = ("--failing-flush", "12")
    organisation = Organisation(1)
    acknowledged: list[str] = []
    server.start()
    with server.sensor() as http:
        while True:
            batch = list(organisation.alerts(5))
            answer = http.post("/ingest/native", content=lines(batch))
            if answer.status_code != 200:
                break
            acknowledged += [alert["providerAlertId"] for alert in batch]
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert server.wait() == 1
    server.flags = ()
    server.start()
    with server.reader() as reader:
        listed = {alert["providerAlertId"] for incident in list_all(reader) for alert in incident["alerts"]}
    with server.sensor() as http:
        assert http.post("/ingest/native", content=lines(batch)).status_code == 200
    assert server.stop() == 0
    assert set(acknowledged) <= listed
    assert acknowledged
