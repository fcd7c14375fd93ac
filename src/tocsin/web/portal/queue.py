"""The queue page: rows as they are shown, and where its links lead. Reads nothing itself."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tocsin.correlation.memory import TITLES_MAX
from tocsin.correlation.priority import Priority
from tocsin.involved import distinct_machines
from tocsin.model import IncidentStatus, Severity
from tocsin.stores.sqlite.overview import Card
from tocsin.ticks import parse_ticks
from tocsin.web.portal.asking import PAGE, Asked
from tocsin.web.portal.text import Moment, moment, words

NAMED_MAX = 2


class Named(msgspec.Struct, frozen=True):
    """The first of some names, and how many more there are."""

    first: tuple[str, ...]
    more: int


class QueueRow(msgspec.Struct, frozen=True, kw_only=True):
    """One incident in the list. `titles` are those of its alerts where its name does not say them, `titles_full` that
    more may be unnamed; `merged_into` is 0 unless it is a husk."""

    incident_id: int
    name: str
    severity: Severity
    urgency: Priority | None
    status: IncidentStatus
    status_words: str
    alerts: int
    devices: Named
    users: Named
    sources: Named
    titles: tuple[str, ...]
    titles_full: bool
    assigned_to: str | None
    first_activity: Moment
    last_update: Moment
    merged_into: int


class Turning(msgspec.Struct, frozen=True):
    """Query strings of the neighbouring pages, None where there is none."""

    newer: str | None
    older: str | None


def queue_row(card: Card, urgency: Priority | None, now: int) -> QueueRow:
    """An incident as its row shows it."""
    row, header, facts = card.row, card.header, card.facts
    return QueueRow(
        incident_id=row.incident_id,
        name=header.incident_name,
        severity=row.severity,
        urgency=urgency,
        status=row.status,
        status_words=status_words(row.status),
        alerts=row.alert_count,
        devices=_named(distinct_machines(facts.devices)),
        users=_named(facts.users),
        sources=_named(facts.sources),
        titles=() if len(facts.titles) == 1 and header.incident_name.startswith(facts.titles[0]) else facts.titles,
        titles_full=len(facts.titles) >= TITLES_MAX,
        assigned_to=row.assigned_to,
        first_activity=moment(facts.first_activity or parse_ticks(header.created_time), now),
        last_update=moment(row.last_update, now),
        merged_into=header.redirect_incident_id or 0,
    )


def status_words(status: IncidentStatus) -> str:
    """`In progress`; a husk is called merged, which is what happened to it."""
    return "Merged" if status is IncidentStatus.REDIRECTED else words(status)


def turning(asked: Asked, cards: Sequence[Card], more: bool) -> Turning:
    """Where the page's two links lead. `cards` are in the order shown; `more`: the read found more in its direction."""
    if not cards:
        return Turning(asked.address() if asked.older or asked.newer else None, None)
    upwards = bool(asked.newer and not asked.older)
    newer = asked.address(newer=cards[0].row.last_update) if (more if upwards else asked.older) else None
    older = asked.address(older=cards[-1].row.last_update) if (upwards or more) else None
    return Turning(newer, older)


def most_urgent(found: Sequence[Card], urgencies: Sequence[Priority | None]) -> list[tuple[Card, Priority | None]]:
    """The first page by priority, then by change; what has no priority comes last."""
    pairs = sorted(
        zip(found, urgencies, strict=True),
        key=lambda pair: (-1.0 if pair[1] is None else pair[1].points, pair[0].row.change),
        reverse=True,
    )
    return pairs[:PAGE]


def page_of(asked: Asked, found: Sequence[Card]) -> tuple[list[Card], bool]:
    """The cards to show, newest first, of at most one more than a page; and whether there was one more."""
    shown = list(found[:PAGE])
    if asked.newer and not asked.older:
        shown.reverse()
    return shown, len(found) > PAGE


def _named(names: Sequence[str]) -> Named:
    return Named(tuple(names[:NAMED_MAX]), max(0, len(names) - NAMED_MAX))
