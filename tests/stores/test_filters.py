"""The SQL of a filter finds exactly what the filter means."""

from __future__ import annotations

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expressions import AnyRow, expressions, rows
from tocsin.model import Classification, Determination, IncidentStatus, Severity
from tocsin.odata import INCIDENT_PROPERTIES, Expression, matches, parse_filter
from tocsin.stores.codes import encode_enum
from tocsin.stores.filters import INT64_MAX, Bounds, Range, bounds, where

TABLE = """CREATE TABLE incident (row INTEGER PRIMARY KEY, last_update INTEGER NOT NULL, created INTEGER NOT NULL,
incident_id INTEGER NOT NULL, status INTEGER NOT NULL, severity INTEGER NOT NULL, classification INTEGER NOT NULL,
determination INTEGER NOT NULL, assigned_to TEXT) STRICT"""


def stored(incidents: list[AnyRow]) -> apsw.Connection:
    connection = apsw.Connection(":memory:")
    connection.execute(TABLE)
    connection.executemany(
        "INSERT INTO incident VALUES (?,?,?,?,?,?,?,?,?)",
        [
            (
                number,
                row.last_update,
                row.created,
                row.incident_id,
                encode_enum(row.status),
                encode_enum(row.severity),
                encode_enum(row.classification),
                encode_enum(row.determination),
                row.assigned_to,
            )
            for number, row in enumerate(incidents)
        ],
    )
    return connection


def found(connection: apsw.Connection, expression: Expression) -> list[int]:
    condition, parameters = where(expression)
    return [
        row for (row,) in connection.execute(f"SELECT row FROM incident WHERE {condition} ORDER BY row", parameters)
    ]


def inside(allowed: Range, value: int) -> bool:
    return (allowed.lower is None or value >= allowed.lower) and (allowed.upper is None or value <= allowed.upper)


def owned(name: str | None) -> AnyRow:
    return AnyRow(
        0,
        0,
        1,
        IncidentStatus.ACTIVE,
        Severity.LOW,
        Classification.UNKNOWN,
        Determination.NOT_AVAILABLE,
        name,
    )


def read(text: str) -> Expression:
    return parse_filter(text, INCIDENT_PROPERTIES)


@settings(max_examples=300, deadline=None)
@given(st.lists(rows, min_size=1, max_size=12), st.lists(expressions, min_size=1, max_size=6))
def test_sql_finds_the_rows_that_match_and_no_others(incidents: list[AnyRow], asked: list[Expression]) -> None:
    connection = stored(incidents)
    for expression in asked:
        wanted = [number for number, row in enumerate(incidents) if matches(expression, row)]
        assert found(connection, expression) == wanted
    connection.close()


@settings(max_examples=300, deadline=None)
@given(st.lists(rows, min_size=1, max_size=12), expressions)
def test_rows_outside_the_bounds_never_match(incidents: list[AnyRow], expression: Expression) -> None:
    allowed = bounds(expression)
    for row in incidents:
        if matches(expression, row):
            assert inside(allowed.last_update, row.last_update)
            assert inside(allowed.created, row.created)
            assert inside(allowed.incident_id, row.incident_id)


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("incidentId ge 5", Bounds(incident_id=Range(5, None))),
        ("incidentId gt 5 and status eq 'Active' and incidentId le 9", Bounds(incident_id=Range(6, 9))),
        ("incidentId in (7,3,5)", Bounds(incident_id=Range(3, 7))),
        (
            "incidentId eq 4 and createdTime lt 1970-01-01T00:00:01Z",
            Bounds(Range(), Range(None, 9_999_999), Range(4, 4)),
        ),
        ("lastUpdateTime ge 1970-01-02 or createdTime ge 1970-01-02", Bounds()),
        ("not (lastUpdateTime ge 1970-01-02)", Bounds()),
        ("incidentId ne 4", Bounds()),
        ("incidentId in (7,null)", Bounds()),
        (f"incidentId gt {INT64_MAX}", Bounds(incident_id=Range(INT64_MAX, None))),
        ("incidentId gt 5 and incidentId lt 3", Bounds(incident_id=Range(6, 2))),
    ],
)
def test_bounds_are_those_of_the_outermost_and(text: str, allowed: Bounds) -> None:
    assert bounds(read(text)) == allowed


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("contains(assignedTo,'%')", ["50%"]),
        ("contains(assignedTo,'_')", ["a_b"]),
        ("startswith(assignedTo,'A')", ["Anna"]),
        ("endswith(assignedTo,'a')", ["Anna", "anna"]),
        ("startswith(assignedTo,'')", ["50%", "a_b", "Anna", "anna", ""]),
        ("assignedTo eq null", [None]),
        ("assignedTo ne 'anna'", ["50%", "a_b", "Anna", "", None]),
        ("not (assignedTo gt 'A')", ["50%", "", None]),
        ("not contains(assignedTo,'nn')", ["50%", "a_b", ""]),
        ("assignedTo in ('anna',null)", ["anna", None]),
        ("not (assignedTo in ('anna'))", ["50%", "a_b", "Anna", "", None]),
    ],
)
def test_text_has_case_no_wildcards_and_knows_null(text: str, wanted: list[str | None]) -> None:
    everybody = ["50%", "a_b", "Anna", "anna", "", None]
    connection = stored([owned(name) for name in everybody])
    assert [everybody[row] for row in found(connection, read(text))] == wanted
    connection.close()


def test_text_is_counted_in_characters() -> None:
    connection = stored([owned("Zo\u00e9"), owned("\U0001f514 bell")])
    assert found(connection, read("endswith(assignedTo,'\u00e9')")) == [0]
    assert found(connection, read("startswith(assignedTo,'\U0001f514 ')")) == [1]
    connection.close()


def test_no_value_stands_in_the_sql_text() -> None:
    condition, parameters = where(read("assignedTo eq '); DROP TABLE incident --' and incidentId eq 77"))
    assert "DROP" not in condition
    assert "77" not in condition
    assert parameters == ["); DROP TABLE incident --", 77]


def test_a_list_as_long_as_a_filter_may_be_is_one_query() -> None:
    text = f"incidentId in ({','.join(['1'] * 4000)})"
    connection = stored([owned(None)])
    assert found(connection, read(text)) == [0]
    connection.close()


def test_the_largest_filter_is_no_deeper_than_sqlite_takes() -> None:
    chain = " or ".join(["incidentId eq 2"] * 24 + ["incidentId eq 1"])
    nested = "not (" * 24 + "incidentId eq 1" + ")" * 24
    connection = stored([owned(None)])
    assert found(connection, read(chain)) == [0]
    assert found(connection, read(nested)) == [0]
    connection.close()
