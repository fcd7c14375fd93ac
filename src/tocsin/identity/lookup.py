"""A short memory of tenants, applications, ingest keys and people, so that a poll does not ask the store each time.

What is remembered is at most 30 seconds old, which is how a disabled caller is refused within 60.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

import msgspec

from tocsin.access import DELEGATED_PERMISSIONS, Grant, Permission
from tocsin.errors import NotFound
from tocsin.identity.people import Application, Directory, IngestKey, Tenant, User
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


class Persons(Protocol):
    """Where people are looked up."""

    def get_user(self, tenant_id: int, reference: str) -> User:
        """By GUID or name, disabled ones too. Raises NotFound."""

    def grants_of(self, tenant_id: int, user_id: str) -> tuple[Grant, ...]:
        """What the roles of a person show."""

    def permissions_of(self, tenant_id: int, user_id: str) -> frozenset[Permission]:
        """What the roles of a person permit."""


class Nobody:
    """Where there are no people: only applications call."""

    def get_user(self, tenant_id: int, reference: str) -> User:
        """Raises NotFound."""
        raise NotFound(f"tenant {tenant_id} has no user {reference[:60]!r}")

    def grants_of(self, tenant_id: int, user_id: str) -> tuple[Grant, ...]:
        """None."""
        return ()

    def permissions_of(self, tenant_id: int, user_id: str) -> frozenset[Permission]:
        """None."""
        return frozenset()


class Standing(msgspec.Struct, frozen=True):
    """A person, what they may do and what they may see of it."""

    user: User
    permissions: frozenset[Permission]
    grants: tuple[Grant, ...]


class Lookup(msgspec.Struct, frozen=True):
    """A Directory seen through a FreshCache. What is not there is not remembered: a new caller is known at once."""

    directory: Directory
    persons: Persons
    cache: FreshCache[Tenant | Application | IngestKey | Standing]

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

    def get_standing(self, tenant_id: int, user_id: str, now: int) -> Standing:
        """Raises NotFound."""

        def read() -> Standing:
            user = self.persons.get_user(tenant_id, user_id)
            return Standing(
                user,
                self.persons.permissions_of(tenant_id, user.user_id) & DELEGATED_PERMISSIONS,
                self.persons.grants_of(tenant_id, user.user_id),
            )

        return self._get(Standing, ("standing", tenant_id, user_id), read, now)

    def _get(self, kind: type[_Found], key: tuple[object, ...], read: Callable[[], _Found], now: int) -> _Found:
        kept = self.cache.find(key, now)
        if isinstance(kept, kind):
            return kept
        found = read()
        self.cache.keep(key, found, now)
        return found


_Found = TypeVar("_Found", Tenant, Application, IngestKey, Standing)
