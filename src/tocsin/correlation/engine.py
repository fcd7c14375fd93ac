"""Where an alert goes: into which incident, which incidents that makes one, and on what evidence.

A `Correlator` is one tenant's working memory during one batch, an overlay over a `View`. It decides by
adding up decayed, specific evidence (`design/correlation.md`, evidence-weighted linking) and remembers what it
decided, so that cutting the same alerts into other batches gives the same incidents. Work for one alert is
bounded by `KEYS_MAX` keys times `POSTINGS_MAX` postings, whatever the history.
"""

from __future__ import annotations

from typing import Final

import msgspec

from tocsin import ticks
from tocsin.correlation.apart import with_living_marks
from tocsin.correlation.decay import (
    ASSET_WEIGHT,
    MOMENT_WEIGHT,
    TENANT_ASSETS_MIN,
    TENANT_RATE_FIRST,
    asset_reach,
    asset_weight,
    moment_weight,
    resumption,
    specificity,
    trace_weight,
)
from tocsin.correlation.evidence import Evidence, device_mark, evidence_keys
from tocsin.correlation.facts import first_facts, husk_of, merged, with_alert
from tocsin.correlation.folding import FOLD_SPAN
from tocsin.correlation.guards import Limits, join_obstacle, merge_obstacle
from tocsin.correlation.kinds import DEVICE, GENERIC_DEVICE, HOST_IP, MOMENT, RULE, SEQUEL, USER, Kind
from tocsin.correlation.memory import (
    EntityMemory,
    IncidentFacts,
    Posting,
    View,
    number_of,
)
from tocsin.correlation.tuned import Tuned, is_set_aside, set_aside
from tocsin.correlation.working import WorkingEntity, size_of
from tocsin.model import Alert

DEVICES_FREE: Final = 4
INCIDENTS_FREE: Final = 3
RULE_DEVICES_FREE: Final = 20
MOMENT_RATE_FIRST: Final = 0.5 / ticks.MINUTE
"""Taken as busy until shown quiet: a moment must not join strangers in a tenant that has only just begun."""
EVIDENCE_SHOWN_MAX: Final = 5
KEPT_APART_MAX: Final = 5
REDIRECTS_MAX: Final = 1_000
TRACE_REACH: Final = 6
"""Half-lives after which any trace is faint (1/64)."""
_FAINT: Final = 0.02


class LinkEvidence(msgspec.Struct, frozen=True, gc=False):
    """One shared thing behind a join: `reason` is Graph's word, `age` the ticks between the two sightings."""

    kind: str
    text: str
    reason: str
    weight: float
    age: int


class Link(msgspec.Struct, frozen=True, gc=False):
    """The edge of an alert: it joined `incident_id` because of an earlier alert of it. `score` is 0 to 1."""

    incident_id: int
    earlier_alert_number: int
    score: float
    evidence: tuple[LinkEvidence, ...]


class Merge(msgspec.Struct, frozen=True, gc=False):
    """The alert showed that `source_id` and `target_id` are one; the source is a husk from here on."""

    source_id: int
    target_id: int
    score: float
    evidence: tuple[LinkEvidence, ...]
    earlier_alert_number: int


class Placement(msgspec.Struct, frozen=True, gc=False):
    """What happened to one alert. `incident_id` holds it after all merges, which apply in their order.

    `link` is None where it opened an incident. `kept_apart` says in words which strong candidates were
    not joined or merged, and why.
    """

    incident_id: int
    opened: bool
    link: Link | None
    merges: tuple[Merge, ...]
    kept_apart: tuple[str, ...]


_Sighting = tuple[float, int, int, Evidence]
"""The best evidence of one subject for one candidate: weight, age in ticks, earlier alert, evidence."""
_Candidate = tuple[float, int, list[_Sighting]]
"""Score, incident, sightings."""


