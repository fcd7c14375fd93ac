"""What people change: an incident's status, owner, judgement, tags and comments, and the same of single alerts.

Every verb runs in the writer, inside its transaction, writes a new version and a line in the change log, and keeps
the header and the facts of the correlation in step. Dialects read request bodies; here is what a change means
(`incidents-api.md` section 3).
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from tocsin.model import AlertStatus, Classification, Determination, IncidentStatus


class IncidentChanges(msgspec.Struct, frozen=True, kw_only=True):
    """What to change of an incident; UNSET leaves a property as it is. `assigned_to` None unassigns.

    `tags` is the whole new list. `comment` is appended, with the actor as author and the moment of the change.
    """

    status: IncidentStatus | UnsetType = UNSET
    assigned_to: str | None | UnsetType = UNSET
    classification: Classification | UnsetType = UNSET
    determination: Determination | UnsetType = UNSET
    tags: tuple[str, ...] | UnsetType = UNSET
    comment: str | UnsetType = UNSET


class AlertChanges(msgspec.Struct, frozen=True, kw_only=True):
    """What to change of one alert; UNSET leaves a property as it is. None unassigns or unsets."""

    status: AlertStatus | UnsetType = UNSET
    assigned_to: str | None | UnsetType = UNSET
    classification: Classification | None | UnsetType = UNSET
    determination: Determination | None | UnsetType = UNSET
    comment: str | UnsetType = UNSET
