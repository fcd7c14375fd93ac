"""What happened to the grouping of a tenant so far, read back in its order: alerts, and the lines of the change log.

Reads only, up to the change that was the last when it began, so that what comes meanwhile changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import apsw
import msgspec

from tocsin.correlation.evidence import evidence_keys
from tocsin.correlation.refolding import Held
from tocsin.correlation.tuned import Tuned
from tocsin.ingest import ACTOR
from tocsin.model import Alert, Classification, Determination, IncidentStatus
from tocsin.recall import recalled
from tocsin.stores.sqlite.writing import NewAlert

PAGE: Final = 1_000


class StoredAlert(msgspec.Struct, frozen=True):
    """An alert as it came, and the incident that holds it today."""

    number: int
    incident_id: int
    alert: Alert


class LogLine(msgspec.Struct, frozen=True):
    """One line of the change log. `at` in ticks."""

    change: int
    at: int
    incident_id: int
    actor: str
    action: str
    detail: dict[str, Any]

    def numbers(self, name: str) -> list[int]:
        """A list of numbers in the detail; empty where there is none."""
        found = self.detail.get(name, ())
        return [each for each in found if isinstance(each, int)] if isinstance(found, list) else []


class Decisions(msgspec.Struct, frozen=True):
    """What people decided about an incident, as far as correlation heeds it."""

    status: IncidentStatus = IncidentStatus.ACTIVE
    assigned_to: str | None = None
    classification: Classification | None = None
    determination: Determination | None = None


UNDECIDED: Final = Decisions()
_DECIDED: Final = {
    "status": ("status", IncidentStatus),
    "incident.status": ("status", IncidentStatus),
    "assignedTo": ("assigned_to", str),
    "incident.assignedTo": ("assigned_to", str),
    "classification": ("classification", Classification),
    "determination": ("determination", Determination),
}


class Batch(msgspec.Struct, frozen=True):
    """What the machine did in one go (`lines`), and what people did after it. `last_alert` is 0 where none came."""

    at: int
    lines: tuple[LogLine, ...]
    by_people: tuple[LogLine, ...]

    @property
    def last_alert(self) -> int:
        """The greatest alert number that came with it."""
        return max([number for line in self.lines for number in line.numbers("alerts")], default=0)


class History:
    """One tenant's past, over a connection for reading."""

    def __init__(self, connection: apsw.Connection, tenant_id: int) -> None:
        self._connection, self._tenant_id = connection, tenant_id
        self._guid, self.last_change, self.last_alert = self._row(
            "SELECT guid, last_change, last_alert FROM tenant WHERE tenant_id = ?"
        )

    def first_alert_since(self, at: int) -> int:
        """The number of the first alert that came at these ticks or later; one more than the last where none did."""
        (since,) = self._row("SELECT min(change) FROM change_log WHERE tenant_id = ? AND at >= ?", at)
        for batch in self._batches(int(since or self.last_change + 1)):
            numbers = [number for line in batch.lines for number in line.numbers("alerts")]
            if numbers:
                return min(numbers)
        return int(self.last_alert) + 1

    def count_alerts(self, first: int) -> int:
        """How many alerts there are from this number on."""
        statement = (
            "SELECT count(*) FROM alert WHERE tenant_id = ? AND alert_number >= ? AND alert_number <= ? "
            "AND superseded_by IS NULL"
        )
        return int(self._row(statement, first, self.last_alert)[0])

    def alerts(self, first: int) -> Iterator[StoredAlert]:
        """The alerts from this number on, in the order in which they came."""
        while True:
            rows: list[Any] = self._connection.execute(
                _ALERTS + "AND alert_number >= ? AND alert_number <= ? ORDER BY alert_number LIMIT ?",
                (self._tenant_id, first, self.last_alert, PAGE),
            ).fetchall()
            for row in rows:
                yield self._alert(NewAlert(*row))
            if len(rows) < PAGE:
                return
            first = rows[-1][0] + 1

    def joins(self, first: int, last: int) -> dict[int, list[tuple[int, int]]]:
        """How the alerts of these numbers joined: (0, incident joined), then (incident merged, into which); absent: it
        opened one or was suppressed."""
        found: dict[int, list[tuple[int, int]]] = {}
        rows: list[Any] = self._connection.execute(
            "SELECT alert_number, merged_incident, incident_id FROM link "
            "WHERE tenant_id = ? AND alert_number BETWEEN ? AND ? ORDER BY alert_number, merged_incident",
            (self._tenant_id, first, last),
        ).fetchall()
        for number, source, target in rows:
            found.setdefault(number, []).append((source, target))
        return found

    def held(self, numbers: Sequence[int], tuned: Tuned | None) -> list[Held]:
        """These alerts with their evidence, as this tuning weighs it."""
        found = []
        for number in numbers:
            for row in self._connection.execute(_ALERTS + "AND alert_number = ?", (self._tenant_id, number)):
                alert = self._alert(NewAlert(*row)).alert
                evidence = evidence_keys(alert)
                found.append(Held(number, alert, evidence if tuned is None else tuned.evidence(alert, evidence)))
        return found

    def batches(self, first: int) -> Iterator[Batch]:
        """The log from where the alert of this number came, in its order."""
        if first > self.last_alert:
            return
        for batch in self._batches(0):
            if batch.last_alert >= first or (batch.last_alert == 0 and batch.by_people):
                yield batch

    def _batches(self, since: int) -> Iterator[Batch]:
        lines: list[LogLine] = []
        by_people: list[LogLine] = []
        for line in self._lines(since):
            machine = line.actor == ACTOR
            if machine and (by_people or (lines and _begins_anew(lines[-1], line))):
                yield Batch((lines or by_people)[0].at, tuple(lines), tuple(by_people))
                lines, by_people = [], []
            (lines if machine else by_people).append(line)
        if lines or by_people:
            yield Batch((lines or by_people)[0].at, tuple(lines), tuple(by_people))

    def _lines(self, since: int) -> Iterator[LogLine]:
        while True:
            rows: list[Any] = self._connection.execute(
                "SELECT change, at, incident_id, actor, action, detail FROM change_log "
                "WHERE tenant_id = ? AND change >= ? AND change <= ? ORDER BY change LIMIT ?",
                (self._tenant_id, since, self.last_change, PAGE),
            ).fetchall()
            for change, at, incident_id, actor, action, detail in rows:
                told = msgspec.json.decode(detail) if detail else {}
                yield LogLine(change, at, incident_id, actor, action, told if isinstance(told, dict) else {})
            if len(rows) < PAGE:
                return
            since = rows[-1][0] + 1

    def _alert(self, row: NewAlert) -> StoredAlert:
        return StoredAlert(row.alert_number, row.incident_id, recalled(row, self._guid))

    def _row(self, statement: str, *values: int) -> Any:
        return self._connection.execute(statement, (self._tenant_id, *values)).fetchone()