class Correlator:
    """One tenant's correlation during one batch. Not shared between threads.

    `routine` is how often per tick the rule of the alert that is placed next fires where it does (`watch` says so).
    """

    def __init__(self, view: View, limits: Limits | None = None, tuned: Tuned | None = None) -> None:
        self._view, self._tuned = view, tuned
        self._limits = (limits or Limits()) if tuned is None else tuned.limits(limits or Limits())
        self._entities: dict[int, WorkingEntity] = {}
        self._touched: set[int] = set()
        self._merge_count = 0
        self.routine = 0.0
        self._incidents: dict[int, IncidentFacts | None] = {}
        self.incidents_changed: dict[int, IncidentFacts] = {}

    def keys_of(self, alert: Alert) -> tuple[Evidence, ...]:
        """The evidence of one alert, so that a store can load all entity memories of a batch at once.

        Hand it to `place` to spare computing it twice.
        """
        found = evidence_keys(alert)
        return found if self._tuned is None else self._tuned.evidence(alert, found)

    @property
    def entities_changed(self) -> dict[int, EntityMemory]:
        """The memories that the store must write, as they are now; computed at each call."""
        return {key: self._entities[key].freeze() for key in sorted(self._touched)}

    def place(
        self, alert: Alert, alert_number: int, new_incident_id: int, evidence: tuple[Evidence, ...] | None = None
    ) -> Placement:
        """Decide where the alert goes, and remember it. `new_incident_id` is used only if it opens one."""
        found = self.keys_of(alert) if evidence is None else evidence
        loaded = self._entities
        for each in found:
            if each.kind is SEQUEL and (repeated := self._repeated(alert, each)) is not None:
                return repeated
        known = [loaded.get(each.key) or self._load(each.key) for each in found]
        ranked = self._ranked(alert.first_activity, found, known)
        kept_apart: list[str] = []
        chosen = self._chosen(alert, ranked, kept_apart)
        joined = new_incident_id if chosen is None else chosen[1]
        fresh = self._remember(alert.first_activity, alert_number, joined, found, known)
        link = None
        if chosen is None:
            self._change(first_facts(joined, alert, fresh))
            return Placement(joined, True, None, (), tuple(kept_apart[:KEPT_APART_MAX]))
        score, _, sightings = chosen
        self._change(with_alert(self._facts(joined), alert, fresh))
        link = Link(joined, _strongest(sightings), round(score, 4), _shown(sightings))
        others = [candidate for candidate in ranked if candidate is not chosen]
        merges = self._merge(joined, others, kept_apart)
        incident_id = merges[-1].target_id if merges else joined
        return Placement(incident_id, False, link, tuple(merges), tuple(kept_apart[:KEPT_APART_MAX]))

    def _repeated(self, alert: Alert, evidence: Evidence) -> Placement | None:
        """Fold an alert that only says again what one less than a minute ago said: it counts, and teaches nothing.

        Only what was correlated itself is posted, so a fold ends a minute after its first alert.
        """
        entity = self._entities.get(evidence.key) or self._load(evidence.key)
        if entity.merges_seen != self._merge_count:
            self._follow_redirects(entity)
        for incident_id, posting in entity.postings.items():
            age = abs(alert.first_activity - posting.at)
            if age >= FOLD_SPAN or self._obstacle(alert, self._facts(incident_id)) is not None:
                continue
            self._change(with_alert(self._facts(incident_id), alert, 0))
            shown = LinkEvidence(evidence.kind.name, evidence.text, evidence.kind.reason, 1.0, age)
            return Placement(incident_id, False, Link(incident_id, posting.alert_number, 1.0, (shown,)), (), ())
        return None

    def _obstacle(self, alert: Alert, facts: IncidentFacts) -> str | None:
        obstacle = join_obstacle(facts, self._limits)
        return self._tuned.join_obstacle(alert, facts) if obstacle is None and self._tuned is not None else obstacle

    def follow(self, alert: Alert, alert_number: int, incident_id: int, evidence: tuple[Evidence, ...]) -> Placement:
        """Remember an alert where it is already, without deciding anything: how a rehearsal learns what was before."""
        known = [self._entities.get(each.key) or self._load(each.key) for each in evidence]
        for one, entity in zip(evidence, known, strict=True):
            if one.kind is not RULE and entity.postings and entity.merges_seen != self._merge_count:
                self._follow_redirects(entity)
        fresh = self._remember(alert.first_activity, alert_number, incident_id, evidence, known)
        facts = self._incident(incident_id)
        grown = first_facts(incident_id, alert, fresh) if facts is None else with_alert(facts, alert, fresh)
        self._change(grown)
        return Placement(incident_id, facts is None, None, (), ())

    def follow_merge(self, source_id: int, target_id: int) -> None:
        """Make two incidents one, as they became one before."""
        source = self._facts(source_id)
        combined = merged(self._facts(target_id), source)
        self._change(husk_of(source, target_id))
        self._change(with_living_marks(combined, self._incident))
        self._merge_count += 1

    def set_aside(self, alert: Alert, alert_number: int, new_incident_id: int, key: int) -> Placement:
        """Put a suppressed alert into the resolved incident of its rule (`key`), or open one; nothing else is noted."""
        entity = self._entities.get(key) or self._load(key)
        at = alert.first_activity
        for incident_id in sorted(entity.postings):
            facts = self._incident(incident_id)
            if facts is None or not is_set_aside(facts) or facts.alert_count >= self._limits.incident_alerts_max:
                continue
            if abs(at - entity.postings[incident_id].at) < ticks.DAY:
                entity.post(incident_id, at, alert_number)
                self._touched.add(key)
                self._change(with_alert(facts, alert, 0))
                return Placement(incident_id, False, None, (), ())
        entity.post(new_incident_id, at, alert_number)
        self._touched.add(key)
        self._change(set_aside(first_facts(new_incident_id, alert, 0)))
        return Placement(new_incident_id, True, None, (), ())

    def facts_of(self, incident_id: int) -> IncidentFacts:
        """What is known of an incident as of the last `place`; empty facts where nothing is."""
        return self._facts(incident_id)

    def revise(self, facts: IncidentFacts) -> None:
        """Keep these facts, which someone else than the placing knows better (`watch`)."""
        self._change(facts)

    def _ranked(self, at: int, found: tuple[Evidence, ...], known: list[WorkingEntity]) -> list[_Candidate]:
        """Candidates of `join_score` or more, best first: (score, incident, evidence)."""
        rule_factor, expected = 1.0, TENANT_RATE_FIRST / TENANT_ASSETS_MIN
        by_incident: dict[int, dict[int, _Sighting]] = {}
        moment: tuple[Evidence, WorkingEntity] | None = None
        for evidence, entity in zip(found, known, strict=True):
            kind = evidence.kind
            if kind is RULE:
                rule_factor = specificity(size_of(entity.devices), RULE_DEVICES_FREE)
                continue
            if not entity.postings:
                continue
            if entity.merges_seen != self._merge_count:
                self._follow_redirects(entity)
            rate = 0.0
            if kind is MOMENT:
                assets = max(TENANT_ASSETS_MIN, number_of(entity.devices))
                expected = entity.rate(at, TENANT_RATE_FIRST, ASSET_WEIGHT) / assets
                moment = evidence, entity
                continue
            if kind.strangers:
                rate = 1.0 / kind.strangers
            elif kind.gap:
                rate = entity.rate(at, expected, ASSET_WEIGHT if kind.tempo else MOMENT_WEIGHT)
                rate = rate if rate > self.routine else self.routine
            base = _base(kind, entity, rule_factor)
            if base >= _FAINT:
                self._gather(by_incident, evidence, entity, at, base, rate=rate)
        if moment is not None and by_incident:
            _add_moment(by_incident, *moment, at)
        ranked = []
        join_score = self._limits.join_score
        for incident_id, sightings in by_incident.items():
            rest = 1.0
            for sighting in sightings.values():
                rest *= 1.0 - sighting[0]
            if 1.0 - rest >= join_score:
                ranked.append((1.0 - rest, incident_id, list(sightings.values())))
        if len(ranked) > 1:
            ranked.sort(key=lambda candidate: (-candidate[0], candidate[1]))
        return ranked

    def _gather(
        self,
        by_incident: dict[int, dict[int, _Sighting]],
        evidence: Evidence,
        seen: WorkingEntity,
        at: int,
        base: float,
        *,
        rate: float,
    ) -> None:
        """Add this entity's sightings to the candidates, the best one per subject. `rate` is 0 for a mere trace."""
        kind, subject = evidence.kind, evidence.subject
        half_life, gap, reach = kind.half_life, kind.gap, float(kind.half_life * TRACE_REACH)
        if rate and kind.tempo and (furthest := asset_reach(rate, _FAINT / base)) < reach:
            reach = furthest
        incidents = self._incidents
        for incident_id, posting in seen.postings.items():
            age = at - posting.at if at >= posting.at else posting.at - at
            if age > reach:
                continue
            if not rate:
                weight = base * trace_weight(half_life, age)
            elif kind.tempo:
                facts = incidents.get(incident_id) or self._facts(incident_id)
                density = resumption(age, gap, facts.alert_count, facts.last_activity - facts.first_activity)
                weight = base * asset_weight(density, half_life, age, rate)
            else:
                weight = base * moment_weight(gap, half_life, age, rate)
            if weight < _FAINT:
                continue
            sightings = by_incident.get(incident_id)
            if sightings is None:
                by_incident[incident_id] = {subject: (weight, age, posting.alert_number, evidence)}
            elif subject not in sightings or weight > sightings[subject][0]:
                sightings[subject] = (weight, age, posting.alert_number, evidence)

    def _chosen(self, alert: Alert, ranked: list[_Candidate], kept_apart: list[str]) -> _Candidate | None:
        for candidate in ranked:
            obstacle = self._obstacle(alert, self._facts(candidate[1]))
            if obstacle is None:
                return candidate
            kept_apart.append(f"not joined to incident {candidate[1]} (score {candidate[0]:.2f}): {obstacle}")
        return None

    def _merge(self, joined: int, others: list[_Candidate], kept_apart: list[str]) -> list[Merge]:
        merges: list[Merge] = []
        for score, other, sightings in others:
            if score < self._limits.merge_score or len(merges) >= self._limits.merges_max:
                break
            obstacle = merge_obstacle(self._facts(joined), self._facts(other), self._limits, self._incident)
            if obstacle is None and self._tuned is not None:
                obstacle = self._tuned.merge_obstacle(self._facts(joined), self._facts(other))
            if obstacle is not None:
                if not any(f"incident {other} " in text for text in kept_apart):
                    kept_apart.append(f"not merged with incident {other} (score {score:.2f}): {obstacle}")
                continue
            target, source = min(joined, other), max(joined, other)
            self.follow_merge(source, target)
            merges.append(Merge(source, target, round(score, 4), _shown(sightings), _strongest(sightings)))
            joined = target
        return merges

    def _remember(
        self, at: int, alert_number: int, incident_id: int, found: tuple[Evidence, ...], known: list[WorkingEntity]
    ) -> int:
        """Post the alert under all its keys; gives how many were new to the incident."""
        marks = _where(found)
        fresh = 0
        for evidence, entity in zip(found, known, strict=True):
            if evidence.kind is MOMENT:
                entity.sample(marks or [device_mark(each.key) for each in found if each.kind is USER])
            else:
                entity.seen_on(marks)
            if evidence.kind is RULE:
                entity.last_seen = max(entity.last_seen, at)
            elif entity.post(incident_id, at, alert_number):
                fresh += 1
        self._touched.update([evidence.key for evidence in found])
        return fresh

    def _follow_redirects(self, entity: WorkingEntity) -> None:
        """Make postings that name husks name the incidents they became; forget those of deleted incidents."""
        entity.merges_seen = self._merge_count
        incidents = self._incidents
        gone = []
        for incident_id in entity.postings:
            facts = incidents.get(incident_id) or self._incident(incident_id)
            if facts is None or facts.redirect_to != 0:
                gone.append(incident_id)
        for incident_id in gone:
            facts, posting, hops = incidents[incident_id], entity.postings.pop(incident_id), 0
            while facts is not None and facts.redirect_to != 0 and hops < REDIRECTS_MAX:
                facts, hops = self._incident(facts.redirect_to), hops + 1
            if facts is None or facts.redirect_to != 0:
                continue
            there = entity.postings.get(facts.incident_id)
            at, number = posting.at, posting.alert_number
            if there is None or (there.at, there.alert_number) < (at, number):
                entity.postings[facts.incident_id] = Posting(facts.incident_id, at, number)

    def _load(self, key: int) -> WorkingEntity:
        entity = self._entities[key] = WorkingEntity(self._view.entity(key))
        return entity

    def _incident(self, incident_id: int) -> IncidentFacts | None:
        if incident_id not in self._incidents:
            self._incidents[incident_id] = self._view.incident(incident_id)
        return self._incidents[incident_id]

    def _facts(self, incident_id: int) -> IncidentFacts:
        facts = self._incident(incident_id)
        return IncidentFacts(incident_id) if facts is None else facts

    def _change(self, facts: IncidentFacts) -> None:
        self._incidents[facts.incident_id] = facts
        self.incidents_changed[facts.incident_id] = facts


