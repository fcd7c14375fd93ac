"""Who has called how often: one bucket for each caller and operation, in memory and bounded."""

from __future__ import annotations

from typing import Final

from tocsin.quota import Bucket, Denied, Limit, Limits, decide

BUCKETS_MAX: Final = 10_000
_MINUTE: Final = 60
_HOUR: Final = 3600


class Quotas:
    """The buckets of one process. Only verified callers get one, so the bound is far away."""

    def __init__(self, per_minute: int, per_hour: int) -> None:
        self._limits: Limits = (Limit(per_minute, _MINUTE), Limit(per_hour, _HOUR))
        self._buckets: dict[tuple[int, str, str], Bucket] = {}

    def spend(self, who: tuple[int, str, str], now: int) -> None:
        """Count one call of (tenant, application, operation). `now` in ticks of a clock that never goes back.

        Raises QuotaExceeded.
        """
        bucket = self._buckets.get(who)
        if bucket is None:
            if len(self._buckets) >= BUCKETS_MAX:
                self._forget_idle(now)
            bucket = self._buckets[who] = Bucket()
        decision = decide(bucket, now, self._limits)
        if isinstance(decision, Denied):
            raise decision.as_error()

    def _forget_idle(self, now: int) -> None:
        idle = [who for who, bucket in self._buckets.items() if bucket.is_idle(now, self._limits)]
        for who in idle:
            del self._buckets[who]
