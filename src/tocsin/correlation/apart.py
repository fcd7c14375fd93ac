"""What people took apart: marks between incidents that the machine may not make one (ADR 6).

A mark names an incident as it was when the cut was made. When that one was merged, the mark means the one that holds
its alerts now, so marks are followed before they are compared. Both sides know of a cut, and so does every later part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from tocsin.correlation.memory import APART_MAX, IncidentFacts

HOPS_MAX: Final = 1_000

Find = Callable[[int], IncidentFacts | None]


def living_id(incident_id: int, find: Find) -> int:
    """The incident that this one became by merges, itself where it was not merged; 0 where that is gone."""
    facts = find(incident_id)
    for _ in range(HOPS_MAX):
        if facts is None:
            return 0
        if facts.redirect_to == 0:
            return facts.incident_id
        facts = find(facts.redirect_to)
    return 0


def taken_apart(one: IncidentFacts, other: IncidentFacts, find: Find) -> bool:
    """Whether a person took apart what these two living incidents hold; either may know of it."""
    if not one.apart and not other.apart:
        return False
    if other.incident_id in one.apart or one.incident_id in other.apart:
        return True
    return any(living_id(each, find) == other.incident_id for each in one.apart) or any(
        living_id(each, find) == one.incident_id for each in other.apart
    )


def with_living_marks(facts: IncidentFacts, find: Find) -> IncidentFacts:
    """The facts with marks that name living incidents, so that they hold when the husks between are deleted."""
    if not facts.apart:
        return facts
    living = [living_id(each, find) for each in facts.apart]
    return msgspec.structs.replace(
        facts, apart=bounded([each for each in living if each not in (0, facts.incident_id)])
    )


def bounded(marks: Iterable[int]) -> tuple[int, ...]:
    """Each once, the last ones where they are too many."""
    return tuple(dict.fromkeys(marks))[-APART_MAX:]


class Marks:
    """The marks of a dry run, over the incidents of its scratch state: what `membership` keeps, for regroupings done
    again."""

    def __init__(self, incidents: dict[int, IncidentFacts]) -> None:
        self._incidents = incidents
        self._before: dict[int, tuple[tuple[int, ...], tuple[int, ...], int]] = {}
        self._now: dict[int, tuple[int, ...]] = {}
        self._parted: dict[int, int] = {}
        self._deeds = 0

    def flushed(self) -> None:
        """What a batch did is in the incidents now."""
        self._now = {}

    def living(self, incident_id: int) -> int:
        """The incident that this one became; 0 where there is none."""
        return living_id(incident_id, self._incidents.get)

    def way_of(self, incident_id: int) -> list[int]:
        """This incident and those that it became, one after the other."""
        way, facts = [incident_id], self._incidents.get(incident_id)
        while facts is not None and facts.redirect_to and len(way) < HOPS_MAX:
            way.append(facts.redirect_to)
            facts = self._incidents.get(facts.redirect_to)
        return way

    def note_merge(self, source: int, target: int) -> None:
        """Keep which marks both had before a merge, so that it can be undone."""
        one, other = self._of(target), self._of(source)
        self._before[source] = (other, one, self._deeds)
        self._now[target] = bounded([each for each in (*one, *other) if each not in (source, target)])

    def _of(self, incident_id: int) -> tuple[int, ...]:
        facts = self._incidents.get(incident_id)
        return self._now.get(incident_id, () if facts is None else facts.apart)

    def unite(self, into: int, apart: dict[int, tuple[int, ...]], own: set[int]) -> None:
        """What must stay apart from those that gave alerts must stay apart from the one that took them."""
        kept = [each for one in sorted(apart, key=lambda each: each == into) for each in apart[one] if each not in own]
        self._set(into, kept)
        self._tell(into)

    def again(self, revived: int, holders: set[int], apart: dict[int, tuple[int, ...]], passed: set[int]) -> None:
        """Undo what a merge did to the marks; where people took apart since what holds it (`passed`), both keep all."""
        source, target, at = self._before.get(revived, ((), (), self._deeds))
        exact = revived in self._before and all(self._parted.get(each, 0) <= at for each in passed | holders)
        own = list(source)
        for holder in holders:
            marks = apart.get(holder, ())
            own += [each for each in marks if each != revived and not (exact and each in target)]
            if exact:
                brought = set(source) - set(target)
                self._set(holder, [each for each in marks if each not in brought])
        self._set(revived, own)
        self._tell(revived)

    def part(self, one: int, other: int) -> None:
        """Remember that a person took these two apart."""
        self._deeds += 1
        for here, there in ((one, other), (other, one)):
            self._parted[here] = self._deeds
            self._set(here, [*[each for each in self._incidents[here].apart if each != there], there])

    def _tell(self, incident_id: int) -> None:
        """Let the others know of the marks that name them."""
        for each in self._incidents[incident_id].apart:
            other = self.living(each)
            if other not in (0, incident_id) and incident_id not in self._incidents[other].apart:
                self._set(other, [*self._incidents[other].apart, incident_id])

    def _set(self, incident_id: int, marks: Iterable[int]) -> None:
        facts = self._incidents[incident_id]
        self._incidents[incident_id] = msgspec.structs.replace(facts, apart=bounded(marks))
