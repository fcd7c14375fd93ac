"""What people change: an incident's status, owner, judgement, tags and comments, and the same of single alerts.

Every verb runs in the writer, inside its transaction, writes a new version and a line in the change log, and keeps
the header and the facts of the correlation in step. Dialects read request bodies; here is what a change means
(`incidents-api.md` section 3). What changes nothing writes nothing: no version, no stamp, no line in the log.

Classification and determination are independent: the documents contradict each other on which pairs are allowed,
and clients send them in separate calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from tocsin.correlation.memory import IncidentFacts
from tocsin.documents import (
    AlertDocument,
    CommentDocument,
    IncidentHeader,
    decode_alert,
    decode_rest,
    encode_alert_document,
    encode_rest,
    stamp_of,
)
from tocsin.errors import InvalidChange, NotFound, Redirected
from tocsin.model import AlertStatus, Classification, Determination, IncidentStatus
from tocsin.stores.sqlite.feedback import learn
from tocsin.stores.sqlite.writing import Counters, LiveIncident, LogEntry, NewAlert, WriteStore
from tocsin.ticks import format_ticks

COMMENT_CHARACTERS_MAX: Final = 30_000
"""The portal's own limit (section 3)."""
COMMENTS_CHARACTERS_MAX: Final = 1_000_000
"""Of all comments together: they are part of the header, which every change of the incident writes again."""
TAGS_MAX: Final = 100
TAG_CHARACTERS_MAX: Final = 256
OWNER_CHARACTERS_MAX: Final = 256

_detail_encoder = msgspec.json.Encoder()


class IncidentChanges(msgspec.Struct, frozen=True, kw_only=True):
    """What to change of an incident; UNSET leaves a property as it is. `assigned_to` None unassigns.

    `tags` is the whole new list. `comment` is appended, with the actor as author and the moment of the change.
    """

    status: IncidentStatus | UnsetType = UNSET
    assigned_to: str | UnsetType | None = UNSET
    classification: Classification | UnsetType = UNSET
    determination: Determination | UnsetType = UNSET
    tags: tuple[str, ...] | UnsetType = UNSET
    comment: str | UnsetType = UNSET


class AlertChanges(msgspec.Struct, frozen=True, kw_only=True):
    """What to change of one alert; UNSET leaves a property as it is. None unassigns or unsets."""

    status: AlertStatus | UnsetType = UNSET
    assigned_to: str | UnsetType | None = UNSET
    classification: Classification | UnsetType | None = UNSET
    determination: Determination | UnsetType | None = UNSET
    comment: str | UnsetType = UNSET


def update_incident(
    store: WriteStore,
    tenant_id: int,
    incident_id: int,
    changes: IncidentChanges,
    *,
    actor: str,
    clock: int,
    not_before: int,
) -> None:
    """Change an incident in the open transaction. `clock` and `not_before` (the retention cut-off) are ticks.

    Resolving it resolves its alerts, assigning it assigns them (the portal's rules); opening it again or unassigning
    it leaves them. Raises NotFound, InvalidChange, and Redirected for a husk.
    """
    live = changeable(store, tenant_id, incident_id, not_before)
    _check(changes)
    header = _with_changes(live.header, changes)
    cascade = _cascade(store, tenant_id, incident_id, changes)
    if header == live.header and changes.comment is UNSET and not cascade:
        return
    counters = store.counters(tenant_id)
    change, stamp = counters.next_change(clock)
    if changes.comment is not UNSET:
        header = _commented(header, changes.comment, actor, stamp)
    detail = _differences(live.header, header)
    if cascade:
        store.supersede_alerts(tenant_id, [alert for alert, _, _ in cascade], change)
        store.write_alerts(tenant_id, [_changed(each, change, stamp) for each in cascade])
        detail["alerts"] = [alert.alert_number for alert, _, _ in cascade]
    if learnt := _write_incident(store, counters, live, header, (change, stamp)):
        detail["benignFindings"] = learnt
    store.write_log(tenant_id, [LogEntry(change, stamp, incident_id, actor, "updated", _text(detail))])
    store.save_counters(counters)


