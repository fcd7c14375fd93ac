"""Access tokens of the built-in issuer, and ingest keys: making them, and making a Principal of one.

The rules are those of `tokens.md`, "Validation at the resource server" and "Cases that must be refused". Every
refusal is an Unauthenticated whose text is for the log. Time is an argument, in ticks; inside a token it is seconds.

A caller may do what its token says **and** its application still holds: a token never grows when a permission is
added, and a permission that is taken away is gone within the half minute of the cache instead of when the token ends.
An application without any permission is a known caller who may do nothing; each operation answers it 403.
"""

from __future__ import annotations

import hashlib
import uuid
from typing import Any, Final

import msgspec

from tocsin.access import APPLICATION_PERMISSIONS, Permission, Principal
from tocsin.errors import NotFound, Unauthenticated
from tocsin.identity.credentials import (
    CREDENTIAL_BYTES_MAX,
    INGEST_PREFIX,
    parse_ingest_key,
    secret_matches,
)
from tocsin.identity.jwt import read_claims, sign_claims
from tocsin.identity.lookup import FreshCache, Lookup
from tocsin.identity.names import ServiceNames
from tocsin.identity.people import GUID, Application, Directory, Tenant
from tocsin.identity.signing import SigningKeys
from tocsin.ticks import SECOND

SKEW_SECONDS: Final = 60
LIFE_SECONDS_MAX: Final = 24 * 3600
"""Longer than `token_minutes` can be; a token that claims more was not made by us."""

CACHED_MAX: Final = 4096

_PERMISSIONS: Final = {permission.value: permission for permission in APPLICATION_PERMISSIONS}


class IssuedToken(msgspec.Struct, frozen=True):
    """Times in seconds since 1970."""

    text: str
    not_before: int
    expires: int


class _Verified(msgspec.Struct, frozen=True):
    tenant_guid: str
    app_id: str
    roles: frozenset[Permission]
    expires: int


def issuer_of(base_url: str, tenant_guid: str, version: int) -> str:
    """The `iss` of a tenant: `<base>/<guid>/` in version 1 and `<base>/<guid>/v2.0` in version 2."""
    return f"{base_url}/{tenant_guid}/" + ("v2.0" if version == 2 else "")


