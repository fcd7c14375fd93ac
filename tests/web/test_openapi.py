"""The description of the routes: all of them and no others, with types that the real answers have."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from starlette.routing import Route

from house import Client, HandClock, native, running, shared_url
from tocsin.access import Permission
from tocsin.dialects.graph import GraphError
from tocsin.dialects.graph_objects import GraphAlert, GraphIncident
from tocsin.dialects.machines import Machine, MachineAlertPage, MachinePage
from tocsin.web.openapi import shapes
from tocsin.web.openapi.operations import OPERATIONS

PORTAL = re.compile(
    r"/(incidents.*|sign-(in(/.*)?|out)|device|static/.*|\{tenant\}/oauth2/(v2\.0/)?(authorize|logout)|)"
)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder: Path = tmp_path_factory.mktemp("store")
    with running(folder, HandClock(), quota_per_minute=1000) as found:
        whole: dict[str, Any] = {
            "devices": [{"deviceDnsName": "pc1.corp.example", "mdatpDeviceId": "cd" * 20}],
            "entities": [
                *shared_url("a"),
                {"entityType": "Process", "processId": 7, "processCreationTime": "2026-03-02T08:00:00Z"},
                {"entityType": "User", "accountName": "ann"},
            ],
        }
        found.ingest(native(1, **whole), native(2, entities=shared_url("b")))
        found.ingest(native(3, entities=shared_url("a") + shared_url("b")))
        yield found


@pytest.fixture(scope="module")
def document(client: Client) -> Any:
    return client.http.get("/openapi.json").json()


def test_every_route_is_described_and_everything_described_is_a_route(client: Client, document: Any) -> None:
    served = set()
    for route in client.http.app.routes:  # type: ignore[attr-defined]
        assert isinstance(route, Route)
        path = route.path.replace("/{root:graph}", "/{version}/security").replace(":item}", "}")
        if not PORTAL.fullmatch(path):
            served |= {(method, path) for method in (route.methods or set()) - {"HEAD"}}
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert described == served == {(each.method, each.path) for each in OPERATIONS}


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for each in node.values():
            yield from references(each)
    elif isinstance(node, list):
        for each in node:
            yield from references(each)


def test_the_document_is_whole(client: Client, document: Any) -> None:
    assert document["openapi"] == "3.1.0"
    assert document["servers"] == [{"url": client.service.names.base_url}]
    named = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert set(references(document)) == named
    operations = [each for methods in document["paths"].values() for each in methods.values()]
    ids = [each["operationId"] for each in operations]
    assert len(set(ids)) == len(ids)
    schemes = document["components"]["securitySchemes"]
    for each in operations:
        assert {name for need in each["security"] for name in need} <= schemes.keys()
    for path, methods in document["paths"].items():
        for each in methods.values():
            placed = {one["name"] for one in each.get("parameters", []) if one["in"] == "path"}
            assert placed == set(re.findall(r"\{(\w+)\}", path))


def test_every_right_is_said_where_it_is_needed(document: Any) -> None:
    need = document["paths"]["/{version}/security/alerts_v2/{alert_id}"]["patch"]["security"]
    roles = [role for each in need for role in each.get("application", ())]
    assert roles == ["SecurityAlert.ReadWrite.All", "Incident.ReadWrite.All", "SecurityIncident.ReadWrite.All"]
    scopes = [scope for each in need for scope in each.get("person", ())]
    assert scopes == ["SecurityAlert.ReadWrite.All", "Incident.ReadWrite", "SecurityIncident.ReadWrite.All"]
    assert {"ingestKey": []} in document["paths"]["/ingest/{sender}"]["post"]["security"]


MACHINE = "cd" * 20
ANSWERS: list[tuple[str, Any]] = [
    ("/api/incidents", shapes.IncidentPage),
    ("/api/incidents/1", shapes.Incident),
    ("/api/incidents/9", shapes.ErrorBody),
    ("/api/machines", MachinePage),
    ("/api/machines?$select=computerDnsName", MachinePage),
    (f"/api/machines/{MACHINE}", Machine),
    (f"/api/machines/{MACHINE}/alerts", MachineAlertPage),
    ("/v1.0/security/incidents?$expand=alerts&$count=true&$top=1", shapes.GraphIncidentPage),
    ("/v1.0/security/incidents/1?$expand=alerts", GraphIncident),
    ("/v1.0/security/incidents/delta", shapes.GraphChanges),
    ("/v1.0/security/alerts_v2?$top=1", shapes.GraphAlertPage),
    ("/v1.0/security/alerts_v2/tn1", GraphAlert),
    ("/v1.0/security/alerts_v2/tn1/comments", shapes.GraphComments),
    ("/v1.0/security/alerts_v2/tn9", GraphError),
]


@pytest.mark.parametrize(("path", "kind"), ANSWERS)
def test_an_answer_has_the_type_that_is_described_and_nothing_besides(client: Client, path: str, kind: Any) -> None:
    answer = client.get(path)
    decoded = msgspec.json.decode(answer.content, type=kind)
    again = msgspec.json.decode(msgspec.json.encode(decoded))
    told = answer.json()
    if "@odata.context" not in again:
        told.pop("@odata.context", None)
    assert without_null(again) == without_null(told)


def without_null(node: Any) -> Any:
    """Entities leave out what is not known, and a type cannot say so."""
    if isinstance(node, dict):
        return {name: without_null(each) for name, each in node.items() if each is not None}
    return [without_null(each) for each in node] if isinstance(node, list) else node


def test_the_page_names_every_route_and_asks_nobody_for_anything(client: Client, document: Any) -> None:
    answer = client.http.get("/docs")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    for path in document["paths"]:
        assert path in answer.text
    assert not re.search(r"<script|\ssrc=|\sstyle=|\son\w+=|url\(|@import|https?://", answer.text)


def test_the_description_names_the_server_as_the_reader_does(client: Client) -> None:
    answer = client.http.get("/openapi.json", headers={"host": "localhost:8443"})
    assert answer.json()["servers"] == [{"url": "https://localhost:8443"}]


def test_what_is_described_as_acceptable_is_accepted(client: Client) -> None:
    headers = {"authorization": f"Bearer {client.token_for('soar', Permission.READ_WRITE)}"}
    for root, kind in (("/api", shapes.IncidentUpdate), ("/v1.0/security", shapes.GraphIncidentUpdate)):
        schema = msgspec.json.schema_components([kind])[1][kind.__name__]["properties"]
        for name in ("status", "classification", "determination"):
            options = next(each for each in (schema[name], *schema[name].get("anyOf", [])) if "enum" in each)
            for value in options["enum"]:
                answer = client.http.patch(f"{root}/incidents/1", json={name: value}, headers=headers)
                assert answer.status_code == 200, answer.text
