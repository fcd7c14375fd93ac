"""The security headers of every answer, in one place. `edge.py` adds them where an answer does not set its own.

The strictest is the default: an answer may be read by who asked for it, and is never a page, a frame or a cached copy.
Pages loosen what they need (`PAGE`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

STRICT_TRANSPORT: Final = "max-age=31536000"
"""A year. A browser that does not trust our certificate ignores it (RFC 6797 8.1), so it locks nobody out who has not
yet taken our authority in; afterwards it takes away the button that goes on in spite of a wrong certificate."""

ANY: Final = {
    "content-security-policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
"""For every answer."""
PAGE: Final = {
    **ANY,
    "content-security-policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    # Not no-referrer: a form of such a page is posted with `Origin: null`, and could not be told from a forged one.
    "referrer-policy": "same-origin",
}
"""For pages: no script at all, style and pictures from here, forms to here, in nobody's frame."""

_RAW: Final = [(name.encode(), value.encode()) for name, value in ANY.items()]
_TRANSPORT: Final = (b"strict-transport-security", STRICT_TRANSPORT.encode())

RawHeaders = list[tuple[bytes, bytes]]


def completed(headers: Iterable[tuple[bytes, bytes]], *, loopback: bool) -> RawHeaders:
    """An answer's headers and those of ANY that it did not set itself.

    Not told to stay with https for names of the machine itself: that would be for all its ports and programs.
    """
    own = list(headers)
    there = {name for name, _ in own}
    own += [each for each in _RAW if each[0] not in there]
    if not loopback and _TRANSPORT[0] not in there:
        own.append(_TRANSPORT)
    return own
