"""Tocsin's own sender: the alert shape of the API itself (`incidents-api.md` 2.2 to 2.5), as JSON.

Required are `title` (or `displayName`) and one time of `firstActivity`, `creationTime`, `lastActivity`.
`firstActivity` and `creationTime` stand in for each other, `lastActivity` defaults to `firstActivity`.
What belongs to an incident (`incidentId`, assignment history) is not taken over. Unknown keys are passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final, TypeVar

import msgspec

from tocsin.errors import Refused
from tocsin.model import Alert, AlertStatus, Classification, Determination, Device, Entity, Severity
from tocsin.senders.attack import DEFAULT_CATEGORY, category_of, tactics_of, techniques_of
from tocsin.senders.bounds import (
    COMMAND_LINE_MAX,
    ENTITIES_MAX,
    INTEGER_MAX,
    LIST_MAX,
    TEXT_MAX,
    TITLE_MAX,
    decode,
    digest,
    integer_or_none,
    issued_by,
    moment,
)
from tocsin.senders.observables import Observables


class _Wire(msgspec.Struct, rename="camel", gc=False):
    """The keys that are read. All optional here, so that `normalise` can say which of several is missing."""

    title: str | None = None
    display_name: str | None = None
    provider_alert_id: str | int | None = None
    alert_id: str | int | None = None
    id: str | int | None = None
    service_source: str | None = None
    creation_time: str | None = None
    first_activity: str | None = None
    last_activity: str | None = None
    description: str | None = None
    category: str | None = None
    status: str | None = None
    severity: str | None = None
    investigation_id: int | None = None
    investigation_state: str | None = None
    classification: str | None = None
    determination: str | None = None
    detection_source: str | None = None
    detector_id: str | None = None
    assigned_to: str | None = None
    actor_name: str | None = None
    threat_family_name: str | None = None
    event_count: int | None = None
    tactics: list[str] | None = None
    mitre_techniques: list[str] | None = None
    devices: list[msgspec.Raw] | None = None
    entities: list[msgspec.Raw] | None = None


_DECODER: Final = msgspec.json.Decoder(_Wire)
_ITEM_DECODER: Final = msgspec.json.Decoder(dict[str, object])
_CACHED_BYTES_MAX: Final = 400
"""Devices and entities of so many bytes are read once: sensors name the same ones again and again."""
_READ_MAX: Final = 4 * ENTITIES_MAX  # of each list: repeats may stand before the last one worth keeping
_E = TypeVar("_E", bound=StrEnum)
_NO_LETTERS: Final = str.maketrans("", "", " -_,")


def _folded(text: str) -> str:
    return text.translate(_NO_LETTERS).lower()


def _spellings(kind: type[_E], **synonyms: _E) -> dict[str, _E]:
    """By folded spelling, and as it is written in the documents, which needs no folding."""
    return {_folded(member): member for member in kind} | synonyms | {member.value: member for member in kind}


_SEVERITIES: Final = _spellings(Severity, unknown=Severity.UNSPECIFIED, info=Severity.INFORMATIONAL)
# `Active` for alerts is an error of the documents, which senders may have copied (section 2.2).
_STATUSES: Final = _spellings(AlertStatus, active=AlertStatus.NEW, unknown=AlertStatus.NEW)
_CLASSIFICATIONS: Final = _spellings(Classification)
# Older and wrong names for the same thing, gathered in section 2.5.
_DETERMINATIONS: Final = _spellings(
    Determination,
    unknown=Determination.NOT_AVAILABLE,
    compromiseduser=Determination.COMPROMISED_ACCOUNT,
    confirmeduseractivity=Determination.CONFIRMED_ACTIVITY,
    clean=Determination.NOT_MALICIOUS,
    insufficientdata=Determination.NO_ENOUGH_DATA_TO_VALIDATE,
    notenoughdatatovalidate=Determination.NO_ENOUGH_DATA_TO_VALIDATE,
)
_CATEGORIES: Final = {
    name.lower(): name
    for name in (
        "Collection",
        "CommandAndControl",
        "CredentialAccess",
        "DefenseEvasion",
        "Discovery",
        "Execution",
        "Exfiltration",
        "Exploit",
        "Impact",
        "InitialAccess",
        "LateralMovement",
        "Malware",
        "None",
        "Persistence",
        "PrivilegeEscalation",
        "Ransomware",
        "Reconnaissance",
        "ResourceDevelopment",
        "SuspiciousActivity",
        "UnwantedSoftware",
    )
}
_CATEGORY_NAMES: Final = frozenset(_CATEGORIES.values())
_ENTITY_TYPES: Final = {
    name.lower(): name
    for name in (
        "User",
        "Ip",
        "Url",
        "File",
        "Process",
        "Mailbox",
        "MailMessage",
        "MailCluster",
        "SecurityGroup",
        "Registry",
        "CloudApplication",
        "OAuthApplication",
        "LogonSession",
        "Service",
        "Script",
        "NamedPipe",
        "Share",
        "ScheduledTask",
        "DomainName",
    )
}


def _places(kind: type[msgspec.Struct], times: frozenset[str]) -> dict[str, tuple[str, str]]:
    """JSON key: (our attribute, what it holds)."""
    found: dict[str, tuple[str, str]] = {}
    for field in msgspec.structs.fields(kind):
        holds = "text"
        if field.name in times:
            holds = "time"
        elif field.type in (int, int | None):
            holds = "integer"
        elif field.type == bool | None:
            holds = "flag"
        elif field.name in ("tags", "vm_metadata"):
            holds = field.name
        found[field.encode_name] = (field.name, holds)
    return found


_ENTITY_KEYS: Final = _places(
    Entity, frozenset(("evidence_creation_time", "process_creation_time", "parent_process_creation_time"))
)
_DEVICE_KEYS: Final = _places(Device, frozenset(("first_seen",))) | {"deviceId": ("mdatp_device_id", "text")}
_WORDS: Final = {
    "text": "text",
    "time": "time in text",
    "integer": "whole number from 0 to 2^63 - 1",
    "flag": "true or false",
    "tags": "list of text",
    "vm_metadata": "object",
}
del _ENTITY_KEYS["entityType"]


def normalise(raw: bytes) -> Alert:
    """Read one alert. Raises Refused with field and reason; an enum's refusal lists the allowed values."""
    wire = decode(_DECODER, raw)
    found = Observables()
    title = found.text((wire.title or wire.display_name or "").strip(), TITLE_MAX)
    if not title:
        raise Refused("`title`: is missing or empty")
    first, last, created = _times(wire)
    devices, entities = wire.devices or [], wire.entities or []
    for index, item in enumerate(devices[:_READ_MAX]):
        _device(found, bytes(item), index)
    for index, item in enumerate(entities[:_READ_MAX]):
        _entity(found, bytes(item), index)
    found.devices_over += len(devices[_READ_MAX:])
    found.entities_over += len(entities[_READ_MAX:])
    tactics = tactics_of(wire.tactics or ())
    source = found.text(wire.service_source or "Unknown")
    own_id = next((str(i) for i in (wire.provider_alert_id, wire.alert_id, wire.id) if i not in (None, "")), "")
    alert = Alert(
        # Several products may post here, and two may count from 1: the product widens its id.
        identity=issued_by(source, own_id),
        provider_alert_id=found.text(own_id),
        service_source=source,
        creation_time=created,
        first_activity=first,
        last_activity=last,
        title=title,
        category=_category(found, wire, tactics),
        status=_status(wire),
        severity=_member(_SEVERITIES, "severity", wire.severity) or Severity.UNSPECIFIED,
        investigation_id=_bounded("investigationId", wire.investigation_id),
        investigation_state=found.text(wire.investigation_state or "UnsupportedAlertType"),
        classification=_unless(Classification.UNKNOWN, _CLASSIFICATIONS, "classification", wire.classification),
        determination=_unless(Determination.NOT_AVAILABLE, _DETERMINATIONS, "determination", wire.determination),
        detection_source=found.text(wire.detection_source or ""),
        detector_id=found.text(wire.detector_id or ""),
        assigned_to=found.text(wire.assigned_to or "") or None,
        actor_name=found.text(wire.actor_name or "") or None,
        threat_family_name=found.text(wire.threat_family_name or "") or None,
        event_count=max(1, _bounded("eventCount", wire.event_count) or 1),
        tactics=tactics,
        mitre_techniques=techniques_of(wire.mitre_techniques or ()),
        devices=found.devices,
        entities=found.entities,
        description=found.described(wire.description or ""),
    )
    return alert if own_id else _identified_by_content(alert)


