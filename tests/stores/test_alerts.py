"""Lists of alerts: what they find is what the filter means, in a total order, as of any kept change."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import msgspec
import pytest

from house import START, Bench, HandClock, native, shared_url
from tocsin.access import Scope
from tocsin.documents import decode_alert
from tocsin.errors import NotFound
from tocsin.model import AlertStatus, Classification, Determination, ServiceSource, Severity, service_source_of
from tocsin.odata import Expression, Field, Order, matches, parse_filter
from tocsin.odata.fields import Properties
from tocsin.stores.sqlite import alerts as module
from tocsin.stores.sqlite.alerts import AlertStore, alert_number_of
from tocsin.stores.sqlite.connection import open_reader
from tocsin.ticks import MINUTE, format_ticks, parse_ticks
from tocsin.triage import AlertChanges, update_alert
from tocsin.web.graph_resources import ALERT_OPTIONS

PROPERTIES: Properties = ALERT_OPTIONS.properties


class Shown(msgspec.Struct, frozen=True):
    """An alert as a filter sees it, read from its document."""

    alert_number: int
    last_update: int
    created: int
    incident_id: int
    status: AlertStatus
    severity: Severity
    classification: Classification
    determination: Determination
    assigned_to: str | None
    service_source: ServiceSource


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """For tests that write."""
    return filled(tmp_path)


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """For tests that only read."""
    return filled(tmp_path_factory.mktemp("still"))


def filled(folder: Path) -> Bench:
    found = Bench(folder, HandClock())
    some = random.Random(7)
    for number in range(60):
        found.clock.at += MINUTE
        found.ingest(
            native(
                number,
                at=found.clock.at,
                creationTime=format_ticks(START + some.randrange(3_000) * MINUTE),
                severity=some.choice(["Low", "Medium", "High"]),
                serviceSource=some.choice(["Test", "MicrosoftSentinel", "OfficeATP"]),
                entities=shared_url(f"u{some.randrange(40)}"),
            )
        )
    for number in range(1, 30, 3):
        changes = AlertChanges(
            status=some.choice([AlertStatus.RESOLVED, AlertStatus.IN_PROGRESS]),
            assigned_to=some.choice([None, "ann@x.example"]),
            classification=Classification.TRUE_POSITIVE,
        )
        change(found, number, changes)
    return found


def change(bench: Bench, number: int, changes: AlertChanges) -> None:
    bench.later()
    bench.committer.run(
        lambda store: update_alert(
            store, bench.tenant.tenant_id, number, changes, actor="ann", clock=bench.clock.at, not_before=0
        )
    )


def alert_store(bench: Bench) -> AlertStore:
    return AlertStore(open_reader(bench.path))


def all_shown(bench: Bench, store: AlertStore) -> list[Shown]:
    """Every current alert, newest change first, without any list."""
    shown = []
    for number in range(1, 61):
        version = store.get_alert(bench.scope, number, f"tn{number}")
        document = decode_alert(store.document(version)[0])
        shown.append(
            Shown(
                number,
                parse_ticks(document.last_updated_time),
                parse_ticks(document.creation_time),
                document.incident_id,
                document.status,
                document.severity,
                document.classification or Classification.UNKNOWN,
                document.determination or Determination.NOT_AVAILABLE,
                document.assigned_to,
                service_source_of(document.service_source),
            )
        )
    return sorted(shown, key=lambda each: (each.last_update, each.alert_number), reverse=True)


def numbers(store: AlertStore, scope: Scope, text: str = "", **how: Any) -> list[int]:
    expression: Expression | None = parse_filter(text, PROPERTIES) if text else None
    how.setdefault("top", 1000)
    return [each.alert_number for each in store.find_alerts(scope, expression=expression, **how)]


FILTERS = [
    "status eq 'new'",
    "status ne 'resolved' and severity eq 'high'",
    "severity ge 'medium'",
    "serviceSource eq 'microsoftSentinel'",
    "serviceSource in ('unknown','microsoftDefenderForOffice365')",
    "assignedTo eq null",
    "not (assignedTo eq 'ann@x.example')",
    "startswith(assignedTo,'ann')",
    "classification eq 'truePositive' or severity eq 'low'",
    "lastUpdateDateTime ge 2026-03-02T09:50:00Z",
    "lastUpdateDateTime gt 2026-03-02T09:10:00Z and lastUpdateDateTime le 2026-03-02T09:40:00Z",
    "createdDateTime ge 2026-03-03T00:00:00Z and createdDateTime lt 2026-03-04T00:00:00Z",
    "createdDateTime ge 2026-03-02T09:00:00Z and lastUpdateDateTime ge 2026-03-02T09:30:00Z",
    "determination eq 'unknown'",
]


@pytest.mark.parametrize("text", FILTERS)
@pytest.mark.parametrize("probe_max", [0, 5_000])
def test_a_list_has_what_its_filter_means_in_order(
    still: Bench, text: str, probe_max: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Both ways through the table: by the index of creation, and along the order.
    monkeypatch.setattr(module, "PROBE_MAX", probe_max)
    store = alert_store(still)
    expression = parse_filter(text, PROPERTIES)
    expected = [each.alert_number for each in all_shown(still, store) if matches(expression, each)]
    assert expected, "the filter is worth something"
    assert numbers(store, still.scope, text) == expected
    assert store.count_alerts(still.scope, expression=expression) == len(expected)


def test_every_order_is_total_and_can_be_walked_from_any_row(still: Bench) -> None:
    store = alert_store(still)
    for field in (Field.LAST_UPDATE, Field.CREATED):
        for descending in (True, False):
            order = Order(field, descending=descending)
            whole = numbers(store, still.scope, order_by=order)
            shown = sorted(
                all_shown(still, store),
                key=lambda each: (getattr(each, field.value), each.alert_number),
                reverse=descending,
            )
            assert whole == [each.alert_number for each in shown]
            walked: list[int] = []
            after = None
            while page := store.find_alerts(still.scope, order_by=order, top=7, after=after):
                walked += [each.alert_number for each in page]
                after = (page[-1].position, page[-1].alert_number)
            assert walked == whole
            assert numbers(store, still.scope, order_by=order, top=5, skip=10) == whole[10:15]


def test_a_list_as_of_an_earlier_change_is_what_it_was_then(bench: Bench) -> None:
    store = alert_store(bench)
    before = numbers(store, bench.scope, "status eq 'new'")
    pinned = bench.reader.last_change(bench.scope)
    for number in before[:5]:
        change(bench, number, AlertChanges(status=AlertStatus.RESOLVED))
    bench.ingest(native(100, entities=shared_url("u1") + shared_url("u2") + shared_url("u3")))
    assert numbers(store, bench.scope, "status eq 'new'") != before
    assert numbers(store, bench.scope, "status eq 'new'", as_of=pinned) == before


def test_the_alerts_of_a_version_of_an_incident_are_those_it_had(still: Bench) -> None:
    store = alert_store(still)
    row = still.reader.find_incidents(still.scope, top=1)[0]
    mine = [each.alert_number for each in store.alerts_of(still.scope, row.incident_id, row.change)]
    assert mine == sorted(each.alert_number for each in all_shown(still, store) if each.incident_id == row.incident_id)
    assert len(mine) == row.alert_count


def test_an_alert_is_there_as_long_as_its_incident(still: Bench) -> None:
    store = alert_store(still)
    oldest = still.reader.find_incidents(still.scope, top=100)[-1]
    gone = [each.alert_number for each in store.alerts_of(still.scope, oldest.incident_id, oldest.change)]
    kept = set(range(1, 61)) - set(gone)
    assert set(numbers(store, still.scope, not_before=oldest.last_update + 1)) == kept
    assert set(numbers(store, still.scope, not_before=oldest.last_update)) == kept | set(gone)
    with pytest.raises(NotFound, match=f"Alert tn{gone[0]} was not found"):
        store.get_alert(still.scope, gone[0], f"tn{gone[0]}", not_before=oldest.last_update + 1)


def test_who_may_see_nothing_finds_nothing(still: Bench) -> None:
    store, scope = alert_store(still), Scope.nothing_of(still.tenant.tenant_id)
    assert numbers(store, scope) == []
    assert store.count_alerts(scope) == 0
    assert store.alerts_of(scope, 1, 100) == []
    with pytest.raises(NotFound):
        store.get_alert(scope, 1, "tn1")


def test_rows_to_search_go_with_their_alerts(bench: Bench) -> None:
    def counts() -> list[int]:
        return [
            int(bench.store.connection.execute(f"SELECT count(*) FROM {table}").get)
            for table in ("alert", "alert_search")
        ]

    before = counts()
    assert before[0] == before[1] > 60
    bench.store.connection.execute("DELETE FROM alert WHERE superseded_by IS NOT NULL")
    assert counts() == [60, 60]


@pytest.mark.parametrize(("text", "number"), [("tn12", 12), ("su1", 1), ("", 0), ("tn", 0), ("tnx", 0), ("tn١", 0)])
def test_the_number_of_an_alert_is_read_from_its_id(text: str, number: int) -> None:
    assert alert_number_of(text) == number
