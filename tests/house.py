"""What several tests need: a hand clock, alerts in our words, a store to write to, and a service to call."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from starlette.testclient import TestClient

from tocsin.access import Permission, Scope
from tocsin.app import asgi
from tocsin.config import Settings
from tocsin.correlation.guards import Limits
from tocsin.identity.credentials import hash_secret, new_ingest_key, new_secret
from tocsin.ingest import LineResult, read_delivery
from tocsin.senders import REGISTRY
from tocsin.service import Service
from tocsin.stores.sqlite.connection import DATABASE_NAME, open_reader, open_side_writer, open_writer
from tocsin.stores.sqlite.reading import ReadStore
from tocsin.stores.sqlite.registry import Registry
from tocsin.stores.sqlite.writing import WriteStore
from tocsin.ticks import SECOND, format_ticks, parse_ticks
from tocsin.writer import Committer

START = parse_ticks("2026-03-02T09:00:00Z")


class HandClock:
    """A clock that stands until it is moved."""

    def __init__(self, at: int = START) -> None:
        self.at = at

    def __call__(self) -> int:
        return self.at


def native(number: int, *, at: int = START, **fields: Any) -> dict[str, Any]:
    """A native alert as JSON object: by itself unless `entities` or `devices` make it share something."""
    return {
        "providerAlertId": f"p{number}",
        "title": f"Alert {number}",
        "severity": "Medium",
        "category": "Execution",
        "serviceSource": "Test",
        "detectorId": f"rule-{number % 7}",
        "firstActivity": format_ticks(at),
        "devices": [],
        "entities": [],
        **fields,
    }


def shared_url(name: str) -> list[dict[str, str]]:
    """Entities that tie alerts together strongly."""
    return [{"entityType": "Url", "url": f"https://{name}.example/landing"}]


def lines(alerts: Iterable[dict[str, Any]]) -> bytes:
    """Alerts as JSON lines."""
    return b"\n".join(msgspec.json.encode(alert) for alert in alerts)


class Bench:
    """A store with a committer in this thread, and a reader beside it."""

    def __init__(self, folder: Path, clock: HandClock, limits: Limits | None = None) -> None:
        self.path, self.clock = folder / DATABASE_NAME, clock
        self.limits = limits or Limits()
        self.open()

    def open(self) -> None:
        """Open (again), as after a restart."""
        connection = open_writer(self.path)
        self.tenant = Registry(connection).ensure_default_tenant(self.clock())
        self.store = WriteStore(connection)
        self.committer = Committer(self.store, self.clock, self.limits)
        self.reader = ReadStore(open_reader(self.path))
        self.scope = Scope.everything_of(self.tenant.tenant_id)

    def ingest(self, *alerts: dict[str, Any], sender: str = "native") -> list[LineResult]:
        """Commit alerts as one delivery."""
        delivery = read_delivery(REGISTRY[sender], self.tenant.tenant_id, lines(alerts), 10_000)
        return self.committer.ingest([delivery])[0]

    def later(self, seconds: float = 1) -> None:
        """Move the clock."""
        self.clock.at += int(seconds * SECOND)


class Client:
    """A service in this process with an application that may read and a key that may ingest."""

    def __init__(self, service: Service, http: TestClient) -> None:
        self.service, self.http = service, http
        registry = Registry(open_side_writer(service.settings.data_dir / DATABASE_NAME))
        self.tenant = registry.list_tenants()[0]
        self.registry = registry
        key = new_ingest_key()
        registry.create_ingest_key(
            self.tenant.tenant_id, "sensors", key_id=key.key_id, key_hash=key.key_hash, now=service.clock()
        )
        self.key = key.text
        self.token = self.token_for("reader", Permission.READ)

    def token_for(self, name: str, *permissions: Permission) -> str:
        """An access token of a new application, got from the issuer."""
        secret, app_id = new_secret(), str(uuid.uuid4())
        self.registry.create_application(
            self.tenant.tenant_id,
            name,
            permissions,
            secret_hash=hash_secret(secret),
            now=self.service.clock(),
            app_id=app_id,
        )
        answer = self.http.post(
            f"/{self.tenant.guid}/oauth2/v2.0/token",
            data={
                "client_id": app_id,
                "client_secret": secret,
                "grant_type": "client_credentials",
                "scope": "https://api.security.microsoft.com/.default",
            },
        )
        token = answer.json()["access_token"]
        assert isinstance(token, str)
        return token

    def get(self, path: str, **headers: str) -> Any:
        """GET with the reader's token."""
        return self.http.get(path, headers={"authorization": f"Bearer {self.token}", **headers})

    def ingest(self, *alerts: dict[str, Any], sender: str = "native") -> Any:
        """Send alerts with the ingest key."""
        return self.send(lines(alerts), sender=sender)

    def send(self, body: bytes, *, sender: str = "native", **headers: str) -> Any:
        """Send a body with the ingest key."""
        return self.http.post(
            f"/ingest/{sender}", content=body, headers={"authorization": f"Bearer {self.key}", **headers}
        )


@contextmanager
def running(data_dir: Path, clock: HandClock, **settings: Any) -> Iterator[Client]:
    """A service over `data_dir`, called without a network."""
    service = Service(Settings(data_dir=data_dir, **settings), clock, lambda: None)
    try:
        with TestClient(asgi(service), base_url=service.names.base_url, raise_server_exceptions=False) as http:
            yield Client(service, http)
    finally:
        service.close()
