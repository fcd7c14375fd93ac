"""Bodies of Graph's updates and comments → what to change (`incidents-api.md` 1.7 and 3).

Values may begin with a capital, because half of Graph's own pages show them so. What a change means is `triage.py`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from tocsin.dialects import graph_names as names
from tocsin.dialects.graph_objects import ALERT_NAMES, INCIDENT_NAMES
from tocsin.dialects.patching import Reader, one_of, owner, read_properties, tags, text
from tocsin.errors import InvalidChange
from tocsin.model import Classification, Determination, IncidentStatus
from tocsin.triage import AlertChanges, IncidentChanges

_DETERMINATIONS: Final[Mapping[str, StrEnum]] = {
    **names.members_of(names.DETERMINATIONS),
    # What other pages, and this API's elder sister, call the same (section 2.5).
    "compromisedUser": Determination.COMPROMISED_ACCOUNT,
    "confirmedUserActivity": Determination.CONFIRMED_ACTIVITY,
    "clean": Determination.NOT_MALICIOUS,
    "insufficientData": Determination.NO_ENOUGH_DATA_TO_VALIDATE,
    "noEnoughDataToValidate": Determination.NO_ENOUGH_DATA_TO_VALIDATE,
    "notAvailable": Determination.NOT_AVAILABLE,
}
_INCIDENT_STATUSES: Final = {
    name: member
    for name, member in names.members_of(names.INCIDENT_STATUSES).items()
    if member is not IncidentStatus.REDIRECTED
}
_JUDGEMENT: Final[Mapping[str, Reader]] = {
    "assignedTo": owner,
    "classification": one_of(names.members_of(names.CLASSIFICATIONS)),
    "determination": one_of(_DETERMINATIONS),
}
_INCIDENT: Final[Mapping[str, Reader]] = {
    "status": one_of(_INCIDENT_STATUSES, " (merging alone makes it redirected)"),
    **_JUDGEMENT,
    "customTags": tags,
    "resolvingComment": text,
}
_ALERT: Final[Mapping[str, Reader]] = {
    "status": one_of(names.members_of(names.ALERT_STATUSES)),
    **_JUDGEMENT,
}
_FIELDS: Final = {"assignedTo": "assigned_to", "customTags": "tags", "resolvingComment": "comment"}


def parse_incident_update(body: bytes) -> IncidentChanges:
    """Read the body of a PATCH of an incident. `resolvingComment` becomes a comment. Raises InvalidChange."""
    hints = {"comments": "a remark is added with POST .../comments", "tags": "the property is 'customTags'"}
    return IncidentChanges(**_renamed(read_properties(body, _INCIDENT, _READ_ONLY_INCIDENT, hints)))


def parse_alert_update(body: bytes) -> AlertChanges:
    """Read the body of a PATCH of an alert. Raises InvalidChange."""
    hints = {"comments": "a remark is added with POST .../comments"}
    values = _renamed(read_properties(body, _ALERT, _READ_ONLY_ALERT, hints))
    # Nothing said about an alert is None in our words and `unknown` in Graph's.
    for name, unset in (("classification", Classification.UNKNOWN), ("determination", Determination.NOT_AVAILABLE)):
        if values.get(name) is unset:
            values[name] = None
    return AlertChanges(**values)


def parse_comment(body: bytes) -> str:
    """Read the body of a POST to `comments`. Raises InvalidChange."""
    values = read_properties(body, {"comment": text}, frozenset({"createdByDisplayName", "createdDateTime"}))
    if "comment" not in values:
        raise InvalidChange('\'comment\' is missing: the body is like {"comment": "..."}')
    comment: str = values["comment"]
    return comment


def _renamed(values: Mapping[str, Any]) -> dict[str, Any]:
    return {_FIELDS.get(name, name): value for name, value in values.items()}


_READ_ONLY_INCIDENT: Final = frozenset(INCIDENT_NAMES) - _INCIDENT.keys() | {"tags"}
_READ_ONLY_ALERT: Final = frozenset(ALERT_NAMES) - _ALERT.keys()
