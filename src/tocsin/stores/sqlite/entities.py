"""What the correlation remembers of entities, kept so that a restart changes nothing and a write costs little.

Touched memories go to a journal row in the same transaction as the alerts (sequential, cheap). When enough have
gathered they are folded into `entity_memory`, in key order and a slice at a time between commits; a start reads the
few journal rows back (ADR 4). In memory: what the journal holds, and a bounded cache of what the table holds.
"""

from __future__ import annotations

import array
from collections.abc import Iterable
from typing import Final

import apsw
import msgspec

from tocsin.correlation.memory import EntityMemory
from tocsin.stores.sqlite.connection import transaction

FOLD_AT: Final = 20_000
FOLD_SLICE: Final = 1_000
CACHE_MAX: Final = 50_000

Key = tuple[int, int]
"""(tenant, entity key)."""

_encoder = msgspec.msgpack.Encoder()
_journal_decoder = msgspec.msgpack.Decoder(dict[int, EntityMemory])
_memory_decoder = msgspec.msgpack.Decoder(EntityMemory)


class EntityMemories:
    """The entity memories of all tenants, for the one writer, who says when its transactions end."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._fresh: dict[Key, EntityMemory] = {}
        self._folding: dict[Key, EntityMemory] = {}
        self._slices: list[list[Key]] = []
        self._folding_until = 0
        self._cache: dict[Key, EntityMemory | None] = {}
        self._undo: dict[Key, EntityMemory | None] = {}
        rows = connection.execute("SELECT tenant_id, memories FROM entity_journal ORDER BY journal_id")
        for tenant_id, memories in rows:
            self._absorb(int(tenant_id), _journal_decoder.decode(memories))

    def load(self, tenant_id: int, keys: Iterable[int]) -> None:
        """Bring these keys into the cache with one statement, so that `get` is a look-up."""
        fresh, folding, cache = self._fresh, self._folding, self._cache
        wanted = sorted(
            {
                key
                for key in keys
                if (found := (tenant_id, key)) not in fresh and found not in cache and found not in folding
            }
        )
        if not wanted:
            return
        if len(cache) > CACHE_MAX:
            for oldest in list(cache)[: CACHE_MAX // 2]:
                del cache[oldest]
        for key in wanted:
            cache[tenant_id, key] = None
        rows = self._connection.execute(
            # CROSS JOIN keeps the order: a look-up for each wanted key, never a scan of the tenant.
            "SELECT entity_key, memory FROM carray(?2) CROSS JOIN entity_memory "
            "ON tenant_id = ?1 AND entity_key = value",
            (tenant_id, apsw.carray(array.array("q", wanted))),
        )
        for key, memory in rows:
            cache[tenant_id, int(key)] = _memory_decoder.decode(memory)

    def get(self, tenant_id: int, key: int) -> EntityMemory | None:
        """The memory of one entity as of the last batch, or None where it was never seen."""
        wanted = (tenant_id, key)
        found = self._fresh.get(wanted) or self._folding.get(wanted)
        if found is not None:
            return found
        if wanted not in self._cache:
            self.load(tenant_id, (key,))
        return self._cache[wanted]

    def journal(self, tenant_id: int, changed: dict[int, EntityMemory]) -> None:
        """Write what a batch changed, inside its transaction."""
        self._connection.execute(
            "INSERT INTO entity_journal (tenant_id, memories) VALUES (?, ?)", (tenant_id, _encoder.encode(changed))
        )
        for key in changed:
            found = (tenant_id, key)
            self._undo.setdefault(found, self._fresh.get(found))
        self._absorb(tenant_id, changed)

    def committed(self) -> None:
        """What was journalled since the last commit stays."""
        self._undo.clear()

    def rolled_back(self) -> None:
        """What was journalled since the last commit never was."""
        for key, before in self._undo.items():
            if before is None:
                self._fresh.pop(key, None)
            else:
                self._fresh[key] = before
        self._undo.clear()

    def _absorb(self, tenant_id: int, changed: dict[int, EntityMemory]) -> None:
        fresh = self._fresh
        for key, memory in changed.items():
            fresh[tenant_id, key] = memory

    def fold(self, now: int, *, whole: bool = False) -> None:
        """Fold a slice, or begin to where enough has gathered; `whole` folds everything. Makes its own transactions.

        `now` in ticks. A row of the journal goes only when all of it is in the table.
        """
        if not self._slices and self._fresh and (whole or len(self._fresh) >= FOLD_AT):
            self._folding, self._fresh = self._fresh, {}
            keys = sorted(self._folding)
            self._slices = [keys[start : start + FOLD_SLICE] for start in range(0, len(keys), FOLD_SLICE)]
            newest = self._connection.execute("SELECT max(journal_id) FROM entity_journal").fetchone()
            self._folding_until = int(newest[0] or 0) if newest is not None else 0
        while self._slices:
            self._fold_slice(self._slices[0], now)
            if not whole:
                return

    def _fold_slice(self, keys: list[Key], now: int) -> None:
        with transaction(self._connection):
            self._connection.executemany(
                "INSERT INTO entity_memory (tenant_id, entity_key, touched, memory) VALUES (?1, ?2, ?3, ?4) "
                "ON CONFLICT DO UPDATE SET touched = ?3, memory = ?4",
                [(*key, now, _encoder.encode(self._folding[key])) for key in keys],
            )
            if len(self._slices) == 1:
                self._connection.execute("DELETE FROM entity_journal WHERE journal_id <= ?", (self._folding_until,))
        for key in keys:
            if key in self._cache:
                self._cache[key] = self._folding[key]
        self._slices.pop(0)
        if not self._slices:
            self._folding = {}

    def forget_cached(self) -> None:
        """Drop what is only a copy of the table, after rows of it were deleted."""
        self._cache.clear()
