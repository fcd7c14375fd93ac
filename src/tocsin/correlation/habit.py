"""What is usual: in how many recent hours a rule fired, here and anywhere, and how surprising it is now.

Hours are counted, not alerts, so that a flood does not become a habit by its volume. A habit halves in a week
of silence. One `Habit` (two numbers) is kept for the tenant, for each rule, and for each (rule, asset). Three more
count incidents: of each asset, of the tenant, and of how many assets those are. One that has faded may be forgotten,
so the state is bounded by what still happens. Where it is kept is the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from math import exp2, log2
from typing import Final

import msgspec

from tocsin import ticks
from tocsin.correlation.evidence import key_of

HALF_LIFE_HOURS: Final = 7 * 24
FADED: Final = 1 / 16
"""Below this many hours a habit counts as never seen: four weeks after a single sighting."""
ROUTINE_HOURS_MIN: Final = 24.0
TENANT_KEY: Final = key_of("habit", "tenant")
INCIDENTS_KEY: Final = key_of("habit", "incidents")
ASSETS_KEY: Final = key_of("habit", "assets")


class Habit(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """`hours` is the decayed number of distinct hours with a sighting, as of `last_hour` (hours since 1970)."""

    hours: float
    last_hour: int


class Surprise(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How unexpected a rule on an asset is. `bits` is log2 of how much rarer it is than anything happening at all.

    `share` is bits by the most they could be here: 1 is "never seen", 0 "every hour", and 1 in a tenant that nothing
    is known of, where nothing can be called usual. `known_hours` is how long the tenant has been watched, `anywhere`
    the share of the rule alone, wherever it fires, `here` the hours in which it fired on the asset before. `quiet` is
    log2 of how many fewer incidents the asset had lately than the average asset, negative where it had more.
    """

    bits: float
    share: float
    known_hours: float
    anywhere: float = 1.0
    here: float = 0.0
    quiet: float = 0.0


class Observation(msgspec.Struct, frozen=True, gc=False):
    """What one alert showed: the surprise by asset, and the habits to keep, by key."""

    surprises: dict[int, Surprise]
    habits: dict[int, Habit]


def level(habit: Habit | None, hour: int) -> float:
    """The decayed number of hours as of `hour`; 0 where nothing is known. An earlier hour sees the habit undecayed."""
    if habit is None:
        return 0.0
    return habit.hours * exp2(-max(0, hour - habit.last_hour) / HALF_LIFE_HOURS)


def is_faded(habit: Habit, at: int) -> bool:
    """Whether the habit may be forgotten at `at` (ticks)."""
    return level(habit, at // ticks.HOUR) < FADED


@lru_cache(maxsize=65_536)
def pair_key(rule: int, asset: int) -> int:
    """The key of a rule on an asset, made of the evidence keys of both."""
    return key_of("habit", f"{rule}/{asset}")


@lru_cache(maxsize=16_384)
def rule_key(rule: int) -> int:
    """The key of a rule anywhere."""
    return key_of("habit", f"{rule}")


@lru_cache(maxsize=16_384)
def asset_key(asset: int) -> int:
    """The key of the incidents of an asset."""
    return key_of("habit incidents", f"{asset}")


def counted(find: Callable[[int], Habit | None], assets: Iterable[int], at: int) -> dict[int, Habit]:
    """The habits to keep when an incident meets these assets for the first time.

    The number of assets is a sum too: each counts 1 when it is met and halves in a week like its incidents.
    """
    hour = at // ticks.HOUR
    known = {key: find(key) for key in (INCIDENTS_KEY, ASSETS_KEY)}
    for asset in assets:
        key = asset_key(asset)
        habit = find(key)
        faded = 1.0 if habit is None else 1.0 - exp2(-max(0, hour - habit.last_hour) / HALF_LIFE_HOURS)
        known[key] = _more(habit, hour, 1.0)
        known[INCIDENTS_KEY] = _more(known[INCIDENTS_KEY], hour, 1.0)
        known[ASSETS_KEY] = _more(known[ASSETS_KEY], hour, faded)
    return {key: habit for key, habit in known.items() if habit is not None}


def _more(habit: Habit | None, hour: int, amount: float) -> Habit:
    return Habit(round(level(habit, hour) + amount, 3), hour if habit is None else max(hour, habit.last_hour))


def routine_rate(surprises: Iterable[Surprise]) -> float:
    """How often per tick the rule fires on these assets anyway, by the one that is least used to it.

    Once is no routine, and in a young tenant the first day counts whole: a story may repeat itself for hours.
    """
    least = 0.0
    for each in surprises:
        if each.here <= 1.0:
            return 0.0
        rate = (each.here - 1.0) / max(each.known_hours, ROUTINE_HOURS_MIN)
        least = rate if least == 0.0 or rate < least else least
    return least / ticks.HOUR


def observe(find: Callable[[int], Habit | None], rule: int, assets: Sequence[int], at: int) -> Observation:
    """Judge a rule on these assets at `at` (ticks) by the habits that `find` knows, then count the hour.

    Surprise is the mean of "this rule here" and "this rule anywhere": a new place for a common rule is less than
    a new rule. A late alert of an hour that is counted, or of an earlier one, changes nothing.
    """
    hour = at // ticks.HOUR
    changed: dict[int, Habit] = {}
    watched = _count(find, changed, TENANT_KEY, hour)
    most = log2(watched + 1.0)
    usual = log2(_count(find, changed, rule_key(rule), hour) + 1.0)
    elsewhere = round(max(0.0, 1.0 - usual / most), 3) if most else 1.0
    average = log2(level(find(INCIDENTS_KEY), hour) / max(1.0, level(find(ASSETS_KEY), hour)) + 1.0)
    surprises = {}
    for asset in assets:
        quiet = round(average - log2(level(find(asset_key(asset)), hour) + 1.0), 3)
        here = _count(find, changed, pair_key(rule, asset), hour)
        bits = most - (log2(here + 1.0) + usual) / 2
        if bits > 0.0:
            surprises[asset] = Surprise(round(bits, 3), round(bits / most, 3), watched, elsewhere, here, quiet)
        else:
            surprises[asset] = Surprise(0.0, 0.0 if most else 1.0, watched, elsewhere, here, quiet)
    return Observation(surprises, changed)


def _count(find: Callable[[int], Habit | None], changed: dict[int, Habit], key: int, hour: int) -> float:
    """The habit's level before this hour's sighting, which is counted unless it was."""
    habit = find(key)
    if habit is None:
        changed[key] = Habit(1.0, hour)
        return 0.0
    if hour <= habit.last_hour:
        return habit.hours
    before = level(habit, hour)
    changed[key] = Habit(round(before + 1.0, 3), hour)
    return before