def decided(before: Decisions, line: LogLine) -> Decisions:
    """The decisions after a line of the log that tells of an update."""
    changed: dict[str, Any] = {}
    for name, (field, kind) in _DECIDED.items():
        told = line.detail.get(name)
        if isinstance(told, dict) and (line.action == "updated" or name.startswith("incident.")):
            changed[field] = None if told["to"] is None else kind(told["to"])
    return msgspec.structs.replace(before, **changed)


def agreed(target: Decisions, source: Decisions) -> Decisions:
    """The target's decisions, and the source's where it has none (as in a merge)."""
    in_progress = target.status == IncidentStatus.ACTIVE and source.status == IncidentStatus.IN_PROGRESS
    return Decisions(
        source.status if in_progress else target.status,
        target.assigned_to or source.assigned_to,
        source.classification if target.classification in (None, Classification.UNKNOWN) else target.classification,
        source.determination if target.determination in (None, Determination.NOT_AVAILABLE) else target.determination,
    )


def taken_back(now: Decisions, source: Decisions, before: Decisions) -> Decisions:
    """The decisions without what a merge brought."""
    brought: dict[str, Any] = {
        name: getattr(before, name)
        for name in Decisions.__struct_fields__
        if getattr(now, name) == getattr(source, name)
    }
    return msgspec.structs.replace(now, **brought)


def _begins_anew(before: LogLine, line: LogLine) -> bool:
    """One commit numbers its incidents in rising order, a tick apart."""
    return line.incident_id <= before.incident_id or line.at != before.at + 1


_ALERTS: Final = """
SELECT alert_number, change, incident_id, sender, identity, document, rest
FROM alert CROSS JOIN alert_document USING (document_id)
WHERE alert.tenant_id = ? AND superseded_by IS NULL """
