"""`PATCH /api/incidents/{id}`: what bodies are taken, what is answered, and who may."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from house import Client, HandClock, native, running, shared_url
from tocsin.access import Permission
from tocsin.ticks import SECOND


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with running(tmp_path, HandClock(), quota_per_minute=1000) as found:
        found.token = found.token_for("desk", Permission.READ_WRITE)
        yield found


def patch(client: Client, body: bytes | dict[str, Any], path: str = "/api/incidents/1", **headers: str) -> Any:
    assert isinstance(client.service.clock, HandClock)
    client.service.clock.at += SECOND
    content = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return client.http.patch(path, content=content, headers={"authorization": f"Bearer {client.token}", **headers})


def test_the_answer_is_the_whole_incident_as_a_get_gives_it(client: Client) -> None:
    client.ingest(native(1, entities=shared_url("a")), native(2, entities=shared_url("a")))
    answer = patch(
        client,
        {
            "status": "Resolved",
            "assignedTo": "ann@example.org",
            "classification": "TruePositive",
            "determination": "Malware",
            "tags": ["one", "two"],
            "comment": "looked at",
        },
    )
    assert answer.status_code == 200
    found = answer.json()
    assert next(iter(found)) == "@odata.context"
    assert found["@odata.context"].endswith("/api/$metadata#Incidents/$entity")
    assert found == client.get("/api/incidents/1").json()
    assert (found["status"], found["assignedTo"]) == ("Resolved", "ann@example.org")
    assert (found["classification"], found["determination"]) == ("TruePositive", "Malware")
    assert found["tags"] == ["one", "two"]
    (comment,) = found["comments"]
    assert list(comment) == ["comment", "createdBy", "createdTime"]
    assert re.fullmatch(r"desk \([0-9a-f-]{36}\)", comment["createdBy"])
    assert comment["createdTime"] == found["lastUpdateTime"]
    assert [alert["status"] for alert in found["alerts"]] == ["Resolved", "Resolved"]
    assert answer.headers["content-type"].startswith("application/json; odata.metadata=minimal")


def test_nobody_is_null_or_an_empty_text(client: Client) -> None:
    client.ingest(native(1))
    for nobody in ("", None):
        assert patch(client, {"assignedTo": "ann"}).json()["assignedTo"] == "ann"
        assert patch(client, {"assignedTo": nobody}).json()["assignedTo"] is None


def test_a_wrong_body_is_refused_and_changes_nothing(client: Client) -> None:
    client.ingest(native(1))
    before = client.get("/api/incidents/1").json()
    for body, named in (
        ({"severity": "High", "Status": "x"}, ["'severity' cannot", "'status'"]),
        ({"status": "Resolved", "tags": [""]}, ["tags: "]),
        (b"{", ["not JSON"]),
        (b'{"comment":"a\\u0000b"}', ["comment: "]),
    ):
        answer = patch(client, body)
        assert answer.status_code == 400
        error = answer.json()["error"]
        assert error["code"] == "InvalidRequestBody"
        for text in named:
            assert text in error["message"]
    assert client.get("/api/incidents/1").json() == before


def test_an_empty_object_and_equal_values_answer_the_incident_and_change_nothing(client: Client) -> None:
    client.ingest(native(1))
    before = client.get("/api/incidents/1").json()
    for body in ({}, {"status": "Active", "tags": [], "assignedTo": ""}, {"@odata.type": "#any"}):
        answer = patch(client, body)
        assert (answer.status_code, answer.json()) == (200, before)


def test_the_content_type_may_have_a_charset_or_be_absent(client: Client) -> None:
    client.ingest(native(1))
    for kind in ("", "application/json; charset=utf-8", "application/json;odata.metadata=minimal;charset=UTF-8"):
        headers = {"content-type": kind} if kind else {}
        answer = patch(client, '\ufeff{"comment":"zażółć"}'.encode(), **headers)
        assert answer.status_code == 200
        assert answer.json()["comments"][-1]["comment"] == "zażółć"


def test_a_change_of_a_husk_says_where_it_went(client: Client) -> None:
    client.ingest(native(1, entities=shared_url("a")), native(2, entities=shared_url("b")))
    client.ingest(native(3, entities=shared_url("a") + shared_url("b")))
    answer = patch(client, {"status": "Resolved"}, "/api/incidents/2")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BadRequest")
    assert "merged into incident 1" in answer.json()["error"]["message"]


def test_what_is_not_there_cannot_be_changed(client: Client) -> None:
    for path, status in (("2", 404), ("0", 404), ("abc", 400)):
        assert patch(client, {"status": "Active"}, f"/api/incidents/{path}").status_code == status


def test_a_reader_may_not_change(client: Client) -> None:
    client.ingest(native(1))
    client.token = client.token_for("only-reads", Permission.READ)
    answer = patch(client, {"status": "Resolved"})
    assert answer.status_code == 403
    assert "API required roles: Incident.ReadWrite.All," in answer.json()["error"]["message"]


def test_a_body_that_is_too_long_is_not_read(client: Client) -> None:
    client.ingest(native(1))
    answer = patch(client, b'{"comment":"' + b"x" * 1_100_000 + b'"}')
    assert answer.status_code == 413


def test_each_operation_has_its_own_quota_and_says_what_is_left(tmp_path: Path) -> None:
    with running(tmp_path, HandClock(), quota_per_minute=2, quota_get_per_minute=3) as client:
        client.token = client.token_for("desk", Permission.READ_WRITE)
        client.ingest(native(1))
        for left in ("1", "0"):
            listed, updated = client.get("/api/incidents"), patch(client, {})
            assert (listed.headers["ratelimit-limit"], listed.headers["ratelimit-remaining"]) == ("2", left)
            assert updated.headers["ratelimit-remaining"] == left
            assert 1 <= int(updated.headers["ratelimit-reset"]) <= 60
        assert client.get("/api/incidents/1").headers["ratelimit-remaining"] == "2"
        for denied in (client.get("/api/incidents"), patch(client, {})):
            assert denied.status_code == 429
            assert denied.headers["ratelimit-remaining"] == "0"
            assert denied.headers["ratelimit-reset"] == denied.headers["retry-after"]
        assert [client.get("/api/incidents/1").status_code for _ in range(3)] == [200, 200, 429]
