"""What people and programs do at every kind of route is in the audit log with who, what and how it ended."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.routing import Route
from starlette.testclient import TestClient

from house import Client, HandClock, native, running
from tocsin.access import Permission
from tocsin.audit import Action, Outcome, Record, decode_record
from tocsin.identity.passwords import hash_password
from tocsin.identity.people import Right
from tocsin.stores.sqlite import auditing
from tocsin.stores.sqlite.connection import DATABASE_NAME, open_reader, open_side_writer
from tocsin.stores.sqlite.people import People
from tocsin.web.csrf import FIELD
from visitor import Tree, page, sign_in

OWN = {"origin": "https://127.0.0.1:8443"}
PASSWORD = "a fine long password"


@pytest.fixture(name="client")
def client_fixture(tmp_path: Path) -> Iterator[Client]:
    with running(tmp_path, HandClock()) as client:
        client.ingest(native(1), native(2), native(3))
        yield client


def records(client: Client) -> list[Record]:
    """The audit log, after what waits was written."""
    if (written := client.service.witness.flush(client.service.writer)) is not None:
        written.result(10)
    connection = open_reader(client.service.settings.data_dir / DATABASE_NAME)
    found = [decode_record(row.record) for row in auditing.rows(connection)]
    connection.close()
    return [each for each in found if each is not None]


def last(client: Client) -> Record:
    return records(client)[-1]


def add_ann(client: Client) -> str:
    """A person who reads incidents of one service alone; gives her id."""
    connection = open_side_writer(client.service.settings.data_dir / DATABASE_NAME)
    people, tenant_id = People(connection), client.tenant.tenant_id
    ann = people.create_user(tenant_id, "ann@corp.example", now=1, password_hash=hash_password(PASSWORD))
    role = people.create_role(tenant_id, "some", (Right.READ,), workloads=["Other"])
    people.set_roles(tenant_id, ann.user_id, [role.role_id])
    connection.close()
    return ann.user_id


def type_in(client: Client, password: str, **headers: str) -> Any:
    (token,) = [each for each in Tree(client.http.get("/sign-in").text).all("input") if each.get("name") == FIELD]
    data = {FIELD: token["value"] or "", "name": "ann@corp.example", "password": password}
    return client.http.post("/sign-in", data=data, headers={**OWN, **headers}, follow_redirects=False)


def test_signing_in_and_out_with_a_password_names_the_person(client: Client) -> None:
    ann = add_ann(client)
    assert type_in(client, "wrong").status_code == 401
    found = last(client)
    assert (found.action, found.outcome, found.actor) == (Action.SIGN_IN, Outcome.REFUSED, "")
    assert "wrong name or password" in found.detail
    assert "ann" not in found.detail, "what is typed as a name may be the password"
    assert type_in(client, PASSWORD).status_code == 303
    found = last(client)
    assert (found.action, found.outcome, found.actor) == (Action.SIGN_IN, Outcome.DONE, f"user:{ann}")
    assert (found.name, found.tenant) == ("ann@corp.example", client.tenant.guid)
    (token,) = [each for each in page(client, "/incidents").all("input") if each.get("name") == FIELD]
    client.http.post("/sign-out", data={FIELD: token["value"] or ""}, headers=OWN, follow_redirects=False)
    found = last(client)
    assert (found.action, found.outcome) == (Action.SIGN_OUT, Outcome.DONE)
    assert found.actor.startswith(f"user:{ann}")


def test_what_is_hidden_is_on_record_as_asked_for_and_not_got(client: Client) -> None:
    ann = add_ann(client)
    assert type_in(client, PASSWORD).status_code == 303
    assert client.http.get("/incidents/1").status_code == 404
    found = last(client)
    assert (found.action, found.outcome) == (Action.READ, Outcome.FAILED)
    assert found.actor.startswith(f"user:{ann}")
    assert "status 404" in found.detail


def test_a_link_signs_in_the_operator_and_pages_are_reads_of_theirs(client: Client) -> None:
    sign_in(client)
    page(client, "/incidents/2")
    found = [each for each in records(client) if each.actor == "operator:(sign-in link)"]
    assert found[0].action is Action.SIGN_IN
    assert (Action.READ, "GET /incidents/2") in [(each.action, each.target) for each in found]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/incidents/1/merge", {"incidentIds": [2]}),
        ("/api/incidents/1/move", {"alertIds": ["tn1"], "incidentId": 2}),
    ],
)
def test_regrouping_is_a_change_with_a_record_and_a_refused_one_is_a_refusal(
    client: Client, path: str, body: dict[str, Any]
) -> None:
    refused = client.http.post(path, json=body, headers={"authorization": f"Bearer {client.token}"})
    assert refused.status_code == 403
    found = last(client)
    assert (found.action, found.outcome, found.name) == (Action.CHANGE, Outcome.REFUSED, "reader")
    token = client.token_for("operator", Permission.READ_WRITE)
    done = client.http.post(path, json=body, headers={"authorization": f"Bearer {token}"})
    assert done.status_code == 200, done.text
    found = last(client)
    assert (found.action, found.outcome, found.name) == (Action.CHANGE, Outcome.DONE, "operator")
    assert found.target == f"POST {path}"


def test_tokens_that_were_refused_and_calls_without_one_are_refusals(client: Client) -> None:
    client.http.post(f"/{client.tenant.guid}/oauth2/v2.0/token", data={"grant_type": "client_credentials"})
    found = last(client)
    assert (found.action, found.outcome) == (Action.SIGN_IN, Outcome.FAILED)
    client.http.get("/api/incidents")
    found = last(client)
    assert (found.action, found.outcome, found.actor) == (Action.READ, Outcome.REFUSED, "")
    assert client.http.post("/ingest/native", content=b"{}").status_code == 401
    found = last(client)
    assert (found.action, found.outcome) == (Action.INGEST, Outcome.REFUSED)


def test_every_page_that_takes_a_form_refuses_other_sites_and_forms_without_a_token(client: Client) -> None:
    add_ann(client)
    assert type_in(client, PASSWORD).status_code == 303
    forms = [
        each.path
        for each in client.http.app.routes  # type: ignore[attr-defined]
        if isinstance(each, Route) and "POST" in (each.methods or ()) and is_page(each.path)
    ]
    assert {"/sign-in", "/sign-out", "/device"} <= set(forms)
    for path in forms:
        for headers in (OWN, {"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site", **OWN}, {}):
            for data in ({"name": "ann"}, {FIELD: "0" * 64}):
                answer = client.http.post(path, data=data, headers=headers, follow_redirects=False)
                assert answer.status_code == 403, f"{path} {headers} {data}: {answer.status_code}"


def is_page(path: str) -> bool:
    """Whether a browser shows it; the rest is for programs, which send no cookies."""
    return not path.startswith(("/api", "/{root", "/ingest", "/{tenant}"))


def test_guesses_are_counted_by_the_address_that_a_trusted_proxy_names_and_by_no_other(tmp_path: Path) -> None:
    with running(tmp_path, HandClock()) as client:
        add_ann(client)
        assert statuses(client, "testclient") == [401] * 10 + [400] * 2, "a stranger's header is not believed"
    with running(tmp_path / "behind", HandClock(), trusted_proxies="10.0.0.0/8") as client:
        add_ann(client)
        assert statuses(client, "10.0.0.1") == [401] * 12, "each client behind the proxy is counted by itself"


def statuses(client: Client, peer: str) -> list[int]:
    """A dozen wrong passwords, each with another forwarded address."""
    client.http = TestClient(client.http.app, base_url=client.service.names.base_url, client=(peer, 4711))
    return [type_in(client, "wrong", **{"x-forwarded-for": f"192.0.2.{n}"}).status_code for n in range(12)]
