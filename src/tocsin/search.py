"""Finding incidents for a caller: scope, retention and query become documents ready to be spoken.

Finished incidents are cached by (tenant, incident, change): a version never changes, so its bytes are never stale.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import msgspec

from tocsin.access import Scope
from tocsin.errors import Expired
from tocsin.odata.expression import Field
from tocsin.stores.sqlite.reading import Change, IncidentRow, ReadStore
from tocsin.walks import Walk

CACHE_BYTES_MAX: Final = 32 * 1024 * 1024
READ_ALERTS_MAX: Final = 2_000
"""Alerts that are read in one go, so that a page of large incidents can end early."""

Render = Callable[[IncidentRow, bytes, Sequence[bytes]], bytes]
"""(row, header, alerts) -> the finished incident in some dialect."""


class Found(msgspec.Struct, frozen=True):
    """A page of a walk as rows. `as_of` is the change number that the walk is pinned to; `onward` is the walk at its
    next page, None at its end. `ended`: nothing is behind these rows, whatever `$top` said."""

    rows: list[IncidentRow]
    as_of: int
    by_id: bool
    onward: Walk | None = None
    ended: bool = True

    @property
    def last(self) -> tuple[int, ...]:
        """The key of the last row in the order of the walk; empty where there is none."""
        if not self.rows:
            return ()
        return (self.rows[-1].incident_id if self.by_id else self.rows[-1].change,)

    def cut(self, walk: Walk, given: int) -> Found:
        """The same page after `given` of its rows, with more behind it."""
        found = Found(self.rows[:given], self.as_of, self.by_id, None, ended=False)
        return msgspec.structs.replace(found, onward=walk.onward(self.as_of, given, found.last))


class Page(msgspec.Struct, frozen=True):
    """A page of a walk as finished incidents, and what they were made of."""

    incidents: list[bytes]
    found: Found


class Changes(msgspec.Struct, frozen=True):
    """What changed since a position, in order. `position` is where the next look begins; `more`: it is worth one."""

    changes: list[Change]
    position: int
    more: bool


def state_of(store: ReadStore, scope: Scope, as_of: int | None) -> int:
    """The change number to read as of: the pinned one while its state is kept, else the newest."""
    newest = store.last_change(scope)
    return as_of if as_of is not None and store.oldest_state(scope) <= as_of <= newest else newest


def walk_incidents(store: ReadStore, scope: Scope, walk: Walk) -> Found:
    """The rows of a page, inside a snapshot that the caller holds."""
    state = state_of(store, scope, walk.as_of)
    order_by, limit = walk.query.order_by, walk.limit
    rows = store.find_incidents(
        scope,
        expression=walk.query.filter,
        order_by=order_by,
        top=limit + 1 if limit else 0,  # one more than asked for says whether there are more
        skip=walk.skip,
        after=walk.after[0] if walk.after else None,
        not_before=walk.not_before,
        as_of=state,
    )
    # A state that is gone was read as the newest, but the walk began there: a change feed goes on from its number.
    pinned = state if walk.as_of is None else walk.as_of
    by_id = order_by is not None and order_by.field is Field.CREATED
    found = Found(rows, pinned, by_id, ended=limit > 0)
    return found if len(rows) <= limit else found.cut(walk, limit)


def find_changes(store: ReadStore, scope: Scope, walk: Walk) -> Changes:
    """What changed since the position of the walk, inside a snapshot that the caller holds.

    Every incident once, as it is now; None for its row where it does not match or was removed. Raises Expired.
    """
    since, newest = walk.since or 0, store.last_change(scope)
    if not store.oldest_removal(scope) <= since <= newest:
        raise Expired("this position of the change feed is older than what is kept of removals; begin the list anew")
    found = store.find_changes(
        scope, since=since, top=walk.page_size + 1, expression=walk.query.filter, not_before=walk.not_before
    )
    if len(found) > walk.page_size:
        return Changes(found[: walk.page_size], found[walk.page_size - 1].change, more=True)
    return Changes(found, newest, more=False)


class Search:
    """Reads of one dialect."""

    def __init__(self, store: ReadStore, cache_bytes_max: int = CACHE_BYTES_MAX) -> None:
        self._store, self._cache_bytes_max = store, cache_bytes_max
        self._cache: dict[tuple[int, int, int], bytes] = {}
        self._cached_bytes = 0

    def walk(self, scope: Scope, render: Render, walk: Walk, *, bytes_max: int | None = None) -> Page:
        """A page of a walk, all of the moment that the walk is pinned to.

        With `bytes_max` the page ends early, though never before its first incident, where it would become larger.
        """
        with self._store.snapshot():
            found = walk_incidents(self._store, scope, walk)
            incidents: list[bytes] = []
            size = 0
            for incident in self._finished(scope, found.rows, render):
                size += len(incident)
                if incidents and bytes_max is not None and size > bytes_max:
                    return Page(incidents, found.cut(walk, len(incidents)))
                incidents.append(incident)
            return Page(incidents, found)

    def one(self, scope: Scope, render: Render, incident_id: int, *, not_before: int) -> bytes:
        """One finished incident. Raises NotFound."""
        with self._store.snapshot():
            row = self._store.get_incident(scope, incident_id, not_before=not_before)
            return next(self._finished(scope, [row], render))

    def _finished(self, scope: Scope, rows: Sequence[IncidentRow], render: Render) -> Iterator[bytes]:
        """The rows of one read, finished: from the cache, and the others read together, some alerts at a time."""
        start = 0
        while start < len(rows):
            end, alerts = start, 0
            while end < len(rows) and (end == start or alerts + rows[end].alert_count <= READ_ALERTS_MAX):
                alerts += rows[end].alert_count
                end += 1
            yield from self._finish(scope, rows[start:end], render)
            start = end

    def _finish(self, scope: Scope, rows: Sequence[IncidentRow], render: Render) -> list[bytes]:
        # The scope has been applied to the rows. Who sees one whole sees what everybody else who does sees, so the key
        # needs no scope; what is shown in part is made for its caller and kept for nobody.
        keys = [(scope.tenant_id, row.incident_id, row.change) for row in rows]
        finished = {
            key: self._cache.pop(key)
            for key, row in zip(keys, rows, strict=True)
            if row.shown is None and key in self._cache
        }
        missing = [row for key, row in zip(keys, rows, strict=True) if key not in finished]
        partly = {}
        for row, (header, alerts) in zip(missing, self._store.documents(scope, missing), strict=True):
            made = render(row, header, alerts)
            key = (scope.tenant_id, row.incident_id, row.change)
            if row.shown is None:
                finished[key] = made
                self._cached_bytes += len(made)
            else:
                partly[key] = made
        self._cache.update(finished)  # popped and put back: the oldest use comes first
        while self._cached_bytes > self._cache_bytes_max:
            self._cached_bytes -= len(self._cache.pop(next(iter(self._cache))))
        return [partly[key] if key in partly else finished[key] for key in keys]
