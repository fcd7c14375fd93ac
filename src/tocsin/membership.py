"""Which incident holds which alerts, while people change it: collects what a verb moves and writes it in one go.

New versions of every alert that moves and of every incident that gives or takes, with facts made anew from the
alerts, a line in the change log for each, and the memories of entities that name them. What may be done is `regroup`'s.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from tocsin.correlation.apart import bounded, living_id
from tocsin.correlation.facts import husk_of, together_apart
from tocsin.correlation.memory import APART_MAX, EntityMemory, IncidentFacts
from tocsin.correlation.refolding import Held, facts_of, held, reposted, sightings_of
from tocsin.correlation.title import incident_title
from tocsin.documents import IncidentHeader, move_alert, stamp_of
from tocsin.errors import InvalidChange, NotFound
from tocsin.model import IncidentStatus, Severity
from tocsin.recall import recalled
from tocsin.stores.sqlite.feedback import learn
from tocsin.stores.sqlite.writing import LiveIncident, LogEntry, NewAlert, WriteStore
from tocsin.ticks import format_ticks
from tocsin.triage import COMMENT_CHARACTERS_MAX, appended, changeable, check_text, survivor

_SEVERITIES: Final = tuple(Severity)
REASON_CHARACTERS_MAX: Final = 500
"""Of a comment, so much goes into the change log, which is kept when the comment is not."""
_detail_encoder = msgspec.json.Encoder()


class By(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks for it, when, and why. `clock` and `not_before` (the retention cut-off) are ticks.

    The comment is appended to the incident that takes the alerts.
    """

    actor: str
    clock: int
    not_before: int
    comment: str | None = None


class Regrouped(msgspec.Struct, frozen=True):
    """What a verb did: the incident it is about, and all that got a new version by it, that one first."""

    incident_id: int
    changed: tuple[int, ...]


