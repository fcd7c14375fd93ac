"""`/api/incidents`: the list, its filters and pages, single incidents, the seed's own two lines, quotas, errors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from house import START, Client, HandClock, native, running, shared_url
from tocsin.access import Permission
from tocsin.ticks import DAY, MINUTE, SECOND, format_ticks

SEED_POLL = "/api/incidents?$filter=lastUpdateTime+ge+2020-06-03T18:04:29.4633333Z"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with running(tmp_path, HandClock(), quota_per_minute=1000) as found:
        yield found


def ids(answer: Any) -> list[int]:
    assert answer.status_code == 200, answer.text
    return [incident["incidentId"] for incident in answer.json()["value"]]


def clock_of(client: Client) -> HandClock:
    clock = client.service.clock
    assert isinstance(clock, HandClock)
    return clock


def test_an_empty_tenant_lists_nothing(client: Client) -> None:
    answer = client.get("/api/incidents")
    assert answer.json() == {"@odata.context": f"{client.service.names.base_url}/api/$metadata#Incidents", "value": []}
    assert answer.headers["content-type"].startswith("application/json; odata.metadata=minimal")
    assert answer.headers["odata-version"] == "4.0"


def test_incidents_are_listed_newest_change_first_with_their_alerts(client: Client) -> None:
    client.ingest(native(1, entities=shared_url("a")), native(2), native(3))
    clock_of(client).at += SECOND
    client.ingest(native(4, entities=shared_url("a"), devices=[{"deviceDnsName": "pc1"}]))
    answer = client.get("/api/incidents")
    assert ids(answer) == [1, 3, 2]
    first = answer.json()["value"][0]
    assert [alert["alertId"] for alert in first["alerts"]] == ["tn1", "tn4"]
    assert first["alerts"][1]["devices"][0]["deviceDnsName"] == "pc1"
    assert re.fullmatch("[0-9a-f]{40}", first["alerts"][1]["devices"][0]["mdatpDeviceId"])
    assert first["alerts"][0]["entities"][0] == {"entityType": "Url", "url": "https://a.example/landing"}


INCIDENT_KEYS = """
incidentId incidentUri redirectIncidentId incidentName createdTime lastUpdateTime assignedTo classification
determination status severity tags comments alerts
"""
ALERT_KEYS = """
alertId providerAlertId incidentId serviceSource creationTime lastUpdatedTime resolvedTime firstActivity lastActivity
title description category status severity investigationId investigationState classification determination
detectionSource detectorId assignedTo actorName threatFamilyName mitreTechniques devices entities
"""


def test_keys_stand_in_the_order_of_the_original(client: Client) -> None:
    client.ingest(native(1))
    incident = client.get("/api/incidents").json()["value"][0]
    assert list(incident) == INCIDENT_KEYS.split()
    assert list(incident["alerts"][0]) == ALERT_KEYS.split()


def test_times_have_seven_digits_and_z(client: Client) -> None:
    client.ingest(native(1))
    incident = client.get("/api/incidents").json()["value"][0]
    for key in ("createdTime", "lastUpdateTime"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z", incident[key])


def test_the_seeds_siem_poll_works_as_printed(client: Client) -> None:
    client.ingest(native(1), native(2))
    assert ids(client.get(SEED_POLL)) == [2, 1]


def test_the_seeds_example_request_answers_like_the_get(client: Client) -> None:
    client.ingest(*[native(number) for number in range(12)])
    answer = client.http.patch("/api/incidents?$top=10", headers={"authorization": f"Bearer {client.token}"})
    assert answer.status_code == 200
    assert answer.json() == client.get("/api/incidents?$top=10").json()
    assert len(answer.json()["value"]) == 10


def test_a_patch_of_the_collection_with_a_body_names_the_right_request(client: Client) -> None:
    answer = client.http.patch(
        "/api/incidents?$top=10", json={"status": "Resolved"}, headers={"authorization": f"Bearer {client.token}"}
    )
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET"
    assert "PATCH /api/incidents/{id}" in answer.json()["error"]["message"]


def test_a_poller_that_sends_back_the_last_stamp_sees_only_what_is_newer(client: Client) -> None:
    client.ingest(native(1), native(2))
    newest = client.get("/api/incidents").json()["value"][0]["lastUpdateTime"]
    clock_of(client).at += SECOND
    client.ingest(native(3))
    assert ids(client.get(f"/api/incidents?$filter=lastUpdateTime+gt+{newest}")) == [3]
    assert ids(client.get(f"/api/incidents?$filter=lastUpdateTime+ge+{newest}")) == [3, 2]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("status eq 'Active'", [4, 3, 1]),
        ("status eq 'Redirected'", [2]),
        ("status ne 'Redirected' and assignedTo eq null", [4, 3, 1]),
        ("assignedTo eq 'someone'", []),
        ("not (status eq 'Active')", [2]),
        ("status in ('Redirected','Resolved')", [2]),
        ("createdTime ge 2026-03-02T09:00:00Z and createdTime lt 2026-03-02T09:00:00.0000003Z", [3, 2, 1]),
        ("createdTime gt 2026-03-02T09:00:01Z", [4]),
        ("createdTime ge 2030-01-01T00:00:00Z or status eq 'Redirected'", [2]),
        ("severity eq 'High'", [4]),
    ],
)
def test_filters_answer_what_they_mean(client: Client, text: str, expected: list[int]) -> None:
    client.ingest(native(1, entities=shared_url("a")), native(2, entities=shared_url("b")), native(3))
    clock_of(client).at += MINUTE
    client.ingest(native(4, entities=shared_url("a") + shared_url("b")), native(5, severity="High"))
    answer = client.http.get(
        "/api/incidents", params={"$filter": text}, headers={"authorization": f"Bearer {client.token}"}
    )
    assert sorted(ids(answer), reverse=True) == sorted(expected, reverse=True)


def test_pages_by_top_and_skip_are_cut_from_one_order(client: Client) -> None:
    client.ingest(*[native(number) for number in range(250)])
    whole = ids(client.get("/api/incidents?$top=100")) + ids(client.get("/api/incidents?$top=100&$skip=100"))
    whole += ids(client.get("/api/incidents?$top=100&$skip=200"))
    assert whole == list(range(250, 0, -1))
    assert len(ids(client.get("/api/incidents"))) == 100
    assert ids(client.get("/api/incidents?$skip=1000")) == []
    assert ids(client.get("/api/incidents?$top=0")) == []
    assert ids(client.get("/api/incidents?$top=2&$orderby=createdTime asc")) == [1, 2]


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        (
            "$top=101",
            "The limit of '100' for Top query has been exceeded. The value from the incoming request is '101'.",
        ),
        ("$top=-1", "Invalid value '-1' for $top query option found."),
        ("$filter=nope eq 1", "Could not find a property named 'nope'"),
        ("$filter=status eq 'Active", "There is an unterminated string literal at position 10"),
        ("$foo=1", "$foo"),
        ("$top=1&$TOP=1", "$top"),
    ],
)
def test_a_bad_query_is_400_in_the_error_envelope(client: Client, query: str, detail: str) -> None:
    answer = client.get(f"/api/incidents?{query}")
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["code"] == "ODataError"
    assert error["message"].startswith("The query specified in the URI is not valid. ")
    assert detail.lower() in error["message"].lower()
    assert re.fullmatch("[0-9a-f-]{36}", error["target"])


def test_one_incident_is_the_bare_object_with_its_context_first(client: Client) -> None:
    client.ingest(native(1))
    answer = client.get("/api/incidents/1").json()
    assert next(iter(answer)) == "@odata.context"
    assert answer.pop("@odata.context").endswith("/api/$metadata#Incidents/$entity")
    assert answer == client.get("/api/incidents").json()["value"][0]


@pytest.mark.parametrize(("path", "status"), [("2", 404), ("0", 404), ("99999999999999999999", 400), ("abc", 400)])
def test_an_incident_that_is_not_there_is_not_found(client: Client, path: str, status: int) -> None:
    answer = client.get(f"/api/incidents/{path}")
    assert answer.status_code == status
    assert set(answer.json()["error"]) == {"code", "message", "target"}


def test_what_is_past_retention_is_gone_at_that_very_moment(client: Client) -> None:
    client.ingest(native(1))
    clock_of(client).at += 180 * DAY
    client.token = client.token_for("later", Permission.READ)
    assert ids(client.get("/api/incidents")) == [1]
    clock_of(client).at += 1
    assert ids(client.get("/api/incidents")) == []
    assert client.get("/api/incidents/1").status_code == 404


def test_nobody_reads_without_a_token_or_with_an_ingest_key(client: Client) -> None:
    answer = client.http.get("/api/incidents")
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "Unauthorized")
    answer = client.http.get("/api/incidents", headers={"authorization": f"Bearer {client.key}"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "Forbidden")
    assert "Incident.Read.All" in answer.json()["error"]["message"]


def test_an_application_of_another_tenant_sees_nothing_of_this_one(client: Client) -> None:
    client.ingest(native(1))
    other = client.registry.create_tenant("other", "11111111-2222-3333-4444-555555555555", START)
    client.tenant = other
    client.token = client.token_for("theirs", Permission.READ_WRITE)
    assert ids(client.get("/api/incidents")) == []
    assert client.get("/api/incidents/1").status_code == 404


def test_an_unknown_path_and_a_wrong_method_answer_in_the_envelope(client: Client) -> None:
    assert client.get("/api/nothing").json()["error"]["code"] == "NotFound"
    answer = client.http.delete("/api/incidents")
    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "BadRequest")
    assert answer.headers["allow"] == "GET, HEAD, PATCH"


def test_the_fifty_first_call_of_a_minute_is_429_with_the_wait(tmp_path: Path) -> None:
    with running(tmp_path, HandClock()) as client:
        assert {client.get("/api/incidents").status_code for _ in range(50)} == {200}
        answer = client.get("/api/incidents")
        assert answer.status_code == 429
        wait = int(answer.headers["retry-after"])
        assert 1 <= wait <= 60
        error = answer.json()["error"]
        assert error["code"] == "429"
        assert error["message"] == (
            f"API calls quota exceeded! maximum allowed 50 per 00:01:00. You can send requests again in {wait} seconds."
        )
        client.token = client.token_for("another", Permission.READ)
        assert client.get("/api/incidents").status_code == 200


def test_the_incident_uri_names_this_server_and_the_tenant(client: Client) -> None:
    client.ingest(native(1))
    uri = client.get("/api/incidents/1").json()["incidentUri"]
    assert uri == f"{client.service.names.base_url}/incidents/1?tid={client.tenant.guid}"


def test_stamps_of_one_commit_differ_and_order_the_list(client: Client) -> None:
    client.ingest(native(1), native(2))
    stamps = [incident["lastUpdateTime"] for incident in client.get("/api/incidents").json()["value"]]
    assert stamps == [format_ticks(START + 1), format_ticks(START)]


def test_incidents_are_filtered_by_tag(client: Client) -> None:
    client.ingest(native(1), native(2), native(3))
    writer = {"authorization": f"Bearer {client.token_for('writer', Permission.READ_WRITE)}"}
    for incident_id, tags in ((1, ["vip", "o'hare"]), (3, ["vipers"])):
        answer = client.http.patch(f"/api/incidents/{incident_id}", json={"tags": tags}, headers=writer)
        assert answer.status_code == 200
    assert ids(client.get("/api/incidents?$filter=tags/any(t:t eq 'vip')")) == [1]
    assert ids(client.get("/api/incidents?$filter=tags/any(tag: 'o''hare' eq tag)")) == [1]
    assert ids(client.get("/api/incidents?$filter=not tags/any(t:t eq 'vip') and severity eq 'Medium'")) == [3, 2]
    assert ids(client.get("/api/incidents?$filter=tags/any(t:t eq 'none')")) == []
    for refused in (
        "tags/any()",
        "tags/any(t:t ne 'x')",
        "comments/any(c:c eq 'x')",
        "tags/all(t:t eq 'x')",
        "tags/any(t:u eq 'x')",
    ):
        answer = client.get(f"/api/incidents?$filter={refused}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "ODataError"), refused
