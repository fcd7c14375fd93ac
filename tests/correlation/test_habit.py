"""What is usual, counted in hours."""

from __future__ import annotations

from math import log2

import pytest

from tocsin import ticks
from tocsin.correlation.habit import (
    ASSETS_KEY,
    HALF_LIFE_HOURS,
    INCIDENTS_KEY,
    Habit,
    Surprise,
    asset_key,
    counted,
    is_faded,
    level,
    observe,
    routine_rate,
)

START = 500_000 * ticks.HOUR
RULE, ASSET, OTHER = 11, 21, 22


class Watched:
    """Habits as a caller keeps them."""

    def __init__(self) -> None:
        self.habits: dict[int, Habit] = {}

    def see(self, rule: int, asset: int, hour: float) -> Surprise:
        seen = observe(self.habits.get, rule, (asset,), START + round(hour * ticks.HOUR))
        self.habits |= seen.habits
        return seen.surprises[asset]


@pytest.fixture
def watched() -> Watched:
    """A tenant in which another rule fires on the asset every hour of two days."""
    tenant = Watched()
    for hour in range(48):
        tenant.see(RULE, ASSET, hour)
    return tenant


def test_nothing_is_news_in_a_tenant_that_nothing_is_known_of() -> None:
    assert Watched().see(RULE, ASSET, 0) == Surprise(0.0, 1.0, 0.0)


def test_what_never_happened_is_the_most_surprising(watched: Watched) -> None:
    assert watched.see(RULE, ASSET, 48).share < 0.01
    never = watched.see(99, ASSET, 48)
    assert never.share == 1.0
    assert never.bits == pytest.approx(5.5, abs=0.1)


def test_a_known_rule_in_a_new_place_is_half_as_surprising(watched: Watched) -> None:
    elsewhere = watched.see(RULE, OTHER, 48)
    assert (elsewhere.share, elsewhere.anywhere) == pytest.approx((0.5, 0.0), abs=0.01)


def test_a_flood_within_an_hour_is_one_sighting(watched: Watched) -> None:
    for second in range(1000):
        watched.see(99, ASSET, 48 + second / 3600)
    flooded = watched.see(99, ASSET, 49)
    assert flooded.share > 0.8


def test_a_late_alert_of_an_earlier_hour_changes_nothing(watched: Watched) -> None:
    before = dict(watched.habits)
    watched.see(RULE, ASSET, 20)
    assert watched.habits == before


def test_a_habit_halves_in_a_week_and_may_be_forgotten_in_time() -> None:
    habit = Habit(1.0, 500_000)
    assert level(habit, 500_000 + HALF_LIFE_HOURS) == 0.5
    assert level(habit, 499_000) == 1.0
    assert not is_faded(habit, START + 27 * ticks.DAY)
    assert is_faded(habit, START + 29 * ticks.DAY)


def test_a_rule_on_two_assets_is_judged_on_each(watched: Watched) -> None:
    seen = observe(watched.habits.get, RULE, (ASSET, OTHER), START + 48 * ticks.HOUR)
    assert seen.surprises[OTHER].bits > seen.surprises[ASSET].bits
    assert len(seen.habits) == 4


def test_what_is_kept_for_a_habit_of_years_stays_two_numbers() -> None:
    tenant = Watched()
    for week in range(520):
        tenant.see(RULE, ASSET, week * HALF_LIFE_HOURS)
    assert len(tenant.habits) == 3
    assert all(habit.hours <= 2.0 for habit in tenant.habits.values())


def test_what_happens_every_hour_is_a_routine_and_what_happened_once_is_none() -> None:
    def rate(here: float, known: float = 48.0) -> float:
        return routine_rate([Surprise(0.0, 0.0, known, 0.0, here)]) * ticks.HOUR

    assert [rate(0), rate(1)] == [0.0, 0.0]
    assert rate(49) == pytest.approx(1.0)
    assert rate(3, known=3.0) == pytest.approx(2 / 24)
    assert routine_rate([Surprise(0.0, 0.0, 48.0, 0.0, here) for here in (30.0, 0.0)]) == 0.0
    assert routine_rate([]) == 0.0


def test_an_asset_is_quiet_by_how_many_fewer_incidents_it_had_than_the_average_one() -> None:
    tenant = Watched()
    for _ in range(14):
        tenant.habits |= counted(tenant.habits.get, [ASSET], START)
    tenant.habits |= counted(tenant.habits.get, [OTHER, 23], START)
    assert tenant.habits[INCIDENTS_KEY].hours == 16.0
    assert tenant.habits[ASSETS_KEY].hours == 3.0
    average = log2(16 / 3 + 1)
    assert tenant.see(RULE, ASSET, 0).quiet == pytest.approx(average - log2(15), abs=0.001)
    assert tenant.see(RULE, OTHER, 0).quiet == pytest.approx(average - 1.0, abs=0.001)
    assert tenant.see(RULE, 99, 0).quiet == pytest.approx(average, abs=0.001)


def test_an_asset_that_is_met_again_counts_as_one_whatever_has_faded() -> None:
    tenant = Watched()
    for week in range(30):
        tenant.habits |= counted(tenant.habits.get, [ASSET], START + week * HALF_LIFE_HOURS * ticks.HOUR)
    assert tenant.habits[ASSETS_KEY].hours == pytest.approx(1.0, abs=0.001)
    assert tenant.habits[asset_key(ASSET)].hours == pytest.approx(2.0, abs=0.001)
