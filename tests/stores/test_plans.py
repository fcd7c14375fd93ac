"""No statement of the hot paths walks a whole tenant: what SQLite plans is looked at, not hoped for."""

from __future__ import annotations

import re
from pathlib import Path

import apsw
import pytest

from house import Bench, HandClock, native, shared_url
from tocsin.access import Grant, Scope
from tocsin.odata import INCIDENT_OPTIONS, parse_options
from tocsin.stores.sqlite import alerts as alerts_module
from tocsin.stores.sqlite import exposed
from tocsin.stores.sqlite.alerts import AlertStore
from tocsin.triage import IncidentChanges, update_incident

BIG = (
    "incident|incident_superseded|incident_document|alert|alert_document|link|change_log|entity_memory|alert_search|"
    "alert_device|device_workload|husk_alert|removed_exposure|"
    # Names that these have in statements of their own.
    "listed|own|seen|told|lost|found|visible|member|pair"
)
# A search by tenant alone reads everything the tenant has; a scan reads everybody's.
WALKS = re.compile(rf"(?:SCAN (?:{BIG})\b)|(?:SEARCH (?:{BIG})\b[^(]*\(tenant_id=\?\)$)")
ALLOWED = (
    "SELECT coalesce(max(document_id), 0)",  # at a start only
    "SELECT max(",  # the end of an index
    "count(*)",  # counted on purpose, and bounded where it is hot
    "ORDER BY found.change DESC",  # in the order of the list, until a page is full
)


class Plans:
    """Remembers each statement that a connection ran, and what SQLite planned for it."""

    def __init__(self, connection: apsw.Connection) -> None:
        self.statements: dict[str, list[str]] = {}
        self._connection = connection
        connection.exec_trace = self._note

    def _note(self, _cursor: apsw.Cursor, sql: str, bindings: object) -> bool:
        if sql not in self.statements and sql.lstrip().upper().startswith(("SELECT", "UPDATE", "DELETE", "INSERT")):
            self.statements[sql] = []
            self._connection.exec_trace = None
            plan = self._connection.execute(f"EXPLAIN QUERY PLAN {sql}", bindings)  # type: ignore[arg-type]
            self.statements[sql] = [str(row[3]) for row in plan]
            self._connection.exec_trace = self._note
        return True

    def walks(self) -> list[str]:
        """The statements that read a whole tenant or more, with their plans."""
        return [
            f"{sql} -> {step}"
            for sql, steps in self.statements.items()
            for step in steps
            if WALKS.search(step) and not any(text in sql for text in ALLOWED)
        ]


def test_writing_walks_no_tenant(tmp_path: Path) -> None:
    bench = Bench(tmp_path, HandClock())
    plans = Plans(bench.store.connection)
    for number in range(5):
        bench.ingest(native(number, entities=shared_url(str(number))))
    bench.ingest(native(50, entities=shared_url("1") + shared_url("2") + shared_url("3")))
    bench.ingest(native(1), {"no": "alert"})
    bench.committer.run(
        lambda store: update_incident(
            store,
            bench.tenant.tenant_id,
            1,
            IncidentChanges(comment="seen"),
            actor="test",
            clock=bench.clock.at,
            not_before=0,
        )
    )
    bench.store.entities.fold(bench.clock.at, whole=True)
    assert len(plans.statements) > 15
    assert plans.walks() == []


def test_reading_walks_no_tenant(tmp_path: Path) -> None:
    bench = Bench(tmp_path, HandClock())
    bench.ingest(*[native(number, entities=shared_url(str(number % 4))) for number in range(20)])
    plans = Plans(bench.reader._connection)
    for name in ("lastUpdateTime", "createdTime", "incidentId"):
        text = f"$filter={name} ge {'1' if name == 'incidentId' else '2026-01-01T00:00:00Z'}".encode()
        query = parse_options(text, INCIDENT_OPTIONS)
        for as_of in (None, 3):
            rows = bench.reader.find_incidents(bench.scope, expression=query.filter, top=10, as_of=as_of)
    for row in rows:
        bench.reader.header(row)
        bench.reader.alerts(bench.scope, row)
        bench.reader.find_links(bench.scope, row)
        bench.reader.find_log(bench.scope, row)
    bench.reader.get_incident(bench.scope, 1)
    assert len(plans.statements) > 8
    assert plans.walks() == []


def test_reading_a_part_walks_no_tenant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(tmp_path, HandClock())
    bench.ingest(
        *[
            native(
                number,
                entities=shared_url(str(number % 4)),
                serviceSource=f"S{number % 3}",
                devices=[{"deviceDnsName": f"d{number % 5}"}],
            )
            for number in range(20)
        ]
    )
    plans = Plans(bench.reader._connection)
    alerts = AlertStore(bench.reader._connection)
    ranged = parse_options(b"$filter=lastUpdateTime ge 2026-01-01T00:00:00Z and severity ne 'High'", INCIDENT_OPTIONS)
    for few in (1_000, -1):
        for module in (exposed, alerts_module):
            monkeypatch.setattr(module, "FEW", few)
            monkeypatch.setattr(module, "MANY", few)
        for grant in (
            Grant(workloads=frozenset({"s1"}), device_groups=None, may_manage=False),
            Grant(workloads=None, device_groups=frozenset({0}), may_manage=False),
            Grant(workloads=frozenset({"s1"}), device_groups=frozenset({0}), may_manage=False),
        ):
            scope = Scope(bench.tenant.tenant_id, (grant,))
            for as_of in (None, 3):
                rows = bench.reader.find_incidents(scope, expression=ranged.filter, top=10, as_of=as_of)
                alerts.find_alerts(scope, top=10, as_of=as_of)
            rows = bench.reader.find_incidents(scope, top=10)
            bench.reader.documents(scope, rows)
            for row in rows:
                bench.reader.told(row)
                bench.reader.find_links(scope, row)
                bench.reader.find_log(scope, row)
                bench.reader.get_incident(scope, row.incident_id)
            bench.reader.find_changes(scope, since=1, top=10)
    assert len(plans.statements) > 20
    assert plans.walks() == []
