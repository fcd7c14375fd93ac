"""What people change: versions, cascades, the change log, and what correlation makes of it afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from house import Bench, HandClock, native, shared_url
from tocsin.documents import AlertDocument, IncidentHeader, decode_alert, decode_header, decode_rest
from tocsin.errors import InvalidChange, NotFound, Redirected
from tocsin.model import AlertStatus, Classification, Determination, IncidentStatus
from tocsin.stores.sqlite.reading import LogRow
from tocsin.ticks import DAY, format_ticks
from tocsin.triage import (
    COMMENT_CHARACTERS_MAX,
    COMMENTS_CHARACTERS_MAX,
    TAGS_MAX,
    AlertChanges,
    IncidentChanges,
    update_alert,
    update_incident,
)

ACTOR = "desk (app-1)"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, HandClock())


def patch(bench: Bench, incident_id: int, not_before: int = 0, **changes: Any) -> None:
    """Update an incident a second later."""
    bench.later()
    bench.committer.run(
        lambda store: update_incident(
            store,
            bench.tenant.tenant_id,
            incident_id,
            IncidentChanges(**changes),
            actor=ACTOR,
            clock=bench.clock(),
            not_before=not_before,
        )
    )


def patch_alert(bench: Bench, alert_number: int, **changes: Any) -> None:
    """Update an alert a second later."""
    bench.later()
    bench.committer.run(
        lambda store: update_alert(
            store,
            bench.tenant.tenant_id,
            alert_number,
            AlertChanges(**changes),
            actor=ACTOR,
            clock=bench.clock(),
            not_before=0,
        )
    )


def header(bench: Bench, incident_id: int) -> IncidentHeader:
    return decode_header(bench.reader.header(bench.reader.get_incident(bench.scope, incident_id)))


def alerts(bench: Bench, incident_id: int) -> list[AlertDocument]:
    row = bench.reader.get_incident(bench.scope, incident_id)
    return [decode_alert(document) for document in bench.reader.alerts(bench.scope, row)]


def log(bench: Bench, incident_id: int) -> list[LogRow]:
    return bench.reader.find_log(bench.scope, bench.reader.get_incident(bench.scope, incident_id))


def detail(bench: Bench, incident_id: int) -> Any:
    return msgspec.json.decode(log(bench, incident_id)[-1].detail)


def test_what_is_set_is_in_the_header_in_the_row_and_in_the_facts(bench: Bench) -> None:
    bench.ingest(native(1))
    patch(
        bench,
        1,
        status=IncidentStatus.IN_PROGRESS,
        assigned_to="ann@example.org",
        classification=Classification.TRUE_POSITIVE,
        determination=Determination.PHISHING,
        tags=("one", "two", "one"),
    )
    found, row = header(bench, 1), bench.reader.get_incident(bench.scope, 1)
    assert (found.status, found.assigned_to) == (IncidentStatus.IN_PROGRESS, "ann@example.org")
    assert (found.classification, found.determination) == (Classification.TRUE_POSITIVE, Determination.PHISHING)
    assert found.tags == ("one", "two")
    assert found.last_update_time == format_ticks(bench.clock()) == format_ticks(row.last_update)
    assert (row.status, row.assigned_to) == (found.status, found.assigned_to)
    assert (row.classification, row.determination) == (found.classification, found.determination)
    bench.open()
    live = bench.store.live(bench.tenant.tenant_id, 1)
    assert live is not None
    facts = live.facts
    assert (facts.status, facts.assigned_to) == (found.status, found.assigned_to)
    assert (facts.classification, facts.determination) == (found.classification, found.determination)


def test_the_change_log_says_who_did_what_from_what(bench: Bench) -> None:
    bench.ingest(native(1))
    patch(bench, 1, assigned_to="ann", comment="looking")
    patch(bench, 1, assigned_to=None, tags=("x",))
    entry = log(bench, 1)[-1]
    assert (entry.actor, entry.action, entry.at) == (ACTOR, "updated", bench.clock())
    assert detail(bench, 1) == {"assignedTo": {"from": "ann", "to": None}, "tags": {"from": [], "to": ["x"]}}
    assert msgspec.json.decode(log(bench, 1)[-2].detail) == {
        "assignedTo": {"from": None, "to": "ann"},
        "comment": 7,
        "alerts": [1],
    }


def test_a_comment_is_appended_with_its_author_and_moment(bench: Bench) -> None:
    bench.ingest(native(1))
    patch(bench, 1, comment="first")
    patch(bench, 1, comment="second")
    first, second = header(bench, 1).comments
    assert (first.comment, second.comment, second.created_by) == ("first", "second", ACTOR)
    assert second.created_time == format_ticks(bench.clock())


@pytest.mark.parametrize(
    "changes", [{}, {"status": IncidentStatus.ACTIVE}, {"assigned_to": None, "tags": ()}], ids=["empty", "same", "more"]
)
def test_what_changes_nothing_writes_no_version(bench: Bench, changes: dict[str, Any]) -> None:
    bench.ingest(native(1))
    before = bench.reader.get_incident(bench.scope, 1)
    patch(bench, 1, **changes)
    assert bench.reader.get_incident(bench.scope, 1) == before
    assert bench.reader.last_change(bench.scope) == before.change
    assert len(log(bench, 1)) == 1


def test_resolving_resolves_the_alerts_that_are_not_and_leaves_the_others(bench: Bench) -> None:
    url = shared_url("a")
    bench.ingest(native(1, entities=url), native(2, entities=url, status="Resolved"), native(3, entities=url))
    before = alerts(bench, 1)
    patch(bench, 1, status=IncidentStatus.RESOLVED)
    after = alerts(bench, 1)
    stamp = header(bench, 1).last_update_time
    assert [alert.status for alert in after] == [AlertStatus.RESOLVED] * 3
    assert after[1] == before[1]
    for changed in (after[0], after[2]):
        assert (changed.resolved_time, changed.last_updated_time) == (stamp, stamp)
        assert changed.creation_time == before[0].creation_time
    assert detail(bench, 1)["alerts"] == [1, 3]


def test_opening_again_leaves_the_alerts_resolved(bench: Bench) -> None:
    bench.ingest(native(1))
    patch(bench, 1, status=IncidentStatus.RESOLVED)
    before = alerts(bench, 1)
    patch(bench, 1, status=IncidentStatus.ACTIVE)
    assert header(bench, 1).status is IncidentStatus.ACTIVE
    assert alerts(bench, 1) == before
    patch_alert(bench, 1, status=AlertStatus.NEW)
    assert alerts(bench, 1)[0].resolved_time is None


def test_assigning_assigns_the_alerts_and_unassigning_leaves_them(bench: Bench) -> None:
    url = shared_url("a")
    bench.ingest(native(1, entities=url), native(2, entities=url))
    patch(bench, 1, assigned_to="ann")
    assert [alert.assigned_to for alert in alerts(bench, 1)] == ["ann", "ann"]
    before = alerts(bench, 1)
    patch(bench, 1, assigned_to=None)
    assert header(bench, 1).assigned_to is None
    assert alerts(bench, 1) == before


def test_changes_that_are_not_about_alerts_leave_their_times(bench: Bench) -> None:
    bench.ingest(native(1))
    before = alerts(bench, 1)
    patch(bench, 1, status=IncidentStatus.IN_PROGRESS, tags=("t",), comment="c")
    assert alerts(bench, 1) == before


def test_a_resolved_incident_takes_no_new_alert(bench: Bench) -> None:
    bench.ingest(native(1, entities=shared_url("a")))
    patch(bench, 1, status=IncidentStatus.RESOLVED)
    assert bench.ingest(native(2, entities=shared_url("a")))[0].incident_id == 2


def merge_two(bench: Bench) -> None:
    """An alert that ties incidents 1 and 2 together."""
    bench.later()
    bench.ingest(native(9, entities=shared_url("a") + shared_url("b")))


def two_incidents(bench: Bench) -> None:
    bench.ingest(native(1, entities=shared_url("a")), native(2, entities=shared_url("b")))


def test_two_owners_keep_incidents_apart(bench: Bench) -> None:
    two_incidents(bench)
    patch(bench, 1, assigned_to="ann")
    patch(bench, 2, assigned_to="bob")
    merge_two(bench)
    assert header(bench, 2).redirect_incident_id is None


def test_what_people_wrote_stays_through_joins_and_moves_along_in_a_merge(bench: Bench) -> None:
    two_incidents(bench)
    patch(bench, 2, comment="on two", tags=("both", "two"), assigned_to="bob")
    patch(bench, 1, comment="on one", tags=("one", "both"))
    bench.ingest(native(3, entities=shared_url("a")))
    assert [comment.comment for comment in header(bench, 1).comments] == ["on one"]
    merge_two(bench)
    found = header(bench, 1)
    assert [comment.comment for comment in found.comments] == ["on two", "on one"]
    assert (found.tags, found.assigned_to) == (("one", "both", "two"), "bob")
    husk = header(bench, 2)
    assert (husk.status, husk.redirect_incident_id) == (IncidentStatus.REDIRECTED, 1)
    assert [alert.assigned_to for alert in alerts(bench, 1)] == [None, "bob", None, None]


def test_a_change_of_a_husk_names_where_it_went(bench: Bench) -> None:
    two_incidents(bench)
    merge_two(bench)
    with pytest.raises(Redirected, match=r"^Incident 2 was merged into incident 1 ") as caught:
        patch(bench, 2, status=IncidentStatus.RESOLVED)
    assert caught.value.incident_id == 1


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"status": IncidentStatus.REDIRECTED}, "status"),
        ({"comment": " "}, "comment"),
        ({"comment": "x" * (COMMENT_CHARACTERS_MAX + 1)}, "comment"),
        ({"comment": "a\0b"}, "comment"),
        ({"assigned_to": "x" * 257}, "assignedTo"),
        ({"tags": tuple(map(str, range(TAGS_MAX + 1)))}, "tags"),
        ({"tags": ("",)}, "tags"),
        ({"tags": ("x" * 257,)}, "tags"),
    ],
)
def test_values_that_no_incident_may_have_are_refused_by_name(bench: Bench, changes: Any, named: str) -> None:
    bench.ingest(native(1))
    before = bench.reader.get_incident(bench.scope, 1)
    with pytest.raises(InvalidChange, match=f"^{named}: "):
        patch(bench, 1, **changes)
    assert bench.reader.get_incident(bench.scope, 1) == before


def test_all_comments_together_are_bounded(bench: Bench) -> None:
    bench.ingest(native(1))
    for _ in range(COMMENTS_CHARACTERS_MAX // COMMENT_CHARACTERS_MAX):
        patch(bench, 1, comment="x" * COMMENT_CHARACTERS_MAX)
    with pytest.raises(InvalidChange, match="together"):
        patch(bench, 1, comment="x" * COMMENT_CHARACTERS_MAX)


@pytest.mark.parametrize("incident_id", [2, 0, -1, 2**63])
def test_what_is_not_there_is_not_found(bench: Bench, incident_id: int) -> None:
    bench.ingest(native(1))
    with pytest.raises(NotFound):
        patch(bench, incident_id, comment="hello")
    with pytest.raises(NotFound):
        patch_alert(bench, 2, comment="hello")


def test_what_is_past_retention_is_not_found(bench: Bench) -> None:
    bench.ingest(native(1))
    with pytest.raises(NotFound):
        patch(bench, 1, not_before=bench.clock() + DAY, comment="hello")


def test_an_alert_changes_by_itself_and_its_incident_says_when(bench: Bench) -> None:
    url = shared_url("a")
    bench.ingest(native(1, entities=url), native(2, entities=url))
    other = alerts(bench, 1)[1]
    patch_alert(
        bench,
        1,
        status=AlertStatus.IN_PROGRESS,
        assigned_to="ann",
        classification=Classification.FALSE_POSITIVE,
        determination=Determination.NOT_MALICIOUS,
        comment="mine",
    )
    found, untouched = alerts(bench, 1)
    assert (found.status, found.assigned_to) == (AlertStatus.IN_PROGRESS, "ann")
    assert (found.classification, found.determination) == (Classification.FALSE_POSITIVE, Determination.NOT_MALICIOUS)
    assert untouched == other
    assert header(bench, 1).last_update_time == found.last_updated_time == format_ticks(bench.clock())
    assert header(bench, 1).classification is Classification.UNKNOWN
    (comment,) = decode_rest(bench.store.get_alert(bench.tenant.tenant_id, 1).rest).comments
    assert (comment.comment, comment.created_by) == ("mine", ACTOR)
    assert log(bench, 1)[-1].action == "alert-updated"
    assert detail(bench, 1)["alert"] == 1
    patch_alert(bench, 1, classification=None, assigned_to=None)
    assert (alerts(bench, 1)[0].classification, alerts(bench, 1)[0].assigned_to) == (None, None)


def test_resolving_the_last_open_alert_resolves_the_incident(bench: Bench) -> None:
    url = shared_url("a")
    bench.ingest(native(1, entities=url), native(2, entities=url))
    patch_alert(bench, 1, status=AlertStatus.RESOLVED)
    assert header(bench, 1).status is IncidentStatus.ACTIVE
    patch_alert(bench, 2, status=AlertStatus.RESOLVED)
    assert header(bench, 1).status is IncidentStatus.RESOLVED
    assert detail(bench, 1)["incident.status"] == {"from": "Active", "to": "Resolved"}


def test_an_alert_that_keeps_its_values_writes_no_version(bench: Bench) -> None:
    bench.ingest(native(1))
    before = bench.reader.get_incident(bench.scope, 1)
    patch_alert(bench, 1, status=AlertStatus.NEW)
    assert bench.reader.get_incident(bench.scope, 1) == before


def test_an_earlier_version_still_reads_as_it_was(bench: Bench) -> None:
    bench.ingest(native(1))
    pinned = bench.reader.last_change(bench.scope)
    patch(bench, 1, status=IncidentStatus.RESOLVED, comment="done")
    (row,) = bench.reader.find_incidents(bench.scope, top=10, as_of=pinned)
    assert decode_header(bench.reader.header(row)).status is IncidentStatus.ACTIVE
    assert [decode_alert(each).status for each in bench.reader.alerts(bench.scope, row)] == [AlertStatus.NEW]
