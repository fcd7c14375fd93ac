"""What a list showed at a moment can be read again later, exactly, whatever joined, merged or was changed meanwhile."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, Final

import msgspec
import pytest
from soundness import assert_sound, rows

from house import Bench, HandClock, native, shared_url
from tocsin.config import Settings
from tocsin.errors import InvalidInput, NotFound, Redirected
from tocsin.model import AlertStatus, Classification, IncidentStatus
from tocsin.odata import INCIDENT_PROPERTIES, Expression, Field, parse_filter
from tocsin.odata.options import Order
from tocsin.retention import Housekeeping
from tocsin.stores.sqlite.reading import IncidentRow
from tocsin.stores.sqlite.writing import WriteStore
from tocsin.ticks import MINUTE, SECOND, format_ticks
from tocsin.triage import AlertChanges, IncidentChanges, update_alert, update_incident

STEPS: Final = 60
KEPT_MINUTES: Final = 10

Shown = list[tuple[IncidentRow, bytes, list[bytes]]]


class Question(msgspec.Struct, frozen=True):
    """One way to ask for the list."""

    filter: str = ""
    order_by: Order | None = None
    top: int = 10_000
    skip: int = 0

    def expression(self) -> Expression | None:
        return parse_filter(self.filter, INCIDENT_PROPERTIES) if self.filter else None


class Moment(msgspec.Struct, frozen=True):
    """What was shown when the tenant's last change was `change`. `at` in ticks."""

    change: int
    at: int
    shown: list[tuple[Question, Shown]]


class Life:
    """A store to which random things happen."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.bench, self.random = Bench(folder, HandClock()), Random(seed)
        self.housekeeping = Housekeeping(Settings(superseded_minutes=KEPT_MINUTES))
        self.moments: list[Moment] = []
        self._number = 0

    def step(self) -> None:
        """One random thing."""
        self.bench.later(self.random.choice((0, 0, 1, 30, 120)))
        self.random.choice((self._alerts, self._alerts, self._alerts, self._triage, self._triage_alert, self._purge))()
        assert_sound(self.bench.store.connection)

    def _alerts(self) -> None:
        random = self.random
        batch = []
        for _ in range(random.randint(1, 12)):
            self._number += 1
            # Names come into use and go out of it; an alert with several makes one incident of theirs.
            names = {f"{self._number // 25}-{random.randrange(8)}" for _ in range(random.choice((0, 1, 1, 2, 3)))}
            entities = [each for name in sorted(names) for each in shared_url(name)]
            batch.append(native(self._number, at=self.bench.clock.at, entities=entities))
        self.bench.ingest(*batch)

    def _triage(self) -> None:
        random = self.random
        changes = IncidentChanges(
            status=random.choice(list(IncidentStatus)[:3]),
            assigned_to=random.choice((None, "ann@corp.example", "bob@corp.example")),
            classification=random.choice(list(Classification)),
            tags=tuple(random.sample(("red", "green", "blue"), random.randint(0, 3))),
        )
        incident_id = random.randint(1, 1 + self._highest("last_incident"))
        self._changed(
            lambda store: update_incident(
                store, 1, incident_id, changes, actor="ann", clock=self.bench.clock(), not_before=0
            )
        )

    def _triage_alert(self) -> None:
        number = self.random.randint(1, 1 + self._highest("last_alert"))
        changes = AlertChanges(status=self.random.choice(list(AlertStatus)))
        self._changed(
            lambda store: update_alert(store, 1, number, changes, actor="bob", clock=self.bench.clock(), not_before=0)
        )

    def _changed(self, work: Any) -> None:
        try:
            self.bench.committer.run(work)
        except (NotFound, Redirected, InvalidInput):
            return

    def _highest(self, counter: str) -> int:
        return int(rows(self.bench.store.connection, f"SELECT {counter} FROM tenant WHERE tenant_id = 1")[0][0])

    def _purge(self) -> None:
        def step(store: WriteStore) -> bool:
            return self.housekeeping.step(store, self.bench.clock())

        while self.bench.committer.run(step):
            pass
        oldest = self.bench.clock() - KEPT_MINUTES * MINUTE
        self.moments = [moment for moment in self.moments if moment.at >= oldest]

    def questions(self) -> Iterator[Question]:
        """The whole list, and random other ways to ask."""
        random = self.random
        since = format_ticks(self.bench.clock() - random.randrange(600) * SECOND)
        yield Question()
        yield Question("status eq 'Active'", top=7, skip=random.randrange(5))
        yield Question(f"lastUpdateTime ge {since}")
        yield Question(f"createdTime gt {since}", order_by=Order(Field.CREATED, descending=False))
        yield Question("assignedTo eq 'ann@corp.example'", order_by=Order(Field.LAST_UPDATE, descending=False), top=5)
        yield Question("status eq 'Redirected' or severity eq 'High'")

    def show(self, question: Question, as_of: int | None) -> Shown:
        """The list with its headers and alerts."""
        bench = self.bench
        found = bench.reader.find_incidents(
            bench.scope,
            expression=question.expression(),
            order_by=question.order_by,
            top=question.top,
            skip=question.skip,
            as_of=as_of,
        )
        return [(row, bench.reader.header(row), bench.reader.alerts(bench.scope, row)) for row in found]

    def remember(self) -> None:
        """Keep what the list shows now."""
        shown = [(question, self.show(question, None)) for question in self.questions()]
        self.moments.append(Moment(self.bench.reader.last_change(self.bench.scope), self.bench.clock(), shown))

    def assert_remembered(self) -> None:
        """Every kept moment reads as it did."""
        for moment in self.moments:
            for question, shown in moment.shown:
                assert self.show(question, moment.change) == shown


def live(folder: Path, seed: int, steps: int) -> None:
    print(f"seed {seed}")
    life = Life(folder, seed)
    checked = 0
    for number in range(steps):
        life.step()
        if life.random.random() < 0.4:
            life.remember()
        if number % 5 == 4:
            life.assert_remembered()
            checked += len(life.moments)
    connection = life.bench.store.connection
    (merges,) = rows(connection, "SELECT count(*) FROM change_log WHERE action = 'redirected'")[0]
    print(f"{life._number} alerts, {merges} merges, {checked} moments read again")
    assert merges > 5
    assert checked > 10


@pytest.mark.parametrize("seed", [1, 2, 3, secrets.randbelow(2**32)])
def test_a_list_as_of_an_earlier_change_is_the_list_as_it_was(tmp_path: Path, seed: int) -> None:
    live(tmp_path, seed, STEPS)


@pytest.mark.nightly
@pytest.mark.parametrize("seed", [*range(10, 30), secrets.randbelow(2**32)])
def test_a_list_as_of_an_earlier_change_is_the_list_as_it_was_over_a_long_life(tmp_path: Path, seed: int) -> None:
    live(tmp_path, seed, 300)
