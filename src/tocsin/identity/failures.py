"""A count of failures (wrong secrets, passwords, codes) for each of whom they are laid to, in bounded memory.

The time is an argument.
"""

from __future__ import annotations

from typing import Final

from tocsin.ticks import MINUTE, SECOND

FAILURES_PER_MINUTE: Final = 10
APPLICATIONS_MAX: Final = 10_000


class FailureLimit:
    """Counts in windows (ticks) that begin with the first failure; the oldest windows leave first."""

    def __init__(
        self,
        applications_max: int = APPLICATIONS_MAX,
        *,
        failures_max: int = FAILURES_PER_MINUTE,
        window: int = MINUTE,
    ) -> None:
        self._applications_max, self._failures_max, self._window = applications_max, failures_max, window
        self._windows: dict[tuple[int, str], tuple[int, int]] = {}

    def count(self, application: tuple[int, str], now: int) -> int:
        """Note one failure. Gives 0, or the whole seconds to wait when this window has had too many. `now` in ticks."""
        began, failures = self._window_of(application, now)
        self._windows.pop(application, None)
        while len(self._windows) >= self._applications_max:
            del self._windows[next(iter(self._windows))]
        self._windows[application] = (began, failures + 1)
        return self._wait(began, failures, now)

    def wait_seconds(self, application: tuple[int, str], now: int) -> int:
        """What `count` would give, without a failure: for what must not even be tried, as a password."""
        return self._wait(*self._window_of(application, now), now)

    def _window_of(self, application: tuple[int, str], now: int) -> tuple[int, int]:
        began, failures = self._windows.get(application, (now, 0))
        return (began, failures) if began <= now < began + self._window else (now, 0)

    def _wait(self, began: int, failures: int, now: int) -> int:
        return 0 if failures < self._failures_max else max(1, -((now - began - self._window) // SECOND))

    def __len__(self) -> int:
        return len(self._windows)
