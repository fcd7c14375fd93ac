"""What a filter means, row by row; the table of null is OData's."""

from __future__ import annotations

import pytest

from expressions import AnyRow
from tocsin.model import Classification, Determination, IncidentStatus, Severity
from tocsin.odata import INCIDENT_PROPERTIES, matches, parse_filter


def row(assigned_to: str | None = "anna", severity: Severity = Severity.MEDIUM) -> AnyRow:
    return AnyRow(
        last_update=20,
        created=10,
        incident_id=7,
        status=IncidentStatus.IN_PROGRESS,
        severity=severity,
        classification=Classification.TRUE_POSITIVE,
        determination=Determination.PHISHING,
        assigned_to=assigned_to,
    )


def holds(text: str, incident: AnyRow) -> bool:
    return matches(parse_filter(text, INCIDENT_PROPERTIES), incident)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("lastUpdateTime gt 1970-01-01T00:00:00.0000019Z", True),
        ("lastUpdateTime gt 1970-01-01T00:00:00.0000020Z", False),
        ("lastUpdateTime ge 1970-01-01T00:00:00.0000020Z", True),
        ("createdTime lt 1970-01-01T00:00:00.0000010Z", False),
        ("createdTime le 1970-01-01T00:00:00.0000010Z", True),
        ("createdTime eq 1970-01-01T00:00:00.000001Z", True),
        ("status eq 'InProgress' and classification eq 'TruePositive' and determination eq 'Phishing'", True),
        ("status ne 'InProgress'", False),
        ("status in ('Active','InProgress')", True),
        ("incidentId in (1,2)", False),
        ("incidentId eq null", False),
        ("incidentId ne null", True),
        ("severity gt 'Low'", True),
        ("severity gt 'Medium'", False),
        ("severity ge 'High'", False),
        ("severity gt 'Informational' and severity lt 'High'", True),
        ("assignedTo eq 'Anna'", False),
        ("assignedTo gt 'a' and assignedTo lt 'b'", True),
        ("startswith(assignedTo,'an') and endswith(assignedTo,'na') and contains(assignedTo,'nn')", True),
        ("startswith(assignedTo,'An')", False),
        ("false or true", True),
        ("true and false", False),
        ("not false", True),
    ],
)
def test_a_filter_selects(text: str, wanted: bool) -> None:
    assert holds(text, row()) is wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("assignedTo eq null", True),
        ("assignedTo ne null", False),
        ("assignedTo ne 'x'", True),
        ("assignedTo eq 'x'", False),
        ("not (assignedTo eq 'x')", True),
        ("assignedTo lt 'x'", False),
        ("not (assignedTo lt 'x')", True),
        ("assignedTo ge null", False),
        ("assignedTo in ('x',null)", True),
        ("not (assignedTo in ('x'))", True),
        ("contains(assignedTo,'x')", False),
        ("not contains(assignedTo,'x')", False),
        ("contains(assignedTo,'x') or true", True),
        ("not (contains(assignedTo,'x') and false)", True),
        ("not (contains(assignedTo,'x') and true)", False),
        ("not (contains(assignedTo,'x') or false)", False),
    ],
)
def test_an_incident_of_nobody_follows_the_rules_of_null(text: str, wanted: bool) -> None:
    assert holds(text, row(assigned_to=None)) is wanted


def test_severity_orders_by_rank_and_not_by_spelling() -> None:
    chosen = [severity for severity in Severity if holds("severity ge 'Low'", row(severity=severity))]
    assert chosen == [Severity.LOW, Severity.MEDIUM, Severity.HIGH]
