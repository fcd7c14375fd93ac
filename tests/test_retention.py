"""The purge's clock: it follows the wall clock, but a jump ahead empties no store before anyone can see it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import msgspec

from house import START, Bench, HandClock
from tocsin.config import Settings
from tocsin.retention import Housekeeping, PurgeClock, cutoff
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


def test_refused_inputs_are_bounded_by_number_and_by_bytes_and_the_newest_stay(tmp_path: Path) -> None:
    bench = Bench(tmp_path, HandClock())
    for number in range(12):
        bench.ingest({"no": "alert", "number": number, "filler": "x" * 1000})
    for settings, kept in ((Settings(refused_max=8), 8), (Settings(refused_bytes_max=5 * 1100), 5)):
        housekeeping = Housekeeping(settings)
        bench.committer.run(partial(housekeeping.step, now=bench.clock()))
        left = bench.reader.find_refused(bench.scope, top=100)
        assert [msgspec.json.decode(each.body)["number"] for each in left] == list(range(12))[-kept:]