def _base(kind: Kind, entity: WorkingEntity, rule_factor: float) -> float:
    """The weight of a sighting at the same moment: prior by specificity."""
    if not kind.spreads:
        return kind.prior
    base = kind.prior * specificity(size_of(entity.devices), DEVICES_FREE)
    if kind.gap and not kind.strangers:
        return base * rule_factor
    return base * specificity(size_of(entity.incidents), INCIDENTS_FREE)


def _add_moment(
    by_incident: dict[int, dict[int, _Sighting]], evidence: Evidence, entity: WorkingEntity, at: int
) -> None:
    """Add the quiet moment to the candidates there are: alone it makes none."""
    kind = evidence.kind
    rate = entity.rate(at, MOMENT_RATE_FIRST, MOMENT_WEIGHT)
    for incident_id, sightings in by_incident.items():
        posting = entity.postings.get(incident_id)
        if posting is not None:
            age = abs(at - posting.at)
            weight = kind.prior * moment_weight(kind.gap, kind.half_life, age, rate)
            if weight >= _FAINT:
                sightings[evidence.subject] = (weight, age, posting.alert_number, evidence)


def _where(found: tuple[Evidence, ...]) -> list[int]:
    """Marks of the devices of an alert; where no device is named, of the addresses that stand for them."""
    devices = [device_mark(each.key) for each in found if each.kind is DEVICE or each.kind is GENERIC_DEVICE]
    return devices or [device_mark(each.key) for each in found if each.kind is HOST_IP]


def _strongest(sightings: list[_Sighting]) -> int:
    """The earlier alert of the strongest sighting, the latest where several are as strong."""
    return max((weight, number) for weight, _, number, _ in sightings)[1]


def _shown(sightings: list[_Sighting]) -> tuple[LinkEvidence, ...]:
    best = sorted(sightings, key=_by_weight)[:EVIDENCE_SHOWN_MAX]
    return tuple(
        [
            LinkEvidence(evidence.kind.name, evidence.text, evidence.kind.reason, round(weight, 4), age)
            for weight, age, _, evidence in best
        ]
    )


def _by_weight(sighting: _Sighting) -> tuple[float, int]:
    return -sighting[0], sighting[3].subject
