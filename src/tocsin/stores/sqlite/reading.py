"""Reading incidents: lists, single ones, their documents, why they are as they are. Every read takes a Scope.

Lists are newest first; `change` orders exactly like `last_update`, so the order is total. A list can be read as of
an earlier change number (`design/feed.md`). One connection, one thread; knows no dialect and writes nothing.
"""

from __future__ import annotations

import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import apsw
import msgspec

from tocsin.access import Scope
from tocsin.correlation.engine import Link, LinkEvidence, Merge
from tocsin.correlation.memory import IncidentFacts
from tocsin.errors import NotFound
from tocsin.model import Classification, Determination, IncidentStatus, Severity
from tocsin.odata.expression import Expression
from tocsin.odata.options import Order
from tocsin.stores.codes import decode_enum
from tocsin.stores.filters import where
from tocsin.stores.sqlite.blocks import BLOCK_BITS, skip_blocks
from tocsin.stores.sqlite.listing import COLUMNS, Selection, count_statement, page_statement

PROBE_MAX: Final = 5_000
_evidence_decoder = msgspec.msgpack.Decoder(tuple[LinkEvidence, ...])
_facts_decoder = msgspec.msgpack.Decoder(IncidentFacts)


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

    def newest_stamp(self) -> int:
        """The greatest stamp that any tenant was given, in ticks; 0 in an empty store. Tells of nobody's data."""
        row = self._connection.execute("SELECT coalesce(max(last_stamp), 0) FROM tenant").fetchone()
        assert row is not None
        return int(row[0])

    def last_change(self, scope: Scope) -> int:
        """The newest change number of the tenant: a walk that begins now is pinned to it."""
        return self._of_tenant("SELECT last_change FROM tenant WHERE tenant_id = ?", scope)

    def oldest_state(self, scope: Scope) -> int:
        """The least change number whose state can still be read as it was: the purge has passed those before."""
        return self._of_tenant("SELECT states_since FROM tenant WHERE tenant_id = ?", scope)

    def oldest_removal(self, scope: Scope) -> int:
        """The least change number since which all removals are still known."""
        return self._of_tenant("SELECT removals_since FROM tenant WHERE tenant_id = ?", scope)

    def _of_tenant(self, statement: str, scope: Scope) -> int:
        found = self._connection.execute(statement, (scope.tenant_id,)).fetchone()
        return 0 if found is None else int(found[0])

    def find_incidents(
        self,
        scope: Scope,
        *,
        expression: Expression | None = None,
        order_by: Order | None = None,
        top: int,
        skip: int = 0,
        after: int | None = None,
        not_before: int = 0,
        as_of: int | None = None,
    ) -> list[IncidentRow]:
        """A page of what is visible and matches, newest change first where `order_by` does not say otherwise.

        `not_before` is the retention cut-off in ticks: what changed last before it is not there. `as_of` reads the
        state of an earlier change number. `after` begins behind the row with this change (or this incident id,
        where the order is that of creation); `skip` counts from there. An empty scope gives an empty list.
        """
        if not scope.whole_tenant or top == 0:
            return []
        if skip and skip >= self._of_tenant("SELECT last_incident FROM tenant WHERE tenant_id = ?", scope):
            return []  # past the end at no cost: there are no more incidents than ids
        selection = self._bounded(
            scope,
            Selection(
                tenant_id=scope.tenant_id,
                expression=expression,
                not_before=not_before,
                order_by=order_by,
                after=after,
                as_of=as_of,
                last_change=self.last_change(scope),
            ),
        )
        if skip >> BLOCK_BITS and selection.is_plain:
            begin, skip = skip_blocks(self._connection, scope.tenant_id, skip, selection.change_least)
            selection = msgspec.structs.replace(selection, change_most=begin)
        return [_incident_row(row) for row in self._connection.execute(*page_statement(selection, top, skip))]

    def _bounded(self, scope: Scope, selection: Selection) -> Selection:
        """The same selection with what the indexes know of where its current versions begin and end."""
        limits = selection.limits
        narrow = self._narrow_by_id(scope, limits.created.lower, limits.incident_id.lower)
        newest = limits.last_update.upper
        return msgspec.structs.replace(
            selection,
            id_least=narrow or 0,
            change_least=self._first_change_since(scope, selection.oldest),
            change_most=None if newest is None else self._last_change_until(scope, newest),
        )

    def find_changes(
        self, scope: Scope, *, since: int, top: int, expression: Expression | None = None, not_before: int = 0
    ) -> list[Change]:
        """What changed after change number `since`, in the order of the changes: each incident once, as it is now.

        Of what does not match (any more) and of what retention removed, only that it is gone.
        """
        if not scope.whole_tenant or top == 0:
            return []
        sql, parameters = ("1", []) if expression is None else where(expression)
        rows = self._connection.execute(
            f"SELECT {COLUMNS}, ({sql}) FROM incident "  # noqa: S608  ours, values bound
            "WHERE tenant_id = ? AND change > ? AND last_update >= ? ORDER BY change LIMIT ?",
            (*parameters, scope.tenant_id, since, not_before, top),
        )
        found = [Change(row[1], row[0], _incident_row(row) if row[11] else None) for row in rows]
        removed = self._connection.execute(
            "SELECT change, incident_id FROM incident_removed "
            "WHERE tenant_id = ? AND change > ? ORDER BY change LIMIT ?",
            (scope.tenant_id, since, top),
        )
        found.extend([Change(change, incident_id, None) for change, incident_id in removed])
        return sorted(found, key=lambda each: each.change)[:top]

    def get_incident(self, scope: Scope, incident_id: int, *, not_before: int = 0) -> IncidentRow:
        """The current version of one incident. Raises NotFound when absent, past retention or not visible."""
        row = None
        if scope.whole_tenant and 0 < incident_id < 2**63:
            row = self._connection.execute(
                f"SELECT {COLUMNS} FROM incident WHERE tenant_id = ? AND incident_id = ? AND last_update >= ?",  # noqa: S608
                (scope.tenant_id, incident_id, not_before),
            ).fetchone()
        if row is None:
            raise NotFound(f"Incident {incident_id} was not found")
        return _incident_row(row)

    def header(self, row: IncidentRow) -> bytes:
        """The stored header (`documents.IncidentHeader`) of a version that the caller was given."""
        return self._document("SELECT header FROM incident_document WHERE document_id = ?", (row.document_id,))

    def facts(self, row: IncidentRow) -> IncidentFacts:
        """What the correlation knows of a version that the caller was given."""
        found = self._document("SELECT facts FROM incident_document WHERE document_id = ?", (row.document_id,))
        return _facts_decoder.decode(found)

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

    def documents(self, scope: Scope, rows: Sequence[IncidentRow]) -> list[tuple[bytes, list[bytes]]]:
        """Header and alert documents of many versions of one moment, with two statements for all of them.

        A version of an incident that was not the one of its moment would be given alerts of another version, so
        `rows` must come from one read.
        """
        if not scope.whole_tenant or not rows:
            return [(self.header(row), []) for row in rows]
        headers: dict[Any, Any] = {}
        for document_id, header in self._connection.execute(
            "SELECT document_id, header FROM carray(?) CROSS JOIN incident_document ON document_id = value",
            (apsw.carray(array.array("q", [row.document_id for row in rows])),),
        ):
            headers[document_id] = header
        alerts: dict[int, list[bytes]] = {row.incident_id: [] for row in rows}
        # Every change of an alert is a change of its incident, so the newest of these versions serves for all of them.
        found = self._connection.execute(
            "SELECT incident_id, document FROM carray(?1) CROSS JOIN alert INDEXED BY alert_by_incident "
            "CROSS JOIN alert_document USING (document_id) WHERE alert.tenant_id = ?2 AND incident_id = value "
            "AND change <= ?3 AND (superseded_by IS NULL OR superseded_by > ?3)",
            (
                apsw.carray(array.array("q", list(alerts))),
                scope.tenant_id,
                max(row.change for row in rows),
            ),
        )
        for incident_id, document in found:
            alerts[incident_id].append(document)
        return [(headers[row.document_id], alerts[row.incident_id]) for row in rows]

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
            "SELECT change, at, actor, action, detail FROM change_log INDEXED BY change_log_by_incident "
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

    def count_incidents(
        self, scope: Scope, *, expression: Expression | None = None, not_before: int = 0, as_of: int | None = None
    ) -> int:
        """How many incidents are visible and match, husks included; `as_of` as in `find_incidents`."""
        if not scope.whole_tenant:
            return 0
        selection = Selection(
            tenant_id=scope.tenant_id,
            expression=expression,
            not_before=not_before,
            as_of=as_of,
            last_change=self.last_change(scope),
        )
        row = self._connection.execute(*count_statement(self._bounded(scope, selection))).fetchone()
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

    def _last_change_until(self, scope: Scope, ticks: int) -> int:
        row = self._connection.execute(
            "SELECT change FROM incident WHERE tenant_id = ? AND last_update <= ? ORDER BY last_update DESC LIMIT 1",
            (scope.tenant_id, ticks),
        ).fetchone()
        return 0 if row is None else int(row[0])

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
