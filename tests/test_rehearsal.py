"""A dry run says what a tuning would change, says nothing where nothing would, and writes nothing."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from house import Bench, HandClock, native, shared_url
from tocsin.comparing import Comparison, Kind, compare
from tocsin.correlation.guards import Limits
from tocsin.correlation.tuning import NO_TUNING, Tuning, with_setting
from tocsin.errors import InvalidChange, Redirected
from tocsin.history import History
from tocsin.model import Classification, IncidentStatus
from tocsin.regroup import By, merge_incidents, move_alerts, split, unmerge
from tocsin.rehearsal import rehearse
from tocsin.stores.sqlite.connection import open_reader
from tocsin.triage import IncidentChanges, update_incident


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, HandClock())


def tried(bench: Bench, *settings: str, since: int = 0, lead: int | None = None) -> Comparison:
    tuning: Tuning = NO_TUNING
    for each in settings:
        tuning = with_setting(tuning, each)
    connection = open_reader(bench.path)
    try:
        return compare(rehearse(History(connection, 1), tuning, Limits(), since=since, lead=lead))
    finally:
        connection.close()


def user(name: str) -> list[dict[str, str]]:
    return [{"entityType": "User", "accountName": name}]


def test_a_common_account_would_split_what_it_joined(bench: Bench) -> None:
    bench.ingest(*[native(n, entities=user("svc-backup")) for n in (1, 2, 3)], native(4, entities=shared_url("a")))
    assert tried(bench).changes == ()
    found = tried(bench, "common_accounts+=svc-backup")
    assert (found.incidents_before, found.incidents_after, found.incidents_unchanged) == (2, 4, 1)
    (change,) = found.changes
    assert (change.kind, change.before, change.handled) == (Kind.SPLIT, {1: 3}, False)
    assert [(each.incident_id, each.alerts) for each in change.after] == [(1, (1,)), (0, (2,)), (0, (3,))]
    assert change.reasons[0] == "alert 2 of incident 1: nothing before it is near enough any more"


def test_a_joining_rule_would_merge_and_the_largest_keeps_its_id(bench: Bench) -> None:
    bench.ingest(native(1, title="Scan"), native(2, title="Scan", entities=shared_url("a")))
    bench.ingest(native(3, entities=shared_url("a")))
    (change,) = tried(bench, "always_join+=rule=Scan;same=nothing").changes
    assert (change.kind, change.before) == (Kind.MERGE, {1: 1, 2: 2})
    assert [(each.incident_id, each.taken) for each in change.after] == [(2, {1: 1, 2: 2})]
    assert "joining rule" in change.reasons[0] or "always" in change.reasons[0]


def test_alerts_before_the_span_stay_where_they_are_and_warm_the_memory(bench: Bench) -> None:
    bench.ingest(*[native(n, entities=user("svc-backup")) for n in (1, 2)])
    bench.later(10)
    since = bench.clock()
    bench.ingest(native(3, entities=user("svc-backup")))
    found = tried(bench, since=since)
    assert (found.alerts_warming, found.alerts_replayed, found.changes) == (2, 1, ())
    (change,) = tried(bench, "common_accounts+=svc-backup", since=since).changes
    assert [each.alerts for each in change.after] == [(1, 2), (3,)]
    assert tried(bench, since=since, lead=0).incidents_after == 1


def test_suppressed_alerts_are_counted(bench: Bench) -> None:
    bench.ingest(*[native(n, title="Noise", entities=user("ann")) for n in (1, 2)])
    found = tried(bench, "suppress+=rule=Noise;until=2099-01-01;reason=known")
    assert (found.alerts_suppressed, found.changes) == (2, ())


def test_nothing_is_written(bench: Bench) -> None:
    bench.ingest(*[native(n, entities=user("svc-backup")) for n in (1, 2, 3)])
    files = sorted(bench.path.parent.glob("tocsin.db*"))
    before = {each: each.read_bytes() for each in files if not each.name.endswith("-shm")}
    changes = bench.store.connection.total_changes()
    tried(bench, "common_accounts+=svc-backup")
    assert {each: each.read_bytes() for each in before} == before
    assert bench.store.connection.total_changes() == changes


def _someone(bench: Bench, dice: random.Random, alerts: int, ids: list[int]) -> None:
    """A person does something to the grouping or to an incident, if it can be done."""
    bench.later(dice.choice((0, 1, 5)))
    who = By(actor="desk (app-1)", clock=bench.clock(), not_before=0)
    changes = [
        IncidentChanges(status=dice.choice((IncidentStatus.RESOLVED, IncidentStatus.ACTIVE))),
        IncidentChanges(assigned_to=dice.choice(("ann", "bob", None))),
        IncidentChanges(classification=dice.choice((Classification.TRUE_POSITIVE, Classification.UNKNOWN))),
    ]
    verbs: list[Callable[[Any], object]] = [
        lambda store: merge_incidents(store, 1, dice.choices(ids, k=2), dice.choice(ids), by=who, limits=Limits()),
        lambda store: split(store, 1, dice.randint(1, alerts), by=who),
        lambda store: unmerge(store, 1, dice.choice(ids), by=who),
        lambda store: move_alerts(
            store, 1, dice.choices(range(1, alerts + 1), k=2), dice.choice([None, *ids]), by=who, limits=Limits()
        ),
        *[
            lambda store, change=change: update_incident(
                store, 1, dice.choice(ids), change, actor="desk", clock=bench.clock(), not_before=0
            )
            for change in changes
        ],
    ]
    try:
        bench.committer.run(dice.choice(verbs))
    except (InvalidChange, Redirected):
        return


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("people", [False, True], ids=["alone", "with people"])
def test_what_was_taken_in_under_the_same_tuning_would_not_change(bench: Bench, seed: int, *, people: bool) -> None:
    dice = random.Random(seed)
    starts = []
    number = 0
    for _ in range(60):
        bench.later(dice.choice((0, 1, 30, 600)))
        starts.append(bench.clock())
        batch = []
        for _ in range(dice.choice((1, 1, 3))):
            number += 1
            urls = [each for name in dice.sample("abcdefgh", 2) for each in shared_url(name)]
            batch.append(
                native(
                    number,
                    at=bench.clock(),
                    title=dice.choice(("One", "Two")),
                    entities=urls[: dice.choice((0, 1, 1, 2))] + user(dice.choice(("ann", "bob", "root"))),
                    devices=[{"deviceDnsName": f"pc{dice.randint(1, 30)}"}] if dice.random() < 0.4 else [],
                )
            )
        bench.ingest(*batch)
        if people and dice.random() < 0.4:
            known = bench.reader.find_incidents(bench.scope, top=1000)
            _someone(bench, dice, number, [row.incident_id for row in known])
    for since in (0, dice.choice(starts), dice.choice(starts)):
        found = tried(bench, since=since)
        assert found.changes == ()
        assert found.incidents_before == found.incidents_after == found.incidents_unchanged
    assert found.alerts_warming + found.alerts_replayed == number
