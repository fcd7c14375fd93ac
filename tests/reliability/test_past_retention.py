"""What is past retention is gone at that very moment, is removed behind it in small steps, and nothing else is."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any, Final

import pytest
from busy import Organisation
from soundness import rows, stored_identities

from house import START, Bench, HandClock, lines, native, running, shared_url
from tocsin.access import Permission, Scope
from tocsin.config import Settings
from tocsin.errors import NotFound
from tocsin.ingest import read_delivery
from tocsin.retention import Housekeeping, cutoff
from tocsin.senders import REGISTRY
from tocsin.stores.sqlite.registry import Registry
from tocsin.ticks import DAY, HOUR, MINUTE

DAYS: Final = 3
TABLES: Final = (
    "incident",
    "incident_superseded",
    "incident_document",
    "alert",
    "alert_document",
    "link",
    "change_log",
    "refused",
)


class Tenants:
    """A store with two tenants: the first keeps incidents for three days, the second as the setting says."""

    def __init__(self, folder: Path) -> None:
        self.bench = Bench(folder, HandClock())
        registry = Registry(self.bench.store.connection)
        self.short = self.bench.tenant.tenant_id
        self.long = registry.create_tenant("other.example", str(uuid.uuid4()), START).tenant_id
        registry.set_retention(self.short, DAYS)
        settings = Settings(superseded_minutes=10)
        self.housekeeping = Housekeeping(settings)
        self.walks_end = settings.superseded_minutes * MINUTE  # what a walk may still ask for is hidden, not deleted

    def ingest(self, tenant_id: int, alerts: list[dict[str, Any]]) -> None:
        body = lines(alerts) + b'\n{"title": ""}'
        self.bench.committer.ingest([read_delivery(REGISTRY["native"], tenant_id, body, 10_000)])

    def step(self) -> bool:
        return self.bench.committer.run(lambda store: self.housekeeping.step(store, self.bench.clock()))

    def dump(self, tenant_id: int) -> dict[str, list[Any]]:
        """All rows of a tenant."""
        connection = self.bench.store.connection
        return {
            table: rows(connection, f"SELECT * FROM {table} WHERE tenant_id = ? ORDER BY 1, 2, 3", tenant_id)
            for table in TABLES
        }

    def visible(self, tenant_id: int, days: int) -> list[int]:
        found = self.bench.reader.find_incidents(
            Scope.everything_of(tenant_id), top=10_000, not_before=cutoff(self.bench.clock(), days)
        )
        return [row.incident_id for row in found]


def test_an_incident_is_gone_at_the_very_moment_and_not_before(tmp_path: Path) -> None:
    clock = HandClock()
    with running(tmp_path, clock, retention_days=DAYS) as client:
        old = client.ingest(native(1)).json()["results"][0]["incidentId"]
        clock.at += HOUR
        young = client.ingest(native(2)).json()["results"][0]["incidentId"]
        clock.at = START + DAYS * DAY
        client.token = client.token_for("at the moment", Permission.READ)
        listed = client.get("/api/incidents").json()["value"]
        assert [each["incidentId"] for each in listed] == [young, old]
        assert client.get(f"/api/incidents/{old}").status_code == 200
        clock.at += 1
        listed = client.get("/api/incidents").json()["value"]
        assert [each["incidentId"] for each in listed] == [young]
        assert client.get(f"/api/incidents/{old}").status_code == 404
        assert client.get(f"/api/incidents?$filter=incidentId eq {old}").json()["value"] == []


def test_the_purge_follows_in_steps_while_ingest_goes_on_and_takes_nothing_else(tmp_path: Path) -> None:
    tenants, organisation = Tenants(tmp_path), Organisation(1, gap=1)
    for _ in range(20):
        tenants.ingest(tenants.short, list(organisation.alerts(60)))
        tenants.bench.later(60)
    tenants.ingest(tenants.long, list(organisation.alerts(100)))
    while tenants.step():
        pass
    others = tenants.dump(tenants.long)
    old = tenants.dump(tenants.short)
    assert len(old["incident"]) > 100
    tenants.bench.clock.at += DAYS * DAY + 1
    assert tenants.visible(tenants.short, DAYS) == []
    with pytest.raises(NotFound):
        tenants.bench.reader.get_incident(tenants.bench.scope, 1, not_before=cutoff(tenants.bench.clock(), DAYS))
    tenants.bench.clock.at += tenants.walks_end
    fresh = Organisation(2)
    steps = 0
    while tenants.step():
        steps += 1
        tenants.ingest(tenants.short, list(fresh.alerts(2)))
    assert steps > 3
    assert tenants.dump(tenants.long) == others
    left = tenants.dump(tenants.short)
    for table in TABLES:
        assert not set(left[table]) & set(old[table]), table
    connection = tenants.bench.store.connection
    assert len(left["alert"]) == len(left["alert_document"]) == 2 * steps
    assert len(stored_identities(connection)) == 2 * steps + 100
    assert sorted(tenants.visible(tenants.short, DAYS)) == sorted(row[2] for row in left["incident"])
    assert len(left["incident_document"]) == len(left["incident"]) + len(left["incident_superseded"])


def test_a_store_where_everything_is_past_retention_becomes_empty(tmp_path: Path) -> None:
    tenants = Tenants(tmp_path)
    tenants.ingest(tenants.short, list(Organisation(1).alerts(300)))
    tenants.bench.store.entities.fold(tenants.bench.clock(), whole=True)
    tenants.bench.clock.at += 200 * DAY
    while tenants.step():
        pass
    left = tenants.dump(tenants.short)
    removed = left.pop("change_log")
    assert all(not found for found in left.values())
    assert {row[5] for row in removed} == {"removed"}
    assert rows(tenants.bench.store.connection, "SELECT count(*) FROM entity_memory") == [(0,)]


def test_a_late_alert_does_not_bring_back_what_is_past_retention(tmp_path: Path) -> None:
    tenants = Tenants(tmp_path)
    bench = tenants.bench
    many = [native(number, entities=shared_url("a")) for number in range(2500)]
    for start in range(0, len(many), 500):
        tenants.ingest(tenants.short, many[start : start + 500])
    assert tenants.visible(tenants.short, DAYS) == [1]
    bench.clock.at += DAYS * DAY + HOUR
    assert tenants.step()
    results = bench.ingest(native(9000, at=START + DAY, entities=shared_url("a")))
    assert results[0].incident_id == 2
    assert tenants.visible(tenants.short, DAYS) == [2]
    assert len(bench.reader.alerts(bench.scope, bench.reader.get_incident(bench.scope, 2))) == 1


def test_no_incident_is_there_with_half_its_alerts_when_retention_is_raised_meanwhile(tmp_path: Path) -> None:
    tenants = Tenants(tmp_path)
    together = [native(number, entities=shared_url("one")) for number in range(1200)]
    tenants.ingest(tenants.short, together)
    tenants.bench.clock.at += DAYS * DAY + tenants.walks_end + 1
    while tenants.step():
        Registry(tenants.bench.store.connection).set_retention(tenants.short, 100)
        for row in tenants.bench.reader.find_incidents(tenants.bench.scope, top=10):
            assert len(tenants.bench.reader.alerts(tenants.bench.scope, row)) == row.alert_count
        Registry(tenants.bench.store.connection).set_retention(tenants.short, DAYS)
    assert rows(tenants.bench.store.connection, "SELECT * FROM alert") == []
    assert rows(tenants.bench.store.connection, "SELECT * FROM incident_orphaned") == []
