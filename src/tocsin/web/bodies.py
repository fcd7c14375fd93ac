"""Reading request bodies: bounds before and after decompression."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from starlette.requests import ClientDisconnect, Request

from tocsin.errors import InvalidInput, TooLarge, Unavailable

BODY_SECONDS_MAX = 120.0
_SLICE: Final = 16 * 1024
"""Packed bytes looked at in one go: what follows a member is copied, so it must not be the whole rest of a body."""
_MEMBERS_MAX: Final = 10_000


class Room:
    """How many bytes of bodies may be in memory at once, of all requests together. A body that is alone has room."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max, self._held = bytes_max, 0

    @contextmanager
    def hold(self) -> Iterator[Callable[[int], None]]:
        """Room for one body, given back at the end; what is given takes so many bytes more. It raises Unavailable."""
        mine = 0

        def take(size: int) -> None:
            nonlocal mine
            if self._held > mine and self._held + size > self._bytes_max:
                raise Unavailable("other requests fill the memory that there is for bodies; ask again", 2)
            mine += size
            self._held += size

        try:
            yield take
        finally:
            self._held -= mine


def _unbounded(_size: int) -> None:
    """For callers whose bodies are small."""


async def read_body(request: Request, bytes_max: int, take: Callable[[int], None] = _unbounded) -> bytes:
    """The body, decompressed where it says gzip. Raises TooLarge before reading what is announced as too large.

    `take` is told of each piece before it is kept, and may raise.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > bytes_max:
        raise TooLarge(f"the body has {announced} bytes and at most {bytes_max} are taken; send it in pieces")
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", "x-gzip"):
        raise InvalidInput(f"content-encoding {encoding[:40]!r} is not taken; send plain or gzip")
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS_MAX):
            async for chunk in request.stream():
                take(len(chunk))
                body += chunk
                if len(body) > bytes_max:
                    raise TooLarge(f"the body is longer than the {bytes_max} bytes that are taken; send it in pieces")
    except TimeoutError:
        raise InvalidInput(f"the body took more than {BODY_SECONDS_MAX:g} seconds to come") from None
    except ClientDisconnect:
        raise InvalidInput("the body ended early: the caller went away") from None
    if encoding == "identity":
        return bytes(body)
    plain = _gunzip(bytes(body), bytes_max)
    take(max(0, len(plain) - len(body)))
    return plain


def _gunzip(packed: bytes, bytes_max: int) -> bytes:
    plain = bytearray()
    member, members = zlib.decompressobj(wbits=31), 1
    for start in range(0, len(packed), _SLICE):
        rest = packed[start : start + _SLICE]
        while rest:
            if member.eof:  # gzip members may follow each other, as `cat a.gz b.gz` makes them
                member, members = zlib.decompressobj(wbits=31), members + 1
                if members > _MEMBERS_MAX:
                    raise InvalidInput(f"the gzip body has more than {_MEMBERS_MAX} parts; pack it in one")
            try:
                plain += member.decompress(rest, bytes_max + 1 - len(plain))
            except zlib.error as error:
                raise InvalidInput(f"the body says gzip and is none: {error}") from None
            if len(plain) > bytes_max or member.unconsumed_tail:
                raise TooLarge(f"unpacked, the body is longer than the {bytes_max} bytes that are taken")
            rest = member.unused_data
    if packed and not member.eof:
        raise InvalidInput("the gzip body ends too early")
    return bytes(plain)
