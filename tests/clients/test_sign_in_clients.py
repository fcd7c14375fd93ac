"""Microsoft's sign-in libraries, unmodified, by every flow they have: each token opens both dialects."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from installed import NODE_MODULES, PYTHON, ServerProcess, needs_npm_clients, needs_python_clients, run

from house import lines, native
from tocsin import ticks
from tocsin.access import Permission
from tocsin.identity.assertions import parse_certificate
from tocsin.identity.credentials import hash_secret, new_secret
from tocsin.identity.passwords import hash_password, new_password
from tocsin.stores.sqlite.connection import DATABASE_NAME, open_side_writer
from tocsin.stores.sqlite.people import People
from tocsin.stores.sqlite.registry import Registry
from tocsin.stores.sqlite.sign_in import SignIns

FOLDER: Final = Path(__file__).parent


class Setting(msgspec.Struct, frozen=True):
    """A server with a person, an application with a secret and a certificate, and a public one."""

    server: ServerProcess
    arguments: tuple[str, ...]
    environment: dict[str, str]


@contextmanager
def setting(folder: Path) -> Iterator[Setting]:
    with ServerProcess(folder) as server:
        password, secret, now = new_password(), new_secret(), ticks.now()
        connection = open_side_writer(folder / DATABASE_NAME)
        registry, people = Registry(connection), People(connection)
        tenant = registry.list_tenants()[0]
        user = people.create_user(tenant.tenant_id, "ann@corp.example", now=now, password_hash=hash_password(password))
        role = people.ensure_role(tenant.tenant_id, "Security reader")
        people.set_roles(tenant.tenant_id, user.user_id, [role.role_id])
        callbacks = ["http://localhost"]
        site = registry.create_application(
            tenant.tenant_id,
            "site",
            [Permission.READ],
            secret_hash=hash_secret(secret),
            now=now,
            redirect_uris=callbacks,
        )
        desktop = registry.create_application(
            tenant.tenant_id, "desktop", [], secret_hash="", now=now, is_public=True, redirect_uris=callbacks
        )
        pem = make_certificate(folder)
        SignIns(connection).add_certificate(tenant.tenant_id, site.app_id, parse_certificate(pem.read_bytes()), now)
        connection.close()
        server.start()
        with server.sensor() as sensor:
            assert sensor.post("/ingest/native", content=lines([native(1)])).status_code == 200
        authority = str(folder / "tls" / "ca.pem")
        arguments = (server.url, tenant.guid, site.app_id, secret, str(pem), desktop.app_id, authority)
        environment = {
            "SIGN_IN_CA": authority,
            "SIGN_IN_NAME": user.name,
            "SIGN_IN_PASSWORD": password,
            "HOME": str(folder),
        }
        yield Setting(server, arguments, environment)


def make_certificate(folder: Path) -> Path:
    """A key and its certificate in one file, as clients take them."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name, start = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "site")]), datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - timedelta(days=1))
        .not_valid_after(start + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = folder / "site.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


def told_by(done: subprocess.CompletedProcess[str], folder: Path) -> dict[str, object]:
    """What a program printed, after it went well."""
    assert done.returncode == 0, done.stderr[-4000:] + (folder / "server.log").read_text()[-2000:]
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


def everywhere(*flows: str) -> dict[str, object]:
    return {f"{flow} {dialect}": 200 for flow in flows for dialect in ("defender", "graph")}


@needs_python_clients
def test_msal_and_azure_identity_for_python_sign_in_by_every_flow(tmp_path: Path) -> None:
    with setting(tmp_path) as found:
        told = told_by(
            run(PYTHON, FOLDER / "sign_in_calls.py", *found.arguments, folder=tmp_path, **found.environment), tmp_path
        )
    assert told == {
        **everywhere("msal secret", "msal certificate", "msal certificate with chain", "azure secret"),
        **everywhere("azure certificate False", "azure certificate True", "msal interactive", "msal refresh"),
        **everywhere("msal refresh for the other", "msal device", "msal code", "azure device", "azure interactive"),
        **everywhere("azure code", "aio secret", "aio certificate", "aio code"),
        "msal account": "ann@corp.example",
        "msal cached": True,
    }


@needs_npm_clients
@needs_python_clients
@pytest.mark.skipif(not (NODE_MODULES / "@azure" / "identity").exists(), reason="run `make clients` again")
def test_msal_and_azure_identity_for_node_sign_in_by_every_flow(tmp_path: Path) -> None:
    with setting(tmp_path) as found:
        done = run(
            *("node", FOLDER / "sign_in_calls.js", *found.arguments, PYTHON, FOLDER / "browsing.py"),
            folder=tmp_path,
            NODE_PATH=str(NODE_MODULES),
            NODE_EXTRA_CA_CERTS=found.arguments[-1],
            **found.environment,
        )
        told = told_by(done, tmp_path)
    assert told == {
        **everywhere("msal secret", "msal certificate", "msal code", "msal refresh", "msal device", "msal interactive"),
        **everywhere("azure secret", "azure certificate", "azure device", "azure code"),
        "msal account": "ann@corp.example",
        "msal cached": True,
    }
