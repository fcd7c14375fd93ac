"""The stored form: each alert and each incident header as ready JSON bytes, in the API's own shape (ADR 3).

A version never changes, so its bytes are made once, when it is written, and only put together when it is read.
The header leaves out `incidentId` and `incidentUri` (they come from the row and the server's address) and
`alerts` (each is a document of its own). Key order is that of `incidents-api.md` section 2.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import cast

import msgspec

from tocsin.model import (
    Alert,
    AlertStatus,
    Classification,
    Determination,
    Device,
    Entity,
    IncidentStatus,
    Severity,
)
from tocsin.ticks import format_ticks, parse_ticks


class CommentDocument(msgspec.Struct, frozen=True, rename="camel"):
    """A remark as stored; `created_time` is text."""

    comment: str
    created_by: str
    created_time: str


class IncidentHeader(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An incident without its id, its address and its alerts. Times are text with seven fraction digits."""

    redirect_incident_id: int | None = None
    incident_name: str
    created_time: str
    last_update_time: str
    assigned_to: str | None = None
    classification: Classification = Classification.UNKNOWN
    determination: Determination = Determination.NOT_AVAILABLE
    status: IncidentStatus = IncidentStatus.ACTIVE
    severity: Severity
    tags: tuple[str, ...] = ()
    comments: tuple[CommentDocument, ...] = ()


class AlertDocument(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One alert as the API shows it. Devices and entities carry their times as text ."""

    alert_id: str
    provider_alert_id: str
    incident_id: int
    service_source: str
    creation_time: str
    last_updated_time: str
    resolved_time: str | None
    first_activity: str
    last_activity: str
    title: str
    description: str
    category: str
    status: AlertStatus
    severity: Severity
    investigation_id: int | None
    investigation_state: str
    classification: Classification | None
    determination: Determination | None
    detection_source: str
    detector_id: str
    assigned_to: str | None
    actor_name: str | None
    threat_family_name: str | None
    mitre_techniques: tuple[str, ...]
    devices: tuple[msgspec.Raw, ...]
    entities: tuple[msgspec.Raw, ...]


class AlertRest(msgspec.Struct, frozen=True, array_like=True):
    """What an alert has besides its document: what the sender told and the API has no property for, kept so that
    alerts can be correlated anew, and remarks on the alert itself, which only Graph shows."""

    event_count: int
    tactics: tuple[str, ...]
    comments: tuple[CommentDocument, ...] = ()


_encoder = msgspec.json.Encoder()
_rest_encoder = msgspec.msgpack.Encoder()
_header_decoder = msgspec.json.Decoder(IncidentHeader)
_alert_decoder = msgspec.json.Decoder(AlertDocument)
_rest_decoder = msgspec.msgpack.Decoder(AlertRest)


def alert_id(prefix: str, alert_number: int) -> str:
    """The public id: the sender's two letters, then the tenant's own alert number, e.g. `su1042`."""
    return f"{prefix}{alert_number}"


@lru_cache(maxsize=16_384)
def device_id(tenant_guid: str, dns_name: str) -> str:
    """A stable 40-hex-digit id for a device that came without one: the same name in a tenant is the same device."""
    return hashlib.sha1(f"{tenant_guid}/{dns_name.lower()}".encode(), usedforsecurity=False).hexdigest()


def encode_alert(
    alert: Alert, *, public_id: str, incident_id: int, tenant_guid: str, stamp: int
) -> tuple[bytes, bytes]:
    """Make the stored document and its rest. `stamp` is the ticks of the change that the alert comes with."""
    created = alert.creation_time or stamp
    stamp_text, created_text = format_ticks(stamp), format_ticks(created)
    document = AlertDocument(
        alert_id=public_id,
        provider_alert_id=alert.provider_alert_id,
        incident_id=incident_id,
        service_source=alert.service_source,
        creation_time=created_text,
        last_updated_time=stamp_text,
        resolved_time=stamp_text if alert.status is AlertStatus.RESOLVED else None,
        first_activity=format_ticks(alert.first_activity),
        last_activity=format_ticks(alert.last_activity),
        title=alert.title,
        description=alert.description,
        category=alert.category,
        status=alert.status,
        severity=alert.severity,
        investigation_id=alert.investigation_id,
        investigation_state=alert.investigation_state,
        classification=alert.classification,
        determination=alert.determination,
        detection_source=alert.detection_source,
        detector_id=alert.detector_id,
        assigned_to=alert.assigned_to,
        actor_name=alert.actor_name,
        threat_family_name=alert.threat_family_name,
        mitre_techniques=alert.mitre_techniques,
        devices=cast(
            "tuple[msgspec.Raw, ...]", tuple([_shown_device(each, tenant_guid, created) for each in alert.devices])
        ),
        entities=cast("tuple[msgspec.Raw, ...]", tuple([_shown_entity(each) for each in alert.entities])),
    )
    return _encoder.encode(document), _rest_encoder.encode(AlertRest(alert.event_count, alert.tactics))


# The structs below hold ticks and the document text: encoding does not check field types, so one encoding of the whole
# alert serves, instead of one for each of its parts.
def _shown_device(device: Device, tenant_guid: str, created: int) -> Device:
    return msgspec.structs.replace(
        device,
        mdatp_device_id=device.mdatp_device_id or device_id(tenant_guid, device.device_dns_name),
        first_seen=format_ticks(device.first_seen or created),
    )


def _shown_entity(entity: Entity) -> Entity:
    texts = {}
    if entity.evidence_creation_time is not None:
        texts["evidence_creation_time"] = format_ticks(entity.evidence_creation_time)
    if entity.process_creation_time is not None:
        texts["process_creation_time"] = format_ticks(entity.process_creation_time)
    if entity.parent_process_creation_time is not None:
        texts["parent_process_creation_time"] = format_ticks(entity.parent_process_creation_time)
    return msgspec.structs.replace(entity, **texts) if texts else entity


def move_alert(document: bytes, incident_id: int, stamp: int) -> bytes:
    """The same alert in another incident, as of `stamp` ticks."""
    alert = _alert_decoder.decode(document)
    moved = msgspec.structs.replace(alert, incident_id=incident_id, last_updated_time=format_ticks(stamp))
    return _encoder.encode(moved)


def decode_alert(document: bytes) -> AlertDocument:
    """Read a stored alert back."""
    return _alert_decoder.decode(document)


def encode_alert_document(document: AlertDocument) -> bytes:
    """Make the stored bytes of an alert that was read back and changed."""
    return _encoder.encode(document)


def decode_rest(rest: bytes) -> AlertRest:
    """Read back what an alert has besides its document."""
    return _rest_decoder.decode(rest)


def encode_rest(rest: AlertRest) -> bytes:
    """Make the stored bytes of it."""
    return _rest_encoder.encode(rest)


def encode_header(header: IncidentHeader) -> bytes:
    """Make the stored bytes of an incident's header."""
    return _encoder.encode(header)


def decode_header(document: bytes) -> IncidentHeader:
    """Read a stored header back."""
    return _header_decoder.decode(document)


def stamp_of(text: str) -> int:
    """Ticks of a time in a document."""
    return parse_ticks(text)
