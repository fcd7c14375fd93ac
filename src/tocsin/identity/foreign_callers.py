"""Who is behind a token of an issuer of others: an application or a person of the one tenant that the issuer is for.

An application has no registration of its own: it may do what its token says **and** its issuer is allowed. A person
is the user with this issuer and subject; what they may do is what the token says **and** their roles permit. Nobody is
found by a name or an e-mail address. Asking the issuer is a step of its own (`prepare`), so that verifying never waits.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import structlog

from tocsin.access import Principal
from tocsin.errors import NotFound, TocsinError, Unauthenticated
from tocsin.identity.credentials import CREDENTIAL_BYTES_MAX, INGEST_PREFIX
from tocsin.identity.foreign import ForeignIssuer
from tocsin.identity.foreign_keys import KeySets
from tocsin.identity.foreign_tokens import SKEW_SECONDS, Verified, peek, read_access_token
from tocsin.identity.lookup import FreshCache, Lookup
from tocsin.identity.people import User
from tocsin.ticks import SECOND

CACHED_MAX: Final = 4096
_NAMESPACE: Final = uuid.UUID("7b1d7c55-6c1e-5b0e-9d0a-3f6f1f5e2a41")

log = structlog.get_logger()


class Foreigners(Protocol):
    """Where issuers and their people are looked up."""

    def list_all(self) -> Sequence[ForeignIssuer]:
        """The issuers of all tenants."""

    def find_by_subject(self, tenant_id: int, issuer: str, subject: str) -> User | None:
        """Who this is, disabled or not."""


Provision = Callable[[ForeignIssuer, str, Mapping[str, Any]], Awaitable[User]]
"""(issuer, subject, claims) to a new user."""


class ForeignCallers:
    """Verifies tokens of others. Keeps what it verified and looked up for at most 30 seconds."""

    def __init__(self, foreigners: Foreigners, lookup: Lookup, keys: KeySets, provision: Provision) -> None:
        self._foreigners, self._lookup, self._keys, self._provision = foreigners, lookup, keys, provision
        self._issuers: FreshCache[Mapping[str, ForeignIssuer]] = FreshCache(1)
        self._verified: FreshCache[tuple[ForeignIssuer, Verified]] = FreshCache(CACHED_MAX)
        self._users: FreshCache[str] = FreshCache(CACHED_MAX)

    def issuers(self, now: int) -> Mapping[str, ForeignIssuer]:
        """All issuers by their `iss`, at most 30 seconds old."""
        found = self._issuers.find("all", now)
        if found is None:
            found = {issuer.issuer: issuer for issuer in self._foreigners.list_all()}
            self._issuers.keep("all", found, now)
        return found

    def issuer_of(self, token: str, now: int) -> ForeignIssuer | None:
        """The issuer to whose rules a token must be held; None for tokens of ours, and of strangers."""
        issuers = self.issuers(now)
        if not issuers or token.startswith(INGEST_PREFIX) or len(token) > CREDENTIAL_BYTES_MAX:
            return None
        try:
            name = peek(token)[0]
        except Unauthenticated:
            return None
        return issuers.get(name) if isinstance(name, str) else None

    async def prepare(self, token: str, now: int) -> None:
        """Have at hand what verifying this token needs: keys, and the user where new ones are made. Never raises for
        the token's sake: that `verify` will say."""
        issuer = self.issuer_of(token, now)
        if issuer is None:
            return
        kid = peek(token)[1]
        await self._keys.refresh(issuer, kid if isinstance(kid, str) else None, now)
        if not issuer.provision:
            return
        try:
            verified = self._known(token, issuer, now) or self._verified_by(token, issuer, now)
            if verified.subject is not None:
                await self.user_of(issuer, verified.subject, verified.claims)
        except TocsinError as error:
            log.info("user_not_provisioned", issuer=issuer.name, reason=str(error))

    async def user_of(self, issuer: ForeignIssuer, subject: str, claims: Mapping[str, Any]) -> User:
        """The user who is this at the issuer, made where that is allowed. Raises Unauthenticated, Unavailable."""
        user = self._foreigners.find_by_subject(issuer.tenant_id, issuer.issuer, subject)
        if user is None and issuer.provision:
            user = await self._provision(issuer, subject, claims)
        if user is None:
            raise Unauthenticated(f"no user of the tenant is {ascii(subject)[:100]} of the issuer {issuer.name}")
        return user

    def verify(self, token: str, issuer: ForeignIssuer, now: int) -> Principal:
        """The caller behind a token of this issuer. Raises Unauthenticated; Unavailable when its keys are gone."""
        verified = self._known(token, issuer, now) or self._verified_by(token, issuer, now)
        if now // SECOND >= verified.expires + SKEW_SECONDS:
            raise Unauthenticated("the token has expired")
        app_id = str(uuid.uuid5(_NAMESPACE, f"{issuer.tenant_id} {issuer.issuer} {verified.client}"))
        if verified.subject is not None:
            return self._person(issuer, verified, verified.subject, app_id, now)
        name = f"{verified.client} ({issuer.name})"
        return Principal(issuer.tenant_id, app_id, name, verified.permissions)

    def _known(self, token: str, issuer: ForeignIssuer, now: int) -> Verified | None:
        """What was verified lately, if neither the issuer's rules nor its keys changed since."""
        found = self._verified.find(_fingerprint(token), now)
        if found is None or found[0] != issuer or found[1].kid not in self._keys.published(issuer, now).keys:
            return None
        return found[1]

    def _verified_by(self, token: str, issuer: ForeignIssuer, now: int) -> Verified:
        verified = read_access_token(token, issuer, self._keys.published(issuer, now).keys, now // SECOND)
        self._verified.keep(_fingerprint(token), (issuer, verified), now)
        return verified

    def _person(self, issuer: ForeignIssuer, verified: Verified, subject: str, app_id: str, now: int) -> Principal:
        key = (issuer.tenant_id, issuer.issuer, subject)
        user_id = self._users.find(key, now)
        if user_id is None:
            found = self._foreigners.find_by_subject(*key)
            if found is None:
                raise Unauthenticated(f"no user of the tenant is {ascii(subject)[:100]} of the issuer {issuer.name}")
            user_id = found.user_id
            self._users.keep(key, user_id, now)
        try:
            standing = self._lookup.get_standing(issuer.tenant_id, user_id, now)
        except NotFound:
            raise Unauthenticated(f"the token's user {user_id} is gone") from None
        user = standing.user
        if user.disabled is not None or (user.issuer, user.subject) != key[1:]:
            raise Unauthenticated(f"user {user_id} is disabled, or is this no more")
        if (verified.issued + 1) * SECOND <= user.signed_out:
            raise Unauthenticated(f"user {user_id} was signed out everywhere after the token was made")
        held = verified.permissions & standing.permissions
        return Principal(issuer.tenant_id, app_id, user.name, held, user_id=user_id, grants=standing.grants)


def _fingerprint(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
