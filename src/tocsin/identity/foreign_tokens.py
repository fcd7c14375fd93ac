"""Tokens of issuers of others: an access token that was verified, and an ID token for our own portal.

The rules are those of `tokens.md`; what a token means for us is said by its ForeignIssuer alone. A header may name a
key by `kid` and no other way. Keys are those of the issuer that `iss` names, so a `kid` is never looked up elsewhere.
Pure: keys and time are arguments.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from joserfc import jws
from joserfc.errors import JoseError

from tocsin.access import Permission
from tocsin.errors import InvalidInput, Unauthenticated
from tocsin.identity.foreign import ForeignIssuer, Kind, claim_at, values_at
from tocsin.identity.foreign_keys import ForeignKey
from tocsin.identity.jwt import parse_object, take_apart

SKEW_SECONDS: Final = 60
LIFE_SECONDS_MAX: Final = 25 * 3600
"""Entra ID gives tokens of up to 24 hours; with its `nbf` of five minutes ago they claim a little more."""
_HEADER: Final = frozenset({"alg", "kid", "typ", "x5t", "x5t#S256"})
_NOT_ACCESS: Final = ("at_hash", "c_hash", "s_hash", "events", "nonce")
_ID_MAX: Final = 255
_TIME_MAX: Final = 2**53
_TYPE_PREFIX: Final = "application/"


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """An access token that is good. `subject` None: the application itself. Times in seconds."""

    client: str
    subject: str | None
    permissions: frozenset[Permission]
    issued: int
    expires: int
    kid: str
    claims: Mapping[str, Any]


def peek(token: str) -> tuple[object, object]:
    """(iss, kid) as a token says them, unverified: to find out which issuer's rules and keys it is to be held to.

    Raises Unauthenticated for what is no token.
    """
    header, payload = take_apart(token)
    return parse_object(payload, "payload").get("iss"), parse_object(header, "header").get("kid")


def read_access_token(token: str, issuer: ForeignIssuer, keys: Mapping[str, ForeignKey], seconds: float) -> Verified:
    """Hold an access token to its issuer's rules. Raises Unauthenticated."""
    kid, claims = _read_signed(token, issuer, keys, frozenset(each.lower() for each in issuer.types))
    _check_parties(claims, issuer, issuer.audiences)
    for name, wanted in issuer.require.items():
        if claim_at(claims, name) != wanted:
            raise Unauthenticated(f"the token's {name} is not the one that is required")
    kind = claims.get("typ", "Bearer")
    if kind != "Bearer" or any(name in claims for name in _NOT_ACCESS if name != "nonce" or "typ" not in claims):
        raise Unauthenticated("the token is not an access token: it has what ID, refresh or logout tokens have")
    issued, expires = _read_times(claims, seconds)
    client = _client_of(claims, issuer)
    if not issuer.permits_client(client):
        raise Unauthenticated(f"the client {ascii(client)[:100]} is not one of those that may call")
    person = not _is_application(claims, issuer, client)
    paths = issuer.person_claims if person else issuer.application_claims
    try:
        permissions = issuer.permissions_of(values_at(claims, paths), person=person)
    except InvalidInput as error:
        raise Unauthenticated(f"the token's permissions cannot be read: {error}") from None
    return Verified(
        client=client,
        subject=read_subject(claims, issuer) if person else None,
        permissions=permissions,
        issued=issued,
        expires=expires,
        kid=kid,
        claims=claims,
    )


def read_id_token(
    token: str, issuer: ForeignIssuer, keys: Mapping[str, ForeignKey], nonce: str, seconds: float
) -> dict[str, Any]:
    """The claims of an ID token for our own portal (OpenID Connect Core 3.1.3.7). Raises Unauthenticated."""
    _, claims = _read_signed(token, issuer, keys, frozenset({"jwt", ""}))
    _check_parties(claims, issuer, (issuer.client_id,))
    audience = claims.get("aud")
    if claims.get("azp", issuer.client_id) != issuer.client_id or (isinstance(audience, list) and len(audience) != 1):
        raise Unauthenticated("the ID token is for other applications as well, or for another one")
    if claims.get("typ", "ID") != "ID" or "events" in claims or not nonce or claims.get("nonce") != nonce:
        raise Unauthenticated("the ID token is not the answer to this sign-in")
    for name, wanted in issuer.require.items():
        if claim_at(claims, name) != wanted:
            raise Unauthenticated(f"the ID token's {name} is not the one that is required")
    _read_times(claims, seconds)
    read_subject(claims, issuer)
    return claims


