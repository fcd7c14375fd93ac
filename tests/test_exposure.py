"""A device is in the first group by rank whose rule it meets, whatever the case, and in no group when none is met."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.access import UNGROUPED
from tocsin.errors import InvalidInput
from tocsin.exposure import (
    DeviceFacts,
    DeviceGroup,
    DeviceRule,
    Grouping,
    decode_facts,
    decode_rule,
    encode_facts,
    encode_rule,
    findings,
    group_of,
    matches,
    parse_rule,
)
from tocsin.model import Device

WEB = DeviceFacts.of(
    Device(device_dns_name="Web01.Corp.Example.ORG.", os_platform="Windows Server 2022", tags=("PCI", "edge", "pci"))
)


def test_facts_are_folded_and_say_nothing_where_nothing_is_known() -> None:
    assert (WEB.name, WEB.domain, WEB.host) == ("web01.corp.example.org", "corp.example.org", "web01")
    assert (WEB.os, WEB.tags) == ("windowsserver2022", ("edge", "pci"))
    assert DeviceFacts.of(Device()) == DeviceFacts()
    address = DeviceFacts.of(Device(device_dns_name="10.0.0.1"))
    assert (address.domain, address.host) == ("", "10.0.0.1")


def test_later_facts_leave_standing_what_they_say_nothing_of() -> None:
    seen_again = DeviceFacts.of(Device(device_dns_name="WEB01", os_platform="Other"))
    assert seen_again.over(WEB) == WEB
    renamed = DeviceFacts.of(Device(device_dns_name="db01.example.org", os_platform="Linux", tags=("db",)))
    assert renamed.over(WEB) == renamed
    assert DeviceFacts().over(WEB) == WEB


@pytest.mark.parametrize(
    "asked",
    [
        {"names": ["web*"]},
        {"names": ["WEB??"]},
        {"names": ["web01.corp.*"]},
        {"names": ["*example*"]},
        {"names": ["db*", "*01"]},
        {"names": ["web01"]},
        {"tags": ["Pci"]},
        {"tags": ["none", "edge"]},
        {"domains": ["example.org"]},
        {"domains": ["*.corp.example.org"]},
        {"os": ["windows*"]},
        {"os": ["Windows Server 2022"]},
        {"names": ["web*"], "tags": ["pci"], "domains": ["example.org"], "os": ["windows*"]},
    ],
)
def test_a_rule_that_is_met(asked: dict[str, list[str]]) -> None:
    assert matches(parse_rule(**asked), WEB)


@pytest.mark.parametrize(
    "asked",
    [
        {"names": ["web"]},
        {"names": ["web?"]},
        {"names": ["[w]eb01"]},
        {"names": ["web01.corp.example.or."]},
        {"tags": ["pc"]},
        {"tags": ["*"]},
        {"domains": ["org.example"]},
        {"domains": ["ample.org"]},
        {"domains": ["web01.corp.example.org"]},
        {"os": ["linux"]},
        {"names": ["web*"], "tags": ["absent"]},
        {"domains": ["example.org"], "os": ["linux"]},
    ],
)
def test_a_rule_that_is_not_met(asked: dict[str, list[str]]) -> None:
    assert not matches(parse_rule(**asked), WEB)


@pytest.mark.parametrize("asked", [{"names": ["*"]}, {"tags": ["a"]}, {"domains": ["a"]}, {"os": ["*"]}])
def test_a_device_of_which_nothing_is_known_meets_no_rule(asked: dict[str, list[str]]) -> None:
    assert not matches(parse_rule(**asked), DeviceFacts())


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({}, "needs a condition"),
        ({"names": [" "]}, "is no name of a device"),
        ({"tags": ["a\nb"]}, "is no tag"),
        ({"os": ["x" * 256]}, "is no os"),
        ({"domains": ["exa*mple.org"]}, "is no domain"),
        ({"domains": [".."]}, "is no domain"),
        ({"names": [f"n{number}" for number in range(201)]}, "not 201 for name"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_in_words(asked: dict[str, list[str]], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        parse_rule(**asked)


def test_a_stored_rule_with_an_unknown_condition_matches_nothing() -> None:
    assert decode_rule('{"names":["*"],"subnet":["10.0.0.0/8"]}') == DeviceRule()
    assert not matches(DeviceRule(), WEB)
    assert group_of(WEB, [DeviceGroup(group_id=1, name="a", rank=1, rule=DeviceRule())]) == UNGROUPED


def test_findings_tell_for_each_kind_which_value_was_met() -> None:
    found = findings(parse_rule(names=["db*", "web*"], os=["linux"]), WEB)
    assert {each.kind: each.met_by for each in found} == {"name": "web*", "os": None}


def test_many_stars_cost_no_more_than_a_look_at_each_character() -> None:
    """With a backtracking expression this would not end within the age of the universe."""
    rule = parse_rule(names=["*a" * 60 + "b"])
    assert not matches(rule, DeviceFacts(name="a" * 250))
    assert matches(rule, DeviceFacts(name="a" * 250 + "b"))


_TEXTS = st.text("ab.", min_size=1, max_size=8)
_FACTS = st.builds(
    lambda name, os, tags: DeviceFacts.of(Device(device_dns_name=name, os_platform=os, tags=tuple(tags))),
    st.text("abAB.", max_size=10),
    st.sampled_from(["Linux", "Windows 10", "Other", ""]),
    st.lists(st.sampled_from(["Red", "blue", "green"]), max_size=3),
)
_RULES = st.builds(
    DeviceRule,
    names=st.lists(st.text("ab.*?", min_size=1, max_size=6), max_size=2).map(tuple),
    tags=st.lists(st.sampled_from(["red", "blue"]), max_size=2).map(tuple),
    domains=st.lists(st.sampled_from(["a", "b", "a.b"]), max_size=2).map(tuple),
    os=st.lists(st.sampled_from(["linux", "win*", "windows?0"]), max_size=2).map(tuple),
)


def _fits(pattern: str, text: str) -> bool:
    """What a pattern means, character by character."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(_fits(pattern[1:], text[start:]) for start in range(len(text) + 1))
    return bool(text) and pattern[0] in ("?", text[0]) and _fits(pattern[1:], text[1:])


