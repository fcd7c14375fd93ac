"""What a tenant tunes is checked, edited by name, and changes exactly the alerts it is about."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from tocsin.correlation.engine import Correlator, Placement
from tocsin.correlation.evidence import evidence_keys
from tocsin.correlation.guards import Limits
from tocsin.correlation.memory import IncidentFacts, MemoryView
from tocsin.correlation.priority import Stake
from tocsin.correlation.signals import Signals
from tocsin.correlation.tuned import Tuned, is_set_aside, suppression_key, tuned_of
from tocsin.correlation.tuning import (
    NO_TUNING,
    Tuning,
    read_tuning,
    with_added,
    with_removed,
    with_setting,
    with_value,
    write_tuning,
)
from tocsin.errors import InvalidInput
from tocsin.model import Alert, Device, Entity, IncidentStatus
from tocsin.ticks import DAY, MINUTE, parse_ticks

ROOT = Path(__file__).parents[2]
START = parse_ticks("2026-03-02T09:00:00Z")


def alert(number: int, *, minutes: float = 0, title: str = "Odd thing", host: str = "", **entity: str) -> Alert:
    at = START + int(minutes * MINUTE)
    return Alert(
        identity=f"a{number}",
        provider_alert_id=f"a{number}",
        service_source="Test",
        first_activity=at,
        last_activity=at,
        title=title,
        devices=(Device(device_dns_name=host),) if host else (),
        entities=(Entity(entity_type="Ip" if "ip_address" in entity else "User", **entity),) if entity else (),  # type: ignore[arg-type]
    )


def placed(tuning: Tuning, *alerts: Alert) -> list[int]:
    """The incident of each alert, named by the place of the alert that opened it."""
    correlator = Correlator(MemoryView(), Limits(), tuned_of(tuning))
    found: list[Placement] = []
    for number, each in enumerate(alerts, 1):
        found.append(correlator.place(each, number, number))
    final = {merge.source_id: merge.target_id for each in found for merge in each.merges}
    return [final.get(each.incident_id, each.incident_id) for each in found]


def tuned(*settings: str) -> Tuning:
    tuning = NO_TUNING
    for each in settings:
        tuning = with_setting(tuning, each)
    return tuning


@pytest.mark.parametrize(
    ("settings", "alerts", "before", "after"),
    [
        (
            ("common_accounts+=svc-*",),
            (alert(1, account_name="svc-backup"), alert(2, minutes=2, account_name="svc-backup")),
            [1, 1],
            [1, 2],
        ),
        (
            ("common_hosts+=jump",),
            (alert(1, host="jump.corp.example"), alert(2, minutes=2, host="JUMP")),
            [1, 1],
            [1, 2],
        ),
        (
            ("merge-score=0.95", "join_score=0.95"),
            (alert(1, account_name="svc-backup"), alert(2, account_name="svc-backup")),
            [1, 1],
            [1, 2],
        ),
        (("never_join+=rule=Odd*;by=device",), (alert(1, host="pc1"), alert(2, minutes=2, host="pc1")), [1, 1], [1, 2]),
        (
            ("never_join+=rule=Scan;with_rule=Odd*",),
            (alert(1, host="pc1"), alert(2, host="pc1", title="Scan"), alert(3, host="pc1")),
            [1, 1, 1],
            [1, 2, 1],
        ),
        (
            ("always_join+=rule=Odd*;same=device;within_minutes=600",),
            (alert(1, host="pc1"), alert(2, host="pc1", minutes=599), alert(3, host="pc2", minutes=599)),
            [1, 2, 3],
            [1, 1, 3],
        ),
        (
            ("always_join+=rule=Odd*;same=nothing;within_minutes=60",),
            (alert(1), alert(2, minutes=59), alert(3, minutes=130)),
            [1, 2, 3],
            [1, 1, 3],
        ),
        (("incident_alerts_max=2",), (alert(1, host="a"), alert(2, host="a"), alert(3, host="a")), [1] * 3, [1, 1, 3]),
    ],
)
def test_a_knob_changes_what_it_says(
    settings: tuple[str, ...], alerts: tuple[Alert, ...], before: list[int], after: list[int]
) -> None:
    assert placed(NO_TUNING, *alerts) == before
    assert placed(tuned(*settings), *alerts) == after


def test_common_addresses_and_programs_hardly_count_and_others_count_as_before() -> None:
    ready = Tuned(tuned("common_addresses+=9.9.9.0/24", "common_binaries+=agent*.exe", f"common_binaries+={'b' * 64}"))
    entities = (
        Entity(entity_type="Ip", ip_address="9.9.9.7"),
        Entity(entity_type="Ip", ip_address="1.1.1.1"),
        Entity(entity_type="File", file_name="Agent7.exe", file_path="C:\\Tools", sha256="a" * 64),
        Entity(entity_type="File", file_name="odd.exe", sha256="b" * 64),
        Entity(entity_type="File", file_name="odd.exe", sha256="c" * 64),
    )
    shown = msgspec.structs.replace(alert(1), entities=entities)
    asked = ("genericIp", "publicIp", "genericFile", "file", "path")
    found = [each.kind for each in ready.evidence(shown, evidence_keys(shown)) if each.kind.name in asked]
    names = [each.name for each in found]
    assert names == ["genericIp", "publicIp", "genericFile", "genericFile", "genericFile", "file"]
    assert all(each.prior <= 0.1 for each in found if each.name.startswith("generic"))


def test_incidents_that_a_rule_keeps_apart_are_not_merged() -> None:
    alerts = (
        alert(1, host="pc1", title="Scan"),
        alert(2, host="pc2"),
        alert(3, host="pc1", title="Scan", minutes=0.1),
        alert(4, host="pc2", minutes=0.1),
        msgspec.structs.replace(
            alert(5, minutes=0.2, title="Both"), devices=(Device(device_dns_name="pc1"), Device(device_dns_name="pc2"))
        ),
    )
    assert placed(NO_TUNING, *alerts)[-1] == 1
    with_rule = placed(tuned("never_join+=rule=Scan;with_rule=Odd*"), *alerts)
    assert with_rule[0] == with_rule[2] != with_rule[1] == with_rule[3]


def test_tuning_that_sets_nothing_is_nothing() -> None:
    """Alerts of many kinds, placed with a Tuned that has no rules, land where they land without one."""
    dice = random.Random(4)
    alerts = [
        alert(n, minutes=n / 3, host=dice.choice(["", "pc1", "pc2"]), account_name=dice.choice(["ann", "bob", "root"]))
        for n in range(200)
    ]
    assert tuned_of(NO_TUNING) is None
    plain, empty = Correlator(MemoryView(), Limits()), Correlator(MemoryView(), Limits(), Tuned(NO_TUNING))
    for number, each in enumerate(alerts, 1):
        assert plain.place(each, number, number) == empty.place(each, number, number)
    assert plain.entities_changed == empty.entities_changed


def test_suppressed_alerts_share_a_resolved_incident_for_a_day_and_leave_no_trace() -> None:
    tuning = tuned("suppress+=rule=Odd*;until=2026-03-03T00:00:00Z;reason=a known job")
    ready = Tuned(tuning)
    rule = ready.suppression(alert(1), START)
    assert rule is not None
    assert ready.suppression(alert(1), START + DAY) is None
    assert ready.suppression(alert(1, title="Else"), START) is None
    correlator, key = Correlator(MemoryView(), Limits(), ready), suppression_key(rule)
    ids = [
        correlator.set_aside(alert(n, host="pc1", minutes=minutes), n, n, key).incident_id
        for n, minutes in ((1, 0), (2, 60), (3, 60 * 26))
    ]
    assert ids == [1, 1, 3]
    facts = correlator.facts_of(1)
    assert is_set_aside(facts)
    assert (facts.status, facts.alert_count) == (IncidentStatus.RESOLVED, 2)
    assert set(correlator.entities_changed) == {key}


def test_criticality_is_the_highest_that_fits_and_none_where_nothing_is_said() -> None:
    ready = Tuned(
        tuned("critical+=device=dc*;tier=critical", "critical+=account=ann;tier=high", "critical+=tag=lab*;tier=low")
    )
    assert ready.stake(IncidentFacts(1, devices=("pc1", "dc1.corp.example"), users=("ann",))) == Stake(
        3, "device dc1.corp.example"
    )
    assert ready.stake(IncidentFacts(1, devices=("pc1",), users=("bob", "ann"))) == Stake(2, "account ann")
    assert ready.stake(IncidentFacts(1, devices=("pc1",))) is None
    assert ready.stake(IncidentFacts(1, signals=Signals(tags=("lab-7",)))) == Stake(0, "tag lab-7")


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("nothing=1", "there is no knob 'nothing'"),
        ("join_score=2", "join.score.*<= 0.95"),
        ("join_score=many", "no value"),
        ("merge_score=0.3", "merge_score"),
        ("common_addresses+=10.0.0.300", "no address"),
        ("common_accounts+=*", "fits everything"),
        ("never_join+=by=device", "say which alerts"),
        ("never_join+=rule=A", "either by"),
        ("never_join+=rule=A;by=luck", "Invalid enum value"),
        ("never_join+=colour=red", "the fields are"),
        ("critical+=device=a;tag=b;tier=low", "exactly one"),
        ("suppress+=rule=A;until=soon;reason=why not", "must be a time"),
        ("suppress+=rule=A;until=2026-01-01", "reason"),
        ("always_join-=3", "has no '3'"),
        ("merges_max", "--set takes"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(setting: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        with_setting(NO_TUNING, setting)


def test_lists_are_edited_by_name_and_rules_by_number_and_all_of_it_is_written_and_read() -> None:
    tuning = with_added(NO_TUNING, "common-accounts", ["svc-a", "svc-b", "svc-a"])
    tuning = with_added(tuning, "common-accounts", ["svc-b"])
    tuning = with_added(tuning, "never-join", ["rule=A", "by=url"])
    tuning = with_added(tuning, "never-join", ["rule=B", "with_device=x"])
    tuning = with_value(tuning, "merges-max", "1")
    assert read_tuning(write_tuning(tuning)) == tuning
    tuning = with_removed(tuning, "never-join", ["1"])
    assert [each.rule for each in tuning.never_join] == ["B"]
    tuning = with_removed(with_value(tuning, "merges_max", "default"), "common-accounts", ["svc-a"])
    assert write_tuning(tuning) == '{"common_accounts":["svc-b"],"never_join":[{"rule":"B","with_device":"x"}]}'


def test_the_page_of_knobs_is_fresh() -> None:
    run = subprocess.run([sys.executable, "scripts/write_tuning.py", "--check"], cwd=ROOT, check=False)
    assert run.returncode == 0, "run scripts/write_tuning.py"
