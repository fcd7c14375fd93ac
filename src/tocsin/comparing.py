"""What differs between the stored grouping and one that was tried: which incidents split, merge or exchange alerts.

Pure. Incidents keep their ids where they can: each tried incident takes the id of the stored one it shares most alerts
with, the older of equals, and each id is taken once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from typing import Final, TypeAlias

import msgspec

from tocsin.rehearsal import IDS_APART, Grouping, Reason

REASONS_MAX: Final = 3
_Both: TypeAlias = tuple[dict[int, list[int]], dict[int, list[int]]]
"""The alerts of each stored incident, and of each tried one."""


class Kind(StrEnum):
    """One becomes several, several become one, or both at once."""

    SPLIT = "split"
    MERGE = "merge"
    REGROUP = "regroup"


class Group(msgspec.Struct, frozen=True, rename="camel"):
    """An incident as it would be. `incident_id` 0: a new one. `taken` says how many alerts come from which incident."""

    incident_id: int
    alert_count: int
    taken: dict[int, int]
    alerts: tuple[int, ...]


class Change(msgspec.Struct, frozen=True, rename="camel"):
    """Incidents that hang together by a change. `before` gives their sizes. `handled`: people worked on one of them.

    `suppressed`: a suppression is or was part of it.
    """

    kind: Kind
    before: dict[int, int]
    after: tuple[Group, ...]
    handled: bool
    suppressed: bool
    reasons: tuple[str, ...]


class Comparison(msgspec.Struct, frozen=True, rename="camel"):
    """The whole answer of a dry run. Counts of incidents are of those with an alert that was placed anew."""

    alerts_warming: int
    alerts_replayed: int
    alerts_suppressed: int
    incidents_before: int
    incidents_after: int
    incidents_unchanged: int
    changes: tuple[Change, ...]


def compare(grouping: Grouping) -> Comparison:
    """Compare the two groupings, over the incidents that hold an alert that was placed anew."""
    before, after = _members(grouping.before), _members(grouping.after)
    shared = Counter((grouping.before[number], grouping.after[number]) for number in grouping.after)
    anew = [number for number in grouping.after if number >= grouping.free_from]
    stored = {grouping.before[number] for number in anew}
    tried = {grouping.after[number] for number in anew}
    changes, unchanged = [], 0
    for ours, theirs in _components(shared):
        if len(ours) == len(theirs) == 1:
            unchanged += bool(stored & ours)
        elif stored & ours:
            changes.append(_change(grouping, sorted(ours), sorted(theirs), members=(before, after), shared=shared))
    changes.sort(key=lambda each: (-sum(each.before.values()), min(each.before)))
    return Comparison(
        grouping.warmed,
        grouping.replayed,
        grouping.suppressed,
        len(stored),
        len(tried),
        unchanged,
        tuple(changes),
    )


def _members(holders: dict[int, int]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for number, held_by in holders.items():
        found.setdefault(held_by, []).append(number)
    return found


def _components(shared: Iterable[tuple[int, int]]) -> list[tuple[set[int], set[int]]]:
    """Stored and tried incidents that hang together by shared alerts."""
    beside: dict[tuple[bool, int], list[tuple[bool, int]]] = {}
    for one, other in shared:
        beside.setdefault((False, one), []).append((True, other))
        beside.setdefault((True, other), []).append((False, one))
    found, seen = [], set[tuple[bool, int]]()
    for start in sorted(beside):
        if start in seen:
            continue
        seen.add(start)
        waiting, both = [start], (set[int](), set[int]())
        while waiting:
            side, incident = waiting.pop()
            both[side].add(incident)
            for each in beside[side, incident]:
                if each not in seen:
                    seen.add(each)
                    waiting.append(each)
        found.append(both)
    return found


def _change(
    grouping: Grouping, ours: list[int], theirs: list[int], *, members: _Both, shared: Counter[tuple[int, int]]
) -> Change:
    before, after = members
    taken = {tried: {stored: shared[stored, tried] for stored in ours if shared[stored, tried]} for tried in theirs}
    ids = _kept_ids(taken)
    groups = [Group(ids[tried], len(after[tried]), taken[tried], tuple(sorted(after[tried]))) for tried in theirs]
    kind = Kind.SPLIT if len(ours) == 1 else Kind.MERGE if len(theirs) == 1 else Kind.REGROUP
    return Change(
        kind,
        {each: len(before[each]) for each in ours},
        tuple(groups),
        any(each in grouping.handled for each in ours),
        any(number in grouping.set_aside for each in ours for number in before[each]),
        tuple(_reasons(grouping, groups, before)[:REASONS_MAX]),
    )


def _kept_ids(taken: dict[int, dict[int, int]]) -> dict[int, int]:
    """For each tried incident the stored id it keeps, or 0."""
    claims = sorted((-count, stored, tried) for tried, counts in taken.items() for stored, count in counts.items())
    ids: dict[int, int] = {}
    used: set[int] = set()
    for _, stored, tried in claims:
        if tried not in ids and stored not in used:
            ids[tried] = stored
            used.add(stored)
    return {tried: ids.get(tried, 0) for tried in taken}


def _reasons(grouping: Grouping, groups: list[Group], before: dict[int, list[int]]) -> list[str]:
    """What the alerts say at which the groupings part: why they join now, or that nothing is near enough any more."""
    told = []
    for group in groups:
        for number in group.alerts:
            reason, stored = grouping.reasons.get(number), grouping.before[number]
            opens = number == group.alerts[0]
            if opens and number != min(before[stored]):
                told.append(f"alert {number} of incident {stored}: nothing before it is near enough any more")
            elif not opens and number == min(before[stored]) and reason is not None:
                told.append(f"alert {number}, which opened incident {stored}: joins by {_words(reason)}")
    for source, reason in sorted(grouping.merges.items()):
        opener = source // IDS_APART
        if any(opener in group.alerts and len(group.taken) > 1 for group in groups):
            told.append(f"alert {opener} and what joined it: merged by {_words(reason)}")
    return told


def _words(reason: Reason) -> str:
    return f"{reason.kind} {reason.text} (score {reason.score:.2f})".replace("  ", " ")
