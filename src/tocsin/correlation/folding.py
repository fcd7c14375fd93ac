"""Floods: the same rule on the same things again within a minute is one alert with a count.

The first alert passes at once, so folding costs no time; its repeats only raise its count. A fold ends a minute
after its first alert, however dense the flood: the story goes on in the next one, and no fold lasts for ever.
"""

from __future__ import annotations

from typing import Final

import msgspec

from tocsin import ticks

FOLD_SPAN: Final = ticks.MINUTE
FOLDS_MAX: Final = 65_536


class Fold(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """`number` is the alert that stands for `count` alerts, which happened from `first` to `last` (ticks)."""

    number: int
    first: int
    last: int
    count: int


class Folding:
    """The open folds of one tenant, by what an alert says (the keys of its evidence)."""

    def __init__(self, folds: dict[tuple[int, ...], Fold] | None = None) -> None:
        self.folds: dict[tuple[int, ...], Fold] = dict(folds or {})

    def take(self, said: tuple[int, ...], number: int, at: int) -> Fold:
        """The fold of this alert: its own (`fold.number == number`) where it is to be correlated, else the open one.

        Late alerts fold too, by up to the same span. Counts are exact: each alert is in one fold.
        """
        known = self.folds.get(said)
        if known is not None and abs(at - known.first) < FOLD_SPAN:
            fold = Fold(known.number, known.first, max(known.last, at), known.count + 1)
        else:
            fold = Fold(number, at, at, 1)
            if len(self.folds) >= FOLDS_MAX:
                self._forget(at)
        self.folds[said] = fold
        return fold

    def _forget(self, at: int) -> None:
        """Drop what has ended, and where nothing has, the older half: their repeats become alerts of their own."""
        kept = {said: fold for said, fold in self.folds.items() if at - fold.first < FOLD_SPAN}
        if len(kept) >= FOLDS_MAX:
            newest = sorted(kept.items(), key=lambda each: (each[1].first, each[1].number))[FOLDS_MAX // 2 :]
            kept = dict(newest)
        self.folds = kept
