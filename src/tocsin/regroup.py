"""What people do to the grouping: move alerts, merge incidents, split one, undo a merge; and that it is remembered.

Every verb runs in the writer, inside its transaction. An alert is in one incident before and after; versions, facts,
change log and the memories of entities stay in step. Incidents that a person took apart are never merged by the
machine again (`IncidentFacts.apart`, ADR 6). What machine and people decide beside this is `ingest`'s and `triage`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from tocsin.correlation.guards import Limits
from tocsin.documents import IncidentHeader, decode_alert
from tocsin.errors import InvalidChange
from tocsin.membership import By, Regrouped, Regrouping
from tocsin.model import AlertStatus, Classification, Determination, IncidentStatus
from tocsin.stores.sqlite.merged import (
    MergedIncident,
    find_edges,
    find_merged,
    forget_merged,
    keep_without,
    was_parted_since,
)
from tocsin.stores.sqlite.writing import LiveIncident, NewAlert, WriteStore
from tocsin.triage import COMMENTS_CHARACTERS_MAX, TAGS_MAX, changeable, survivor
from tocsin.uniting import united, without

SOURCES_MAX: Final = 100
ALERTS_MAX: Final = 5_000
ALERTS_READ_MAX: Final = 20_000
"""Of all incidents that one call changes: the writer reads them all, and nobody else writes meanwhile."""

NOTHING_TO_CUT: Final = "the alert did not join by an alert of this incident, so there is nothing to cut; move it"
# How many there would be is not said: who asks may see some of them only.
_TOO_MANY: Final = "would hold too many alerts; at most {} may be"

__all__ = ["By", "Regrouped", "check_held", "merge_incidents", "move_alerts", "split", "unmerge"]


def merge_incidents(
    store: WriteStore, tenant_id: int, sources: Sequence[int], target: int, *, by: By, limits: Limits
) -> Regrouped:
    """Make these incidents one with the target. What people wrote moves along; sources become husks.

    Evidence is not asked, and the target keeps its decisions. Raises NotFound, Redirected, and InvalidChange where
    decisions contradict each other (`incidents-api.md` section 6.1) or the incident would be too large.
    """
    wanted = [each for each in dict.fromkeys(sources) if each != target]
    if not wanted:
        raise InvalidChange("sources: at least one incident other than the target is needed")
    if len(wanted) > SOURCES_MAX:
        raise InvalidChange(f"sources: {len(wanted)} are more than the {SOURCES_MAX} that one call may merge")
    work = Regrouping(store, tenant_id, by)
    known = [changeable(store, tenant_id, each, by.not_before) for each in (target, *wanted)]
    _check_agreement(known)
    _check_size(known, limits)
    into = work.open(target)
    lives = [work.open(each) for each in wanted]
    for live in lives:
        work.move(live.incident_id, work.numbers_of(live.incident_id), target)
    work.headers[target] = _checked(united(into.header, [live.header for live in lives]))
    work.unite(target, wanted)
    return work.write(target, "merged", {"sources": wanted})


def move_alerts(
    store: WriteStore, tenant_id: int, alert_numbers: Sequence[int], target: int | None, *, by: By, limits: Limits
) -> Regrouped:
    """Move alerts to another incident, or (None) to a new one.

    An incident that loses its last alert becomes a husk of the target, as in a merge. Raises NotFound, Redirected,
    InvalidChange.
    """
    if not 0 < len(alert_numbers) <= ALERTS_MAX:
        raise InvalidChange(f"alertIds: from 1 to {ALERTS_MAX} alerts are moved in one call")
    work = Regrouping(store, tenant_id, by)
    alerts = {number: store.get_alert(tenant_id, number) for number in alert_numbers}
    moving: dict[int, set[int]] = {}
    for number, alert in alerts.items():
        moving.setdefault(alert.incident_id, set()).add(number)
    known = {each: changeable(store, tenant_id, each, by.not_before) for each in sorted(moving)}
    if target is not None:
        known[target] = changeable(store, tenant_id, target, by.not_before)
        _check_open(known[target], [each for each in alerts.values() if each.incident_id != target])
    _check_read(known.values())
    lives = [work.open(each) for each in known if each != target]
    if target is not None:
        work.open(target)
        moving.pop(target, None)
    if not lives:
        raise InvalidChange("alertIds: all of them are in that incident already")
    emptied = [live for live in lives if work.numbers_of(live.incident_id) == moving[live.incident_id]]
    if target is None and len(lives) == 1 and emptied:
        raise InvalidChange(f"alertIds: they are all alerts of incident {lives[0].incident_id}; one has to stay")
    return _moved(work, moving, emptied, target, limits)


def _moved(
    work: Regrouping, moving: dict[int, set[int]], emptied: list[LiveIncident], target: int | None, limits: Limits
) -> Regrouped:
    if target is None:
        statuses = [work.lives[each].header.status for each in sorted(moving)]
        going = [each for each in statuses if each is not IncidentStatus.RESOLVED]
        target = work.open_new(going[0] if going else IncidentStatus.RESOLVED)
    held = len(work.numbers_of(target)) + sum(len(each) for each in moving.values())
    if held > limits.incident_alerts_max:
        raise InvalidChange(f"incident {target} {_TOO_MANY.format(limits.incident_alerts_max)}")
    for source, numbers in moving.items():
        work.move(source, numbers, target)
    if emptied:
        header = united(work.headers[target], [live.header for live in emptied])
        work.headers[target] = _checked(header)
        work.unite(target, [live.incident_id for live in emptied])
    gone = {live.incident_id for live in emptied}
    for source in sorted(moving.keys() - gone):
        work.inherit_apart(target, source)
        work.part(target, [source])
    return work.write(target, "alerts-moved", {"alerts": sorted(set().union(*moving.values())), "from": sorted(moving)})


def split(store: WriteStore, tenant_id: int, alert_number: int, *, by: By) -> Regrouped:
    """Cut the reason by which this alert joined: it and all that hangs on it get an incident of their own.

    Raises NotFound, Redirected, and InvalidChange where there is no such reason to cut.
    """
    work = Regrouping(store, tenant_id, by)
    source = store.get_alert(tenant_id, alert_number).incident_id
    live = work.open(source)
    edges = find_edges(store.connection, tenant_id, source)
    cut = next((each for each in edges if each[0] == alert_number and each[2] == 0), None)
    here = work.numbers_of(source)
    if cut is None or cut[1] not in here:
        raise InvalidChange(NOTHING_TO_CUT)
    part = _hanging_on(alert_number, [each for each in edges if each is not cut and each[1] in here])
    if cut[1] in part:
        raise InvalidChange("the two parts hang together by other reasons too; move the alerts instead")
    target = work.open_new(live.header.status)
    work.move(source, part, target)
    work.inherit_apart(target, source)
    work.part(target, [source])
    return work.write(target, "split", {"from": source, "alert": alert_number, "alerts": sorted(part)})


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


def unmerge(store: WriteStore, tenant_id: int, husk_id: int, *, by: By) -> Regrouped:
    """Bring a merged incident back to life with the alerts, tags, comments and decisions it had.

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
    work.restore(husk_id, kept.facts, whole=len(back) == kept.facts.alert_count)
    _take_back(store, tenant_id, work, holder, kept)
    work.part(husk_id, [holder.incident_id])
    forget_merged(store.connection, tenant_id, husk_id)
    return work.write(husk_id, "unmerged", {"from": holder.incident_id, "alerts": sorted(back)})


