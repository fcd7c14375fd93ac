"""Repeats within a minute are one alert with a count."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tocsin import ticks
from tocsin.correlation.folding import FOLD_SPAN, FOLDS_MAX, Fold, Folding

START = 1_700_000_000 * ticks.SECOND
SAID = (1, 2)


def test_the_first_alert_passes_and_its_repeats_count() -> None:
    folding = Folding()
    numbers = [folding.take(SAID, number, START + number * ticks.SECOND).number for number in range(1, 4)]
    assert numbers == [1, 1, 1]
    assert folding.folds[SAID] == Fold(1, START + ticks.SECOND, START + 3 * ticks.SECOND, 3)


def test_what_names_other_things_is_another_alert() -> None:
    folding = Folding()
    assert folding.take((1, 2), 1, START).number == 1
    assert folding.take((1, 3), 2, START).number == 2


def test_a_flood_without_a_pause_still_shows_once_a_minute() -> None:
    folding = Folding()
    passed = [n for n in range(300) if folding.take(SAID, n, START + n * ticks.SECOND).number == n]
    assert passed == [0, 60, 120, 180, 240]


def test_a_late_repeat_folds_too() -> None:
    folding = Folding()
    folding.take(SAID, 1, START)
    assert folding.take(SAID, 2, START - 30 * ticks.SECOND) == Fold(1, START, START, 2)


def test_open_folds_are_bounded_even_when_none_has_ended() -> None:
    folding = Folding()
    for number in range(FOLDS_MAX + 10):
        folding.take((number,), number, START)
    assert len(folding.folds) <= FOLDS_MAX
    assert folding.take((FOLDS_MAX + 9,), 0, START).count == 2


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 300)), max_size=60).map(lambda them: sorted(them, key=str)),
    st.integers(1, 59),
)
def test_counts_are_exact_and_cutting_the_stream_changes_nothing(flood: list[tuple[int, int]], cut: int) -> None:
    whole, first = Folding(), Folding()
    shown: dict[int, int] = {}
    cut_shown: dict[int, int] = {}
    for number, (said, second) in enumerate(flood):
        fold = whole.take((said,), number, START + second * ticks.SECOND)
        shown[fold.number] = fold.count
    for number, (said, second) in enumerate(flood):
        if number == cut:
            first = Folding(first.folds)
        fold = first.take((said,), number, START + second * ticks.SECOND)
        cut_shown[fold.number] = fold.count
    assert sum(shown.values()) == len(flood)
    assert shown == cut_shown
    assert FOLD_SPAN == ticks.MINUTE
