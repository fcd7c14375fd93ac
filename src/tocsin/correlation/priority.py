"""How urgent an incident is, 0 to 100, and why: every term is kept with its points and its reason in words.

`100 * (1 - exp(-sum / SCALE))` over terms for what was found, how unusual it is, how far it reached, what is at
stake, and what people said about the same findings before. Findings are counted per rule, not per alert, so that
a thousand equal alerts do not win. Figures: `docs/correlation/priority.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from math import exp, log2
from typing import Final

import msgspec

from tocsin.correlation.memory import IncidentFacts
from tocsin.correlation.signals import Finding, Signals

SCALE: Final = 12.0
"""Points at which 63 of 100 are reached; 15 needs 2 points, more than 85 needs 23."""
SEVERITY_POINTS: Final = (0.5, 0.2, 0.4, 1.0, 2.0)
"""By `Severity.rank`: a sensor that gives no severity counts a little above low."""
USUAL_SHARE_MIN: Final = 0.2
NEWS_BITS: Final = 3.0
"""What happens in more than one hour of eight is no news."""
POINTS_PER_BIT: Final = 1.0
TACTIC_POINTS: Final = 1.0
BREADTH_POINTS: Final = 0.5
THREAT_POINTS: Final = 4.0
MOMENT_POINTS: Final = 2.0
MOMENT_SHARE: Final = 1.0
"""What a strange moment adds besides, as a share of what the findings add."""
MOMENT_MIN: Final = 0.05
CRITICALITY_POINTS: Final = (0.0, 1.0, 2.0, 4.0)
BENIGN_FACTOR: Final = 0.5
"""Each closing as benign halves what the same rule on the same asset adds; taking the closing back restores it."""
BENIGN_MAX: Final = 6
_SHOWN: Final = 3


class Band(StrEnum):
    """Graph's reading of the score: above 85, 15 to 85, below 15."""

    TOP = "top"
    MEDIUM = "medium"
    LOW = "low"


