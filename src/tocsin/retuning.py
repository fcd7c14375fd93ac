"""Making stored incidents what a tuning would have made of them: one step of a dry run's changes at a time.

Every step is one change of the grouping in the open transaction: alerts move to an incident that keeps its id or to
a new one, and an incident that loses its last alert becomes a husk. Unlike what people do it leaves no mark of being
taken apart: what comes next is the machine's to decide. Stopped midway, what was done stands; the rest can be done
later.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta

from tocsin.comparing import Change
from tocsin.correlation.guards import Limits
from tocsin.errors import InvalidChange
from tocsin.ingest import ACTOR
from tocsin.membership import By, Regrouping
from tocsin.model import IncidentStatus
from tocsin.rehearsal import RETUNED
from tocsin.stores.sqlite.tuning import Tunings
from tocsin.stores.sqlite.writing import WriteStore
from tocsin.uniting import united

CHANGES_MAX: Final = 20
"""Of one request: each is some steps, and nobody should wait long for the answer."""

_Id: TypeAlias = Annotated[int, Meta(ge=1, le=2**53)]


class Step(msgspec.Struct, frozen=True):
    """Alerts that go into one incident; `incident_id` 0 opens a new one."""

    incident_id: int
    alerts: tuple[int, ...]


class Move(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A step as it is asked of a running server: which alerts (numbers) go into the incident (0: a new one), by the
    incident that held them in the dry run."""

    incident_id: Annotated[int, Meta(ge=0, le=2**53)]
    alerts: Annotated[dict[_Id, Annotated[list[_Id], Meta(min_length=1)]], Meta(min_length=1)]


class Plan(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Changes of a dry run to be made: under this version of the tuning, as seen at this change number."""

    tuning: Annotated[int, Meta(ge=0, le=2**53)]
    since: Annotated[int, Meta(ge=0, le=2**53)]
    changes: Annotated[list[list[Move]], Meta(max_length=CHANGES_MAX)]
    include_handled: bool = False


class Left(msgspec.Struct, frozen=True, rename="camel"):
    """A change of a plan (counted from 0) that was not made to its end, and why."""

    change: int
    reason: str


class Applied(msgspec.Struct, frozen=True, rename="camel"):
    """What became of a plan: all that is not in `left` was made."""

    left: list[Left]


def planned(change: Change, held_by: Mapping[int, int]) -> list[Move]:
    """The steps of a change with who held each alert; those that move nothing are left out."""
    moves = []
    for step in steps_of(change):
        alerts: dict[int, list[int]] = {}
        for number in step.alerts:
            if held_by[number] != step.incident_id:
                alerts.setdefault(held_by[number], []).append(number)
        if alerts:
            moves.append(Move(step.incident_id, alerts))
    return moves


def apply_move(store: WriteStore, tenant_id: int, move: Move, *, plan: Plan, by: By, limits: Limits) -> int:
    """As `apply_step`, if all is still as the dry run saw it. Alerts that came since stay where they are.

    Raises InvalidChange where it is not, NotFound, Redirected.
    """
    newest = Tunings(store.connection).newest(tenant_id).version
    if newest != plan.tuning:
        raise InvalidChange(f"the tuning in force is version {newest} now, not {plan.tuning}; run it again")
    for holder, numbers in move.alerts.items():
        for number in numbers:
            if store.get_alert(tenant_id, number).incident_id != holder:
                raise InvalidChange(f"alert number {number} is not in incident {holder} any more")
    concerned = [*move.alerts, *([move.incident_id] if move.incident_id else [])]
    if not plan.include_handled and _people_were_at(store, tenant_id, concerned, plan.since):
        raise InvalidChange(f"people changed one of the incidents {sorted(concerned)} meanwhile")
    going = tuple(sorted({number for each in move.alerts.values() for number in each}))
    live = store.live(tenant_id, move.incident_id) if move.incident_id else None
    if len(going) + (live.facts.alert_count if live else 0) > limits.incident_alerts_max:
        raise InvalidChange(f"together they would be more than {limits.incident_alerts_max} alerts")
    return apply_step(store, tenant_id, Step(move.incident_id, going), version=plan.tuning, by=by)


def _people_were_at(store: WriteStore, tenant_id: int, incident_ids: Iterable[int], since: int) -> bool:
    """Whether anybody but the machine and what applies tunings changed one of them after this change."""
    return bool(
        store.connection.execute(
            "SELECT EXISTS (SELECT 1 FROM json_each(?3) CROSS JOIN change_log INDEXED BY change_log_by_incident "
            "ON tenant_id = ?1 AND incident_id = value WHERE change > ?2 AND actor <> ?4 AND action <> ?5 "
            "AND coalesce(json_extract(detail, '$.by'), '') <> ?5)",
            (tenant_id, since, msgspec.json.encode(list(incident_ids)).decode(), ACTOR, RETUNED),
        ).get
    )


def steps_of(change: Change) -> Iterator[Step]:
    """The steps that make this change, those of incidents that keep their ids first."""
    for group in sorted(change.after, key=lambda each: (each.incident_id == 0, each.incident_id, each.alerts)):
        yield Step(group.incident_id, group.alerts)


def applicable(changes: Iterable[Change], *, include_handled: bool) -> list[Change]:
    """The changes that may be made: none of what is suppressed, and of people's incidents only if it is said."""
    return [each for each in changes if not each.suppressed and (include_handled or not each.handled)]


def apply_step(store: WriteStore, tenant_id: int, step: Step, *, version: int, by: By) -> int:
    """Move these alerts, in the open transaction; gives the incident that holds them. Raises NotFound, Redirected."""
    target = step.incident_id
    work = Regrouping(store, tenant_id, by)
    moving: dict[int, set[int]] = {}
    for number in step.alerts:
        moving.setdefault(store.get_alert(tenant_id, number).incident_id, set()).add(number)
    moving.pop(target, None)
    if not moving:
        return target
    if target:
        work.open(target)
    lives = [work.open(each) for each in sorted(moving)]
    into = target or work.open_new(IncidentStatus.ACTIVE)
    emptied = [live for live in lives if work.numbers_of(live.incident_id) == moving[live.incident_id]]
    for source, numbers in moving.items():
        work.move(source, numbers, into)
    if emptied:
        work.headers[into] = united(work.headers[into], [live.header for live in emptied])
        work.unite(into, [live.incident_id for live in emptied])
    for source in sorted(moving.keys() - {live.incident_id for live in emptied}):
        work.inherit_apart(into, source)
    told = {"alerts": sorted(set().union(*moving.values())), "from": sorted(moving), "tuning": version}
    work.write(into, RETUNED, told)
    return into
