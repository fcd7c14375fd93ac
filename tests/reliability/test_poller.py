"""A poller that reads while others write misses no change, because stamps become visible in their order."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec
import pytest
from feeding import Outcome, against_server, against_wall_clock_stamps
from running import ServerProcess

from tocsin.access import Scope
from tocsin.stores.sqlite.connection import DATABASE_NAME, open_reader
from tocsin.stores.sqlite.reading import ReadStore

SECONDS: Final = 4
CONTROL_SECONDS: Final = 1.5


def polled(folder: Path, seconds: float, seed: int) -> Outcome:
    with ServerProcess(folder) as server:
        server.start()
        store = ReadStore(open_reader(folder / DATABASE_NAME))
        outcome = against_server(server, seconds, seed, lambda: store.last_change(Scope.everything_of(1)))
    print(f"seed {seed}: {msgspec.json.encode(outcome).decode()}")
    return outcome


def test_pollers_with_ge_and_gt_see_every_change_while_eight_writers_write(tmp_path: Path) -> None:
    outcome = polled(tmp_path, SECONDS, 3)
    assert outcome.missed == {"ge": 0, "gt": 0}
    assert outcome.changes > outcome.truth > 100
    assert min(outcome.polls.values()) > 10


@pytest.mark.nightly
@pytest.mark.parametrize("seed", [100, 200, 300])
def test_pollers_see_every_change_for_a_minute(tmp_path: Path, seed: int) -> None:
    assert polled(tmp_path, 60, seed).missed == {"ge": 0, "gt": 0}


def test_control_stamps_given_when_work_begins_make_the_same_pollers_miss_changes() -> None:
    outcome = against_wall_clock_stamps(CONTROL_SECONDS, 3)
    print(f"control: {msgspec.json.encode(outcome).decode()}")
    assert outcome.missed["ge"] > 0
    assert outcome.missed["gt"] > 0
