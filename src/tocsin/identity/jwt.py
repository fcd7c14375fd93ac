"""A signed token taken apart as strictly as we can: the form, the header, the signature. Pure.

The signature is joserfc's work; what that library leaves to its user is done here (`tokens.md`): canonical base64,
duplicate keys, NaN, deep nesting, a header with nothing in it but what our issuer writes. A header that names a key
or an address (`jwk`, `x5c`, `jku`, `x5u`), an encoding (`b64`, `zip`, `enc`) or an extension (`crit`) is none of ours.
Failures raise Unauthenticated; their text is for the log and never holds a piece of the token.
"""

from __future__ import annotations

import base64
import json
import re
from typing import Any, Final, NoReturn

from joserfc import jws
from joserfc import jwt as joserfc_jwt
from joserfc.errors import JoseError

from tocsin.errors import Unauthenticated
from tocsin.identity.credentials import CREDENTIAL_BYTES_MAX
from tocsin.identity.signing import SigningKeys

ALGORITHM: Final = "RS256"

_HEADER_KEYS: Final = frozenset({"alg", "kid", "typ"})
_FORM: Final = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)", re.ASCII)
_REGISTRY: Final = jws.JWSRegistry(algorithms=[ALGORITHM])


def sign_claims(claims: dict[str, Any], keys: SigningKeys) -> str:
    """A token of these claims, signed by the newest key."""
    header = {"alg": ALGORITHM, "kid": keys.kid}
    return joserfc_jwt.encode(header, claims, keys.signer, algorithms=[ALGORITHM])


def read_claims(token: str, keys: SigningKeys) -> dict[str, Any]:
    """The claims of a token whose signature is right; nothing is known yet of what they say.

    Raises Unauthenticated.
    """
    return read_signed(token, keys)[1]


def read_signed(token: str, keys: SigningKeys) -> tuple[str, dict[str, Any]]:
    """(kid, claims), as `read_claims`."""
    header, payload = take_apart(token)
    kid = _check_header(parse_object(header, "header"))
    key = keys.by_kid.get(kid)
    if key is None:
        raise Unauthenticated("the token's kid is no key of ours")
    try:
        jws.deserialize_compact(token, key, registry=_REGISTRY)
    except (JoseError, ValueError) as error:
        raise Unauthenticated(f"the token's signature is refused: {type(error).__name__}") from None
    return kid, parse_object(payload, "payload")


def take_apart(token: str) -> tuple[bytes, bytes]:
    """Header and payload of a compact token in the one form that it may have. Raises Unauthenticated."""
    if len(token) > CREDENTIAL_BYTES_MAX:
        raise Unauthenticated("the token is too long")
    found = _FORM.fullmatch(token)
    if found is None:
        raise Unauthenticated("the token is not three parts of unpadded base64url")
    header, payload, _ = (_decode_canonical(part) for part in found.groups())
    return header, payload


def _check_header(header: dict[str, Any]) -> str:
    if header.keys() != _HEADER_KEYS:
        raise Unauthenticated("the token's header lacks alg, kid or typ, or has more than these")
    if header["alg"] != ALGORITHM:
        raise Unauthenticated(f"the token's algorithm is not {ALGORITHM}")
    if header["typ"] != "JWT":
        raise Unauthenticated("the token's typ is not JWT")
    kid = header["kid"]
    if not isinstance(kid, str):
        raise Unauthenticated("the token's kid is not text")
    return kid


def _decode_canonical(part: str) -> bytes:
    try:
        content = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError:
        raise Unauthenticated("a part of the token is not base64url") from None
    # Unused bits in the last character would let one signature stand behind several texts.
    if base64.urlsafe_b64encode(content).rstrip(b"=") != part.encode("ascii"):
        raise Unauthenticated("a part of the token is base64url in a form other than the one it must have")
    return content


def parse_object(content: bytes, part: str) -> dict[str, Any]:
    """A part of a token as JSON with each key once. Raises Unauthenticated."""
    try:
        value = json.loads(content.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except RecursionError:
        raise Unauthenticated(f"the token's {part} is nested too deeply") from None
    except ValueError:
        raise Unauthenticated(f"the token's {part} is not JSON with each key once") from None
    if not isinstance(value, dict):
        raise Unauthenticated(f"the token's {part} is not a JSON object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
