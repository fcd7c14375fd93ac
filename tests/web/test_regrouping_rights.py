"""Regrouping needs sight of what is named and rights on all of it, and tells nothing of what is hidden."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from callers import Callers, Role, bearer
from house import HandClock, native, running, shared_url
from tocsin.identity.people import Right
from tocsin.ticks import SECOND

SECRET = "Zebra"


def on(host: str) -> list[dict[str, str]]:
    return [{"deviceDnsName": host}]


class Desk:
    """Incident 1: an alert of `one` on a near machine and one of `hidden`. 2: one of `one` on a near one. 3: one of
    `hidden`. 4: alerts of `one` on a near and a far one, the far joined by the near. 5: the near joined by the far."""

    def __init__(self, callers: Callers) -> None:
        self.callers = callers
        group = callers.group("near", "pc*")
        self.ids = [
            each["alertId"]
            for each in callers.client.ingest(
                native(1, serviceSource="One", devices=on("pc1"), entities=shared_url("a")),
                native(2, serviceSource="Hidden", title=SECRET, entities=shared_url("a")),
                native(3, serviceSource="One", devices=on("pc2")),
                native(4, serviceSource="Hidden", title=SECRET),
                native(5, serviceSource="One", devices=on("pc3"), entities=shared_url("b")),
                native(6, serviceSource="One", devices=on("far4"), title=SECRET, entities=shared_url("b")),
                native(7, serviceSource="One", devices=on("far5"), title=SECRET, entities=shared_url("c")),
                native(8, serviceSource="One", devices=on("pc6"), entities=shared_url("c")),
            ).json()["results"]
        ]
        self.part = callers.person(Role(Right.MANAGE, workloads=["one"]))
        self.near = callers.person(Role(Right.MANAGE, workloads=["one"], groups=[group]))
        self.reader = callers.person(Role(Right.READ))
        self.mixed = callers.person(Role(Right.READ), Role(Right.MANAGE, workloads=["one"]))

    def post(self, token: str, path: str, body: object) -> Any:
        clock = self.callers.service.clock
        assert isinstance(clock, HandClock)
        clock.at += SECOND
        http = self.callers.client.http
        return http.post(f"/api/incidents/{path}", content=msgspec.json.encode(body), headers=bearer(token))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with running(tmp_path, HandClock(), quota_per_minute=1000, quota_get_per_minute=1000) as client:
        callers = Callers(client)
        yield Desk(callers)
        callers.close()


def test_what_is_hidden_is_not_found_wherever_it_is_named(desk: Desk) -> None:
    one, hidden = desk.ids[0], desk.ids[1]
    for path, body in (
        ("3/merge", {"incidentIds": [2]}),
        ("2/merge", {"incidentIds": [3]}),
        ("2/merge", {"incidentIds": [1, 3]}),
        ("3/unmerge", {}),
        ("3/split", {"alertIds": [desk.ids[3]]}),
        ("1/split", {"alertId": hidden}),
        ("1/move", {"alertIds": [one, hidden], "incidentId": 2}),
        ("1/move", {"alertIds": [one], "incidentId": 3}),
        ("3/move", {"alertIds": [desk.ids[3]], "incidentId": None}),
    ):
        answer, absent = desk.post(desk.part, path, body), desk.post(desk.part, "99/merge", {"incidentIds": [98]})
        assert (answer.status_code, absent.status_code) == (404, 404), (path, answer.text)
        assert SECRET not in answer.text
        assert "hidden" not in answer.text.lower()


def test_an_incident_with_a_workload_that_one_does_not_manage_is_forbidden_without_saying_which(desk: Desk) -> None:
    one = desk.ids[0]
    for token in (desk.part, desk.mixed):
        for path, body in (
            ("1/merge", {"incidentIds": [2]}),
            ("2/merge", {"incidentIds": [1]}),
            ("1/split", {"alertIds": [one]}),
            ("1/move", {"alertIds": [one], "incidentId": 2}),
            ("2/move", {"alertIds": [desk.ids[2]], "incidentId": 1}),
        ):
            answer = desk.post(token, path, body)
            assert answer.status_code == 403, (path, answer.text)
            assert "hidden" not in answer.text.lower()


def test_who_may_only_read_changes_nothing_whatever_a_token_says(desk: Desk) -> None:
    newest = desk.callers.service.reader.newest_stamp()
    for path, body in (("4/merge", {"incidentIds": [2]}), ("4/unmerge", {}), ("4/split", {"alertIds": [desk.ids[4]]})):
        assert desk.post(desk.reader, path, body).status_code == 403
    assert desk.callers.service.reader.newest_stamp() == newest


def test_who_manages_every_workload_regroups_what_they_see_in_part_and_is_shown_no_more(desk: Desk) -> None:
    merged = desk.post(desk.near, "4/merge", {"incidentIds": [2]})
    assert merged.status_code == 200
    assert [(each["incidentId"], len(each["alerts"])) for each in merged.json()["value"]] == [(4, 2), (2, 0)]
    undone = desk.post(desk.near, "2/unmerge", {})
    assert [(each["incidentId"], len(each["alerts"])) for each in undone.json()["value"]] == [(2, 1), (4, 1)]
    moved = desk.post(desk.near, "4/move", {"alertIds": [desk.ids[4]], "incidentId": 2})
    assert [(each["incidentId"], len(each["alerts"])) for each in moved.json()["value"]] == [(2, 2)]
    evidence = desk.callers.client.http.get("/api/incidents/2/evidence", headers=bearer(desk.near))
    for answer in (merged, undone, moved, evidence):
        assert SECRET not in answer.text
        assert desk.ids[5] not in answer.text


def test_a_reason_with_a_hidden_alert_is_none_that_could_be_cut(desk: Desk) -> None:
    answer = desk.post(desk.near, "5/split", {"alertId": desk.ids[7]})
    opener = desk.post(desk.near, "4/split", {"alertId": desk.ids[4]})
    assert (answer.status_code, opener.status_code) == (400, 400)
    assert answer.json()["error"]["message"] == opener.json()["error"]["message"]
    seen = desk.post(desk.part, "5/split", {"alertId": desk.ids[7]})
    assert seen.status_code == 200


def test_a_husk_whose_alerts_went_where_one_does_not_see_is_not_undone_nor_told_where(desk: Desk) -> None:
    whole = desk.callers.person(Role(Right.MANAGE))
    assert desk.post(whole, "3/merge", {"incidentIds": [2]}).status_code == 200
    assert desk.post(whole, "3/move", {"alertIds": [desk.ids[2]], "incidentId": 4}).status_code == 200
    assert desk.callers.client.http.get("/api/incidents/2", headers=bearer(desk.part)).status_code == 200
    for path, body in (("2/unmerge", {}), ("4/merge", {"incidentIds": [2]}), ("2/merge", {"incidentIds": [4]})):
        answer = desk.post(desk.part, path, body)
        assert answer.status_code == 404
        assert answer.json()["error"]["message"] == "The incident that holds the alerts of incident 2 was not found"


def test_a_change_of_a_husk_names_where_its_alerts_are_only_to_who_sees_it(desk: Desk) -> None:
    whole = desk.callers.person(Role(Right.MANAGE))
    for path, body in (
        ("2/merge", {"incidentIds": [4]}),  # 4 becomes a husk of 2
        ("2/move", {"alertIds": [desk.ids[4]], "incidentId": None}),
        ("3/merge", {"incidentIds": [2]}),
        ("3/move", {"alertIds": [desk.ids[2]], "incidentId": 5}),
        ("3/move", {"alertIds": [desk.ids[5]], "incidentId": 5}),
    ):
        assert desk.post(whole, path, body).status_code == 200, path
    http = desk.callers.client.http
    assert http.get("/api/incidents/4", headers=bearer(desk.part)).status_code == 200
    hidden = http.patch("/api/incidents/4", content=b'{"comment": "x"}', headers=bearer(desk.part))
    shown = http.patch("/api/incidents/4", content=b'{"comment": "x"}', headers=bearer(whole))
    assert (hidden.status_code, hidden.json()["error"]["message"]) == (
        404, "The incident that holds the alerts of incident 4 was not found",
    )  # fmt: skip
    assert "incident 3" in shown.json()["error"]["message"]


def test_a_refusal_for_size_counts_nothing(desk: Desk, tmp_path: Path) -> None:
    with running(tmp_path / "small", HandClock(), incident_alerts_max=2, quota_per_minute=1000) as client:
        callers = Callers(client)
        small = Desk(callers)
        answer = small.post(small.near, "4/merge", {"incidentIds": [2]})
        assert answer.status_code == 400
        assert "at most 2" in answer.json()["error"]["message"]
        assert "3" not in answer.json()["error"]["message"]
        callers.close()
