"""The purge's clock: it follows the wall clock, but a jump ahead empties no store before anyone can see it."""

from __future__ import annotations

from house import START
from tocsin.retention import PurgeClock, cutoff
from tocsin.ticks import DAY, HOUR, MINUTE


def test_a_clock_that_runs_as_it_should_is_followed() -> None:
    clock = PurgeClock(START, 0)
    for minute in range(10_000):
        assert clock.now(START + minute * MINUTE, minute * MINUTE) == START + minute * MINUTE


def test_a_jump_of_a_year_is_caught_up_at_a_day_an_hour() -> None:
    clock = PurgeClock(START, 0)
    clock.now(START, 0)
    assert clock.now(START + 365 * DAY, MINUTE) == START + 24 * MINUTE
    assert clock.now(START + 365 * DAY, HOUR) == START + DAY
    assert clock.now(START + 2 * HOUR, 2 * HOUR) == START + 2 * HOUR  # the clock was set right


def test_a_start_with_a_clock_far_ahead_of_the_store_begins_where_the_store_is() -> None:
    assert PurgeClock(START, 0).now(START + 400 * DAY, 0) == START + DAY


def test_the_cut_off_counts_whole_days_back() -> None:
    assert cutoff(START, 180) == START - 180 * DAY
    assert cutoff(DAY, 180) == 0
