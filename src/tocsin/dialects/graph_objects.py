"""Graph's incident, alert and comment, and how the stored documents become them.

The order of properties is that of Graph's answers; names and types are those that msgraph-sdk reads. What the
original may leave null is null here; texts that known clients join without a look (`description`,
`recommendedActions` of an alert) are never null (`clients.md`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tocsin.correlation.priority import Priority
from tocsin.dialects import graph_names as names
from tocsin.dialects.graph_entities import device_evidence, entity_evidence
from tocsin.dialects.graph_evidence import AnyEvidence, Time
from tocsin.documents import AlertDocument, CommentDocument, decode_alert, decode_header, decode_rest
from tocsin.model import Classification, Determination, IncidentStatus, service_source_of


def _enum(spelled: Iterable[str], *more: str) -> Meta:
    return Meta(extra_json_schema={"enum": [*dict.fromkeys((*spelled, *more))]})


IncidentStatusName: TypeAlias = Annotated[str, _enum(names.INCIDENT_STATUSES.values())]
AlertStatusName: TypeAlias = Annotated[str, _enum(names.ALERT_STATUSES.values())]
SeverityName: TypeAlias = Annotated[str, _enum(names.SEVERITIES.values())]
ClassificationName: TypeAlias = Annotated[str, _enum(names.CLASSIFICATIONS.values())]
DeterminationName: TypeAlias = Annotated[str, _enum(names.DETERMINATIONS.values())]
ServiceSourceName: TypeAlias = Annotated[str, _enum(names.SERVICE_SOURCES.values(), names.FUTURE)]
DetectionSourceName: TypeAlias = Annotated[str, Meta(extra_json_schema=names.DETECTION_SOURCES.schema())]
InvestigationStateName: TypeAlias = Annotated[str, Meta(extra_json_schema=names.INVESTIGATION_STATES.schema())]


class GraphComment(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A remark. SDKs read author and time under the first pair of names, Graph's own page shows the second."""

    comment: str
    created_by_display_name: str
    created_date_time: Time
    created_by: str
    created_time: Time