def update_alert(
    store: WriteStore,
    tenant_id: int,
    alert_number: int,
    changes: AlertChanges,
    *,
    actor: str,
    clock: int,
    not_before: int,
) -> None:
    """Change one alert, and with it its incident's `lastUpdateTime`, in the open transaction.

    Resolving the last open alert of an incident resolves the incident (observed: section 6.2). Raises NotFound,
    InvalidChange.
    """
    alert = store.get_alert(tenant_id, alert_number)
    live = changeable(store, tenant_id, alert.incident_id, not_before)
    _check(changes)
    before, rest = decode_alert(alert.document), decode_rest(alert.rest)
    after = _alert_with_changes(before, changes)
    if after == before and changes.comment is UNSET:
        return
    counters = store.counters(tenant_id)
    change, stamp = counters.next_change(clock)
    detail = _differences(before, after)
    if changes.comment is not UNSET:
        rest = msgspec.structs.replace(rest, comments=appended(rest.comments, changes.comment, actor, stamp))
        detail["comment"] = len(changes.comment)
    written = _changed((alert, before, after), change, stamp)
    store.supersede_alerts(tenant_id, [alert], change)
    store.write_alerts(tenant_id, [msgspec.structs.replace(written, rest=encode_rest(rest))])
    header = live.header
    if changes.status is AlertStatus.RESOLVED and _all_resolved(store, tenant_id, alert.incident_id):
        header = msgspec.structs.replace(header, status=IncidentStatus.RESOLVED)
    detail = {"alert": alert_number, **detail, **_differences(live.header, header, "incident.")}
    _write_incident(store, counters, live, header, (change, stamp))
    store.write_log(tenant_id, [LogEntry(change, stamp, alert.incident_id, actor, "alert-updated", _text(detail))])
    store.save_counters(counters)


def changeable(store: WriteStore, tenant_id: int, incident_id: int, not_before: int) -> LiveIncident:
    """The current version of an incident that may be changed. Raises NotFound, and Redirected for a husk."""
    live = store.live(tenant_id, incident_id) if 0 < incident_id < 2**63 else None
    if live is None or stamp_of(live.header.last_update_time) < not_before:
        raise NotFound(f"Incident {incident_id} was not found")
    if live.facts.redirect_to:
        target = survivor(store, tenant_id, live)
        raise Redirected(
            f"Incident {incident_id} was merged into incident {target} and cannot be changed; "
            f"change incident {target} instead",
            target,
        )
    return live


def survivor(store: WriteStore, tenant_id: int, husk: LiveIncident) -> int:
    """Where the alerts of a husk are now: its target may have been merged since. Targets are older, so it ends."""
    target, found = husk.facts.redirect_to, store.live(tenant_id, husk.facts.redirect_to)
    while found is not None and found.facts.redirect_to:
        target = found.facts.redirect_to
        found = store.live(tenant_id, target)
    return target


def _check(changes: IncidentChanges | AlertChanges) -> None:
    """Raise InvalidChange for a value that no incident may have."""
    if isinstance(changes, IncidentChanges):
        if changes.status is IncidentStatus.REDIRECTED:
            raise InvalidChange("status: 'Redirected' is set by merging alone and cannot be set by hand")
        if changes.tags is not UNSET:
            _check_tags(changes.tags)
    if isinstance(changes.assigned_to, str):
        check_text("assignedTo", changes.assigned_to, OWNER_CHARACTERS_MAX)
    if changes.comment is not UNSET:
        check_text("comment", changes.comment, COMMENT_CHARACTERS_MAX)


def _check_tags(tags: Sequence[str]) -> None:
    if len(tags) > TAGS_MAX:
        raise InvalidChange(f"tags: {len(tags)} are more than the {TAGS_MAX} an incident may have")
    for tag in tags:
        check_text("tags", tag, TAG_CHARACTERS_MAX)


def check_text(name: str, text: str, characters_max: int) -> None:
    """Raise InvalidChange for a text that cannot be stored as this property."""
    if not text.strip():
        raise InvalidChange(f"{name}: a text without any visible character says nothing")
    if len(text) > characters_max:
        raise InvalidChange(f"{name}: {len(text)} characters are more than the {characters_max} it may have")
    if "\0" in text:
        raise InvalidChange(f"{name}: the character U+0000 cannot be stored")


def _with_changes(header: IncidentHeader, changes: IncidentChanges) -> IncidentHeader:
    """The header with all but the comment and the stamp."""
    tags = changes.tags
    return msgspec.structs.replace(
        header,
        status=_given(changes.status, header.status),
        assigned_to=_given(changes.assigned_to, header.assigned_to),
        classification=_given(changes.classification, header.classification),
        determination=_given(changes.determination, header.determination),
        tags=header.tags if tags is UNSET else tuple(dict.fromkeys(tags)),
    )


def _alert_with_changes(document: AlertDocument, changes: AlertChanges) -> AlertDocument:
    return msgspec.structs.replace(
        document,
        status=_given(changes.status, document.status),
        assigned_to=_given(changes.assigned_to, document.assigned_to),
        classification=_given(changes.classification, document.classification),
        determination=_given(changes.determination, document.determination),
    )


