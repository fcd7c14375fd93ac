"""Whatever people and the machine do to the grouping, in any order: nothing is lost, undoing is exact, cuts hold."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Callable, Iterable
from itertools import combinations
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from soundness import assert_sound, rows

from house import Bench, HandClock, native, shared_url
from tocsin.documents import decode_alert, decode_header
from tocsin.errors import InvalidChange, Redirected
from tocsin.regroup import By, Regrouped, merge_incidents, move_alerts, split, unmerge
from tocsin.stores.sqlite.writing import WriteStore
from tocsin.triage import IncidentChanges, update_incident

TENANT = 1
DRAW = st.integers(0, 10**6)


def together(where: dict[int, int], pair: tuple[int, int]) -> bool:
    """Whether one incident holds both alerts."""
    return where[pair[0]] == where[pair[1]]


class Grouping(RuleBasedStateMachine):
    """One tenant; `count` is how many alerts there are. `cut` are pairs of alerts that a person took apart, whoever had
    put them together, and did not put together again."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.bench = Bench(self.folder, HandClock())
        self.count = 0
        self.cut: set[tuple[int, int]] = set()
        self.ingest(["a", "b"], 3)

    def teardown(self) -> None:
        """See RuleBasedStateMachine."""
        self.bench.reader._connection.close()
        self.bench.store.connection.close()
        shutil.rmtree(self.folder)

    def where(self) -> dict[int, int]:
        """Alert number -> incident."""
        query = "SELECT alert_number, incident_id FROM alert WHERE superseded_by IS NULL ORDER BY alert_number"
        return dict(rows(self.bench.store.connection, query))

    def live(self) -> list[int]:
        """Incidents that hold alerts."""
        return sorted(set(self.where().values()))

    def husks(self) -> list[int]:
        """Incidents that were merged away."""
        found = self.bench.reader.find_incidents(self.bench.scope, top=10_000)
        return sorted({each.incident_id for each in found} - set(self.live()))

    def state(self, incident_ids: Iterable[int]) -> Any:
        """All that is shown of incidents, but for the times of the last change and a count that may overstate."""
        found = []
        for each in sorted(incident_ids):
            row = self.bench.reader.get_incident(self.bench.scope, each)
            header = decode_header(self.bench.reader.header(row))
            alerts = [decode_alert(raw) for raw in self.bench.reader.alerts(self.bench.scope, row)]
            facts = msgspec.structs.replace(
                self.bench.reader.facts(row), apart=(), classification=None, determination=None, entity_count=0
            )
            told = [msgspec.structs.replace(alert, last_updated_time="") for alert in alerts]
            found.append((msgspec.structs.replace(header, last_update_time=""), told, facts))
        return found

    def by(self) -> By:
        self.bench.later()
        return By(actor="x", clock=self.bench.clock(), not_before=0)

    def do(self, verb: Callable[[WriteStore, By], Regrouped]) -> Regrouped | None:
        """Do it as a person; None where it is refused, and then nothing has changed."""
        who, change = self.by(), self.bench.reader.last_change(self.bench.scope)
        before = self.where()
        try:
            done: Regrouped = self.bench.committer.run(lambda store: verb(store, who))
        except (InvalidChange, Redirected):
            assert self.bench.reader.last_change(self.bench.scope) == change
            return None
        after = self.where()
        assert after.keys() == before.keys()
        for pair in combinations(sorted(before), 2):
            if together(after, pair):
                self.cut.discard(pair)
            elif together(before, pair):
                self.cut.add(pair)
        return done

    def merge(self, source: int, target: int) -> Regrouped | None:
        limits = self.bench.limits
        return self.do(lambda store, by: merge_incidents(store, TENANT, [source], target, by=by, limits=limits))

    @rule(names=st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=3, unique=True), number=st.integers(1, 3))
    def ingest(self, names: list[str], number: int) -> None:
        """Alerts of one delivery, which tie what they name together."""
        self.bench.later()
        entities = [each for name in names for each in shared_url(name)]
        self.bench.ingest(*[native(self.count + n, entities=entities) for n in range(number)])
        self.count += number
        after = self.where()
        assert len(after) == self.count
        assert not [pair for pair in self.cut if together(after, pair)]

    @rule(one=DRAW, two=DRAW)
    def merge_two(self, one: int, two: int) -> None:
        """Of two incidents, whichever."""
        found = self.live()
        self.merge(found[one % len(found)], found[two % len(found)])

    @rule(one=DRAW, two=DRAW)
    def merging_and_undoing_changes_nothing(self, one: int, two: int) -> None:
        """The exact state, when nothing was done between."""
        found = self.live()
        source, target = found[one % len(found)], found[two % len(found)]
        before = self.state(found)
        if self.merge(source, target) is not None:
            assert self.do(lambda store, by: unmerge(store, TENANT, source, by=by)) is not None
            assert self.state(found) == before

    @rule(which=DRAW)
    def cutting_and_rejoining_changes_nothing(self, which: int) -> None:
        """The same alerts, when nothing was done between; facts that merges of the machine added up are made anew."""
        where = self.where()
        number = 1 + which % self.count
        before = self.state([where[number]])
        done = self.do(lambda store, by: split(store, TENANT, number, by=by))
        if done is not None:
            assert self.merge(done.incident_id, where[number]) is not None
            assert [each[1] for each in self.state([where[number]])] == [each[1] for each in before]

    @rule(which=DRAW)
    def cut_off(self, which: int) -> None:
        """At any alert."""
        number = 1 + which % self.count
        self.do(lambda store, by: split(store, TENANT, number, by=by))

    @precondition(lambda self: bool(self.husks()))
    @rule(which=DRAW)
    def undo(self, which: int) -> None:
        """Any merge, of people or of the machine, however long ago."""
        husk = self.husks()[which % len(self.husks())]
        self.do(lambda store, by: unmerge(store, TENANT, husk, by=by))

    @rule(numbers=st.lists(DRAW, min_size=1, max_size=3), to=st.none() | DRAW)
    def move(self, numbers: list[int], to: int | None) -> None:
        """Any alerts to any incident, or to a new one."""
        chosen = sorted({1 + each % self.count for each in numbers})
        target = None if to is None else self.live()[to % len(self.live())]
        limits = self.bench.limits
        self.do(lambda store, by: move_alerts(store, TENANT, chosen, target, by=by, limits=limits))

    @rule(which=DRAW, tag=st.sampled_from("xyz"))
    def write(self, which: int, tag: str) -> None:
        """A tag and a remark, as people leave them between."""
        incident_id, who = self.live()[which % len(self.live())], self.by()
        self.bench.committer.run(
            lambda store: update_incident(
                store,
                TENANT,
                incident_id,
                IncidentChanges(tags=(tag,), comment=tag),
                actor="x",
                clock=who.clock,
                not_before=0,
            )
        )

    @rule()
    def restart(self) -> None:
        """What is remembered is in the store."""
        self.bench.reader._connection.close()
        self.bench.store.connection.close()
        self.bench.open()

    @invariant()
    def is_sound(self) -> None:
        """Every alert is in one incident, every incident knows its alerts, every change is logged."""
        assert_sound(self.bench.store.connection)


@pytest.mark.parametrize("seed", range(12))
def test_cuts_hold_where_people_cut_again_and_again_and_the_machine_merges(seed: int) -> None:
    """The same promise, with what endangers it made likely: many cuts, and alerts that tie two incidents together."""
    dice, tried = random.Random(seed), Grouping()
    for _ in range(40):
        names = [str(dice.randrange(12)) for _ in range(2)]
        tried.ingest(names, 1)
        if dice.random() < 0.6:
            tried.cut_off(dice.randrange(tried.count))
        if dice.random() < 0.2:
            tried.move([dice.randrange(tried.count)], None)
        if dice.random() < 0.2 and tried.husks():
            tried.undo(dice.randrange(100))
        if dice.random() < 0.1:
            tried.merge_two(dice.randrange(100), dice.randrange(100))
    tried.is_sound()
    tried.teardown()


TestGrouping = Grouping.TestCase
TestGrouping.settings = settings(
    max_examples=12,
    stateful_step_count=15,
    phases=(Phase.explicit, Phase.generate),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
