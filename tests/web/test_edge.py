"""What surrounds every request: headers on all routes, our own pages alone, and the audit log's note of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw
import pytest
from starlette.routing import Route
from starlette.testclient import TestClient

from house import Client, HandClock, native
from tocsin.access import Permission
from tocsin.app import asgi
from tocsin.audit import Action, Outcome, Record, decode_record, verify
from tocsin.checkpoints import load_public_key, read_checkpoints
from tocsin.config import Settings
from tocsin.service import Service
from tocsin.stores.sqlite import auditing
from tocsin.stores.sqlite.connection import DATABASE_NAME, open_reader
from tocsin.ticks import MINUTE, SECOND
from tocsin.web.deeds import action_of, target_of
from tocsin.web.headers import ANY, PAGE
from visitor import sign_in

OPEN = {"/healthz", "/docs", "/openapi.json", "/static/{name}", "/common/discovery/instance"}
PARAMETERS = {"root:graph": "v1.0/security", "incident_id": "1", "alert_id": "tn1", "sender": "native", "name": "x"}


@contextmanager
def running(data_dir: Path, clock: HandClock, **settings: Any) -> Iterator[Client]:
    """A service whose tasks of every second do not run, so that what waits, waits until a test has it written."""
    service = Service(Settings(data_dir=data_dir, **settings), clock, lambda: None)
    try:
        yield Client(service, TestClient(asgi(service), service.names.base_url, raise_server_exceptions=False))
    finally:
        service.close()


@pytest.fixture(name="clock")
def clock_fixture() -> HandClock:
    return HandClock()


@pytest.fixture(name="client")
def client_fixture(tmp_path: Path, clock: HandClock) -> Iterator[Client]:
    with running(tmp_path, clock) as client:
        client.ingest(native(1))
        yield client


def routes(client: Client) -> list[tuple[str, str]]:
    """Every method and path template that there is."""
    found = asgi(client.service).routes
    return sorted((method, each.path) for each in found if isinstance(each, Route) for method in each.methods or ())


def filled(template: str, client: Client) -> str:
    values = {**PARAMETERS, "tenant": client.tenant.guid}
    return re.sub(
        r"\{([^}]+)\}", lambda found: values.get(found[1], values.get(found[1].partition(":")[0], "1")), template
    )


def records(client: Client, *, flush: bool = True) -> list[Record]:
    """The audit log, after what waits was written."""
    if flush and (written := client.service.witness.flush(client.service.writer)) is not None:
        written.result(10)
    connection = open_reader(client.service.settings.data_dir / DATABASE_NAME)
    found = [decode_record(row.record) for row in auditing.rows(connection)]
    connection.close()
    assert None not in found
    return [each for each in found if each is not None]


def of(client: Client, action: Action, **options: Any) -> list[Record]:
    return [each for each in records(client, **options) if each.action is action]


@pytest.mark.parametrize("caller", ["nobody", "reader", "visitor"])
def test_every_answer_of_every_route_has_all_security_headers(client: Client, caller: str) -> None:
    headers = {"authorization": f"Bearer {client.token}"} if caller == "reader" else {}
    if caller == "visitor":
        sign_in(client)
    paths = [*routes(client), ("GET", "/nothing/there"), ("TRACE", "/api/incidents"), ("POST", "/incidents/1/")]
    for method, template in paths:
        answer = client.http.request(method, filled(template, client), headers=headers, follow_redirects=False)
        missing = set(ANY) - set(answer.headers)
        assert not missing, f"{method} {template} lacks {missing}"
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy, template
        assert "frame-ancestors 'none'" in policy, template
        assert "unsafe" not in policy, template
        assert answer.headers["x-content-type-options"] == "nosniff"
        if answer.headers.get("content-type", "").startswith("text/html") and template not in OPEN:
            assert policy == PAGE["content-security-policy"], template
        if template not in OPEN:
            assert answer.headers["cache-control"] == "no-store", template


def test_https_is_demanded_of_a_public_name_on_every_route(tmp_path: Path) -> None:
    with running(tmp_path, HandClock(), public_url="https://tocsin.example.org") as client:
        for host, demanded in (("tocsin.example.org", True), ("localhost:8443", False)):
            for path in ("/api/incidents", "/incidents", "/healthz", "/nothing"):
                answer = client.http.get(path, headers={"host": host})
                assert ("strict-transport-security" in answer.headers) is demanded


def test_every_route_is_known_to_the_audit_log_or_shows_nothing_private(client: Client) -> None:
    silent = {template for method, template in routes(client) if action_of(method, template) is None}
    assert {each for each in silent if "discovery" not in each and ".well-known" not in each} <= OPEN
    for method, template in routes(client):
        if method in ("POST", "PATCH", "PUT", "DELETE") and (method, template) != ("PATCH", "/api/incidents"):
            assert action_of(method, template) not in (None, Action.READ), f"{method} {template}"


@pytest.mark.parametrize("path", ["/", "/incidents", "/incidents/1", "/api/incidents/1", "/sign-out", "/anything"])
def test_what_a_browser_sends_with_our_cookie_must_come_from_our_own_page(client: Client, path: str) -> None:
    sign_in(client)
    for headers in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}, {}):
        assert client.http.post(path, headers=headers).status_code == 403
    assert client.http.post(path, headers={"sec-fetch-site": "same-origin"}).status_code in (400, 401, 403, 404, 405)
    (refused, *_) = [
        each
        for each in of(client, Action.CHANGE) + of(client, Action.READ) + of(client, Action.SIGN_OUT)
        if "not ours" in each.detail
    ]
    assert refused.outcome == "refused"


def test_programs_send_no_cookies_and_are_not_asked(client: Client) -> None:
    assert client.ingest(native(2)).status_code == 200


def test_a_read_names_who_from_where_what_and_what_was_asked(client: Client) -> None:
    client.get("/api/incidents?$filter=status eq 'Active'&$top=5&access_token=hidden")
    (read,) = of(client, Action.READ)
    assert read.actor.startswith("app:")
    assert (read.name, read.tenant, read.address) == ("reader", client.tenant.guid, "testclient")
    assert (read.target, read.outcome) == ("GET /api/incidents", "done")
    assert read.detail == "$filter=status eq 'Active' $top=5"


def test_a_refusal_is_on_record_without_what_was_sent(client: Client) -> None:
    client.http.get("/api/incidents/whatever-a-stranger-writes", headers={"authorization": "Bearer guess"})
    client.get("/ingest/refused")
    unknown, forbidden = [each for each in records(client) if each.outcome == "refused"]
    assert (unknown.actor, unknown.target, unknown.detail) == ("", "GET /api/incidents/{incident_id}", "status 401")
    assert (forbidden.name, forbidden.detail) == ("reader", "status 403")


def test_a_poller_costs_two_records_a_minute_and_none_is_lost(client: Client, clock: HandClock) -> None:
    for _ in range(40):
        assert client.get("/api/incidents").status_code == 200
        clock.at += SECOND
    clock.at += MINUTE
    assert [each.count for each in of(client, Action.READ)] == [1, 39]


def test_deliveries_are_folded_as_well(client: Client, clock: HandClock) -> None:
    for number in range(2, 12):
        client.ingest(native(number))
    clock.at += MINUTE
    assert [(each.actor[:4], each.count) for each in of(client, Action.INGEST)] == [("key:", 1), ("key:", 10)]


def test_a_sign_in_is_on_the_disk_before_its_token_is_given_out(client: Client) -> None:
    found = of(client, Action.SIGN_IN, flush=False)
    assert [(each.name, each.outcome) for each in found] == [("reader", "done")]
    assert found[0].actor.startswith("app:")


def test_a_change_is_on_record_in_its_own_transaction(client: Client) -> None:
    token = client.token_for("soar", Permission.READ_WRITE)
    body = {"status": "Resolved", "comment": "written by a person"}
    for path in ("/api/incidents/1", "/v1.0/security/incidents/1"):
        headers = {"authorization": f"Bearer {token}"}
        sent = body if path.startswith("/api") else {"status": "active"}
        assert client.http.patch(path, json=sent, headers=headers).status_code == 200
    first, second = of(client, Action.CHANGE, flush=False)
    assert (first.name, first.target) == ("soar", "PATCH /api/incidents/1")
    assert "status=Resolved" in first.detail
    assert "comment=(19 characters)" in first.detail
    assert second.target == "PATCH /v1.0/security/incidents/1"
    assert len(of(client, Action.CHANGE)) == 2, "and once alone"


def test_a_change_whose_record_cannot_be_written_does_not_happen(client: Client) -> None:
    token = client.token_for("soar", Permission.READ_WRITE)
    connection = apsw.Connection(str(client.service.settings.data_dir / DATABASE_NAME))
    connection.execute(
        "CREATE TRIGGER no_more BEFORE INSERT ON audit WHEN instr(NEW.record, '\"change\"') "
        "AND NOT instr(NEW.record, '\"failed\"') "
        "BEGIN SELECT RAISE(ABORT, 'of a test'); END"
    )
    headers = {"authorization": f"Bearer {token}"}
    answer = client.http.patch("/api/incidents/1", json={"status": "Resolved"}, headers=headers)
    assert answer.status_code >= 500
    connection.execute("DROP TRIGGER no_more")
    connection.close()
    assert client.get("/api/incidents/1").json()["status"] == "Active"
    (failed,) = of(client, Action.CHANGE)
    assert failed.outcome == "failed"


def test_what_cannot_be_written_now_waits(client: Client) -> None:
    connection = apsw.Connection(str(client.service.settings.data_dir / DATABASE_NAME))
    connection.execute("CREATE TRIGGER no_more BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'of a test'); END")
    assert client.get("/api/incidents").status_code == 200
    written = client.service.witness.flush(client.service.writer)
    assert written is not None
    with pytest.raises(apsw.ConstraintError):
        written.result(10)
    token = client.token_for("late", Permission.READ)
    assert token, "who signs in is not kept out by a log that cannot be written"
    connection.execute("DROP TRIGGER no_more")
    connection.close()
    assert len(of(client, Action.READ)) == 1
    assert [each.name for each in of(client, Action.SIGN_IN)] == ["reader", "late"]


def test_a_forged_address_does_not_reach_the_log_and_a_trusted_proxys_does(tmp_path: Path, clock: HandClock) -> None:
    forged = {"x-forwarded-for": "203.0.113.9", "forwarded": "for=203.0.113.9"}
    with running(tmp_path / "a", clock, trusted_proxies="192.0.2.0/24") as client:
        client.get("/api/incidents", **forged)
        assert [each.address for each in of(client, Action.READ)] == ["testclient"]
        client.http._transport.client = ("192.0.2.1", 50000)  # type: ignore[attr-defined]
        client.get("/api/incidents/1", **forged)
        assert [each.address for each in of(client, Action.READ)] == ["testclient", "203.0.113.9"]


def test_the_log_of_a_service_verifies_after_it_was_stopped(tmp_path: Path, clock: HandClock) -> None:
    with running(tmp_path, clock) as client:
        client.get("/api/incidents")
    folder = tmp_path / "audit"
    signed, wrong = read_checkpoints(folder / "checkpoints.jsonl", [load_public_key(folder / "audit.pub")])
    connection = open_reader(tmp_path / DATABASE_NAME)
    verdict = verify(auditing.rows(connection), signed)
    assert (verdict.findings, wrong) == ((), [])
    assert verdict.records == verdict.watched_to > 3, "nothing is newer than the last checkpoint"


@pytest.mark.parametrize(
    ("value", "outcome", "shown"),
    [
        ("7", Outcome.DONE, True),
        ("7", Outcome.FAILED, True),
        ("7", Outcome.REFUSED, False),
        ("7", None, False),
        ("tn7", Outcome.DONE, True),
        ("hunter2", Outcome.FAILED, False),
        ("x" * 41, Outcome.DONE, False),
        ("a b", Outcome.DONE, False),
        ("ä", Outcome.DONE, False),
    ],
)
def test_a_path_is_written_down_only_where_every_part_of_it_is_an_id(
    value: str, outcome: Outcome | None, shown: bool
) -> None:
    template, path = "/api/incidents/{incident_id}", f"/api/incidents/{value}"
    expected = f"GET {path if shown else template}"
    assert target_of("GET", template, path, {"incident_id": value}, outcome) == expected
