"""Passwords that people choose: how long one must be, how it is hashed and compared. Argon2id (RFC 9106).

Unlike our own secrets (`credentials.py`) these can be guessed, so a guess must cost. One verification takes 64 MiB
and some 0.2 s of one core: callers do it in a thread, and bound how many run at once.
"""

from __future__ import annotations

import secrets
import string
import unicodedata
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from tocsin.errors import InvalidInput

LENGTH_MIN: Final = 12
LENGTH_MAX: Final = 256
"""In characters. Without an upper bound a stranger could have us hash megabytes."""

# RFC 9106 section 4, second choice, on one lane: a server has other things to do with its cores.
_HASHER: Final = PasswordHasher(time_cost=3, memory_cost=64 * 1024, parallelism=1)
_ALPHABET: Final = "".join(sorted(set(string.ascii_letters + string.digits) - set("0O1lI")))

# Of a random password that nobody kept: compared with where there is none, so that the time tells nothing.
_NOBODY: Final = "$argon2id$v=19$m=65536,t=3,p=1$XgtjWWo4bLahYgSFxQOnqQ$WBjOaI8N+Kt/KT6rMK+xeZdQ9fM13xSR0UvehRTmo2w"


def parse_password(text: str) -> str:
    """The password as it is hashed. Raises InvalidInput for one that is too short or too long; the text is not told.

    Length is the one rule: others make passwords worse (NIST SP 800-63B section 5.1.1.2).
    """
    password = _normalised(text)
    if len(password) < LENGTH_MIN:
        raise InvalidInput(
            f"a password needs at least {LENGTH_MIN} characters, this has {len(password)}; several words do well"
        )
    if len(password) > LENGTH_MAX:
        raise InvalidInput(f"a password may have at most {LENGTH_MAX} characters, this has {len(password)}")
    if any(unicodedata.category(each) in ("Cc", "Cs") for each in password):
        raise InvalidInput("a password may not have control characters (line feeds, tabs, ...) in it")
    return password


def hash_password(text: str) -> str:
    """What the store keeps: argon2id with a salt of its own. Raises InvalidInput as `parse_password`."""
    return _HASHER.hash(parse_password(text))


def password_matches(text: str, password_hash: str | None) -> bool:
    """Whether this is the password of that hash. None, for nobody or for a person without one, takes as long and
    is False; a damaged hash is False."""
    password = _normalised(text[: 2 * LENGTH_MAX])[: LENGTH_MAX + 1].encode("utf-8", "surrogatepass")
    try:
        return _HASHER.verify(password_hash or _NOBODY, password) and password_hash is not None
    except (VerificationError, InvalidHashError):
        return False


def needs_rehash(password_hash: str) -> bool:
    """Whether the hash was made with other parameters than today's; the next good sign-in can make it anew."""
    return _HASHER.check_needs_rehash(password_hash)


def new_password() -> str:
    """A random one of 24 letters and digits (140 bits), without characters that look alike."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(6)) for _ in range(4))


def _normalised(text: str) -> str:
    # The same key gives composed or decomposed letters, depending on the system.
    return unicodedata.normalize("NFKC", text)
