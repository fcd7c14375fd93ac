"""Request bodies of the verbs that regroup incidents. They are ours, so names and rules are as those of updates."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from tocsin.dialects.patching import read_properties, text
from tocsin.errors import InvalidChange
from tocsin.regroup import ALERTS_MAX, SOURCES_MAX

_NONE: Final[frozenset[str]] = frozenset()
_ID_MAX: Final = 2**63


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a body asks for; what it does not have is empty. `incident_id` None is a new incident."""

    incident_ids: tuple[int, ...] = ()
    alert_ids: tuple[str, ...] = ()
    incident_id: int | None = None
    cut_alert_id: str = ""
    comment: str | None = None


def parse_merge(body: bytes) -> Asked:
    """`{"incidentIds": [n, ...], "comment": "..."}`. Raises InvalidChange."""
    found = read_properties(body, {"incidentIds": _incident_ids, "comment": text}, _NONE)
    return Asked(incident_ids=_needed(found, "incidentIds"), comment=found.get("comment"))


def parse_unmerge(body: bytes) -> Asked:
    """`{"comment": "..."}`, or nothing at all. Raises InvalidChange."""
    found = read_properties(body, {"comment": text}, _NONE) if body.strip() else {}
    return Asked(comment=found.get("comment"))


def parse_split(body: bytes) -> Asked:
    """`{"alertId": "..."}` to cut the reason by which it joined, or `{"alertIds": [...]}`. Raises InvalidChange."""
    found = read_properties(body, {"alertId": text, "alertIds": _alert_ids, "comment": text}, _NONE)
    if ("alertId" in found) == ("alertIds" in found):
        raise InvalidChange(
            "give 'alertId', to cut the reason by which this alert joined, or 'alertIds', to take these"
        )
    return Asked(
        alert_ids=found.get("alertIds", ()), cut_alert_id=found.get("alertId", ""), comment=found.get("comment")
    )


def parse_move(body: bytes) -> Asked:
    """`{"alertIds": [...], "incidentId": n}`; null for a new incident. Raises InvalidChange."""
    found = read_properties(body, {"alertIds": _alert_ids, "incidentId": _incident_or_new, "comment": text}, _NONE)
    return Asked(
        alert_ids=_needed(found, "alertIds"), incident_id=_needed(found, "incidentId"), comment=found.get("comment")
    )


def _needed(found: dict[str, Any], name: str) -> Any:
    if name not in found:
        raise InvalidChange(f"'{name}' is missing")
    return found[name]


def _incident_ids(value: object) -> tuple[int, ...]:
    if not isinstance(value, list) or not 0 < len(value) <= SOURCES_MAX:
        raise ValueError(f"must be a list of 1 to {SOURCES_MAX} incident ids")
    return tuple([_incident(each) for each in value])


def _incident_or_new(value: object) -> int | None:
    return None if value is None else _incident(value)


def _incident(value: object) -> int:
    if type(value) is not int or not 0 < value < _ID_MAX:
        raise ValueError("has something that is not an incident id: a positive whole number is needed")
    return value


def _alert_ids(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not 0 < len(value) <= ALERTS_MAX:
        raise ValueError(f"must be a list of 1 to {ALERTS_MAX} alert ids")
    if not all(isinstance(each, str) for each in value):
        raise ValueError("must have alert ids alone, each a string")
    return tuple(dict.fromkeys(value))
