"""No client that pages to its end misses or repeats anything, in a list that a usual server would lose rows of."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from moving import PATTERNS, UNSAFE, Outcome, Usual, our_server, run

SAFE = [name for name in PATTERNS if name != UNSAFE]


@pytest.mark.parametrize("name", SAFE)
def test_a_client_that_pages_to_the_end_sees_every_change_once_a_walk(tmp_path: Path, name: str) -> None:
    with our_server(tmp_path) as server:
        assert run(server, PATTERNS[name], seed=1) == Outcome(missed=0, repeated=0)


@pytest.mark.parametrize("name", SAFE)
def test_the_same_client_loses_changes_on_a_usual_server(name: str) -> None:
    outcomes = [run(Usual(random.Random(seed)), PATTERNS[name], seed) for seed in range(3)]
    assert any(outcome.missed for outcome in outcomes)
