"""A strange moment is evidence where entities cannot link."""

from __future__ import annotations

import pytest
from story import alert, user

from tocsin.correlation.engine import Correlator
from tocsin.correlation.evidence import evidence_keys
from tocsin.correlation.habit import Surprise
from tocsin.correlation.kinds import ODD, STRANGE
from tocsin.correlation.memory import MemoryView
from tocsin.correlation.unusual import is_strange, unusual_evidence

NEW = Surprise(6.0, 1.0, 48.0)
ODD_ONE = Surprise(2.5, 0.4, 48.0)


@pytest.mark.parametrize(
    ("surprises", "kind"),
    [
        ((NEW,), STRANGE),
        ((ODD_ONE,), ODD),
        ((ODD_ONE, NEW), STRANGE),
        ((Surprise(1.0, 0.2, 48.0),), None),
        ((Surprise(4.0, 1.0, 12.0),), None),
        ((Surprise(3.0, 0.5, 48.0, 0.1),), None),
        ((), None),
    ],
)
def test_only_what_is_unusual_in_a_tenant_known_for_a_day_is_evidence(
    surprises: tuple[Surprise, ...], kind: object
) -> None:
    evidence = unusual_evidence(evidence_keys(alert(devices=("web",))), surprises)
    assert (evidence and evidence.kind) == kind
    assert is_strange(NEW)
    assert not is_strange(ODD_ONE)


def test_an_alert_that_names_more_than_hosts_needs_no_moment() -> None:
    named = evidence_keys(alert(devices=("web",), entities=(user("ann"),)))
    assert unusual_evidence(named, (NEW,)) is None


class Hosts:
    """Alerts on different hosts, each with the surprise it has."""

    def __init__(self) -> None:
        self.correlator, self.number = Correlator(MemoryView()), 0

    def take(self, minute: float, host: str, surprise: Surprise) -> int:
        self.number += 1
        given = alert(minute, devices=(host,), title=f"Rule {self.number}")
        found = self.correlator.keys_of(given)
        unusual = unusual_evidence(found, (surprise,))
        evidence = found + (() if unusual is None else (unusual,))
        return self.correlator.place(given, self.number, self.number, evidence).incident_id


def test_strange_things_on_two_hosts_within_a_minute_are_one_story() -> None:
    hosts = Hosts()
    assert hosts.take(0, "web", NEW) == hosts.take(0.5, "mail", NEW) == hosts.take(1.2, "monitor", ODD_ONE)
    assert hosts.take(1.4, "printer", Surprise(0.2, 0.1, 48.0)) != 1


def test_strange_things_hours_apart_are_not() -> None:
    hosts = Hosts()
    assert hosts.take(0, "web", NEW) != hosts.take(240, "mail", NEW)


def test_a_chain_of_strange_things_ends_after_minutes_of_calm() -> None:
    hosts = Hosts()
    assert len({hosts.take(minute * 7, f"pc{minute}", NEW) for minute in range(12)}) == 12


def test_where_strange_things_come_from_many_incidents_a_moment_says_less() -> None:
    hosts = Hosts()
    for minute in range(0, 40, 4):
        hosts.take(minute, f"pc{minute}", NEW)
    assert hosts.take(38, "pc99", NEW) == hosts.number
