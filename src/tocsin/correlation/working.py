"""An entity's memory while a batch works on it."""

from __future__ import annotations

from tocsin.correlation.decay import incident_rate
from tocsin.correlation.memory import FULL, POSTINGS_MAX, SAMPLE_MAX, SPREAD_MAX, EntityMemory, Posting


class WorkingEntity:
    """An EntityMemory being worked on. Spreads are sorted tuples, or FULL itself."""

    __slots__ = ("devices", "incidents", "last_seen", "merges_seen", "postings")

    def __init__(self, memory: EntityMemory | None) -> None:
        self.merges_seen = -1
        if memory is None:
            self.postings: dict[int, tuple[int, int]] = {}
            self.devices: tuple[int, ...] = ()
            self.incidents: tuple[int, ...] = ()
            self.last_seen = 0
        else:
            self.postings = {posting.incident_id: (posting.at, posting.alert_number) for posting in memory.postings}
            self.devices = FULL if memory.devices == FULL else memory.devices
            self.incidents = FULL if memory.incidents == FULL else memory.incidents
            self.last_seen = memory.last_seen

    def freeze(self) -> EntityMemory:
        ordered = [Posting(incident_id, at, number) for incident_id, (at, number) in self.postings.items()]
        if len(ordered) > 1:
            ordered.sort(key=_by_time)
        return EntityMemory(tuple(ordered), self.devices, self.incidents, self.last_seen)

    def seen_on(self, marks: list[int]) -> None:
        for mark in marks:
            if mark not in self.devices and self.devices is not FULL:
                self.devices = _wider(self.devices, mark)

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
        oldest, _ = min(self.postings.values())
        return incident_rate(len(self.postings), abs(at - oldest), expected, weight)

    def post(self, incident_id: int, at: int, alert_number: int) -> bool:
        """Note the sighting; True where the incident had no posting here."""
        self.last_seen = max(self.last_seen, at)
        known = self.postings.get(incident_id)
        if known is None or known[0] <= at:
            self.postings[incident_id] = (at, alert_number)
        if known is not None:
            return False
        if len(self.postings) > POSTINGS_MAX:
            del self.postings[min(self.postings, key=lambda each: (self.postings[each][0], each))]
        if incident_id not in self.incidents and self.incidents is not FULL:
            self.incidents = _wider(self.incidents, incident_id)
        return True


def size_of(spread: tuple[int, ...]) -> int:
    """How many places a spread tells of; `SPREAD_MAX` where there are too many to tell."""
    return SPREAD_MAX if spread is FULL else len(spread)


def _wider(spread: tuple[int, ...], mark: int) -> tuple[int, ...]:
    return FULL if len(spread) + 1 >= SPREAD_MAX else tuple(sorted((*spread, mark)))


def _by_time(posting: Posting) -> tuple[int, int]:
    return posting.at, posting.incident_id
