"""Taking alerts in: created, duplicate, refused, skipped; joins, merges and husks as they are stored."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from house import Bench, HandClock, native, shared_url
from tocsin.correlation.priority import priority_of
from tocsin.documents import AlertDocument, decode_alert, decode_header
from tocsin.errors import NotFound
from tocsin.ingest import Delivery, Result
from tocsin.model import Severity
from tocsin.stores.sqlite import entities
from tocsin.stores.sqlite.reading import IncidentRow
from tocsin.ticks import HOUR, MINUTE, format_ticks


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, HandClock())


def incidents(bench: Bench) -> list[IncidentRow]:
    return bench.reader.find_incidents(bench.scope, top=1000)


def alerts_of(bench: Bench, row: IncidentRow) -> list[AlertDocument]:
    return [decode_alert(document) for document in bench.reader.alerts(bench.scope, row)]


def test_a_new_alert_opens_an_incident_that_is_readable_at_once(bench: Bench) -> None:
    (result,) = bench.ingest(native(1, severity="High"))
    assert (result.result, result.alert_id, result.incident_id) == (Result.CREATED, "tn1", 1)
    (row,) = incidents(bench)
    assert row.severity is Severity.HIGH
    header = decode_header(bench.reader.header(row))
    assert header.incident_name == "Alert 1"
    assert header.created_time == header.last_update_time == format_ticks(bench.clock.at)
    (alert,) = alerts_of(bench, row)
    assert (alert.alert_id, alert.incident_id, alert.title) == ("tn1", 1, "Alert 1")


def test_a_re_sent_alert_is_the_same_alert_and_changes_nothing(bench: Bench) -> None:
    bench.ingest(native(1))
    before = bench.reader.last_change(bench.scope)
    first, second = bench.ingest(native(1), native(1, title="told otherwise"))
    assert (first.result, first.alert_id, first.incident_id) == (Result.DUPLICATE, "tn1", 1)
    assert second.result is Result.DUPLICATE
    assert bench.reader.last_change(bench.scope) == before


def test_an_alert_twice_in_one_delivery_is_created_once(bench: Bench) -> None:
    assert [each.result for each in bench.ingest(native(1), native(1))] == [Result.CREATED, Result.DUPLICATE]
    assert incidents(bench)[0].alert_count == 1


def test_the_same_id_from_another_sender_is_another_alert(bench: Bench) -> None:
    event = {
        "timestamp": "2026-03-02T09:00:00.000000+0000",
        "event_type": "alert",
        "src_ip": "192.0.2.1",
        "dest_ip": "10.0.0.1",
        "alert": {"signature_id": 1, "gid": 1, "rev": 1, "signature": "x", "category": "", "severity": 1},
    }
    bench.ingest(native(1))
    (result,) = bench.ingest(event, sender="suricata")
    assert (result.result, result.alert_id) == (Result.CREATED, "su2")


def test_a_bad_line_spoils_no_other_and_is_kept_with_its_reason(bench: Bench) -> None:
    results = bench.ingest(native(1), {"title": "no time"}, native(3))
    assert [each.result for each in results] == [Result.CREATED, Result.REFUSED, Result.CREATED]
    assert results[1].reason
    (kept,) = bench.reader.find_refused(bench.scope, top=10)
    assert (kept.refused_id, kept.sender, kept.line) == (results[1].refused_id, "native", 2)
    assert kept.reason == results[1].reason
    assert msgspec.json.decode(kept.body) == {"title": "no time"}


def test_alerts_that_share_evidence_join_and_the_reason_is_stored(bench: Bench) -> None:
    bench.ingest(native(1, entities=shared_url("a"), severity="Low"))
    bench.later(5)
    (result,) = bench.ingest(native(2, entities=shared_url("a"), severity="High", at=bench.clock.at))
    assert result.incident_id == 1
    (row,) = incidents(bench)
    assert (row.alert_count, row.severity, row.created, row.last_update) == (
        2,
        Severity.HIGH,
        bench.clock.at - 50_000_000,
        bench.clock.at,
    )
    (edge,) = bench.reader.find_links(bench.scope, row)[2]
    assert edge.evidence[0].kind == "url"
    assert edge.score >= 0.5


def test_a_bridge_merges_incidents_into_the_older_and_leaves_a_husk(bench: Bench) -> None:
    bench.ingest(native(1, entities=shared_url("a")), native(2, entities=shared_url("b")))
    assert {row.incident_id for row in incidents(bench)} == {1, 2}
    bench.later(1)
    (result,) = bench.ingest(native(3, entities=shared_url("a") + shared_url("b")))
    assert result.incident_id == 1
    husk, kept = bench.reader.get_incident(bench.scope, 2), bench.reader.get_incident(bench.scope, 1)
    assert (kept.alert_count, [alert.alert_id for alert in alerts_of(bench, kept)]) == (3, ["tn1", "tn2", "tn3"])
    assert {alert.incident_id for alert in alerts_of(bench, kept)} == {1}
    header = decode_header(bench.reader.header(husk))
    assert (husk.status, header.redirect_incident_id, husk.severity) == ("Redirected", 1, Severity.UNSPECIFIED)
    assert alerts_of(bench, husk) == []
    assert husk.last_update >= bench.clock.at
    (duplicate,) = bench.ingest(native(2))
    assert (duplicate.alert_id, duplicate.incident_id) == ("tn2", 1)


def test_a_merge_inside_one_delivery_answers_with_where_alerts_ended(bench: Bench) -> None:
    results = bench.ingest(
        native(1, entities=shared_url("a")),
        native(2, entities=shared_url("b")),
        native(3, entities=shared_url("a") + shared_url("b")),
    )
    assert [each.incident_id for each in results] == [1, 1, 1]
    assert bench.reader.get_incident(bench.scope, 2).status == "Redirected"


def test_what_is_usual_is_learnt_across_deliveries_and_kept_with_the_incident(bench: Bench) -> None:
    start, host = bench.clock.at, [{"deviceDnsName": "pc1.example"}]
    for hour in range(30):
        bench.ingest(native(hour, title="Update", detectorId="update", at=start + hour * HOUR, devices=host))
    (usual,) = bench.ingest(native(98, title="Update", detectorId="update", at=start + 40 * HOUR, devices=host))
    (new,) = bench.ingest(native(99, title="Root logon", detectorId="root", at=start + 50 * HOUR, devices=host))
    points = []
    for result in (usual, new):
        assert result.incident_id is not None
        scored = priority_of(bench.reader.facts(bench.reader.get_incident(bench.scope, result.incident_id)))
        assert scored is not None
        points.append({term.name: term.points for term in scored.terms})
    assert points == [{"rules": 0.2}, {"rules": 1.0, "rarity": pytest.approx(1.9, abs=0.1)}]


def test_every_change_has_its_own_number_stamp_and_log_line(bench: Bench) -> None:
    for number in range(1, 30):
        bench.ingest(native(number), native(100 + number, entities=shared_url(str(number % 3))))
    connection = bench.store.connection
    numbers = [row[0] for row in connection.execute("SELECT change FROM change_log ORDER BY change")]
    stamps = [row[0] for row in connection.execute("SELECT at FROM change_log ORDER BY change")]
    assert numbers == list(range(1, len(numbers) + 1))
    assert stamps == sorted(set(stamps))
    assert numbers[-1] == bench.reader.last_change(bench.scope)


@pytest.mark.parametrize("jump", [-HOUR, 365 * 24 * HOUR, 0])
def test_stamps_rise_whatever_the_clock_does(bench: Bench, jump: int) -> None:
    bench.ingest(native(1))
    bench.clock.at += jump
    bench.ingest(native(2))
    bench.clock.at -= 2 * jump
    bench.ingest(native(3))
    assert [row.incident_id for row in incidents(bench)] == [3, 2, 1]
    stamps = [row.last_update for row in incidents(bench)]
    assert stamps == sorted(set(stamps), reverse=True)


def test_correlation_goes_on_after_a_restart_as_if_there_had_been_none(bench: Bench) -> None:
    bench.ingest(native(1, entities=shared_url("a")))
    bench.open()
    bench.later(MINUTE / 10_000_000)
    assert bench.ingest(native(2, entities=shared_url("a"), at=bench.clock.at))[0].incident_id == 1
    bench.store.entities.fold(bench.clock.at, whole=True)
    bench.open()
    assert bench.ingest(native(3, entities=shared_url("a"), at=bench.clock.at))[0].incident_id == 1


def test_memories_are_folded_a_slice_at_a_time_and_none_is_lost_on_the_way(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entities, "FOLD_AT", 40)
    monkeypatch.setattr(entities, "FOLD_SLICE", 7)
    for number in range(60):
        bench.later(1)
        bench.ingest(native(number, entities=shared_url(str(number)), at=bench.clock.at))
        bench.committer.tidy()
        if number % 13 == 5:
            bench.open()
    assert bench.store.connection.execute("SELECT count(*) FROM entity_memory").get > 40
    for number in range(60):
        (result,) = bench.ingest(native(100 + number, entities=shared_url(str(number)), at=bench.clock.at))
        assert result.incident_id == number + 1


def test_a_delivery_that_fails_leaves_nothing_behind(bench: Bench) -> None:
    bench.ingest(native(1, entities=shared_url("a")))
    with pytest.raises(NotFound):
        bench.committer.ingest(
            [
                Delivery(bench.tenant.tenant_id, "native", ()),
                Delivery(99, "native", ()),
            ]
        )
    assert bench.ingest(native(2, entities=shared_url("a")))[0].incident_id == 1


def test_husks_of_husks_lead_to_where_the_alerts_are(bench: Bench) -> None:
    bench.ingest(*[native(number, entities=shared_url(str(number))) for number in (1, 2, 3)])
    bench.ingest(native(4, entities=shared_url("2") + shared_url("3")))
    bench.ingest(native(5, entities=shared_url("1") + shared_url("2")))
    assert bench.reader.get_incident(bench.scope, 1).alert_count == 5
    assert bench.ingest(native(3))[0].incident_id == 1


def test_an_incident_opened_and_merged_in_one_delivery_still_tells_what_it_was(bench: Bench) -> None:
    bench.ingest(
        native(1, entities=shared_url("a")),
        native(2, entities=shared_url("b")),
        native(3, entities=shared_url("a") + shared_url("b")),
    )
    husk = bench.reader.get_incident(bench.scope, 2)
    assert decode_header(bench.reader.header(husk)).incident_name == "Alert 2"


@pytest.mark.parametrize(("source", "target"), [("10.9.{}.9", "10.0.0.2"), ("10.9.1.9", "10.0.{}.2")])
def test_one_rule_at_one_target_or_from_one_source_is_one_incident(bench: Bench, source: str, target: str) -> None:
    events = [
        {
            "timestamp": format_ticks(bench.clock.at + number * 10_000_000),
            "event_type": "alert",
            "src_ip": source.format(number),
            "dest_ip": target.format(number),
            "alert": {"signature_id": 7, "gid": 1, "rev": 1, "signature": "Knock", "category": "", "severity": 2},
        }
        for number in range(120)
    ]
    assert {result.incident_id for result in bench.ingest(*events, sender="suricata")} == {1}
