"""Names and types: what a filter on `/api/incidents` becomes, and the sentences of what it may not be."""

from __future__ import annotations

import pytest

from tocsin.errors import InvalidQuery
from tocsin.model import Classification, Determination, IncidentStatus, Severity
from tocsin.odata import (
    INCIDENT_PROPERTIES,
    And,
    Compare,
    Constant,
    Expression,
    Field,
    Kind,
    Not,
    OneOf,
    Operator,
    Or,
    Properties,
    Property,
    TextFunction,
    TextMatch,
    by_name,
    parse_filter,
    spelled_camel,
)

STAMP = 15_912_074_694_633_333
ACTIVE = Compare(Field.STATUS, Operator.EQ, IncidentStatus.ACTIVE)
NOBODY = Compare(Field.ASSIGNED_TO, Operator.EQ, None)
LOW = Compare(Field.SEVERITY, Operator.EQ, Severity.LOW)


def read(text: str) -> Expression:
    return parse_filter(text, INCIDENT_PROPERTIES)


def refusal(text: str) -> str:
    with pytest.raises(InvalidQuery) as caught:
        read(text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("lastUpdateTime ge 2020-06-03T18:04:29.4633333Z", Compare(Field.LAST_UPDATE, Operator.GE, STAMP)),
        ("2020-06-03T18:04:29.4633333Z lt lastUpdateTime", Compare(Field.LAST_UPDATE, Operator.GT, STAMP)),
        ("createdTime lt 1970-01-02", Compare(Field.CREATED, Operator.LT, 864_000_000_000)),
        ("status eq 'Active'", ACTIVE),
        ("'Active' eq status", ACTIVE),
        ("status eq any.thing.IncidentStatus'Active'", ACTIVE),
        ("severity ge 'Medium'", Compare(Field.SEVERITY, Operator.GE, Severity.MEDIUM)),
        ("classification ne 'Unknown'", Compare(Field.CLASSIFICATION, Operator.NE, Classification.UNKNOWN)),
        ("determination eq 'Apt'", Compare(Field.DETERMINATION, Operator.EQ, Determination.APT)),
        ("incidentId eq 924565", Compare(Field.INCIDENT_ID, Operator.EQ, 924_565)),
        ("assignedTo eq null", NOBODY),
        ("null eq assignedTo", NOBODY),
        ("assignedTo gt 'm'", Compare(Field.ASSIGNED_TO, Operator.GT, "m")),
        ("assignedTo gt null", Constant(False)),
        ("incidentId ne null", Compare(Field.INCIDENT_ID, Operator.NE, None)),
        (
            "status in ('Active','InProgress')",
            OneOf(Field.STATUS, (IncidentStatus.ACTIVE, IncidentStatus.IN_PROGRESS)),
        ),
        ('status in ["Active"]', OneOf(Field.STATUS, (IncidentStatus.ACTIVE,))),
        ("assignedTo in ('a',null)", OneOf(Field.ASSIGNED_TO, ("a", None))),
        ("incidentId in ()", Constant(False)),
        ("startswith(assignedTo,'a''b')", TextMatch(Field.ASSIGNED_TO, TextFunction.STARTSWITH, "a'b")),
        ("EndsWith(assignedTo,'a')", TextMatch(Field.ASSIGNED_TO, TextFunction.ENDSWITH, "a")),
        ("contains( assignedTo , 'a' )", TextMatch(Field.ASSIGNED_TO, TextFunction.CONTAINS, "a")),
        ("true", Constant(True)),
        ("not (status eq 'Active')", Not(ACTIVE)),
        ("status eq 'Active' and assignedTo eq null", And((ACTIVE, NOBODY))),
        ("status eq 'Active' and (assignedTo eq null and severity eq 'Low')", And((ACTIVE, NOBODY, LOW))),
        ("status eq 'Active' or assignedTo eq null and severity eq 'Low'", Or((ACTIVE, And((NOBODY, LOW))))),
        ("(status eq 'Active' or assignedTo eq null) and severity eq 'Low'", And((Or((ACTIVE, NOBODY)), LOW))),
        ("  status eq 'Active' ", ACTIVE),
    ],
)
def test_filters_become_expressions(text: str, expression: Expression) -> None:
    assert read(text) == expression


def test_a_date_before_1970_is_a_time_like_any_other() -> None:
    assert read("createdTime gt 0001-01-01T00:00:00Z") == Compare(Field.CREATED, Operator.GT, -621_355_968_000_000_000)


