"""What alerts are about is kept with them, follows them, and is read off the documents of older stores."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import apsw
import pytest

from house import Bench, HandClock, native, shared_url
from tocsin.config import Settings
from tocsin.errors import NotFound
from tocsin.exposure import DeviceRule, decode_facts
from tocsin.model import Alert, Device
from tocsin.regroup import By, merge_incidents
from tocsin.retention import Housekeeping
from tocsin.stores.sqlite import connection as opening
from tocsin.stores.sqlite.groups import Groups
from tocsin.stores.sqlite.writing import WriteStore
from tocsin.ticks import DAY

ALERT = Alert(
    identity="x",
    provider_alert_id="x",
    service_source="Test",
    first_activity=0,
    last_activity=0,
    title="x",
    devices=(Device(device_dns_name="pc1"),),
)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, HandClock())


def device(name: str, **fields: Any) -> dict[str, Any]:
    return {"deviceDnsName": name, **fields}


def about(connection: apsw.Connection) -> list[tuple[Any, ...]]:
    """(alert number, device's id or None, workload) of everything that is kept."""
    return connection.execute(
        "SELECT alert_number, device_id, name FROM alert_device JOIN workload USING (workload_no) "
        "LEFT JOIN device ON device.tenant_id = alert_device.tenant_id AND device.device_no = alert_device.device_no "
        "ORDER BY 1, 2"
    ).fetchall()


def kept(connection: apsw.Connection) -> list[list[tuple[Any, ...]]]:
    """Every table of exposure that new alerts write, in terms that do not depend on the order of numbering."""
    devices = connection.execute("SELECT device_id, group_id, facts FROM device ORDER BY 1").fetchall()
    pairs = connection.execute(
        "SELECT device_id, name FROM device_workload JOIN workload USING (workload_no) LEFT JOIN device "
        "ON device.tenant_id = device_workload.tenant_id AND device.device_no = device_workload.device_no ORDER BY 1, 2"
    ).fetchall()
    return [about(connection), devices, pairs]


def test_an_alert_is_about_its_workload_and_each_of_its_devices_once(bench: Bench) -> None:
    bench.ingest(
        native(1, serviceSource="Office ATP"),
        native(2, devices=[device("pc1.corp.example"), device("PC1.corp.example"), device("pc2")]),
        native(3, devices=[device("x", mdatpDeviceId="AB" * 20)]),
    )
    found = about(bench.store.connection)
    assert [(number, name) for number, _, name in found] == [(1, "officeatp"), (2, "test"), (2, "test"), (3, "test")]
    assert found[0][1] is None
    assert found[3][1] == "ab" * 20


def test_a_device_is_in_the_group_that_its_newest_facts_belong_to(bench: Bench) -> None:
    connection, tenant_id = bench.store.connection, bench.tenant.tenant_id
    group = Groups(connection).create_group(tenant_id, "web", DeviceRule(tags=("web",)))
    rows = "SELECT group_id FROM device"
    bench.ingest(native(1, devices=[device("pc1", tags=["Web"])]))
    assert connection.execute(rows).get == group.group_id
    bench.ingest(native(2, devices=[device("pc1")]))
    assert connection.execute(rows).get == group.group_id
    bench.ingest(native(3, devices=[device("pc1", tags=["db"])]))
    assert connection.execute(rows).get == 0
    Groups(connection).create_group(tenant_id, "db", DeviceRule(tags=("db",)))
    bench.ingest(native(4, devices=[device("pc2", tags=["db"])]))
    assert connection.execute("SELECT group_id FROM device WHERE device_no = 2").get == 2


def test_a_rolled_back_delivery_leaves_nothing_remembered(bench: Bench) -> None:
    def work(store: WriteStore) -> None:
        store.exposures.write(1, "guid", [(1, ALERT)])
        raise NotFound("something else went wrong")

    with pytest.raises(NotFound):
        bench.committer.run(work)
    bench.ingest(native(1, devices=[device("pc1")]))
    assert about(bench.store.connection)[0][1:] == (about(bench.store.connection)[0][1], "test")
    assert about(bench.store.connection)[0][1] is not None


def test_what_is_purged_leaves_no_trace_and_a_device_that_comes_back_is_known_again(bench: Bench) -> None:
    connection = bench.store.connection
    bench.ingest(native(1, devices=[device("pc1")]), native(2))
    bench.clock.at += 400 * DAY
    housekeeping = Housekeeping(Settings(data_dir=bench.path.parent))
    while bench.committer.run(lambda store: housekeeping.step(store, bench.clock.at)):
        pass
    assert kept(connection)[:2] == [[], []]
    bench.ingest(native(3, devices=[device("pc1")]))
    assert [number for number, _, _ in about(connection)] == [3]
    assert about(connection)[0][1] is not None


def test_a_husk_keeps_which_alerts_it_lost(bench: Bench) -> None:
    bench.ingest(native(1), native(2))
    by = By(actor="ann", clock=bench.clock.at, not_before=0)
    bench.committer.run(
        lambda store: merge_incidents(store, bench.tenant.tenant_id, [2], 1, by=by, limits=bench.limits)
    )
    assert bench.store.connection.execute("SELECT incident_id, alert_number FROM husk_alert").fetchall() == [(2, 2)]


def test_a_store_of_before_is_read_off_its_documents(tmp_path: Path) -> None:
    bench = Bench(tmp_path, HandClock())
    bench.ingest(
        native(1, serviceSource="Office ATP", entities=shared_url("a")),
        native(2, devices=[device("PC1.corp.example", osPlatform="Windows 11", tags=["B", "a"]), device("10.0.0.7")]),
        native(3, devices=[device("pc1.corp.example", osPlatform="Windows 11", tags=["a", "b"])]),
        native(4, serviceSource="Office ATP"),
    )
    by = By(actor="ann", clock=bench.clock.at, not_before=0)
    bench.committer.run(
        lambda store: merge_incidents(store, bench.tenant.tenant_id, [3], 1, by=by, limits=bench.limits)
    )
    connection = bench.store.connection
    written, husks = kept(connection), connection.execute("SELECT * FROM husk_alert").fetchall()
    for table in ("workload", "device", "alert_device", "device_workload", "husk_alert", "removed_exposure"):
        connection.execute(f"DROP TABLE {table}")
    for (trigger,) in connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND (name LIKE '%device%' OR name LIKE 'husk%' "
        "OR name LIKE 'removed%')"
    ).fetchall():
        connection.execute(f"DROP TRIGGER {trigger}")
    folder = resources.files(opening.__package__) / "migrations"
    connection.execute((folder / "0005_exposure.sql").read_text(encoding="utf-8"))
    again = kept(connection)
    assert again[0] == written[0]
    assert [_told(row) for row in again[1]] == [_told(row) for row in written[1]]
    assert again[2] == written[2]
    assert connection.execute("SELECT * FROM husk_alert").fetchall() == husks


def _told(row: tuple[Any, ...]) -> tuple[Any, ...]:
    facts = decode_facts(row[2])
    return (*row[:2], facts.name, facts.domain, facts.os, sorted(facts.tags))
