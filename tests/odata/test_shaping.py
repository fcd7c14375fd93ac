"""`$select`, `$expand`, `$count` and `$format`: what is read, and what is refused."""

from __future__ import annotations

import pytest

from tocsin.errors import InvalidQuery
from tocsin.odata.shaping import Shape, Shapes, parse_shape

SHAPES = Shapes(
    properties=frozenset({"id", "displayName", "status"}),
    expandable={"alerts": frozenset({"id", "title", "evidence"}), "comments": frozenset()},
)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, Shape()),
        ({"$count": "true"}, Shape(count=True)),
        ({"$count": " FALSE "}, Shape()),
        ({"$format": "json"}, Shape()),
        ({"$format": "application/json;odata.metadata=none"}, Shape()),
        ({"$select": "id, status"}, Shape(select=frozenset({"id", "status"}))),
        ({"$select": "*,id"}, Shape()),
        ({"$expand": "alerts"}, Shape(expanded={"alerts": None})),
        ({"$expand": " alerts , comments "}, Shape(expanded={"alerts": None, "comments": None})),
        ({"$expand": "alerts()"}, Shape(expanded={"alerts": None})),
        ({"$expand": "alerts($expand=evidence),comments"}, Shape(expanded={"alerts": None, "comments": None})),
        (
            {"$expand": "alerts($SELECT=id,title;$expand=evidence)"},
            Shape(expanded={"alerts": frozenset({"id", "title"})}),
        ),
    ],
)
def test_what_clients_send_is_read(options: dict[str, str], expected: Shape) -> None:
    assert parse_shape(options, SHAPES) == expected


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"$count": "1"}, "Valid values are 'true' and 'false'"),
        ({"$format": "xml"}, "answers are always JSON"),
        ({"$select": "title"}, "'title'"),
        ({"$select": "id,,status"}, "''"),
        ({"$expand": "evidence"}, "can expand alerts, comments"),
        ({"$expand": ""}, "can expand alerts, comments"),
        ({"$expand": "alerts($select=nothing)"}, "'nothing'"),
        ({"$expand": "alerts($expand=nothing)"}, "'nothing'"),
        ({"$expand": "alerts($filter=id eq 'x')"}, "only $expand and $select"),
        ({"$expand": "alerts($select)"}, "only $expand and $select"),
        ({"$expand": "alerts($select=id"}, "do not match"),
        ({"$expand": "alerts)("}, "do not match"),
        ({"$expand": "(" * 5_000 + ")" * 5_000}, "can expand"),
    ],
)
def test_anything_else_is_refused_by_name(options: dict[str, str], said: str) -> None:
    with pytest.raises(InvalidQuery) as refused:
        parse_shape(options, SHAPES)
    assert said in str(refused.value)
    assert len(str(refused.value)) < 500