class Regrouping:
    """One change of the grouping of one tenant, in the open transaction. Nothing is written before `write`."""

    def __init__(self, store: WriteStore, tenant_id: int, by: By) -> None:
        if by.comment is not None:
            check_text("comment", by.comment, COMMENT_CHARACTERS_MAX)
        self._store, self._tenant_id, self._by = store, tenant_id, by
        self._counters = store.counters(tenant_id)
        self._members: dict[int, dict[int, NewAlert]] = {}
        self._known: dict[int, IncidentFacts] = {}
        self._whole: set[int] = set()
        self._apart: dict[int, tuple[int, ...]] = {}
        self._new = 0
        self.lives: dict[int, LiveIncident] = {}
        self.headers: dict[int, IncidentHeader] = {}
        """What people see of each incident; name, severity, times and (for husks) status are made at the end."""

    def open(self, incident_id: int) -> LiveIncident:
        """Take an incident in. Raises NotFound, and Redirected for a husk."""
        live = changeable(self._store, self._tenant_id, incident_id, self._by.not_before)
        alerts = self._store.find_alerts(self._tenant_id, incident_id)
        return self._take(live, {alert.alert_number: alert for alert in alerts})

    def open_husk(self, incident_id: int) -> LiveIncident:
        """Take a husk in, that is to hold alerts again. Raises NotFound, and InvalidChange for what is no husk."""
        live = self._store.live(self._tenant_id, incident_id) if 0 < incident_id < 2**63 else None
        if live is None or stamp_of(live.header.last_update_time) < self._by.not_before:
            raise NotFound(f"Incident {incident_id} was not found")
        if not live.facts.redirect_to:
            raise InvalidChange(f"incident {incident_id} was not merged into another one")
        return self._take(live, {})

    def _take(self, live: LiveIncident, alerts: dict[int, NewAlert]) -> LiveIncident:
        incident_id = live.incident_id
        self.lives[incident_id], self._known[incident_id] = live, live.facts
        self._members[incident_id], self.headers[incident_id] = alerts, live.header
        self._apart[incident_id] = live.facts.apart
        return live

    def open_new(self, status: IncidentStatus) -> int:
        """Make room for a new incident; gives its id."""
        self._counters.last_incident += 1
        self._new = self._counters.last_incident
        self._members[self._new], self._apart[self._new] = {}, ()
        self.headers[self._new] = IncidentHeader(
            incident_name="", created_time="", last_update_time="", status=status, severity=Severity.UNSPECIFIED
        )
        return self._new

    def numbers_of(self, incident_id: int) -> set[int]:
        """The numbers of the alerts that the incident holds as of now."""
        return set(self._members[incident_id])

    def move(self, source: int, alert_numbers: Iterable[int], target: int) -> None:
        """Let the target have these alerts of the source."""
        for number in sorted(alert_numbers):
            self._members[target][number] = self._members[source].pop(number)

    def restore(self, incident_id: int, facts: IncidentFacts, *, whole: bool) -> None:
        """Say what was known of a husk before; `whole` if it holds exactly the same alerts again."""
        self._known[incident_id], self._apart[incident_id] = facts, facts.apart
        if whole:
            self._whole.add(incident_id)

    def restore_untouched(self, incident_id: int, facts: IncidentFacts, since: int) -> None:
        """Say what was known before a change, if the incident holds the same alerts as then, none of them changed."""
        alerts = self._members[incident_id].values()
        if len(alerts) == facts.alert_count and all(each.change < since for each in alerts):
            self._known[incident_id] = facts
            self._whole.add(incident_id)

    def part(self, one: int, others: Iterable[int]) -> None:
        """Remember that a person took these apart."""
        for other in others:
            for here, there in ((one, other), (other, one)):
                kept = [each for each in self._apart[here] if each != there]
                self._apart[here] = (*kept, there)[-APART_MAX:]

    def inherit_apart(self, incident_id: int, other: int, but: Iterable[int] = ()) -> None:
        """Let what is apart of the other be apart of this one too: a cut holds for all alerts that were there."""
        known = {incident_id, other, *self._apart[incident_id], *but}
        more = [each for each in self._apart[other] if each not in known]
        self._apart[incident_id] = (*more, *self._apart[incident_id])[-APART_MAX:]

    def forget_apart(self, incident_id: int, others: set[int]) -> None:
        """Let go of what the incident had to be apart from only because of alerts that it has no more."""
        self._apart[incident_id] = tuple([each for each in self._apart[incident_id] if each not in others])

    def unite(self, target: int, sources: Iterable[int]) -> None:
        """Remember that a person put these together: what held for one holds for all, but not between them."""
        gone = set(sources)
        known = [IncidentFacts(each, apart=self._apart[each]) for each in (target, *sorted(gone))]
        self._apart[target] = together_apart(*known)

    def _tell_others(self, target: int) -> None:
        """Let each incident that a new mark means know of it: what is cut off that one later must keep the cut too.

        Nobody is shown marks, so an incident that only learns of one gets no version of it.
        """

        def find(incident_id: int) -> IncidentFacts | None:
            if incident_id in self._members:
                return IncidentFacts(incident_id, redirect_to=0 if self._members[incident_id] else target)
            live = self._store.live(self._tenant_id, incident_id)
            return None if live is None else live.facts

        for here in [each for each, alerts in self._members.items() if alerts]:
            live = self.lives.get(here)
            known = () if live is None else live.facts.apart
            for there in {living_id(each, find) for each in self._apart[here] if each not in known} - {0, here}:
                if there in self._members:
                    self._apart[there] = bounded([*self._apart[there], here])
                elif (other := self._store.live(self._tenant_id, there)) is not None and here not in other.facts.apart:
                    self._store.revise_marks(self._tenant_id, other, bounded([*other.facts.apart, here]))

    def write(self, target: int, action: str, detail: dict[str, Any]) -> Regrouped:
        """Number the changes and hand everything to the store; incidents that hold nothing become husks of `target`."""
        store, tenant_id = self._store, self._tenant_id
        self._tell_others(target)
        changes = {each: self._counters.next_change(self._by.clock) for each in sorted(self._members)}
        moved = [
            (alert, incident_id)
            for incident_id, alerts in self._members.items()
            for alert in alerts.values()
            if alert.incident_id != incident_id
        ]
        groups = {
            incident_id: [held(number, recalled(alert, self._counters.guid)) for number, alert in alerts.items()]
            for incident_id, alerts in self._members.items()
        }
        for source in sorted({alert.incident_id for alert, _ in moved}):
            going = [alert for alert, _ in moved if alert.incident_id == source]
            store.supersede_alerts(tenant_id, going, changes[source][0])
        store.write_alerts(tenant_id, [_moved(alert, into, *changes[into]) for alert, into in moved])
        versions = []
        for incident_id, (change, stamp) in changes.items():
            version = self._version(incident_id, groups[incident_id], target, change, stamp)
            before = self.lives.get(incident_id)
            versions.append((version, 0 if before is None else before.change, stamp))
        store.write_versions(tenant_id, versions)
        learn(store.connection, tenant_id, [version.facts for version, _, _ in versions])
        store.write_log(tenant_id, self._log(changes, target, action, detail))
        self._repost({alert.alert_number for alert, _ in moved}, groups)
        store.save_counters(self._counters)
        return Regrouped(target, (target, *sorted(set(changes) - {target})))

    def _version(self, incident_id: int, alerts: list[Held], target: int, change: int, stamp: int) -> LiveIncident:
        live, header = self.lives.get(incident_id), self.headers[incident_id]
        created = stamp if live is None else live.created
        header = msgspec.structs.replace(
            header,
            created_time=format_ticks(created),
            last_update_time=format_ticks(stamp),
            redirect_incident_id=None if alerts else target,
        )
        if not alerts:
            header = msgspec.structs.replace(header, status=IncidentStatus.REDIRECTED, severity=Severity.UNSPECIFIED)
            return LiveIncident(incident_id, change, created, header, husk_of(self._known[incident_id], target))
        facts = self._facts(incident_id, alerts)
        if incident_id == target and self._by.comment is not None:
            comments = appended(header.comments, self._by.comment, self._by.actor, stamp)
            header = msgspec.structs.replace(header, comments=comments)
        header = msgspec.structs.replace(
            header, incident_name=incident_title(facts), severity=_SEVERITIES[facts.severity]
        )
        return LiveIncident(incident_id, change, created, header, facts)

    def _facts(self, incident_id: int, alerts: list[Held]) -> IncidentFacts:
        header = self.headers[incident_id]
        if incident_id in self._whole:
            facts = self._known[incident_id]
        else:
            facts = facts_of(incident_id, alerts, [known.signals for known in self._known.values()])
        return msgspec.structs.replace(
            facts,
            status=header.status,
            assigned_to=header.assigned_to,
            classification=header.classification,
            determination=header.determination,
            apart=self._apart[incident_id],
        )

    def _log(
        self, changes: dict[int, tuple[int, int]], target: int, action: str, detail: dict[str, Any]
    ) -> list[LogEntry]:
        entries = []
        for incident_id, (change, stamp) in changes.items():
            done, told = action, detail
            if incident_id != target:
                done = "alerts-taken" if self._members[incident_id] else "redirected"
                told = {"by": action, "into": target}
            if self._by.comment is not None:
                told = {**told, "reason": self._by.comment[:REASON_CHARACTERS_MAX]}
            text = _detail_encoder.encode(told).decode()
            entries.append(LogEntry(change, stamp, incident_id, self._by.actor, done, text))
        return entries

    def _repost(self, moved: set[int], groups: dict[int, list[Held]]) -> None:
        """Let the entities of the moved alerts name the incidents that hold them now."""
        keys = {
            one.key for alerts in groups.values() for each in alerts if each.number in moved for one in each.evidence
        }
        self._store.entities.load(self._tenant_id, keys)
        sightings = sightings_of(groups)
        changed: dict[int, EntityMemory] = {}
        for key in sorted(keys):
            memory = self._store.entities.get(self._tenant_id, key)
            if memory is not None and memory.postings:
                stale = {each.incident_id for each in memory.postings if self._means_one_of(each.incident_id, groups)}
                again = reposted(memory, sightings.get(key, {}), stale)
                if again != memory:
                    changed[key] = again
        if changed:
            self._store.entities.journal(self._tenant_id, changed)

    def _means_one_of(self, incident_id: int, groups: dict[int, list[Held]]) -> bool:
        if incident_id in groups:
            return True
        live = self._store.live(self._tenant_id, incident_id)
        if live is None or not live.facts.redirect_to:
            return False
        return survivor(self._store, self._tenant_id, live) in groups


def _moved(alert: NewAlert, into: int, change: int, stamp: int) -> NewAlert:
    document = move_alert(alert.document, into, stamp)
    return msgspec.structs.replace(alert, change=change, incident_id=into, document=document)
