"""Making stored incidents what a tuning would have made of them: one step of a dry run's changes at a time.

Every step is one change of the grouping in the open transaction: alerts move to an incident that keeps its id or to
a new one, and an incident that loses its last alert becomes a husk. Unlike what people do it leaves no mark of being
taken apart: what comes next is the machine's to decide. Stopped midway, what was done stands; the rest can be done
later.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from tocsin.comparing import Change
from tocsin.membership import By, Regrouping
from tocsin.model import IncidentStatus
from tocsin.rehearsal import RETUNED
from tocsin.stores.sqlite.writing import WriteStore
from tocsin.uniting import united


class Step(msgspec.Struct, frozen=True):
    """Alerts that go into one incident; `incident_id` 0 opens a new one."""

    incident_id: int
    alerts: tuple[int, ...]


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
