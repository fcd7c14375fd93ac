"""Secrets: how they are made, hashed and compared, the text of an ingest key, and the Authorization header.

A secret here is always 256 random bits that we made ourselves, never a chosen password. Nobody can try
2^256 of them at any speed, so a slow, salted hash would protect nothing; it would only let a stranger burn
our processor with wrong guesses. One SHA-256, compared in constant time, is enough.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from typing import Final

import msgspec

from tocsin.errors import Unauthenticated

CREDENTIAL_BYTES_MAX: Final = 16 * 1024
"""Larger ones are refused before anything in them is looked at."""

INGEST_PREFIX: Final = "tocsin_"

_TYPED: Final = "BCDFGHJKLMNPQRSTVWXZ"
_INGEST_KEY: Final = re.compile(r"tocsin_([0-9a-f]{16})_([0-9a-f]{64})", re.ASCII)
_AUTHORIZATION: Final = re.compile(rb"(?:bearer +)?([!-~]+)", re.IGNORECASE)


class NewIngestKey(msgspec.Struct, frozen=True):
    """A key just made. `text` is shown once and never kept."""

    key_id: str
    text: str
    key_hash: str


def new_secret() -> str:
    """256 random bits as 64 hex digits: no character that a form, a shell or a URL would change."""
    return secrets.token_hex(32)


def hash_secret(secret: str) -> str:
    """What the store keeps instead of the secret: SHA-256 as hex digits."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def secret_matches(secret: str, secret_hash: str) -> bool:
    """Whether this is the secret of that hash, in a time that does not tell how near a wrong one was."""
    return hmac.compare_digest(hash_secret(secret).encode(), secret_hash.encode())


def base64url(content: bytes) -> str:
    """As tokens have it: base64url without padding."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode("ascii")


def new_user_code() -> str:
    """What a person types in: 8 letters (34 bits), none of which make words or look alike (RFC 8628, 6.1)."""
    return "".join(secrets.choice(_TYPED) for _ in range(8))


def parse_user_code(text: str) -> str:
    """What was typed, in any case and with whatever between the letters."""
    return "".join(letter for letter in text.upper() if letter in _TYPED)[:16]


def new_ingest_key() -> NewIngestKey:
    """Make a key like `tocsin_<16 hex>_<64 hex>`; the first part is public and finds the second."""
    key_id, secret = secrets.token_hex(8), new_secret()
    return NewIngestKey(key_id, f"{INGEST_PREFIX}{key_id}_{secret}", hash_secret(secret))


def parse_ingest_key(text: str) -> tuple[str, str]:
    """(key id, secret) of a key's text. Raises Unauthenticated."""
    found = _INGEST_KEY.fullmatch(text)
    if found is None:
        raise Unauthenticated("the ingest key does not have the form of one")
    return found[1], found[2]


def credentials(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The token or ingest key of a request, from its raw headers (names in lower case, as ASGI gives them).

    `Bearer ` may be missing, since one public client sends the token bare (`clients.md`). Raises
    Unauthenticated when there is no Authorization header, more than one, another scheme, or too much of it.
    """
    values = [value for name, value in headers if name == b"authorization"]
    if len(values) != 1:
        raise Unauthenticated(f"{len(values)} Authorization headers instead of one")
    if len(values[0]) > CREDENTIAL_BYTES_MAX + len("Bearer "):
        raise Unauthenticated("the Authorization header is too long")
    found = _AUTHORIZATION.fullmatch(values[0])
    if found is None or found[1].lower() == b"bearer":
        raise Unauthenticated("the Authorization header has another scheme, white space inside, or nothing")
    return found[1].decode("ascii")
