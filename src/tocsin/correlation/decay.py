"""How evidence fades: with the tempo of the story, with how busy a thing is anyway, and with how many places know it.

A trace (a url, a mail, a session) is the same trace later, so it fades by half-lives. An asset is where unrelated
things happen too: two alerts on one device belong together when a gap of this length is likelier inside the story than
between strangers, who come at the rate that asset is used to. Nobody knows the tempo of a story of one alert: all
scales from seconds to days are as likely (density `share / gap`), so a quiet asset joins over hours and a busy one over
seconds. What the incident shows then tells: of n pauses that took T together, the chance that the next one is as long
as g falls with `(T / (T + g))^n`. Ten alerts in a second followed by silence are over soon; a story of hours goes on
for hours. A process or a common tool goes on when its story is over, so it fades by tempo as well.
"""

from __future__ import annotations

from math import exp2, log2, pow
from typing import Final

from tocsin import ticks
from tocsin.correlation.memory import SPREAD_MAX

ASSET_WEIGHT: Final = 0.1
"""How many incidents' worth the expected rate counts against what an asset itself has shown. Little: assets of one
tenant differ by orders of magnitude."""
MOMENT_WEIGHT: Final = 0.5
"""The same for the tenant as a whole, and its moments: what a tenant is like is not known from two incidents."""
TENANT_RATE_FIRST: Final = 1.0 / ticks.HOUR
"""Incidents per tick expected of a tenant that nothing is known of."""
TENANT_ASSETS_MIN: Final = 8
SCALE_SHARE: Final = 0.1
"""The share of each e-fold of scales: about 1 / ln(two days / ten seconds)."""
GAP_MIN: Final = ticks.SECOND
PAUSES_PER_ALERT: Final = 0.5
"""Alerts come in bursts, so each tells only half of a pause."""
PAUSES_MAX: Final = 4.0
_REACH: Final = 0.35
"""Whatever the tempo, a gap of g has at most this density by g."""

_LOG2: Final = (0.0, *(log2(size) for size in range(1, SPREAD_MAX + 1)))


def trace_weight(half_life: int, age: int) -> float:
    """What is left of a trace's weight after `age` ticks: 1 at once, a half after each half-life."""
    return exp2(-age / half_life)


def moment_weight(gap: int, half_life: int, age: int, rate: float) -> float:
    """The chance that `age` ticks lie inside one story whose typical gap is `gap`, where strangers come at `rate`."""
    reach = gap + age
    return exp2(-age / half_life) / (1.0 + rate * reach * reach / gap)


def resumption(age: int, gap: int, alert_count: int, span: int) -> float:
    """The density per tick of a story going on after `age` ticks, when `alert_count` alerts took it `span` ticks.

    `gap` is the least pause worth telling apart on things of this kind.
    """
    # Called more than anything else here: no calls in it that can be spared.
    unknown = SCALE_SHARE / (age + GAP_MIN)
    if alert_count <= 1:
        reach = gap + age
        known = gap / (reach * reach)
        return unknown if unknown > known else known
    count = alert_count - 1
    pause = span / count
    pause = max(pause, gap)
    pauses = count * PAUSES_PER_ALERT
    pauses = min(pauses, PAUSES_MAX)
    taken = pauses * pause
    density = pauses / taken * pow(taken / (taken + age), pauses + 1.0)
    # A slow story has its bursts all the same; a fast one does not become slow.
    return unknown if age < pause and unknown > density else density


def asset_weight(density: float, half_life: int, age: int, rate: float) -> float:
    """The chance that it is the story that goes on (at this density per tick), where strangers come at `rate`."""
    return exp2(-age / half_life) * density / (density + rate)


def asset_reach(rate: float, share: float) -> float:
    """The age in ticks beyond which `asset_weight` is surely less than `share` (0 to 1) at this rate."""
    return _REACH * (1.0 / share - 1.0) / rate


def incident_rate(incidents: int, span: int, expected: float, weight: float) -> float:
    """Unrelated incidents per tick, of `incidents` recent ones (the candidate among them) over `span` ticks.

    With little history the expected rate prevails; it counts as much as `weight` incidents.
    """
    return (max(0, incidents - 1) + weight) / (span + weight / expected)


def specificity(places: int, free: int) -> float:
    """1 up to `free` distinct places (at most `SPREAD_MAX`), then 1 / (1 + log2(places / free))."""
    return 1.0 if places <= free else 1.0 / (1.0 + _LOG2[places] - log2(free))
