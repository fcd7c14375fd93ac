"""kill -9 in the middle of ingest, again and again on one data folder, takes back nothing that was acknowledged."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any, Final

import apsw
import httpx2
import msgspec
import pytest
from busy import Organisation
from running import ServerProcess, list_all

from house import Bench, HandClock, lines
from tocsin.stores.sqlite.connection import DATABASE_NAME

SENDERS: Final = 4
RESENT: Final = 500
MOMENT_MAX: Final = 0.4
"""Seconds after the first acknowledgement within which the process is killed."""


class Told(msgspec.Struct, frozen=True):
    """What a sender was told of an alert when it was acknowledged."""

    alert_id: str
    incident_id: int


class Senders:
    """Threads that send small batches until the server is gone, and remember what they were told."""

    def __init__(self, server: ServerProcess, organisation: Organisation, random: Random) -> None:
        self._server, self._organisation, self._random = server, organisation, random
        self._lock = threading.Lock()
        self.sent: dict[str, dict[str, Any]] = {}
        self.told: dict[str, Told] = {}
        self.begun = threading.Event()

    def run(self) -> list[threading.Thread]:
        """Begin; the threads end by themselves when the server stops answering."""
        self.begun.clear()
        threads = [threading.Thread(target=self._send) for _ in range(SENDERS)]
        for thread in threads:
            thread.start()
        return threads

    def _send(self) -> None:
        with self._server.sensor() as http:
            while True:
                with self._lock:
                    batch = list(self._organisation.alerts(self._random.randint(1, 6)))
                    self.sent.update({alert["providerAlertId"]: alert for alert in batch})
                try:
                    answer = http.post("/ingest/native", content=lines(batch))
                except httpx2.TransportError:
                    return
                assert answer.status_code == 200, answer.text
                self.note(batch, answer.json()["results"])
                self.begun.set()

    def note(self, batch: Sequence[dict[str, Any]], results: Sequence[dict[str, Any]]) -> None:
        """Remember an acknowledgement."""
        for alert, result in zip(batch, results, strict=True):
            self.told[alert["providerAlertId"]] = Told(result["alertId"], result["incidentId"])


def killed_in_the_middle(server: ServerProcess, senders: Senders, random: Random) -> None:
    """One life of the server: senders at work, then gone at a random moment."""
    server.start()
    threads = senders.run()
    assert senders.begun.wait(60)
    threading.Event().wait(random.uniform(0, MOMENT_MAX))
    server.kill()
    for thread in threads:
        thread.join()


def sent_again(server: ServerProcess, senders: Senders) -> Iterator[tuple[str, dict[str, Any]]]:
    """Send everything once more; gives (the sender's id, result) of each alert."""
    with server.sensor() as http:
        everything = list(senders.sent.values())
        for start in range(0, len(everything), RESENT):
            batch = everything[start : start + RESENT]
            answer = http.post("/ingest/native", content=lines(batch))
            assert answer.status_code == 200, answer.text
            for alert, result in zip(batch, answer.json()["results"], strict=True):
                yield alert["providerAlertId"], result


def assert_store_is_sound(path: Path) -> None:
    """The file is whole, change numbers have no gap, and stamps only ever rose, over every life of the server."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    assert connection.execute("PRAGMA integrity_check").get == "ok"
    log: list[Any] = connection.execute("SELECT change, at FROM change_log ORDER BY change").fetchall()
    last_change, last_stamp = connection.execute("SELECT last_change, last_stamp FROM tenant").get
    assert [change for change, _ in log] == list(range(1, last_change + 1))
    stamps: list[int] = [at for _, at in log]
    assert stamps == sorted(set(stamps))
    assert stamps[-1] == last_stamp
    connection.close()


def missing(path: Path, senders: Senders) -> set[str]:
    """The acknowledged alerts that the store does not have."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    rows = connection.execute("SELECT identity FROM alert WHERE superseded_by IS NULL")
    stored = {str(identity).rpartition(":")[2] for (identity,) in rows}
    connection.close()
    return set(senders.told) - stored


def assert_listing_is_whole(listed: Sequence[dict[str, Any]], senders: Senders) -> None:
    """Every alert sent is there once, in an incident that is no husk, and incidents are not listed twice."""
    ids = [incident["incidentId"] for incident in listed]
    assert len(ids) == len(set(ids))
    where = [
        (alert["providerAlertId"], alert["incidentId"], incident["incidentId"], incident["status"])
        for incident in listed
        for alert in incident["alerts"]
    ]
    assert sorted(each[0] for each in where) == sorted(senders.sent)
    assert all(inner == outer and status != "Redirected" for _, inner, outer, status in where)


def assert_the_told_incidents_lead_to_the_alerts(listed: Sequence[dict[str, Any]], senders: Senders) -> None:
    """The incident named at the acknowledgement is the one that has the alert, or husks lead from it there."""
    redirects = {each["incidentId"]: each["redirectIncidentId"] for each in listed if each["redirectIncidentId"]}
    for identity, incident_id in partition(listed).items():
        told = senders.told[identity].incident_id
        while told in redirects:
            told = redirects[told]
        assert told == incident_id


def partition(listed: Sequence[dict[str, Any]]) -> dict[str, int]:
    """The sender's id of each alert -> the incident it is in."""
    return {alert["providerAlertId"]: incident["incidentId"] for incident in listed for alert in incident["alerts"]}


def uninterrupted(folder: Path, alerts: Sequence[dict[str, Any]]) -> dict[str, int]:
    """The same partition by a committer that is never stopped, one alert to a delivery."""
    bench = Bench(folder, HandClock())
    found = {}
    for alert in alerts:
        bench.ingest(alert)
    rows = bench.store.connection.execute("SELECT identity, incident_id FROM alert WHERE superseded_by IS NULL")
    for identity, incident_id in rows:
        found[str(identity).rpartition(":")[2]] = int(incident_id)
    return found


def in_order_of_arrival(path: Path, sent: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """The alerts in the order in which the writer numbered them."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    rows = connection.execute("SELECT identity FROM alert WHERE superseded_by IS NULL ORDER BY alert_number")
    ordered = [sent[str(identity).rpartition(":")[2]] for (identity,) in rows]
    connection.close()
    return ordered


def run_kills(folder: Path, kills: int, seed: int) -> None:
    print(f"seed {seed}")
    random, seen = Random(seed), dict[int, str]()
    with ServerProcess(folder / "data") as server:
        senders = Senders(server, Organisation(seed), random)
        for _ in range(kills):
            killed_in_the_middle(server, senders, random)
            server.start()
            listed = assert_nothing_is_missing(server, senders)
            now = {incident["incidentId"]: incident["lastUpdateTime"] for incident in listed}
            assert all(now[incident_id] >= stamp for incident_id, stamp in seen.items())
            seen = now
            server.kill()
    print(f"{kills} kills, {len(senders.sent)} alerts in {len(seen)} incidents, 0 acknowledged alerts missing")
    ordered = in_order_of_arrival(server.data_dir / DATABASE_NAME, senders.sent)
    assert partition(listed) == uninterrupted(folder / "calm", ordered)


def assert_nothing_is_missing(server: ServerProcess, senders: Senders) -> list[dict[str, Any]]:
    """What was acknowledged is there and known as what it was; what was not may be sent again. Gives the whole list."""
    path = server.data_dir / DATABASE_NAME
    assert_store_is_sound(path)
    assert not missing(path, senders)
    for identity, result in sent_again(server, senders):
        if identity in senders.told:
            assert result["result"] == "duplicate"
            assert result["alertId"] == senders.told[identity].alert_id
        else:
            senders.told[identity] = Told(result["alertId"], result["incidentId"])
    with server.reader() as reader:
        listed = list_all(reader)
    assert_listing_is_whole(listed, senders)
    assert_the_told_incidents_lead_to_the_alerts(listed, senders)
    return listed


@pytest.mark.parametrize("seed", [7])
def test_ten_kills_lose_no_acknowledged_alert_and_change_no_incident(tmp_path: Path, seed: int) -> None:
    run_kills(tmp_path, 10, seed)


@pytest.mark.nightly
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", [1, 2, secrets.randbelow(2**32)])
def test_sixty_kills_lose_no_acknowledged_alert_and_change_no_incident(tmp_path: Path, seed: int) -> None:
    run_kills(tmp_path, 60, seed)


def test_control_a_server_that_acknowledges_before_the_commit_loses_alerts(tmp_path: Path) -> None:
    random = Random(11)
    lost: set[str] = set()
    with ServerProcess(tmp_path / "data", "--hasty") as server:
        senders = Senders(server, Organisation(11), random)
        for _ in range(3):
            killed_in_the_middle(server, senders, random)
            server.start()
            lost |= missing(server.data_dir / DATABASE_NAME, senders)
            server.kill()
    print(f"control lost {len(lost)} of {len(senders.told)} acknowledged alerts")
    assert lost
