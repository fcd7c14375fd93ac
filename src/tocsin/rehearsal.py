"""What a tuning would have made of the alerts that are stored: a dry run, which writes nothing.

The alerts come again in the order in which they came, through the same Correlator and Watch, in a scratch state. What
came before `since` is followed as it was placed, so that the memory is warm. What people did meanwhile (decisions,
merges, moves, splits) is done again at its place, to the incidents that hold most of the same alerts. The grouping that
comes out is `comparing`'s to compare.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec

from tocsin.correlation.apart import Marks
from tocsin.correlation.engine import Correlator, Link, Merge, Placement
from tocsin.correlation.facts import husk_of
from tocsin.correlation.guards import Limits
from tocsin.correlation.memory import IncidentFacts, MemoryView
from tocsin.correlation.refolding import Held, facts_of, reposted, sightings_of
from tocsin.correlation.tuned import Tuned, set_aside, suppression_key, tuned_of
from tocsin.correlation.tuning import Tuning
from tocsin.correlation.watch import Watch
from tocsin.errors import InvalidInput
from tocsin.history import UNDECIDED, Decisions, History, LogLine, StoredAlert, agreed, decided, taken_back
from tocsin.model import Alert, IncidentStatus

ALERTS_MAX: Final = 250_000
"""Alerts of one dry run, those that only warm the memory included: some gigabyte of memory."""
CHUNK: Final = 2_000
RETUNED: Final = "retuned"
"""How the change log calls a tuning that was applied to what is stored."""
IDS_APART: Final = 1_024
"""An incident that alert n opens has the id n × this in the scratch state: older is smaller, whoever opens it."""

Progress = Callable[[int], None]


class Reason(msgspec.Struct, frozen=True):
    """Why an alert joined: the strongest evidence."""

    score: float
    kind: str
    text: str


class Grouping(msgspec.Struct, frozen=True, kw_only=True):
    """Which alert is in which incident. `after` has ids of its own; `free_from` is the first alert placed anew.

    `handled` are stored incidents that people decided something about or regrouped.
    """

    before: dict[int, int]
    after: dict[int, int]
    free_from: int
    warmed: int
    replayed: int
    suppressed: int
    handled: frozenset[int]
    set_aside: frozenset[int]
    reasons: dict[int, Reason]
    merges: dict[int, Reason]


def rehearse(
    history: History,
    tuning: Tuning,
    limits: Limits,
    *,
    since: int,
    lead: int | None,
    on_progress: Progress = lambda _: None,
) -> Grouping:
    """Place the alerts that came from `since` on anew; those of `lead` ticks before it (None: all) warm the memory.

    Raises InvalidInput where these are too many alerts for the memory of this machine.
    """
    first = 0 if lead is None else history.first_alert_since(since - lead)
    wanted = history.count_alerts(first)
    if wanted > ALERTS_MAX:
        raise InvalidInput(
            f"{wanted:,} alerts are more than the {ALERTS_MAX:,} that a dry run takes; "
            "choose a later --since or a shorter --lead"
        )
    scratch = _Scratch(history, tuned_of(tuning), limits)
    alerts = history.alerts(first)
    waiting = next(alerts, None)
    free_from, at = history.first_alert_since(since), since
    for batch in history.batches(first):
        at = batch.at
        scratch.note_stored(batch.lines)
        while waiting is not None and waiting.number <= batch.last_alert:
            scratch.take(waiting, at, free=waiting.number >= free_from)
            on_progress(scratch.taken)
            waiting = next(alerts, None)
        scratch.settle(batch.lines)
        for line in batch.by_people:
            scratch.by_hand(line, free=batch.last_alert >= free_from or scratch.replaying)
    scratch.note_stored(())
    while waiting is not None:
        scratch.take(waiting, at, free=waiting.number >= free_from)
        waiting = next(alerts, None)
    scratch.flush()
    return scratch.grouping(free_from)


class _Scratch:
    """The state of one rehearsal: the stored grouping as it was at each moment, and the one that is tried."""

    def __init__(self, history: History, tuned: Tuned | None, limits: Limits) -> None:
        self._history, self._tuned, self._limits = history, tuned, limits
        self._view = MemoryView()
        self._marks = Marks(self._view.incidents)
        self._begin()
        self._stored: dict[int, int] = {}
        self._stored_members: dict[int, set[int]] = {}
        self._tried: dict[int, int] = {}
        self._members: dict[int, set[int]] = {}
        self._decided: dict[int, Decisions] = {}
        self._before_merge: dict[int, tuple[Decisions, Decisions]] = {}
        self._native: dict[int, int] = {}
        self._joins: dict[int, list[tuple[int, int]]] = {}
        self._newest_stored = 0
        self._now: dict[int, int] = {}
        self._set_aside: set[int] = set()
        self._ever_set_aside: set[int] = set()
        self._handled: set[int] = set()
        self._reasons: dict[int, Reason] = {}
        self._merges: dict[int, Reason] = {}
        self._warmed = self._replayed = self._suppressed = 0
        self._last, self._made_by_hand = 0, 0

    @property
    def taken(self) -> int:
        """Alerts so far."""
        return self._warmed + self._replayed

    def _begin(self) -> None:
        self._correlator = Correlator(self._view, self._limits, self._tuned)
        self._watch = Watch(self._view, self._correlator, moments=True)
        self._in_chunk = 0

    def flush(self) -> None:
        """End a batch: what it changed is in the view."""
        self._view.absorb(self._correlator.entities_changed, self._correlator.incidents_changed)
        self._view.entities.update(self._watch.entities_changed)
        self._marks.flushed()
        self._begin()

    def note_stored(self, lines: Sequence[LogLine]) -> None:
        """Learn where the alerts of a batch went when they came."""
        self._now = {}
        self._set_aside = set()
        for line in lines:
            numbers = line.numbers("alerts")
            self._now.update(dict.fromkeys(numbers, line.incident_id))
            if "suppressed" in line.detail:
                self._set_aside.update(numbers)
                self._ever_set_aside.update(numbers)
        self._name_the_opened(lines)

    def _name_the_opened(self, lines: Sequence[LogLine]) -> None:
        """Incidents are numbered as they are opened: the n-th new one of a batch is of the n-th opening alert."""
        if not self._now:
            return
        self._joins = self._history.joins(min(self._now), max(self._now))
        kept = {min(line.numbers("alerts")) for line in lines if line.action == "opened" and line.numbers("alerts")}
        opening = [
            each
            for each in sorted(self._now)
            if each not in self._joins and (each in kept or each not in self._set_aside)
        ]
        opened = sorted({line.incident_id for line in lines if line.incident_id > self._newest_stored})
        for number, incident_id in zip(opening, opened, strict=False):
            self._native[incident_id] = number * IDS_APART
        self._newest_stored = max([self._newest_stored, *opened])

    def take(self, stored: StoredAlert, at: int, *, free: bool) -> None:
        """Place an alert: anew, or (not `free`) where it was placed."""
        number, alert = stored.number, stored.alert
        self._last, self._made_by_hand = number, 0
        held_by = self._now.get(number, stored.incident_id)
        self._stored[number] = held_by
        self._stored_members.setdefault(held_by, set()).add(number)
        if free:
            self._replayed += 1
            placement = self._place(number, alert, at)
        else:
            self._warmed += 1
            placement = self._follow(number, alert, at, held_by)
        self._hold(number, placement)
        self._in_chunk += 1
        if self._in_chunk >= CHUNK:
            self.flush()

    def _place(self, number: int, alert: Alert, at: int) -> Placement:
        rule = None if self._tuned is None else self._tuned.suppression(alert, at)
        if rule is not None:
            self._suppressed += 1
            self._ever_set_aside.add(number)
            return self._correlator.set_aside(alert, number, number * IDS_APART, suppression_key(rule))
        evidence = self._watch.seen(alert, self._correlator.keys_of(alert))
        placement = self._correlator.place(alert, number, number * IDS_APART, evidence)
        self._watch.placed(alert, evidence[0].key, placement)
        if placement.link is not None:
            self._reasons[number] = _reason(placement.link)
        return placement

    def _follow(self, number: int, alert: Alert, at: int, held_by: int) -> Placement:
        rule = None if self._tuned is None else self._tuned.suppression(alert, at)
        if number in self._set_aside and rule is not None:
            return self._correlator.set_aside(alert, number, number * IDS_APART, suppression_key(rule))
        joins = self._joins.get(number, ())
        joined = next((target for source, target in joins if not source), held_by)
        into = self._native_of(joined, number) if joins or number in self._set_aside else number * IDS_APART
        if number in self._set_aside:
            placement = self._correlator.follow(alert, number, into, ())
            self._correlator.revise(set_aside(self._correlator.facts_of(into)))
            return placement
        evidence = self._watch.seen(alert, self._correlator.keys_of(alert))
        placement = self._correlator.follow(alert, number, into, evidence)
        self._watch.placed(alert, evidence[0].key, placement)
        for source, target in joins:
            if source:
                placement = self._follow_merge(source, target, placement)
        return placement

    def _follow_merge(self, source: int, target: int, placement: Placement) -> Placement:
        gone, kept = self._native.get(source), self._native.get(target)
        if gone is None or kept is None or gone not in self._members:
            return placement
        self._marks.note_merge(gone, kept)
        self._correlator.follow_merge(gone, kept)
        self._pour(gone, kept)
        return msgspec.structs.replace(placement, incident_id=kept)

    def _native_of(self, stored_id: int, number: int) -> int:
        """The tried incident that a stored one became while all was followed."""
        tried = self._native.setdefault(stored_id, number * IDS_APART)
        while (facts := self._correlator.facts_of(tried)).redirect_to:
            tried = facts.redirect_to
        return tried

    def _hold(self, number: int, placement: Placement) -> None:
        for merge in placement.merges:
            self._merges[merge.source_id] = _reason(merge)
            self._marks.note_merge(merge.source_id, merge.target_id)
            self._pour(merge.source_id, merge.target_id)
        self._tried[number] = placement.incident_id
        self._members.setdefault(placement.incident_id, set()).add(number)

    def _pour(self, source: int, target: int) -> None:
        moving = self._members.pop(source, set())
        self._tried.update(dict.fromkeys(moving, target))
        self._members.setdefault(target, set()).update(moving)

    def settle(self, lines: Iterable[LogLine]) -> None:
        """The merges of a batch happen in the stored grouping too."""
        for line in lines:
            if line.action == "redirected":
                self._merge_stored(line.incident_id, int(line.detail.get("into", 0)))

    def _merge_stored(self, source: int, target: int) -> None:
        moving = self._stored_members.pop(source, set())
        self._stored.update(dict.fromkeys(moving, target))
        self._stored_members.setdefault(target, set()).update(moving)
        one, other = self._decisions(target), self._decisions(source)
        self._before_merge[source] = (other, one)
        if one != other:
            self._decided[target] = agreed(one, other)

    def _decisions(self, stored_id: int) -> Decisions:
        return self._decided.get(stored_id, UNDECIDED)

    def _matching(self, numbers: Iterable[int]) -> int | None:
        """The tried incident that holds most of these alerts, the older one of equals."""
        counted: dict[int, int] = {}
        for number in numbers:
            held_by = self._tried.get(number)
            if held_by is not None:
                counted[held_by] = counted.get(held_by, 0) + 1
        return min(counted, key=lambda each: (-counted[each], each)) if counted else None

    @property
    def replaying(self) -> bool:
        """Whether alerts are placed anew by now."""
        return self._replayed > 0

    def by_hand(self, line: LogLine, *, free: bool) -> None:
        """Do again what a person did: a decision, or a change of the grouping."""
        self.flush()
        self._newest_stored = max(self._newest_stored, line.incident_id)
        if line.action in ("updated", "alert-updated"):
            self._decide(line)
        elif line.action == "merged":
            sources = [each for each in line.numbers("sources") if each in self._stored_members]
            moving = set().union(*[self._stored_members[each] for each in sources])
            for source in sources:
                self._before_merge[source] = (self._decisions(source), self._decisions(line.incident_id))
                self._decided[line.incident_id] = agreed(self._decisions(line.incident_id), self._decisions(source))
            self._regroup(line, moving, sources, together=True)
        elif line.action == RETUNED:
            self._retune(line, free=free)
        elif line.action in ("alerts-moved", "split", "unmerged"):
            moving = {each for each in line.numbers("alerts") if each in self._stored}
            sources = sorted({self._stored[each] for each in moving})
            if line.action == "unmerged" and line.incident_id in self._before_merge:
                self._decided[line.incident_id], before = self._before_merge[line.incident_id]
                for source in sources:
                    self._decided[source] = taken_back(self._decisions(source), self._decided[line.incident_id], before)
            self._regroup(line, moving, sources, together=False)

    def _retune(self, line: LogLine, *, free: bool) -> None:
        """A tuning that was applied: no person's wish, so what is placed anew need not follow it."""
        moving = {each for each in line.numbers("alerts") if each in self._stored}
        if not free:
            handled = set(self._handled)
            self._regroup(line, moving, sorted({self._stored[each] for each in moving}), together=True)
            self._handled = handled
            return
        for number in moving:
            self._stored_members[self._stored[number]].discard(number)
            self._stored[number] = line.incident_id
        self._stored_members.setdefault(line.incident_id, set()).update(moving)

    def _decide(self, line: LogLine) -> None:
        self._handled.add(line.incident_id)
        before = self._decisions(line.incident_id)
        after = decided(before, line)
        if after != before:
            self._decided[line.incident_id] = after
            self._show_decisions(line.incident_id)

    def _show_decisions(self, stored_id: int) -> None:
        tried = self._matching(self._stored_members.get(stored_id, set()))
        if tried is not None:
            facts, decided = self._view.incidents[tried], self._decisions(stored_id)
            self._view.incidents[tried] = msgspec.structs.replace(facts, **msgspec.structs.asdict(decided))

    def _regroup(self, line: LogLine, moving: set[int], sources: list[int], *, together: bool) -> None:
        """Move these alerts in both groupings; in the tried one to the incident that stands for the target."""
        if not moving:
            return
        target = line.incident_id
        for source in sources if together else ():
            given, taking = self._matching(self._stored_members[source]), self._matching(self._stored_members[target])
            if given is not None and taking is not None:
                self._marks.note_merge(given, taking)
        there = self._stored_members.get(target, set()) - moving
        into = self._matching(there)
        if into is None or (not there and not together):
            into = self._room_for(target)
        if not there and line.action != "unmerged":
            statuses = [self._decisions(each).status for each in sources]
            alive = [each for each in statuses if each != IncidentStatus.RESOLVED]
            self._decided[target] = Decisions(status=alive[0] if alive else IncidentStatus.RESOLVED)
        touched = {self._tried[each] for each in moving} | {into}
        for number in moving:
            self._members[self._tried[number]].discard(number)
            self._tried[number] = into
            self._stored_members[self._stored[number]].discard(number)
            self._stored[number] = target
        self._members.setdefault(into, set()).update(moving)
        self._stored_members.setdefault(target, set()).update(moving)
        apart = {each: self._view.incidents[each].apart for each in touched if each in self._view.incidents}
        passed = set(self._marks.way_of(into))
        self._fold_anew(touched, into, moving)
        if line.action == "unmerged":
            self._marks.again(into, touched - {into}, apart, passed)
        else:
            self._marks.unite(into, apart, {into, *[each for each in apart if each not in self._members]})
        if not together:
            for source in sources:
                other = self._matching(self._stored_members.get(source, set()))
                if other is not None and other != into:
                    self._marks.part(into, other)
                self._handled.add(source)
                self._show_decisions(source)
        self._handled.add(target)
        self._show_decisions(target)

    def _room_for(self, stored_id: int) -> int:
        """An id for an incident that a person made or brought back; its own where that is free."""
        own = self._native.get(stored_id)
        if own is not None and own not in self._members:
            return own
        self._made_by_hand += 1
        made = self._last * IDS_APART + self._made_by_hand
        self._native[stored_id] = made
        return made

    def _fold_anew(self, touched: set[int], into: int, moving: set[int]) -> None:
        """Make the facts of incidents anew that gave or took alerts, and let entities name the right ones."""
        incidents = self._view.incidents
        known = [incidents[each].signals for each in touched if each in incidents]
        groups: dict[int, list[Held]] = {}
        for each in sorted(touched):
            numbers = self._members.get(each, set())
            groups[each] = self._history.held(sorted(numbers), self._tuned) if numbers else []
            before = incidents.get(each, IncidentFacts(each))
            if not numbers:
                incidents[each] = husk_of(before, into)
                self._members.pop(each, None)
                continue
            kept = {name: getattr(before, name) for name in Decisions.__struct_fields__}
            anew = msgspec.structs.replace(facts_of(each, groups[each], known), apart=before.apart)
            incidents[each] = anew if before.redirect_to else msgspec.structs.replace(anew, **kept)
        sightings = sightings_of({each: alerts for each, alerts in groups.items() if alerts})
        keys = {
            one.key for alerts in groups.values() for held in alerts if held.number in moving for one in held.evidence
        }
        for key in sorted(keys):
            memory = self._view.entities.get(key)
            if memory is not None and memory.postings:
                stale = {each.incident_id for each in memory.postings if self._marks.living(each.incident_id) in groups}
                self._view.entities[key] = reposted(memory, sightings.get(key, {}), stale)

    def grouping(self, free_from: int) -> Grouping:
        """Both groupings, as they are at the end."""
        return Grouping(
            before=self._stored,
            after=self._tried,
            free_from=free_from,
            warmed=self._warmed,
            replayed=self._replayed,
            suppressed=self._suppressed,
            handled=frozenset(self._handled),
            set_aside=frozenset(self._ever_set_aside),
            reasons=self._reasons,
            merges=self._merges,
        )


def _reason(edge: Link | Merge) -> Reason:
    strongest = max(edge.evidence, key=lambda each: each.weight)
    return Reason(edge.score, strongest.kind, strongest.text)
