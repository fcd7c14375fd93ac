"""Access tokens of the built-in issuer, and ingest keys: making them, and making a Principal of one.

The rules are those of `tokens.md`, "Validation at the resource server" and "Cases that must be refused". Every
refusal is an Unauthenticated whose text is for the log. Time is an argument, in ticks; inside a token it is seconds.

A caller may do what its token says **and** its application still holds: a token never grows when a permission is
added, and a permission that is taken away is gone within the half minute of the cache instead of when the token ends.
An application without any permission is a known caller who may do nothing; each operation answers it 403. The same
holds for a person: what the token says **and** what their roles permit now.
"""

from __future__ import annotations

import hashlib
import uuid
from typing import Any, Final

import msgspec

from tocsin.access import APPLICATION_PERMISSIONS, DELEGATED_PERMISSIONS, Permission, Principal
from tocsin.errors import NotFound, Unauthenticated
from tocsin.identity.clients import BY_SECRET, Client
from tocsin.identity.credentials import (
    CREDENTIAL_BYTES_MAX,
    INGEST_PREFIX,
    parse_ingest_key,
    secret_matches,
)
from tocsin.identity.foreign_callers import ForeignCallers
from tocsin.identity.jwt import read_signed, sign_claims
from tocsin.identity.lookup import FreshCache, Lookup, Persons
from tocsin.identity.names import ServiceNames
from tocsin.identity.people import GUID, Application, Directory, Tenant, User
from tocsin.identity.signing import KeySource
from tocsin.ticks import SECOND

SKEW_SECONDS: Final = 60
LIFE_SECONDS_MAX: Final = 24 * 3600
"""Longer than `token_minutes` can be; a token that claims more was not made by us."""

CACHED_MAX: Final = 4096

_ROLES: Final = {permission.value: permission for permission in APPLICATION_PERMISSIONS}
_SCOPES: Final = {permission.value: permission for permission in DELEGATED_PERMISSIONS}


class IssuedToken(msgspec.Struct, frozen=True):
    """Times in seconds since 1970."""

    text: str
    not_before: int
    expires: int


class _Verified(msgspec.Struct, frozen=True):
    tenant_guid: str
    app_id: str
    user_id: str | None
    permissions: frozenset[Permission]
    issued: int
    expires: int
    kid: str


def issuer_of(base_url: str, tenant_guid: str, version: int) -> str:
    """The `iss` of a tenant: `<base>/<guid>/` in version 1 and `<base>/<guid>/v2.0` in version 2."""
    return f"{base_url}/{tenant_guid}/" + ("v2.0" if version == 2 else "")