def _meant(rule: DeviceRule, facts: DeviceFacts) -> bool:
    """What a rule means, without any of the cleverness."""
    kinds = []
    if rule.names:
        names = {facts.name, facts.host} - {""}
        kinds.append(any(_fits(pattern, name) for pattern in rule.names for name in names))
    if rule.tags:
        kinds.append(bool(set(rule.tags) & set(facts.tags)))
    if rule.domains:
        kinds.append(any(f".{facts.domain}".endswith(f".{domain}") for domain in rule.domains))
    if rule.os:
        kinds.append(bool(facts.os) and any(_fits(pattern, facts.os) for pattern in rule.os))
    return bool(kinds) and all(kinds)


@given(_RULES, _FACTS)
def test_a_rule_matches_exactly_what_it_means(rule: DeviceRule, facts: DeviceFacts) -> None:
    assert matches(rule, facts) == _meant(rule, facts)
    found = findings(rule, facts)
    assert matches(rule, facts) == (bool(found) and all(each.met_by is not None for each in found))


@given(st.lists(_RULES, max_size=6), _FACTS, st.randoms(use_true_random=False))
def test_the_group_is_the_first_by_rank_that_matches_in_whatever_order_they_come(
    rules: list[DeviceRule], facts: DeviceFacts, random: object
) -> None:
    groups = [
        DeviceGroup(group_id=100 - rank, name=f"g{rank}", rank=rank, rule=rule) for rank, rule in enumerate(rules)
    ]
    meant = next((group.group_id for group in groups if _meant(group.rule, facts)), UNGROUPED)
    shuffled = list(groups)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert group_of(facts, shuffled) == meant
    assert Grouping(groups).group_of(facts) == meant


@given(_RULES, _FACTS)
def test_rules_and_facts_survive_being_kept(rule: DeviceRule, facts: DeviceFacts) -> None:
    assert decode_rule(encode_rule(rule)) == rule
    assert decode_facts(encode_facts(facts)) == facts


@given(_FACTS, _FACTS)
def test_the_same_facts_again_change_nothing(earlier: DeviceFacts, later: DeviceFacts) -> None:
    merged = later.over(earlier)
    assert later.over(merged) == merged


@given(_TEXTS, _FACTS)
def test_case_is_of_no_account(pattern: str, facts: DeviceFacts) -> None:
    upper = DeviceFacts.of(Device(device_dns_name=facts.name.upper()))
    if pattern.strip("."):
        assert matches(parse_rule(names=[pattern.upper()]), upper) == matches(parse_rule(names=[pattern]), upper)
