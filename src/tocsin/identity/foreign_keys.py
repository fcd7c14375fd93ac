"""The key sets of issuers of others: when they are fetched, and for how long they serve.

The bounds of `tokens.md`: for each issuer at most one fetch in five minutes, whatever keys are asked for and whether
it works or not; the last good set serves for 24 hours, and after that the answer is "not now" instead of "not you".
Sets live in memory: a restart fetches anew. An issuer that was changed starts anew too.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from typing import Any, Final

import msgspec
import structlog
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from tocsin.errors import InvalidInput, TocsinError, Unavailable
from tocsin.identity.fetching import Answer
from tocsin.identity.foreign import ForeignIssuer
from tocsin.ticks import HOUR, MINUTE

FETCH_EVERY: Final = 5 * MINUTE
STALE_AFTER: Final = HOUR
"""A set this old is fetched again though nothing is missing: keys that were taken away must end."""
SERVES_FOR: Final = 24 * HOUR
KEYS_MAX: Final = 100
RSA_BITS: Final = range(2048, 8193)
"""Smaller keys can be broken, and greater ones keep a core busy."""
_KINDS: Final = {"RS256": "RSA", "PS256": "RSA", "ES256": "EC"}

log = structlog.get_logger()
Key = RSAKey | ECKey


class ForeignKey(msgspec.Struct, frozen=True):
    """A public key, and the algorithm that its owner ties it to, if any."""

    key: Key
    algorithm: str | None

    def fits(self, algorithm: str) -> bool:
        """Whether a signature by this algorithm can be its own."""
        kind = "RSA" if isinstance(self.key, RSAKey) else "EC"
        return _KINDS.get(algorithm) == kind and self.algorithm in (None, algorithm)


class Published(msgspec.Struct, frozen=True):
    """What an issuer says of itself: its endpoints, as checked addresses, and its keys. `at` in ticks."""

    at: int
    keys: Mapping[str, ForeignKey]
    authorization_endpoint: str = ""
    token_endpoint: str = ""
    sends_secret_in_body: bool = False


class _State(msgspec.Struct):
    issuer: ForeignIssuer
    tried: int | None = None
    published: Published | None = None
    reason: str = "it was not asked yet"


class KeySets:
    """What is known of each issuer. Used in one event loop."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._states: dict[str, _State] = {}
        self._fetching: dict[str, asyncio.Future[None]] = {}

    def published(self, issuer: ForeignIssuer, now: int) -> Published:
        """What serves now, without asking. Raises Unavailable where nothing good is left. `now` in ticks."""
        state = self._state(issuer)
        found = state.published
        if found is None or not found.at <= now < found.at + SERVES_FOR:
            raise Unavailable(f"the keys of the issuer {issuer.name} cannot be had: {state.reason}", 60)
        return found

    async def refresh(self, issuer: ForeignIssuer, kid: str | None, now: int) -> None:
        """Fetch, if a key is missing or the set is old and the time has come. Never raises: `published` tells."""
        running = self._fetching.get(issuer.issuer)
        if running is not None:
            await asyncio.shield(running)
            return
        state = self._state(issuer)
        if not _is_due(state, kid, now):
            return
        state.tried = now
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._fetching[issuer.issuer] = done
        try:
            state.published = await fetch(self._answer, issuer, now)
            state.reason = "the last set is too old"
        except TocsinError as error:
            state.reason = str(error)
            log.warning("issuer_not_asked", issuer=issuer.name, reason=str(error))
        finally:
            del self._fetching[issuer.issuer]
            done.set_result(None)

    def _state(self, issuer: ForeignIssuer) -> _State:
        found = self._states.get(issuer.issuer)
        if found is None or found.issuer != issuer:
            found = self._states[issuer.issuer] = _State(issuer)
        return found


def _is_due(state: _State, kid: str | None, now: int) -> bool:
    # A clock set back must not stop the fetching until it has caught up.
    if state.tried is not None and state.tried <= now < state.tried + FETCH_EVERY:
        return False
    found = state.published
    if found is None or not found.at <= now < found.at + STALE_AFTER:
        return True
    return kid is not None and kid not in found.keys


async def fetch(answer: Answer, issuer: ForeignIssuer, now: int) -> Published:
    """Ask an issuer for its discovery document and its keys. Raises Unavailable, InvalidInput."""
    said = await answer.get(issuer, discovery_of(issuer))
    if said.get("issuer") != issuer.issuer:
        raise InvalidInput(f"{discovery_of(issuer)} is of another issuer: {ascii(said.get('issuer'))[:120]}")
    keys = read_keys(await answer.get(issuer, issuer.require_address(said.get("jwks_uri"))))
    if not keys:
        raise InvalidInput(f"the issuer {issuer.name} has no key that can be used")
    methods = said.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
    endpoints = {name: _endpoint(issuer, said, name) for name in ("authorization_endpoint", "token_endpoint")}
    in_body = isinstance(methods, list) and "client_secret_basic" not in methods
    return Published(now, keys, **endpoints, sends_secret_in_body=in_body)


def discovery_of(issuer: ForeignIssuer) -> str:
    """Where an issuer's discovery document is (OpenID Connect Discovery 4)."""
    return issuer.issuer.rstrip("/") + "/.well-known/openid-configuration"


def _endpoint(issuer: ForeignIssuer, said: Mapping[str, Any], name: str) -> str:
    # Tokens can be checked without these two, so an odd one only keeps people from signing in at the portal.
    try:
        return issuer.require_address(said.get(name))
    except InvalidInput:
        return ""


def read_keys(document: Mapping[str, Any]) -> dict[str, ForeignKey]:
    """The signing keys of a set by their ids; what cannot be used is left out, and so are ids that stand twice.

    Raises InvalidInput where it is no key set.
    """
    listed = document.get("keys")
    if not isinstance(listed, list) or len(listed) > KEYS_MAX:
        raise InvalidInput(f"this is no key set, or one of more than {KEYS_MAX} keys")
    found: dict[str, ForeignKey] = {}
    twice: set[str] = set()
    for each in listed:
        kid = each.get("kid") if isinstance(each, dict) else None
        key = _read_key(each) if isinstance(kid, str) and kid else None
        if key is None or not isinstance(kid, str):
            continue
        if kid in found:
            twice.add(kid)
        found[kid] = key
    return {kid: key for kid, key in found.items() if kid not in twice}


def _read_key(value: Mapping[str, Any]) -> ForeignKey | None:
    algorithm, use = value.get("alg"), value.get("use")
    if use not in (None, "sig") or (algorithm is not None and algorithm not in _KINDS):
        return None
    try:
        if value.get("kty") == "RSA" and _bits(value["n"]) in RSA_BITS:
            key: Key = RSAKey.import_key({name: value[name] for name in ("kty", "n", "e")})
        elif value.get("kty") == "EC" and value.get("crv") == "P-256":
            key = ECKey.import_key({name: value[name] for name in ("kty", "crv", "x", "y")})
        else:
            return None
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return ForeignKey(key, algorithm)


def _bits(modulus: str) -> int:
    return int.from_bytes(base64.urlsafe_b64decode(modulus + "==")).bit_length()
