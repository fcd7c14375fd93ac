"""Rows as reads give them: versions of incidents, changes, lines of the log. Times are ticks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from tocsin.model import Classification, Determination, IncidentStatus, Severity
from tocsin.stores.codes import decode_enum


class Shown(msgspec.Struct, frozen=True):
    """The alerts of an incident that a caller sees, where that is not all of them."""

    tenant_id: int
    alert_numbers: tuple[int, ...]


class IncidentRow(msgspec.Struct, frozen=True):
    """One version of an incident, without its documents. Times are ticks.

    `shown` None: the caller sees all of it. Else `severity` and `alert_count` are those of what it sees.
    """

    incident_id: int
    change: int
    last_update: int
    created: int
    status: IncidentStatus
    severity: Severity
    classification: Classification
    determination: Determination
    assigned_to: str | None
    alert_count: int
    document_id: int
    shown: Shown | None = None


class Change(msgspec.Struct, frozen=True):
    """What a change did to an incident: `row` is its version, None where it is gone from the list asked for."""

    change: int
    incident_id: int
    row: IncidentRow | None


class LogRow(msgspec.Struct, frozen=True):
    """One entry of an incident's change log. `detail` is JSON text."""

    change: int
    at: int
    actor: str
    action: str
    detail: str


def incident_row(row: Sequence[Any]) -> IncidentRow:
    """A row of `listing.COLUMNS`."""
    incident_id, change, last_update, created, status, severity, classification, determination = row[:8]
    return IncidentRow(
        incident_id,
        change,
        last_update,
        created,
        decode_enum(IncidentStatus, status),
        decode_enum(Severity, severity),
        decode_enum(Classification, classification),
        decode_enum(Determination, determination),
        row[8],
        row[9],
        row[10],
    )