class Tokens:
    """Issues and verifies. Keeps what it verified and whom it looked up for at most 30 seconds."""

    def __init__(self, keys: SigningKeys, names: ServiceNames, directory: Directory, token_minutes: int) -> None:
        self._keys = keys
        self._audiences = names.audiences()
        self._bases = frozenset((names.base_url, *names.bases.values()))
        self._lookup = Lookup(directory, FreshCache(CACHED_MAX))
        self._verified: FreshCache[_Verified] = FreshCache(CACHED_MAX)
        self._life_seconds = token_minutes * 60

    def issue(
        self, tenant: Tenant, application: Application, *, audience: str, base_url: str, version: int, now: int
    ) -> IssuedToken:
        """A token for an application that proved itself. `version` is 1 or 2: of the endpoint, and so of the claims."""
        seconds = now // SECOND
        claims: dict[str, Any] = {
            "aud": audience,
            "iss": issuer_of(base_url, tenant.guid, version),
            "iat": seconds,
            "nbf": seconds,
            "exp": seconds + self._life_seconds,
            "azp" if version == 2 else "appid": application.app_id,
            "azpacr" if version == 2 else "appidacr": "1",
            "app_displayname": application.name,
            "idtyp": "app",
            "oid": application.app_id,
            "sub": application.app_id,
            "roles": sorted(application.permissions),
            "tid": tenant.guid,
            "uti": uuid.uuid4().hex,
            "ver": f"{version}.0",
        }
        return IssuedToken(sign_claims(claims, self._keys), seconds, seconds + self._life_seconds)

    def authenticate(self, text: str, now: int) -> Principal:
        """The caller behind a token or an ingest key. Raises Unauthenticated."""
        if text.startswith(INGEST_PREFIX):
            return self.verify_ingest_key(text, now)
        return self.verify(text, now)

    def verify(self, bearer: str, now: int) -> Principal:
        """The application behind an access token. Raises Unauthenticated."""
        if len(bearer) > CREDENTIAL_BYTES_MAX:
            raise Unauthenticated("the token is too long")
        fingerprint = hashlib.sha256(bearer.encode("utf-8", "surrogatepass")).digest()
        token = self._verified.find(fingerprint, now)
        if token is None:
            token = self._read(read_claims(bearer, self._keys), now // SECOND)
            self._verified.keep(fingerprint, token, now)
        elif now // SECOND >= token.expires + SKEW_SECONDS:
            raise Unauthenticated("the token has expired")
        return self._principal(token, now)

    def verify_ingest_key(self, text: str, now: int) -> Principal:
        """The sender behind an ingest key; it may send alerts and nothing else. Raises Unauthenticated."""
        key_id, secret = parse_ingest_key(text)
        try:
            key = self._lookup.get_ingest_key(key_id, now)
        except NotFound:
            raise Unauthenticated("the ingest key is unknown") from None
        if not secret_matches(secret, key.key_hash):
            raise Unauthenticated(f"the secret part of ingest key {key_id} is wrong")
        if key.disabled is not None:
            raise Unauthenticated(f"ingest key {key_id} is disabled")
        return Principal(key.tenant_id, key_id, key.name, frozenset({Permission.INGEST}))

    def _principal(self, token: _Verified, now: int) -> Principal:
        try:
            tenant = self._lookup.get_tenant(token.tenant_guid, now)
            application = self._lookup.get_application(tenant.tenant_id, token.app_id, now)
        except NotFound as error:
            raise Unauthenticated(f"the token's caller is unknown: {error}") from None
        if application.disabled is not None:
            raise Unauthenticated(f"application {application.app_id} is disabled")
        permissions = token.roles & application.permissions
        return Principal(tenant.tenant_id, application.app_id, application.name, permissions)

    def _read(self, claims: dict[str, Any], seconds: int) -> _Verified:
        tenant_guid, app_id = _read_parties(claims)
        version = 2 if claims["ver"] == "2.0" else 1
        if claims.get("iss") not in [issuer_of(base, tenant_guid, version) for base in self._bases]:
            raise Unauthenticated("the token's iss is not ours, or not that of its tid and ver")
        audience = claims.get("aud")
        if not isinstance(audience, str) or audience not in self._audiences:
            raise Unauthenticated(f"the token's aud is not one of ours: {ascii(audience)[:100]}")
        expires = _read_times(claims, seconds)
        return _Verified(tenant_guid, app_id, _read_roles(claims), expires)


def _read_parties(claims: dict[str, Any]) -> tuple[str, str]:
    if claims.get("idtyp") != "app" or claims.get("ver") not in ("1.0", "2.0"):
        raise Unauthenticated("the token is not an access token of an application: idtyp or ver")
    named, other = ("azp", "appid") if claims["ver"] == "2.0" else ("appid", "azp")
    tenant_guid, app_id = claims.get("tid"), claims.get(named)
    if not isinstance(tenant_guid, str) or not GUID.fullmatch(tenant_guid):
        raise Unauthenticated("the token's tid is not a GUID")
    if not isinstance(app_id, str) or not GUID.fullmatch(app_id) or other in claims:
        raise Unauthenticated(f"the token's {named} is not a GUID, or {other} stands beside it")
    if claims.get("sub") != app_id or claims.get("oid") != app_id:
        raise Unauthenticated("the token's sub or oid is not its application")
    return tenant_guid, app_id


def _read_times(claims: dict[str, Any], seconds: int) -> int:
    issued, begins, expires = (_read_time(claims, name) for name in ("iat", "nbf", "exp"))
    if not 0 < issued <= begins < expires <= issued + LIFE_SECONDS_MAX:
        raise Unauthenticated("the token's iat, nbf and exp make no sense together")
    if begins > seconds + SKEW_SECONDS:
        raise Unauthenticated("the token is not valid yet")
    if seconds >= expires + SKEW_SECONDS:
        raise Unauthenticated("the token has expired")
    return expires


def _read_time(claims: dict[str, Any], name: str) -> int:
    value = claims.get(name)
    # bool is an int to Python, and a float is nothing our issuer writes.
    if not isinstance(value, int) or isinstance(value, bool):
        raise Unauthenticated(f"the token's {name} is missing or not a whole number")
    return value


def _read_roles(claims: dict[str, Any]) -> frozenset[Permission]:
    roles = claims.get("roles")
    if "scp" in claims:
        raise Unauthenticated("the token of an application has scp, which belongs to users")
    if not isinstance(roles, list) or not all(isinstance(role, str) for role in roles):
        raise Unauthenticated("the token's roles is missing or not a list of texts")
    return frozenset(_PERMISSIONS[role] for role in roles if role in _PERMISSIONS)
