"""A token in a person's name is accepted within what their roles permit; what is not quite one is refused."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from tocsin.access import Grant, Permission, Principal
from tocsin.config import Settings
from tocsin.errors import Unauthenticated
from tocsin.identity.clients import BY_NOTHING, Client
from tocsin.identity.jwt import read_claims
from tocsin.identity.names import service_names
from tocsin.identity.people import Application, Right, Tenant, User
from tocsin.identity.signing import KeyRing, rotate_signing_key, withdraw_signing_key
from tocsin.identity.tokens import Tokens
from tocsin.stores.sqlite.connection import open_writer
from tocsin.stores.sqlite.people import People
from tocsin.stores.sqlite.registry import Registry
from tocsin.ticks import MINUTE, SECOND

NOW: Final = 1_700_000_000 * SECOND
AUDIENCE: Final = "https://graph.microsoft.com"
NAMES: Final = service_names(Settings(public_url="https://tocsin.example"))
MISSING: Final = object()
STRANGER: Final = "77777777-2222-4333-8444-555555555555"
SCOPES: Final = "Incident.Read SecurityIncident.Read.All"


class World(msgspec.Struct, frozen=True):
    folder: Path
    ring: KeyRing
    tokens: Tokens
    registry: Registry
    people: People
    tenant: Tenant
    application: Application
    user: User

    def issue(self, version: int = 2, scopes: str = SCOPES, now: int = NOW) -> str:
        client = Client(self.application, BY_NOTHING)
        return self.tokens.issue_delegated(
            self.tenant, client, self.user, scopes, audience=AUDIENCE, base_url=NAMES.base_url, version=version, now=now
        ).text

    def sign(self, **changes: Any) -> str:
        """A token with a right signature over other claims."""
        keys = self.ring.at(NOW)
        claims = {**read_claims(self.issue(), keys), **changes}
        kept = {name: value for name, value in claims.items() if value is not MISSING}
        header = {"alg": "RS256", "kid": keys.kid, "typ": "JWT"}
        parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, kept)]
        private = keys.signer.private_key
        assert private is not None
        signature = private.sign(b".".join(parts), padding.PKCS1v15(), hashes.SHA256())
        return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()

    def accepts(self, token: str, now: int = NOW) -> Principal:
        return self.tokens.verify(token, now)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    connection = open_writer(tmp_path / "tocsin.db")
    registry, people = Registry(connection), People(connection)
    tenant = registry.ensure_default_tenant(NOW)
    application = registry.create_application(tenant.tenant_id, "desktop", [], secret_hash="", now=NOW, is_public=True)
    user = people.create_user(tenant.tenant_id, "ann@corp.example", now=NOW)
    role = people.create_role(tenant.tenant_id, "reads", [Right.READ], workloads=["test"])
    people.set_roles(tenant.tenant_id, user.user_id, [role.role_id])
    ring = KeyRing(tmp_path, 60, NOW)
    tokens = Tokens(ring, NAMES, registry, people, 60)
    yield World(tmp_path, ring, tokens, registry, people, tenant, application, user)
    connection.close()


@pytest.mark.parametrize("version", [1, 2])
def test_a_token_of_either_version_is_the_person_within_their_grants(world: World, version: int) -> None:
    caller = world.accepts(world.issue(version))
    assert (caller.user_id, caller.app_id, caller.name) == (
        world.user.user_id, world.application.app_id, "ann@corp.example",
    )  # fmt: skip
    assert caller.permissions == {Permission.USER_READ, Permission.SECURITY_INCIDENT_READ}
    assert caller.grants == (Grant(workloads=frozenset({"test"}), device_groups=None, may_manage=False),)
    assert caller.scope().grants == caller.grants


def test_a_token_never_gives_more_than_the_roles_permit_now(world: World) -> None:
    assert world.accepts(world.sign(scp="Incident.ReadWrite Incident.Read")).permissions == {Permission.USER_READ}
    world.people.set_roles(world.tenant.tenant_id, world.user.user_id, [])
    assert world.accepts(world.issue(), NOW + 31 * SECOND).permissions == frozenset()


@pytest.mark.parametrize(
    "scopes", ["", "Incident.Read.All", "Alert.Ingest.All Incident.ReadWrite.All", "openid profile"]
)
def test_an_app_role_in_scp_gives_nothing(world: World, scopes: str) -> None:
    caller = world.accepts(world.sign(scp=scopes))
    assert caller.permissions == frozenset()
    assert caller.scope().is_empty


WRONG: Final[dict[str, dict[str, Any]]] = {
    "roles beside scp": {"roles": ["Incident.Read.All"]},
    "roles instead of scp": {"roles": ["Incident.Read.All"], "scp": MISSING},
    "no scp": {"scp": MISSING},
    "scp a list": {"scp": ["Incident.Read"]},
    "scp a number": {"scp": 7},
    "a person nobody knows": {"sub": STRANGER, "oid": STRANGER},
    "sub and oid of two": {"oid": STRANGER},
    "no oid": {"oid": MISSING},
    "sub a name": {"sub": "ann@corp.example", "oid": "ann@corp.example"},
    "idtyp absent": {"idtyp": MISSING},
    "idtyp of a device": {"idtyp": "device"},
    "idtyp app with a person's sub": {"idtyp": "app", "scp": MISSING, "roles": []},
    "an application nobody knows": {"azp": STRANGER},
    "an ID token": {"idtyp": MISSING, "scp": MISSING, "aud": STRANGER, "nonce": "n"},
    "an ID token for a client named as we are": {"idtyp": MISSING, "scp": MISSING, "nonce": "n"},
}


@pytest.mark.parametrize("changes", WRONG.values(), ids=WRONG.keys())
def test_a_token_with_a_wrong_claim_is_refused(world: World, changes: dict[str, Any]) -> None:
    assert world.accepts(world.sign())
    with pytest.raises(Unauthenticated):
        world.accepts(world.sign(**changes))


def test_an_id_token_is_no_access_token(world: World) -> None:
    text = world.tokens.issue_id_token(
        world.tenant, world.application.app_id, world.user, nonce="n", base_url=NAMES.base_url, version=2, now=NOW
    ).text
    assert read_claims(text, world.ring.at(NOW))["aud"] == world.application.app_id
    with pytest.raises(Unauthenticated):
        world.accepts(text)


@pytest.mark.parametrize("what", ["user", "application", "signed out"])
def test_who_is_disabled_or_signed_out_is_refused_within_a_minute_on_a_live_token(world: World, what: str) -> None:
    token = world.issue()
    assert world.accepts(token)
    at, tenant_id = NOW + 5 * SECOND, world.tenant.tenant_id
    if what == "user":
        world.people.disable_user(tenant_id, world.user.user_id, at)
    elif what == "application":
        world.registry.disable_application(tenant_id, world.application.app_id, at)
    else:
        world.people.sign_out(tenant_id, world.user.user_id, at)
    with pytest.raises(Unauthenticated):
        world.accepts(token, NOW + 60 * SECOND)


def test_after_signing_out_everywhere_a_new_token_works(world: World) -> None:
    world.people.sign_out(world.tenant.tenant_id, world.user.user_id, NOW)
    assert world.accepts(world.issue(now=NOW))


def test_a_rotation_refuses_no_live_token_and_a_withdrawal_refuses_all_within_a_minute(world: World) -> None:
    token = world.issue()
    assert world.accepts(token)
    old = world.ring.at(NOW).kid
    rotate_signing_key(world.folder, 60, NOW + SECOND)
    later = NOW + 45 * SECOND
    assert world.accepts(token, later)
    fresh = world.issue(now=later)
    assert fresh.split(".")[0] != token.split(".")[0]
    withdraw_signing_key(world.folder, old, later)
    with pytest.raises(Unauthenticated, match="kid"):
        world.accepts(token, later + MINUTE)
    assert world.accepts(fresh, later + MINUTE)
