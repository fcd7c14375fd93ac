"""Alerts by themselves: the narrow rows that lists of alerts scan, and reading single alerts. Every read takes a Scope.

An alert goes with its incident, when that is past retention. Lists are newest change first, then by number, which is
total; they can be read as of an earlier change number, as lists of incidents can. One connection, one thread; knows no
dialect.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Final

import apsw
import msgspec

from tocsin.access import Scope
from tocsin.errors import NotFound
from tocsin.model import AlertStatus, Classification, Determination, Severity, service_source_of
from tocsin.odata.expression import Expression, Field
from tocsin.odata.options import Order
from tocsin.stores.codes import encode_enum
from tocsin.stores.filters import Bounds, Range, bounds, where
from tocsin.stores.sqlite.exposed import page_of
from tocsin.stores.sqlite.sight import FEW, MANY, Sight, numbers, sight_of
from tocsin.ticks import parse_ticks

PROBE_MAX: Final = 5_000

INSERT_SEARCH: Final = """
INSERT INTO alert_search (tenant_id, change, alert_number, last_update, created, status, severity, classification,
    determination, service_source, assigned_to)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


class _Searched(msgspec.Struct, frozen=True, rename="camel"):
    """What lists ask of an alert, out of its stored document."""

    service_source: str
    creation_time: str
    last_updated_time: str
    status: AlertStatus
    severity: Severity
    classification: Classification | None
    determination: Determination | None
    assigned_to: str | None


_searched_decoder = msgspec.json.Decoder(_Searched)


class AlertVersion(msgspec.Struct, frozen=True):
    """One version of an alert. `position` is where it stands in the order of the list it was found by."""

    alert_number: int
    change: int
    incident_id: int
    document_id: int
    position: int = 0


def search_row(tenant_id: int, change: int, alert_number: int, document: bytes) -> tuple[int | str | None, ...]:
    """The values of `INSERT_SEARCH` for a version, read from its document, so that the two never disagree."""
    found = _searched_decoder.decode(document)
    codes = _codes(found.status, found.severity, found.classification, found.determination, found.service_source)
    last_update, created = _ticks(found.last_updated_time), _ticks(found.creation_time)
    return tenant_id, change, alert_number, last_update, created, *codes, found.assigned_to


@lru_cache(maxsize=4096)
def _codes(
    status: AlertStatus,
    severity: Severity,
    classification: Classification | None,
    determination: Determination | None,
    service_source: str,
) -> tuple[int, int, int, int, int]:
    return (
        encode_enum(status),
        encode_enum(severity),
        encode_enum(classification or Classification.UNKNOWN),
        encode_enum(determination or Determination.NOT_AVAILABLE),
        encode_enum(service_source_of(service_source)),
    )


@lru_cache(maxsize=4096)
def _second(text: str) -> int:
    return parse_ticks(text)


@lru_cache(maxsize=4096)
def _ticks(text: str) -> int:
    """Ticks of a time as documents have it, with seven digits. On ingest's hot path, where seconds repeat."""
    return _second(text[:19]) + int(text[20:27])


