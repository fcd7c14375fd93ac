"""An incident's priority, and the reasons it gives."""

from __future__ import annotations

import msgspec
import pytest

from tocsin.correlation.memory import IncidentFacts
from tocsin.correlation.priority import Band, Priority, Stake, band_of, priority
from tocsin.correlation.signals import Finding, Signals


def finding(rule: int, *, asset: int = 1, severity: int = 3, bits: float = 0.0, share: float = 0.0) -> Finding:
    return Finding(rule, asset, f"Rule {rule}", severity, bits, share)


def names(of: Priority) -> dict[str, float]:
    return {term.name: term.points for term in of.terms}


def scored(signals: Signals, benign: dict[tuple[int, int], int] | None = None) -> Priority:
    return priority(IncidentFacts(1, signals=signals), benign)


def new(rule: int, *, asset: int = 1, severity: int = 3) -> Finding:
    return finding(rule, asset=asset, severity=severity, bits=6.0, share=1.0)


@pytest.mark.parametrize(("score", "band"), [(0, "low"), (14, "low"), (15, "medium"), (85, "medium"), (86, "top")])
def test_bands_are_those_of_graph(score: int, band: str) -> None:
    assert band_of(score) == band


def test_nothing_scores_nothing() -> None:
    assert scored(Signals()).score == 0


def test_one_usual_medium_alert_is_low_and_a_new_high_one_is_medium() -> None:
    assert scored(Signals((finding(1),))).band is Band.LOW
    assert scored(Signals((new(1, severity=4),))).band is Band.MEDIUM


def test_many_new_rules_on_several_hosts_in_several_tactics_are_top() -> None:
    facts = IncidentFacts(1, tactics=("discovery", "execution", "impact"), devices=("web", "mail"), users=("ann",))
    made = priority(msgspec.structs.replace(facts, signals=Signals(tuple(new(rule) for rule in range(8)))))
    assert made.band is Band.TOP
    assert names(made) == pytest.approx({"rules": 8.0, "rarity": 24.0, "tactics": 2.0, "breadth": 0.792}, abs=0.001)
    texts = [term.text for term in made.terms]
    assert texts[1] == "unusual here: Rule 0; Rule 1; Rule 2 and 5 more"
    assert texts[2:] == ["3 tactics, 2 beyond the first", "2 devices and one user"]


def test_points_are_the_sum_of_the_terms() -> None:
    made = scored(Signals((new(1),), criticality=2, threat="actor Grey Heron", moment=0.5))
    assert made.points == pytest.approx(sum(term.points for term in made.terms))
    assert names(made) == {"rules": 1.0, "rarity": 3.0, "criticality": 2.0, "threat": 4.0, "moment": 3.0}


def test_one_rule_that_is_new_on_many_hosts_is_one_piece_of_news() -> None:
    one = scored(Signals((new(1),)))
    fleet = scored(Signals(tuple(new(1, asset=host) for host in range(9))))
    assert fleet.points == one.points


def test_severity_of_a_habit_counts_a_fifth() -> None:
    assert names(scored(Signals((finding(1, severity=4),)))) == {"rules": 0.4}
    assert names(scored(Signals((finding(1, severity=4, share=1.0),)))) == {"rules": 2.0}


def test_a_closing_as_benign_halves_the_pair_and_taking_it_back_restores_it() -> None:
    signals = Signals((new(1, asset=7), new(2, asset=7)))
    before = scored(signals)
    after = scored(signals, {(1, 7): 1})
    assert names(after)["benign"] == -2.0
    assert after.terms[-1].text == "one rule closed as benign on the same asset before"
    assert after.score < before.score
    assert scored(signals, {(1, 7): 0}) == before
    assert names(scored(signals, {(1, 7): 2}))["benign"] == -3.0


def test_a_closing_on_one_asset_says_nothing_about_another() -> None:
    signals = Signals((new(1, asset=7), new(1, asset=8)))
    assert "benign" not in names(scored(signals, {(1, 7): 3}))


def test_however_often_closed_the_score_stays_within_bounds() -> None:
    signals = Signals((finding(1, asset=7),))
    assert scored(signals, {(1, 7): 1_000_000}).score == 0
    assert scored(Signals(tuple(finding(rule, bits=12.0, share=1.0) for rule in range(64)))).score == 100


@pytest.mark.parametrize(
    ("by_tag", "stake", "text"),
    [
        (0, Stake(3, "device dc1"), "device dc1 of criticality 3 of 3"),
        (1, Stake(2, "account ann"), "account ann of criticality 2 of 3"),
        (3, Stake(1, "device dc1"), "an asset of criticality 3 of 3"),
        (0, Stake(2, ""), "an asset of criticality 2 of 3"),
        (0, Stake(0, "device lab"), None),
    ],
)
def test_the_most_critical_asset_counts_whoever_says_so(by_tag: int, stake: Stake, text: str | None) -> None:
    made = priority(IncidentFacts(1, signals=Signals((new(1),), criticality=by_tag)), None, stake)
    assert [term.text for term in made.terms if term.name == "criticality"] == ([text] if text else [])


def test_a_strange_moment_adds_less_to_what_was_closed_as_benign() -> None:
    signals = Signals((new(1, asset=7),), moment=0.5)
    assert names(scored(signals))["moment"] == 3.0
    assert names(scored(signals, {(1, 7): 1}))["moment"] == 2.0