@pytest.mark.parametrize(
    ("text", "left", "right", "kind"),
    [
        ("assignedTo eq 5", "Edm.String", "Edm.Int32", "Equal"),
        ("incidentId ne '5'", "Edm.Int64", "Edm.String", "NotEqual"),
        ("lastUpdateTime ge '2020-06-03T18:04:29Z'", "Edm.DateTimeOffset", "Edm.String", "GreaterThanOrEqual"),
        ("createdTime gt 12:30", "Edm.DateTimeOffset", "Edm.TimeOfDay", "GreaterThan"),
        ("status eq true", "tocsin.IncidentStatus", "Edm.Boolean", "Equal"),
        ("status eq x.Severity'Low'", "tocsin.IncidentStatus", "x.Severity", "Equal"),
        ("incidentId lt 5.5", "Edm.Int64", "Edm.Decimal", "LessThan"),
        ("incidentId le INF", "Edm.Int64", "Edm.Double", "LessThanOrEqual"),
        ("status in (1)", "tocsin.IncidentStatus", "Edm.Int32", "Equal"),
        ("1 eq 'a'", "Edm.Int32", "Edm.String", "Equal"),
        ("assignedTo and true", "Edm.String", "Edm.Boolean", "And"),
        ("true or 5", "Edm.Int32", "Edm.Boolean", "Or"),
        ("not assignedTo in ('a') eq 5", "Edm.Boolean", "Edm.Int32", "Equal"),
    ],
)
def test_types_that_do_not_fit_are_named(text: str, left: str, right: str, kind: str) -> None:
    assert refusal(text).startswith(
        "A binary operator with incompatible types was detected. "
        f"Found operand types '{left}' and '{right}' for operator kind '{kind}'."
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("foo eq 1", "Could not find a property named 'foo' on type 'tocsin.Incident'."),
        (
            "Status eq 'Active'",
            "Could not find a property named 'Status' on type 'tocsin.Incident'. "
            "Names are case-sensitive: did you mean 'status'?",
        ),
        ("incidentName eq 'x'", "The property 'incidentName' cannot be used in the $filter query option."),
        ("status", "The $filter expression must evaluate to a single boolean value."),
        ("'text'", "The $filter expression must evaluate to a single boolean value."),
        ("null", "The $filter expression must evaluate to a single boolean value."),
        (
            "createdTime gt 0000-01-01",
            "The year of the time for the property 'createdTime' is not between 1 and 9999.",
        ),
        (
            "tolower(assignedTo) eq 'a'",
            "The function 'tolower' is not supported here, at position 0 in 'tolower(assignedTo) eq 'a''.",
        ),
        ("true and a/b eq 1", "The path 'a/b' is not supported here, at position 9 in 'true and a/b eq 1'."),
        (
            "lastUpdateTime gt createdTime",
            "The operator 'gt' at position 15 in 'lastUpdateTime gt createdTime' is not supported here: "
            "it compares a property with a literal.",
        ),
    ],
)
def test_refusals_say_what_and_where(text: str, sentence: str) -> None:
    assert refusal(text) == sentence


@pytest.mark.parametrize("value", ["Aktive", "active", "", "Active,Resolved", "0"])
def test_an_unknown_enum_member_is_refused_with_those_there_are(value: str) -> None:
    assert refusal(f"status eq '{value}'") == (
        f"The string '{value}' is not a valid enumeration type constant. "
        "'status' takes: Active, InProgress, Resolved, Redirected."
    )


@pytest.mark.parametrize("name", ["status", "classification", "determination"])
def test_only_severity_has_an_order_among_the_enumerations(name: str) -> None:
    assert f"The operator 'gt' is not supported for the property '{name}', at position" in refusal(f"{name} gt 'Apt'")


@pytest.mark.parametrize("text", ["not status eq 'Active'", "not assignedTo"])
def test_a_not_without_parentheses_gets_a_hint(text: str) -> None:
    assert "write not (a eq b)" in refusal(text)


def test_a_quoted_time_gets_a_hint() -> None:
    assert refusal("createdTime gt '2020-01-01T00:00:00Z'").endswith("Write the time without quotes.")


@pytest.mark.parametrize(
    "text",
    ["contains(status,'Act')", "contains('abc',assignedTo)", "contains(assignedTo,null)", "contains(assignedTo,5)"],
)
def test_text_functions_take_a_text_property_and_a_text(text: str) -> None:
    assert refusal(text).startswith("No function signature for the function with name 'contains' matches")


def test_another_dialect_has_other_names_and_spellings_for_the_same_fields() -> None:
    graph = Properties(
        type_name="microsoft.graph.security.incident",
        by_name=by_name(
            [
                Property(
                    name="status",
                    field=Field.STATUS,
                    kind=Kind.ENUM,
                    type_name="microsoft.graph.security.incidentStatus",
                    members=spelled_camel(IncidentStatus),
                )
            ]
        ),
    )
    assert parse_filter("status eq 'inProgress'", graph) == Compare(
        Field.STATUS, Operator.EQ, IncidentStatus.IN_PROGRESS
    )
    with pytest.raises(InvalidQuery, match="not a valid enumeration type constant"):
        parse_filter("status eq 'InProgress'", graph)
