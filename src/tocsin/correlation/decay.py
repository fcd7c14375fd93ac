"""How evidence fades: with time, with how busy a thing is anyway, and with how many places know it.

A trace (a process, a file, a url) is the same trace later, so it fades by half-lives. An asset is where
unrelated things happen too: two alerts on one device belong together when the gap between them is
likelier inside a story than between strangers. Gaps inside a story are heavy-tailed (density
`g / (g + gap)^2` around a typical gap g); strangers come at the rate that asset is used to. A quiet asset so
joins over hours and a busy one over seconds, without a window to set.
"""

from __future__ import annotations

from math import exp2, log2, sqrt
from typing import Final

from tocsin import ticks
from tocsin.correlation.memory import SPREAD_MAX

RATE_WEIGHT: Final = 0.5
"""How many incidents' worth the expected rate counts against what the asset itself has shown."""
TENANT_RATE_FIRST: Final = 1.0 / ticks.HOUR
"""Incidents per tick expected of a tenant that nothing is known of."""
TENANT_ASSETS_MIN: Final = 8

_LOG2: Final = (0.0, *(log2(size) for size in range(1, SPREAD_MAX + 1)))


def trace_weight(half_life: int, age: int) -> float:
    """What is left of a trace's weight after `age` ticks: 1 at once, a half after each half-life."""
    return exp2(-age / half_life)


def asset_weight(gap: int, half_life: int, age: int, rate: float) -> float:
    """The chance that `age` ticks lie inside one story whose typical gap is `gap`, where strangers come at `rate`."""
    reach = gap + age
    return exp2(-age / half_life) / (1.0 + rate * reach * reach / gap)


def asset_reach(gap: int, rate: float, share: float) -> float:
    """The age in ticks beyond which `asset_weight` is surely less than `share` (0 to 1) at this rate."""
    return sqrt((1.0 / share - 1.0) * gap / rate) - gap


def incident_rate(incidents: int, span: int, expected: float) -> float:
    """Unrelated incidents per tick, of `incidents` recent ones (the candidate among them) over `span` ticks.

    With little history the expected rate prevails; both count by `RATE_WEIGHT`.
    """
    return (max(0, incidents - 1) + RATE_WEIGHT) / (span + RATE_WEIGHT / expected)


def specificity(places: int, free: int) -> float:
    """1 up to `free` distinct places (at most `SPREAD_MAX`), then 1 / (1 + log2(places / free))."""
    return 1.0 if places <= free else 1.0 / (1.0 + _LOG2[places] - log2(free))
