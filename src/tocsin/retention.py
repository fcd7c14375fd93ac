"""What is past retention is not there: the cut-off every read applies, and the purge that follows behind.

An incident's age counts from its last change. The purge runs in the writer in steps of a few hundred rows between
commits, so that it never holds up ingest for longer than one step.
"""

from __future__ import annotations

from typing import Final

from tocsin import ticks
from tocsin.config import Settings
from tocsin.stores.sqlite.purging import Purge
from tocsin.stores.sqlite.writing import WriteStore

INCIDENTS_STEP: Final = 50
ROWS_STEP: Final = 500
HURRY: Final = 24


def cutoff(now: int, retention_days: int) -> int:
    """Ticks before which an incident's last change puts it past retention."""
    return max(0, now - retention_days * ticks.DAY)


class PurgeClock:
    """The wall clock, doubted: it may set the purge's time forward by a day an hour at most.

    What is past retention is hidden by the wall clock at once, and comes back when a wrong clock is set right.
    What is deleted does not, so a clock that jumps a year ahead must not empty the store before anyone sees it.
    """

    def __init__(self, newest_stamp: int, steady: int) -> None:
        """`newest_stamp`: the latest moment that the store knows of; `steady`: ticks that only ever go forward."""
        self._trusted, self._steady = newest_stamp + ticks.DAY, steady

    def now(self, wall: int, steady: int) -> int:
        """The time to purge by, in ticks: the wall clock's, or earlier."""
        self._trusted = min(wall, self._trusted + HURRY * (steady - self._steady))
        self._steady = steady
        return self._trusted


class Housekeeping:
    """The purge of all tenants, a step at a time. Keeps where it is in the walk over entity memories."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._memories_after: tuple[int, int] | None = None
        self._memories_done = 0

    def step(self, store: WriteStore, now: int) -> bool:
        """Take one small step inside the open transaction; False when nothing is left to do for now."""
        purge, settings = Purge(store.connection), self._settings
        replaced_before = max(0, now - settings.superseded_minutes * ticks.MINUTE)
        longest = settings.retention_days
        for tenant_id, own_days in purge.tenants():
            days = own_days or settings.retention_days
            before, longest = cutoff(now, days), max(longest, days)
            gone = purge.superseded(tenant_id, replaced_before, ROWS_STEP)
            # A walk that saw an incident at its start may still ask for it; what it may no longer see is hidden anyway.
            unseen = cutoff(now - settings.superseded_minutes * ticks.MINUTE, days)
            gone = gone or purge.incidents(tenant_id, unseen, now, INCIDENTS_STEP)
            gone = gone or purge.orphans(tenant_id, ROWS_STEP)
            gone = gone or purge.removals(tenant_id, before, ROWS_STEP)
            gone = gone or purge.log(tenant_id, before, ROWS_STEP)
            gone = gone or purge.refused(tenant_id, before, settings.refused_max, settings.refused_bytes_max, ROWS_STEP)
            if gone:
                store.forget_live()
                return True
        return self._memories_step(store, purge, now, cutoff(now, longest))

    def _memories_step(self, store: WriteStore, purge: Purge, now: int, before: int) -> bool:
        if self._memories_after is None and now < self._memories_done + ticks.DAY:
            return False
        self._memories_after = purge.memories(before, self._memories_after or (0, -(2**63)), ROWS_STEP)
        if self._memories_after is None:
            self._memories_done = now
            store.entities.forget_cached()
        return self._memories_after is not None
