"""The log lines of ingest: one for the first request of a sender, then one a second for all that came in it.

A line for each request would cost a twelfth of the time of an alert that comes alone. What came in the last second
before the end of the process is not told.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Final

import structlog

EVERY_SECONDS: Final = 1.0

log = structlog.get_logger()


class Tallies:
    """Counts of requests by sender, for one event loop."""

    def __init__(self) -> None:
        self._waiting: dict[str, tuple[Counter[str], int]] = {}

    def add(self, sender: str, counts: Mapping[str, int], ms: int) -> None:
        """Count a request: how many lines became what, and how many milliseconds it took."""
        waiting = self._waiting.get(sender)
        if waiting is None:
            _say(sender, counts, 1, ms)
            self._begin(sender)
        else:
            waiting[0].update(counts)
            waiting[0]["requests"] += 1
            self._waiting[sender] = (waiting[0], max(waiting[1], ms))

    def _begin(self, sender: str) -> None:
        self._waiting[sender] = (Counter(), 0)
        asyncio.get_running_loop().call_later(EVERY_SECONDS, self._end, sender)

    def _end(self, sender: str) -> None:
        counts, slowest = self._waiting.pop(sender)
        requests = counts.pop("requests", 0)
        if requests:
            _say(sender, counts, requests, slowest)
            self._begin(sender)


def _say(sender: str, counts: Mapping[str, int], requests: int, ms: int) -> None:
    """`ms` is that of the slowest."""
    log.info("ingested", sender=sender, requests=requests, **counts, ms=ms)
