"""Machines and their alerts, as the original's sister API for endpoints spells them (`incidents-api.md` 2.3).

No more than the clients of `/api/incidents` read. A machine is what the alerts say of one device id: it is as its
newest alert shows it, seen from the earliest to the latest time that any of them has. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from tocsin.documents import AlertDocument
from tocsin.model import AlertStatus, Classification, Determination, Severity

HOLDING_DEVICES: Final = b'"mdatpDeviceId":'
"""What every alert document with a device has in it."""


class Device(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A device as an alert document has it."""

    mdatp_device_id: str
    aad_device_id: str | None
    device_dns_name: str
    os_platform: str
    version: str
    os_processor: str
    os_build: int
    health_status: str
    risk_score: str
    rbac_group_name: str | None
    rbac_group_id: int
    first_seen: str
    tags: tuple[str, ...]
    defender_av_status: str
    onboarding_status: str
    vm_metadata: dict[str, str | None] | None


class SeenDevices(msgspec.Struct, frozen=True, rename="camel"):
    """What of an alert document tells of machines."""

    last_activity: str
    devices: tuple[Device, ...]


class Machine(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A machine as it is shown. What was not selected is unset; `id` is always there."""

    id: str
    computer_dns_name: str | UnsetType = UNSET
    first_seen: str | UnsetType = UNSET
    last_seen: str | UnsetType = UNSET
    os_platform: str | UnsetType = UNSET
    os_processor: str | UnsetType = UNSET
    version: str | UnsetType = UNSET
    os_build: int | UnsetType = UNSET
    health_status: str | UnsetType = UNSET
    rbac_group_id: int | UnsetType = UNSET
    rbac_group_name: str | UnsetType | None = UNSET
    risk_score: str | UnsetType = UNSET
    aad_device_id: str | UnsetType | None = UNSET
    machine_tags: tuple[str, ...] | UnsetType = UNSET
    defender_av_status: str | UnsetType = UNSET
    onboarding_status: str | UnsetType = UNSET
    vm_metadata: dict[str, str | None] | UnsetType | None = UNSET


class MachineAlert(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An alert of one machine as it is shown. Times are text with seven fraction digits."""

    id: str
    incident_id: int
    investigation_id: int | None
    assigned_to: str | None
    severity: Severity
    status: AlertStatus
    classification: Classification | None
    determination: Determination | None
    investigation_state: str
    detection_source: str
    detector_id: str
    category: str
    threat_family_name: str | None
    title: str
    description: str
    alert_creation_time: str
    first_event_time: str
    last_event_time: str
    last_update_time: str
    resolved_time: str | None
    machine_id: str
    computer_dns_name: str
    rbac_group_name: str | None
    aad_tenant_id: str
    mitre_techniques: tuple[str, ...]


class MachinePage(msgspec.Struct, frozen=True):
    """The list of machines."""

    context: str = msgspec.field(name="@odata.context")
    value: list[Machine]


class MachineAlertPage(msgspec.Struct, frozen=True):
    """The alerts of a machine."""

    context: str = msgspec.field(name="@odata.context")
    value: list[MachineAlert]


_NAMES: Final = {field.encode_name: field.name for field in msgspec.structs.fields(Machine)}
MACHINE_NAMES: Final = frozenset(_NAMES)
_seen_decoder = msgspec.json.Decoder(SeenDevices)
_device_decoder = msgspec.json.Decoder(Device)


class Sighted(msgspec.Struct, frozen=True):
    """A machine in the making: its newest form, and from when to when it was seen."""

    device: Device
    first_seen: str
    last_seen: str

    @property
    def device_id(self) -> str:
        """For filters."""
        return self.device.mdatp_device_id

    @property
    def device_name(self) -> str:
        """For filters."""
        return self.device.device_dns_name

    def also(self, device: Device, last_activity: str) -> Sighted:
        """The same with an older alert. Times in documents order as text."""
        return Sighted(self.device, min(self.first_seen, device.first_seen), max(self.last_seen, last_activity))


def holding_device(device_id: str) -> bytes:
    """What every alert document with this device has in it."""
    return HOLDING_DEVICES + msgspec.json.encode(device_id)


def machines_in(documents: Iterable[bytes]) -> list[Sighted]:
    """Each device of these alert documents, newest alert first, once; by name."""
    found: dict[str, Sighted] = {}
    for document in documents:
        seen = _seen_decoder.decode(document)
        for device in seen.devices:
            known = found.get(device.mdatp_device_id)
            found[device.mdatp_device_id] = (
                known.also(device, seen.last_activity)
                if known
                else Sighted(device, device.first_seen, seen.last_activity)
            )
    return sorted(found.values(), key=lambda each: (each.device_name, each.device_id))


def machine(sighted: Sighted, chosen: frozenset[str] | None = None) -> Machine:
    """The machine as it is shown, with the properties of these names alone; all for None."""
    device = sighted.device
    whole = Machine(
        id=device.mdatp_device_id,
        computer_dns_name=device.device_dns_name,
        first_seen=sighted.first_seen,
        last_seen=sighted.last_seen,
        os_platform=device.os_platform,
        os_processor=device.os_processor,
        version=device.version,
        os_build=device.os_build,
        health_status=device.health_status,
        rbac_group_id=device.rbac_group_id,
        rbac_group_name=device.rbac_group_name,
        risk_score=device.risk_score,
        aad_device_id=device.aad_device_id,
        machine_tags=device.tags,
        defender_av_status=device.defender_av_status,
        onboarding_status=device.onboarding_status,
        vm_metadata=device.vm_metadata,
    )
    if chosen is None:
        return whole
    left_out = {field: UNSET for name, field in _NAMES.items() if name not in chosen and name != "id"}
    return msgspec.structs.replace(whole, **left_out)


def machine_alert(alert: AlertDocument, device_id: str, tenant_guid: str) -> MachineAlert | None:
    """The alert as one of this device; None where it does not have the device."""
    devices = (_device_decoder.decode(raw) for raw in alert.devices)
    device = next((each for each in devices if each.mdatp_device_id == device_id), None)
    if device is None:
        return None
    return MachineAlert(
        id=alert.alert_id,
        incident_id=alert.incident_id,
        investigation_id=alert.investigation_id,
        assigned_to=alert.assigned_to,
        severity=alert.severity,
        status=alert.status,
        classification=alert.classification,
        determination=alert.determination,
        investigation_state=alert.investigation_state,
        detection_source=alert.detection_source,
        detector_id=alert.detector_id,
        category=alert.category,
        threat_family_name=alert.threat_family_name,
        title=alert.title,
        description=alert.description,
        alert_creation_time=alert.creation_time,
        first_event_time=alert.first_activity,
        last_event_time=alert.last_activity,
        last_update_time=alert.last_updated_time,
        resolved_time=alert.resolved_time,
        machine_id=device_id,
        computer_dns_name=device.device_dns_name,
        rbac_group_name=device.rbac_group_name,
        aad_tenant_id=tenant_guid,
        mitre_techniques=alert.mitre_techniques,
    )


def machine_page(base_url: str, machines: Sequence[Machine]) -> bytes:
    """The list in its envelope."""
    return msgspec.json.encode(MachinePage(f"{base_url}/api/$metadata#Machines", list(machines)))


def alert_page(base_url: str, alerts: Sequence[MachineAlert]) -> bytes:
    """The alerts of a machine in their envelope."""
    return msgspec.json.encode(MachineAlertPage(f"{base_url}/api/$metadata#Alerts", list(alerts)))


def single_machine(base_url: str, shown: Machine) -> bytes:
    """One machine as a document of its own: the context comes first."""
    context = f"{base_url}/api/$metadata#Machines/$entity"
    return b'{"@odata.context":%b,%b' % (msgspec.json.encode(context), msgspec.json.encode(shown)[1:])
