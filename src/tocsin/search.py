"""Finding incidents for a caller: scope, retention and query become documents ready to be spoken.

Finished incidents are cached by (tenant, incident, change): a version never changes, so its bytes are never stale.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from tocsin.access import Scope
from tocsin.odata.expression import Expression
from tocsin.odata.options import Order
from tocsin.stores.sqlite.reading import IncidentRow, ReadStore

CACHE_BYTES_MAX: Final = 32 * 1024 * 1024

Render = Callable[[IncidentRow, bytes, Sequence[bytes]], bytes]
"""(row, header, alerts) -> the finished incident in some dialect."""


class Search:
    """Reads of one dialect."""

    def __init__(self, store: ReadStore, cache_bytes_max: int = CACHE_BYTES_MAX) -> None:
        self._store, self._cache_bytes_max = store, cache_bytes_max
        self._cache: dict[tuple[int, int, int], bytes] = {}
        self._cached_bytes = 0

    def page(
        self,
        scope: Scope,
        render: Render,
        *,
        expression: Expression | None,
        order_by: Order | None = None,
        top: int,
        skip: int,
        not_before: int,
    ) -> list[bytes]:
        """A page of finished incidents, newest first unless ordered otherwise, all of one moment.

        `not_before` is the retention cut-off in ticks.
        """
        with self._store.snapshot():
            rows = self._store.find_incidents(
                scope, expression=expression, order_by=order_by, top=top, skip=skip, not_before=not_before
            )
            return [self._finished(scope, row, render) for row in rows]

    def one(self, scope: Scope, render: Render, incident_id: int, *, not_before: int) -> bytes:
        """One finished incident. Raises NotFound."""
        with self._store.snapshot():
            row = self._store.get_incident(scope, incident_id, not_before=not_before)
            return self._finished(scope, row, render)

    def _finished(self, scope: Scope, row: IncidentRow, render: Render) -> bytes:
        # The scope has been applied to the row; today all who may see it see it whole, so the key needs no scope.
        key = (scope.tenant_id, row.incident_id, row.change)
        found = self._cache.pop(key, None)
        if found is None:
            found = render(row, self._store.header(row), self._store.alerts(scope, row))
            self._cached_bytes += len(found)
        self._cache[key] = found  # popped and put back: the oldest use comes first
        while self._cached_bytes > self._cache_bytes_max:
            self._cached_bytes -= len(self._cache.pop(next(iter(self._cache))))
        return found
