"""Applying a tuning to what is stored: complete, sound at every moment, and never against what people did."""

from __future__ import annotations

import contextlib
import random
import shutil
import threading
from pathlib import Path

import apsw
import httpx2
import msgspec
import pytest
from running import ServerProcess
from soundness import assert_sound

from house import Bench, HandClock, lines, native, shared_url
from tocsin.comparing import Comparison, compare
from tocsin.correlation.guards import Limits
from tocsin.correlation.tuning import NO_TUNING, Tuning, with_setting
from tocsin.errors import InvalidChange
from tocsin.history import History
from tocsin.membership import By
from tocsin.rehearsal import rehearse
from tocsin.retuning import CHANGES_MAX, Move, Plan, applicable, apply_move, apply_step, planned, steps_of
from tocsin.stores.sqlite.connection import DATABASE_NAME, open_reader
from tocsin.triage import IncidentChanges, update_incident

PROPOSALS = (
    "common_accounts+=ann",
    "never_join+=rule=One;by=account",
    "never_join+=rule=One;with_rule=Two",
    "merges_max=0",
)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    folder = tmp_path / "store"
    folder.mkdir()
    return Bench(folder, HandClock())


def compared(path: Path, tuning: Tuning) -> Comparison:
    connection = open_reader(path)
    try:
        return compare(rehearse(History(connection, 1), tuning, Limits(), since=0, lead=None))
    finally:
        connection.close()


def filled(bench: Bench, dice: random.Random) -> None:
    for number in range(60):
        bench.later(dice.choice((0, 1, 30, 300)))
        names = dice.sample("abcdef", 2)
        bench.ingest(
            native(
                number,
                at=bench.clock(),
                title=dice.choice(("One", "Two")),
                entities=[
                    *shared_url(names[0])[: dice.choice((0, 1))],
                    *shared_url(names[1])[: dice.choice((0, 1))],
                    {"entityType": "User", "accountName": dice.choice(("ann", "bob"))},
                ],
            )
        )


@pytest.mark.parametrize("seed", range(8))
def test_a_kill_after_any_step_leaves_a_sound_store_and_the_rest_can_be_done_later(bench: Bench, seed: int) -> None:
    dice = random.Random(seed)
    filled(bench, dice)
    tuning = with_setting(NO_TUNING, PROPOSALS[seed % len(PROPOSALS)])
    changes = applicable(compared(bench.path, tuning).changes, include_handled=False)
    ids = set(bench.store.connection.execute("SELECT incident_id FROM incident").fetchall())
    steps = [step for change in changes for step in steps_of(change)]
    for count, step in enumerate(steps):
        bench.later()
        by = By(actor="operator:ann", clock=bench.clock(), not_before=0)
        bench.committer.run(lambda store, step=step, by=by: apply_step(store, 1, step, version=1, by=by))  # type: ignore[misc]
        left = bench.path.parent.parent / f"killed-{count}"
        shutil.copytree(bench.path.parent, left)
        connection = apsw.Connection(str(left / bench.path.name))
        assert_sound(connection)
        connection.close()
    assert compared(bench.path, tuning).changes == ()
    assert ids <= set(bench.store.connection.execute("SELECT incident_id FROM incident").fetchall())
    assert steps
    assert compared(bench.path, NO_TUNING).changes


def test_what_people_worked_on_is_left_alone_unless_that_is_said(bench: Bench) -> None:
    bench.ingest(*[native(n, entities=[{"entityType": "User", "accountName": "ann"}]) for n in (1, 2)])
    tuning = with_setting(NO_TUNING, "common_accounts+=ann")
    assert len(applicable(compared(bench.path, tuning).changes, include_handled=False)) == 1
    bench.later()
    bench.committer.run(
        lambda store: update_incident(
            store, 1, 1, IncidentChanges(comment="mine"), actor="ann", clock=bench.clock(), not_before=0
        )
    )
    found = compared(bench.path, tuning).changes
    assert applicable(found, include_handled=False) == []
    assert len(applicable(found, include_handled=True)) == 1


def test_suppressions_are_shown_and_never_applied_to_what_is_stored(bench: Bench) -> None:
    bench.ingest(*[native(n, entities=[{"entityType": "User", "accountName": "ann"}]) for n in (1, 2, 3)])
    found = compared(bench.path, with_setting(NO_TUNING, "suppress+=rule=Alert 2;until=2099-01-01;reason=known"))
    assert (found.alerts_suppressed, len(found.changes)) == (1, 1)
    assert applicable(found.changes, include_handled=True) == []


ANN = [{"entityType": "User", "accountName": "ann"}]