def _identified_by_content(alert: Alert) -> Alert:
    """Without an id of the sender's, equal content is the same alert, however it was written down."""
    mark = digest(msgspec.json.encode(alert))
    return msgspec.structs.replace(alert, identity=f"{alert.identity}{mark}"[-200:], provider_alert_id=mark)


def _times(wire: _Wire) -> tuple[int, int, int]:
    first = _time("firstActivity", wire.first_activity)
    last = _time("lastActivity", wire.last_activity)
    created = _time("creationTime", wire.creation_time)
    start = first if first is not None else created if created is not None else last
    if start is None:
        raise Refused("`firstActivity`: is missing, and so are `creationTime` and `lastActivity`")
    end = start if last is None else max(start, last)
    return start, end, start if created is None else created


def _time(field: str, text: str | None) -> int | None:
    # The year 1 is how .NET writes a time that was never set.
    return None if not text or text.startswith("0001-") else moment(field, text)


def _member(known: Mapping[str, _E], field: str, text: str | None) -> _E | None:
    if not text:
        return None
    member = known.get(text) or known.get(_folded(text))
    if member is None:
        allowed = ", ".join(dict.fromkeys(known.values()))
        raise Refused(f"`{field}`: {text[:60]!r} is none of {allowed}")
    return member


def _unless(unset: _E, known: Mapping[str, _E], field: str, text: str | None) -> _E | None:
    member = _member(known, field, text)
    return None if member is unset else member


