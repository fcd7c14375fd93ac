"""Reading incidents: lists, single ones, their documents, why they are as they are. Every read takes a Scope.

Lists are newest first; `change` orders exactly like `last_update`, so the order is total. A list can be read as of
an earlier change number (`design/feed.md`). Who sees only some alerts of an incident gets a row that says which, and
all that is read by that row is made from those (ADR 7). One connection, one thread; knows no dialect, writes nothing.
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
from tocsin.documents import IncidentHeader, decode_header, encode_header
from tocsin.errors import NotFound
from tocsin.odata.expression import Expression
from tocsin.odata.options import Order
from tocsin.stores.filters import where
from tocsin.stores.partial import exposed_header
from tocsin.stores.sqlite.blocks import BLOCK_BITS, skip_blocks
from tocsin.stores.sqlite.exposed import ExposedStore, log_of
from tocsin.stores.sqlite.listing import COLUMNS, Selection, count_statement, page_statement
from tocsin.stores.sqlite.rows import Change, IncidentRow, LogRow, Shown, incident_row
from tocsin.stores.sqlite.sight import sight_of

PROBE_MAX: Final = 5_000
__all__ = ["Change", "IncidentRow", "LogRow", "ReadStore", "RefusedInput", "Shown"]

_evidence_decoder = msgspec.msgpack.Decoder(tuple[LinkEvidence, ...])
_facts_decoder = msgspec.msgpack.Decoder(IncidentFacts)


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
        self._connection, self._exposed = connection, ExposedStore(connection)

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
        if scope.is_empty or top == 0:
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
                sight=sight_of(self._connection, scope),
            ),
        )
        if selection.sight is not None:
            return self._exposed.page(selection.sight, selection, top, skip)
        if skip >> BLOCK_BITS and selection.is_plain:
            begin, skip = skip_blocks(self._connection, scope.tenant_id, skip, selection.change_least)
            selection = msgspec.structs.replace(selection, change_most=begin)
        return [incident_row(row) for row in self._connection.execute(*page_statement(selection, top, skip))]

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
        if scope.is_empty or top == 0:
            return []
        sight = sight_of(self._connection, scope)
        if sight is not None:
            return self._exposed.changes(sight, since, top, expression, not_before)
        sql, parameters = ("1", []) if expression is None else where(expression)
        rows = self._connection.execute(
            f"SELECT {COLUMNS}, ({sql}) FROM incident "  # noqa: S608  ours, values bound
            "WHERE tenant_id = ? AND change > ? AND last_update >= ? ORDER BY change LIMIT ?",
            (*parameters, scope.tenant_id, since, not_before, top),
        )
        found = [Change(row[1], row[0], incident_row(row) if row[11] else None) for row in rows]
        removed = self._connection.execute(
            "SELECT change, incident_id FROM incident_removed "
            "WHERE tenant_id = ? AND change > ? ORDER BY change LIMIT ?",
            (scope.tenant_id, since, top),
        )
        found.extend([Change(change, incident_id, None) for change, incident_id in removed])
        return sorted(found, key=lambda each: each.change)[:top]

    def get_incident(self, scope: Scope, incident_id: int, *, not_before: int = 0) -> IncidentRow:
        """The current version of one incident. Raises NotFound when absent, past retention or not visible."""
        rows: list[IncidentRow] = []
        if not scope.is_empty and 0 < incident_id < 2**63:
            sight = sight_of(self._connection, scope)
            seen = "" if sight is None else f" AND {sight.of_incident('listed')}"
            found = self._connection.execute(
                f"SELECT {COLUMNS} FROM incident AS listed "  # noqa: S608
                f"WHERE tenant_id = ? AND incident_id = ? AND last_update >= ?{seen}",
                (scope.tenant_id, incident_id, not_before),
            ).fetchall()
            rows = [incident_row(row) for row in found] if sight is None else self._exposed.rows(sight, found)
        if not rows:
            raise NotFound(f"Incident {incident_id} was not found")
        return rows[0]

    def header(self, row: IncidentRow) -> bytes:
        """The header (`documents.IncidentHeader`) of a version that the caller was given: as stored, or as it is for
        who sees some of its alerts."""
        found = self._document("SELECT header FROM incident_document WHERE document_id = ?", (row.document_id,))
        return found if row.shown is None else encode_header(self._exposed.told(row, row.shown)[0])

    def facts(self, row: IncidentRow) -> IncidentFacts:
        """What the correlation knows of a version that the caller was given, or of what the caller sees of it."""
        if row.shown is not None:
            return self._exposed.told(row, row.shown)[1]
        found = self._document("SELECT facts FROM incident_document WHERE document_id = ?", (row.document_id,))
        return _facts_decoder.decode(found)

    def told(self, row: IncidentRow) -> tuple[IncidentHeader, IncidentFacts]:
        """Header and facts together, each as by itself."""
        if row.shown is not None:
            return self._exposed.told(row, row.shown)
        return decode_header(self.header(row)), self.facts(row)

    def alerts(self, scope: Scope, row: IncidentRow) -> list[bytes]:
        """The alert documents of that version that are visible, in the order in which the alerts came."""
        if scope.is_empty:
            return []
        sight = sight_of(self._connection, scope)
        seen = "" if sight is None else f" AND {sight.of_alert('alert.alert_number')}"
        return [
            document
            for (document,) in self._connection.execute(
                "SELECT document FROM alert CROSS JOIN alert_document USING (document_id) "  # noqa: S608
                "WHERE alert.tenant_id = ?1 AND incident_id = ?2 AND change <= ?3 "
                f"AND (superseded_by IS NULL OR superseded_by > ?3){seen} ORDER BY alert_number",
                (scope.tenant_id, row.incident_id, row.change),
            )
        ]

    def documents(self, scope: Scope, rows: Sequence[IncidentRow]) -> list[tuple[bytes, list[bytes]]]:
        """Header and alert documents of many versions of one moment, with two statements for all of them.

        A version of an incident that was not the one of its moment would be given alerts of another version, so
        `rows` must come from one read.
        """
        if scope.is_empty or not rows:
            return [(self.header(row), []) for row in rows]
        headers: dict[Any, Any] = {}
        for document_id, header in self._connection.execute(
            "SELECT document_id, header FROM carray(?) CROSS JOIN incident_document ON document_id = value",
            (apsw.carray(array.array("q", [row.document_id for row in rows])),),
        ):
            headers[document_id] = header
        shown = {row.incident_id: frozenset(row.shown.alert_numbers) for row in rows if row.shown is not None}
        alerts: dict[int, list[bytes]] = {row.incident_id: [] for row in rows}
        # Every change of an alert is a change of its incident, so the newest of these versions serves for all of them.
        found: Any = self._connection.execute(
            "SELECT incident_id, alert_number, document FROM carray(?1) CROSS JOIN alert INDEXED BY alert_by_incident "
            "CROSS JOIN alert_document USING (document_id) WHERE alert.tenant_id = ?2 AND incident_id = value "
            "AND change <= ?3 AND (superseded_by IS NULL OR superseded_by > ?3)",
            (
                apsw.carray(array.array("q", list(alerts))),
                scope.tenant_id,
                max(row.change for row in rows),
            ),
        )
        for incident_id, alert_number, document in found:
            partly = shown.get(incident_id)
            if partly is None or alert_number in partly:
                alerts[incident_id].append(document)
        for row in rows:
            if row.shown is not None:
                told = alerts[row.incident_id]
                header = decode_header(headers[row.document_id])
                # The alerts that a husk lost are elsewhere.
                made = encode_header(exposed_header(header, told)) if told else self.header(row)
                headers[row.document_id] = made
        return [(headers[row.document_id], alerts[row.incident_id]) for row in rows]

    def find_links(self, scope: Scope, row: IncidentRow) -> dict[int, list[Link | Merge]]:
        """Why the alerts of this incident are together: alert number -> its join and the merges it brought.

        Only between alerts that are both visible: a reason that names a hidden one would tell of it.
        """
        found: dict[int, list[Link | Merge]] = {}
        if scope.is_empty:
            return found
        sight = sight_of(self._connection, scope)
        seen = ""
        if sight is not None:
            seen = f" AND {sight.of_alert('alert.alert_number')} AND {sight.of_alert('link.earlier_alert')}"
        rows = self._connection.execute(
            "SELECT link.alert_number, merged_incident, link.incident_id, earlier_alert, score, evidence FROM alert "  # noqa: S608
            "CROSS JOIN link USING (tenant_id, alert_number) "
            f"WHERE alert.tenant_id = ? AND alert.incident_id = ? AND superseded_by IS NULL{seen} ORDER BY 1, 2",
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
        """All that happened to an incident, oldest first. Who does not see the whole tenant gets what people decided
        and what is about visible alerts; other incidents are not named to them, but for where a husk went."""
        if scope.is_empty:
            return []
        rows = self._connection.execute(
            "SELECT change, at, actor, action, detail FROM change_log INDEXED BY change_log_by_incident "
            "WHERE tenant_id = ? AND incident_id = ? ORDER BY change",
            (scope.tenant_id, row.incident_id),
        )
        entries = [LogRow(*each) for each in rows]
        sight = sight_of(self._connection, scope)
        return entries if sight is None else log_of(entries, self._exposed.alert_numbers(sight, row))

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
        if scope.is_empty:
            return 0
        sight = sight_of(self._connection, scope)
        selection = Selection(
            tenant_id=scope.tenant_id,
            expression=expression,
            not_before=not_before,
            as_of=as_of,
            last_change=self.last_change(scope),
            sight=sight,
        )
        if sight is not None:
            selection = self._exposed.few(sight, selection)
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
