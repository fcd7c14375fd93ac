"""The bars above the queue: incidents opened on each of the last days, stacked by severity. Pure geometry."""

from __future__ import annotations

from datetime import date
from typing import Final

import msgspec

from tocsin.model import Severity
from tocsin.stores.sqlite.overview import Tally
from tocsin.ticks import DAY
from tocsin.web.portal.text import counted

DAYS: Final = 14
HEIGHT: Final = 60
_BAR: Final = 18
_STEP: Final = 26
WIDTH: Final = DAYS * _STEP - (_STEP - _BAR)
_GAP: Final = 1.0
_EPOCH: Final = date(1970, 1, 1).toordinal()
STACKED: Final = (
    Severity.HIGH, Severity.MEDIUM, Severity.LOW, Severity.INFORMATIONAL, Severity.UNSPECIFIED,
)  # fmt: skip


class Piece(msgspec.Struct, frozen=True):
    """One rectangle of a bar."""

    severity: Severity
    y: float
    height: float


class Bar(msgspec.Struct, frozen=True):
    """One day. `label` is drawn below where it is not empty; `told` is the whole day in words."""

    x: int
    pieces: tuple[Piece, ...]
    label: str
    told: str


class Chart(msgspec.Struct, frozen=True):
    """Bars in a box of `width` by `height`; `most` is the height of the highest in incidents."""

    width: int
    height: int
    bars: tuple[Bar, ...]
    most: int
    total: int


def first_day(now: int) -> int:
    """The UTC day, counted from 1970, at which the chart begins."""
    return now // DAY - DAYS + 1


def daily_chart(tally: Tally, now: int) -> Chart:
    """Lay out the days that end with the one of `now` (ticks)."""
    days = range(first_day(now), now // DAY + 1)
    counts = [[(severity, tally.opened.get((day, severity), 0)) for severity in STACKED] for day in days]
    totals = [sum(count for _, count in day) for day in counts]
    most = max(totals)
    bars = tuple(
        Bar(index * _STEP, _pieces(day_counts, most), _label(day, index), _told(day, day_counts))
        for index, (day, day_counts) in enumerate(zip(days, counts, strict=True))
    )
    return Chart(WIDTH, HEIGHT, bars, most, sum(totals))


def _pieces(counts: list[tuple[Severity, int]], most: int) -> tuple[Piece, ...]:
    """From the floor up, the most severe at the bottom, where bars can be compared."""
    pieces = []
    floor = float(HEIGHT)
    for severity, count in counts:
        if count:
            height = max(2.0, count / most * (HEIGHT - 4))
            pieces.append(Piece(severity, round(floor - height, 1), round(max(1.0, height - _GAP), 1)))
            floor -= height
    return tuple(pieces)


def _label(day: int, index: int) -> str:
    return f"{_date(day):%d %b}".lstrip("0") if index in (0, DAYS - 1) else ""


def _date(day: int) -> date:
    return date.fromordinal(day + _EPOCH)


def _told(day: int, counts: list[tuple[Severity, int]]) -> str:
    total = sum(count for _, count in counts)
    parts = ", ".join(f"{count} {severity.lower()}" for severity, count in counts if count)
    return f"{_date(day):%A %d %B}: {counted(total, 'incident')}{f' ({parts})' if parts else ''}"
