"""Reading incidents: lists, single ones, their documents, why they are as they are. Every read takes a Scope.

Lists are newest first; `change` orders exactly like `last_update`, so the order is total. A list can be read as of
an earlier change number (`design/feed.md`). One connection, one thread; knows no dialect and writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import apsw
import msgspec

from tocsin.access import Scope
from tocsin.correlation.engine import Link, LinkEvidence, Merge
from tocsin.errors import NotFound
from tocsin.model import Classification, Determination, IncidentStatus, Severity
from tocsin.odata.expression import Expression, Field
from tocsin.odata.options import Order
from tocsin.stores.codes import decode_enum
from tocsin.stores.filters import Bounds, bounds, where

PROBE_MAX: Final = 5_000
_COLUMNS: Final = (
    "incident_id, change, last_update, created, status, severity, classification, determination, assigned_to, "
    "alert_count, document_id"
)
_evidence_decoder = msgspec.msgpack.Decoder(tuple[LinkEvidence, ...])


class IncidentRow(msgspec.Struct, frozen=True):
    """One version of an incident, without its documents. Times are ticks."""

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


class LogRow(msgspec.Struct, frozen=True):
    """One entry of an incident's change log. `detail` is JSON text."""

    change: int
    at: int
    actor: str
    action: str
    detail: str


class RefusedInput(msgspec.Struct, frozen=True):
    """Input that could not be read, as it came."""

    refused_id: int
    received: int
    sender: str
    line: int
    reason: str
    body: bytes


