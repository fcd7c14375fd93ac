"""Microsoft Sentinel: rows of the `SecurityAlert` table, in both generations of its columns.

The older has `StartTimeUtc`, `Severity`, `AlertDisplayName`, `ProviderAlertId`; today's has `StartTime`,
`AlertSeverity`, `DisplayName`, `VendorOriginalId`, `Tactics`. Column names are taken in any case, also below
`properties` as the management API gives them. What `Entities` holds is read in `sentinel_entities.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from tocsin.errors import Refused
from tocsin.model import Alert, AlertStatus, Severity
from tocsin.senders import sentinel_entities
from tocsin.senders.attack import DEFAULT_CATEGORY, category_of, tactics_of, techniques_of
from tocsin.senders.bounds import (
    TITLE_MAX,
    decode,
    digest,
    identity,
    integer_or_none,
    issued_by,
    list_of,
    moment,
)
from tocsin.senders.observables import Observables

_ROW: Final = msgspec.json.Decoder(dict[str, object])
_ANY: Final = msgspec.json.Decoder(object)
_SEVERITY: Final = {
    "high": Severity.HIGH,
    "medium": Severity.MEDIUM,
    "low": Severity.LOW,
    "informational": Severity.INFORMATIONAL,
    "information": Severity.INFORMATIONAL,
}
_STATUS: Final = {
    "inprogress": AlertStatus.IN_PROGRESS,
    "resolved": AlertStatus.RESOLVED,
    "dismissed": AlertStatus.RESOLVED,
}
# How the portal writes a time into a CSV file: month, day, year, and a clock of twelve hours.
_PORTAL_TIME: Final = re.compile(
    r"(\d{1,2})/(\d{1,2})/(\d{4}),? (\d{1,2}):(\d\d):(\d\d)(\.\d+)?\s?([AaPp])[Mm]",
    re.ASCII,
)
_DAY_ONE: Final = "0001-"  # how .NET writes a time that was never set


def normalise(raw: bytes) -> Alert:
    """Read one row. Raises Refused with field and reason; nothing inside `Entities` is a reason."""
    row = _folded(decode(_ROW, raw))
    found = Observables()
    title = ""
    for column in ("displayname", "alertdisplayname", "alertname"):
        title = title or found.text(row.get(column), TITLE_MAX).strip()
    if not title:
        raise Refused("`DisplayName`: is missing, and so are `AlertDisplayName` and `AlertName`")
    generated = _time(row, "TimeGenerated")
    start = _time(row, "StartTime", "StartTimeUtc", "TimeGenerated", "EndTime", "EndTimeUtc")
    if start is None:
        raise Refused("`StartTime`: is missing, and so are `StartTimeUtc` and `TimeGenerated`")
    end = _time(row, "EndTime", "EndTimeUtc")
    sentinel_entities.gather(found, _nested(row, "entities"))
    properties = _nested(row, "extendedproperties")
    extended = properties if isinstance(properties, dict) else {}
    _compromised(found, row, extended)
    tactics = tactics_of(_listed(row.get("tactics")) or _listed(row.get("intent")))
    vendor_id = found.name(row.get("vendororiginalid")) or found.name(row.get("provideralertid"))
    product = found.name(row.get("productname")) or found.name(row.get("providername"))
    return Alert(
        identity=_identity(found, row, vendor_id, raw),
        provider_alert_id=vendor_id or found.name(row.get("systemalertid")) or digest(raw.strip()),
        service_source="MicrosoftSentinel",
        creation_time=generated or start,
        first_activity=start,
        last_activity=max(start, end or start),
        title=title,
        category=category_of(tactics) or DEFAULT_CATEGORY,
        status=_STATUS.get(found.name(row.get("status")).lower(), AlertStatus.NEW),
        severity=_severity(found, row),
        detection_source=product,
        detector_id=found.name(row.get("alerttype")),
        threat_family_name=next((entity.malware_name for entity in found.entities if entity.malware_name), None),
        event_count=_event_count(extended),
        tactics=tactics,
        mitre_techniques=techniques_of([*_listed(row.get("techniques")), *_listed(row.get("subtechniques"))]),
        devices=found.devices,
        entities=found.entities,
        description=found.described(_words(found, row)),
    )


def _folded(row: dict[str, object]) -> dict[str, object]:
    columns = {key.lower(): value for key, value in row.items()}
    inner = columns.get("properties")
    if isinstance(inner, dict):
        columns |= {key.lower(): value for key, value in inner.items()}
    return columns


def _identity(found: Observables, row: Mapping[str, object], vendor_id: str, raw: bytes) -> str:
    # SystemAlertId is the one id that both generations of the table have under one name, and that a later
    # row about the same alert (a new status, say) repeats. A provider's own id is unique only beside its name.
    own = found.name(row.get("systemalertid"))
    if own:
        return identity(own.lower())
    provider = found.name(row.get("providername")) or found.name(row.get("productname"))
    return issued_by(provider, vendor_id) if vendor_id else digest(raw.strip())


def _time(row: Mapping[str, object], *columns: str) -> int | None:
    """Ticks of the first of some columns that is set. Raises Refused naming a column that is set and no time."""
    for column in columns:
        text = row.get(column.lower())
        if not isinstance(text, str) or not text.strip() or text.startswith(_DAY_ONE):
            continue
        return moment(column, _from_portal(text.strip()))
    return None


def _from_portal(text: str) -> str:
    """ISO form of a time as the portal exports it; anything else as it is."""
    found = _PORTAL_TIME.fullmatch(text)
    if found is None:
        return text
    month, day, year, hour, minute, second, fraction, half = found.groups()
    hours = int(hour) % 12 + (12 if half in "Pp" else 0)
    return f"{year}-{int(month):02}-{int(day):02}T{hours:02}:{minute}:{second}{fraction or ''}Z"


def _nested(row: Mapping[str, object], column: str) -> object:
    """A column that holds JSON, in text or as it is. Text that is no JSON counts as empty: the alert still stands."""
    value = row.get(column)
    if not isinstance(value, str):
        return value
    if not value.strip():
        return None
    try:
        return decode(_ANY, value.encode())
    except Refused:
        return None


def _listed(value: object) -> list[object]:
    """A list as it is, in JSON text (`["T1078"]`), or parted by commas (`InitialAccess, Execution`)."""
    if not isinstance(value, str):
        return list_of(value)
    if value.strip()[:1] == "[":
        return list_of(_nested({"list": value}, "list"))
    return [part for part in value[:2000].split(",") if part.strip()]


def _severity(found: Observables, row: Mapping[str, object]) -> Severity:
    text = found.name(row.get("alertseverity")) or found.name(row.get("severity"))
    return _SEVERITY.get(text.lower(), Severity.UNSPECIFIED)


def _event_count(extended: Mapping[str, object]) -> int:
    return max(1, integer_or_none(extended.get("Search Query Results Overall Count")) or 1)


def _compromised(found: Observables, row: Mapping[str, object], extended: Mapping[str, object]) -> None:
    """Keep what the row itself names beside its entities: the compromised thing, and an attacker's address."""
    name = found.name(row.get("compromisedentity"))
    kind = found.name(extended.get("resourceType")).lower()
    resource = found.name(row.get("resourceid"))
    if resource and "/workspaces/" not in resource.lower():  # where logs are kept is not what the alert is about
        sentinel_entities.azure_resource(found, resource)
    if name and not _is_known(found, name):
        if "/" in name:
            sentinel_entities.azure_resource(found, name)
        elif "@" in name or "\\" in name:
            found.user(name)
        elif not found.ip(name) and _is_machine(kind, resource.lower()):
            found.device(name)
    for key in ("Attacker IP", "Attacker source IP", "Client IP address", "Client IP Address"):
        found.ip(extended.get(key))


def _is_machine(kind: str, resource: str) -> bool:
    """Whether a bare name is a machine's: so unless the row says that it is about another kind of resource."""
    if kind:
        return "machine" in kind or "server" in kind or kind == "computer"
    return "/providers/" not in resource or "machines/" in resource


def _is_known(found: Observables, name: str) -> bool:
    label = name.lower().partition(".")[0]
    return any(device.device_dns_name.lower().partition(".")[0] == label for device in found.devices)


def _words(found: Observables, row: Mapping[str, object]) -> str:
    words = [found.text(row.get("description"), 8000).strip()]
    provider = ", ".join(
        text for key in ("productname", "providername", "vendorname") if (text := found.name(row.get(key)))
    )
    if provider:
        words.append(f"Reported by {provider}.")
    link = found.name(row.get("alertlink"))
    if link:
        words.append(f"Alert page: {link}")
    return " ".join(word for word in words if word)
