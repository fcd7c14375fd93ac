"""An expression written back as `$filter` text, in the names and spellings of a property table.

Reading the text again gives an equal expression; a property test says so.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, assert_never

from tocsin.odata.expression import And, Compare, Constant, Expression, HasTag, Not, OneOf, Or, TextMatch, Value
from tocsin.odata.fields import Kind, Properties, Property
from tocsin.ticks import SECOND, format_ticks

_CYCLE_SECONDS: Final = 12_622_780_800  # 400 Gregorian years


def write_filter(expression: Expression, properties: Properties) -> str:
    """The text of `expression`, decoded. KeyError for a field that the table does not offer: a defect."""
    match expression:
        case Constant(value):
            return "true" if value else "false"
        case Compare(field, operator, value):
            prop = properties.named(field)
            return f"{prop.name} {operator} {_literal(prop, value)}"
        case OneOf(field, values):
            prop = properties.named(field)
            return f"{prop.name} in ({','.join(_literal(prop, value) for value in values)})"
        case TextMatch(field, function, text):
            return f"{function}({properties.named(field).name},{_quoted(text)})"
        case HasTag(tag):
            return f"{properties.tags}/any(t:t eq {_quoted(tag)})"
        case And(terms):
            return " and ".join(_term(term, properties) for term in terms)
        case Or(terms):
            return " or ".join(_term(term, properties) for term in terms)
        case Not(term):
            return f"not ({write_filter(term, properties)})"
    assert_never(expression)


def _term(expression: Expression, properties: Properties) -> str:
    text = write_filter(expression, properties)
    return f"({text})" if isinstance(expression, And | Or) else text


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _literal(prop: Property, value: Value) -> str:
    if value is None:
        return "null"
    match prop.kind:
        case Kind.TIME:
            assert isinstance(value, int)
            return _time(value)
        case Kind.NUMBER:
            return str(value)
        case Kind.TEXT:
            assert isinstance(value, str)
            return _quoted(value)
        case Kind.ENUM:
            assert isinstance(value, StrEnum)
            return _quoted(next(spelling for spelling, member in prop.members.items() if member is value))
    assert_never(prop.kind)


def _time(value: int) -> str:
    if value >= 0:
        return format_ticks(value)
    # format_ticks speaks of 1970 and later, so write an earlier year in a later, equal cycle of the calendar.
    cycles = -(value // (_CYCLE_SECONDS * SECOND))
    shifted = format_ticks(value + cycles * _CYCLE_SECONDS * SECOND)
    return f"{int(shifted[:4]) - 400 * cycles:04}{shifted[4:]}"