class ReadStore:
    """The reader's half of the store."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Several reads of one moment: what commits meanwhile is not seen."""
        self._connection.execute("BEGIN")
        try:
            yield
        finally:
            self._connection.execute("COMMIT")

    def last_change(self, scope: Scope) -> int:
        """The newest change number of the tenant: a walk that begins now is pinned to it."""
        found = self._connection.execute(
            "SELECT last_change FROM tenant WHERE tenant_id = ?", (scope.tenant_id,)
        ).fetchone()
        return 0 if found is None else int(found[0])

    def find_incidents(
        self,
        scope: Scope,
        *,
        expression: Expression | None = None,
        order_by: Order | None = None,
        top: int,
        skip: int = 0,
        not_before: int = 0,
        as_of: int | None = None,
    ) -> list[IncidentRow]:
        """A page of what is visible and matches, newest change first where `order_by` does not say otherwise.

        `not_before` is the retention cut-off in ticks: what changed last before it is not there. `as_of` reads the
        state of an earlier change number. An empty scope gives an empty list.
        """
        if not scope.whole_tenant or top == 0:
            return []
        sql, parameters = ("1", []) if expression is None else where(expression)
        limits = Bounds() if expression is None else bounds(expression)
        oldest = max(not_before, limits.last_update.lower or 0)
        newest = limits.last_update.upper
        terms = ["tenant_id = ?", "last_update >= ?"]
        values: list[Any] = [scope.tenant_id, oldest]
        if newest is not None:
            terms.append("last_update <= ?")
            values.append(newest)
        source = "incident"
        narrow = self._narrow_by_id(scope, limits.created.lower, limits.incident_id.lower)
        if narrow is not None:
            source = "incident INDEXED BY incident_by_id"
            terms.append("incident_id >= ?")
            values.append(narrow)
        else:
            # Ordered by change, bounded by change: the primary key serves both, whatever the planner believes.
            terms.append("change >= ?")
            values.append(self._first_change_since(scope, oldest))
        terms.append(f"({sql})")
        values.extend(parameters)
        condition = " AND ".join(terms)
        if as_of is None:
            statement = f"SELECT {_COLUMNS} FROM {source} WHERE {condition}"  # noqa: S608  terms are ours, values bound
        else:
            statement = (
                f"SELECT {_COLUMNS} FROM {source} WHERE {condition} AND change <= ? "  # noqa: S608
                f"UNION ALL SELECT {_COLUMNS} FROM incident_superseded "
                f"WHERE superseded_by > ? AND change <= ? AND tenant_id = ? AND last_update >= ? AND ({sql})"
            )
            values.extend((as_of, as_of, as_of, scope.tenant_id, oldest, *parameters))
        rows = self._connection.execute(
            f"{statement} ORDER BY {_order(order_by)} LIMIT ? OFFSET ?", (*values, top, skip)
        )
        return [_incident_row(row) for row in rows]

    def get_incident(self, scope: Scope, incident_id: int, *, not_before: int = 0) -> IncidentRow:
        """The current version of one incident. Raises NotFound when absent, past retention or not visible."""
        row = None
        if scope.whole_tenant and 0 < incident_id < 2**63:
            row = self._connection.execute(
                f"SELECT {_COLUMNS} FROM incident WHERE tenant_id = ? AND incident_id = ? AND last_update >= ?",  # noqa: S608
                (scope.tenant_id, incident_id, not_before),
            ).fetchone()
        if row is None:
            raise NotFound(f"Incident {incident_id} was not found")
        return _incident_row(row)

    def header(self, row: IncidentRow) -> bytes:
        """The stored header (`documents.IncidentHeader`) of a version that the caller was given."""
        return self._document("SELECT header FROM incident_document WHERE document_id = ?", (row.document_id,))

    def alerts(self, scope: Scope, row: IncidentRow) -> list[bytes]:
        """The alert documents of that version, in the order in which the alerts came."""
        if not scope.whole_tenant:
            return []
        return [
            document
            for (document,) in self._connection.execute(
                "SELECT document FROM alert CROSS JOIN alert_document USING (document_id) "
                "WHERE alert.tenant_id = ?1 AND incident_id = ?2 AND change <= ?3 "
                "AND (superseded_by IS NULL OR superseded_by > ?3) ORDER BY alert_number",
                (scope.tenant_id, row.incident_id, row.change),
            )
        ]

    def find_links(self, scope: Scope, row: IncidentRow) -> dict[int, list[Link | Merge]]:
        """Why the alerts of this incident are together: alert number -> its join and the merges it brought."""
        found: dict[int, list[Link | Merge]] = {}
        if not scope.whole_tenant:
            return found
        rows = self._connection.execute(
            "SELECT link.alert_number, merged_incident, link.incident_id, earlier_alert, score, evidence FROM alert "
            "CROSS JOIN link USING (tenant_id, alert_number) "
            "WHERE alert.tenant_id = ? AND alert.incident_id = ? AND superseded_by IS NULL ORDER BY 1, 2",
            (scope.tenant_id, row.incident_id),
        )
        for number, merged, incident_id, earlier, score, raw in rows:
            evidence = _evidence_decoder.decode(raw)
            edge: Link | Merge = (
                Merge(merged, incident_id, score, evidence, earlier)
                if merged
                else Link(incident_id, earlier, score, evidence)
            )
            found.setdefault(number, []).append(edge)
        return found

    def find_log(self, scope: Scope, row: IncidentRow) -> list[LogRow]:
        """All that happened to an incident, oldest first."""
        if not scope.whole_tenant:
            return []
        rows = self._connection.execute(
            "SELECT change, at, actor, action, detail FROM change_log "
            "WHERE tenant_id = ? AND incident_id = ? ORDER BY change",
            (scope.tenant_id, row.incident_id),
        )
        return [LogRow(*each) for each in rows]

    def find_refused(
        self, scope: Scope, *, top: int, above: int = 0, ids: Sequence[int] | None = None
    ) -> list[RefusedInput]:
        """Refused inputs, oldest first, with an id greater than `above`; or those of `ids` alone."""
        if not scope.whole_tenant:
            return []
        among = "" if ids is None else " AND refused_id IN (SELECT value FROM json_each(?4))"
        rows = self._connection.execute(
            "SELECT refused_id, received, sender, line, reason, body FROM refused "  # noqa: S608  a constant clause
            f"WHERE tenant_id = ?1 AND refused_id > ?2{among} ORDER BY refused_id LIMIT ?3",
            (scope.tenant_id, above, top) if ids is None else (scope.tenant_id, above, top, msgspec.json.encode(ids)),
        )
        return [RefusedInput(*each) for each in rows]

    def count_incidents(self, scope: Scope, *, not_before: int = 0) -> int:
        """How many incidents are visible, husks included."""
        if not scope.whole_tenant:
            return 0
        row = self._connection.execute(
            "SELECT count(*) FROM incident WHERE tenant_id = ? AND last_update >= ?", (scope.tenant_id, not_before)
        ).fetchone()
        assert row is not None
        return int(row[0])

    def _document(self, statement: str, values: tuple[int, ...]) -> bytes:
        row = self._connection.execute(statement, values).fetchone()
        assert row is not None, "a version always has its document"
        return bytes(row[0])

    def _first_change_since(self, scope: Scope, ticks: int) -> int:
        row = self._connection.execute(
            "SELECT change FROM incident WHERE tenant_id = ? AND last_update >= ? ORDER BY last_update LIMIT 1",
            (scope.tenant_id, ticks),
        ).fetchone()
        return 2**62 if row is None else int(row[0])

    def _narrow_by_id(self, scope: Scope, created_least: int | None, id_least: int | None) -> int | None:
        """The least incident id that can match, where at most PROBE_MAX incidents have it or a greater one."""
        least = max(id_least or 0, 0 if created_least is None else self._first_id_since(scope, created_least))
        if least == 0:
            return None
        row = self._connection.execute(
            "SELECT count(*) FROM (SELECT 1 FROM incident WHERE tenant_id = ? AND incident_id >= ? LIMIT ?)",
            (scope.tenant_id, least, PROBE_MAX + 1),
        ).fetchone()
        assert row is not None
        return least if row[0] <= PROBE_MAX else None

    def _first_id_since(self, scope: Scope, created: int) -> int:
        """The least id of an incident created at or after `created`: ids rise with creation, so halving finds it."""
        row = self._connection.execute(
            "SELECT max(incident_id) FROM incident WHERE tenant_id = ?", (scope.tenant_id,)
        ).fetchone()
        low, high = 1, int(row[0] or 0) + 1 if row is not None else 1
        while low < high:
            middle = (low + high) // 2
            probe = self._connection.execute(
                "SELECT incident_id, created FROM incident WHERE tenant_id = ? AND incident_id >= ? "
                "ORDER BY incident_id LIMIT 1",
                (scope.tenant_id, middle),
            ).fetchone()
            if probe is None or probe[1] >= created:
                high = middle
            else:
                low = probe[0] + 1
        return low


def _order(order_by: Order | None) -> str:
    """Both orders are total: change is unique, and ids rise with creation."""
    if order_by is None:
        return "change DESC"
    column = {Field.LAST_UPDATE: "change", Field.CREATED: "incident_id"}[order_by.field]
    return f"{column} {'DESC' if order_by.descending else 'ASC'}"


def _incident_row(row: Sequence[Any]) -> IncidentRow:
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