class AlertStore:
    """Reads of alerts. Shares the connection, and so the snapshot, of a `ReadStore`."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def find_alerts(
        self,
        scope: Scope,
        *,
        expression: Expression | None = None,
        order_by: Order | None = None,
        top: int,
        skip: int = 0,
        after: tuple[int, int] | None = None,
        not_before: int = 0,
        as_of: int | None = None,
    ) -> list[AlertVersion]:
        """A page of what is visible and matches. `after` is (position, alert number) of the last row before it.

        `not_before` is the retention cut-off in ticks. `as_of` reads the state of an earlier change number.
        """
        if scope.is_empty or top == 0:
            return []
        if skip and skip >= self._last_alert(scope):
            return []  # past the end at no cost: there are no more alerts than numbers
        condition, values = self._condition(scope, expression, not_before, as_of)
        column, descending = _order(order_by)
        if after is not None:
            condition += f" AND (found.{column}, found.alert_number) {'<' if descending else '>'} (?, ?)"
            values.extend(after)
        direction = "DESC" if descending else "ASC"
        listing = _Listing(
            f"found.alert_number, found.change, alert.incident_id, alert.document_id, found.{column}",
            f"{self._source(scope, expression, column)} {_JOINED}",
            condition,
            f" ORDER BY found.{column} {direction}, found.alert_number {direction}",
        )
        sight = sight_of(self._connection, scope)
        if sight is not None:
            return [AlertVersion(*row[:5]) for row in self._page_seen(sight, listing, values, top, skip)]
        rows = self._connection.execute(f"{listing.text} LIMIT ? OFFSET ?", (*values, top, skip))
        return [AlertVersion(*row) for row in rows]

    def _page_seen(
        self, sight: Sight, listing: _Listing, values: list[Any], top: int, skip: int
    ) -> Iterable[Sequence[Any]]:
        """A page of what a sight shows: gathered where that is little, else looked for in the list."""
        alerts = sight.gathered_alerts(self._connection, FEW)
        if alerts is None:
            seen = sight.of_alert("found.alert_number")
            asked = msgspec.structs.replace(listing, columns=f"{listing.columns}, {seen}")
            page = page_of(self._connection.execute(asked.text, values), 5, top, skip)
            if page is not None:
                return page
            alerts = sight.gathered_alerts(self._connection, MANY)
        within, more = listing.within(sight, alerts)
        return self._connection.execute(f"{within.text} LIMIT ? OFFSET ?", (*more, *values, top, skip))

    def count_alerts(
        self, scope: Scope, *, expression: Expression | None = None, not_before: int = 0, as_of: int | None = None
    ) -> int:
        """How many are visible and match."""
        if scope.is_empty:
            return 0
        condition, values = self._condition(scope, expression, not_before, as_of)
        listing = _Listing("count(*)", f"{self._source(scope, expression, 'change')} {_JOINED}", condition)
        sight, more = sight_of(self._connection, scope), list[Any]()
        if sight is not None:
            listing, more = listing.within(sight, sight.gathered_alerts(self._connection, MANY))
        return int(self._connection.execute(listing.text, (*more, *values)).get)

    def get_alert(self, scope: Scope, alert_number: int, public_id: str, *, not_before: int = 0) -> AlertVersion:
        """The current version of one alert, by its number. `public_id` is what the message calls it.

        Raises NotFound when absent, past retention or not visible.
        """
        row = None
        if not scope.is_empty and 0 < alert_number < 2**63:
            row = self._connection.execute(
                "SELECT alert_number, alert.change, incident_id, alert.document_id FROM alert "  # noqa: S608
                "JOIN incident USING (tenant_id, incident_id) WHERE tenant_id = ? AND alert_number = ? "
                f"AND superseded_by IS NULL AND last_update >= ?{self._seen(scope)}",
                (scope.tenant_id, alert_number, not_before),
            ).fetchone()
        if row is None:
            raise NotFound(f"Alert {public_id} was not found")
        return AlertVersion(*row)

    def alerts_of(self, scope: Scope, incident_id: int, change: int) -> list[AlertVersion]:
        """The visible alerts of one version of an incident, in the order in which they came."""
        if scope.is_empty:
            return []
        rows = self._connection.execute(
            "SELECT alert_number, change, incident_id, document_id FROM alert "  # noqa: S608  ours, values bound
            "WHERE tenant_id = ?1 AND incident_id = ?2 AND change <= ?3 "
            f"AND (superseded_by IS NULL OR superseded_by > ?3){self._seen(scope)} ORDER BY alert_number",
            (scope.tenant_id, incident_id, change),
        )
        return [AlertVersion(*row) for row in rows]

    def document(self, version: AlertVersion) -> tuple[bytes, bytes]:
        """The stored document and rest of a version that the caller was given."""
        row = self._connection.execute(
            "SELECT document, rest FROM alert_document WHERE document_id = ?", (version.document_id,)
        ).fetchone()
        assert row is not None, "a version always has its document"
        return bytes(row[0]), bytes(row[1])

    def _seen(self, scope: Scope) -> str:
        """The condition that a row of `alert` is visible, to stand behind others."""
        sight = sight_of(self._connection, scope)
        return "" if sight is None else f" AND {sight.of_alert('alert.alert_number')}"

    def _condition(
        self, scope: Scope, expression: Expression | None, not_before: int, as_of: int | None
    ) -> tuple[str, list[Any]]:
        sql, parameters = ("1", []) if expression is None else where(expression)
        limits = _limits(expression)
        terms = ["found.tenant_id = ?", "visible.last_update >= ?"]
        values: list[Any] = [scope.tenant_id, not_before]
        if limits.last_update.lower is not None:
            terms.append("found.change >= ?")
            values.append(self._first_change_since(scope, limits.last_update.lower))
        for column, within in (("last_update", limits.last_update), ("created", limits.created)):
            for sign, end in ((">=", within.lower), ("<=", within.upper)):
                if end is not None:
                    terms.append(f"found.{column} {sign} ?")
                    values.append(end)
        if as_of is None:
            terms.append("superseded_by IS NULL")
        else:
            terms.append("found.change <= ? AND (superseded_by IS NULL OR superseded_by > ?)")
            values.extend((as_of, as_of))
        # The columns of a filter have no table's name, and so it is asked of a row that has only those.
        terms.append(f"EXISTS (SELECT 1 FROM (SELECT {_FILTERED}) WHERE {sql})")  # noqa: S608  ours, values bound
        return " AND ".join(terms), [*values, *parameters]

    def _source(self, scope: Scope, expression: Expression | None, column: str) -> str:
        """The table with the index to go through: the one of the order, or that of creation where few rows match."""
        within = _limits(expression).created
        if column == "created" or (within.lower is not None and self._are_few(scope, within)):
            return "alert_search AS found INDEXED BY alert_search_by_creation"
        return "alert_search AS found"

    def _are_few(self, scope: Scope, created: Range) -> bool:
        statement = (
            "SELECT count(*) FROM (SELECT 1 FROM alert_search INDEXED BY alert_search_by_creation "
            "WHERE tenant_id = ? AND created >= ? AND created <= ? LIMIT ?)"
        )
        upper = 2**63 - 1 if created.upper is None else created.upper
        return (
            int(self._connection.execute(statement, (scope.tenant_id, created.lower, upper, PROBE_MAX + 1)).get)
            <= PROBE_MAX
        )

    def _last_alert(self, scope: Scope) -> int:
        row = self._connection.execute(
            "SELECT last_alert FROM tenant WHERE tenant_id = ?", (scope.tenant_id,)
        ).fetchone()
        return 0 if row is None else int(row[0])

    def _first_change_since(self, scope: Scope, ticks: int) -> int:
        """The least change of an alert that came at or after `ticks`: stamps rise with changes, so halving finds it."""
        newest = self._connection.execute(
            "SELECT max(change) FROM alert_search WHERE tenant_id = ?", (scope.tenant_id,)
        ).get
        low, high = 1, int(newest or 0) + 1
        while low < high:
            middle = (low + high) // 2
            probe = self._connection.execute(
                "SELECT change, last_update FROM alert_search WHERE tenant_id = ? AND change >= ? "
                "ORDER BY change LIMIT 1",
                (scope.tenant_id, middle),
            ).fetchone()
            if probe is None or probe[1] >= ticks:
                high = middle
            else:
                low = probe[0] + 1
        return low


class _Listing(msgspec.Struct, frozen=True):
    """The parts of a statement over alerts."""

    columns: str
    source: str
    condition: str
    order: str = ""

    @property
    def text(self) -> str:
        return f"SELECT {self.columns} FROM {self.source} WHERE {self.condition}{self.order}"  # noqa: S608

    def within(self, sight: Sight, alerts: Sequence[int] | None) -> tuple[_Listing, list[Any]]:
        """The same for what a sight shows, and the values that come first: among its alerts where they are given."""
        if alerts is None:
            condition = f"{self.condition} AND {sight.of_alert('found.alert_number')}"
            return msgspec.structs.replace(self, condition=condition), []
        return msgspec.structs.replace(self, source=_AMONG), [numbers(alerts), sight.tenant_id]


_AMONG: Final = (
    "carray(?) AS wanted CROSS JOIN alert ON alert.tenant_id = ? AND alert.alert_number = wanted.value "
    "CROSS JOIN alert_search AS found ON found.tenant_id = alert.tenant_id AND found.change = alert.change "
    "AND found.alert_number = alert.alert_number "
    "CROSS JOIN incident AS visible ON visible.tenant_id = alert.tenant_id "
    "AND visible.incident_id = alert.incident_id"
)
_JOINED: Final = (
    "CROSS JOIN alert ON alert.tenant_id = found.tenant_id AND alert.alert_number = found.alert_number "
    "AND alert.change = found.change "
    "CROSS JOIN incident AS visible ON visible.tenant_id = alert.tenant_id "
    "AND visible.incident_id = alert.incident_id"
)
_FILTERED: Final = ", ".join(
    f"found.{column} AS {column}"
    for column in (
        *("last_update", "created", "status", "severity", "classification", "determination"),
        *("service_source", "assigned_to"),
    )
)


def _limits(expression: Expression | None) -> Bounds:
    return Bounds() if expression is None else bounds(expression)


def _order(order_by: Order | None) -> tuple[str, bool]:
    """The column, and whether it is descending. With the alert's number behind, both orders are total."""
    if order_by is None:
        return "change", True
    return {Field.LAST_UPDATE: "change", Field.CREATED: "created"}[order_by.field], order_by.descending


def alert_number_of(public_id: str) -> int:
    """The number in an alert's public id, `su1042` -> 1042; 0, which no alert has, for what is no such id."""
    digits = public_id[2:]
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 18 else 0
