"""An expression written as text reads as the same expression."""

from __future__ import annotations

from hypothesis import given, settings

from expressions import expressions
from tocsin.odata import INCIDENT_PROPERTIES, Compare, Expression, Field, Operator, parse_filter, write_filter


@settings(max_examples=300, deadline=None)
@given(expressions)
def test_written_and_read_again_it_is_equal(expression: Expression) -> None:
    text = write_filter(expression, INCIDENT_PROPERTIES)
    assert parse_filter(text, INCIDENT_PROPERTIES) == expression


def test_the_text_is_what_a_person_would_write() -> None:
    text = "(status in ('Active','InProgress') or assignedTo eq null) and not (severity lt 'High')"
    assert write_filter(parse_filter(text, INCIDENT_PROPERTIES), INCIDENT_PROPERTIES) == text


def test_times_before_1970_keep_their_seven_digits() -> None:
    assert write_filter(Compare(Field.CREATED, Operator.GT, -1), INCIDENT_PROPERTIES) == (
        "createdTime gt 1969-12-31T23:59:59.9999999Z"
    )
