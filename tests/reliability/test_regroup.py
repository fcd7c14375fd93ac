"""What people do to the grouping: exact, sound, remembered, and seen by what correlates afterwards."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from soundness import assert_sound

from house import Bench, HandClock, native, shared_url
from tocsin.correlation.guards import Limits
from tocsin.documents import IncidentHeader, decode_alert, decode_header
from tocsin.errors import InvalidChange, NotFound, Redirected
from tocsin.model import Classification, IncidentStatus
from tocsin.regroup import By, Regrouped, merge_incidents, move_alerts, split, unmerge
from tocsin.stores.sqlite.purging import Purge
from tocsin.stores.sqlite.writing import WriteStore
from tocsin.ticks import DAY
from tocsin.triage import IncidentChanges, update_incident

ACTOR = "desk (app-1)"
TENANT = 1


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, HandClock())


def by(bench: Bench, comment: str | None = None) -> By:
    bench.later()
    return By(actor=ACTOR, clock=bench.clock(), not_before=0, comment=comment)


def run(bench: Bench, verb: Callable[[WriteStore], Regrouped]) -> int:
    done: Regrouped = bench.committer.run(verb)
    return done.incident_id


def merge(bench: Bench, sources: list[int], target: int, comment: str | None = None) -> int:
    who = by(bench, comment)
    return run(bench, lambda store: merge_incidents(store, TENANT, sources, target, by=who, limits=bench.limits))


def move(bench: Bench, numbers: list[int], target: int | None) -> int:
    who = by(bench)
    return run(bench, lambda store: move_alerts(store, TENANT, numbers, target, by=who, limits=bench.limits))


def cut(bench: Bench, number: int) -> int:
    who = by(bench)
    return run(bench, lambda store: split(store, TENANT, number, by=who))


def undo(bench: Bench, husk: int) -> int:
    who = by(bench)
    return run(bench, lambda store: unmerge(store, TENANT, husk, by=who))


def patch(bench: Bench, incident_id: int, **changes: Any) -> None:
    bench.later()
    bench.committer.run(
        lambda store: update_incident(
            store,
            TENANT,
            incident_id,
            IncidentChanges(**changes),
            actor=ACTOR,
            clock=bench.clock(),
            not_before=0,
        )
    )


def header(bench: Bench, incident_id: int) -> IncidentHeader:
    return decode_header(bench.reader.header(bench.reader.get_incident(bench.scope, incident_id)))


def numbers(bench: Bench, incident_id: int) -> list[int]:
    row = bench.reader.get_incident(bench.scope, incident_id)
    return [int(decode_alert(each).alert_id[2:]) for each in bench.reader.alerts(bench.scope, row)]


def state(bench: Bench, *incident_ids: int) -> list[Any]:
    """Everything people see of these incidents, but for the times of the change."""
    found = []
    for each in incident_ids:
        shown = msgspec.structs.replace(header(bench, each), last_update_time="")
        row = bench.reader.get_incident(bench.scope, each)
        alerts = [
            msgspec.structs.replace(decode_alert(raw), last_updated_time="")
            for raw in bench.reader.alerts(bench.scope, row)
        ]
        live = bench.store.live(TENANT, each)
        assert live is not None
        found.append(
            (shown, alerts, msgspec.structs.replace(live.facts, apart=(), classification=None, determination=None))
        )
    return found


def postings(bench: Bench) -> dict[int, Any]:
    """What entities remember, as written."""
    rows: list[Any] = bench.store.connection.execute(
        "SELECT memories FROM entity_journal ORDER BY journal_id"
    ).fetchall()
    keys = {key for (raw,) in rows for key in msgspec.msgpack.decode(bytes(raw), strict=False)}
    memories = {key: bench.store.entities.get(TENANT, key) for key in keys}
    return {key: memory.postings for key, memory in memories.items() if memory is not None}


def chain(*names: str) -> list[dict[str, Any]]:
    """Alerts of which each shares something with the one before."""
    found = []
    for number, (one, other) in enumerate(zip(names, (*names[1:], f"{names[-1]}-end"), strict=True), 1):
        found.append(native(number, entities=shared_url(one) + shared_url(other)))
    return found


def two(bench: Bench) -> None:
    """Incidents 1 and 2 with two alerts each, and what people wrote on them."""
    bench.ingest(native(1, entities=shared_url("a")), native(2, entities=shared_url("b")))
    bench.ingest(native(3, entities=shared_url("a"), severity="High"), native(4, entities=shared_url("b")))
    patch(bench, 1, tags=("mine", "both"), comment="first")
    patch(bench, 2, tags=("both", "other"), comment="second", assigned_to="ann@corp.example")
    patch(bench, 2, status=IncidentStatus.IN_PROGRESS, classification=Classification.TRUE_POSITIVE)


def test_a_merge_by_hand_takes_alerts_tags_comments_and_decisions(bench: Bench) -> None:
    two(bench)
    assert merge(bench, [2], 1, "one story") == 1
    assert numbers(bench, 1) == [1, 2, 3, 4]
    shown = header(bench, 1)
    assert shown.tags == ("mine", "both", "other")
    assert [each.comment for each in shown.comments] == ["first", "second", "one story"]
    assert (shown.assigned_to, shown.status) == ("ann@corp.example", IncidentStatus.IN_PROGRESS)
    husk = header(bench, 2)
    assert (husk.status, husk.redirect_incident_id) == (IncidentStatus.REDIRECTED, 1)
    assert_sound(bench.store.connection)


@pytest.mark.parametrize(("source", "target"), [(2, 1), (1, 2)])
def test_merge_and_unmerge_restore_the_exact_state(bench: Bench, source: int, target: int) -> None:
    two(bench)
    before, remembered = state(bench, 1, 2), postings(bench)
    merge(bench, [source], target)
    assert state(bench, 1, 2) != before
    assert undo(bench, source) == source
    assert state(bench, 1, 2) == before
    assert postings(bench) == remembered
    assert_sound(bench.store.connection)


def test_a_merge_of_the_machine_is_undone_even_after_the_purge_of_versions(bench: Bench) -> None:
    two(bench)
    patch(bench, 2, assigned_to=None, classification=Classification.UNKNOWN)
    before = state(bench, 1, 2)
    bench.later()
    bench.ingest(native(5, entities=shared_url("a") + shared_url("b")))
    assert header(bench, 2).status is IncidentStatus.REDIRECTED
    bench.committer.run(lambda store: Purge(store.connection).superseded(TENANT, bench.clock() + DAY, 1000))
    undo(bench, 2)
    assert state(bench, 2) == before[1:]
    assert numbers(bench, 1) == [1, 3, 5]
    assert header(bench, 1).tags == ("mine", "both")
    assert header(bench, 1).status is IncidentStatus.ACTIVE


def test_what_people_changed_after_the_merge_stays(bench: Bench) -> None:
    two(bench)
    merge(bench, [2], 1)
    patch(bench, 1, assigned_to="bob@corp.example", tags=("mine", "both", "other", "new"), comment="third")
    undo(bench, 2)
    shown = header(bench, 1)
    assert shown.assigned_to == "bob@corp.example"
    assert shown.tags == ("mine", "both", "new")
    assert [each.comment for each in shown.comments] == ["first", "third"]


def test_a_cut_takes_the_alert_and_what_joined_through_it_and_a_rejoin_restores_all(bench: Bench) -> None:
    bench.ingest(*chain("a", "b", "c", "d"))
    before, remembered = state(bench, 1), postings(bench)
    assert cut(bench, 3) == 2
    assert (numbers(bench, 1), numbers(bench, 2)) == ([1, 2], [3, 4])
    merge(bench, [2], 1)
    assert state(bench, 1) == before
    assert postings(bench) == remembered
    assert_sound(bench.store.connection)


def test_the_machine_does_not_redo_what_a_person_undid(bench: Bench) -> None:
    bench.ingest(*chain("a", "b", "c", "d"))
    cut(bench, 3)
    both = shared_url("a") + shared_url("d")
    (result,) = bench.ingest(native(9, entities=both))
    assert result.incident_id in {1, 2}
    assert header(bench, 1).redirect_incident_id is header(bench, 2).redirect_incident_id is None
    row = bench.reader.get_incident(bench.scope, result.incident_id)
    assert any("a person took them apart" in each.detail for each in bench.reader.find_log(bench.scope, row))


def test_alerts_that_come_follow_those_that_moved(bench: Bench) -> None:
    bench.ingest(native(1, entities=shared_url("a")), native(2, entities=shared_url("b")))
    bench.ingest(native(3, entities=shared_url("a")), native(4, entities=shared_url("c")))
    assert move(bench, [4], 2) == 2
    assert header(bench, 3).redirect_incident_id == 2
    (result,) = bench.ingest(native(5, entities=shared_url("c")))
    assert result.incident_id == 2
    assert move(bench, [4, 5], None) == 4
    bench.open()
    (result,) = bench.ingest(native(6, entities=shared_url("c")))
    assert result.incident_id == 4
    (result,) = bench.ingest(native(7, entities=shared_url("b")))
    assert result.incident_id == 2


def refused(action: Callable[[], object], kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        action()


def test_what_makes_no_sense_is_refused_and_changes_nothing(bench: Bench) -> None:
    two(bench)
    bench.ingest(native(5, entities=shared_url("z")))
    patch(bench, 1, assigned_to="bob@corp.example")
    before = bench.reader.last_change(bench.scope)
    refused(lambda: merge(bench, [2], 1), InvalidChange, "assignedTo")
    refused(lambda: merge(bench, [1], 1), InvalidChange, "sources")
    refused(lambda: merge(bench, [77], 1), NotFound, "77")
    refused(lambda: move(bench, [1, 3], None), InvalidChange, "one has to stay")
    refused(lambda: move(bench, [1, 3], 1), InvalidChange, "already")
    refused(lambda: move(bench, [99], 1), NotFound, "99")
    refused(lambda: cut(bench, 1), InvalidChange, "nothing to cut")
    refused(lambda: undo(bench, 1), InvalidChange, "not merged")
    bench.limits = Limits(incident_alerts_max=2)
    refused(lambda: merge(bench, [3], 1), InvalidChange, "at most 2")
    assert bench.reader.last_change(bench.scope) == before
    bench.limits = Limits()
    merge(bench, [3], 1)
    refused(lambda: merge(bench, [3], 2), Redirected, "merged into incident 1")


@pytest.mark.parametrize("seed", range(12))
def test_any_regrouping_between_any_alerts_leaves_the_store_sound(bench: Bench, seed: int) -> None:
    dice = random.Random(seed)
    done = 0
    for step in range(40):
        if dice.random() < 0.5:
            urls = [each for name in dice.sample("abcdefgh", 2) for each in shared_url(name)]
            bench.later()
            bench.ingest(native(step, entities=urls[: dice.choice((1, 1, 2))]))
            continue
        known = bench.reader.find_incidents(bench.scope, top=1000)
        alerts = sum(row.alert_count for row in known)
        ids = [row.incident_id for row in known]
        if not ids:
            continue
        verbs: list[Callable[[], object]] = [
            lambda ids=ids: merge(bench, dice.choices(ids, k=2), dice.choice(ids)),  # type: ignore[misc]
            lambda ids=ids: undo(bench, dice.choice(ids)),  # type: ignore[misc]
            lambda alerts=alerts: cut(bench, dice.randint(1, alerts)),  # type: ignore[misc]
            lambda ids=ids, alerts=alerts: move(  # type: ignore[misc]
                bench, dice.choices(range(1, alerts + 1), k=2), dice.choice([None, *ids])
            ),
        ]
        try:
            dice.choice(verbs)()
            done += 1
        except (InvalidChange, Redirected):
            continue
    assert done
    assert_sound(bench.store.connection)


def test_a_husk_past_retention_leaves_nothing_behind(bench: Bench) -> None:
    two(bench)
    merge(bench, [2], 1)

    def purge(store: WriteStore) -> None:
        Purge(store.connection).incidents(TENANT, bench.clock() + DAY, bench.clock(), 10)
        store.forget_live()

    bench.committer.run(purge)
    assert bench.store.connection.execute("SELECT count(*) FROM incident_merged").get == 0


def apart(bench: Bench, incident_id: int) -> set[int]:
    live = bench.store.live(TENANT, incident_id)
    assert live is not None
    return set(live.facts.apart)


def test_a_cut_holds_for_every_part_of_what_was_cut_even_after_a_restart(bench: Bench) -> None:
    bench.ingest(*chain("a", "b", "c", "d", "e"))
    assert cut(bench, 3) == 2
    assert cut(bench, 2) == 3
    assert (apart(bench, 1), apart(bench, 2), apart(bench, 3)) == ({2, 3}, {1, 3}, {1, 2})
    bench.open()
    for number, (one, other) in enumerate((("b", "e"), ("a", "b"), ("a", "e")), 20):
        bench.ingest(native(number, entities=shared_url(one) + shared_url(other)))
    assert [header(bench, each).redirect_incident_id for each in (1, 2, 3)] == [None, None, None]


def test_a_cut_follows_both_parts_through_merges_of_the_machine_and_later_cuts(bench: Bench) -> None:
    bench.ingest(native(90, entities=shared_url("y")))
    bench.ingest(native(91, entities=shared_url("z")))
    bench.ingest(*chain("a", "b", "c", "d", "e", "f"))
    parts = [cut(bench, each) for each in (5, 4, 6)]
    assert [numbers(bench, each) for each in (3, *parts)] == [[3], [5], [4], [6, 7, 8]]
    bench.ingest(native(20, entities=shared_url("y") + shared_url("f")))
    bench.ingest(native(21, entities=shared_url("z") + shared_url("a")))
    assert (header(bench, 3).redirect_incident_id, header(bench, 6).redirect_incident_id) == (2, 1)
    bench.open()
    bench.ingest(*[native(30 + n, entities=shared_url("y") + shared_url(each)) for n, each in enumerate("zcbd")])
    assert [header(bench, each).redirect_incident_id for each in (1, 2, 4, 5)] == [None] * 4


def test_no_alert_of_the_same_delivery_joins_what_was_cut(bench: Bench) -> None:
    bench.ingest(*chain("a", "b", "c", "d"))
    cut(bench, 3)
    bench.ingest(*[native(number, entities=shared_url("a") + shared_url("d")) for number in range(20, 26)])
    assert header(bench, 1).redirect_incident_id is header(bench, 2).redirect_incident_id is None


def three(bench: Bench) -> None:
    """Three incidents of two alerts with a tag and a comment each."""
    bench.ingest(*[native(number, entities=shared_url("abc"[number % 3])) for number in range(6)])
    for each in (1, 2, 3):
        patch(bench, each, tags=(f"tag-{each}", "all"), comment=f"comment {each}")
    patch(bench, 1, assigned_to="ann@corp.example", status=IncidentStatus.IN_PROGRESS)


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_merges_one_into_the_next_are_undone_exactly_in_either_order(bench: Bench, order: tuple[int, int]) -> None:
    three(bench)
    before, remembered = state(bench, 1, 2, 3), postings(bench)
    merge(bench, [1], 2)
    merge(bench, [2], 3)
    assert numbers(bench, 3) == [1, 2, 3, 4, 5, 6]
    for husk in order:
        undo(bench, husk)
        assert_sound(bench.store.connection)
    assert state(bench, 1, 2, 3) == before
    assert postings(bench) == remembered


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_two_merges_into_one_are_undone_exactly_in_either_order(bench: Bench, order: tuple[int, int]) -> None:
    three(bench)
    before = state(bench, 1, 2, 3)
    merge(bench, [1], 3)
    merge(bench, [2], 3)
    for husk in order:
        undo(bench, husk)
    assert state(bench, 1, 2, 3) == before


def test_a_merge_and_its_undoing_leave_no_mark_of_other_cuts_behind(bench: Bench) -> None:
    bench.ingest(*chain("a", "b", "c", "d"))
    cut(bench, 3)
    bench.ingest(native(9, entities=shared_url("z")))
    merge(bench, [1], 3)
    assert apart(bench, 3) == {2}
    undo(bench, 1)
    assert (apart(bench, 3), apart(bench, 1)) == ({1}, {2, 3})


def test_alerts_that_came_after_the_merge_stay_with_the_survivor(bench: Bench) -> None:
    two(bench)
    merge(bench, [2], 1)
    bench.ingest(native(8, entities=shared_url("b")))
    undo(bench, 2)
    assert (numbers(bench, 1), numbers(bench, 2)) == ([1, 3, 5], [2, 4])
    assert_sound(bench.store.connection)


def test_open_alerts_do_not_go_into_a_closed_incident(bench: Bench) -> None:
    two(bench)
    patch(bench, 1, status=IncidentStatus.RESOLVED)
    refused(lambda: move(bench, [2], 1), InvalidChange, "resolved")
    fresh = move(bench, [1, 2], None)
    assert header(bench, fresh).status is IncidentStatus.IN_PROGRESS


def test_a_merge_that_would_lose_tags_or_remarks_is_refused(bench: Bench) -> None:
    two(bench)
    patch(bench, 1, tags=tuple(f"one {each}" for each in range(60)))
    patch(bench, 2, tags=tuple(f"two {each}" for each in range(60)))
    refused(lambda: merge(bench, [2], 1), InvalidChange, "at most 100")


def test_at_the_cap_an_alert_opens_another_incident_and_the_log_says_why(tmp_path: Path) -> None:
    bench = Bench(tmp_path, HandClock(), Limits(incident_alerts_max=3))
    results = bench.ingest(*[native(number, entities=shared_url("a")) for number in range(7)])
    assert [each.incident_id for each in results] == [1, 1, 1, 2, 2, 2, 3]
    row = bench.reader.get_incident(bench.scope, 2)
    assert "it has 3 alerts, the most one may hold" in bench.reader.find_log(bench.scope, row)[0].detail
    refused(lambda: merge(bench, [2], 1), InvalidChange, "at most 3")
    refused(lambda: move(bench, [7], 1), InvalidChange, "at most 3")
    assert_sound(bench.store.connection)


def test_at_the_cap_of_entities_the_machine_merges_nothing_and_the_log_says_why(tmp_path: Path) -> None:
    bench = Bench(tmp_path, HandClock(), Limits(incident_entities_max=2))
    two(bench)
    bench.ingest(native(5, entities=shared_url("a") + shared_url("b")))
    assert header(bench, 2).redirect_incident_id is None
    row = bench.reader.get_incident(bench.scope, 1)
    patch(bench, 2, assigned_to=None, classification=Classification.UNKNOWN, status=IncidentStatus.ACTIVE)
    bench.ingest(native(6, entities=shared_url("a") + shared_url("b")))
    log = bench.reader.find_log(bench.scope, bench.reader.get_incident(bench.scope, row.incident_id))
    assert "more than 2 entities" in log[-1].detail
