"""The automatic names of incidents."""

from __future__ import annotations

import pytest

from tocsin.correlation.memory import FACTS_MAX, IncidentFacts
from tocsin.correlation.title import TITLE_MAX, incident_title

ONE = IncidentFacts(1, alert_count=1, titles=("Odd logon",), devices=("pc1",), categories=("InitialAccess",))


def facts(**fields: object) -> IncidentFacts:
    known = {"alert_count": 5, "titles": ("Odd logon",), "categories": ("InitialAccess",), "sources": ("A",)}
    return IncidentFacts(1, **(known | fields))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("incident", "name"),
    [
        (ONE, "Odd logon"),
        (facts(devices=("a", "b", "c")), "Odd logon on 3 devices"),
        (facts(devices=("a",)), "Odd logon on one device"),
        (facts(users=("eva", "bob")), "Odd logon involving 2 users"),
        (facts(), "Odd logon"),
        (facts(titles=("x", "y"), devices=("a",)), "Initial access incident on one device"),
        (
            facts(
                titles=("x", "y"),
                categories=("InitialAccess", "LateralMovement"),
                devices=("a", "b", "c"),
                sources=("A", "B"),
            ),
            "Multi-stage incident: Initial access and Lateral movement on 3 devices, reported by 2 sources",
        ),
        (
            facts(titles=("x", "y"), categories=("A", "B", "C", "D", "E")),
            "Multi-stage incident: A, B, C and 2 more",
        ),
        (
            facts(devices=tuple(f"pc{n}" for n in range(FACTS_MAX))),
            f"Odd logon on more than {FACTS_MAX} devices",
        ),
        (IncidentFacts(1), "Security incident"),
    ],
)
def test_names(incident: IncidentFacts, name: str) -> None:
    assert incident_title(incident) == name


def test_a_name_has_a_limit() -> None:
    long = incident_title(facts(titles=("t" * 999,), devices=("a",)))
    assert len(long) == TITLE_MAX
    assert long.endswith("t on one device")
