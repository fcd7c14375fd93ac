"""Every request form of the known clients of `/api/incidents`, as its own bytes, through the real server over TLS.

The table of `clients.md` says who sends what; the values are ours.
"""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.testclient import TestClient

from house import START, Client, HandClock, native
from tocsin.access import Permission
from tocsin.app import asgi
from tocsin.config import Settings
from tocsin.identity.authority import ensure_tls
from tocsin.service import Service
from tocsin.ticks import MINUTE

# The incidents, newest change first: 4 (resolved 09:04), 2 (taken over 09:02), 3 (high, 09:01), 1 (09:00).
ALL = [4, 2, 3, 1]
PAGE_HEAD = "Host: {host}\r\nAuthorization: Bearer {token}\r\nAccept: */*\r\n\r\n"


class Wire:
    """A server in a thread, and a socket to it for each request."""

    def __init__(self, service: Service, port: int, token: str, cafile: str) -> None:
        self.service, self.port, self.token = service, port, token
        self._context = ssl.create_default_context(cafile=cafile)

    def send(self, request: str, body: bytes = b"", **values: str) -> tuple[int, dict[str, str], Any]:
        """(status, headers, JSON) of the answer to these bytes; `{token}` and `{host}` are filled in."""
        filled = {"token": self.token, "host": f"localhost:{self.port}", **values}
        for name, value in filled.items():
            request = request.replace(f"{{{name}}}", value)
        with (
            socket.create_connection(("localhost", self.port), timeout=30) as plain,
            self._context.wrap_socket(plain, server_hostname="localhost") as connection,
        ):
            connection.sendall(request.encode() + body)
            return self._answer(connection)

    def _answer(self, connection: ssl.SSLSocket) -> tuple[int, dict[str, str], Any]:
        received = b""
        while b"\r\n\r\n" not in received:
            received += connection.recv(65536)
        head, _, content = received.partition(b"\r\n\r\n")
        first, *more = head.decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in more)
        while len(content) < int(headers["content-length"]):
            content += connection.recv(65536)
        assert headers["content-type"].startswith("application/json")
        return int(first.split(" ")[1]), headers, json.loads(content)