def _status(wire: _Wire) -> AlertStatus:
    return _member(_STATUSES, "status", wire.status) or AlertStatus.NEW


def _category(found: Observables, wire: _Wire, tactics: tuple[str, ...]) -> str:
    """The API's spelling of a known category. Others are kept: the list has grown before (section 2.2)."""
    if not wire.category:
        return category_of(tactics) or DEFAULT_CATEGORY
    known = wire.category if wire.category in _CATEGORY_NAMES else _CATEGORIES.get(_folded(wire.category))
    return known or found.text(wire.category)


def _bounded(field: str, value: int | None) -> int | None:
    if value is not None and not 0 <= value <= INTEGER_MAX:
        raise Refused(f"`{field}`: {str(value)[:25]} is not between 0 and 2^63 - 1")
    return value


class _Read(msgspec.Struct, frozen=True):
    """A device or an entity as it was read; `thing` is None where it says nothing. `cut`: a text was too long."""

    key: Hashable
    thing: Device | Entity | None
    cut: bool


def _device(found: Observables, raw: bytes, index: int) -> None:
    read = _read(_known_device, _read_device, raw, f"devices[{index}]")
    found.texts_cut = found.texts_cut or read.cut
    if isinstance(read.thing, Device):
        found.keep_device(str(read.key), read.thing)


def _entity(found: Observables, raw: bytes, index: int) -> None:
    read = _read(_known_entity, _read_entity, raw, f"entities[{index}]")
    found.texts_cut = found.texts_cut or read.cut
    if isinstance(read.thing, Entity):
        found.add(read.key, read.thing)


def _read(known: Callable[[bytes, str], _Read], anew: Callable[[bytes, str], _Read], raw: bytes, path: str) -> _Read:
    """What stands there, remembered or read anew; a failure is told with its own place."""
    if len(raw) > _CACHED_BYTES_MAX:
        return anew(raw, path)
    try:
        return known(raw, "")
    except Refused:
        return anew(raw, path)


def _read_device(raw: bytes, path: str) -> _Read:
    found = Observables()
    values: dict[str, Any] = _values(found, decode(_ITEM_DECODER, raw, path), _DEVICE_KEYS, path)
    found.device(values.pop("device_dns_name", ""), **values)
    for key, device in found.devices_by_key():
        return _Read(key, device, found.texts_cut)
    return _Read("", None, found.texts_cut)


def _read_entity(raw: bytes, path: str) -> _Read:
    found, item = Observables(), decode(_ITEM_DECODER, raw, path)
    given = item.get("entityType")
    if not isinstance(given, str) or not given:
        raise Refused(f"`{path}.entityType`: is missing or no text")
    values: dict[str, Any] = _values(found, item, _ENTITY_KEYS, path)
    kind = _ENTITY_TYPES.get(given.lower()) or found.text(given, 100)
    entity = Entity(entity_type=kind, **values) if values else None
    return _Read((kind, *values.items()), entity, found.texts_cut)


_known_device: Final = lru_cache(maxsize=4096)(_read_device)
_known_entity: Final = lru_cache(maxsize=8192)(_read_entity)


def _values(
    found: Observables, item: dict[str, object], keys: Mapping[str, tuple[str, str]], path: str
) -> dict[str, object]:
    """The known keys that hold something. Null and empty text are the same as absent."""
    values: dict[str, object] = {}
    for key, value in item.items():
        place = keys.get(key)
        if place is None or value is None or value == "":
            continue
        name, holds = place
        if holds == "text" and isinstance(value, str):
            values[name] = found.text(value, COMMAND_LINE_MAX if name == "process_command_line" else TEXT_MAX)
        elif (read := _value(found, value, holds, f"{path}.{key}")) is not None:
            values[name] = read
    return values


def _value(found: Observables, value: object, holds: str, field: str) -> object:
    if holds == "time" and isinstance(value, str):
        return _time(field, value)
    if holds == "integer" and (number := integer_or_none(value)) is not None:
        return number
    if holds == "flag" and isinstance(value, bool):
        return value
    if holds == "tags" and isinstance(value, list):
        return tuple(text for item in value[:LIST_MAX] if (text := found.text(item)))
    if holds == "vm_metadata" and isinstance(value, dict):
        pairs = list(value.items())[:20]
        return {found.text(key): None if inner is None else found.text(inner) for key, inner in pairs}
    shown = repr(value[:60]) if isinstance(value, str) else f"a value of type {type(value).__name__}"
    raise Refused(f"`{field}`: {shown} is no {_WORDS[holds]}")
