"""Incidents for who does not see everything: pages, changes, and what is shown of an incident (ADR 7).

The visible alerts are gathered through the indexes where they are few, and else the list is gone through row by row;
both find the same. Used by `reading.py` alone, inside its snapshots.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import apsw
import msgspec

from tocsin.correlation.memory import IncidentFacts
from tocsin.documents import IncidentHeader, decode_header
from tocsin.model import IncidentStatus, Severity
from tocsin.odata.expression import Expression
from tocsin.stores.codes import decode_enum, encode_enum
from tocsin.stores.filters import where
from tocsin.stores.partial import exposed_detail, exposed_facts, exposed_header
from tocsin.stores.sqlite.listing import COLUMNS, Selection, page_statement, scan_statement
from tocsin.stores.sqlite.rows import Change, IncidentRow, LogRow, Shown, incident_row
from tocsin.stores.sqlite.sight import FEW, MANY, Sight, numbers

SCANNED_MAX: Final = 2_000
"""Rows looked at one by one before the visible ones are gathered instead."""

SCANNED_FIRST: Final = 300

_HUSK: Final = encode_enum(IncidentStatus.REDIRECTED)
_facts_decoder = msgspec.msgpack.Decoder(IncidentFacts)
_detail_decoder = msgspec.json.Decoder(dict[str, object])


class _Gathered(msgspec.Struct, frozen=True):
    """All that is visible: incidents that hold visible alerts, and husks that lost some, each with those alerts."""

    holding: dict[int, list[int]]
    lost: dict[int, list[int]]

    def among(self, selection: Selection) -> Selection:
        """The selection among these incidents."""
        return msgspec.structs.replace(selection, ids=(tuple(self.holding), tuple(self.lost)))

    def shown_of(self, row: IncidentRow) -> tuple[int, ...] | None:
        """The alerts of a row, which is no husk, that are shown; None where that is as many as it has."""
        held = self.holding[row.incident_id]
        return None if len(held) == row.alert_count else tuple(sorted(held))


class ExposedStore:
    """Reads for a sight, over the connection of a `ReadStore`."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def page(self, sight: Sight, selection: Selection, top: int, skip: int) -> list[IncidentRow]:
        """A page of what a sight shows: gathered where that is little, else looked for in the list."""
        gathered = self._gathered(sight, selection, FEW)
        if gathered is None:
            found = self._scanned(selection, top, skip)
            if found is not None:
                return self.rows(sight, found)
            gathered = self._gathered(sight, selection, MANY)
        if gathered is None:
            return self.rows(sight, list(self._connection.execute(*page_statement(selection, top, skip))))
        found = list(self._connection.execute(*page_statement(gathered.among(selection), top, skip)))
        if any(row[4] == _HUSK for row in found):  # how many alerts a husk lost is not in its row
            return self.rows(sight, found)
        return self._told_of(sight, found, gathered.shown_of)

    def few(self, sight: Sight, selection: Selection) -> Selection:
        """The same selection, among the incidents of all visible alerts where those are not too many."""
        gathered = self._gathered(sight, selection, MANY)
        return selection if gathered is None else gathered.among(selection)

    def _gathered(self, sight: Sight, selection: Selection, most: int) -> _Gathered | None:
        alerts = sight.gathered_alerts(self._connection, most)
        if alerts is None:
            return None
        as_of = selection.as_of
        at = as_of if as_of is not None and as_of < selection.last_change else None
        holding, lost = sight.incidents_with(self._connection, alerts, at)
        return _Gathered(holding, lost)

    def _scanned(self, selection: Selection, top: int, skip: int) -> list[Sequence[Any]] | None:
        """The page by looking at row after row of the list; None where it was not full after SCANNED_MAX rows."""
        return page_of(self._connection.execute(*scan_statement(selection)), 11, top, skip)

    def rows(self, sight: Sight, rows: Sequence[Sequence[Any]]) -> list[IncidentRow]:
        """Rows of one moment that a sight shows, each with what it shows of it."""
        own: dict[int, list[tuple[int, bool]]] = {int(row[0]): [] for row in rows}
        husks = [int(row[0]) for row in rows if row[4] == _HUSK]
        # Every change of an alert is one of its incident too: the newest of these versions serves for all of them.
        newest = max([int(row[1]) for row in rows], default=0)
        for incident_id, number, seen in self._seen(sight, list(own), husks, newest):
            own[incident_id].append((number, bool(seen)))

        def shown_of(row: IncidentRow) -> tuple[int, ...] | None:
            about = own[row.incident_id]
            return None if all(seen for _, seen in about) else tuple(sorted({number for number, seen in about if seen}))

        return self._told_of(sight, rows, shown_of)

    def _told_of(
        self, sight: Sight, rows: Sequence[Sequence[Any]], shown_of: Callable[[IncidentRow], tuple[int, ...] | None]
    ) -> list[IncidentRow]:
        """The rows, those of which only some alerts are shown with what these say."""
        told = [(row, shown_of(row)) for row in map(incident_row, rows)]
        numbers_shown = [number for _, shown in told if shown is not None for number in shown]
        newest = max([row.change for row, _ in told], default=0)
        severities = self._severities(sight, numbers_shown, newest) if numbers_shown else {}
        return [_row_of(sight, row, shown, severities) for row, shown in told]

    def _seen(self, sight: Sight, ids: Sequence[int], husks: Sequence[int], newest: int) -> Any:
        """(incident, alert number, visible or not) of the alerts of these incidents, and of those that husks lost."""
        held, lost = (sight.of_alert(f"{each}.alert_number") for each in ("own", "lost"))
        text = _ALERTS_SEEN.format(seen=held) + (f" UNION ALL {_LOST_SEEN.format(seen=lost)}" if husks else "")
        values = (numbers(ids), sight.tenant_id, newest)
        return self._connection.execute(text, (*values, numbers(husks)) if husks else values)

    def _severities(self, sight: Sight, alerts: Sequence[int], newest: int) -> dict[int, int]:
        """The severity code of each alert; it is the same in all its versions."""
        found: Any = self._connection.execute(
            "SELECT own.alert_number, severity FROM carray(?1) CROSS JOIN alert AS own ON own.tenant_id = ?2 "
            "AND own.alert_number = value CROSS JOIN alert_search AS told ON told.tenant_id = ?2 "
            "AND told.change = own.change AND told.alert_number = own.alert_number WHERE own.change <= ?3",
            (numbers(alerts), sight.tenant_id, newest),
        )
        return dict(found)

    def changes(
        self, sight: Sight, since: int, top: int, expression: Expression | None, not_before: int
    ) -> list[Change]:
        """The same for a sight: of an incident that lost what it showed only that it is gone, of others nothing."""
        sql, parameters = ("1", []) if expression is None else where(expression, sight.severity_of("listed"))
        alerts = sight.gathered_alerts(self._connection, FEW)
        values: list[Any] = [*parameters, since, sight.tenant_id, since, not_before]
        source = "incident AS listed"
        if alerts is not None:
            source += " INDEXED BY incident_by_id"
            values.insert(-2, numbers(sight.incidents_ever_with(self._connection, alerts)))
        among = "" if alerts is None else "AND incident_id IN carray(?) "
        plus = "" if alerts is None else "+"
        rows: list[Any] = self._connection.execute(
            f"SELECT * FROM (SELECT {COLUMNS}, ({sql}) AS fits, {sight.of_incident('listed')} AS seen, "  # noqa: S608
            f"{sight.was_of_incident('listed')} AS was FROM {source} WHERE tenant_id = ? {among}"
            f"AND {plus}change > ? AND last_update >= ? ORDER BY change) WHERE seen OR was LIMIT ?",
            (*values, top),
        ).fetchall()
        shown = {row.incident_id: row for row in self.rows(sight, [row for row in rows if row[11] and row[12]])}
        found = [Change(row[1], row[0], shown.get(row[0])) for row in rows]
        removed = self._connection.execute(
            "SELECT change, incident_id FROM incident_removed AS gone WHERE tenant_id = ? AND change > ? "  # noqa: S608
            f"AND {sight.of_removal('gone')} ORDER BY change LIMIT ?",
            (sight.tenant_id, since, top),
        )
        found.extend([Change(change, incident_id, None) for change, incident_id in removed])
        return sorted(found, key=lambda each: each.change)[:top]

    def alert_numbers(self, sight: Sight, row: IncidentRow) -> list[int]:
        """The alerts of that version that are visible, or those that a husk lost."""
        husks = [row.incident_id] if row.status is IncidentStatus.REDIRECTED else []
        return [number for _, number, seen in self._seen(sight, [row.incident_id], husks, row.change) if seen]

    def told(self, row: IncidentRow, shown: Shown) -> tuple[IncidentHeader, IncidentFacts]:
        """Header and facts made from the alerts that are shown. Those of a husk are in another incident now; what a
        name is made of is the same in every version of an alert."""
        whole: Any = self._connection.execute(
            "SELECT header, facts FROM incident_document WHERE document_id = ?", (row.document_id,)
        ).fetchone()
        assert whole is not None, "a version always has its document"
        alerts: list[Any] = self._connection.execute(
            "SELECT document, rest FROM carray(?1) CROSS JOIN alert ON alert.tenant_id = ?2 AND alert_number = value "
            "AND superseded_by IS NULL CROSS JOIN alert_document USING (document_id) ORDER BY alert_number",
            (numbers(shown.alert_numbers), shown.tenant_id),
        ).fetchall()
        facts = exposed_facts(_facts_decoder.decode(whole[1]), alerts)
        return exposed_header(decode_header(whole[0]), [document for document, _ in alerts]), facts


