"""Starting, asking and killing the real server as a process of its own, over https.

For tests and benchmarks. A `ServerProcess` makes its data folder ready (one application that may read, one key
that may ingest) before the first start, keeps its port over restarts and leaves the folder to its caller.
"""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any, Final, Self

import httpx2
import msgspec

from tocsin import ticks
from tocsin.access import Permission
from tocsin.identity.credentials import hash_secret, new_ingest_key, new_secret
from tocsin.stores.sqlite.connection import DATABASE_NAME, open_writer
from tocsin.stores.sqlite.registry import Registry

KILLABLE: Final = Path(__file__).with_name("killable.py")
UNLIMITED: Final = "1000000"


class Credentials(msgspec.Struct, frozen=True):
    """Who may call the server that was made ready."""

    tenant_guid: str
    app_id: str
    secret: str
    ingest_key: str


def make_ready(data_dir: Path) -> Credentials:
    """Make the store with its default tenant, an application that may read and write, and an ingest key."""
    connection = open_writer(data_dir / DATABASE_NAME)
    registry, now = Registry(connection), ticks.now()
    tenant = registry.ensure_default_tenant(now)
    secret, key = new_secret(), new_ingest_key()
    application = registry.create_application(
        tenant.tenant_id,
        "poller",
        (Permission.READ, Permission.READ_WRITE),
        secret_hash=hash_secret(secret),
        now=now,
        app_id=str(uuid.uuid4()),
    )
    registry.create_ingest_key(tenant.tenant_id, "sensors", key_id=key.key_id, key_hash=key.key_hash, now=now)
    connection.close()
    return Credentials(tenant.guid, application.app_id, secret, key.text)


class ServerProcess:
    """A server over `data_dir`. `settings` are those of `config.py`; quotas are off unless they say otherwise."""

    def __init__(self, data_dir: Path, *flags: str, **settings: object) -> None:
        self.data_dir, self.flags = data_dir, flags
        self.port = free_port()
        self.who = make_ready(data_dir)
        self.url = f"{'http' if '--plain' in flags else 'https'}://127.0.0.1:{self.port}"
        chosen = {
            "data_dir": data_dir,
            "listen_port": self.port,
            "quota_per_minute": UNLIMITED,
            "quota_per_hour": UNLIMITED,
            **settings,
        }
        mine = {f"TOCSIN_{name.upper()}": str(value) for name, value in chosen.items()}
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")} | mine
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Whatever becomes of the test, no process is left behind."""
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        """The process of the running server."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it listens; fails with what it printed where it does not."""
        read_end, write_end = os.pipe()
        with (self.data_dir / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, str(KILLABLE), "--ready-fd", str(write_end), *self.flags],
                env=self._environment,
                pass_fds=(write_end,),
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        os.close(write_end)
        with os.fdopen(read_end, "rb") as ready:
            if not ready.readline():
                self._process.wait()
                raise AssertionError((self.data_dir / "server.log").read_text(errors="replace")[-4000:])

    def kill(self) -> None:
        """End it as a power switch would end the process: nothing is flushed, nobody is told."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """Ask it to end, and wait; gives its exit status."""
        return self._end(signal.SIGTERM)

    def wait(self) -> int:
        """Wait for it to end by itself; gives its exit status."""
        assert self._process is not None
        status = self._process.wait(60)
        self._process = None
        return status

    def _end(self, how: signal.Signals) -> int:
        if self._process is None:
            return 0
        self._process.send_signal(how)
        status = self._process.wait()
        self._process = None
        return status

    def context(self) -> ssl.SSLContext:
        """What a client needs to trust the server; there only after the first start."""
        return ssl.create_default_context(cafile=str(self.data_dir / "tls" / "ca.pem"))

    def client(self) -> httpx2.Client:
        """A client of this server without credentials."""
        return httpx2.Client(base_url=self.url, verify=self.context(), timeout=60, trust_env=False)

    def token(self) -> str:
        """An access token of the application, from the server's own issuer."""
        with self.client() as http:
            answer = http.post(
                f"/{self.who.tenant_guid}/oauth2/v2.0/token",
                data={
                    "grant_type": "client_credentials",
                    "client_id": self.who.app_id,
                    "client_secret": self.who.secret,
                    "scope": "https://api.security.microsoft.com/.default",
                },
            )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def reader(self) -> httpx2.Client:
        """A client that may read incidents."""
        client = self.client()
        client.headers["authorization"] = f"Bearer {self.token()}"
        return client

    def sensor(self) -> httpx2.Client:
        """A client that may send alerts."""
        client = self.client()
        client.headers["authorization"] = f"Bearer {self.who.ingest_key}"
        return client


def list_all(reader: httpx2.Client) -> list[dict[str, Any]]:
    """Every incident with its alerts, page after page as clients read them: until a page is short."""
    found: list[dict[str, Any]] = []
    while True:
        answer = reader.get("/api/incidents", params={"$top": "100", "$skip": str(len(found))})
        assert answer.status_code == 200, answer.text
        page = answer.json()["value"]
        found.extend(page)
        if len(page) < 100:
            return found


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert isinstance(port, int)
    return port
