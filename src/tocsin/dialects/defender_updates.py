"""The body of `PATCH /api/incidents/{id}` → what to change (`incidents-api.md` sections 2.5 and 3).

Names and values are case-sensitive, as the original says of its own. What a change means is `triage.py`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from tocsin.dialects.patching import Reader, one_of, owner, read_properties, tags, text
from tocsin.model import Classification, Determination, IncidentStatus
from tocsin.triage import IncidentChanges

CLASSIFICATIONS: Final[Mapping[str, StrEnum]] = {
    **{member.value: member for member in Classification},
    "Informational, expected activity": Classification.INFORMATIONAL_EXPECTED_ACTIVITY,
}
DETERMINATIONS: Final[Mapping[str, StrEnum]] = {
    **{member.value: member for member in Determination},
    # Three pages and the SDK have different names for these; clients send all of them (section 2.5).
    "CompromisedUser": Determination.COMPROMISED_ACCOUNT,
    "ConfirmedUserActivity": Determination.CONFIRMED_ACTIVITY,
    "Clean": Determination.NOT_MALICIOUS,
    "InsufficientData": Determination.NO_ENOUGH_DATA_TO_VALIDATE,
    "NotEnoughDataToValidate": Determination.NO_ENOUGH_DATA_TO_VALIDATE,
}
STATUSES: Final[Mapping[str, StrEnum]] = {
    member.value: member for member in IncidentStatus if member is not IncidentStatus.REDIRECTED
}

_READ_ONLY: Final = frozenset(
    (
        *("incidentId", "incidentUri", "redirectIncidentId", "incidentName", "createdTime", "lastUpdateTime"),
        *("detectionSource", "severity", "comments", "alerts", "entities"),
    )
)
_HINTS: Final = {"comments": "a remark is added with 'comment'"}
_READERS: Final[Mapping[str, Reader]] = {
    "status": one_of(STATUSES, " (merging alone makes it Redirected)"),
    "assignedTo": owner,
    "classification": one_of(CLASSIFICATIONS),
    "determination": one_of(DETERMINATIONS),
    "tags": tags,
    "comment": text,
}
_FIELDS: Final = {name: "assigned_to" if name == "assignedTo" else name for name in _READERS}


def parse_update(body: bytes) -> IncidentChanges:
    """Read a request body. Raises InvalidChange naming each property that is unknown, read-only, repeated or wrong."""
    values = read_properties(body, _READERS, _READ_ONLY, _HINTS)
    return IncidentChanges(**{_FIELDS[name]: value for name, value in values.items()})
