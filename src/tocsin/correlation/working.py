"""An entity's memory while a batch works on it."""

from __future__ import annotations

from operator import attrgetter
from typing import Final

from tocsin.correlation.decay import incident_rate
from tocsin.correlation.memory import FULL, POSTINGS_MAX, SAMPLE_MAX, SPREAD_MAX, EntityMemory, Posting

_BY_TIME: Final = attrgetter("at", "incident_id")


class WorkingEntity:
    """An EntityMemory being worked on. Spreads are sorted tuples, or FULL itself."""

    __slots__ = ("devices", "incidents", "last_seen", "merges_seen", "postings")

    def __init__(self, memory: EntityMemory | None) -> None:
        self.merges_seen = -1
        if memory is None:
            self.postings: dict[int, Posting] = {}
            self.devices: tuple[int, ...] = ()
            self.incidents: tuple[int, ...] = ()
            self.last_seen = 0
        else:
            self.postings = {posting.incident_id: posting for posting in memory.postings}
            self.devices = FULL if memory.devices == FULL else memory.devices
            self.incidents = FULL if memory.incidents == FULL else memory.incidents
            self.last_seen = memory.last_seen

    def freeze(self) -> EntityMemory:
        ordered = list(self.postings.values())
        if len(ordered) > 1:
            ordered.sort(key=_BY_TIME)
        return EntityMemory(tuple(ordered), self.devices, self.incidents, self.last_seen)

    def seen_on(self, marks: list[int]) -> None:
        known = self.devices
        for mark in marks:
            if mark not in known and known is not FULL:
                known = self.devices = _wider(known, mark)

    def sample(self, marks: list[int]) -> None:
        """Keep the least marks ever seen, from which `number_of` tells how many there are."""
        for mark in marks:
            known = self.devices
            if mark not in known and (len(known) < SAMPLE_MAX or mark < known[-1]):
                self.devices = tuple(sorted((*known, mark))[:SAMPLE_MAX])

    def rate(self, at: int, expected: float, weight: float) -> float:
        """Incidents per tick that come here anyway; `expected` of an entity like this one."""
        if not self.postings:
            return expected
        oldest = min([posting.at for posting in self.postings.values()])
        return incident_rate(len(self.postings), abs(at - oldest), expected, weight)

    def post(self, incident_id: int, at: int, alert_number: int) -> bool:
        """Note the sighting; True where the incident had no posting here."""
        self.last_seen = max(self.last_seen, at)
        postings = self.postings
        known = postings.get(incident_id)
        if known is None or known.at <= at:
            postings[incident_id] = Posting(incident_id, at, alert_number)
        if known is not None:
            return False
        if len(postings) > POSTINGS_MAX:
            del postings[min([(posting.at, posting.incident_id) for posting in postings.values()])[1]]
        if incident_id not in self.incidents and self.incidents is not FULL:
            self.incidents = _wider(self.incidents, incident_id)
        return True


def size_of(spread: tuple[int, ...]) -> int:
    """How many places a spread tells of; `SPREAD_MAX` where there are too many to tell."""
    return SPREAD_MAX if spread is FULL else len(spread)


def _wider(spread: tuple[int, ...], mark: int) -> tuple[int, ...]:
    return FULL if len(spread) + 1 >= SPREAD_MAX else tuple(sorted((*spread, mark)))