class GraphAlert(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An alert as `alerts_v2` shows it."""

    id: str
    provider_alert_id: str
    incident_id: str
    status: AlertStatusName
    severity: SeverityName
    classification: ClassificationName
    determination: DeterminationName
    service_source: ServiceSourceName
    detection_source: DetectionSourceName
    product_name: str
    detector_id: str
    tenant_id: str
    title: str
    description: str
    recommended_actions: str = ""
    category: str
    assigned_to: str | None
    alert_web_url: str
    incident_web_url: str
    actor_display_name: str | None
    threat_display_name: str | None = None
    threat_family_name: str | None
    mitre_techniques: tuple[str, ...]
    created_date_time: Time
    last_update_date_time: Time
    resolved_date_time: Time | None
    first_activity_date_time: Time
    last_activity_date_time: Time
    investigation_state: InvestigationStateName
    alert_policy_id: str | None = None
    comments: tuple[GraphComment, ...]
    evidence: tuple[AnyEvidence, ...]
    system_tags: tuple[str, ...] = ()
    additional_data: dict[str, str]


class GraphIncident(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An incident as `security/incidents` shows it. `alerts` is there only where it was asked for by `$expand`."""

    id: str
    tenant_id: str
    status: IncidentStatusName
    incident_web_url: str
    redirect_incident_id: str | None
    display_name: str
    created_date_time: Time
    last_update_date_time: Time
    assigned_to: str | None
    classification: ClassificationName
    determination: DeterminationName
    severity: SeverityName
    custom_tags: tuple[str, ...]
    system_tags: tuple[str, ...] = ()
    description: str | None = None
    summary: str | None = None
    last_modified_by: str | None = None
    resolving_comment: str | None = None
    priority_score: int | None = None
    comments: tuple[GraphComment, ...]
    alerts: tuple[GraphAlert, ...] | UnsetType = UNSET


INCIDENT_NAMES: Final = tuple(field.encode_name for field in msgspec.structs.fields(GraphIncident))
ALERT_NAMES: Final = tuple(field.encode_name for field in msgspec.structs.fields(GraphAlert))

_encoder = msgspec.json.Encoder()
_facts_decoder = msgspec.json.Decoder(dict[str, Any])
_parts_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Speaking(msgspec.Struct, frozen=True):
    """To whom an object is shown: which server and tenant, and whether they know late members of enumerations."""

    portal_url: str
    tenant_guid: str
    all_members: bool


def incident_object(
    speaking: Speaking, incident_id: int, header: bytes, urgency: Priority | None = None, summary: str | None = None
) -> bytes:
    """One incident without its alerts, from its stored header; a priority that is not known is null."""
    stored = decode_header(header)
    target = stored.redirect_incident_id
    return _encoder.encode(
        GraphIncident(
            id=str(incident_id),
            tenant_id=speaking.tenant_guid,
            status=names.INCIDENT_STATUSES[IncidentStatus(stored.status)],
            incident_web_url=incident_url(speaking, incident_id),
            redirect_incident_id=None if target is None else str(target),
            display_name=stored.incident_name,
            created_date_time=stored.created_time,
            last_update_date_time=stored.last_update_time,
            assigned_to=stored.assigned_to,
            classification=names.CLASSIFICATIONS[stored.classification],
            determination=names.DETERMINATIONS[stored.determination],
            severity=names.SEVERITIES[stored.severity],
            custom_tags=stored.tags,
            summary=summary,
            priority_score=None if urgency is None else urgency.score,
            comments=_comments(stored.comments),
        )
    )


def with_alerts(incident: bytes, alerts: Sequence[bytes]) -> bytes:
    """A finished incident with its finished alerts behind."""
    return b"".join((incident[:-1], b',"alerts":[', b",".join(alerts), b"]}"))


def alert_object(speaking: Speaking, document: bytes, rest: bytes) -> bytes:
    """One alert, from its stored document and rest."""
    stored, besides = decode_alert(document), decode_rest(rest)
    source = service_source_of(stored.service_source)
    incident_id = stored.incident_id
    return _encoder.encode(
        GraphAlert(
            id=stored.alert_id,
            provider_alert_id=stored.provider_alert_id,
            incident_id=str(incident_id),
            status=names.ALERT_STATUSES[stored.status],
            severity=names.SEVERITIES[stored.severity],
            classification=names.CLASSIFICATIONS[stored.classification or Classification.UNKNOWN],
            determination=names.DETERMINATIONS[stored.determination or Determination.NOT_AVAILABLE],
            service_source=names.service_source_name(source, all_members=speaking.all_members),
            detection_source=names.DETECTION_SOURCES.spell(stored.detection_source, all_members=speaking.all_members),
            product_name=stored.service_source,
            detector_id=stored.detector_id,
            tenant_id=speaking.tenant_guid,
            title=stored.title,
            description=stored.description,
            category=stored.category,
            assigned_to=stored.assigned_to,
            alert_web_url=incident_url(speaking, incident_id),
            incident_web_url=incident_url(speaking, incident_id),
            actor_display_name=stored.actor_name,
            threat_family_name=stored.threat_family_name,
            mitre_techniques=stored.mitre_techniques,
            created_date_time=stored.creation_time,
            last_update_date_time=stored.last_updated_time,
            resolved_date_time=stored.resolved_time,
            first_activity_date_time=stored.first_activity,
            last_activity_date_time=stored.last_activity,
            investigation_state=names.INVESTIGATION_STATES.spell(stored.investigation_state, all_members=True),
            comments=_comments(besides.comments),
            evidence=_evidence(stored, all_members=speaking.all_members),
            additional_data=_additional(stored),
        )
    )


def incident_url(speaking: Speaking, incident_id: int) -> str:
    """Where a person looks at the incident. Its alerts are shown on the same page."""
    return f"{speaking.portal_url}/incidents/{incident_id}?tid={speaking.tenant_guid}"


def comments_of(header: bytes) -> list[bytes]:
    """The remarks on an incident, from its stored header."""
    return [_encoder.encode(each) for each in _comments(decode_header(header).comments)]


def alert_comments_of(rest: bytes) -> list[bytes]:
    """The remarks on an alert, from its stored rest."""
    return [_encoder.encode(each) for each in _comments(decode_rest(rest).comments)]


def alert_id_of(document: bytes) -> str:
    """The public id of a stored alert."""
    return decode_alert(document).alert_id


def selected(finished: bytes, chosen: frozenset[str] | None) -> bytes:
    """Only the chosen properties of a finished object, in its order, and always its id; all for None."""
    if chosen is None:
        return finished
    parts = _parts_decoder.decode(finished)
    return _encoder.encode({name: part for name, part in parts.items() if name in chosen or name == "id"})


def _comments(stored: Iterable[CommentDocument]) -> tuple[GraphComment, ...]:
    return tuple(
        [
            GraphComment(
                comment=each.comment,
                created_by_display_name=each.created_by,
                created_date_time=each.created_time,
                created_by=each.created_by,
                created_time=each.created_time,
            )
            for each in stored
        ]
    )


def _evidence(stored: AlertDocument, *, all_members: bool) -> tuple[AnyEvidence, ...]:
    created = stored.creation_time
    devices = [
        device_evidence(_facts_decoder.decode(device), created, all_members=all_members) for device in stored.devices
    ]
    entities = [
        entity_evidence(_facts_decoder.decode(entity), created, all_members=all_members) for entity in stored.entities
    ]
    return (*devices, *entities)


def _additional(stored: AlertDocument) -> dict[str, str]:
    """The sender's own words where Graph's enumerations have none for them."""
    words = {"serviceSource": stored.service_source, "detectionSource": stored.detection_source}
    return {name: word for name, word in words.items() if word}
