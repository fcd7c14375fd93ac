"""How weights fade with time, with traffic and with spread."""

from __future__ import annotations

import pytest

from tocsin import ticks
from tocsin.correlation.decay import (
    asset_reach,
    asset_weight,
    incident_rate,
    moment_weight,
    resumption,
    specificity,
    trace_weight,
)

GAP, LONG = 30 * ticks.SECOND, 10**18


def test_a_trace_halves_at_each_half_life() -> None:
    assert [trace_weight(ticks.HOUR, hours * ticks.HOUR) for hours in range(3)] == [1.0, 0.5, 0.25]


def test_a_moment_fades_with_age_and_with_traffic() -> None:
    quiet, busy = 1 / ticks.DAY, 1 / ticks.MINUTE
    for rate in (quiet, busy):
        weights = [moment_weight(GAP, LONG, age, rate) for age in (0, ticks.MINUTE, ticks.HOUR)]
        assert weights == sorted(weights, reverse=True)
    assert moment_weight(GAP, LONG, 10 * ticks.MINUTE, quiet) > 0.8
    assert moment_weight(GAP, LONG, 10 * ticks.MINUTE, busy) < 0.1


def after(age: int, rate: float, alerts: int, span: int) -> float:
    return asset_weight(resumption(age, GAP, alerts, span), LONG, age, rate)


def test_a_story_of_one_alert_may_go_on_after_hours_where_little_happens() -> None:
    assert after(ticks.HOUR, 1 / (30 * ticks.DAY), 1, 0) > 0.9
    assert after(ticks.HOUR, 1 / ticks.HOUR, 1, 0) < 0.1
    assert after(ticks.SECOND, 1 / ticks.MINUTE, 1, 0) > 0.5


def test_a_burst_is_over_sooner_than_a_story_that_paused_before() -> None:
    burst, slow = (10, ticks.SECOND), (10, 3 * ticks.HOUR)
    assert after(20 * ticks.MINUTE, 1 / ticks.DAY, *burst) < 0.3
    assert after(20 * ticks.MINUTE, 1 / ticks.DAY, *slow) > 0.9


@pytest.mark.parametrize("alerts", [1, 2, 5, 1000])
@pytest.mark.parametrize("span", [0, ticks.MINUTE, ticks.DAY])
def test_beyond_its_reach_an_asset_weighs_less_than_it_must(alerts: int, span: int) -> None:
    for rate in (1 / ticks.MINUTE, 1 / ticks.DAY):
        for times in (1.01, 2.0, 50.0):
            age = round(asset_reach(rate, 0.02) * times)
            assert after(age, rate, alerts, span) < 0.02


def test_the_rate_is_the_expected_one_until_something_is_seen() -> None:
    expected = 2 / ticks.HOUR
    for weight in (0.1, 0.5):
        assert incident_rate(1, 0, expected, weight) == pytest.approx(expected)
        assert incident_rate(8, ticks.HOUR, expected, weight) > expected
        assert incident_rate(2, 30 * ticks.DAY, expected, weight) < expected / 100


@pytest.mark.parametrize(("places", "expected"), [(0, 1.0), (4, 1.0), (8, 0.5), (16, 1 / 3), (64, 0.2)])
def test_specificity_above_four_places(places: int, expected: float) -> None:
    assert specificity(places, 4) == pytest.approx(expected)
