"""Stored alerts in our words again, so that what was made of them can be made anew (facts, evidence, signals)."""

from __future__ import annotations

from typing import Final

import msgspec

from tocsin.documents import AlertDocument, decode_alert, decode_rest, device_id, stamp_of
from tocsin.model import Alert, Device, Entity
from tocsin.stores.sqlite.writing import NewAlert

_TIMES: Final = ("evidenceCreationTime", "processCreationTime", "parentProcessCreationTime")


def recalled(stored: NewAlert, tenant_guid: str) -> Alert:
    """The alert as its sender told it, with what people changed of it since."""
    document, rest = decode_alert(stored.document), decode_rest(stored.rest)
    return Alert(
        identity=stored.identity,
        provider_alert_id=document.provider_alert_id,
        service_source=document.service_source,
        creation_time=stamp_of(document.creation_time),
        first_activity=stamp_of(document.first_activity),
        last_activity=stamp_of(document.last_activity),
        title=document.title,
        description=document.description,
        category=document.category,
        status=document.status,
        severity=document.severity,
        investigation_id=document.investigation_id,
        investigation_state=document.investigation_state,
        classification=document.classification,
        determination=document.determination,
        detection_source=document.detection_source,
        detector_id=document.detector_id,
        assigned_to=document.assigned_to,
        actor_name=document.actor_name,
        threat_family_name=document.threat_family_name,
        event_count=rest.event_count,
        tactics=rest.tactics,
        mitre_techniques=document.mitre_techniques,
        devices=_devices(document, tenant_guid),
        entities=tuple([_entity(raw) for raw in document.entities]),
    )


def _devices(document: AlertDocument, tenant_guid: str) -> tuple[Device, ...]:
    return tuple([_device(raw, tenant_guid) for raw in document.devices])


def _device(raw: msgspec.Raw, tenant_guid: str) -> Device:
    shown = msgspec.json.decode(raw)
    device = msgspec.convert({**shown, "firstSeen": stamp_of(shown["firstSeen"])}, Device)
    if device.mdatp_device_id == device_id(tenant_guid, device.device_dns_name):
        return msgspec.structs.replace(device, mdatp_device_id="")  # given by us: the sender had none
    return device


def _entity(raw: msgspec.Raw) -> Entity:
    shown = msgspec.json.decode(raw)
    times = {name: stamp_of(shown[name]) for name in _TIMES if shown.get(name) is not None}
    return msgspec.convert({**shown, **times}, Entity)