def _take_back(store: WriteStore, tenant_id: int, work: Regrouping, holder: LiveIncident, kept: MergedIncident) -> None:
    """Take what a merge brought from the incident that has it now, and from every husk that it came through.

    A husk on the way is later undone by itself: it must not bring back what was undone before. Where people took apart
    since, nobody knows which of the two a cut was about, so both keep all marks.
    """
    before, known_apart, at = kept.into_header, set(() if kept.into_facts is None else kept.into_facts.apart), kept
    passed = [holder.incident_id]
    while before is not None and at.into_id != holder.incident_id:
        onward = find_merged(store.connection, tenant_id, at.into_id)
        if onward is None:
            before = None
            break
        passed.append(at.into_id)
        numbers = set(onward.alert_numbers) - set(kept.alert_numbers)
        keep_without(
            store.connection, tenant_id, at.into_id, without(onward.header, kept.header, before), sorted(numbers)
        )
        before = None if onward.into_header is None else united(onward.into_header, [before])
        known_apart.update(() if onward.into_facts is None else onward.into_facts.apart)
        at = onward
    if at is kept and kept.into_facts is not None:
        work.restore_untouched(holder.incident_id, kept.into_facts, kept.change)
    if before is not None:
        work.headers[holder.incident_id] = without(holder.header, kept.header, before)
    if before is None or was_parted_since(store.connection, tenant_id, passed, kept.change):
        work.inherit_apart(kept.facts.incident_id, holder.incident_id)
    else:
        work.forget_apart(holder.incident_id, set(kept.facts.apart) - known_apart)
        work.inherit_apart(kept.facts.incident_id, holder.incident_id, but=known_apart)


def check_held(store: WriteStore, tenant_id: int, alert_numbers: Iterable[int], incident_id: int) -> None:
    """Raise InvalidChange unless the incident holds all these alerts at this moment, NotFound where one is gone."""
    for number in alert_numbers:
        held = store.get_alert(tenant_id, number).incident_id
        if held != incident_id:
            raise InvalidChange(f"alertIds: alert number {number} went from incident {incident_id} to {held} meanwhile")


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
        raise InvalidChange(f"together they {_TOO_MANY.format(limits.incident_alerts_max)}")


def _check_read(lives: Iterable[LiveIncident]) -> None:
    together = sum(live.facts.alert_count for live in lives)
    if together > ALERTS_READ_MAX:
        raise InvalidChange(
            f"alertIds: one call may change incidents of {ALERTS_READ_MAX} alerts together, and those they are in "
            "have more; move them in several calls"
        )


def _check_open(target: LiveIncident, coming: Sequence[NewAlert]) -> None:
    """A closed incident takes closed alerts alone: nobody looks into it any more."""
    if target.header.status is IncidentStatus.RESOLVED and any(
        decode_alert(each.document).status is not AlertStatus.RESOLVED for each in coming
    ):
        raise InvalidChange(f"status: incident {target.incident_id} is resolved and alerts are not; open it first")


def _checked(header: IncidentHeader) -> IncidentHeader:
    """The header of an incident that became of several, if it keeps the bounds that one has."""
    if len(header.tags) > TAGS_MAX:
        raise InvalidChange(f"tags: together they would have {len(header.tags)}; at most {TAGS_MAX} may be")
    written = sum(len(each.comment) for each in header.comments)
    if written > COMMENTS_CHARACTERS_MAX:
        raise InvalidChange(f"comments: together they would be longer than {COMMENTS_CHARACTERS_MAX} characters")
    return header