def read_subject(claims: Mapping[str, Any], issuer: ForeignIssuer) -> str:
    """Who a person is there. Raises Unauthenticated."""
    return _id(claim_at(claims, issuer.subject_claim), issuer.subject_claim)


def _read_signed(
    token: str, issuer: ForeignIssuer, keys: Mapping[str, ForeignKey], types: frozenset[str]
) -> tuple[str, dict[str, Any]]:
    header_bytes, payload = take_apart(token)
    header = parse_object(header_bytes, "header")
    algorithm, kid, kind = header.get("alg"), header.get("kid"), header.get("typ", "")
    if not header.keys() <= _HEADER:
        raise Unauthenticated("the token's header has more than alg, kid, typ and x5t")
    if not isinstance(algorithm, str) or algorithm not in issuer.algorithms:
        raise Unauthenticated("the token's algorithm is not one that is taken from its issuer")
    if not isinstance(kind, str) or kind.lower().removeprefix(_TYPE_PREFIX) not in types:
        raise Unauthenticated("the token's typ is not one that is taken from its issuer")
    key = keys.get(kid) if isinstance(kid, str) else None
    if key is None or not key.fits(algorithm):
        raise Unauthenticated("the token's kid is no key of its issuer for this algorithm")
    try:
        jws.deserialize_compact(token, key.key, registry=jws.JWSRegistry(algorithms=[algorithm]))
    except (JoseError, ValueError) as error:
        raise Unauthenticated(f"the token's signature is refused: {type(error).__name__}") from None
    assert isinstance(kid, str)
    return kid, parse_object(payload, "payload")


def _check_parties(claims: Mapping[str, Any], issuer: ForeignIssuer, audiences: tuple[str, ...]) -> None:
    if claims.get("iss") != issuer.issuer:
        raise Unauthenticated("the token's iss is not that of its issuer")
    audience = claims.get("aud")
    named = audience if isinstance(audience, list) else [audience]
    if not all(isinstance(each, str) for each in named) or not any(each in audiences for each in named):
        raise Unauthenticated(f"the token's aud is none that is taken from its issuer: {ascii(audience)[:100]}")


def _client_of(claims: Mapping[str, Any], issuer: ForeignIssuer) -> str:
    named = {_id(claims[name], name) for name in issuer.client_claims if name in claims}
    if len(named) != 1:
        raise Unauthenticated(f"the token names no client, or two: {', '.join(issuer.client_claims)}")
    return named.pop()


def _is_application(claims: Mapping[str, Any], issuer: ForeignIssuer, client: str) -> bool:
    match issuer.kind:
        case Kind.IDTYP:
            kind = claims.get("idtyp", "user" if "scp" in claims else "app")
            if kind not in ("app", "user") or (kind == "app" and "scp" in claims):
                raise Unauthenticated("the token's idtyp is neither app nor user, or scp stands beside app")
            return bool(kind == "app")
        case Kind.SERVICE_ACCOUNT:
            doubled = client in (claims.get("client_id"), claims.get("clientId"))
            return doubled and claims.get("preferred_username") == f"service-account-{client.lower()}"
        case Kind.SUBJECT:
            return claims.get("sub") == client


def _id(value: object, name: str) -> str:
    if not isinstance(value, str) or not value or len(value) > _ID_MAX or not value.isprintable():
        raise Unauthenticated(f"the token's {name} is missing or no text of at most {_ID_MAX} characters")
    return value


def _read_times(claims: Mapping[str, Any], seconds: float) -> tuple[int, int]:
    issued, expires = _time(claims, "iat"), _time(claims, "exp")
    begins = _time(claims, "nbf") if "nbf" in claims else issued
    if not (0 < issued < expires <= issued + LIFE_SECONDS_MAX and 0 < begins < expires):
        raise Unauthenticated("the token's iat, nbf and exp make no sense together")
    if max(begins, issued) > seconds + SKEW_SECONDS:
        raise Unauthenticated("the token is not valid yet")
    if seconds >= expires + SKEW_SECONDS:
        raise Unauthenticated("the token has expired")
    return issued, expires


def _time(claims: Mapping[str, Any], name: str) -> int:
    value = claims.get(name)
    # RFC 7519 allows fractions, and some issuers write them.
    if isinstance(value, bool) or not isinstance(value, int | float) or not -_TIME_MAX < value < _TIME_MAX:
        raise Unauthenticated(f"the token's {name} is missing or not a number")
    return int(value)
