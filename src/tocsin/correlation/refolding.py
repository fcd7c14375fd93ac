"""What an incident is when its alerts are taken anew: its facts, its signals, and what entities remember of it.

For alerts that people moved, merged or split off. Folding the same alerts in the same order gives what their arrival
gave, except for what only the moment of arrival knew; that is taken from the incidents they were in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from tocsin.correlation.evidence import Evidence, evidence_keys
from tocsin.correlation.facts import with_alert
from tocsin.correlation.kinds import RULE
from tocsin.correlation.memory import POSTINGS_MAX, EntityMemory, IncidentFacts, Posting
from tocsin.correlation.signals import (
    Signals,
    assets_of,
    criticality_of,
    merged_signals,
    tags_of,
    tags_together,
    threat_of,
)
from tocsin.model import Alert


class Held(msgspec.Struct, frozen=True):
    """An alert of an incident with its number and its evidence."""

    number: int
    alert: Alert
    evidence: tuple[Evidence, ...]


def held(number: int, alert: Alert) -> Held:
    """The alert with its evidence read."""
    return Held(number, alert, evidence_keys(alert))


def facts_of(incident_id: int, alerts: Sequence[Held], known: Iterable[Signals] = ()) -> IncidentFacts:
    """The facts of an incident that these alerts make, in the order of their numbers; there must be one.

    What people decided is not among them. `known` are the signals of the incidents that held the alerts.
    """
    ordered = sorted(alerts, key=lambda each: each.number)
    seen: set[int] = set()
    facts = IncidentFacts(
        incident_id, first_activity=ordered[0].alert.first_activity, last_activity=ordered[0].alert.last_activity
    )
    for each in ordered:
        keys = {one.key for one in each.evidence if one.kind is not RULE}
        fresh = len(keys - seen)
        seen |= keys
        facts = with_alert(facts, each.alert, fresh)
    return msgspec.structs.replace(facts, signals=_signals_of(ordered, known))


def _signals_of(alerts: Sequence[Held], known: Iterable[Signals]) -> Signals:
    """Of what was known, the findings that these alerts made; how surprising each was is as it was found."""
    made = {(each.evidence[0].key, asset) for each in alerts for asset in assets_of(each.evidence)}
    together: Signals | None = None
    for signals in known:
        findings = tuple([each for each in signals.findings if (each.rule, each.asset) in made])
        if findings:
            part = msgspec.structs.replace(signals, findings=findings)
            together = part if together is None else merged_signals(together, part)
    threats = [threat for each in alerts if (threat := threat_of(each.alert))]
    tags = tags_together((), [tag for each in alerts for tag in tags_of(each.alert)])
    return msgspec.structs.replace(
        together or Signals(),
        criticality=criticality_of(tags),
        tags=tags,
        threat=threats[0] if threats else "",
    )


Sightings = dict[int, dict[int, tuple[int, int]]]
"""Key -> incident -> the latest sighting there: event time in ticks, alert number."""


def sightings_of(groups: Mapping[int, Sequence[Held]]) -> Sightings:
    """Where the keys of these incidents' alerts were last seen."""
    found: Sightings = {}
    for incident_id, alerts in groups.items():
        for each in alerts:
            at = (each.alert.first_activity, each.number)
            for one in each.evidence:
                if one.kind is not RULE:
                    there = found.setdefault(one.key, {})
                    there[incident_id] = max(at, there.get(incident_id, at))
    return found


def reposted(memory: EntityMemory, seen: Mapping[int, tuple[int, int]], stale: set[int]) -> EntityMemory:
    """The memory with these sightings in place of the postings of the `stale` incidents."""
    postings = [each for each in memory.postings if each.incident_id not in stale]
    postings += [Posting(incident_id, *at) for incident_id, at in seen.items()]
    postings.sort(key=lambda each: (each.at, each.incident_id))
    return msgspec.structs.replace(memory, postings=tuple(postings[-POSTINGS_MAX:]))
