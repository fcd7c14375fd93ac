"""What people do to the grouping: move alerts, merge incidents, split one, undo a merge; and that it is remembered.

Every verb runs in the writer, inside its transaction. An alert is in one incident before and after; versions, facts,
change log and the memories of entities stay in step. Incidents that a person took apart are never merged by the
machine again (`IncidentFacts.apart`, ADR 6). What machine and people decide beside this is `ingest`'s and `triage`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from tocsin.correlation.guards import Limits
from tocsin.documents import CommentDocument, IncidentHeader
from tocsin.errors import InvalidChange
from tocsin.membership import By, Regrouping
from tocsin.model import Classification, Determination, IncidentStatus
from tocsin.stores.sqlite.merged import find_edges, find_merged, forget_merged
from tocsin.stores.sqlite.writing import LiveIncident, WriteStore
from tocsin.triage import survivor

SOURCES_MAX: Final = 100
ALERTS_MAX: Final = 5_000

__all__ = ["By", "merge_incidents", "move_alerts", "split", "unmerge"]


def merge_incidents(
    store: WriteStore, tenant_id: int, sources: Sequence[int], target: int, *, by: By, limits: Limits
) -> int:
    """Make these incidents one with the target, which is given back. What people wrote moves along; sources are husks.

    Evidence is not asked, and the target keeps its decisions. Raises NotFound, Redirected, and InvalidChange where
    decisions contradict each other (`incidents-api.md` section 6.1) or the incident would be too large.
    """
    wanted = [each for each in dict.fromkeys(sources) if each != target]
    if not wanted:
        raise InvalidChange("sources: at least one incident other than the target is needed")
    if len(wanted) > SOURCES_MAX:
        raise InvalidChange(f"sources: {len(wanted)} are more than the {SOURCES_MAX} that one call may merge")
    work = Regrouping(store, tenant_id, by)
    into = work.open(target)
    lives = [work.open(each) for each in wanted]
    _check_agreement([into, *lives])
    _check_size([into, *lives], limits)
    for live in lives:
        work.move(live.incident_id, work.numbers_of(live.incident_id), target)
    work.headers[target] = _united(into.header, [live.header for live in lives])
    work.unite(target, wanted)
    work.write(target, "merged", {"sources": wanted})
    return target


def move_alerts(
    store: WriteStore, tenant_id: int, alert_numbers: Sequence[int], target: int | None, *, by: By, limits: Limits
) -> int:
    """Move alerts to another incident, or (None) to a new one; gives that incident.

    An incident that loses its last alert becomes a husk of the target, as in a merge. Raises NotFound, Redirected,
    InvalidChange.
    """
    if not 0 < len(alert_numbers) <= ALERTS_MAX:
        raise InvalidChange(f"alertIds: from 1 to {ALERTS_MAX} alerts are moved in one call")
    work = Regrouping(store, tenant_id, by)
    moving: dict[int, set[int]] = {}
    for number in alert_numbers:
        moving.setdefault(store.get_alert(tenant_id, number).incident_id, set()).add(number)
    if target is not None:
        work.open(target)
        moving.pop(target, None)
    lives = [work.open(each) for each in sorted(moving)]
    if not lives:
        raise InvalidChange("alertIds: all of them are in that incident already")
    emptied = [live for live in lives if work.numbers_of(live.incident_id) == moving[live.incident_id]]
    if target is None and len(lives) == 1 and emptied:
        raise InvalidChange(f"alertIds: they are all alerts of incident {lives[0].incident_id}; one has to stay")
    return _moved(work, moving, emptied, target, limits)


def _moved(
    work: Regrouping, moving: dict[int, set[int]], emptied: list[LiveIncident], target: int | None, limits: Limits
) -> int:
    if target is None:
        target = work.open_new(work.lives[min(moving)].header.status)
    held = len(work.numbers_of(target)) + sum(len(each) for each in moving.values())
    if held > limits.incident_alerts_max:
        raise InvalidChange(f"incident {target} would hold {held} alerts; at most {limits.incident_alerts_max} may be")
    for source, numbers in moving.items():
        work.move(source, numbers, target)
    if emptied:
        work.headers[target] = _united(work.headers[target], [live.header for live in emptied])
        work.unite(target, [live.incident_id for live in emptied])
    gone = {live.incident_id for live in emptied}
    work.part(target, [source for source in moving if source not in gone])
    work.write(target, "alerts-moved", {"alerts": sorted(set().union(*moving.values())), "from": sorted(moving)})
    return target


def split(store: WriteStore, tenant_id: int, alert_number: int, *, by: By) -> int:
    """Cut the reason by which this alert joined: it and all that hangs on it get an incident of their own.

    Gives that incident. Raises NotFound, Redirected, and InvalidChange where there is no such reason to cut.
    """
    work = Regrouping(store, tenant_id, by)
    source = store.get_alert(tenant_id, alert_number).incident_id
    live = work.open(source)
    edges = find_edges(store.connection, tenant_id, source)
    cut = next((each for each in edges if each[0] == alert_number and each[2] == 0), None)
    here = work.numbers_of(source)
    if cut is None or cut[1] not in here:
        raise InvalidChange("the alert did not join by an alert of this incident, so there is nothing to cut; move it")
    part = _hanging_on(alert_number, [each for each in edges if each is not cut and each[1] in here])
    if cut[1] in part:
        raise InvalidChange("the two parts hang together by other reasons too; move the alerts instead")
    target = work.open_new(live.header.status)
    work.move(source, part, target)
    work.part(target, [source])
    work.write(target, "split", {"from": source, "alert": alert_number, "alerts": sorted(part)})
    return target


def _hanging_on(alert_number: int, edges: Iterable[tuple[int, int, int]]) -> set[int]:
    beside: dict[int, list[int]] = {}
    for one, other, _ in edges:
        beside.setdefault(one, []).append(other)
        beside.setdefault(other, []).append(one)
    found, waiting = {alert_number}, [alert_number]
    while waiting:
        for each in beside.get(waiting.pop(), ()):
            if each not in found:
                found.add(each)
                waiting.append(each)
    return found


def unmerge(store: WriteStore, tenant_id: int, husk_id: int, *, by: By) -> int:
    """Bring a merged incident back to life with the alerts, tags, comments and decisions it had; gives its id.

    The incident that holds its alerts now loses them, and what it got from the merge unless it was changed since.
    Alerts that went elsewhere meanwhile stay there. Raises NotFound, InvalidChange.
    """
    work = Regrouping(store, tenant_id, by)
    husk = work.open_husk(husk_id)
    kept = find_merged(store.connection, tenant_id, husk_id)
    if kept is None:
        raise InvalidChange(f"incident {husk_id} was merged in the moment it was opened; split or move its alerts")
    holder = work.open(survivor(store, tenant_id, husk))
    back = work.numbers_of(holder.incident_id) & set(kept.alert_numbers)
    if not back or back == work.numbers_of(holder.incident_id):
        raise InvalidChange(f"incident {holder.incident_id} would keep or give no alert; move alerts instead")
    work.move(holder.incident_id, back, husk_id)
    work.headers[husk_id] = kept.header
    work.restore(husk_id, kept.facts, whole=back == set(kept.alert_numbers))
    if kept.into_id == holder.incident_id and kept.into_header is not None:
        work.headers[holder.incident_id] = _without(holder.header, kept.header, kept.into_header)
    work.part(husk_id, [holder.incident_id])
    forget_merged(store.connection, tenant_id, husk_id)
    work.write(husk_id, "unmerged", {"from": holder.incident_id, "alerts": sorted(back)})
    return husk_id


def _check_agreement(lives: Sequence[LiveIncident]) -> None:
    """People's decisions must be equal or unset on one side: nobody's is overwritten unasked."""
    for name, values in (
        ("assignedTo", {live.header.assigned_to for live in lives} - {None, ""}),
        ("classification", {live.header.classification for live in lives} - {Classification.UNKNOWN}),
        ("determination", {live.header.determination for live in lives} - {Determination.NOT_AVAILABLE}),
    ):
        if len(values) > 1:
            told = " and ".join(sorted(repr(str(each)) for each in values))
            raise InvalidChange(f"{name}: the incidents have {told}; make them equal or unset before merging")
    resolved = [live.incident_id for live in lives if live.header.status is IncidentStatus.RESOLVED]
    if lives[0].incident_id in resolved and len(resolved) < len(lives):
        raise InvalidChange(f"status: incident {lives[0].incident_id} is resolved and others are not; open it first")


def _check_size(lives: Sequence[LiveIncident], limits: Limits) -> None:
    together = sum(live.facts.alert_count for live in lives)
    if together > limits.incident_alerts_max:
        raise InvalidChange(f"together they would hold {together} alerts; at most {limits.incident_alerts_max} may be")


def _united(target: IncidentHeader, sources: Sequence[IncidentHeader]) -> IncidentHeader:
    """The target's header with what people wrote on the sources, and their decisions where it has none."""
    every = (target, *sources)
    in_progress = any(each.status is IncidentStatus.IN_PROGRESS for each in sources)
    comments = [comment for each in every for comment in each.comments]
    judged = [each.classification for each in every if each.classification is not Classification.UNKNOWN]
    found = [each.determination for each in every if each.determination is not Determination.NOT_AVAILABLE]
    started = in_progress and target.status is IncidentStatus.ACTIVE
    return msgspec.structs.replace(
        target,
        status=IncidentStatus.IN_PROGRESS if started else target.status,
        assigned_to=next((each.assigned_to for each in every if each.assigned_to), target.assigned_to),
        classification=judged[0] if judged else Classification.UNKNOWN,
        determination=found[0] if found else Determination.NOT_AVAILABLE,
        tags=tuple(dict.fromkeys([tag for each in every for tag in each.tags])),
        comments=tuple(sorted(comments, key=lambda each: each.created_time)),
    )


def _without(now: IncidentHeader, source: IncidentHeader, before: IncidentHeader) -> IncidentHeader:
    """The header without what the merge brought. What is neither from before nor from the source, people set since."""
    brought = {name: getattr(before, name) for name in _DECISIONS if getattr(now, name) == getattr(source, name)}
    return msgspec.structs.replace(
        now,
        **brought,
        tags=tuple([tag for tag in now.tags if tag not in source.tags or tag in before.tags]),
        comments=_subtracted(now.comments, source.comments, before.comments),
    )


def _subtracted(
    now: Iterable[CommentDocument], source: Iterable[CommentDocument], before: Iterable[CommentDocument]
) -> tuple[CommentDocument, ...]:
    """Each comment of the source goes once; an equal one of the target's own stays."""
    going, left = list(source), []
    own = list(before)
    for comment in now:
        if comment in own:
            own.remove(comment)
        elif comment in going:
            going.remove(comment)
            continue
        left.append(comment)
    return tuple(left)


_DECISIONS: Final = ("status", "assigned_to", "classification", "determination")
