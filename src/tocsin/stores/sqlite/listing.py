"""Lists as SQLite statements: what is visible and matches, in one order, from one place on, as of one change.

The state as of change S is the current versions up to S and the replaced ones that S still saw (`design/feed.md`).
Both halves go through an index: the current ones by change or by id; the replaced ones by what replaced them while
little has changed since S, else by change, so that a page costs what it gives. A sight, where there is one, is part of
the condition; unless `ids`, the incidents that were gathered for it, stand for it.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from tocsin.model import IncidentStatus
from tocsin.odata.expression import Expression, Field
from tocsin.odata.options import Order
from tocsin.stores.codes import encode_enum
from tocsin.stores.filters import INT64_MAX, Bounds, bounds, where
from tocsin.stores.sqlite.sight import Sight, numbers

COLUMNS: Final = (
    "incident_id, change, last_update, created, status, severity, classification, determination, assigned_to, "
    "alert_count, document_id"
)
OVERLAY_MAX: Final = 5_000
"""Changes since S up to which the versions that they replaced are looked through one by one."""


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """What to read of one tenant. `after` is the change (or, ordered by creation, the incident id) of the last row
    that was given; None begins. `as_of` None reads the current state, of which `last_change` is the number.

    `id_least` and `change_least` are bounds that the reader found for current versions; 0 for none. `sight` None hides
    nothing. `ids` are incidents that hold visible alerts, and husks that lost some; None where they were not gathered.
    """

    tenant_id: int
    expression: Expression | None = None
    not_before: int = 0
    order_by: Order | None = None
    after: int | None = None
    as_of: int | None = None
    last_change: int = 0
    id_least: int = 0
    change_least: int = 0
    change_most: int | None = None
    sight: Sight | None = None
    ids: tuple[tuple[int, ...], tuple[int, ...]] | None = None

    @property
    def limits(self) -> Bounds:
        """The ranges that the expression implies."""
        return Bounds() if self.expression is None else bounds(self.expression)

    @property
    def is_plain(self) -> bool:
        """Whether it is simply all there is now, newest change first, from the beginning."""
        now = self.as_of is None or self.as_of >= self.last_change
        everything = self.expression is None and self.after is None and self.sight is None
        return now and everything and _key(self.order_by) == ("change", True)

    @property
    def oldest(self) -> int:
        """Ticks before which nothing can be part of it."""
        return max(self.not_before, self.limits.last_update.lower or 0)


def page_statement(selection: Selection, top: int, skip: int) -> tuple[str, list[Any]]:
    """`COLUMNS` of a page."""
    text, values = _rows(selection, COLUMNS)
    return f"{text} ORDER BY {_order(selection.order_by)} LIMIT ? OFFSET ?", [*values, top, skip]


def scan_statement(selection: Selection) -> tuple[str, list[Any]]:
    """`COLUMNS` of all that matches, in order, and whether each is visible: for who stops when a page is full."""
    assert selection.sight is not None
    unasked = msgspec.structs.replace(selection, sight=None)
    text, values = _rows(unasked, f"{COLUMNS}, {selection.sight.of_incident('listed')}", selection.sight)
    return f"{text} ORDER BY {_order(selection.order_by)}", values


def count_statement(selection: Selection) -> tuple[str, list[Any]]:
    """How many there are."""
    text, values = _rows(selection, "1 AS one")
    return f"SELECT count(*) FROM ({text})", values  # noqa: S608  made here, values bound


def _rows(selection: Selection, columns: str, told_to: Sight | None = None) -> tuple[str, list[Any]]:
    """`told_to`: whose sight the filter is for, where it is not a condition itself."""
    told_to = told_to or selection.sight
    text, values = _current(selection, columns, told_to)
    if selection.as_of is not None and selection.as_of < selection.last_change:
        older, more = _replaced(selection, selection.as_of, columns, told_to)
        return f"{text} UNION ALL {older}", [*values, *more]
    return text, values


def _current(selection: Selection, columns: str, told_to: Sight | None) -> tuple[str, list[Any]]:
    by_id = selection.id_least > 0 or (_by_id(selection.order_by) and selection.limits.last_update.lower is None)
    ends = {"change": _Ends(selection.change_least), "incident_id": _Ends(selection.id_least)}
    for most in (selection.as_of, selection.change_most):
        if most is not None:
            ends["change"].below(most)
    # Ordered by change, bounded by change: the primary key serves both, whatever the planner believes.
    by_id = by_id or selection.ids is not None
    source = "incident AS listed INDEXED BY incident_by_id" if by_id else "incident AS listed"
    return _statement(selection, source, columns, ends, told_to)


def _replaced(selection: Selection, as_of: int, columns: str, told_to: Sight | None) -> tuple[str, list[Any]]:
    near = selection.last_change - as_of <= OVERLAY_MAX or _by_id(selection.order_by)
    ends = {"change": _Ends(), "incident_id": _Ends(), "superseded_by": _Ends(as_of + 1)}
    ends["change"].below(as_of)
    source = "incident_superseded AS listed" + ("" if near else " INDEXED BY incident_superseded_by_change")
    return _statement(selection, source, columns, ends, told_to)


class _Ends:
    """Both ends of a column, inclusive, each the tightest of all that were asked for: an index takes one of a kind."""

    def __init__(self, least: int = 0) -> None:
        self.least, self.most = least, INT64_MAX

    def above(self, least: int) -> None:
        self.least = max(self.least, least)

    def below(self, most: int) -> None:
        self.most = min(self.most, most)


def _statement(
    selection: Selection, source: str, columns: str, ends: dict[str, _Ends], told_to: Sight | None
) -> tuple[str, list[Any]]:
    if selection.after is not None:
        column, descending = _key(selection.order_by)
        if descending:
            ends[column].below(selection.after - 1)
        else:
            ends[column].above(selection.after + 1)
    terms, values = _terms(selection, told_to)
    # The plus keeps a range from choosing the way where the ids are the way.
    plus = "" if selection.ids is None else "+"
    for column, end in ends.items():
        if end.least:
            terms.append(f"{plus}{column} >= ?")
            values.append(end.least)
        if end.most < INT64_MAX:
            terms.append(f"{plus}{column} <= ?")
            values.append(end.most)
    return f"SELECT {columns} FROM {source} WHERE {' AND '.join(terms)}", values  # noqa: S608  terms are ours


def _terms(selection: Selection, told_to: Sight | None) -> tuple[list[str], list[Any]]:
    terms: list[str] = ["tenant_id = ?", "last_update >= ?"]
    values: list[Any] = [selection.tenant_id, selection.oldest]
    if selection.ids is not None:
        holding, husks = selection.ids
        terms.append("incident_id IN carray(?)")
        values.append(numbers((*holding, *husks)))
        if husks:  # what is a husk now was perhaps none as of then
            terms.append("(status = ? OR +incident_id IN carray(?))")
            values.extend((encode_enum(IncidentStatus.REDIRECTED), numbers(holding)))
    elif selection.sight is not None:
        terms.append(selection.sight.of_incident("listed"))
    if (newest := selection.limits.last_update.upper) is not None:
        terms.append("last_update <= ?")
        values.append(newest)
    if selection.expression is not None:
        text, parameters = where(selection.expression, *([] if told_to is None else [told_to.severity_of("listed")]))
        terms.append(f"({text})")
        values.extend(parameters)
    return terms, values


def _by_id(order_by: Order | None) -> bool:
    return order_by is not None and order_by.field is Field.CREATED


def _key(order_by: Order | None) -> tuple[str, bool]:
    """The column that orders, and whether downwards: change is unique, and ids rise with creation."""
    if order_by is None:
        return "change", True
    return {Field.LAST_UPDATE: "change", Field.CREATED: "incident_id"}[order_by.field], order_by.descending


def _order(order_by: Order | None) -> str:
    column, descending = _key(order_by)
    return f"{column} {'DESC' if descending else 'ASC'}"
