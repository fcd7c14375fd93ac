"""Merging, undoing, splitting and moving over the API, and the evidence it shows: who may, what is answered."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from house import Client, HandClock, native, running, shared_url
from tocsin.access import Permission
from tocsin.dialects.evidence import Evidence
from tocsin.ticks import SECOND
from visitor import page, sign_in


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with running(tmp_path, HandClock(), quota_per_minute=1000, quota_get_per_minute=1000) as found:
        found.token = found.token_for("desk", Permission.READ_WRITE)
        yield found


def later(client: Client) -> None:
    assert isinstance(client.service.clock, HandClock)
    client.service.clock.at += SECOND


def post(client: Client, path: str, body: object = None, token: str = "") -> Any:
    later(client)
    content = b"" if body is None else msgspec.json.encode(body)
    headers = {"authorization": f"Bearer {token or client.token}"}
    return client.http.post(f"/api/incidents/{path}", content=content, headers=headers)


def chain(client: Client) -> list[str]:
    """One incident of four alerts, each joined by the one before; their ids."""
    links = zip("abcd", "bcde", strict=True)
    alerts = [native(n, entities=shared_url(one) + shared_url(two)) for n, (one, two) in enumerate(links)]
    return [each["alertId"] for each in client.ingest(*alerts).json()["results"]]


def shown(client: Client, incident_id: int) -> Any:
    """The incident without what every change changes: times, and the context of a document of its own."""
    found = client.get(f"/api/incidents/{incident_id}").json()
    for alert in found["alerts"]:
        del alert["lastUpdatedTime"]
    return {name: found[name] for name in found if name not in ("lastUpdateTime", "@odata.context")}


def two(client: Client) -> None:
    client.ingest(native(1, entities=shared_url("a")), native(2, entities=shared_url("b")))
    client.ingest(native(3, entities=shared_url("a")), native(4, entities=shared_url("b")))


def test_a_merge_answers_the_target_and_the_husks_and_undoing_it_restores_both(client: Client) -> None:
    two(client)
    before = [shown(client, each) for each in (1, 2)]
    answer = post(client, "2/merge", {"incidentIds": [1], "comment": "one story"})
    assert answer.status_code == 200
    assert [each["incidentId"] for each in answer.json()["value"]] == [2, 1]
    assert len(answer.json()["value"][0]["alerts"]) == 4
    assert [each["comment"] for each in answer.json()["value"][0]["comments"]] == ["one story"]
    assert (answer.json()["value"][1]["status"], answer.json()["value"][1]["redirectIncidentId"]) == ("Redirected", 2)
    undone = post(client, "1/unmerge")
    assert [each["incidentId"] for each in undone.json()["value"]] == [1, 2]
    after = [shown(client, each) for each in (1, 2)]
    after[1]["comments"] = [each for each in after[1]["comments"] if each["comment"] != "one story"]
    assert after == before


def test_a_split_cuts_what_hangs_on_the_alert_and_a_merge_puts_it_back(client: Client) -> None:
    ids = chain(client)
    before = shown(client, 1)
    answer = post(client, "1/split", {"alertId": ids[2]})
    held = [[alert["alertId"] for alert in each["alerts"]] for each in answer.json()["value"]]
    assert held == [ids[2:], ids[:2]]
    evidence = client.get("/api/incidents/2/evidence").json()
    assert (evidence["value"][0]["isCut"], evidence["value"][0]["parentAlertId"]) == (True, None)
    post(client, "1/merge", {"incidentIds": [2]})
    assert shown(client, 1) == before


def test_alerts_move_to_another_incident_or_to_a_new_one(client: Client) -> None:
    two(client)
    ids = [each["alertId"] for each in client.get("/api/incidents/2").json()["alerts"]]
    moved = post(client, "2/move", {"alertIds": ids[:1], "incidentId": 1}).json()["value"]
    assert [(each["incidentId"], len(each["alerts"])) for each in moved] == [(1, 3), (2, 1)]
    fresh = post(client, "1/move", {"alertIds": ids[:1], "incidentId": None}).json()["value"]
    assert [(each["incidentId"], len(each["alerts"])) for each in fresh] == [(3, 1), (1, 2)]
    taken = post(client, "1/split", {"alertIds": [client.get("/api/incidents/1").json()["alerts"][0]["alertId"]]})
    assert taken.json()["value"][0]["incidentId"] == 4


def test_what_makes_no_sense_is_refused_in_the_envelope_and_changes_nothing(client: Client) -> None:
    two(client)
    newest = client.service.reader.newest_stamp()
    for path, body, status, words in (
        ("1/merge", {}, 400, "'incidentIds' is missing"),
        ("1/merge", {"incidentIds": ["2"]}, 400, "positive whole number"),
        ("1/merge", {"incidentIds": [True]}, 400, "positive whole number"),
        ("1/merge", {"incidentIds": list(range(1, 200))}, 400, "1 to 100"),
        ("1/merge", {"incidentIds": [9]}, 404, "9"),
        ("9/merge", {"incidentIds": [1]}, 404, "9"),
        ("x/merge", {"incidentIds": [1]}, 400, "not an incident id"),
        ("1/merge", {"incidentIds": [2], "force": True}, 400, "'force'"),
        ("1/unmerge", {}, 400, "was not merged"),
        ("1/split", {}, 400, "give 'alertId'"),
        ("1/split", {"alertId": "tn2"}, 404, "tn2"),
        ("1/split", {"alertId": "zz1"}, 404, "zz1"),
        ("1/split", {"alertId": "tn1"}, 400, "nothing to cut"),
        ("1/move", {"alertIds": ["tn1"]}, 400, "'incidentId' is missing"),
        ("1/move", {"alertIds": [], "incidentId": 2}, 400, "1 to 5000"),
        ("1/move", {"alertIds": ["tn1"], "incidentId": 8}, 404, "8"),
        ("1/move", {"alertIds": ["tn1", "tn3"], "incidentId": None}, 400, "one has to stay"),
        ("1/move", {"alertIds": ["tn1"], "incidentId": 2, "comment": " "}, 400, "comment"),
    ):
        answer = post(client, path, body)
        assert (answer.status_code, words in answer.json()["error"]["message"]) == (status, True), (path, answer.text)
    assert client.service.reader.newest_stamp() == newest


def test_who_may_only_read_regroups_nothing_and_sees_evidence(client: Client) -> None:
    two(client)
    reader = client.token_for("reader2", Permission.READ)
    for verb, body in (("merge", {"incidentIds": [2]}), ("unmerge", {}), ("split", {}), ("move", {})):
        assert post(client, f"1/{verb}", body, reader).status_code == 403
    client.token = reader
    assert client.get("/api/incidents/1/evidence").status_code == 200
    assert client.get("/api/incidents/3/evidence").status_code == 404
    client.token = client.key
    assert client.get("/api/incidents/1/evidence").status_code == 403


def test_evidence_is_a_tree_with_reasons_in_words_and_in_the_vocabulary(client: Client) -> None:
    ids = chain(client)
    answer = client.get("/api/incidents/1/evidence")
    found = msgspec.json.decode(answer.content, type=Evidence)
    assert [each.parent_alert_id for each in found.value] == [None, *ids[:3]]
    root, child = found.value[0], found.value[1]
    assert (root.score, root.is_cut) == (None, False)
    assert child.text.startswith("joined: same url https://b.example/landing seen at the same time")
    shared, near = child.reasons
    assert (shared.reason, shared.kind, shared.value) == ("sharedIndicators", "url", "https://b.example/landing")
    assert (near.reason, near.value) == ("temporalProximity", "")
    assert 0 < near.weight < shared.weight <= 1


def test_evidence_tells_who_merged_and_why_what_was_cut_and_what_was_kept_apart(client: Client) -> None:
    two(client)
    post(client, "1/merge", {"incidentIds": [2], "comment": "same campaign"})
    post(client, "2/unmerge", {"comment": "it was not"})
    client.ingest(native(9, entities=shared_url("a") + shared_url("b")))
    one, other = (client.get(f"/api/incidents/{each}/evidence").json() for each in (1, 2))
    assert [(each["action"], each["reason"]) for each in one["deeds"]] == [
        ("merged", "same campaign"),
        ("alerts-taken", "it was not"),
    ]
    assert one["deeds"][0]["text"] == "merged incident 2 into this one"
    assert one["deeds"][0]["actor"].startswith("desk (")
    assert [each["action"] for each in other["deeds"]] == ["redirected", "unmerged"]
    assert "a person took them apart" in (one["keptApart"] + other["keptApart"])[0]["text"]


def test_evidence_comes_in_pages(client: Client) -> None:
    ids = chain(client)
    first = client.get("/api/incidents/1/evidence?$top=3").json()
    assert ([each["alertId"] for each in first["value"]], first["alertCount"]) == (ids[:3], 4)
    second = client.get(first["@odata.nextLink"].removeprefix(client.service.names.base_url)).json()
    assert [each["alertId"] for each in second["value"]] == ids[3:]
    assert "@odata.nextLink" not in second
    assert client.get("/api/incidents/1/evidence?$filter=x").status_code == 400


def test_pollers_of_every_kind_see_the_husk_and_the_incident_that_came_back(client: Client) -> None:
    two(client)
    delta = client.get("/v1.0/security/incidents/delta?$deltatoken=latest").json()["@odata.deltaLink"]
    seen = max(each["lastUpdateTime"] for each in client.get("/api/incidents").json()["value"])

    def news() -> tuple[Any, Any, Any]:
        nonlocal delta, seen
        newer = client.get(f"/api/incidents?$filter=lastUpdateTime+gt+{seen}").json()["value"]
        linked, link = [], f"/api/incidents?$filter=lastUpdateTime+gt+{seen}"
        while link:
            page = client.get(link, prefer="odata.maxpagesize=1").json()
            linked += page["value"]
            link = page.get("@odata.nextLink", "").removeprefix(client.service.names.base_url)
        changed = client.get(delta.removeprefix(client.service.names.base_url)).json()
        delta, seen = changed["@odata.deltaLink"], max(each["lastUpdateTime"] for each in newer)
        return (
            {each["incidentId"]: each["status"] for each in newer},
            {each["incidentId"]: each["status"] for each in linked},
            {int(each["id"]): each["status"].capitalize() for each in changed["value"]},
        )

    post(client, "1/merge", {"incidentIds": [2]})
    assert news() == ({1: "Active", 2: "Redirected"},) * 3
    post(client, "2/unmerge")
    assert news() == ({1: "Active", 2: "Active"},) * 3


def test_the_portal_shows_incidents_that_were_cut_merged_and_revived(client: Client) -> None:
    ids = chain(client)
    post(client, "1/split", {"alertId": ids[2]})
    post(client, "1/merge", {"incidentIds": [2]})
    post(client, "2/unmerge")
    sign_in(client)
    for incident_id, own in ((1, ids[0]), (2, ids[3])):
        assert own in page(client, f"/incidents/{incident_id}").text
