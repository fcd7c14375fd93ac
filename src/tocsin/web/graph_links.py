"""Links that go on: where a walk stands, sealed so that nobody else can use or change it.

A token carries the pinned change number and the last row's place, under a MAC over tenant, caller, resource and the
query's meaning. Its key is made from the newest signing key, so that links outlive a restart and end with the key.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Final
from urllib.parse import quote

import msgspec

from tocsin.access import Principal
from tocsin.errors import InvalidQuery
from tocsin.identity.signing import SigningKeys

_MAC_BYTES: Final = 16
_ASIDE: Final = frozenset({"$skip", "$skiptoken", "$deltatoken", "$count"})
"""Options that a link does not repeat: they were for the first page, or are the link's own."""


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """Where a walk stands. `as_of` is its pinned change; the row with `place` (and `number`, where places repeat) was
    given last. A change feed has only `as_of`: all up to there was given."""

    as_of: int
    place: int = 0
    number: int = 0
    given: int = 0


class Links:
    """Seals and opens tokens."""

    def __init__(self, keys: SigningKeys) -> None:
        secret = str(keys.signer.as_dict(private=True)["d"])
        self._key = hashlib.sha256(b"tocsin walk " + secret.encode()).digest()
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(Mark)

    def seal(self, principal: Principal, resource: str, meaning: str, mark: Mark) -> str:
        """A token for this caller, resource and query."""
        body = self._encoder.encode(mark)
        mac = self._mac(principal, resource, meaning, body)
        return base64.urlsafe_b64encode(mac + body).rstrip(b"=").decode()

    def open(self, principal: Principal, resource: str, meaning: str, token: str) -> Mark:
        """Where the walk of this token stands. Raises InvalidQuery."""
        refusal = InvalidQuery(
            "The link was not made by this service for this caller and query, or its key is gone; begin anew."
        )
        try:
            raw = base64.urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
            mac, body = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
            if not hmac.compare_digest(mac, self._mac(principal, resource, meaning, body)):
                raise refusal
            return self._decoder.decode(body)
        except (ValueError, msgspec.DecodeError):
            raise refusal from None

    def _mac(self, principal: Principal, resource: str, meaning: str, body: bytes) -> bytes:
        said = msgspec.json.encode([principal.tenant_id, principal.app_id, resource, meaning, body])
        return hmac.new(self._key, said, hashlib.sha256).digest()[:_MAC_BYTES]


def link(address: str, query_string: bytes, option: str, token: str, *, ordered: bool) -> str:
    """The address with the options that the client sent, and the token; `ordered` keeps `$orderby`."""
    aside = _ASIDE if ordered else _ASIDE | {"$orderby"}
    parts = []
    for part in query_string.split(b"&"):
        name = part.partition(b"=")[0].replace(b"%24", b"$").decode("ascii", "replace").lower()
        if part and name.startswith("$") and name not in aside:
            parts.append(quote(part, safe="=$%+:,()'*;-._~!@/"))
    return f"{address}?{'&'.join([*parts, f'{option}={token}'])}"
