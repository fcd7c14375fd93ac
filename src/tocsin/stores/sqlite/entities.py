"""What the correlation remembers of entities, kept so that a restart changes nothing and a write costs little.

Touched memories go to a journal row in the same transaction as the alerts (sequential, cheap). They are folded
into `entity_memory`, in key order and in bulk, when enough have gathered; a start reads the few journal rows back
(ADR 4). In memory: what the journal holds, and a bounded cache of what the table holds.
"""

from __future__ import annotations

import array
from collections.abc import Iterable
from typing import Final

import apsw
import msgspec

from tocsin.correlation.memory import EntityMemory

FOLD_AT: Final = 20_000
CACHE_MAX: Final = 50_000

_journal_encoder = msgspec.msgpack.Encoder()
_journal_decoder = msgspec.msgpack.Decoder(dict[int, EntityMemory])
_memory_decoder = msgspec.msgpack.Decoder(EntityMemory)


class EntityMemories:
    """The entity memories of all tenants, for the one writer. Not for other threads."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._unfolded: dict[int, dict[int, EntityMemory]] = {}
        self._unfolded_count = 0
        self._cache: dict[tuple[int, int], EntityMemory | None] = {}
        rows = connection.execute("SELECT tenant_id, memories FROM entity_journal ORDER BY journal_id")
        for tenant_id, memories in rows:
            self._absorb(int(tenant_id), _journal_decoder.decode(memories))

    def load(self, tenant_id: int, keys: Iterable[int]) -> None:
        """Bring these keys into the cache with one statement, so that `get` is a look-up."""
        unfolded, cache = self._unfolded.get(tenant_id, {}), self._cache
        wanted = sorted({key for key in keys if key not in unfolded and (tenant_id, key) not in cache})
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
        """The committed memory of one entity, or None where it was never seen."""
        unfolded = self._unfolded.get(tenant_id)
        if unfolded is not None and (found := unfolded.get(key)) is not None:
            return found
        if (tenant_id, key) not in self._cache:
            self.load(tenant_id, (key,))
        return self._cache[tenant_id, key]

    def journal(self, tenant_id: int, changed: dict[int, EntityMemory]) -> None:
        """Write what a batch changed, inside its transaction. After a rollback this object must be made anew."""
        self._connection.execute(
            "INSERT INTO entity_journal (tenant_id, memories) VALUES (?, ?)",
            (tenant_id, _journal_encoder.encode(changed)),
        )
        self._absorb(tenant_id, changed)

    def _absorb(self, tenant_id: int, changed: dict[int, EntityMemory]) -> None:
        unfolded = self._unfolded.setdefault(tenant_id, {})
        before = len(unfolded)
        unfolded.update(changed)
        self._unfolded_count += len(unfolded) - before

    def fold_due(self) -> bool:
        """Whether enough has gathered to be worth folding."""
        return self._unfolded_count >= FOLD_AT

    def fold(self, now: int) -> None:
        """Move the journal into the table, inside a transaction of its own that this makes. `now` in ticks."""
        with self._connection:
            for tenant_id, memories in self._unfolded.items():
                encode = _journal_encoder.encode
                self._connection.executemany(
                    "INSERT INTO entity_memory (tenant_id, entity_key, touched, memory) VALUES (?1, ?2, ?3, ?4) "
                    "ON CONFLICT DO UPDATE SET touched = ?3, memory = ?4",
                    [(tenant_id, key, now, encode(memories[key])) for key in sorted(memories)],
                )
            self._connection.execute("DELETE FROM entity_journal")
        for tenant_id, memories in self._unfolded.items():
            for key, memory in memories.items():
                if (tenant_id, key) in self._cache:
                    self._cache[tenant_id, key] = memory
        self._unfolded.clear()
        self._unfolded_count = 0

    def forget_cached(self) -> None:
        """Drop what is only a copy of the table, after rows of it were deleted."""
        self._cache.clear()
