"""How an incident's facts grow by an alert, and become those of two incidents in a merge. All bounded."""

from __future__ import annotations

from collections.abc import Iterable

from tocsin.correlation.evidence import account_of
from tocsin.correlation.memory import APART_MAX, FACTS_MAX, TITLES_MAX, IncidentFacts
from tocsin.correlation.signals import merged_signals
from tocsin.model import Alert, Classification, Determination, IncidentStatus

ENTITIES_COUNTED_MAX = 1_000_000
_USERS_READ_MAX = 64


def first_facts(incident_id: int, alert: Alert, new_entities: int) -> IncidentFacts:
    """The facts of an incident that this alert opens."""
    empty = IncidentFacts(incident_id, first_activity=alert.first_activity, last_activity=alert.last_activity)
    return with_alert(empty, alert, new_entities)


def with_alert(facts: IncidentFacts, alert: Alert, new_entities: int) -> IncidentFacts:
    """The facts after this alert joined; `new_entities` of its entities were not in the incident before."""
    return IncidentFacts(
        facts.incident_id,
        facts.alert_count + 1,
        min(ENTITIES_COUNTED_MAX, facts.entity_count + new_entities),
        min(facts.first_activity, alert.first_activity),
        max(facts.last_activity, alert.last_activity),
        max(facts.severity, alert.severity.rank),
        facts.status,
        facts.assigned_to,
        facts.classification,
        facts.determination,
        facts.redirect_to,
        facts.categories if alert.category in facts.categories else _grown(facts.categories, (alert.category,)),
        _grown(facts.tactics, alert.tactics),
        _grown(facts.techniques, alert.mitre_techniques),
        facts.sources if alert.service_source in facts.sources else _grown(facts.sources, (alert.service_source,)),
        _grown(facts.devices, [device.device_dns_name.lower() for device in alert.devices[:FACTS_MAX]]),
        _grown(facts.users, _users(alert)),
        facts.titles if alert.title in facts.titles else _grown(facts.titles, (alert.title,), TITLES_MAX),
        facts.signals,
        facts.apart,
    )


def merged(target: IncidentFacts, source: IncidentFacts) -> IncidentFacts:
    """The target's facts when it has taken over all of the source's alerts.

    What people set on the target stays; where they set nothing, what they set on the source holds.
    """
    in_progress = target.status == IncidentStatus.ACTIVE and source.status == IncidentStatus.IN_PROGRESS
    unclassified = target.classification in (None, Classification.UNKNOWN)
    undetermined = target.determination in (None, Determination.NOT_AVAILABLE)
    return IncidentFacts(
        target.incident_id,
        target.alert_count + source.alert_count,
        min(ENTITIES_COUNTED_MAX, target.entity_count + source.entity_count),
        min(target.first_activity, source.first_activity),
        max(target.last_activity, source.last_activity),
        max(target.severity, source.severity),
        source.status if in_progress else target.status,
        target.assigned_to or source.assigned_to,
        source.classification if unclassified else target.classification,
        source.determination if undetermined else target.determination,
        target.redirect_to,
        _grown(target.categories, source.categories),
        _grown(target.tactics, source.tactics),
        _grown(target.techniques, source.techniques),
        _grown(target.sources, source.sources),
        _grown(target.devices, source.devices),
        _grown(target.users, source.users),
        _grown(target.titles, source.titles, TITLES_MAX),
        merged_signals(target.signals, source.signals),
        together_apart(target, source),
    )


def together_apart(*facts: IncidentFacts) -> tuple[int, ...]:
    """What must not be merged with the incident that these become; the last taken apart where they are too many."""
    own = {each.incident_id for each in facts}
    return tuple(dict.fromkeys([other for each in facts for other in each.apart if other not in own]))[-APART_MAX:]


def husk_of(source: IncidentFacts, target_id: int) -> IncidentFacts:
    """What stays of a merged incident: its id and times, what it was about, and where it went."""
    return IncidentFacts(
        source.incident_id,
        first_activity=source.first_activity,
        last_activity=source.last_activity,
        severity=source.severity,
        status=IncidentStatus.REDIRECTED,
        assigned_to=source.assigned_to,
        classification=source.classification,
        determination=source.determination,
        redirect_to=target_id,
        categories=source.categories,
        sources=source.sources,
        devices=source.devices,
        titles=source.titles,
    )


def _users(alert: Alert) -> list[str]:
    found = []
    for entity in alert.entities[:_USERS_READ_MAX]:
        name = account_of(entity.account_name or entity.user_principal_name or "")
        if name:
            found.append(name)
    return found


def _grown(known: tuple[str, ...], more: Iterable[str], most: int = FACTS_MAX) -> tuple[str, ...]:
    for text in more:
        if text not in known and text and len(known) < most:
            known = (*known, text)
    return known
