"""The body of `PATCH /api/incidents/{id}` → what to change (`incidents-api.md` sections 2.5 and 3).

Names and values are case-sensitive, as the original says of its own. A body with any fault is refused whole, and
the answer names every property that is wrong. What a change means is `triage.py`'s.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final

import msgspec

from tocsin.errors import InvalidChange
from tocsin.model import Classification, Determination, IncidentStatus
from tocsin.triage import IncidentChanges

BODY_BYTES_MAX: Final = 1024 * 1024
"""A comment of 30,000 characters, each written as two escapes, is 360 kB."""

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


def parse_update(body: bytes) -> IncidentChanges:
    """Read a request body. Raises InvalidChange naming each property that is unknown, read-only, repeated or wrong."""
    pairs = _pairs(body)
    faults: list[str] = []
    values: dict[str, Any] = {}
    names = [name for name, _ in pairs]
    for name in dict.fromkeys(name for name in names if names.count(name) > 1):
        faults.append(f"'{name[:60]}' is there more than once")
    for name, value in dict(pairs).items():
        if name.startswith("@odata."):
            continue  # control information of OData clients says nothing of the incident
        reader = _READERS.get(name)
        if reader is None:
            faults.append(_unknown(name))
            continue
        try:
            values[_FIELDS[name]] = reader(value)
        except ValueError as error:
            faults.append(f"'{name}' {error}")
    if faults:
        raise InvalidChange("; ".join(faults))
    return IncidentChanges(**values)


def _pairs(body: bytes) -> list[tuple[str, Any]]:
    """The members of the object in the body, repeated ones too."""
    if not body.strip():
        raise InvalidChange("the body is empty; a JSON object with the changed properties is needed")
    body = body.removeprefix(b"\xef\xbb\xbf")
    try:
        msgspec.json.decode(body)  # stricter than the standard library: UTF-8, no NaN, no lone surrogates
        found = json.loads(body, object_pairs_hook=_Members)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidChange(f"the body is not JSON: {error}") from None
    if not isinstance(found, _Members):
        raise InvalidChange("the body must be a JSON object with the changed properties")
    return list(found)


class _Members(list[tuple[str, Any]]):
    """A JSON object as its members in order; a list of JSON stays a plain list."""


def _unknown(name: str) -> str:
    if name in _READ_ONLY:
        hint = "; a remark is added with 'comment'" if name == "comments" else ""
        return f"'{name}' cannot be changed{hint}"
    for known in _READERS:
        if known.lower() == name.lower():
            return f"'{name}' is not a property; names are case-sensitive: '{known}'"
    return f"'{name[:60]}' is not a property that can be changed (those are {', '.join(_READERS)})"


def _one_of(members: Mapping[str, StrEnum], extra: str = "") -> Callable[[object], StrEnum]:
    def read(value: object) -> StrEnum:
        if not isinstance(value, str):
            raise ValueError(f"must be a string, one of {', '.join(members)}")
        if value not in members:
            raise ValueError(f"cannot be '{value[:60]}'; it is one of {', '.join(members)}{extra}")
        return members[value]

    return read


def _owner(value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise ValueError("must be a string, or null or empty for nobody")
    return value or None


def _tags(value: object) -> tuple[str, ...]:
    if type(value) is not list or not all(isinstance(tag, str) for tag in value):
        raise ValueError("must be the whole list of tags, each a string")
    return tuple(value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a string")
    return value


_READERS: Final[Mapping[str, Callable[[object], object]]] = {
    "status": _one_of(STATUSES, " (merging alone makes it Redirected)"),
    "assignedTo": _owner,
    "classification": _one_of(CLASSIFICATIONS),
    "determination": _one_of(DETERMINATIONS),
    "tags": _tags,
    "comment": _text,
}
_FIELDS: Final = {name: "assigned_to" if name == "assignedTo" else name for name in _READERS}
