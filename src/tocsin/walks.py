"""Walks over lists: where a caller is, told to it as a token that only this service can make (`design/feed.md`).

A walk is pinned to the change number of its first page, so each incident that matched when it began appears exactly
once. A token carries the walk; it is under a MAC and says for whom it is. A client that pages by `$skip` alone has no
token: its first page leaves a pin for (caller, query), which its later pages find. Knows no store and no dialect.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import OrderedDict
from pathlib import Path
from typing import Final
from urllib.parse import unquote_plus

import msgspec

from tocsin.errors import InvalidQuery
from tocsin.identity.keyfiles import make_private_folder, read_private, write_private
from tocsin.odata.options import Options, Query, parse_options
from tocsin.ticks import MINUTE

PIN_LIFE: Final = 10 * MINUTE
PINS_MAX: Final = 10_000
POSITIONS_MAX: Final = 4
TOKEN_CHARACTERS_MAX: Final = 1_600
"""Leaves room for scheme, host and path in an address of 2,000 characters."""
LONG_QUERIES_MAX: Final = 1_000
_MAC_BYTES: Final = 16
_KEY_BYTES: Final = 32
_OF_ONE_PAGE: Final = frozenset({"$top", "$skip", "$skiptoken", "$deltatoken"})


class Walker(msgspec.Struct, frozen=True):
    """Who walks over what: `resource` is the dialect's own name of the list."""

    tenant_id: int
    app_id: str
    resource: str


class Walk(msgspec.Struct, frozen=True, kw_only=True):
    """A walk at the beginning of one of its pages.

    `as_of` is the change number it is pinned to, None before the first page is read. `not_before` is the retention
    cut-off in ticks. `after` is the key of the last row given, in the terms of the list; `skip` counts from there.
    `top` is how many rows may still be given, None for all. `offset` is the place in the whole list. `count` is the
    total, where it was counted. `since` is the change number a change feed goes on from, None for a list.
    """

    walker: Walker
    query: Query
    options_text: bytes
    not_before: int
    page_size: int
    as_of: int | None = None
    after: tuple[int, ...] = ()
    skip: int = 0
    top: int | None = None
    offset: int = 0
    count: int | None = None
    since: int | None = None

    @property
    def limit(self) -> int:
        """The most rows that this page may give."""
        return self.page_size if self.top is None else min(self.page_size, self.top)

    def onward(self, as_of: int, given: int, last: tuple[int, ...]) -> Walk | None:
        """The walk at its next page, `given` rows and the key `last` on; None where `$top` is used up."""
        left = None if self.top is None else self.top - given
        if left == 0:
            return None
        return msgspec.structs.replace(self, as_of=as_of, after=last, skip=0, top=left, offset=self.offset + given)


class _Token(msgspec.Struct, frozen=True, array_like=True):
    """What a token says; `query` is the options' text, or a fingerprint where that is too long for an address."""

    tenant_id: int
    app_id: str
    resource: str
    query: bytes
    by_fingerprint: bool
    as_of: int | None
    not_before: int
    after: tuple[int, ...]
    skip: int
    top: int | None
    page_size: int
    offset: int
    count: int | None
    since: int | None


class _Pin(msgspec.Struct):
    """What a first page left for the `$skip`s that follow: `positions` are offset -> key of the row before it."""

    as_of: int
    not_before: int
    until: int
    positions: OrderedDict[int, tuple[int, ...]]
    end: int | None = None


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Token)


def load_walk_key(data_dir: Path) -> bytes:
    """The key of the tokens, made where there is none. Raises StoreError."""
    folder = data_dir / "keys"
    make_private_folder(folder)
    found = read_private(folder / "walks.key")
    if found is None or len(found) != _KEY_BYTES:
        found = secrets.token_bytes(_KEY_BYTES)
        write_private(folder / "walks.key", found)
    return found


