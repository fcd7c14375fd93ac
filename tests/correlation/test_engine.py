"""Placing alerts: what joins, what stays apart, what merges, and that batches do not matter."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from story import Tenant, address, alert, mail, process, url, user

from tocsin import ticks
from tocsin.correlation.evidence import device_mark, evidence_keys, key_of
from tocsin.correlation.guards import Limits
from tocsin.correlation.memory import FULL, POSTINGS_MAX, SAMPLE_MAX, IncidentFacts, number_of
from tocsin.correlation.working import WorkingEntity
from tocsin.model import Alert, Classification, Determination, Entity, IncidentStatus


def joins(first: Alert, second: Alert) -> bool:
    tenant = Tenant()
    [one], [two] = tenant.take(first), tenant.take(second)
    return one.incident_id == two.incident_id


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        pytest.param(alert(devices=("pc1",)), alert(1, devices=("pc1",)), True, id="same device, a minute apart"),
        pytest.param(alert(devices=("pc1",)), alert(600, devices=("pc1",)), False, id="same device, ten hours apart"),
        pytest.param(alert(devices=("pc1",)), alert(0, devices=("pc2",)), False, id="two devices, same moment"),
        pytest.param(alert(entities=(user("eva"),)), alert(3, entities=(user("EVA"),)), True, id="same user"),
        pytest.param(alert(entities=(user("eva"),)), alert(3, entities=(user("bob"),)), False, id="two users"),
        pytest.param(
            alert(entities=(user("administrator"),)), alert(0, entities=(user("administrator"),)), False, id="admin"
        ),
        pytest.param(
            alert(entities=(url("http://a.example/x"),)),
            alert(1000, entities=(url("http://a.example/x"),)),
            True,
            id="url",
        ),
        pytest.param(alert(entities=(mail("<1@a>"),)), alert(1440, entities=(mail("<1@a>"),)), True, id="mail"),
        pytest.param(
            alert(devices=("pc1",), entities=(process("{a-1}"),)),
            alert(240, devices=("pc1.corp.example",), entities=(process("{A-1}"),)),
            True,
            id="same process, hours later, host named in full",
        ),
        pytest.param(
            alert(devices=("pc1",), entities=(process("{a-1}"),)),
            alert(0, devices=("pc2",), entities=(process("{a-1}"),)),
            False,
            id="same process id on another device",
        ),
        pytest.param(
            alert(entities=(address("127.0.0.1"), address("::1"))),
            alert(0, entities=(address("127.0.0.1"), address("::1"))),
            False,
            id="loopback",
        ),
        pytest.param(alert(), alert(), False, id="nothing but the rule"),
    ],
)
def test_joins_by_what_is_shared_and_when(first: Alert, second: Alert, expected: bool) -> None:
    assert joins(first, second) is expected


def test_an_alert_that_happened_before_joins_as_well() -> None:
    assert joins(alert(5, devices=("pc1",)), alert(4, devices=("pc1",)))


def test_a_link_names_the_earlier_alert_the_score_and_the_evidence() -> None:
    tenant = Tenant()
    tenant.take(alert(devices=("pc1",)))
    tenant.take(alert(1, devices=("pc1",), entities=(url("http://a.example/x"),)))
    (third,) = tenant.take(alert(2, entities=(url("http://a.example/x"),)))
    assert third.link is not None
    assert (third.link.incident_id, third.link.earlier_alert_number, third.opened) == (1, 2, False)
    strongest = third.link.evidence[0]
    assert (strongest.kind, strongest.reason, strongest.age) == ("url", "sharedIndicators", ticks.MINUTE)
    assert 0.5 <= strongest.weight <= third.link.score < 1


def test_names_of_one_thing_count_once() -> None:
    both = Entity(
        entity_type="User", account_name="eva", user_principal_name="eva@corp.example", user_sid="S-1-5-21-7-1104"
    )
    tenant = Tenant()
    (_, second) = tenant.take(alert(entities=(both,)), alert(0, entities=(both,)))
    assert second.link is not None
    assert [each.kind for each in second.link.evidence if each.kind == "user"] == ["user"]


@pytest.mark.parametrize(("others", "opened"), [(0, False), (240, True)])
def test_a_gap_that_is_nothing_in_a_quiet_tenant_splits_in_a_busy_one(others: int, opened: bool) -> None:
    tenant = Tenant()
    tenant.take(alert(0, devices=("pc1",), title="first"))
    for number in range(others):
        tenant.take(alert(number / 4, devices=(f"host{number}",), title=f"rule {number}"))
    (second,) = tenant.take(alert(60, devices=("pc1",), title="second"))
    assert second.opened is opened


def test_repeats_within_a_minute_count_and_teach_nothing() -> None:
    once, often = Tenant(), Tenant()
    once.take(alert(0, devices=("pc1",)))
    placed = often.take(*[alert(second / 60, devices=("pc1",)) for second in range(50)])
    assert [each.incident_id for each in placed] == [1] * 50
    assert often.view.incidents[1].alert_count == 50
    assert often.view.entities == once.view.entities
    link = placed[-1].link
    assert link is not None
    assert (link.earlier_alert_number, [each.kind for each in link.evidence]) == (1, ["sequel"])


def test_a_fold_ends_a_minute_after_its_first_alert() -> None:
    tenant = Tenant()
    placed = tenant.take(*[alert(second / 60, devices=("pc1",)) for second in (0, 59, 60, 61)])
    links = [each.link.earlier_alert_number for each in placed if each.link is not None]
    assert links == [1, 1, 3]


@pytest.mark.parametrize("facts", [{"status": IncidentStatus.RESOLVED}, {"alert_count": 5_000}])
def test_no_repeat_is_folded_into_an_incident_that_takes_no_alert(facts: dict[str, Any]) -> None:
    tenant = Tenant()
    (first,) = tenant.take(alert(0, devices=("pc1",)))
    tenant.put(msgspec.structs.replace(tenant.view.incidents[first.incident_id], **facts))
    (second,) = tenant.take(alert(0.1, devices=("pc1",)))
    assert second.opened


def test_a_flood_on_a_busy_host_stays_one_incident() -> None:
    tenant = Tenant()
    flood = []
    for second in range(0, 900, 20):
        flood.append(tenant.take(alert(second / 60, devices=("wall",), title="Scan"))[0])
        tenant.take(*[alert((second + 1) / 60, devices=(f"pc{second}{n}",), title=f"Rule {n}") for n in range(8)])
    assert len({tenant.incident_of(each) for each in flood}) == 1


@pytest.mark.parametrize(("devices", "opened"), [(1, False), (12, True)])
def test_an_account_seen_on_many_devices_stops_joining(devices: int, opened: bool) -> None:
    tenant = Tenant()
    for number in range(12):
        tenant.take(alert(number * 900, devices=(f"pc{number % devices}",), entities=(user("backup"),)))
    (last,) = tenant.take(alert(11 * 900 + 12, devices=("other",), entities=(user("backup"),)))
    assert last.opened is opened


def test_a_file_seen_in_many_incidents_stops_joining() -> None:
    tool = Entity(entity_type="File", sha256="ab" * 32, file_name="tool.exe", file_path="c:\\tools")
    tenant = Tenant()
    opened = [
        tenant.take(alert(day * 3 * 1440, devices=(f"pc{day}",), entities=(tool,)))[0].opened for day in range(10)
    ]
    assert all(opened)
    assert tenant.take(alert(9 * 3 * 1440 + 30, devices=("pc99",), entities=(tool,)))[0].opened


def test_a_scan_by_addresses_only_is_one_incident() -> None:
    tenant = Tenant()
    placed = [
        tenant.take(alert(n / 60, entities=(address("10.0.0.9"), address(f"10.0.1.{n}")), title="Scan"))[0]
        for n in range(1, 100)
    ]
    assert len({each.incident_id for each in placed}) == 1


def test_unrelated_alerts_of_one_scheduled_run_stay_apart() -> None:
    tenant = Tenant()
    tenant.take(alert(-3000, devices=("pc0",)))
    day = [
        msgspec.structs.replace(each, last_activity=each.first_activity + ticks.DAY)
        for each in (alert(devices=("pc1",), title="a"), alert(devices=("pc2",), title="b"))
    ]
    assert all(each.opened for each in tenant.take(*day))


def bridge(tenant: Tenant) -> None:
    """Two incidents, 1 and 2, that an alert with both urls would join."""
    tenant.take(alert(entities=(url("http://a.example/x"),)), alert(300, entities=(url("http://b.example/y"),)))


BOTH = (url("http://a.example/x"), url("http://b.example/y"))


def test_an_alert_that_ties_two_incidents_merges_them_into_the_older() -> None:
    tenant = Tenant()
    bridge(tenant)
    (third,) = tenant.take(alert(301, entities=BOTH))
    assert third.link is not None
    assert third.link.incident_id == 2
    assert third.incident_id == 1
    assert [(each.source_id, each.target_id, each.earlier_alert_number) for each in third.merges] == [(2, 1, 1)]
    husk, kept = tenant.view.incidents[2], tenant.view.incidents[1]
    assert (husk.status, husk.redirect_to, husk.alert_count) == (IncidentStatus.REDIRECTED, 1, 0)
    assert (kept.alert_count, kept.redirect_to) == (3, 0)


def test_sightings_of_a_husk_lead_to_the_end_of_a_chain() -> None:
    tenant = Tenant()
    bridge(tenant)
    tenant.take(alert(302, entities=(mail("<m@x>"),), title="m"))
    tenant.take(alert(303, entities=(url("http://b.example/y"), mail("<m@x>"))))
    assert tenant.view.incidents[3].redirect_to == 2
    tenant.take(alert(304, entities=BOTH))
    assert tenant.view.incidents[2].redirect_to == 1
    (last,) = tenant.take(alert(305, entities=(mail("<m@x>"),)))
    assert last.incident_id == 1
    assert tenant.view.incidents[1].alert_count == 6


def test_sightings_of_deleted_incidents_are_forgotten() -> None:
    tenant = Tenant()
    tenant.take(alert(devices=("pc1",)))
    tenant.view.incidents.clear()
    assert tenant.take(alert(1, devices=("pc1",)))[0].opened


@pytest.mark.parametrize(
    ("one", "other", "merges"),
    [
        ({}, {}, True),
        ({"assigned_to": "eva"}, {"assigned_to": "bob"}, False),
        ({"assigned_to": "eva"}, {"assigned_to": "eva"}, True),
        ({"assigned_to": "eva"}, {}, True),
        ({"classification": Classification.TRUE_POSITIVE}, {"classification": Classification.FALSE_POSITIVE}, False),
        ({"classification": Classification.TRUE_POSITIVE}, {"classification": Classification.UNKNOWN}, True),
        ({"classification": Classification.TRUE_POSITIVE}, {}, True),
        ({"determination": Determination.MALWARE}, {"determination": Determination.APT}, False),
        ({"determination": Determination.MALWARE}, {"determination": Determination.NOT_AVAILABLE}, True),
        ({"status": IncidentStatus.RESOLVED}, {}, False),
        ({"alert_count": 4_999}, {}, False),
        ({"entity_count": 50_000}, {}, False),
    ],
)
def test_guards_keep_incidents_apart(one: dict[str, object], other: dict[str, object], merges: bool) -> None:
    tenant = Tenant()
    bridge(tenant)
    tenant.put(msgspec.structs.replace(tenant.view.incidents[1], **one))
    tenant.put(msgspec.structs.replace(tenant.view.incidents[2], **other))
    (third,) = tenant.take(alert(301, entities=BOTH))
    assert bool(third.merges) is merges
    assert bool(third.kept_apart) is not merges


def test_a_resolved_incident_takes_no_alert_and_says_so() -> None:
    tenant = Tenant()
    tenant.take(alert(devices=("pc1",)))
    tenant.put(msgspec.structs.replace(tenant.view.incidents[1], status=IncidentStatus.RESOLVED))
    (second,) = tenant.take(alert(0.5, devices=("pc1",)))
    assert second.opened
    assert second.kept_apart[0].startswith("not joined to incident 1 (score ")
    assert second.kept_apart[0].endswith("it is resolved")


def test_a_full_incident_takes_no_alert() -> None:
    tenant = Tenant(Limits(incident_alerts_max=3))
    placed = tenant.take(*(alert(n / 10, devices=("pc1",)) for n in range(4)))
    assert [each.incident_id for each in placed] == [1, 1, 1, 4]


def test_what_is_kept_of_a_hub_is_bounded() -> None:
    tenant = Tenant()
    for number in range(200):
        tenant.take(alert(number * 500, devices=(f"pc{number}",), entities=(user("hub"),)))
    hub = next(e.key for e in evidence_keys(alert(entities=(user("hub"),))) if e.kind.name == "user")
    memory = tenant.view.entities[hub]
    assert len(memory.postings) == POSTINGS_MAX
    assert memory.devices == FULL
    assert [posting.incident_id for posting in memory.postings] == list(range(193, 201))


def test_five_thousand_entities_cost_as_many_keys_as_allowed() -> None:
    crowd = tuple(user(f"u{n}") for n in range(5_000))
    tenant = Tenant()
    tenant.take(alert(devices=("pc1",), entities=crowd))
    assert len(tenant.view.entities) == 64


NAMES = st.sampled_from(["a", "b", "c", "d"])
ALERTS = st.lists(
    st.builds(
        lambda minute, device, who, link, title: alert(
            minute,
            devices=tuple(f"pc-{each}" for each in device),
            entities=(*(user(f"user-{each}") for each in who), *(url(f"http://{each}.example/") for each in link)),
            title=title,
        ),
        st.integers(0, 400),
        st.lists(NAMES, max_size=2),
        st.lists(NAMES, max_size=1),
        st.lists(NAMES, max_size=2),
        NAMES,
    ),
    min_size=1,
    max_size=25,
)


@given(ALERTS, st.lists(st.integers(1, 7), min_size=1, max_size=25))
@settings(max_examples=150, deadline=None)
def test_cutting_into_batches_changes_nothing(alerts: list[Alert], cuts: list[int]) -> None:
    whole, pieces = Tenant(), Tenant()
    expected = whole.take(*alerts)
    placed = []
    rest = list(alerts)
    for size in cuts * len(alerts):
        if rest:
            placed += pieces.take(*rest[:size])
            rest = rest[size:]
    assert placed == expected
    assert pieces.view.entities == whole.view.entities
    assert pieces.view.incidents == whole.view.incidents


@given(ALERTS)
@settings(max_examples=50, deadline=None)
def test_every_alert_is_in_one_living_incident(alerts: list[Alert]) -> None:
    tenant = Tenant()
    placed = tenant.take(*alerts)
    living = [facts for facts in tenant.view.incidents.values() if facts.redirect_to == 0]
    assert sum(facts.alert_count for facts in living) == len(alerts)
    homes = [tenant.incident_of(each) for each in placed]
    assert {facts.incident_id: facts.alert_count for facts in living} == {home: homes.count(home) for home in homes}


def test_facts_of_a_busy_incident_stay_small() -> None:
    tenant = Tenant()
    for number in range(300):
        tenant.take(alert(number / 60, devices=("pc1",), entities=(user(f"u{number}"),), title=f"t{number}"))
    facts = max(tenant.view.incidents.values(), key=lambda each: each.alert_count)
    assert facts.alert_count > 50
    assert isinstance(facts, IncidentFacts)
    assert len(msgspec.msgpack.encode(facts)) < 4_000


def test_a_story_that_pauses_for_an_hour_goes_on_where_a_burst_does_not() -> None:
    slow, fast = Tenant(), Tenant()
    for index in range(6):
        slow.take(alert(index * 60, devices=("pc1",), title=f"slow {index}"))
        fast.take(alert(300 + index / 60, devices=("pc1",), title=f"fast {index}"))
    (after_slow,) = slow.take(alert(360, devices=("pc1",), title="late"))
    (after_fast,) = fast.take(alert(360, devices=("pc1",), title="late"))
    assert (after_slow.opened, after_fast.opened) == (False, True)


@given(st.lists(st.integers(0, 2**32 - 1), min_size=300, max_size=400, unique=True))
def test_the_sample_of_a_tenants_assets_does_not_depend_on_their_order(marks: list[int]) -> None:
    forward, backward = WorkingEntity(None), WorkingEntity(None)
    forward.sample(marks)
    backward.sample(list(reversed(marks)))
    assert forward.freeze() == backward.freeze()
    assert len(forward.devices) == SAMPLE_MAX


@pytest.mark.parametrize("assets", [10, 300, 20_000])
def test_the_number_of_assets_is_known_from_a_sample(assets: int) -> None:
    tenant = WorkingEntity(None)
    tenant.sample([device_mark(key_of("device", f"pc{number}")) for number in range(assets)])
    assert number_of(tenant.devices) == pytest.approx(assets, rel=0.35)
