"""schemathesis, unmodified, over the served description: requests made from it, right and wrong, to a real server.

Every answer is one that is described, in status, media type and body, and none is a defect.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from installed import BIN, ServerProcess, needs_python_clients, run

from house import lines, native, shared_url
from tocsin import ticks
from tocsin.access import Permission
from tocsin.identity.credentials import hash_secret, new_secret
from tocsin.stores.sqlite.connection import DATABASE_NAME, open_writer
from tocsin.stores.sqlite.registry import Registry

CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance,negative_data_rejection,missing_required_header,allow_header_conformance,"
    "unsupported_method,use_after_free,ensure_resource_availability,ignored_auth"
)
"""All but two: no schema can say which texts are filters or tenants (positive_data_acceptance), and there is one caller
(object_level_authorization)."""


def allow_everything(server: ServerProcess) -> None:
    """Make the caller an application with all permissions, so that no route hides behind 403."""
    connection = open_writer(server.data_dir / DATABASE_NAME)
    registry, secret = Registry(connection), new_secret()
    application = registry.create_application(
        registry.list_tenants()[0].tenant_id,
        "explorer",
        tuple(Permission),
        secret_hash=hash_secret(secret),
        now=ticks.now(),
        app_id=str(uuid.uuid4()),
    )
    connection.close()
    server.who = msgspec.structs.replace(server.who, app_id=application.app_id, secret=secret)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path, quota_get_per_minute=1_000_000) as found:
        allow_everything(found)
        found.start()
        with found.sensor() as sensor:
            alerts = [native(number, entities=shared_url("a") if number % 2 else []) for number in range(1, 9)]
            assert sensor.post("/ingest/native", content=lines(alerts)).status_code == 200
        yield found


def explore(server: ServerProcess, folder: Path, seconds: int, seed: int) -> None:
    done = run(
        *(BIN / "schemathesis", "run", f"{server.url}/openapi.json", "--no-color", "--warnings", "off"),
        *("--header", f"Authorization: Bearer {server.token()}", "--tls-verify", server.data_dir / "tls" / "ca.pem"),
        *("--checks", CHECKS, "--suppress-health-check", "all", "--continue-on-failure"),
        *("--phases", "examples,coverage,fuzzing,stateful", "--max-time", seconds, "--seed", seed),
        folder=folder,
        HOME=str(folder),
        HYPOTHESIS_STORAGE_DIRECTORY=str(folder / "hypothesis"),
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert "No issues found" in done.stdout
    with server.reader() as reader:
        assert reader.get("/api/incidents").status_code == 200


@needs_python_clients
def test_what_schemathesis_makes_of_the_description_is_answered_as_described(
    server: ServerProcess, tmp_path: Path
) -> None:
    explore(server, tmp_path, seconds=20, seed=1)


@needs_python_clients
@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(2, 5))
def test_nor_is_anything_found_in_more_time(server: ServerProcess, tmp_path: Path, seed: int) -> None:
    explore(server, tmp_path, seconds=80, seed=seed)
