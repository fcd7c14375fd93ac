"""Who has called how often: one bucket for each caller and operation, in memory and bounded."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from tocsin.quota import Allowed, Bucket, Denied, Limit, Limits, decide

BUCKETS_MAX: Final = 10_000
_MINUTE: Final = 60
_HOUR: Final = 3600


class Operation(StrEnum):
    """What is counted by itself: "each method has its own quota" (`incidents-api.md` 1.6)."""

    LIST = "list"
    GET = "get"
    UPDATE = "update"
    LIST_ALERTS = "list alerts"
    GET_ALERT = "get alert"
    UPDATE_ALERT = "update alert"
    LIST_MACHINES = "list machines"
    GET_MACHINE = "get machine"


class Quotas:
    """The buckets of one process. Only verified callers get one, so the bound is far away."""

    def __init__(self, per_minute: Mapping[Operation, int], per_hour: int) -> None:
        self._limits: dict[Operation, Limits] = {
            operation: (Limit(calls, _MINUTE), Limit(per_hour, _HOUR)) for operation, calls in per_minute.items()
        }
        self._buckets: dict[tuple[int, str, Operation], Bucket] = {}

    def spend(self, who: tuple[int, str, Operation], now: int) -> Allowed:
        """Count one call of (tenant, application, operation). `now` in ticks of a clock that never goes back.

        Raises QuotaExceeded.
        """
        limits = self._limits[who[2]]
        bucket = self._buckets.get(who)
        if bucket is None:
            if len(self._buckets) >= BUCKETS_MAX:
                self._forget_idle(now)
            bucket = self._buckets[who] = Bucket()
        decision = decide(bucket, now, limits)
        if isinstance(decision, Denied):
            raise decision.as_error()
        return decision

    def _forget_idle(self, now: int) -> None:
        idle = [who for who, bucket in self._buckets.items() if bucket.is_idle(now, self._limits[who[2]])]
        for who in idle:
            del self._buckets[who]