def page_of(cursor: apsw.Cursor, seen: int, top: int, skip: int) -> list[Sequence[Any]] | None:
    """The rows of a page out of a list whose column `seen` says which are visible; None where the page was not full
    after SCANNED_MAX rows, or the first of them say that it will not be."""
    found: list[Sequence[Any]] = []
    for looked_at, row in enumerate(cursor):
        if row[seen]:
            found.append(row)
            if len(found) == top + skip:
                cursor.close()
                break
        elif looked_at >= SCANNED_MAX or (
            looked_at == SCANNED_FIRST and len(found) * SCANNED_MAX < (top + skip) * SCANNED_FIRST
        ):
            cursor.close()
            return None
    return found[skip:]


def _row_of(
    sight: Sight, row: IncidentRow, shown: tuple[int, ...] | None, severities: Mapping[int, int]
) -> IncidentRow:
    """`shown` None: all of it."""
    if shown is None:
        return row
    husk = row.status is IncidentStatus.REDIRECTED
    visible = max([severities.get(each, 0) for each in shown], default=0)
    return msgspec.structs.replace(
        row,
        severity=row.severity if husk else decode_enum(Severity, visible),
        alert_count=0 if husk else len(shown),
        shown=Shown(sight.tenant_id, shown),
    )


def log_of(entries: Sequence[LogRow], shown: Sequence[int]) -> list[LogRow]:
    """The lines that say something to who sees these alerts alone."""
    kept = []
    for entry in entries:
        detail = exposed_detail(entry.action, _detail_decoder.decode(entry.detail), shown)
        if detail is not None:
            kept.append(msgspec.structs.replace(entry, detail=msgspec.json.encode(detail).decode()))
    return kept


_ALERTS_SEEN: Final = """
SELECT own.incident_id, own.alert_number, {seen} FROM carray(?1)
CROSS JOIN alert AS own INDEXED BY alert_by_incident ON own.tenant_id = ?2 AND own.incident_id = value
WHERE own.change <= ?3 AND (own.superseded_by IS NULL OR own.superseded_by > ?3)"""
_LOST_SEEN: Final = """
SELECT lost.incident_id, lost.alert_number, {seen} FROM carray(?4)
CROSS JOIN husk_alert AS lost ON lost.tenant_id = ?2 AND lost.incident_id = value"""