def proposed(bench: Bench) -> tuple[list[Move], Plan]:
    """The steps of the one change that a tuning would make of three alerts of one account, now in incident 1."""
    bench.ingest(*[native(n, entities=ANN) for n in (1, 2, 3)])
    (change,) = compared(bench.path, with_setting(NO_TUNING, "common_accounts+=ann")).changes
    moves = planned(change, dict.fromkeys((1, 2, 3), 1))
    assert [(each.incident_id, each.alerts) for each in moves] == [(0, {1: [2]}), (0, {1: [3]})]
    return moves, Plan(tuning=0, since=bench.reader.last_change(bench.scope), changes=[moves])


def make(bench: Bench, move: Move, plan: Plan) -> int:
    bench.later()
    by = By(actor="operator:ann", clock=bench.clock(), not_before=0)
    limits = bench.limits
    return bench.committer.run(lambda store: apply_move(store, 1, move, plan=plan, by=by, limits=limits))


def test_alerts_that_came_since_the_dry_run_stay_where_they_are(bench: Bench) -> None:
    moves, plan = proposed(bench)
    bench.ingest(native(4, entities=ANN))
    assert [make(bench, each, plan) for each in moves] == [2, 3]
    held = "SELECT alert_number, incident_id FROM alert WHERE superseded_by IS NULL ORDER BY 1"
    assert bench.store.connection.execute(held).fetchall() == [(1, 1), (2, 2), (3, 3), (4, 1)]
    assert_sound(bench.store.connection)


def test_what_people_changed_since_the_dry_run_is_left_and_steps_made_before_stand(bench: Bench) -> None:
    moves, plan = proposed(bench)
    assert make(bench, moves[0], plan) == 2
    comment = IncidentChanges(comment="mine")
    bench.committer.run(
        lambda store: update_incident(store, 1, 1, comment, actor="ann", clock=bench.clock(), not_before=0)
    )
    with pytest.raises(InvalidChange, match="people changed"):
        make(bench, moves[1], plan)
    assert_sound(bench.store.connection)


def test_what_went_elsewhere_or_is_of_another_tuning_is_left(bench: Bench) -> None:
    moves, plan = proposed(bench)
    assert make(bench, moves[0], plan) == 2
    with pytest.raises(InvalidChange, match="not in incident 1 any more"):
        make(bench, moves[0], plan)
    with pytest.raises(InvalidChange, match="version 0 now, not 7"):
        make(bench, moves[1], Plan(tuning=7, since=plan.since, changes=[]))


def asked(path: Path, proposal: Tuning) -> list[bytes]:
    """What `tocsin correlate --apply` would ask a running server for."""
    found = applicable(compared(path, proposal).changes, include_handled=False)
    connection = open_reader(path)
    held_by = dict(connection.execute("SELECT alert_number, incident_id FROM alert WHERE superseded_by IS NULL"))
    since = connection.execute("SELECT last_change FROM tenant").get
    connection.close()
    pieces = [found[start : start + CHANGES_MAX] for start in range(0, len(found), CHANGES_MAX)]
    return [
        msgspec.json.encode(Plan(tuning=0, since=since, changes=[planned(each, held_by) for each in piece]))
        for piece in pieces
    ]


def test_a_server_that_is_killed_while_it_applies_leaves_a_sound_store_and_the_rest_is_done_later(
    tmp_path: Path,
) -> None:
    proposal, path = with_setting(NO_TUNING, "common_accounts+=ann*"), tmp_path / "data" / DATABASE_NAME
    count = "SELECT count(*) FROM change_log WHERE action = 'retuned'"
    with ServerProcess(tmp_path / "data") as server:
        server.start()
        accounts = [[{"entityType": "User", "accountName": f"ann{n // 3}"}] for n in range(300)]
        with server.sensor() as sensor:
            body = lines([native(n, entities=each) for n, each in enumerate(accounts)])
            assert sensor.post("/ingest/native", content=body).status_code == 200
        plans = asked(path, proposal)
        assert len(plans) == 5
        done: list[int] = []

        def apply() -> None:
            with server.reader() as client, contextlib.suppress(httpx2.TransportError):
                for each in plans:
                    done.append(client.post("/api/correlation/retune", content=each).status_code)

        thread, watching = threading.Thread(target=apply), open_reader(path)
        thread.start()
        while watching.execute(count).get < 10:
            assert thread.is_alive() or watching.execute(count).get >= 10, done
        server.kill()
        thread.join()
        assert 10 <= watching.execute(count).get < 200
        watching.close()
        connection = apsw.Connection(str(path))
        assert_sound(connection)
        connection.close()
        server.start()
        with server.reader() as client:
            for each in asked(path, proposal):
                answer = client.post("/api/correlation/retune", content=each)
                assert (answer.status_code, answer.json()) == (200, {"left": []})
    assert compared(path, proposal).changes == ()
