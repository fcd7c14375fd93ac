"""A count of wrong secrets for each application, in bounded memory. The time is an argument."""

from __future__ import annotations

from typing import Final

from tocsin.ticks import MINUTE, SECOND

FAILURES_PER_MINUTE: Final = 10
APPLICATIONS_MAX: Final = 10_000


class FailureLimit:
    """Counts in windows of one minute that begin with the first failure; the oldest windows leave first."""

    def __init__(self, applications_max: int = APPLICATIONS_MAX) -> None:
        self._applications_max = applications_max
        self._windows: dict[tuple[int, str], tuple[int, int]] = {}

    def count(self, application: tuple[int, str], now: int) -> int:
        """Note one failure. Gives 0, or the whole seconds to wait when this minute has had too many. `now` in ticks."""
        began, failures = self._windows.get(application, (now, 0))
        if not began <= now < began + MINUTE:
            began, failures = now, 0
        self._windows.pop(application, None)
        while len(self._windows) >= self._applications_max:
            del self._windows[next(iter(self._windows))]
        self._windows[application] = (began, failures + 1)
        if failures < FAILURES_PER_MINUTE:
            return 0
        return max(1, -((now - began - MINUTE) // SECOND))

    def __len__(self) -> int:
        return len(self._windows)
