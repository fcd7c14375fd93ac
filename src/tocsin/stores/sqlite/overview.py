"""Reads for people who look: what a queue row needs without its alerts, and how many incidents there are of what.

Every read takes a Scope, as in `reading.py`, whose rows these reads belong to.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import apsw
import msgspec

from tocsin.access import Scope
from tocsin.correlation.memory import IncidentFacts
from tocsin.documents import IncidentHeader, decode_header
from tocsin.model import IncidentStatus, Severity
from tocsin.stores.codes import decode_enum
from tocsin.stores.sqlite.exposed import ExposedStore
from tocsin.stores.sqlite.rows import IncidentRow
from tocsin.stores.sqlite.sight import MANY, Sight, numbers, sight_of
from tocsin.ticks import DAY

COUNTED_MAX: Final = 200_000
"""Incidents looked at for a tally, newest change first: a look at the queue has a bounded price."""
SCANNED_MAX: Final = 20_000
"""The same where each must be asked whether it is visible."""

_facts_decoder = msgspec.msgpack.Decoder(IncidentFacts)


class Card(msgspec.Struct, frozen=True):
    """An incident as a list shows it."""

    row: IncidentRow
    header: IncidentHeader
    facts: IncidentFacts


class Tally(msgspec.Struct, frozen=True):
    """How much there is, merged incidents left out. `opened` counts by (UTC day since 1970, severity).

    `whole` is False where there are as many incidents as may be counted, so that older ones may be missing.
    """

    open_by_severity: dict[Severity, int]
    opened: dict[tuple[int, Severity], int]
    incidents: int
    alerts: int
    whole: bool


_Group = tuple[int, int, int, int, int]
"""Status code, severity code, UTC day or -1, incidents, alerts."""


class Overview:
    """Over the connection of a ReadStore, so that both can read one moment. One thread at a time."""

    def __init__(self, connection: apsw.Connection, counted_max: int = COUNTED_MAX) -> None:
        self._connection, self._counted_max = connection, counted_max

    def cards(self, rows: Sequence[IncidentRow]) -> list[Card]:
        """Header and facts of rows that the caller was given, in their order; as far as the caller sees them."""
        ids = msgspec.json.encode([row.document_id for row in rows]).decode()
        exposed = ExposedStore(self._connection)
        found = {
            document_id: (header, facts)
            for document_id, header, facts in self._connection.execute(
                "SELECT document_id, header, facts FROM json_each(?) CROSS JOIN incident_document "
                "ON document_id = json_each.value",
                (ids,),
            )
        }
        return [
            Card(row, decode_header(found[row.document_id][0]), _facts_decoder.decode(found[row.document_id][1]))
            if row.shown is None
            else Card(row, *exposed.told(row, row.shown))
            for row in rows
        ]

    def tally(self, scope: Scope, *, not_before: int, opened_since: int) -> Tally:
        """Count what is visible. `opened` starts at `opened_since` (ticks); `not_before` is the retention cut-off."""
        open_by_severity: dict[Severity, int] = {}
        opened: dict[tuple[int, Severity], int] = {}
        incidents = alerts = seen = 0
        groups: list[_Group] = []
        whole = True
        if not scope.is_empty:
            sight = sight_of(self._connection, scope)
            if sight is None:
                groups = self._groups(scope, not_before, opened_since)
            else:
                groups, whole = self._groups_seen(sight, not_before, opened_since)
        for status_code, severity_code, day, count, alert_count in groups:
            status, severity = decode_enum(IncidentStatus, status_code), decode_enum(Severity, severity_code)
            seen += count
            if status is IncidentStatus.REDIRECTED:
                continue
            incidents += count
            alerts += alert_count
            if status is not IncidentStatus.RESOLVED:
                open_by_severity[severity] = open_by_severity.get(severity, 0) + count
            if day >= 0:
                opened[day, severity] = opened.get((day, severity), 0) + count
        return Tally(open_by_severity, opened, incidents, alerts, whole and seen < self._counted_max)

    def _groups(self, scope: Scope, not_before: int, since: int) -> list[_Group]:
        # The plus keeps last_update from choosing the index: rows are taken from the newest change downwards.
        rows = self._connection.execute(
            "SELECT status, severity, day, count(*), sum(alert_count) FROM ("
            "SELECT status, severity, iif(created >= ?1, created / ?2, -1) AS day, alert_count FROM incident "
            "WHERE tenant_id = ?3 AND +last_update >= ?4 ORDER BY change DESC LIMIT ?5) GROUP BY 1, 2, 3",
            (since, DAY, scope.tenant_id, not_before, self._counted_max),
        )
        return [(int(a), int(b), int(c), int(d), int(e)) for a, b, c, d, e in rows]

    def _groups_seen(self, sight: Sight, not_before: int, since: int) -> tuple[list[_Group], bool]:
        """The same as a sight shows it, and whether none was left out: gathered where that is not too much."""
        alerts = sight.gathered_alerts(self._connection, MANY)
        within = "incident AS listed WHERE tenant_id = ?3 AND ?6 IS NULL"
        ids = None
        if alerts is not None:
            ids = numbers(tuple(sight.incidents_with(self._connection, alerts, None)[0]))  # husks are not counted
            within = "incident AS listed INDEXED BY incident_by_id WHERE tenant_id = ?3 AND incident_id IN carray(?6)"
        limit = self._counted_max if alerts is not None else min(SCANNED_MAX, self._counted_max)
        rows: list[Any] = self._connection.execute(
            f"SELECT status, {sight.severity_of('listed')}, iif(created >= ?1, created / ?2, -1), "  # noqa: S608
            f"{sight.alert_count_of('listed')}, {sight.of_incident('listed')} FROM (SELECT * FROM {within} "
            "AND +last_update >= ?4 ORDER BY change DESC LIMIT ?5) AS listed",
            (since, DAY, sight.tenant_id, not_before, limit, ids),
        ).fetchall()
        return [(int(a), int(b), int(c), 1, int(d)) for a, b, c, d, seen in rows if seen], len(rows) < limit
