"""What is remembered is at most 30 seconds old and bounded, whatever the clock does."""

from __future__ import annotations

import pytest

from tocsin.identity.lookup import FreshCache
from tocsin.ticks import HOUR, SECOND

NOW = 1_000_000 * SECOND


@pytest.mark.parametrize(
    ("later", "found"),
    [(0, 7), (30 * SECOND - 1, 7), (30 * SECOND, None), (-1, None), (-HOUR, None), (365 * 24 * HOUR, None)],
)
def test_an_entry_is_good_for_thirty_seconds_and_never_from_the_future(later: int, found: int | None) -> None:
    cache: FreshCache[int] = FreshCache(10)
    cache.keep("k", 7, NOW)
    assert cache.find("k", NOW + later) == found


def test_the_oldest_entries_leave_when_it_is_full() -> None:
    cache: FreshCache[int] = FreshCache(3)
    for number in range(5):
        cache.keep(number, number, NOW)
    cache.keep(2, 20, NOW)
    cache.keep(5, 5, NOW)
    assert len(cache) == 3
    assert [cache.find(number, NOW) for number in range(6)] == [None, None, 20, None, 4, 5]