class Walks:
    """Begins walks and takes them up again. `overstay` ticks: how long a walk may see what went past retention."""

    def __init__(self, key: bytes, overstay: int) -> None:
        self._key, self._overstay = key, overstay
        self._pins: OrderedDict[tuple[Walker, bytes], _Pin] = OrderedDict()
        self._long: OrderedDict[bytes, bytes] = OrderedDict()

    def begin(
        self,
        walker: Walker,
        query_string: bytes,
        query: Query,
        *,
        page_size: int,
        top: int | None,
        not_before: int,
        now: int,
    ) -> Walk:
        """A walk at its first page, or at the page of a `$skip` whose first page is at most ten minutes old.

        `not_before` and `now` are ticks. An unknown or older `$skip` begins a walk of its own there.
        """
        walk = Walk(
            walker=walker,
            query=query,
            options_text=_lasting(query_string),
            not_before=not_before,
            page_size=page_size,
            top=top,
            skip=query.skip,
            offset=query.skip,
        )
        pin = self._pins.get((walker, _fingerprint(query))) if query.skip else None
        if pin is None or pin.until <= now:
            return walk
        if pin.end is not None and query.skip >= pin.end:
            return msgspec.structs.replace(walk, as_of=pin.as_of, not_before=pin.not_before, top=0)
        before = max((each for each in pin.positions if each <= query.skip), default=0)
        return msgspec.structs.replace(
            walk,
            as_of=pin.as_of,
            not_before=pin.not_before,
            after=pin.positions.get(before, ()),
            skip=query.skip - before,
        )

    def note(self, walk: Walk, *, as_of: int, given: int, last: tuple[int, ...], ended: bool, now: int) -> None:
        """Remember a page that was read: how many rows it gave, the key of the last, whether nothing is behind it.

        Only pages found by `$skip`: those of a token know their own place, and may be of another moment.
        """
        if walk.offset != walk.query.skip:
            return
        key = walk.walker, _fingerprint(walk.query)
        pin = self._pins.get(key)
        if walk.offset == 0 or pin is None or pin.until <= now or pin.as_of != as_of:
            pin = self._pins[key] = _Pin(as_of, walk.not_before, now + PIN_LIFE, OrderedDict())
        self._pins.move_to_end(key)
        if given:
            pin.positions[walk.offset + given] = last
            while len(pin.positions) > POSITIONS_MAX:
                pin.positions.popitem(last=False)
        if ended and (given or walk.offset == 0):
            pin.end = walk.offset + given
        while len(self._pins) > PINS_MAX:
            self._pins.popitem(last=False)

    def resume(self, walker: Walker, query: Query, options: Options, *, not_before: int) -> Walk:
        """The walk of the `$skiptoken` or `$deltatoken` in this query. Raises InvalidQuery.

        Options beside the token may say again what the walk began with; `$top` may shorten this page.
        """
        name = "$skiptoken" if "$skiptoken" in query.passed_on else "$deltatoken"
        token = self._read(name, query.passed_on[name])
        if (token.tenant_id, token.app_id) != (walker.tenant_id, walker.app_id):
            raise InvalidQuery(f"The {name} was given to another application or tenant; begin the list anew.")
        if token.resource != walker.resource or (token.since is None) != (name == "$skiptoken"):
            raise InvalidQuery(f"The {name} belongs to another list; follow the link as it was given.")
        text = self._long.get(token.query) if token.by_fingerprint else token.query
        if text is None:
            raise InvalidQuery(f"The query of this {name} is no longer known here; begin the list anew.")
        begun = parse_options(text, options)
        if query.skip or query.filter not in (None, begun.filter) or query.order_by not in (None, begun.order_by):
            raise InvalidQuery(f"The {name} belongs to a list with other options; follow the link as it was given.")
        return Walk(
            walker=walker,
            query=begun,
            options_text=text,
            not_before=max(token.not_before, not_before - self._overstay),
            page_size=min(token.page_size, query.top or token.page_size),
            as_of=token.as_of,
            after=token.after,
            skip=token.skip,
            top=token.top,
            offset=token.offset,
            count=token.count,
            since=token.since,
        )

    def token(self, walk: Walk) -> str:
        """The walk as text for a link: URL-safe, at most TOKEN_CHARACTERS_MAX characters."""
        text = self._seal(walk, walk.options_text, by_fingerprint=False)
        if len(text) > TOKEN_CHARACTERS_MAX:
            fingerprint = hashlib.sha256(walk.options_text).digest()[:_MAC_BYTES]
            self._long[fingerprint] = walk.options_text
            self._long.move_to_end(fingerprint)
            while len(self._long) > LONG_QUERIES_MAX:
                self._long.popitem(last=False)
            text = self._seal(walk, fingerprint, by_fingerprint=True)
        return text

    def _seal(self, walk: Walk, query: bytes, *, by_fingerprint: bool) -> str:
        walker = walk.walker
        token = _Token(
            walker.tenant_id,
            walker.app_id,
            walker.resource,
            query,
            by_fingerprint,
            walk.as_of,
            walk.not_before,
            walk.after,
            walk.skip,
            walk.top,
            walk.page_size,
            walk.offset,
            walk.count,
            walk.since,
        )
        payload = zlib.compress(_encoder.encode(token), 9)
        return urlsafe_b64encode(self._mac(payload) + payload).rstrip(b"=").decode()

    def _read(self, name: str, text: str) -> _Token:
        try:
            raw = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
        except ValueError:
            raw = b""
        mac, payload = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        # The bytes are decoded leniently, so the text must be exactly what we would write for them.
        written = urlsafe_b64encode(raw).rstrip(b"=").decode()
        if not payload or written != text or not hmac.compare_digest(mac, self._mac(payload)):
            raise InvalidQuery(f"The {name} was not made by this service or was changed on its way; begin anew.")
        return _decoder.decode(zlib.decompress(payload))

    def _mac(self, payload: bytes) -> bytes:
        return hmac.digest(self._key, b"tocsin walk 1\0" + payload, "sha256")[:_MAC_BYTES]


def _fingerprint(query: Query) -> bytes:
    """Equal for queries that mean the same list, however they are spelled."""
    return hashlib.sha256(repr((query.filter, query.order_by)).encode("utf-8", "surrogatepass")).digest()


def _lasting(query_string: bytes) -> bytes:
    """The options that belong to the whole walk, as they were sent."""
    parts = [part for part in query_string.split(b"&") if part]
    names = [unquote_plus(part.partition(b"=")[0].decode("latin-1")).lower() for part in parts]
    kept = [part for part, name in zip(parts, names, strict=True) if name[:1] == "$" and name not in _OF_ONE_PAGE]
    return b"&".join(kept)
