"""A short memory of tenants, applications and ingest keys, so that a poll does not ask the store each time.

What is remembered is at most 30 seconds old, which is how a disabled caller is refused within 60.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, TypeVar

import msgspec

from tocsin.identity.people import Application, Directory, IngestKey, Tenant
from tocsin.ticks import SECOND

FRESH_TICKS: Final = 30 * SECOND

_V = TypeVar("_V")


class FreshCache(Generic[_V]):
    """A bounded map whose entries are good for 30 seconds; the oldest leave first.

    An entry from the future is not good either: a clock set back by an hour must not stretch its life by that.
    """

    def __init__(self, size_max: int) -> None:
        self._size_max = size_max
        self._entries: dict[object, tuple[int, _V]] = {}

    def find(self, key: object, now: int) -> _V | None:
        """What was kept under this key within the last 30 seconds, or None. `now` in ticks."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry[0] <= now < entry[0] + FRESH_TICKS:
            return entry[1]
        del self._entries[key]
        return None

    def keep(self, key: object, value: _V, now: int) -> None:
        """Remember a value as of `now`."""
        self._entries.pop(key, None)
        while len(self._entries) >= self._size_max:
            del self._entries[next(iter(self._entries))]
        self._entries[key] = (now, value)

    def __len__(self) -> int:
        return len(self._entries)


class Lookup(msgspec.Struct, frozen=True):
    """A Directory seen through a FreshCache. What is not there is not remembered: a new caller is known at once."""

    directory: Directory
    cache: FreshCache[Tenant | Application | IngestKey]

    def get_tenant(self, guid: str, now: int) -> Tenant:
        """Raises NotFound."""
        return self._get(Tenant, ("tenant", guid), lambda: self.directory.get_tenant(guid), now)

    def get_application(self, tenant_id: int, app_id: str, now: int) -> Application:
        """Raises NotFound."""
        key = ("application", tenant_id, app_id)
        return self._get(Application, key, lambda: self.directory.get_application(tenant_id, app_id), now)

    def get_ingest_key(self, key_id: str, now: int) -> IngestKey:
        """Raises NotFound."""
        return self._get(IngestKey, ("ingest_key", key_id), lambda: self.directory.get_ingest_key(key_id), now)

    def _get(self, kind: type[_Found], key: tuple[object, ...], read: Callable[[], _Found], now: int) -> _Found:
        kept = self.cache.find(key, now)
        if isinstance(kept, kind):
            return kept
        found = read()
        self.cache.keep(key, found, now)
        return found


_Found = TypeVar("_Found", Tenant, Application, IngestKey)
