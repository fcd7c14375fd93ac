"""The rate-limit step: (bucket, now) → decision, by an exact sliding window that never overspends. Pure.

Limits are counted per application and tenant (`incidents-api.md` 1.6); who keeps which bucket is the caller's.
A refused call costs nothing, so a client that asks too early is never pushed further back.
"""

from __future__ import annotations

from collections import deque
from typing import Final, TypeAlias

import msgspec

from tocsin.errors import QuotaExceeded
from tocsin.ticks import SECOND

# A client reads 301 as "give up" (clients.md, Requests and Answers: Splunk SOAR).
RETRY_AFTER_HEADER_MAX: Final = 300


class Limit(msgspec.Struct, frozen=True):
    """At most `calls` in any `period_seconds`; both at least 1."""

    calls: int
    period_seconds: int


Limits: TypeAlias = tuple[Limit, ...]


class Bucket:
    """The moments, in ticks, of the latest allowed calls of one caller; oldest first.

    Owned by whoever made it and changed by `decide` alone. Holds no more than the greatest `calls` of the limits.
    """

    __slots__ = ("_moments",)

    def __init__(self) -> None:
        self._moments: deque[int] = deque()

    def __len__(self) -> int:
        return len(self._moments)

    def is_idle(self, now_ticks: int, limits: Limits) -> bool:
        """Whether forgetting this bucket would change no later decision."""
        longest = max(limit.period_seconds for limit in limits) * SECOND
        return not self._moments or self._moments[-1] + longest <= now_ticks


class Allowed(msgspec.Struct, frozen=True):
    """The call may go on and was counted. `remaining`: calls that could follow at once.

    `limit` is the one that allows the fewest, and `reset_after` the whole seconds until it allows one more.
    """

    remaining: int
    limit: Limit
    reset_after: int


class Denied(msgspec.Struct, frozen=True):
    """The call was not counted. `retry_after` is in whole seconds, at least 1: a call after that is allowed,
    unless others of the same caller come between. `limit` is the one that makes it wait longest.
    """

    retry_after: int
    limit: Limit

    @property
    def retry_after_header(self) -> int:
        """For `Retry-After`: `retry_after`, but 300 at most.

        The hour's limit can ask for more than the 300 seconds at which a known client gives up. Asking
        again early costs nothing, and the message still says the true number.
        """
        return min(self.retry_after, RETRY_AFTER_HEADER_MAX)

    @property
    def message(self) -> str:
        """In the original's words, because a known client reads the wait out of the last sentence (clients.md)."""
        period = self.limit.period_seconds
        shown = f"{period // 3600:02}:{period // 60 % 60:02}:{period % 60:02}"
        return (
            f"API calls quota exceeded! maximum allowed {self.limit.calls} per {shown}. "
            f"You can send requests again in {self.retry_after} seconds."
        )

    def as_error(self) -> QuotaExceeded:
        """The failure that dialects render; its `retry_after` is the header's."""
        return QuotaExceeded(self.message, self.retry_after_header)


Decision: TypeAlias = Allowed | Denied


def decide(bucket: Bucket, now_ticks: int, limits: Limits) -> Decision:
    """Decide one call at `now_ticks`, and count it in `bucket` where it is allowed.

    A window is half open: a call exactly one period after another is no longer in its window. `now_ticks`
    should come from a clock that never goes back. Where it does, the time of the last allowed call is taken
    to count, so nothing is overspent, and `retry_after` tells the wait on the clock as it is now.
    """
    moments = bucket._moments
    now = max(now_ticks, moments[-1]) if moments else now_ticks
    longest_wait, binding = 0, limits[0]
    for limit in limits:
        period = limit.period_seconds * SECOND
        if len(moments) >= limit.calls:
            free_at = moments[-limit.calls] + period
            if free_at > now and free_at - now_ticks > longest_wait:
                longest_wait, binding = free_at - now_ticks, limit
    if longest_wait:
        return Denied(-(-longest_wait // SECOND), binding)
    moments.append(now)
    allowed = _allowed(moments, now, limits)
    while len(moments) > max(limit.calls for limit in limits):
        moments.popleft()
    return allowed


def _allowed(moments: deque[int], now: int, limits: Limits) -> Allowed:
    spent = [_spent(moments, now - limit.period_seconds * SECOND) for limit in limits]
    remaining, index = min((limit.calls - spent[index], index) for index, limit in enumerate(limits))
    free_at = moments[-spent[index]] + limits[index].period_seconds * SECOND
    return Allowed(remaining, limits[index], -(-(free_at - now) // SECOND))


def _spent(moments: deque[int], since: int) -> int:
    """How many moments are later than `since`."""
    low, high = 0, len(moments)
    while low < high:
        middle = (low + high) // 2
        if moments[middle] > since:
            high = middle
        else:
            low = middle + 1
    return len(moments) - low
