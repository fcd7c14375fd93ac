"""A batch teaches what is usual, and its incidents keep what was not."""

from __future__ import annotations

import msgspec
import pytest
from story import alert

from tocsin import ticks
from tocsin.correlation.engine import Correlator
from tocsin.correlation.habit import ASSETS_KEY, INCIDENTS_KEY
from tocsin.correlation.memory import EntityMemory, IncidentFacts, MemoryView
from tocsin.correlation.priority import priority
from tocsin.correlation.watch import UNREST_KEY, Watch
from tocsin.model import Alert


class Tenant:
    """A stored tenant: what each batch changed goes through msgpack, as a store's would."""

    def __init__(self, moments: bool = True) -> None:
        self.view, self.number, self.moments = MemoryView(), 0, moments
        self.incident_of: dict[str, int] = {}

    def take(self, *alerts: Alert) -> None:
        correlator = Correlator(self.view)
        watch = Watch(self.view, correlator, moments=self.moments)
        for each in alerts:
            self.number += 1
            evidence = correlator.keys_of(each)
            placement = correlator.place(each, self.number, self.number, watch.seen(each, evidence))
            watch.placed(each, evidence[0].key, placement)
            self.incident_of[each.identity] = placement.incident_id
        for key, memory in (correlator.entities_changed | watch.entities_changed).items():
            self.view.entities[key] = msgspec.msgpack.decode(msgspec.msgpack.encode(memory), type=EntityMemory)
        for number, facts in correlator.incidents_changed.items():
            self.view.incidents[number] = msgspec.msgpack.decode(msgspec.msgpack.encode(facts), type=IncidentFacts)

    def points(self, identity: str) -> float:
        return priority(self.view.incidents[self.incident_of[identity]]).points


def routine(hours: int = 48) -> list[Alert]:
    return [alert(hour * 60.0, devices=("web",), title="Update") for hour in range(hours)]


INTRUSION = [
    alert(48 * 60 + 10 + index / 10, devices=(host,), title=title)
    for index, (host, title) in enumerate(
        [("web", "Scan"), ("mail", "Scan"), ("web", "Shell"), ("web", "Update"), ("mail", "Root logon")]
    )
]


def test_something_new_outranks_the_routine() -> None:
    tenant = Tenant()
    tenant.take(*routine(), *INTRUSION)
    assert tenant.points("Scan@2890.0") > 4 * tenant.points("Update@60.0")


def test_one_attack_on_two_hosts_is_one_story_where_moments_may_link() -> None:
    for moments, stories in ((True, 1), (False, 2)):
        tenant = Tenant(moments)
        tenant.take(*routine(), *INTRUSION)
        assert len({tenant.incident_of[each.identity] for each in INTRUSION}) == stories


@pytest.mark.parametrize("size", [1, 2, 7])
def test_cutting_into_other_batches_changes_nothing(size: int) -> None:
    alerts = routine() + INTRUSION
    whole, cut = Tenant(), Tenant()
    whole.take(*alerts)
    for start in range(0, len(alerts), size):
        cut.take(*alerts[start : start + size])
    assert cut.view.incidents == whole.view.incidents
    assert cut.view.entities == whole.view.entities


def test_what_is_kept_can_be_loaded_at_once_and_is_dated_for_retention() -> None:
    view = MemoryView()
    correlator = Correlator(view)
    watch = Watch(view, correlator, moments=True)
    evidence = correlator.keys_of(INTRUSION[0])
    watch.placed(INTRUSION[0], 1, correlator.place(INTRUSION[0], 1, 1, watch.seen(INTRUSION[0], evidence)))
    assert set(watch.entities_changed) == set(watch.keys_of(evidence))
    dates = {memory.last_seen for memory in watch.entities_changed.values()}
    assert dates == {INTRUSION[0].first_activity // ticks.HOUR * ticks.HOUR}


def test_a_new_rule_is_more_urgent_on_a_quiet_host_than_on_one_that_always_has_incidents() -> None:
    tenant = Tenant(moments=False)
    busy = [alert(day * 1440.0 + 1, devices=("proxy",), title=f"Rule {day}") for day in range(20)]
    tenant.take(*sorted(routine(480) + busy, key=lambda each: each.first_activity))
    tenant.take(alert(30_000, devices=("proxy",), title="Strange"), alert(34_000, devices=("share",), title="Odd"))
    assert tenant.points("Odd@34000") > tenant.points("Strange@30000") + 1.0


def test_a_story_counts_once_for_each_asset_it_meets() -> None:
    tenant = Tenant()
    tenant.take(*routine())
    before = tenant.view.entities[INCIDENTS_KEY].level
    tenant.take(*INTRUSION)
    assert len({tenant.incident_of[each.identity] for each in INTRUSION}) == 1
    assert tenant.view.entities[INCIDENTS_KEY].level - before == pytest.approx(2_000, abs=400)
    assert tenant.view.entities[ASSETS_KEY].level == pytest.approx(2_000, abs=100)


def test_unrest_is_written_only_when_something_strange_stirs_it() -> None:
    tenant = Tenant()
    tenant.take(*routine())
    assert UNREST_KEY not in tenant.view.entities
    tenant.take(*INTRUSION)
    assert tenant.view.entities[UNREST_KEY].level > 5_000


def test_memories_and_facts_of_before_are_still_read() -> None:
    old = msgspec.msgpack.encode([[], [1], [2], 3])
    assert msgspec.msgpack.decode(old, type=EntityMemory) == EntityMemory((), (1,), (2,), 3)
    assert priority(IncidentFacts(1, alert_count=3)).score == 0