class Term(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """One reason. `points` may be negative."""

    name: str
    points: float
    text: str


class Priority(msgspec.Struct, frozen=True, gc=False):
    """`score` is 0 to 100. `points` is the sum of the terms, an order finer than the score."""

    score: int
    points: float
    terms: tuple[Term, ...]

    @property
    def band(self) -> Band:
        """Where the score lies."""
        return band_of(self.score)


class Stake(msgspec.Struct, frozen=True, gc=False):
    """What a tenant says of an asset: its `tier`, 0 low to 3 critical, and which asset that is."""

    tier: int
    asset: str


def band_of(score: int) -> Band:
    """The band of a score (`incidents-api.md` section 2, priorityScore)."""
    if score > 85:
        return Band.TOP
    return Band.LOW if score < 15 else Band.MEDIUM


def priority(
    facts: IncidentFacts, benign: Mapping[tuple[int, int], int] | None = None, stake: Stake | None = None
) -> Priority:
    """The priority with its terms. `benign` is how often people closed a (rule, asset) as benign, closings that were
    taken back not counted. `stake` is the most that the tenant says now of one of its assets."""
    signals = facts.signals
    best = _best_by_rule(signals.findings)
    lowered = _benign_terms(signals.findings, best, benign) if benign else []
    worth = sum([_points(each) for each in best]) + sum([term.points for term in lowered])
    terms = [*_finding_terms(best), *_reach_terms(facts), *_stake_terms(signals, stake, worth), *lowered]
    points = round(sum(term.points for term in terms), 3)
    return Priority(round(100 * (1 - exp(-max(0.0, points) / SCALE))), points, tuple(terms))


def priority_of(
    facts: IncidentFacts, benign: Mapping[tuple[int, int], int] | None = None, stake: Stake | None = None
) -> Priority | None:
    """The priority to show; None for a husk, and for an incident of before findings were kept."""
    return priority(facts, benign, stake) if facts.signals.findings and not facts.redirect_to else None


def severity_points(finding: Finding) -> float:
    """Points of its severity, less where the rule is usual here."""
    return SEVERITY_POINTS[finding.severity] * max(USUAL_SHARE_MIN, min(1.0, finding.share))


def rarity_points(finding: Finding) -> float:
    """Points of what is news about it."""
    return POINTS_PER_BIT * max(0.0, finding.bits - NEWS_BITS)


def _points(finding: Finding) -> float:
    return severity_points(finding) + rarity_points(finding)


def _best_by_rule(findings: tuple[Finding, ...]) -> list[Finding]:
    """For each rule the finding that counts most: a rule that is new on six hosts at once is one piece of news."""
    best: dict[int, Finding] = {}
    for each in findings:
        known = best.get(each.rule)
        if known is None or (_points(each), each.asset) > (_points(known), known.asset):
            best[each.rule] = each
    return sorted(best.values(), key=lambda each: (-_points(each), each.rule))


def _finding_terms(best: list[Finding]) -> list[Term]:
    severity = sum(severity_points(each) for each in best)
    terms = [_term("rules", severity, f"{_counted(len(best), 'rule')}, by severity and how usual each is here")]
    news = sorted([each for each in best if each.bits > NEWS_BITS], key=lambda each: (-each.bits, each.rule))
    if news:
        named = "; ".join([each.title for each in news[:_SHOWN]])
        more = f" and {len(news) - _SHOWN} more" if len(news) > _SHOWN else ""
        terms.append(_term("rarity", sum(rarity_points(each) for each in news), f"unusual here: {named}{more}"))
    return terms


def _reach_terms(facts: IncidentFacts) -> list[Term]:
    terms = []
    tactics = len(facts.tactics)
    if tactics > 1:
        terms.append(
            _term("tactics", TACTIC_POINTS * (tactics - 1), f"{tactics} tactics, {tactics - 1} beyond the first")
        )
    devices, users = len(facts.devices), len(facts.users)
    if devices + users > 1:
        named = [_counted(number, noun) for number, noun in ((devices, "device"), (users, "user")) if number]
        terms.append(_term("breadth", BREADTH_POINTS * log2(devices + users), " and ".join(named)))
    return terms


def _stake_terms(signals: Signals, stake: Stake | None, worth: float) -> list[Term]:
    terms = []
    criticality, asset = signals.criticality, "an asset"
    if stake is not None and stake.tier >= criticality:
        criticality, asset = stake.tier, stake.asset or asset
    if criticality:
        text = f"{asset} of criticality {criticality} of {len(CRITICALITY_POINTS) - 1}"
        terms.append(_term("criticality", CRITICALITY_POINTS[criticality], text))
    if signals.threat:
        terms.append(_term("threat", THREAT_POINTS, f"confirmed: {signals.threat}"))
    if signals.moment >= MOMENT_MIN:
        text = "other unusual things happened in the organisation within minutes"
        terms.append(_term("moment", (MOMENT_POINTS + MOMENT_SHARE * worth) * signals.moment, text))
    return terms


def _benign_terms(
    findings: tuple[Finding, ...], best: list[Finding], benign: Mapping[tuple[int, int], int]
) -> list[Term]:
    left: dict[int, float] = {}
    for each in findings:
        closings = min(BENIGN_MAX, benign.get((each.rule, each.asset), 0))
        left[each.rule] = max(left.get(each.rule, 0.0), _points(each) * BENIGN_FACTOR**closings)
    lowered = [each for each in best if left[each.rule] < _points(each)]
    if not lowered:
        return []
    lost = sum(_points(each) - left[each.rule] for each in lowered)
    return [_term("benign", -lost, f"{_counted(len(lowered), 'rule')} closed as benign on the same asset before")]


def _term(name: str, points: float, text: str) -> Term:
    return Term(name, round(points, 3), text)


def _counted(number: int, noun: str) -> str:
    return f"one {noun}" if number == 1 else f"{number} {noun}s"