class Tokens:
    """Issues and verifies. Keeps what it verified and whom it looked up for at most 30 seconds."""

    def __init__(
        self,
        keys: KeySource,
        names: ServiceNames,
        directory: Directory,
        persons: Persons,
        token_minutes: int,
        *,
        foreign: ForeignCallers | None = None,
    ) -> None:
        self._foreign = foreign
        self._keys = keys
        self._audiences = names.audiences()
        self._bases = frozenset((names.base_url, *names.bases.values()))
        self._lookup = Lookup(directory, persons, FreshCache(CACHED_MAX))
        self._verified: FreshCache[_Verified] = FreshCache(CACHED_MAX)
        self._life_seconds = token_minutes * 60

    def issue(
        self,
        tenant: Tenant,
        application: Application,
        *,
        audience: str,
        base_url: str,
        version: int,
        now: int,
        proof: str = BY_SECRET,
    ) -> IssuedToken:
        """A token for an application that proved itself. `version` is 1 or 2: of the endpoint, and so of the claims."""
        own = {
            "idtyp": "app",
            "oid": application.app_id,
            "sub": application.app_id,
            "roles": sorted(application.permissions),
        }
        party = _party(Client(application, proof), version)
        return self._sign(tenant, {"aud": audience, **party, **own}, base_url, version, now)

    def issue_delegated(
        self,
        tenant: Tenant,
        client: Client,
        user: User,
        scopes: str,
        *,
        audience: str,
        base_url: str,
        version: int,
        now: int,
    ) -> IssuedToken:
        """A token with which an application acts for a person; `scopes` as `scp` has them."""
        own = {"idtyp": "user", **_person(user, version), "scp": scopes}
        return self._sign(tenant, {"aud": audience, **_party(client, version), **own}, base_url, version, now)

    def issue_id_token(
        self, tenant: Tenant, app_id: str, user: User, *, nonce: str, base_url: str, version: int, now: int
    ) -> IssuedToken:
        """Tells a client who signed in. It is no access token: its audience is the client."""
        own = {**_person(user, version), **({"nonce": nonce} if nonce else {})}
        return self._sign(tenant, {"aud": app_id, **own}, base_url, version, now)

    def _sign(self, tenant: Tenant, own: dict[str, Any], base_url: str, version: int, now: int) -> IssuedToken:
        seconds = now // SECOND
        expires = seconds + self._life_seconds
        claims = {
            "iss": issuer_of(base_url, tenant.guid, version),
            "iat": seconds,
            "nbf": seconds,
            "exp": expires,
            "tid": tenant.guid,
            "uti": uuid.uuid4().hex,
            "ver": f"{version}.0",
        }
        return IssuedToken(sign_claims(own | claims, self._keys.at(now)), seconds, expires)

    def authenticate(self, text: str, now: int) -> Principal:
        """The caller behind a token, of ours or of an issuer that the operator named, or an ingest key.

        Raises Unauthenticated, Unavailable.
        """
        if text.startswith(INGEST_PREFIX):
            return self.verify_ingest_key(text, now)
        issuer = None if self._foreign is None else self._foreign.issuer_of(text, now)
        if self._foreign is not None and issuer is not None:
            return self._foreign.verify(text, issuer, now)
        return self.verify(text, now)

    def verify(self, bearer: str, now: int) -> Principal:
        """The application, or the person using one, behind an access token. Raises Unauthenticated, Unavailable."""
        if len(bearer) > CREDENTIAL_BYTES_MAX:
            raise Unauthenticated("the token is too long")
        keys = self._keys.at(now)
        fingerprint = hashlib.sha256(bearer.encode("utf-8", "surrogatepass")).digest()
        token = self._verified.find(fingerprint, now)
        if token is None or token.kid not in keys.by_kid:
            token = self._read(*read_signed(bearer, keys), now // SECOND)
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
        if token.user_id is not None:
            return self._person(tenant, application, token, token.user_id, now)
        permissions = token.permissions & application.permissions
        return Principal(tenant.tenant_id, application.app_id, application.name, permissions)

    def _person(self, tenant: Tenant, application: Application, token: _Verified, user_id: str, now: int) -> Principal:
        try:
            standing = self._lookup.get_standing(tenant.tenant_id, user_id, now)
        except NotFound:
            raise Unauthenticated(f"the token's user {user_id} is unknown") from None
        if standing.user.disabled is not None:
            raise Unauthenticated(f"user {user_id} is disabled")
        if (token.issued + 1) * SECOND <= standing.user.signed_out:
            raise Unauthenticated(f"user {user_id} was signed out everywhere after the token was made")
        return Principal(
            tenant.tenant_id,
            application.app_id,
            standing.user.name,
            token.permissions & standing.permissions,
            user_id=user_id,
            grants=standing.grants,
        )

    def _read(self, kid: str, claims: dict[str, Any], seconds: int) -> _Verified:
        tenant_guid, app_id, user_id = _read_parties(claims)
        version = 2 if claims["ver"] == "2.0" else 1
        if claims.get("iss") not in [issuer_of(base, tenant_guid, version) for base in self._bases]:
            raise Unauthenticated("the token's iss is not ours, or not that of its tid and ver")
        audience = claims.get("aud")
        if not isinstance(audience, str) or audience not in self._audiences:
            raise Unauthenticated(f"the token's aud is not one of ours: {ascii(audience)[:100]}")
        issued, expires = _read_times(claims, seconds)
        permissions = _read_roles(claims) if user_id is None else _read_scopes(claims)
        return _Verified(tenant_guid, app_id, user_id, permissions, issued, expires, kid)


def _party(client: Client, version: int) -> dict[str, Any]:
    return {
        "azp" if version == 2 else "appid": client.application.app_id,
        "azpacr" if version == 2 else "appidacr": client.proof,
        "app_displayname": client.application.name,
    }


def _person(user: User, version: int) -> dict[str, Any]:
    named = {"preferred_username": user.name} if version == 2 else {"upn": user.name, "unique_name": user.name}
    return {"oid": user.user_id, "sub": user.user_id, "name": user.display_name, **named}


def _read_parties(claims: dict[str, Any]) -> tuple[str, str, str | None]:
    """(tenant, application, person or None)"""
    if claims.get("idtyp") not in ("app", "user") or claims.get("ver") not in ("1.0", "2.0"):
        raise Unauthenticated("the token is not an access token: idtyp or ver")
    named, other = ("azp", "appid") if claims["ver"] == "2.0" else ("appid", "azp")
    tenant_guid, app_id, subject = claims.get("tid"), claims.get(named), claims.get("sub")
    if not isinstance(tenant_guid, str) or not GUID.fullmatch(tenant_guid):
        raise Unauthenticated("the token's tid is not a GUID")
    if not isinstance(app_id, str) or not GUID.fullmatch(app_id) or other in claims:
        raise Unauthenticated(f"the token's {named} is not a GUID, or {other} stands beside it")
    if not isinstance(subject, str) or not GUID.fullmatch(subject) or claims.get("oid") != subject:
        raise Unauthenticated("the token's sub and oid are not one GUID")
    if claims["idtyp"] == "user":
        return tenant_guid, app_id, subject
    if subject != app_id:
        raise Unauthenticated("the token's sub or oid is not its application")
    return tenant_guid, app_id, None


def _read_times(claims: dict[str, Any], seconds: int) -> tuple[int, int]:
    issued, begins, expires = (_read_time(claims, name) for name in ("iat", "nbf", "exp"))
    if not 0 < issued <= begins < expires <= issued + LIFE_SECONDS_MAX:
        raise Unauthenticated("the token's iat, nbf and exp make no sense together")
    if begins > seconds + SKEW_SECONDS:
        raise Unauthenticated("the token is not valid yet")
    if seconds >= expires + SKEW_SECONDS:
        raise Unauthenticated("the token has expired")
    return issued, expires


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
    return frozenset(_ROLES[role] for role in roles if role in _ROLES)


def _read_scopes(claims: dict[str, Any]) -> frozenset[Permission]:
    scopes = claims.get("scp")
    if "roles" in claims:
        raise Unauthenticated("the token of a person has roles, which belong to applications")
    if not isinstance(scopes, str):
        raise Unauthenticated("the token's scp is missing or not a text")
    return frozenset(_SCOPES[scope] for scope in scopes.split(" ") if scope in _SCOPES)
