"""Filter expressions and rows at random, shared by the tests of the language and of the stores."""

from __future__ import annotations

from enum import StrEnum

import msgspec
from hypothesis import strategies as st

from tocsin.model import Classification, Determination, IncidentStatus, Severity
from tocsin.odata import (
    And,
    Compare,
    Constant,
    Expression,
    Field,
    Not,
    OneOf,
    Operator,
    Or,
    TextFunction,
    TextMatch,
    Value,
)
from tocsin.ticks import LATEST

YEAR_ONE = -62_135_596_800 * 10_000_000
EQUALITIES = (Operator.EQ, Operator.NE)
ENUMS: dict[Field, type[StrEnum]] = {
    Field.STATUS: IncidentStatus,
    Field.SEVERITY: Severity,
    Field.CLASSIFICATION: Classification,
    Field.DETERMINATION: Determination,
}


class AnyRow(msgspec.Struct, frozen=True):
    """What `odata.Row` asks for."""

    last_update: int
    created: int
    incident_id: int
    status: IncidentStatus
    severity: Severity
    classification: Classification
    determination: Determination
    assigned_to: str | None


# Few values, so that rows and expressions meet; and the ends of each range.
times = st.sampled_from([0, 1, 2, 15_912_074_694_633_333, 15_912_074_694_633_334, LATEST, YEAR_ONE]) | st.integers(
    YEAR_ONE, LATEST
)
numbers = st.integers(-2, 4) | st.sampled_from([2**63 - 1, -(2**63)])
# Null and text have the most ways to go wrong, so they come up the most.
_NOT_OF_INCIDENTS = (Field.SERVICE_SOURCE, Field.DEVICE_ID, Field.DEVICE_NAME)
fields = st.sampled_from([*[field for field in Field if field not in _NOT_OF_INCIDENTS], *[Field.ASSIGNED_TO] * 6])
names = st.sampled_from(
    ["", "a", "A", "ab", "ba", "aba", "é", "É", "%", "_", "a%", "a_b", "ab'", "''", "\U0001f514a", "soc@x.example"]
) | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=4)

rows = st.builds(
    AnyRow,
    last_update=times,
    created=times,
    incident_id=numbers,
    status=st.sampled_from(IncidentStatus),
    severity=st.sampled_from(Severity),
    classification=st.sampled_from(Classification),
    determination=st.sampled_from(Determination),
    assigned_to=st.none() | names,
)


def _values(field: Field) -> st.SearchStrategy[Value]:
    if field in ENUMS:
        return st.sampled_from(list(ENUMS[field]))
    if field is Field.ASSIGNED_TO:
        return names
    return numbers if field is Field.INCIDENT_ID else times


@st.composite
def comparisons(draw: st.DrawFn) -> Compare:
    field = draw(fields)
    ordered = field not in ENUMS or field is Field.SEVERITY
    operator = draw(st.sampled_from(list(Operator) if ordered else EQUALITIES))
    value = draw(_values(field) | st.none() if operator in EQUALITIES else _values(field))
    return Compare(field, operator, value)


@st.composite
def memberships(draw: st.DrawFn) -> OneOf:
    field = draw(fields)
    return OneOf(field, tuple(draw(st.lists(_values(field) | st.none(), min_size=1, max_size=4))))


text_matches = st.builds(TextMatch, st.just(Field.ASSIGNED_TO), st.sampled_from(TextFunction), names)
plain: st.SearchStrategy[Expression] = comparisons() | memberships() | text_matches
leaves: st.SearchStrategy[Expression] = plain | st.builds(Not, plain) | st.builds(Constant, st.booleans())


def _terms(inner: st.SearchStrategy[Expression], same: type[And | Or]) -> st.SearchStrategy[tuple[Expression, ...]]:
    return st.lists(inner.filter(lambda term: not isinstance(term, same)), min_size=2, max_size=4).map(tuple)


def _larger(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    return st.builds(And, _terms(inner, And)) | st.builds(Or, _terms(inner, Or)) | st.builds(Not, inner)


expressions: st.SearchStrategy[Expression] = st.recursive(leaves, _larger, max_leaves=8)
