"""What an expression means: `matches` is the definition, and every store must agree with it.

Null as in OData 4.01: eq and ne know null and are never null themselves; order comparisons with null are
false, so their negation is true; a text function on null is null, `not`, `and` and `or` carry that on,
and only true matches.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import ge, gt, le, lt
from typing import Final, Protocol, assert_never, cast

from tocsin.model import AlertStatus, Classification, Determination, IncidentStatus, ServiceSource, Severity
from tocsin.odata.expression import (
    And,
    Compare,
    Constant,
    Expression,
    Field,
    HasTag,
    Not,
    OneOf,
    Operator,
    Or,
    TextFunction,
    TextMatch,
    Value,
)


class Row(Protocol):
    """What a filter can ask of an incident, or of an alert, which has a `service_source` besides. Times are ticks."""

    @property
    def last_update(self) -> int: ...
    @property
    def created(self) -> int: ...
    @property
    def incident_id(self) -> int: ...
    @property
    def status(self) -> IncidentStatus | AlertStatus: ...
    @property
    def severity(self) -> Severity: ...
    @property
    def classification(self) -> Classification: ...
    @property
    def determination(self) -> Determination: ...
    @property
    def assigned_to(self) -> str | None: ...


class TaggedRow(Row, Protocol):
    """An incident with its tags."""

    @property
    def tags(self) -> tuple[str, ...]: ...


class AlertRow(Row, Protocol):
    """An alert."""

    @property
    def service_source(self) -> ServiceSource: ...


class MachineRow(Protocol):
    """A machine, of which a filter can ask nothing else."""

    @property
    def device_id(self) -> str: ...
    @property
    def device_name(self) -> str: ...


def _service_source(row: Row) -> Value:
    # No property table of incidents has this field, so a filter that asks for it is asked of an alert.
    return cast("AlertRow", row).service_source


def _machine(row: Row) -> MachineRow:
    # Likewise: only the table of machines has these fields, and it has no others.
    return cast("MachineRow", row)


_READ: Final[dict[Field, Callable[[Row], Value]]] = {
    Field.LAST_UPDATE: lambda row: row.last_update,
    Field.CREATED: lambda row: row.created,
    Field.INCIDENT_ID: lambda row: row.incident_id,
    Field.STATUS: lambda row: row.status,
    Field.SEVERITY: lambda row: row.severity,
    Field.CLASSIFICATION: lambda row: row.classification,
    Field.DETERMINATION: lambda row: row.determination,
    Field.ASSIGNED_TO: lambda row: row.assigned_to,
    Field.SERVICE_SOURCE: _service_source,
    Field.DEVICE_ID: lambda row: _machine(row).device_id,
    Field.DEVICE_NAME: lambda row: _machine(row).device_name,
}
_ORDER: Final[dict[Operator, Callable[[int | str, int | str], bool]]] = {
    Operator.GT: gt,
    Operator.GE: ge,
    Operator.LT: lt,
    Operator.LE: le,
}


def matches(expression: Expression, row: Row | MachineRow) -> bool:
    """Whether `row` belongs to the answer."""
    return _evaluate(expression, cast("Row", row)) is True


def _evaluate(expression: Expression, row: Row) -> bool | None:
    match expression:
        case Constant(value):
            return value
        case Compare(field, operator, value):
            return _compare(_READ[field](row), operator, value)
        case OneOf(field, values):
            return _READ[field](row) in values
        case TextMatch(field, function, text):
            return _text_match(_READ[field](row), function, text)
        case HasTag(tag):
            return tag in cast("TaggedRow", row).tags
        case And(terms):
            return _all([_evaluate(term, row) for term in terms])
        case Or(terms):
            return _opposite(_all([_opposite(_evaluate(term, row)) for term in terms]))
        case Not(term):
            return _opposite(_evaluate(term, row))
    assert_never(expression)


def _compare(actual: Value, operator: Operator, wanted: Value) -> bool:
    if operator is Operator.EQ:
        return actual == wanted
    if operator is Operator.NE:
        return actual != wanted
    if actual is None or wanted is None:
        return False
    return _ORDER[operator](_ranked(actual), _ranked(wanted))


def _ranked(value: int | str) -> int | str:
    return value.rank if isinstance(value, Severity) else value


def _text_match(actual: Value, function: TextFunction, text: str) -> bool | None:
    if actual is None:
        return None
    assert isinstance(actual, str)
    match function:
        case TextFunction.STARTSWITH:
            return actual.startswith(text)
        case TextFunction.ENDSWITH:
            return actual.endswith(text)
        case TextFunction.CONTAINS:
            return text in actual
    assert_never(function)


def _all(values: list[bool | None]) -> bool | None:
    if False in values:
        return False
    return None if None in values else True


def _opposite(value: bool | None) -> bool | None:
    return None if value is None else not value
