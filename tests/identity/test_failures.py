"""Ten wrong secrets a minute are answered, then the caller is told how long to wait."""

from __future__ import annotations

from tocsin.identity.failures import FAILURES_PER_MINUTE, FailureLimit
from tocsin.ticks import HOUR, SECOND

NOW = 1_000_000 * SECOND
APP = (1, "a")


def test_the_eleventh_failure_waits_for_the_rest_of_the_minute() -> None:
    limit = FailureLimit()
    assert [limit.count(APP, NOW) for _ in range(FAILURES_PER_MINUTE)] == [0] * FAILURES_PER_MINUTE
    assert limit.count(APP, NOW + 20 * SECOND) == 40
    assert limit.count(APP, NOW + 60 * SECOND - 1) == 1
    assert limit.count((2, "a"), NOW) == 0
    assert limit.count(APP, NOW + 60 * SECOND) == 0


def test_a_clock_set_back_does_not_lock_anybody_out() -> None:
    limit = FailureLimit()
    for _ in range(FAILURES_PER_MINUTE + 1):
        limit.count(APP, NOW)
    assert limit.count(APP, NOW - HOUR) == 0


def test_memory_is_bounded() -> None:
    limit = FailureLimit(applications_max=50)
    for number in range(500):
        limit.count((1, str(number)), NOW)
    assert len(limit) == 50


def test_who_must_wait_can_be_told_without_another_failure() -> None:
    limit = FailureLimit(failures_max=2, window=300 * SECOND)
    for _ in range(2):
        assert limit.wait_seconds(APP, NOW) == 0
        limit.count(APP, NOW)
    assert limit.wait_seconds(APP, NOW + SECOND) == 299
    assert limit.wait_seconds((1, "b"), NOW) == 0
    assert limit.wait_seconds(APP, NOW + 300 * SECOND) == 0
