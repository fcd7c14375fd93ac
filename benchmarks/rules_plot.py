"""The figures of `rules.py` as an SVG picture: cost and memory against history, cost against stories."""

from __future__ import annotations

from collections.abc import Sequence
from math import log10
from typing import Any, Final

import msgspec

WIDTH: Final = 320
HEIGHT: Final = 190
LEFT: Final = 52
TOP: Final = 54
GAP: Final = 70
AIM_US: Final = 50.0
INK: Final = "#24292f"
BLUE: Final = "#0b61a4"
GREY: Final = "#9aa4ae"
RED: Final = "#b3261e"

Points = Sequence[tuple[float, float]]


class Panel(msgspec.Struct):
    """One set of axes: `x` marks are (place 0 to 1, text), `most` is the top of the vertical axis."""

    number: int
    title: str
    under: str
    x: Sequence[tuple[float, str]]
    most: float

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a point lies; both from 0 to 1 of the panel."""
        return LEFT + self.number * (WIDTH + GAP) + x * WIDTH, TOP + HEIGHT * (1 - y)

    def axes(self) -> str:
        """The frame, its marks and its words."""
        left, bottom = self.at(0, 0)
        parts = [_text((left, TOP - 14), self.title, "start", INK, 13)]
        for step in range(5):
            _, y = self.at(0, step / 4)
            parts.append(_line([(left, y), (left + WIDTH, y)], "#e3e7ea", 1))
            parts.append(_text((left - 7, y + 4), f"{self.most * step / 4:,.0f}", "end", INK))
        for place, label in self.x:
            x, _ = self.at(place, 0)
            parts.append(_text((x, bottom + 17), label, "middle", INK))
        parts.append(_text((left + WIDTH / 2, bottom + 34), self.under, "middle", INK))
        return "".join(parts)

    def line(self, points: Points, colour: str, name: str, *, above: bool = True) -> str:
        """A line through points (place, value), named over or under its middle."""
        placed = [self.at(x, y / self.most) for x, y in points]
        middle_x, middle_y = placed[len(placed) * 2 // 3]
        words = _text((middle_x, middle_y + (-8 if above else 17)), name, "middle", colour)
        return _line(placed, colour, 2) + words

    def dots(self, points: Points, colour: str) -> str:
        """A dot at each point."""
        placed = [self.at(x, y / self.most) for x, y in points]
        return "".join([f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in placed])

    def aim(self, value: float, name: str) -> str:
        """A dashed line across."""
        placed = [self.at(0, value / self.most), self.at(1, value / self.most)]
        words = _text((placed[0][0] + 4, placed[0][1] - 5), name, "start", RED)
        return _line(placed, RED, 1, dashed=True) + words


def plotted(result: dict[str, Any]) -> str:
    """The picture, as text."""
    rows = result["history"]
    last = rows[-1]["alerts"]
    top = _round_up(max(each["us_median"] for each in (*rows, *result["live"])))
    marks = [(share, f"{last * share:,.0f}") for share in (0, 0.5, 1)]
    cost = Panel(0, "Processor time per alert, microseconds", "alerts seen before", marks, top)
    parts = [cost.axes(), cost.aim(AIM_US, "20,000 alerts/s")]
    parts.append(cost.line([(each["alerts"] / last, each["us_median"]) for each in rows], GREY, "median"))
    parts.append(cost.line([(each["alerts"] / last, each["us_least"]) for each in rows], BLUE, "least", above=False))
    most = _round_up(max(each["process_mb"] for each in rows))
    memory = Panel(1, "Memory, MB (retention: three days of 100,000)", "alerts seen before", marks, most)
    parts.append(memory.axes())
    parts.append(memory.line([(each["alerts"] / last, each["process_mb"]) for each in rows], GREY, "whole process"))
    stored = [(each["alerts"] / last, each["stored_mb"]) for each in rows]
    parts.append(memory.line(stored, BLUE, "what is remembered, as stored"))
    least, greatest = log10(result["live"][0]["live"]), log10(result["live"][-1]["live"])
    places = [(log10(each["live"]) - least) / (greatest - least) for each in result["live"]]
    live_marks = [(place, f"{each['live']:,}") for place, each in zip(places, result["live"], strict=True)]
    live = Panel(2, "Processor time per alert, microseconds", "stories under way at once", live_marks, top)
    parts += [live.axes(), live.aim(AIM_US, "20,000 alerts/s")]
    for field, colour, above in (("us_median", GREY, True), ("us_least", BLUE, False)):
        points = [(place, each[field]) for place, each in zip(places, result["live"], strict=True)]
        parts += [live.line(points, colour, field.removeprefix("us_"), above=above), live.dots(points, colour)]
    width, height = LEFT + 3 * (WIDTH + GAP), TOP + HEIGHT + 50
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif">'
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>{"".join(parts)}</svg>\n'
    )


def _round_up(value: float) -> float:
    step = 10.0 ** int(log10(value))
    return next(step * each for each in (1, 2, 4, 6, 8, 20) if step * each >= value * 1.05)


def _line(points: Points, colour: str, width: int, *, dashed: bool = False) -> str:
    path = " ".join([f"{x:.1f},{y:.1f}" for x, y in points])
    dashes = ' stroke-dasharray="5 4"' if dashed else ""
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"{dashes}/>'


def _text(at: tuple[float, float], words: str, anchor: str, colour: str, size: int = 11) -> str:
    x, y = at
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{colour}">{words}</text>'
