"""`POST /ingest/{sender}`: forms of bodies, bounds, answers, refused inputs and their retry."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from starlette.requests import Request
from starlette.types import Message
from structlog.testing import capture_logs

from house import Client, HandClock, lines, native, running
from tocsin.errors import InvalidInput
from tocsin.web import bodies
from tocsin.web.intake import BODIES_BYTES_MAX


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with running(tmp_path, HandClock(), quota_per_minute=1000, body_bytes_max=100_000) as found:
        yield found


@pytest.mark.parametrize("form", ["lines", "array", "object", "pretty"])
def test_an_object_an_array_and_json_lines_are_taken(client: Client, form: str) -> None:
    alert = native(1)
    body = {
        "lines": lines([alert, native(2)]),
        "array": msgspec.json.encode([alert, native(2)]),
        "object": msgspec.json.encode(alert),
        "pretty": msgspec.json.format(msgspec.json.encode(alert), indent=2),
    }[form]
    answer = client.send(body)
    assert answer.status_code == 200
    assert answer.json()["results"][0] == {"line": 1, "result": "created", "alertId": "tn1", "incidentId": 1}
    assert answer.json()["created"] == (2 if form in ("lines", "array") else 1)


def test_a_gzip_body_is_taken(client: Client) -> None:
    packed = gzip.compress(lines([native(1)])) + gzip.compress(b"\n" + lines([native(2)]))
    assert client.send(packed, **{"content-encoding": "gzip"}).json()["created"] == 2


def test_a_large_body_is_read_beside_other_requests_and_answered_the_same(tmp_path: Path) -> None:
    with running(tmp_path, HandClock()) as client:
        answer = client.ingest(*[native(number, description="x" * 1000) for number in range(400)])
        assert answer.json()["created"] == 400


def test_a_body_above_the_limit_is_413_and_nothing_is_kept(client: Client) -> None:
    assert client.send(b"x" * 100_001).status_code == 413
    bomb = gzip.compress(b" " * 5_000_000)
    assert client.send(bomb, **{"content-encoding": "gzip"}).status_code == 413
    assert client.get("/api/incidents").json()["value"] == []


def test_a_body_that_announces_too_much_is_refused_unread(client: Client) -> None:
    def endless() -> Iterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    answer = client.http.post(
        "/ingest/native",
        content=endless(),
        headers={"authorization": f"Bearer {client.key}", "content-length": "100001"},
    )
    assert answer.status_code == 413


@pytest.mark.parametrize("encoding", ["br", "deflate"])
def test_another_encoding_is_refused_by_name(client: Client, encoding: str) -> None:
    answer = client.send(b"{}", **{"content-encoding": encoding})
    assert answer.status_code == 400
    assert encoding in answer.json()["error"]["message"]


@pytest.mark.parametrize("body", [b"not gzip at all", gzip.compress(b"{}")[:-4]])
def test_a_broken_gzip_body_is_400(client: Client, body: bytes) -> None:
    assert client.send(body, **{"content-encoding": "gzip"}).status_code == 400


def test_an_unknown_sender_is_404_and_the_known_ones_are_named(client: Client) -> None:
    answer = client.send(b"{}", sender="nobody")
    assert answer.status_code == 404
    assert "native, sentinel, suricata, wazuh" in answer.json()["error"]["message"]


def test_lines_that_are_no_alerts_are_skipped(client: Client) -> None:
    answer = client.send(b'{"event_type":"flow","timestamp":"2026-03-02T09:00:00.000000+0000"}', sender="suricata")
    assert (answer.status_code, answer.json()["skipped"]) == (200, 1)


def test_a_reader_may_not_send(client: Client) -> None:
    client.key = client.token
    assert client.ingest(native(1)).status_code == 403


def test_only_refused_lines_are_422_and_each_says_why(client: Client) -> None:
    answer = client.send(b"not json\n{}")
    assert answer.status_code == 422
    assert [each["result"] for each in answer.json()["results"]] == ["refused", "refused"]
    assert [each["line"] for each in answer.json()["results"]] == [1, 2]
    assert all(each["reason"] for each in answer.json()["results"])


def test_refused_inputs_are_listed_and_can_be_sent_again(client: Client) -> None:
    client.send(lines([native(1), {"title": "no time"}]))
    headers = {"authorization": f"Bearer {client.key}"}
    (listed,) = client.http.get("/ingest/refused", headers=headers).json()["value"]
    assert (listed["sender"], listed["line"]) == ("native", 2)
    assert msgspec.json.decode(listed["body"]) == {"title": "no time"}
    again = client.http.post("/ingest/refused/retry", headers=headers, json={"ids": [listed["refusedId"]]})
    assert again.json()["refused"] == 1
    (kept,) = client.http.get("/ingest/refused", headers=headers).json()["value"]
    assert kept["refusedId"] != listed["refusedId"]
    assert kept["body"] == listed["body"]


def test_a_refused_input_that_can_be_read_now_becomes_an_alert(client: Client) -> None:
    client.send(lines([{"title": "no time"}]))
    connection = client.registry._connection
    connection.execute("UPDATE refused SET body = ?", (lines([native(9)]),))  # as if the sender had learnt to read it
    answer = client.http.post("/ingest/refused/retry", headers={"authorization": f"Bearer {client.key}"})
    assert answer.json()["created"] >= 1
    assert client.http.get("/ingest/refused", headers={"authorization": f"Bearer {client.key}"}).json()["value"] == []


def large_and_refused(client: Client) -> dict[str, str]:
    """Four inputs of 6 MB, three of which fill a page; gives the headers to ask for them with."""
    for each in (b"w", b"x", b"y", b"z"):
        client.send(each * 6_000_000)
    return {"authorization": f"Bearer {client.key}"}


def test_large_refused_inputs_are_listed_a_bounded_page_at_a_time(tmp_path: Path) -> None:
    with running(tmp_path, HandClock()) as client:
        headers = large_and_refused(client)
        pages, above = [], 0
        while page := client.http.get(f"/ingest/refused?above={above}", headers=headers).json()["value"]:
            pages.append([each["refusedId"] for each in page])
            above = page[-1]["refusedId"]
    assert pages == [[1, 2, 3], [4]]


@pytest.mark.parametrize("asked", [{"ids": [1, 2, 3, 4]}, {}], ids=["named", "all"])
def test_a_retry_of_more_than_a_page_tries_each_input_once(tmp_path: Path, asked: dict[str, list[int]]) -> None:
    with running(tmp_path, HandClock()) as client:
        headers = large_and_refused(client)
        answer = client.http.post("/ingest/refused/retry", headers=headers, json=asked).json()
    assert answer["refused"] == 4
    assert sorted(each["refusedId"] for each in answer["results"]) == [5, 6, 7, 8]


def test_the_same_refused_input_is_kept_once_of_each_sender(client: Client) -> None:
    body = b'{"title": 1}'
    first = client.send(body).json()["results"][0]["refusedId"]
    assert client.send(body + b"\n" + body).json()["results"][1]["refusedId"] == first
    headers = {"authorization": f"Bearer {client.key}"}
    other = client.http.post("/ingest/wazuh", content=body, headers=headers).json()["results"][0]["refusedId"]
    assert other != first
    assert len(client.http.get("/ingest/refused", headers=headers).json()["value"]) == 2
    again = client.http.post("/ingest/refused/retry", headers=headers, json={"ids": [first]}).json()
    assert again["results"][0]["refusedId"] > other
    assert client.send(body).json()["results"][0]["refusedId"] == again["results"][0]["refusedId"]


def test_refused_input_is_read_as_another_senders_when_that_is_said(client: Client) -> None:
    headers = {"authorization": f"Bearer {client.key}"}
    client.http.post("/ingest/wazuh", content=lines([native(1)]), headers=headers)
    wrong = client.http.post("/ingest/refused/retry", headers=headers, json={"sender": "nobody"})
    assert wrong.status_code == 404
    assert client.http.post("/ingest/refused/retry", headers=headers, json={"sender": "native"}).json()["created"] == 1
    assert client.http.get("/ingest/refused", headers=headers).json()["value"] == []


def test_what_bodies_take_of_the_memory_is_given_back_whatever_becomes_of_them(tmp_path: Path) -> None:
    with running(tmp_path, HandClock()) as client:
        large = b"x" * (BODIES_BYTES_MAX // 8)
        answers = [client.send(large).status_code for _ in range(10)]
        answers += [client.send(large, **{"content-encoding": "gzip"}).status_code for _ in range(10)]
        assert answers == [422] * 10 + [400] * 10


def test_a_request_leaves_one_line_of_counts_and_nothing_of_what_was_sent(client: Client) -> None:
    with capture_logs() as found:
        client.send(lines([native(1, title="a secret title")]) + b'\n{"title": "another secret"}')
    (line,) = [each for each in found if each["event"] == "ingested"]
    assert (line["sender"], line["created"], line["refused"]) == ("native", 1, 1)
    assert isinstance(line["ms"], int)
    assert "secret" not in str(found)


def test_a_body_that_comes_too_slowly_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never() -> Message:
        await asyncio.Event().wait()
        raise AssertionError("the event is never set")

    monkeypatch.setattr(bodies, "BODY_SECONDS_MAX", 0.01)
    request = Request({"type": "http", "headers": []}, never)
    with pytest.raises(InvalidInput, match="seconds"):
        asyncio.run(bodies.read_body(request, 1000))