@contextmanager
def serving(folder: Path) -> Iterator[Wire]:
    """A server with the four incidents."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    clock = HandClock()
    settings = Settings(data_dir=folder, listen_port=port, quota_per_minute=10_000, quota_per_hour=10_000)
    service = Service(settings, clock, lambda: None)
    tls = ensure_tls(settings.data_dir, service.names.certificate_hosts, clock())
    config = uvicorn.Config(
        asgi(service), host="localhost", port=port, http="httptools", ssl_certfile=str(tls.server), log_config=None
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    client = Client(service, TestClient(asgi(service), base_url=service.names.base_url))
    client.token = client.token_for("everything", Permission.READ_WRITE)
    fill(client, clock)
    thread.start()
    try:
        while not server.started:
            thread.join(0.01)
        yield Wire(service, port, client.token, str(settings.data_dir / "tls" / "ca.pem"))
    finally:
        server.should_exit = True
        thread.join()
        service.close()


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    with serving(tmp_path_factory.mktemp("wire")) as found:
        yield found


@pytest.fixture(scope="module")
def changing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    with serving(tmp_path_factory.mktemp("changing")) as found:
        yield found


def fill(client: Client, clock: HandClock) -> None:
    """The four incidents."""

    def patch(incident_id: int, **changes: str) -> None:
        answer = client.http.patch(
            f"/api/incidents/{incident_id}", json=changes, headers={"authorization": f"Bearer {client.token}"}
        )
        assert answer.status_code == 200

    client.ingest(native(1), native(2))
    clock.at = START + MINUTE
    client.ingest(native(3, severity="High"))
    clock.at = START + 2 * MINUTE
    patch(2, status="InProgress", assignedTo="ann.o'neil@example.org")
    clock.at = START + 3 * MINUTE
    client.ingest(native(4))
    clock.at = START + 4 * MINUTE
    patch(4, status="Resolved")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        # Cortex XSOAR, whose library percent-encodes the names too.
        ("%24top=100&%24skip=0&%24filter=createdTime+gt+2026-03-02T09%3A00%3A00Z", [4, 2, 3]),
        ("%24top=100&%24filter=createdTime+gt+2026-03-02T09%3A00%3A00.0000001Z", [4, 3]),
        ("%24filter=status+eq+%27InProgress%27+and+assignedTo+eq+%27ann.o%27%27neil%40example.org%27", [2]),
        ("%24filter=status+eq+%27Active%27&%24top=50&%24skip=0", [3, 1]),
        ("%24filter=lastUpdateTime+gt+2026-03-02T09%3A02%3A00.0000000Z&%24top=100", [4]),
        ("%24top=100&%24skip=100", []),
        # Rapid7 InsightConnect
        ("$filter=createdTime%20ge%202026-03-02T09:01:00.000000Z", [4, 3]),
        (
            "$filter=createdTime%20ge%202026-03-02T09:01:00Z%20and%20lastUpdateTime%20ge%202026-03-02T09:02:00.500000Z",
            [4],
        ),
        # IBM QRadar SOAR
        ("$filter=lastUpdateTime%20ge%202026-03-02T09:01:00Z", [4, 2, 3]),
        # Splunk add-ons: raw, echoing the stamp they were given
        ("$filter=lastUpdateTime+gt+2026-03-02T09:01:00.0000000Z", [4, 2]),
        # Elastic's log stream: any number of digits
        ("$filter=lastUpdateTime+gt+2026-03-02T09:02:00Z", [4]),
        ("$filter=lastUpdateTime%20gt%202026-03-02T09:01:59.9Z", [4, 2]),
        ("$filter=lastUpdateTime%20gt%202026-03-02T09:01:59.99999Z", [4, 2]),
        ("$filter=lastUpdateTime%20gt%202026-03-02T09:01:59.9999999Z", [4, 2]),
        # Tracecat: free text, severity, an order
        ("$filter=severity%20eq%20'High'&$orderby=lastUpdateTime%20desc", [3]),
        ("$orderby=lastUpdateTime%20desc", ALL),
        ("$orderby=lastUpdateTime", ALL[::-1]),
        # The documents' own PowerShell line: the shell ate the name of the option
        ("=lastUpdateTime+ge+2026-03-02T09:04:00.0000000Z", ALL),
        # Names as $x and %24x in one address, a zone with and without its plus encoded, foreign options
        ("$top=1&%24filter=lastUpdateTime%20ge%202026-03-02T09:01:00%2B00:00", [4]),
        ("$filter=lastUpdateTime+ge+2026-03-02T10%3A02%3A00%2B01%3A00", [4, 2]),
        ("$filter=%28status%20eq%20%27Active%27%20or%20status+eq+'Resolved'%29&api-version=2", [4, 3, 1]),
        ("$filter=assignedTo%20eq%20null%20and%20not%20(status%20eq%20'Resolved')", [3, 1]),
        ("$FILTER=incidentId+in+(1,3)&$TOP=100", [3, 1]),
        ("$skip=1000", []),
        ("$top=0", []),
        ("", ALL),
    ],
)
def test_a_list_request_gets_what_its_client_means(wire: Wire, query: str, expected: list[int]) -> None:
    status, headers, found = wire.send(f"GET /api/incidents?{query} HTTP/1.1\r\n{PAGE_HEAD}")
    assert status == 200, found
    assert [incident["incidentId"] for incident in found["value"]] == expected
    assert headers["odata-version"] == "4.0"
    assert "@odata.nextLink" not in found


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("$top=101", "limit of '100' for Top"),
        ("$filter=lastUpdateTime%20ge%202026-03-02T09:00:0Z", "at '18'"),
        ("$filter=lastUpdateTime+ge+2026-03-02T09:01:00+00:00", "written %2B"),
        ("$filter=lastUpdateTime+ge+'2026-03-02T09:01:00Z'", "incompatible types"),
        ("$filter=nothing+eq+1", "'nothing'"),
        ("$expand=alerts", "$expand"),
        ("$filter=%zz", "%zz"),
    ],
)
def test_a_wrong_list_request_is_400_as_json(wire: Wire, query: str, said: str) -> None:
    status, _, found = wire.send(f"GET /api/incidents?{query} HTTP/1.1\r\n{PAGE_HEAD}")
    assert status == 400
    assert said in found["error"]["message"]


@pytest.mark.parametrize(
    "headers",
    [
        "Authorization: {token}",
        "authorization: bearer {token}",
        "AUTHORIZATION: Bearer {token}",
        # Wazuh
        "Authorization: Bearer {token}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 0",
        "Authorization: Bearer {token}\r\nContent-Type: application/json\r\nAccept: application/json",
        "Authorization: Bearer {token}\r\nAccept-Encoding: gzip, deflate, br\r\nConnection: close",
    ],
)
def test_headers_as_clients_send_them(wire: Wire, headers: str) -> None:
    status, _, found = wire.send(f"GET /api/incidents HTTP/1.1\r\nHost: {{host}}\r\n{headers}\r\n\r\n")
    assert status == 200
    assert len(found["value"]) == 4


@pytest.mark.parametrize("host", ["api.security.microsoft.com", "api.securitycenter.microsoft.com", "eu.example"])
def test_any_host_name_is_answered_under_our_own(wire: Wire, host: str) -> None:
    status, _, found = wire.send(f"GET /api/incidents HTTP/1.1\r\n{PAGE_HEAD}", host=host)
    assert status == 200
    assert found["@odata.context"].startswith(wire.service.names.base_url)


def test_links_are_https_on_the_called_origin_and_lead_through_all(wire: Wire) -> None:
    target, got = "/api/incidents", []
    prefer = "Prefer: odata.maxpagesize=3\r\n"
    while target:
        status, headers, found = wire.send(f"GET {target} HTTP/1.1\r\n{prefer}{PAGE_HEAD}")
        assert status == 200
        assert headers["preference-applied"] == "odata.maxpagesize=3"
        got.append([incident["incidentId"] for incident in found["value"]])
        link = found.get("@odata.nextLink", "")
        assert not link or link.startswith(f"https://localhost:{wire.port}/api/incidents?")
        target = link.partition(str(wire.port))[2]
    assert got == [ALL[:3], ALL[3:]]


def test_one_incident_and_none_are_json(wire: Wire) -> None:
    status, _, found = wire.send(f"GET /api/incidents/3 HTTP/1.1\r\n{PAGE_HEAD}")
    assert (status, found["incidentId"], len(found["alerts"])) == (200, 3, 1)
    status, _, found = wire.send(f"GET /api/incidents/99 HTTP/1.1\r\n{PAGE_HEAD}")
    assert (status, found["error"]["code"]) == (404, "ResourceNotFound")
    status, _, found = wire.send("GET /api/incidents HTTP/1.1\r\nHost: {host}\r\n\r\n")
    assert (status, found["error"]["code"]) == (401, "Unauthorized")


def test_the_seeds_own_example_lists(wire: Wire) -> None:
    for extra in ("", "Content-Length: 0\r\n", "Content-Type: application/json\r\nContent-Length: 0\r\n"):
        status, _, found = wire.send(f"PATCH /api/incidents?$top=10 HTTP/1.1\r\n{extra}{PAGE_HEAD}")
        assert (status, len(found["value"])) == (200, 4)


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        # XSOAR, Rapid7, Splunk add-on, Swimlane: the whole list of tags, one comment, an owner and how to be rid of one
        (
            "Content-Type: application/json",
            b'{"status": "Active", "assignedTo": "ann", "classification": "TruePositive",'
            b' "determination": "CompromisedUser", "tags": ["a", "b"], "comment": "seen"}',
            {"assignedTo": "ann", "determination": "CompromisedAccount", "tags": ["a", "b"]},
        ),
        ("Content-Type: application/json; charset=utf-8", b'{"assignedTo":""}', {"assignedTo": None}),
        ("Content-Type: application/json;charset=UTF-8", b'{"tags":[]}', {"tags": []}),
        ("X-Nothing: said", b'{"determination":"Clean"}', {"determination": "NotMalicious"}),
        (
            "Accept: application/json",
            b' {\r\n "classification" : "FalsePositive" }\r\n',
            {"classification": "FalsePositive"},
        ),
    ],
)
def test_an_update_is_taken_as_it_is_sent(changing: Wire, headers: str, body: bytes, expected: dict[str, Any]) -> None:
    for framing, content in (
        (f"Content-Length: {len(body)}", body),
        ("Transfer-Encoding: chunked", b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)),
    ):
        head = f"PATCH /api/incidents/1 HTTP/1.1\r\n{headers}\r\n{framing}\r\n{PAGE_HEAD}"
        status, _, found = changing.send(head, content)
        assert status == 200, found
        assert {name: found[name] for name in expected} == expected
        assert len(found["alerts"]) == 1
