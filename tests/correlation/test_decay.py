"""How weights fade with time, with traffic and with spread."""

from __future__ import annotations

import pytest

from tocsin import ticks
from tocsin.correlation.decay import asset_weight, incident_rate, specificity, trace_weight

GAP, LONG = 30 * ticks.SECOND, 10**18


def test_a_trace_halves_at_each_half_life() -> None:
    assert [trace_weight(ticks.HOUR, hours * ticks.HOUR) for hours in range(3)] == [1.0, 0.5, 0.25]


def test_an_asset_fades_with_age_and_with_traffic() -> None:
    quiet, busy = 1 / ticks.DAY, 1 / ticks.MINUTE
    ages = [0, ticks.MINUTE, 10 * ticks.MINUTE, ticks.HOUR]
    for rate in (quiet, busy):
        weights = [asset_weight(GAP, LONG, age, rate) for age in ages]
        assert weights == sorted(weights, reverse=True)
    assert asset_weight(GAP, LONG, 10 * ticks.MINUTE, quiet) > 0.8
    assert asset_weight(GAP, LONG, 10 * ticks.MINUTE, busy) < 0.1


def test_the_rate_is_the_expected_one_until_something_is_seen() -> None:
    expected = 2 / ticks.HOUR
    assert incident_rate(1, 0, expected) == pytest.approx(expected)
    assert incident_rate(8, ticks.HOUR, expected) > expected
    assert incident_rate(2, 30 * ticks.DAY, expected) < expected / 100


@pytest.mark.parametrize(("places", "expected"), [(0, 1.0), (4, 1.0), (8, 0.5), (16, 1 / 3), (64, 0.2)])
def test_specificity_above_four_places(places: int, expected: float) -> None:
    assert specificity(places, 4) == pytest.approx(expected)
