"""The rate limit: exact, never overspent, and true about when to come back."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.quota import Allowed, Bucket, Denied, Limit, decide
from tocsin.ticks import HOUR, MINUTE, SECOND

MINUTE_LIMIT = Limit(50, 60)
HOUR_LIMIT = Limit(1500, 3600)
LIMITS = (MINUTE_LIMIT, HOUR_LIMIT)
SMALL = (Limit(3, 10), Limit(7, 40))


def spent_minute() -> Bucket:
    bucket = Bucket()
    for _ in range(50):
        assert isinstance(decide(bucket, 0, LIMITS), Allowed)
    return bucket


def test_remaining_counts_down_to_the_nearest_limit() -> None:
    bucket = Bucket()
    assert [decide(bucket, tick, SMALL) for tick in range(3)] == [
        Allowed(2, SMALL[0], 10),
        Allowed(1, SMALL[0], 10),
        Allowed(0, SMALL[0], 10),
    ]


def test_the_51st_call_of_a_minute_is_denied_until_the_first_is_a_minute_old() -> None:
    bucket = spent_minute()
    assert decide(bucket, 0, LIMITS) == Denied(60, MINUTE_LIMIT)
    assert decide(bucket, MINUTE - 1, LIMITS) == Denied(1, MINUTE_LIMIT)
    assert isinstance(decide(bucket, MINUTE, LIMITS), Allowed)


def test_a_denied_call_costs_nothing() -> None:
    bucket = spent_minute()
    for second in range(60):
        assert isinstance(decide(bucket, second * SECOND, LIMITS), Denied)
    assert decide(bucket, MINUTE, LIMITS) == Allowed(49, MINUTE_LIMIT, 60)


def test_the_hour_limit_denies_what_the_minute_limit_allows() -> None:
    bucket = Bucket()
    for minute in range(30):
        for _ in range(50):
            assert isinstance(decide(bucket, minute * MINUTE, LIMITS), Allowed)
    denied = decide(bucket, 30 * MINUTE, LIMITS)
    assert denied == Denied(1800, HOUR_LIMIT)
    assert isinstance(decide(bucket, HOUR, LIMITS), Allowed)


def test_of_two_spent_limits_the_longer_wait_is_told() -> None:
    bucket = Bucket()
    limits = (Limit(1, 10), Limit(1, 40))
    decide(bucket, 0, limits)
    assert decide(bucket, SECOND, limits) == Denied(39, limits[1])


def test_the_message_is_the_originals_and_ends_with_the_wait() -> None:
    denied = Denied(17, MINUTE_LIMIT)
    assert denied.message == (
        "API calls quota exceeded! maximum allowed 50 per 00:01:00. You can send requests again in 17 seconds."
    )
    found = re.search(r"in (\d+) seconds", denied.message)
    assert found is not None
    assert found[1] == "17"
    assert "maximum allowed 1500 per 01:00:00." in Denied(1, HOUR_LIMIT).message


def test_the_header_stops_at_300_and_the_message_does_not() -> None:
    error = Denied(1800, HOUR_LIMIT).as_error()
    assert error.retry_after == 300
    assert "in 1800 seconds." in str(error)


def test_a_clock_that_goes_back_overspends_nothing() -> None:
    bucket = Bucket()
    moments = [100 * SECOND, 60 * SECOND, 70 * SECOND]
    assert [decide(bucket, moment, SMALL) for moment in moments] == [
        Allowed(2, SMALL[0], 10),
        Allowed(1, SMALL[0], 10),
        Allowed(0, SMALL[0], 10),
    ]
    denied = decide(bucket, 50 * SECOND, SMALL)
    assert denied == Denied(60, SMALL[0])
    assert isinstance(decide(bucket, 110 * SECOND, SMALL), Allowed)


def test_a_bucket_is_idle_when_nothing_in_it_counts_any_more() -> None:
    bucket = Bucket()
    assert bucket.is_idle(0, SMALL)
    decide(bucket, 0, SMALL)
    assert not bucket.is_idle(40 * SECOND - 1, SMALL)
    assert bucket.is_idle(40 * SECOND, SMALL)


gaps = st.lists(st.integers(0, 3 * SECOND) | st.sampled_from([0, 1, 10 * SECOND, 40 * SECOND]), max_size=60)
limit_sets = st.lists(st.builds(Limit, st.integers(1, 6), st.integers(1, 20)), min_size=1, max_size=3).map(tuple)


def most_in_a_window(moments: list[int], period: int) -> int:
    return max((sum(start <= moment < start + period for moment in moments) for start in moments), default=0)


@settings(max_examples=400, deadline=None)
@given(gaps, limit_sets)
def test_no_window_holds_more_than_allowed_and_no_call_is_denied_without_need(
    steps: list[int], limits: tuple[Limit, ...]
) -> None:
    bucket = Bucket()
    now = 0
    allowed: list[int] = []
    for step in steps:
        now += step
        decision = decide(bucket, now, limits)
        full = [
            limit
            for limit in limits
            if sum(moment > now - limit.period_seconds * SECOND for moment in allowed) >= limit.calls
        ]
        if isinstance(decision, Allowed):
            assert not full
            allowed.append(now)
        else:
            assert decision.limit in full
        assert len(bucket) <= max(limit.calls for limit in limits)
    for limit in limits:
        assert most_in_a_window(allowed, limit.period_seconds * SECOND) <= limit.calls


@settings(max_examples=400, deadline=None)
@given(gaps, limit_sets)
def test_who_waits_as_told_is_allowed(steps: list[int], limits: tuple[Limit, ...]) -> None:
    bucket = Bucket()
    now = 0
    for step in steps:
        now += step
        decision = decide(bucket, now, limits)
        if isinstance(decision, Denied):
            assert decision.retry_after >= 1
            # One second less would have been too early: the wait is no longer than it must be.
            assert isinstance(decide(bucket, now + decision.retry_after * SECOND - SECOND, limits), Denied)
            now += decision.retry_after * SECOND
            assert isinstance(decide(bucket, now, limits), Allowed)


@pytest.mark.parametrize("calls", [1, 1500])
def test_a_bucket_never_holds_more_than_the_greatest_limit(calls: int) -> None:
    bucket = Bucket()
    limits = (Limit(calls, 1),)
    for second in range(2 * calls + 5):
        decide(bucket, second * SECOND, limits)
    assert len(bucket) <= calls
