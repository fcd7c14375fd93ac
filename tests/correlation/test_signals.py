"""What an incident's priority is made of grows alert by alert."""

from __future__ import annotations

import msgspec
import pytest
from story import address, alert, user

from tocsin import ticks
from tocsin.correlation.evidence import evidence_keys
from tocsin.correlation.habit import Surprise
from tocsin.correlation.signals import (
    FINDINGS_MAX,
    NOBODY,
    TAGS_MAX,
    Signals,
    assets_of,
    merged_signals,
    tags_together,
    threat_of,
    with_alert,
)
from tocsin.correlation.unusual import Unrest
from tocsin.model import Device, Entity, Severity

NEW = Surprise(6.0, 1.0, 48.0)
USUAL = Surprise(0.5, 0.1, 48.0)
CALM = Unrest()


def test_an_asset_is_a_device_else_an_address_else_an_account() -> None:
    def labels(*, devices: tuple[str, ...] = (), entities: tuple[Entity, ...] = ()) -> list[str]:
        evidence = evidence_keys(alert(devices=devices, entities=entities))
        texts = {each.key: each.text for each in evidence}
        return [texts.get(key, "nobody") for key in assets_of(evidence)]

    assert labels(devices=("pc1", "pc2"), entities=(user("ann"),)) == ["pc1", "pc2"]
    assert labels(entities=(address("10.0.0.4"), user("ann"))) == ["10.0.0.4"]
    assert labels(entities=(user("ann"),)) == ["ann"]
    assert assets_of(evidence_keys(alert())) == (NOBODY,)


def test_a_repeat_adds_nothing_but_a_higher_severity() -> None:
    once, unrest = with_alert(Signals(), alert(), 1, {2: NEW}, CALM)
    again, still = with_alert(once, alert(1), 1, {2: USUAL}, unrest)
    assert again.findings == once.findings
    assert still == unrest
    worse, _ = with_alert(once, msgspec.structs.replace(alert(1), severity=Severity.HIGH), 1, {2: USUAL}, unrest)
    assert [(each.severity, each.bits) for each in worse.findings] == [(4, 6.0)]


def test_findings_are_bounded_and_the_surprising_ones_stay() -> None:
    signals = Signals()
    for rule in range(FINDINGS_MAX + 20):
        signals, _ = with_alert(signals, alert(), rule, {2: NEW if rule == 3 else USUAL}, CALM)
    assert len(signals.findings) == FINDINGS_MAX
    assert signals.findings[0].rule == 3


def test_a_moment_is_made_of_what_others_do() -> None:
    signals, unrest = Signals(), CALM
    for rule in range(25):
        signals, unrest = with_alert(signals, alert(), rule, {2: NEW}, unrest)
    assert signals.moment == 0.0
    other, _ = with_alert(Signals(), alert(1), 50, {3: USUAL}, unrest)
    assert other.moment == 1.0
    later, _ = with_alert(Signals(), alert(240), 50, {3: USUAL}, unrest)
    assert later.moment == pytest.approx(0.0, abs=0.01)


def test_what_is_usual_stirs_nothing() -> None:
    _, unrest = with_alert(Signals(), alert(), 1, {2: USUAL}, CALM)
    assert unrest == CALM
    _, unknown = with_alert(Signals(), alert(), 1, {2: Surprise(3.0, 1.0, 5.0)}, CALM)
    assert unknown == CALM


def test_a_merge_keeps_the_findings_of_both_and_the_lesser_moment() -> None:
    one, unrest = with_alert(Signals(), alert(), 1, {2: NEW}, CALM)
    other, _ = with_alert(Signals(), alert(1), 5, {3: NEW}, unrest)
    both = merged_signals(one, other)
    assert {each.rule for each in both.findings} == {1, 5}
    assert (one.moment, both.moment) == (0.0, 0.0)
    assert both.own.level(alert(1).first_activity) == pytest.approx(11.8, abs=0.1)


def test_the_order_of_arrival_of_findings_does_not_matter() -> None:
    def grown(rules: range) -> Signals:
        signals = Signals()
        for rule in rules:
            signals, _ = with_alert(signals, alert(), rule, {2: Surprise(rule % 5, 0.1, 48.0)}, CALM)
        return signals

    assert grown(range(90)).findings == grown(range(89, -1, -1)).findings


def test_tags_tell_how_critical_a_device_is() -> None:
    tagged = Device(device_dns_name="dc1", tags=("Lab", "Tier-0"))
    several = msgspec.structs.replace(alert(), devices=(Device(device_dns_name="pc"), tagged))
    assert with_alert(Signals(), several, 1, {2: USUAL}, CALM)[0].criticality == 3
    assert with_alert(Signals(), alert(devices=("pc",)), 1, {2: USUAL}, CALM)[0].criticality == 0


def test_tags_are_kept_once_and_bounded_and_the_critical_ones_stay() -> None:
    signals = Signals()
    for number in range(TAGS_MAX + 5):
        tagged = Device(device_dns_name="pc", tags=(f"Lab-{number} ", "lab-0"))
        signals, _ = with_alert(signals, msgspec.structs.replace(alert(number), devices=(tagged,)), 1, {2: USUAL}, CALM)
    assert signals.tags == tuple(f"lab-{number}" for number in range(TAGS_MAX))
    assert tags_together(signals.tags, ["lab-99"]) is signals.tags
    assert tags_together(signals.tags, ["tier0"])[0] == "tier0"
    assert merged_signals(Signals(tags=("a",)), Signals(tags=("b", "a"))).tags == ("a", "b")


def test_an_actor_a_family_or_a_verdict_confirms_a_threat() -> None:
    replace = msgspec.structs.replace
    assert threat_of(alert()) == ""
    assert threat_of(replace(alert(), actor_name="Grey Heron")) == "actor Grey Heron"
    assert threat_of(replace(alert(), threat_family_name="Lumen")) == "threat Lumen"
    bad = Entity(entity_type="File", verdict="Malicious")
    assert threat_of(alert(entities=(user("ann"), bad))) == "a malicious File"
    assert threat_of(alert(entities=(Entity(entity_type="File", verdict="Suspicious"),))) == ""


def test_unrest_halves_in_twenty_minutes_and_late_surprise_counts_less() -> None:
    minute = ticks.MINUTE
    stirred = Unrest().stirred(100 * minute, 8.0)
    assert stirred.level(120 * minute) == 4.0
    assert stirred.stirred(80 * minute, 4.0) == Unrest(10.0, 100 * minute)
    assert stirred.stirred(101 * minute, 0.0) is stirred