def _given(value: Any, otherwise: Any) -> Any:
    return otherwise if value is UNSET else value


_AlertChange: TypeAlias = tuple[NewAlert, AlertDocument, AlertDocument]
"""An alert as its current version, what that says, and what it shall say, still with the old times."""


def _cascade(store: WriteStore, tenant_id: int, incident_id: int, changes: IncidentChanges) -> list[_AlertChange]:
    """The alerts that change with their incident; the others keep their versions and their times."""
    resolving = changes.status is IncidentStatus.RESOLVED
    owner = changes.assigned_to if isinstance(changes.assigned_to, str) else UNSET
    if not resolving and owner is UNSET:
        return []
    asked = AlertChanges(status=AlertStatus.RESOLVED if resolving else UNSET, assigned_to=owner)
    found = []
    for alert in store.find_alerts(tenant_id, incident_id):
        before = decode_alert(alert.document)
        after = _alert_with_changes(before, asked)
        if after != before:
            found.append((alert, before, after))
    return found


def _changed(alert_change: _AlertChange, change: int, stamp: int) -> NewAlert:
    alert, before, after = alert_change
    document = encode_alert_document(_stamped(before, after, stamp))
    return msgspec.structs.replace(alert, change=change, document=document)


def _stamped(before: AlertDocument, after: AlertDocument, stamp: int) -> AlertDocument:
    """`after`, changed at `stamp`: an alert that is opened again was not resolved."""
    at = format_ticks(stamp)
    resolved = before.resolved_time
    if after.status is not before.status:
        resolved = at if after.status is AlertStatus.RESOLVED else None
    return msgspec.structs.replace(after, last_updated_time=at, resolved_time=resolved)


def _all_resolved(store: WriteStore, tenant_id: int, incident_id: int) -> bool:
    return all(
        decode_alert(alert.document).status is AlertStatus.RESOLVED
        for alert in store.find_alerts(tenant_id, incident_id)
    )


def _write_incident(
    store: WriteStore, counters: Counters, live: LiveIncident, header: IncidentHeader, at: tuple[int, int]
) -> int:
    """Write the new version; what people set stands in the facts too, because the guards of correlation read it.

    Gives how many findings a closing as benign makes less urgent elsewhere.
    """
    change, stamp = at
    header = msgspec.structs.replace(header, last_update_time=format_ticks(stamp))
    facts: IncidentFacts = msgspec.structs.replace(
        live.facts,
        status=header.status,
        assigned_to=header.assigned_to,
        classification=header.classification,
        determination=header.determination,
    )
    version = LiveIncident(live.incident_id, change, live.created, header, facts)
    store.write_versions(counters.tenant_id, [(version, live.change, stamp)])
    return learn(store.connection, counters.tenant_id, [facts])


def _commented(header: IncidentHeader, text: str, actor: str, stamp: int) -> IncidentHeader:
    return msgspec.structs.replace(header, comments=appended(header.comments, text, actor, stamp))


def appended(comments: tuple[CommentDocument, ...], text: str, actor: str, stamp: int) -> tuple[CommentDocument, ...]:
    """These comments and one more. Raises InvalidChange where they are too long together."""
    written = sum(len(each.comment) for each in comments)
    if written + len(text) > COMMENTS_CHARACTERS_MAX:
        raise InvalidChange(
            f"comment: the comments together would have more than {COMMENTS_CHARACTERS_MAX} characters "
            f"({written} are there)"
        )
    return (*comments, CommentDocument(comment=text, created_by=actor, created_time=format_ticks(stamp)))


_LOGGED: Final = ("status", "assigned_to", "classification", "determination", "tags")


def _differences(
    before: IncidentHeader | AlertDocument, after: IncidentHeader | AlertDocument, prefix: str = ""
) -> dict[str, object]:
    """What the change log says: property -> from and to. Of a comment, its length; the text stands in the incident."""
    detail: dict[str, object] = {}
    for name in _LOGGED:
        one, other = getattr(before, name, None), getattr(after, name, None)
        if one != other:
            first, *more = name.split("_")
            detail[prefix + first + "".join(word.capitalize() for word in more)] = {"from": one, "to": other}
    if isinstance(before, IncidentHeader) and isinstance(after, IncidentHeader):
        for added in after.comments[len(before.comments) :]:
            detail["comment"] = len(added.comment)
    return detail


def _text(detail: dict[str, object]) -> str:
    return _detail_encoder.encode(detail).decode()
