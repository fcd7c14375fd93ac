"""Where the stories write down what the sensors report: time, chance and fresh ids, all decided by a seed and an end.

Reads no clock. The same end and seed give the same ids, whatever the process.
"""

from __future__ import annotations

import hashlib
import random
from typing import Final

import msgspec

from tocsin.ticks import DAY, HOUR, MINUTE, SECOND

DAYS: Final = 14
SPAN: Final = DAYS * DAY


class Report(msgspec.Struct, frozen=True):
    """One record of one sensor. `at` is when it is delivered, in ticks; `story` is "" for noise."""

    at: int
    sender: str
    record: dict[str, object]
    story: str


class Logbook:
    """Collects the reports of the two weeks before `end` (ticks). `story` is put on what is added."""

    def __init__(self, end: int, seed: str) -> None:
        self.end = end
        self.start = end - SPAN
        self.reports: list[Report] = []
        self.story = ""
        self.chance = random.Random(seed)  # noqa: S311 (a story, no secret)
        self._seed = seed
        self._count = 0

    def add(self, sender: str, at: int, delay: int, record: dict[str, object]) -> None:
        """Write down a record of something at `at`, delivered `delay` ticks later but never after `end`."""
        self.reports.append(Report(min(at + delay, self.end - 1), sender, record, self.story))

    def fresh(self, digits: int = 32) -> str:
        """Hexadecimal digits never given before."""
        self._count += 1
        return hashlib.shake_256(f"{self._seed}/{self._count}".encode()).hexdigest((digits + 1) // 2)[:digits]

    def guid(self) -> str:
        """A fresh GUID."""
        text = self.fresh()
        return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-9{text[17:20]}-{text[20:]}"

    def between(self, low: int, high: int) -> int:
        return self.chance.randint(low, high)

    def seconds(self, low: float, high: float) -> int:
        """A stretch of time in ticks, from seconds."""
        return self.chance.randint(int(low * SECOND), int(high * SECOND))

    def blurred(self, at: int) -> int:
        """A moment up to two seconds after `at`, since nothing real happens on the full second."""
        return min(at + self.chance.randint(0, 2 * SECOND), self.end - 1)

    def before(self, hours: float = 0, minutes: float = 0) -> int:
        """The moment that long before the end."""
        return self.end - int(hours * HOUR) - int(minutes * MINUTE)

    def workday(self, days_back: int, hour: int, minute: int = 0) -> int:
        """That time of day (UTC) on the working day that many days back; a weekend becomes the Friday before."""
        day = self.end // DAY - days_back
        while is_weekend(day):
            day -= 1
        return day * DAY + hour * HOUR + minute * MINUTE + self.seconds(0, 50)


def is_weekend(day: int) -> bool:
    """Whether a day, counted from 1970-01-01 (a Thursday), is a Saturday or Sunday."""
    return (day + 3) % 7 >= 5


def file_hash(name: str) -> str:
    """The SHA-256 that a file of the stories has, made of its name."""
    return hashlib.sha256(f"norrvik/{name}".encode()).hexdigest()
