"""Graph's `security` paths: lists and their walks, single objects, updates, comments, the change feed, errors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from starlette.testclient import TestClient

from house import START, Client, HandClock, native, running, shared_url
from tocsin.access import Permission
from tocsin.app import asgi
from tocsin.config import Settings
from tocsin.service import Service
from tocsin.ticks import DAY, MINUTE, SECOND, format_ticks

ROOTS = ("/v1.0/security", "/beta/security", "/v1.0//security", "/beta//security")


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with running(tmp_path, HandClock(), quota_per_minute=1000) as found:
        yield found


def clock_of(client: Client) -> HandClock:
    clock = client.service.clock
    assert isinstance(clock, HandClock)
    return clock


def ids(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [each["id"] for each in answer.json()["value"]]


def walk(client: Client, path: str, **headers: str) -> list[str]:
    """All ids, by following the links to the end."""
    found: list[str] = []
    while path:
        answer = client.get(path, **headers)
        found += ids(answer)
        path = answer.json().get("@odata.nextLink", "")
        assert len(path) < 2_000
    return found


def writer_token(client: Client) -> dict[str, str]:
    return {"authorization": f"Bearer {client.token_for('soar', Permission.SECURITY_INCIDENT_READ_WRITE)}"}


@pytest.mark.parametrize("root", ROOTS)
def test_both_versions_answer_with_one_slash_or_two(client: Client, root: str) -> None:
    client.ingest(native(1), native(2))
    assert ids(client.get(f"{root}/incidents")) == ["2", "1"]
    assert ids(client.get(f"{root}/alerts_v2")) == ["tn2", "tn1"]
    assert client.get(f"{root}/incidents/1").json()["id"] == "1"
    assert client.get(f"{root}/alerts_v2/tn1").json()["id"] == "tn1"


INCIDENT_KEYS = """
id tenantId status incidentWebUrl redirectIncidentId displayName createdDateTime lastUpdateDateTime assignedTo
classification determination severity customTags systemTags description summary lastModifiedBy resolvingComment
priorityScore comments
"""


def test_an_incident_has_graphs_names_and_alerts_only_where_expanded(client: Client) -> None:
    client.ingest(native(1, severity="High", devices=[{"deviceDnsName": "pc1.corp.example"}]))
    incident = client.get("/v1.0/security/incidents").json()["value"][0]
    assert list(incident) == INCIDENT_KEYS.split()
    base = client.service.names.base_url
    assert incident == {
        **dict.fromkeys(("redirectIncidentId", "assignedTo", "description", "summary", "lastModifiedBy")),
        **dict.fromkeys(("resolvingComment",)),
        **{name: [] for name in ("customTags", "systemTags", "comments")},
        "id": "1",
        "tenantId": client.tenant.guid,
        "status": "active",
        "incidentWebUrl": f"{base}/incidents/1?tid={client.tenant.guid}",
        "displayName": "Alert 1",
        "createdDateTime": "2026-03-02T09:00:00.0000000Z",
        "lastUpdateDateTime": "2026-03-02T09:00:00.0000000Z",
        "classification": "unknown",
        "determination": "unknown",
        "severity": "high",
        "priorityScore": 15,
    }
    expanded = client.get("/v1.0/security/incidents?$expand=alerts").json()["value"][0]
    alerts = expanded.pop("alerts")
    assert expanded == incident
    assert alerts == [client.get("/v1.0/security/alerts_v2").json()["value"][0]]


def test_a_husk_is_redirected_of_unknown_severity_and_without_alerts(client: Client) -> None:
    client.ingest(native(1, entities=shared_url("a")), native(2, entities=shared_url("b")))
    client.ingest(native(3, entities=shared_url("a") + shared_url("b")))
    husk = client.get("/v1.0/security/incidents/2?$expand=alerts").json()
    assert (husk["status"], husk["severity"], husk["redirectIncidentId"]) == ("redirected", "unknown", "1")
    assert husk["priorityScore"] is None
    assert husk["alerts"] == []
    answer = client.http.patch("/v1.0/security/incidents/2", json={"status": "resolved"}, headers=writer_token(client))
    assert answer.status_code == 409
    assert "incident 1" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("status eq 'active'", ["3", "2", "1"]),
        ("status eq 'Active' and severity eq 'High'", ["2"]),
        ("(status eq 'active' or status eq 'inProgress' or status eq 'awaitingAction')", ["3", "2", "1"]),
        ("status eq 'awaitingAction' or status in ('awaitingAction','unknownFutureValue')", []),
        ("status ne 'awaitingAction'", ["3", "2", "1"]),
        ("severity eq 'high' or severity eq 'low'", ["3", "2"]),
        ("classification eq 'unknown' and determination eq 'unknown'", ["3", "2", "1"]),
        ("determination eq 'notEnoughDataToValidate'", []),
        ("assignedTo eq null", ["3", "2", "1"]),
        ("(((assignedTo eq null) and (severity ne 'low')) or (status eq 'resolved'))", ["2", "1"]),
        ("lastUpdateDateTime gt 2026-03-02T09:00:00+00:00", ["3", "2"]),
        ("lastUpdateDateTime ge 2026-03-02T09:00:00.0000001Z", ["3", "2"]),
        ("createdDateTime ge 2026-03-02T08:59:30Z and createdDateTime lt 2026-03-02T09:00:00.00Z", []),
        (
            "createdDateTime gt 2026-03-02T08:00:00.123456Z and createdDateTime le 2026-03-02T10:00:00.123456Z",
            ["3", "2", "1"],
        ),
    ],
)
def test_filters_answer_what_they_mean(client: Client, text: str, expected: list[str]) -> None:
    client.ingest(native(1), native(2, severity="High"), native(3, severity="Low"))
    answer = client.http.get(
        "/v1.0/security/incidents", params={"$filter": text}, headers={"authorization": f"Bearer {client.token}"}
    )
    assert ids(answer) == expected


def test_alerts_are_filtered_by_their_product_and_shown_by_their_true_name(client: Client) -> None:
    client.ingest(native(1), native(2, serviceSource="MicrosoftSentinel", detectionSource="custom rules"))
    path = "/v1.0/security/alerts_v2?$filter=serviceSource eq 'microsoftSentinel'"
    alert = client.get(path).json()["value"][0]
    assert (alert["id"], alert["productName"]) == ("tn2", "MicrosoftSentinel")
    assert (alert["serviceSource"], alert["detectionSource"]) == ("unknownFutureValue", "unknown")
    assert alert["additionalData"] == {"serviceSource": "MicrosoftSentinel", "detectionSource": "custom rules"}
    answer = client.get(path, prefer="include-unknown-enum-members")
    assert answer.json()["value"][0]["serviceSource"] == "microsoftSentinel"
    assert answer.headers["preference-applied"] == "include-unknown-enum-members"
    assert client.get(path).json()["value"][0]["serviceSource"] == "unknownFutureValue"


def test_pages_hold_what_was_asked_for_at_most_and_link_to_the_rest(client: Client) -> None:
    client.ingest(*[native(number) for number in range(120)])
    everything = [str(number) for number in range(120, 0, -1)]
    assert ids(client.get("/v1.0/security/incidents")) == everything[:50]
    for top in (7, 50, 200, 1000, 2000):
        answer = client.get(f"/v1.0/security/incidents?$top={top}")
        assert ids(answer) == everything[: min(top, 50)]
        assert walk(client, f"/v1.0/security/incidents?$top={top}") == everything
    assert ids(client.get("/v1.0/security/alerts_v2")) == [f"tn{number}" for number in range(120, 20, -1)]
    assert walk(client, "/v1.0/security/alerts_v2?$top=1000") == [f"tn{number}" for number in range(120, 0, -1)]
    assert walk(client, "/v1.0/security/incidents?$skip=110&$top=4") == everything[110:]
    assert client.get("/v1.0/security/incidents?$top=0").json()["value"] == []
    assert ids(client.get("/v1.0/security/incidents?$skip=1000")) == []
    answer = client.get("/v1.0/security/incidents", prefer="odata.maxpagesize=3")
    assert (len(ids(answer)), answer.headers["preference-applied"]) == (3, "odata.maxpagesize=3")
    answer = client.get("/v1.0/security/incidents", prefer="odata.maxpagesize=0")
    assert (len(ids(answer)), "preference-applied" in answer.headers) == (50, False)


@pytest.mark.parametrize("resource", ["incidents", "alerts_v2"])
@pytest.mark.parametrize("field", ["lastUpdateDateTime", "createdDateTime"])
def test_both_times_order_both_ways_over_pages(client: Client, resource: str, field: str) -> None:
    client.ingest(*[native(number, creationTime=format_ticks(START - number % 4 * MINUTE)) for number in range(9)])
    clock_of(client).at += SECOND
    client.ingest(native(20, entities=shared_url("x")))
    path = f"/v1.0/security/{resource}?$orderby={field}"
    ascending = walk(client, f"{path} asc&$top=4")
    assert len(ascending) == 10
    assert ascending == walk(client, f"{path}&$top=3") == walk(client, f"{path} desc")[::-1]
    stamps = [client.get(f"/v1.0/security/{resource}/{each}").json()[field] for each in ascending]
    assert stamps == sorted(stamps)


@pytest.mark.parametrize("resource", ["incidents", "alerts_v2"])
def test_a_walk_shows_each_once_as_it_was_when_it_began(client: Client, resource: str) -> None:
    client.ingest(*[native(number, entities=shared_url(f"u{number}")) for number in range(12)])
    before = walk(client, f"/v1.0/security/{resource}")
    first = client.get(f"/v1.0/security/{resource}?$top=5&$count=true&$filter=status ne 'resolved'").json()
    clock_of(client).at += MINUTE
    client.ingest(native(50, entities=shared_url("u3")), native(51))
    headers = writer_token(client)
    for number in (2, 8):
        body = {"status": "resolved"}
        assert client.http.patch(f"/v1.0/security/incidents/{number}", json=body, headers=headers).status_code == 200
    found = [each["id"] for each in first["value"]] + walk(client, first["@odata.nextLink"])
    assert found == before
    assert first["@odata.count"] == 12


def test_a_link_is_absolute_for_the_name_the_client_used_and_for_it_alone(client: Client) -> None:
    client.ingest(*[native(number) for number in range(3)])
    path = "/v1.0/security/incidents?$top=1&$filter=severity eq 'medium'&$expand=alerts"
    link = client.get(path, host="localhost:8443").json()["@odata.nextLink"]
    assert link.startswith("https://localhost:8443/v1.0/security/incidents?")
    assert "alerts" in client.get(link).json()["value"][0]
    assert client.get(f"{link}&$filter=severity eq 'high'").status_code == 400
    assert client.get(link[:-1] + ("A" if link[-1] != "A" else "B")).status_code == 400
    assert client.get(link.replace("/incidents?", "/incidents/delta?")).status_code == 400
    token = client.token_for("another", Permission.READ)
    assert client.http.get(link, headers={"authorization": f"Bearer {token}"}).status_code == 400
    assert client.get(link).status_code == 200


def test_a_link_goes_on_after_a_restart(tmp_path: Path) -> None:
    clock = HandClock()
    with running(tmp_path, clock) as client:
        client.ingest(*[native(number) for number in range(3)])
        link = client.get("/v1.0/security/incidents?$top=1").json()["@odata.nextLink"]
        token = client.token
    service = Service(Settings(data_dir=tmp_path), clock, lambda: None)
    try:
        with TestClient(asgi(service), base_url=service.names.base_url) as http:
            assert ids(http.get(link, headers={"authorization": f"Bearer {token}"})) == ["2"]
    finally:
        service.close()


def test_a_page_nobody_sized_ends_before_a_million_bytes(client: Client) -> None:
    text = "x" * 8_000
    client.ingest(*[native(number, description=text, entities=shared_url("one")) for number in range(50)])
    client.ingest(*[native(100 + number, description=text, entities=shared_url("two")) for number in range(50)])
    client.ingest(*[native(200 + number, description=text, entities=shared_url("three")) for number in range(50)])
    answer = client.get("/v1.0/security/incidents?$expand=alerts")
    assert 0 < len(answer.content) < 1_010_000
    assert len(ids(answer)) == 2
    assert len(walk(client, "/v1.0/security/incidents?$expand=alerts")) == 3
    assert len(ids(client.get("/v1.0/security/incidents?$expand=alerts&$top=50"))) == 3


def test_select_and_expand_give_what_they_name(client: Client) -> None:
    client.ingest(native(1, entities=shared_url("a")))

    def one(options: str) -> Any:
        answer = client.get(f"/v1.0/security/incidents/1?{options}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    assert set(one("$select=displayName,status")) == {"@odata.context", "id", "displayName", "status"}
    assert set(one("$expand=alerts($select=id,title)")["alerts"][0]) == {"id", "title"}
    nested = one("%24expand=alerts(%24expand=evidence),comments")
    assert nested["alerts"][0]["evidence"][0]["url"] == "https://a.example/landing"
    assert nested["comments"] == []
    assert one("$expand=alerts&$format=json")["alerts"] == nested["alerts"]
    alert = client.get("/v1.0/security/alerts_v2?$select=title&$expand=evidence").json()["value"][0]
    assert alert == {"id": "tn1", "title": "Alert 1"}


@pytest.mark.parametrize(
    "query",
    [
        "$filter=lastUpdateTime ge 2020-01-01",
        "$filter=displayName eq 'x'",
        "$filter=status eq 'awaiting'",
        "$filter=createdDateTime ge 2024-01-01T12:00:0Z",
        "$orderby=displayName",
        "$select=nothing",
        "$expand=nothing",
        "$expand=alerts($top=1)",
        "$expand=alerts(",
        "$count=maybe",
        "$format=atom",
        "$search=x",
        "$top=-1",
        "$skiptoken=abc",
        "$skiptoken=ä",
    ],
)
def test_a_bad_query_is_400_in_graphs_envelope(client: Client, query: str) -> None:
    answer = client.get(f"/v1.0/security/incidents?{query}", **{"client-request-id": "my-own-id"})
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert error["code"] == "BadRequest"
    assert error["message"].startswith("The query specified in the URI is not valid. ")
    inner = error["innerError"]
    assert inner == {"date": "2026-03-02T09:00:00", "request-id": inner["request-id"], "client-request-id": "my-own-id"}
    assert answer.headers["request-id"] == inner["request-id"]
    assert answer.headers["client-request-id"] == "my-own-id"


def test_an_option_without_a_name_or_a_dollar_is_ignored(client: Client) -> None:
    client.ingest(native(1))
    assert ids(client.get("/v1.0/security/incidents?=lastUpdateDateTime+ge+x&top=0")) == ["1"]


def test_an_incident_is_updated_and_answered_whole(client: Client) -> None:
    client.ingest(native(1), native(2))
    clock_of(client).at += MINUTE
    headers = writer_token(client)
    body = {
        "@odata.type": "#microsoft.graph.security.incident",
        "status": "inProgress",
        "assignedTo": "ann@x.example",
        "classification": "TruePositive",
        "determination": "notEnoughDataToValidate",
        "customTags": ["Demo", "two"],
        "resolvingComment": "looked at",
    }
    answer = client.http.patch("/v1.0/security/incidents/1", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    incident = answer.json()
    assert incident.pop("@odata.context").endswith("/v1.0/$metadata#security/incidents/$entity")
    assert incident["lastUpdateDateTime"] == format_ticks(clock_of(client).at)
    assert [incident[name] for name in ("status", "assignedTo", "classification", "determination", "customTags")] == [
        "inProgress",
        "ann@x.example",
        "truePositive",
        "notEnoughDataToValidate",
        ["Demo", "two"],
    ]
    assert incident["comments"][0]["comment"] == "looked at"
    assert ids(client.get("/v1.0/security/incidents")) == ["1", "2"]
    assert client.get("/api/incidents/1").json()["determination"] == "NoEnoughDataToValidate"
    alert = client.get("/v1.0/security/alerts_v2/tn1").json()
    assert (alert["assignedTo"], alert["status"]) == ("ann@x.example", "new")
    answer = client.http.patch("/v1.0/security/incidents/1", json={"assignedTo": None}, headers=headers)
    assert answer.json()["assignedTo"] is None


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"status": "redirected"}, "'status' cannot be 'redirected'"),
        ({"status": "open"}, "'status' cannot be 'open'"),
        ({"Status": "active"}, "case-sensitive: 'status'"),
        ({"severity": "high"}, "'severity' cannot be changed"),
        ({"tags": []}, "'customTags'"),
        ({"nothing": 1, "assignedTo": 5}, "'nothing' is not a property"),
        ([], "must be a JSON object"),
    ],
)
def test_a_wrong_update_names_what_is_wrong(client: Client, body: object, said: str) -> None:
    client.ingest(native(1))
    answer = client.http.patch("/v1.0/security/incidents/1", json=body, headers=writer_token(client))
    assert answer.status_code == 400
    assert said in answer.json()["error"]["message"]


@pytest.mark.parametrize(("resource", "one"), [("incidents", "1"), ("alerts_v2", "tn1")])
def test_a_comment_is_appended_and_all_are_answered(client: Client, resource: str, one: str) -> None:
    client.ingest(native(1))
    clock_of(client).at += MINUTE
    headers, path = writer_token(client), f"/v1.0/security/{resource}/{one}"
    for text in ("first", "second"):
        body = {"@odata.type": "microsoft.graph.security.alertComment", "comment": text}
        answer = client.http.post(f"{path}/comments", json=body, headers=headers)
        assert answer.status_code == 200, answer.text
    comments = answer.json()["value"]
    assert [each["comment"] for each in comments] == ["first", "second"]
    first = comments[0]
    assert first["createdByDisplayName"] == first["createdBy"]
    assert first["createdByDisplayName"].startswith("soar (")
    assert first["createdDateTime"] == first["createdTime"] == format_ticks(clock_of(client).at)
    assert client.get(path).json()["comments"] == client.get(f"{path}/comments").json()["value"] == comments
    for wrong in ({}, {"comment": 1}, {"comment": " "}, {"comment": "a", "text": "b"}):
        assert client.http.post(f"{path}/comments", json=wrong, headers=headers).status_code == 400


def test_an_alert_is_updated_and_its_incident_with_it(client: Client) -> None:
    client.ingest(native(1, entities=shared_url("a")), native(2, entities=shared_url("a")))
    clock_of(client).at += MINUTE
    headers = writer_token(client)
    body = {"status": "resolved", "classification": "falsePositive", "determination": "clean"}
    alert = client.http.patch("/v1.0/security/alerts_v2/tn1", json=body, headers=headers).json()
    assert (alert["status"], alert["classification"], alert["determination"]) == (
        "resolved",
        "falsePositive",
        "notMalicious",
    )
    assert alert["resolvedDateTime"] == alert["lastUpdateDateTime"] == format_ticks(clock_of(client).at)
    assert client.get("/v1.0/security/incidents/1").json()["status"] == "active"
    client.http.patch("/v1.0/security/alerts_v2/tn2", json={"status": "resolved"}, headers=headers)
    assert client.get("/v1.0/security/incidents/1").json()["status"] == "resolved"
    unset = {"classification": "unknown", "determination": "unknown"}
    alert = client.http.patch("/v1.0/security/alerts_v2/tn1", json=unset, headers=headers).json()
    assert (alert["classification"], alert["determination"]) == ("unknown", "unknown")
    assert client.get("/api/incidents/1").json()["alerts"][0]["classification"] is None


@pytest.mark.parametrize("alert_id", ["tn9", "su1", "1", "tn", "tn1x", "TN1", "tn99999999999999999999"])
def test_an_alert_that_is_not_there_is_not_found(client: Client, alert_id: str) -> None:
    client.ingest(native(1))
    answer = client.get(f"/v1.0/security/alerts_v2/{alert_id}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "ResourceNotFound")
    headers = writer_token(client)
    answer = client.http.patch(f"/v1.0/security/alerts_v2/{alert_id}", json={"status": "new"}, headers=headers)
    assert answer.status_code == 404


def test_the_alerts_of_an_incident_are_listed(client: Client) -> None:
    client.ingest(native(1, entities=shared_url("a")), native(2), native(3, entities=shared_url("a")))
    assert ids(client.get("/v1.0/security/incidents/1/alerts")) == ["tn1", "tn3"]
    assert client.get("/v1.0/security/incidents/9/alerts").status_code == 404


def test_counts_are_of_what_matches(client: Client) -> None:
    client.ingest(native(1), native(2, severity="High"), native(3))
    assert client.get("/v1.0/security/incidents?$count=true&$top=1").json()["@odata.count"] == 3
    assert client.get("/v1.0/security/alerts_v2?$count=true&$filter=severity eq 'high'").json()["@odata.count"] == 1
    answer = client.get("/v1.0/security/incidents/$count?$filter=severity eq 'medium'")
    assert (answer.text, answer.headers["content-type"].split(";")[0]) == ("2", "text/plain")
    assert client.get("/v1.0/security/alerts_v2/$count").text == "3"


def test_the_end_of_a_walk_links_to_what_changes_after(client: Client) -> None:
    client.ingest(native(1, entities=shared_url("a")), native(2, entities=shared_url("b")), native(3))
    page = client.get("/v1.0/security/incidents?$top=2").json()
    assert "@odata.deltaLink" not in page
    page = client.get(page["@odata.nextLink"]).json()
    link = page["@odata.deltaLink"]
    assert "@odata.nextLink" not in page
    nothing = client.get(link).json()
    assert nothing["value"] == []
    clock_of(client).at += MINUTE
    client.ingest(native(4, entities=shared_url("a") + shared_url("b")), native(5))
    changed = []
    path = nothing["@odata.deltaLink"]
    while path:
        page = client.get(path).json()
        changed += [(each["id"], each["status"]) for each in page["value"]]
        path = page.get("@odata.nextLink", "")
    assert sorted(changed) == [("1", "active"), ("2", "redirected"), ("4", "active")]
    assert client.get(page["@odata.deltaLink"]).json()["value"] == []


def test_a_feed_with_a_filter_says_what_no_longer_matches(client: Client) -> None:
    client.ingest(native(1), native(2))
    link = client.get("/v1.0/security/incidents?$filter=status eq 'active'").json()["@odata.deltaLink"]
    headers = writer_token(client)
    client.http.patch("/v1.0/security/incidents/1", json={"status": "resolved"}, headers=headers)
    page = client.get(link).json()
    assert page["value"] == [{"@removed": {"reason": "deleted"}, "id": "1"}]


def test_a_feed_can_begin_with_all_or_with_nothing(client: Client) -> None:
    client.ingest(native(1), native(2))
    assert walk(client, "/v1.0/security/incidents/delta?$top=1") == ["2", "1"]
    page = client.get("/v1.0/security/incidents/delta()?$deltatoken=latest").json()
    assert page["value"] == []
    client.ingest(native(3))
    assert ids(client.get(page["@odata.deltaLink"])) == ["3"]
    assert client.get("/v1.0/security/incidents/delta?$deltatoken=latest&$skip=1").status_code == 400


PERMITTED = {
    Permission.READ: "see, see alerts",
    Permission.READ_WRITE: "see, change, see alerts, change alerts",
    Permission.SECURITY_INCIDENT_READ: "see, see alerts",
    Permission.SECURITY_INCIDENT_READ_WRITE: "see, change, see alerts, change alerts",
    Permission.SECURITY_ALERT_READ: "see alerts",
    Permission.SECURITY_ALERT_READ_WRITE: "see alerts, change alerts",
    Permission.INGEST: "",
}


@pytest.mark.parametrize("permission", PERMITTED)
def test_each_permission_opens_what_it_names(client: Client, permission: Permission) -> None:
    client.ingest(native(1))
    headers = {"authorization": f"Bearer {client.token_for('app', permission)}"}
    rights = PERMITTED[permission].split(", ")

    def check(right: str, method: str, path: str) -> None:
        body = {"assignedTo": "x"} if method == "PATCH" else None
        answer = client.http.request(method, path, headers=headers, json=body)
        assert answer.status_code == (200 if right in rights else 403), (right, path)
        if answer.status_code == 403:
            message = answer.json()["error"]["message"]
            assert re.search(r"API required roles: .*ncident.*, application roles: " + permission, message)

    for root in ("/v1.0/security", "/api"):
        check("see", "GET", f"{root}/incidents")
        check("see", "GET", f"{root}/incidents/1")
        check("change", "PATCH", f"{root}/incidents/1")
    check("see alerts", "GET", "/v1.0/security/alerts_v2")
    check("see alerts", "GET", "/v1.0/security/alerts_v2/tn1")
    check("change alerts", "PATCH", "/v1.0/security/alerts_v2/tn1")


def test_nobody_reads_without_a_token(client: Client) -> None:
    answer = client.http.get("/v1.0/security/incidents")
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "InvalidAuthenticationToken")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert ids(client.http.get("/v1.0/security/incidents", headers={"authorization": client.token})) == []


def test_another_tenant_sees_nothing_of_this_one(client: Client) -> None:
    client.ingest(native(1))
    client.tenant = client.registry.create_tenant("other", "11111111-2222-3333-4444-555555555555", START)
    client.token = client.token_for("theirs", Permission.READ_WRITE)
    assert ids(client.get("/v1.0/security/incidents")) == ids(client.get("/v1.0/security/alerts_v2")) == []
    for path in ("incidents/1", "alerts_v2/tn1", "incidents/1/alerts", "alerts_v2/tn1/comments"):
        assert client.get(f"/v1.0/security/{path}").status_code == 404
    headers = {"authorization": f"Bearer {client.token}"}
    for path in ("incidents/1", "alerts_v2/tn1"):
        assert client.http.patch(f"/v1.0/security/{path}", json={"assignedTo": "x"}, headers=headers).status_code == 404


def test_what_is_past_retention_is_gone(client: Client) -> None:
    client.ingest(native(1))
    clock_of(client).at += 180 * DAY + 1
    client.token = client.token_for("later", Permission.READ)
    assert ids(client.get("/v1.0/security/incidents")) == ids(client.get("/v1.0/security/alerts_v2")) == []
    assert client.get("/v1.0/security/alerts_v2/tn1").status_code == 404


def test_a_caller_over_the_quota_is_told_when_to_come_back(tmp_path: Path) -> None:
    with running(tmp_path, HandClock(), quota_per_minute=2) as client:
        left = [client.get("/v1.0/security/incidents").headers["ratelimit-remaining"] for _ in range(2)]
        assert left == ["1", "0"]
        answer = client.get("/v1.0/security/incidents")
        assert (answer.status_code, answer.json()["error"]["code"]) == (429, "TooManyRequests")
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        assert re.search(r"in (\d+) seconds", answer.json()["error"]["message"])
        assert client.get("/v1.0/security/alerts_v2").status_code == 200


def test_an_unknown_path_and_a_wrong_method_answer_in_graphs_envelope(client: Client) -> None:
    answer = client.get("/v1.0/security/nothing")
    assert (answer.status_code, set(answer.json()["error"])) == (404, {"code", "message", "innerError"})
    answer = client.http.delete("/v1.0/security/incidents")
    assert (answer.status_code, set(answer.headers["allow"].split(", "))) == (405, {"GET", "HEAD"})
    answer = client.http.delete("/v1.0/security/incidents/1")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, PATCH")
    for sibling in ("incidents/$count", "incidents/delta", "incidents/delta()", "alerts_v2/$count"):
        answer = client.http.patch(f"/v1.0/security/{sibling}", json={})
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


def wire(client: Client, target: bytes, *headers: tuple[str, str]) -> Any:
    """A request whose target reaches the server byte for byte."""
    path, _, query = target.partition(b"?")
    scheme, netloc = urlsplit(client.service.names.base_url)[:2]
    url = client.http.base_url.copy_with(scheme=scheme, netloc=netloc.encode(), raw_path=path + b"?" + query)
    return client.http.get(url, headers={"authorization": f"Bearer {client.token}", **dict(headers)})


WIRE_FORMS = [
    # Elastic, incident stream and its moving boundary
    b"/v1.0/security/incidents?$expand=alerts&$filter=lastUpdateDateTime+ge+2026-03-01T00%3A00%3A00.5Z"
    b"&$orderby=lastUpdateDateTime+asc&$skip=0&$top=50",
    b"/v1.0/security/incidents?%24expand=alerts&%24filter=lastUpdateDateTime%20gt%202026-03-01T00:00:00.1234567Z"
    b"&%24orderby=lastUpdateDateTime%20asc&%24skip=0&%24top=50",
    # Splunk SOAR
    b"/v1.0/security/incidents?$filter=lastUpdateDateTime ge 2026-03-01T00:00:00Z&$orderby=lastUpdateDateTime"
    b"&$expand=alerts&$top=50&$skip=0".replace(b" ", b"%20"),
    # OpenCTI: one key with a dollar, one with its escape
    b"/v1.0/security/incidents?$expand=alerts&%24filter=lastUpdateDateTime%20gt%202026-03-01T00%3A00%3A00%2B00%3A00",
    # Wazuh
    b"/v1.0/security/incidents?$filter=createdDateTime+ge+2026-03-01T00:00:00Z+and+createdDateTime+lt+2026-03-09T00:00:00Z",
    # Sekoia
    b"/v1.0/security/incidents?$filter=lastUpdateDateTime%20gt%202026-03-01T00:00:00.123456Z%20and%20"
    b"lastUpdateDateTime%20le%202026-03-09T00:00:00.123456Z&$top=1000&$format=json",
    # Nested expansion, and parentheses three deep
    b"/beta/security/incidents?$expand=alerts($expand=evidence),comments&$filter=%28%28%28assignedTo%20eq%20null%29%29%29",
    # msgraph-sdk
    b"/v1.0//security/incidents?%24top=5&%24filter=status%20eq%20%27active%27",
]


@pytest.mark.parametrize("target", WIRE_FORMS)
@pytest.mark.parametrize("resource", [b"incidents", b"alerts_v2"])
def test_requests_of_public_clients_are_answered_as_they_are_sent(
    client: Client, target: bytes, resource: bytes
) -> None:
    client.ingest(native(1))
    target = target.replace(b"/incidents", b"/" + resource)
    if resource == b"alerts_v2":
        target = target.replace(b"$expand=alerts&", b"").replace(b"%24expand=alerts&", b"")
        target = target.replace(b"&$expand=alerts", b"").replace(b"$expand=alerts($expand=evidence),comments&", b"")
        target = target.replace(b"'active'", b"'new'").replace(b"%27active%27", b"%27new%27")
    answer = wire(client, target, ("content-type", "application/x-www-form-urlencoded"), ("content-length", "0"))
    assert len(ids(answer)) == 1


@pytest.mark.parametrize("path", ["/v2.0/security/incidents", "/v1.0/security/nothing", "/v1.0/me"])
def test_paths_that_are_not_there_are_answered_as_graph_does(client: Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert "innerError" in answer.json()["error"]


def test_incidents_are_filtered_by_custom_tag(client: Client) -> None:
    client.ingest(native(1), native(2))
    token = client.token_for("tagger", Permission.READ_WRITE)
    headers = {"authorization": f"Bearer {token}"}
    assert (
        client.http.patch("/v1.0/security/incidents/1", json={"customTags": ["vip"]}, headers=headers).status_code
        == 200
    )
    answer = client.http.get("/v1.0/security/incidents?$filter=customTags/any(t:t eq 'vip')", headers=headers)
    assert [each["id"] for each in answer.json()["value"]] == ["1"]
