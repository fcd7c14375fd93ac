"""When incidents that look like one story must stay apart all the same.

The rules are those the original documents for merging (`design/correlation.md`, guards): people's
decisions outrank evidence. Ours too: a resolved incident takes no new alerts, because whoever closed it
has stopped looking; the alert opens an incident of its own and says why.
"""

from __future__ import annotations

import msgspec

from tocsin.correlation.apart import Find, taken_apart
from tocsin.correlation.memory import IncidentFacts
from tocsin.model import Classification, Determination, IncidentStatus


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Caps of one incident and bounds on the work for one alert. Scores are 0 to 1."""

    incident_alerts_max: int = 5_000
    incident_entities_max: int = 50_000
    join_score: float = 0.5
    merge_score: float = 0.7
    merges_max: int = 4
    candidates_max: int = 64


def join_obstacle(incident: IncidentFacts, limits: Limits) -> str | None:
    """Why a new alert may not join this incident, or None where it may."""
    if incident.status == IncidentStatus.RESOLVED:
        return "it is resolved"
    if incident.alert_count >= limits.incident_alerts_max:
        return f"it has {incident.alert_count} alerts, the most one may hold"
    return None


def merge_obstacle(one: IncidentFacts, other: IncidentFacts, limits: Limits, find: Find) -> str | None:
    """Why two incidents may not become one, or None where they may. The order of the two does not matter.

    `find` gives the facts of any incident, husks included.
    """
    if IncidentStatus.RESOLVED in (one.status, other.status):
        return "one of the two is resolved"
    if taken_apart(one, other, find):
        return "a person took them apart"
    if one.assigned_to and other.assigned_to and one.assigned_to != other.assigned_to:
        return "they are assigned to different people"
    if _differ(_classified(one), _classified(other)):
        return "their classifications differ"
    if _differ(_determined(one), _determined(other)):
        return "their determinations differ"
    if one.alert_count + other.alert_count > limits.incident_alerts_max:
        return f"together they would hold more than {limits.incident_alerts_max} alerts"
    if one.entity_count + other.entity_count > limits.incident_entities_max:
        return f"together they would hold more than {limits.incident_entities_max} entities"
    return None


def _classified(incident: IncidentFacts) -> str | None:
    return None if incident.classification == Classification.UNKNOWN else incident.classification


def _determined(incident: IncidentFacts) -> str | None:
    return None if incident.determination == Determination.NOT_AVAILABLE else incident.determination


def _differ(one: str | None, other: str | None) -> bool:
    return one is not None and other is not None and one != other
