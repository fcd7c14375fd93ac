"""Filter expressions as SQLite text with parameters, and the index ranges they imply.

`odata.matches` is the definition; the text must agree with it row by row, null for null. Values are always
parameters. Text functions are `substr` and `instr`, because LIKE ignores case and has wildcards. Stored text
never holds U+0000, where SQLite's string functions stop.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, TypeAlias, assert_never

import msgspec

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
from tocsin.stores.codes import encode_enum

Parameter: TypeAlias = int | str | None
_Columns: TypeAlias = dict[Field, str]

INT64_MAX: Final = 2**63 - 1
INT64_MIN: Final = -(2**63)

_COLUMNS: Final = {
    Field.LAST_UPDATE: "last_update",
    Field.CREATED: "created",
    Field.INCIDENT_ID: "incident_id",
    Field.STATUS: "status",
    Field.SEVERITY: "severity",
    Field.CLASSIFICATION: "classification",
    Field.DETERMINATION: "determination",
    Field.ASSIGNED_TO: "assigned_to",
    Field.SERVICE_SOURCE: "service_source",
}
_NULLABLE: Final = frozenset({Field.ASSIGNED_TO})
# IS and IS NOT are never null themselves, as eq and ne are not.
_OPERATORS: Final = {
    Operator.EQ: "IS",
    Operator.NE: "IS NOT",
    Operator.GT: ">",
    Operator.GE: ">=",
    Operator.LT: "<",
    Operator.LE: "<=",
}
_EQUALITIES: Final = frozenset({Operator.EQ, Operator.NE})


class Range(msgspec.Struct, frozen=True):
    """Inclusive ends, None for open. `lower` above `upper` means that nothing matches."""

    lower: int | None = None
    upper: int | None = None

    def within(self, other: Range) -> Range:
        """The range that both allow."""
        lowers = [end for end in (self.lower, other.lower) if end is not None]
        uppers = [end for end in (self.upper, other.upper) if end is not None]
        return Range(max(lowers, default=None), min(uppers, default=None))


class Bounds(msgspec.Struct, frozen=True):
    """Rows outside any of these ranges never match; rows inside may. Times are ticks."""

    last_update: Range = Range()
    created: Range = Range()
    incident_id: Range = Range()


def where(expression: Expression, severity: str = "severity") -> tuple[str, list[Parameter]]:
    """The condition over the columns of the incident row, to stand after WHERE or AND, and its parameters.

    `severity` is what stands for that column where a caller may not be told what the row has.
    """
    parameters: list[Parameter] = []
    return _text(expression, parameters, {**_COLUMNS, Field.SEVERITY: severity}), parameters


def bounds(expression: Expression) -> Bounds:
    """The ranges that the expression, or the terms of its outermost `and`, allow."""
    ranges: dict[Field, Range] = {}
    for term in expression.terms if isinstance(expression, And) else (expression,):
        if isinstance(term, Compare | OneOf):
            ranges[term.field] = ranges.get(term.field, Range()).within(_range(term))
    return Bounds(
        last_update=ranges.get(Field.LAST_UPDATE, Range()),
        created=ranges.get(Field.CREATED, Range()),
        incident_id=ranges.get(Field.INCIDENT_ID, Range()),
    )


def _range(term: Compare | OneOf) -> Range:
    if isinstance(term, OneOf):
        numbers = [value for value in term.values if isinstance(value, int)]
        return Range(min(numbers), max(numbers)) if len(numbers) == len(term.values) else Range()
    value = term.value
    if not isinstance(value, int):
        return Range()
    match term.operator:
        case Operator.EQ:
            return Range(value, value)
        case Operator.NE:
            return Range()
        # An end that 64 bits cannot hold stays where it is: a range may be wider than what matches.
        case Operator.GT:
            return Range(lower=min(value + 1, INT64_MAX))
        case Operator.GE:
            return Range(lower=value)
        case Operator.LT:
            return Range(upper=max(value - 1, INT64_MIN))
        case Operator.LE:
            return Range(upper=value)
    assert_never(term.operator)


def _text(expression: Expression, parameters: list[Parameter], columns: _Columns) -> str:
    match expression:
        case Constant(value):
            return "1" if value else "0"
        case Compare():
            return _compare(expression, parameters, columns[expression.field])
        case OneOf():
            return _one_of(expression, parameters, columns[expression.field])
        case TextMatch():
            return _text_match(expression, parameters, columns[expression.field])
        case HasTag(tag):
            # Named so that `document_id` is that of the row outside. A header is JSON text in a blob.
            parameters.append(tag)
            return (
                "EXISTS (SELECT 1 FROM (SELECT document_id AS tagged, header FROM incident_document), "
                "json_each(CAST(header AS TEXT), '$.tags') AS tag WHERE tagged = document_id AND tag.value = ?)"
            )
        case And(terms):
            return "(" + " AND ".join([_text(term, parameters, columns) for term in terms]) + ")"
        case Or(terms):
            return "(" + " OR ".join([_text(term, parameters, columns) for term in terms]) + ")"
        case Not(term):
            return f"(NOT {_text(term, parameters, columns)})"
    assert_never(expression)


def _parameter(value: Value) -> Parameter:
    return encode_enum(value) if isinstance(value, StrEnum) else value


def _compare(term: Compare, parameters: list[Parameter], column: str) -> str:
    parameters.append(_parameter(term.value))
    condition = f"{column} {_OPERATORS[term.operator]} ?"
    if term.field in _NULLABLE and term.operator not in _EQUALITIES:
        # Null AND false is false, and so `not` of it is true.
        return f"({condition} AND {column} IS NOT NULL)"
    return f"({condition})"


def _one_of(term: OneOf, parameters: list[Parameter], column: str) -> str:
    values = [_parameter(value) for value in term.values if value is not None]
    parameters.extend(values)
    condition = f"{column} IN ({','.join('?' * len(values))})"
    if term.field not in _NULLABLE:
        return f"({condition})"
    if len(values) < len(term.values):
        return f"({column} IS NULL OR {condition})"
    return f"({condition} AND {column} IS NOT NULL)"


def _text_match(term: TextMatch, parameters: list[Parameter], column: str) -> str:
    text = term.text
    if not text:
        # Every text holds the empty one, and null stays null.
        return f"(length({column}) >= 0)"
    parameters.append(text)
    match term.function:
        case TextFunction.CONTAINS:
            return f"(instr({column}, ?) > 0)"
        case TextFunction.STARTSWITH:
            return f"(substr({column}, 1, {len(text)}) = ?)"
        case TextFunction.ENDSWITH:
            return f"(substr({column}, -{len(text)}) = ?)"
    assert_never(term.function)
