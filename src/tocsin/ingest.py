"""Taking alerts in: read a request, then commit and correlate what is new. Nothing is acknowledged before its commit.

`read_delivery` is pure and may run anywhere; `apply_deliveries` runs in the writer, inside its transaction, for
all requests that one commit carries. Correlation decides where alerts go, the store keeps it; here is the verb.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Final

import msgspec

from tocsin.correlation.engine import Correlator, Placement
from tocsin.correlation.evidence import Evidence
from tocsin.correlation.guards import Limits
from tocsin.correlation.memory import EntityMemory, IncidentFacts
from tocsin.correlation.title import incident_title
from tocsin.correlation.tuned import suppression_key
from tocsin.correlation.tuning import Suppression
from tocsin.correlation.watch import Watch
from tocsin.documents import IncidentHeader, alert_id, encode_alert, move_alert
from tocsin.errors import Refused
from tocsin.model import Alert, AlertStatus, Classification, Determination, IncidentStatus, Severity
from tocsin.payload import split_payload
from tocsin.senders import REGISTRY, Sender
from tocsin.stores.sqlite.writing import Counters, LiveIncident, LogEntry, NewAlert, NewLink, WriteStore
from tocsin.ticks import format_ticks

ACTOR: Final = "correlation"
SUPPRESSED_TAG: Final = "suppressed"
_SEVERITIES: Final = tuple(Severity)
_evidence_encoder = msgspec.msgpack.Encoder()
_detail_encoder = msgspec.json.Encoder()


class Result(StrEnum):
    """What became of one line of a request."""

    CREATED = "created"
    DUPLICATE = "duplicate"
    REFUSED = "refused"
    SKIPPED = "skipped"


class Line(msgspec.Struct, frozen=True):
    """One JSON value of a request: an alert, or the reason why it is none, or (both absent) no alert at all.

    `body` is kept of what was refused only.
    """

    number: int
    alert: Alert | None
    reason: str
    body: bytes


class Delivery(msgspec.Struct, frozen=True):
    """One request for one tenant, read. `retried` are refused inputs that this delivery sends again."""

    tenant_id: int
    sender: str
    lines: tuple[Line, ...]
    retried: tuple[int, ...] = ()


class LineResult(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """The answer for one line (JSON form of `POST /ingest/{sender}`)."""

    line: int
    result: Result
    alert_id: str | None = None
    incident_id: int | None = None
    reason: str | None = None
    refused_id: int | None = None


def read_delivery(sender: Sender, tenant_id: int, body: bytes, alerts_max: int) -> Delivery:
    """Read a request body into alerts. Raises InvalidInput or TooLarge for a body that is no payload at all."""
    return Delivery(
        tenant_id, sender.name, tuple([read_line(sender, *line) for line in split_payload(body, alerts_max)])
    )


def read_line(sender: Sender, number: int, raw: bytes) -> Line:
    """Read one JSON value. A value that cannot be read becomes a Line with the reason."""
    try:
        return Line(number, sender.normalise(raw), "", b"")
    except Refused as refusal:
        return Line(number, None, str(refusal), raw)


def apply_deliveries(
    store: WriteStore, deliveries: Sequence[Delivery], clock: int, limits: Limits, cutoff: Callable[[int], int]
) -> list[list[LineResult]]:
    """Store and correlate what is new in these deliveries, inside the open transaction; results in the same order.

    `cutoff` gives, for a tenant's own days (0: none), the ticks before which its incidents are past retention.
    """
    by_tenant: dict[int, list[int]] = defaultdict(list)
    for index, delivery in enumerate(deliveries):
        by_tenant[delivery.tenant_id].append(index)
    results: list[list[LineResult]] = [[] for _ in deliveries]
    for tenant_id, indexes in by_tenant.items():
        counters = store.counters(tenant_id)
        batch = _Batch(store, counters, clock, limits, cutoff(counters.retention_days))
        batch.look_up([deliveries[index] for index in indexes])
        kept = [batch.take(deliveries[index]) for index in indexes]
        batch.write()
        store.save_counters(counters)
        for index, pending in zip(indexes, kept, strict=True):
            results[index] = [batch.answer(deliveries[index].sender, each) for each in pending]
    return results


class _StoredView:
    """What the correlation may see of a tenant: the committed state, without what is past retention.

    Such an incident is on its way out, perhaps half gone: an alert that joined it would bring it back.
    """

    def __init__(self, store: WriteStore, tenant_id: int, not_before: int) -> None:
        self._store, self._tenant_id = store, tenant_id
        self._not_before = format_ticks(not_before)

    def entity(self, key: int) -> EntityMemory | None:
        return self._store.entities.get(self._tenant_id, key)

    def incident(self, incident_id: int) -> IncidentFacts | None:
        live = self._store.live(self._tenant_id, incident_id)
        return None if live is None or live.header.last_update_time < self._not_before else live.facts


class _Placed(msgspec.Struct, frozen=True):
    """An alert of this batch and where the correlation put it."""

    number: int
    sender: str
    alert: Alert
    placement: Placement


class _Batch:
    """What one commit does to one tenant."""

    def __init__(self, store: WriteStore, counters: Counters, clock: int, limits: Limits, not_before: int) -> None:
        self._store, self._counters, self._clock = store, counters, clock
        self._tenant_id, self._known_until = counters.tenant_id, counters.last_incident
        view = _StoredView(store, counters.tenant_id, not_before)
        self._tuned = store.tunings.get(counters.tenant_id, clock)
        self._correlator = Correlator(view, limits, self._tuned)
        self._watch = Watch(view, self._correlator, moments=True)
        self._placed: dict[int, _Placed] = {}
        self._ids: dict[str, dict[str, tuple[int, int]]] = defaultdict(dict)
        self._evidence: dict[tuple[str, str], tuple[Evidence, ...]] = {}
        self._redirects: dict[int, int] = {}
        self._suppressed: dict[int, str] = {}
        self._changes: dict[int, tuple[int, int]] = {}

    def look_up(self, deliveries: Sequence[Delivery]) -> None:
        """Ask the store once for all that placing these deliveries needs: each question costs a turn at the GIL."""
        alerts: dict[str, dict[str, Alert]] = defaultdict(dict)
        for delivery in deliveries:
            for line in delivery.lines:
                if line.alert is not None:
                    alerts[delivery.sender].setdefault(line.alert.identity, line.alert)
        wanted: list[int] = []
        for sender, asked in alerts.items():
            known = self._ids[sender] = self._store.find_known(self._tenant_id, sender, list(asked))
            for identity, alert in asked.items():
                if identity not in known:
                    keys = self._evidence[sender, identity] = self._correlator.keys_of(alert)
                    wanted.extend([each.key for each in keys])
                    wanted.extend(self._watch.keys_of(keys))
        self._store.entities.load(self._tenant_id, wanted)

    def take(self, delivery: Delivery) -> list[LineResult | tuple[Line, Result]]:
        """Place the new alerts of a delivery; what is answered only after the changes are numbered comes as a pair."""
        known = self._ids[delivery.sender]
        refused = iter(self._keep_refused(delivery))
        answers: list[LineResult | tuple[Line, Result]] = []
        for line in delivery.lines:
            if line.alert is not None:
                duplicate = line.alert.identity in known
                if not duplicate:
                    evidence = self._evidence[delivery.sender, line.alert.identity]
                    known[line.alert.identity] = self._place(delivery.sender, line.alert, evidence)
                answers.append((line, Result.DUPLICATE if duplicate else Result.CREATED))
            elif line.reason:
                refused_id = next(refused)
                answers.append(LineResult(line.number, Result.REFUSED, reason=line.reason, refused_id=refused_id))
            else:
                answers.append(LineResult(line.number, Result.SKIPPED))
        return answers

    def _keep_refused(self, delivery: Delivery) -> list[int]:
        lines = [(line.number, line.reason, line.body) for line in delivery.lines if line.reason]
        if delivery.retried:
            self._store.drop_refused(self._tenant_id, delivery.retried)
        if not lines:
            return []
        # A walk over what is refused ends at the ids that its own retries made: they must be new ones.
        anew = bool(delivery.retried)
        return self._store.write_refused(self._tenant_id, self._clock, delivery.sender, lines, anew=anew)

    def _place(self, sender: str, alert: Alert, evidence: tuple[Evidence, ...]) -> tuple[int, int]:
        counters = self._counters
        counters.last_alert += 1
        suppression = None if self._tuned is None else self._tuned.suppression(alert, self._clock)
        if suppression is not None:
            return self._set_aside(sender, alert, suppression)
        evidence = self._watch.seen(alert, evidence)
        placement = self._correlator.place(alert, counters.last_alert, counters.last_incident + 1, evidence)
        self._watch.placed(alert, evidence[0].key, placement)
        counters.last_incident += placement.opened
        for merge in placement.merges:
            self._redirects[merge.source_id] = merge.target_id
        self._placed[counters.last_alert] = _Placed(counters.last_alert, sender, alert, placement)
        return counters.last_alert, placement.incident_id

    def _set_aside(self, sender: str, alert: Alert, rule: Suppression) -> tuple[int, int]:
        """Keep an alert that a rule of the tenant suppresses: resolved, and apart from all that is alive."""
        counters = self._counters
        alert = msgspec.structs.replace(
            alert, status=AlertStatus.RESOLVED, classification=Classification.INFORMATIONAL_EXPECTED_ACTIVITY
        )
        placement = self._correlator.set_aside(
            alert, counters.last_alert, counters.last_incident + 1, suppression_key(rule)
        )
        counters.last_incident += placement.opened
        self._suppressed[placement.incident_id] = rule.reason
        self._placed[counters.last_alert] = _Placed(counters.last_alert, sender, alert, placement)
        return counters.last_alert, placement.incident_id

    def answer(self, sender: str, pending: LineResult | tuple[Line, Result]) -> LineResult:
        """The final answer of a line, once the whole batch is placed (a later alert may have merged incidents)."""
        if isinstance(pending, LineResult):
            return pending
        line, result = pending
        assert line.alert is not None
        number, incident_id = self._ids[sender][line.alert.identity]
        return LineResult(line.number, result, alert_id(REGISTRY[sender].prefix, number), self._resolve(incident_id))

    def _resolve(self, incident_id: int) -> int:
        while incident_id in self._redirects:
            incident_id = self._redirects[incident_id]
        return incident_id

    def write(self) -> None:
        """Number the changes and hand everything to the store."""
        if not self._placed:
            return
        store, tenant_id = self._store, self._tenant_id
        facts = self._correlator.incidents_changed
        before = {each: store.live(tenant_id, each) if each <= self._known_until else None for each in facts}
        for incident_id in sorted(facts):
            self._changes[incident_id] = self._counters.next_change(self._clock)
        taken = self._taken()
        versions = []
        for incident_id, (change, stamp) in self._changes.items():
            live = before[incident_id]
            created = stamp if live is None else live.created
            header = self._header(facts[incident_id], before, taken[incident_id], created, stamp)
            version = LiveIncident(incident_id, change, created, header, facts[incident_id])
            versions.append((version, 0 if live is None else live.change, stamp))
        store.write_alerts(tenant_id, self._moved_alerts())
        store.write_alerts(tenant_id, [self._new_alert(placed) for placed in self._placed.values()])
        store.exposures.write(
            tenant_id, self._counters.guid, [(each.number, each.alert) for each in self._placed.values()]
        )
        store.write_versions(tenant_id, versions)
        store.write_links(tenant_id, self._links())
        store.write_log(tenant_id, self._log(before, taken))
        store.entities.journal(tenant_id, self._correlator.entities_changed | self._watch.entities_changed)

    def _header(
        self,
        facts: IncidentFacts,
        before: dict[int, LiveIncident | None],
        sources: Sequence[int],
        created: int,
        stamp: int,
    ) -> IncidentHeader:
        live = before[facts.incident_id]
        old = None if live is None else live.header
        tags = () if old is None else old.tags
        if facts.incident_id in self._suppressed:
            tags = tuple(dict.fromkeys((*tags, SUPPRESSED_TAG)))
        comments = () if old is None else old.comments
        for source_id in sources:
            source = before[source_id]
            if source is not None:  # what people wrote moves along; it belongs to the alerts it was written about
                tags = tuple(dict.fromkeys((*tags, *source.header.tags)))
                comments = tuple(sorted((*comments, *source.header.comments), key=lambda each: each.created_time))
        husk = facts.redirect_to != 0
        return IncidentHeader(
            redirect_incident_id=self._resolve(facts.redirect_to) if husk else None,
            incident_name=_husk_name(old, facts) if husk else incident_title(facts),
            created_time=format_ticks(created),
            last_update_time=format_ticks(stamp),
            assigned_to=facts.assigned_to,
            classification=facts.classification or Classification.UNKNOWN,
            determination=facts.determination or Determination.NOT_AVAILABLE,
            status=IncidentStatus.REDIRECTED if husk else facts.status,
            severity=Severity.UNSPECIFIED if husk else _SEVERITIES[facts.severity],
            tags=tags,
            comments=comments,
        )

    def _moved_alerts(self) -> list[NewAlert]:
        moved = []
        for source_id in self._redirects:
            target_id = self._resolve(source_id)
            change, stamp = self._changes[target_id]
            for old in self._store.move_out(self._tenant_id, source_id, self._changes[source_id][0]):
                document = move_alert(old.document, target_id, stamp)
                moved.append(msgspec.structs.replace(old, change=change, incident_id=target_id, document=document))
        return moved

    def _new_alert(self, placed: _Placed) -> NewAlert:
        incident_id = self._resolve(placed.placement.incident_id)
        change, stamp = self._changes[incident_id]
        document, rest = encode_alert(
            placed.alert,
            public_id=alert_id(REGISTRY[placed.sender].prefix, placed.number),
            incident_id=incident_id,
            tenant_guid=self._counters.guid,
            stamp=stamp,
        )
        return NewAlert(placed.number, change, incident_id, placed.sender, placed.alert.identity, document, rest)

    def _links(self) -> list[NewLink]:
        links = []
        for number, placed in self._placed.items():
            link = placed.placement.link
            if link is not None:
                change = self._changes[link.incident_id][0]
                evidence = _evidence_encoder.encode(link.evidence)
                links.append(
                    NewLink(number, 0, link.incident_id, link.earlier_alert_number, change, link.score, evidence)
                )
            for merge in placed.placement.merges:
                change = self._changes[merge.source_id][0]
                evidence = _evidence_encoder.encode(merge.evidence)
                earlier = merge.earlier_alert_number
                links.append(NewLink(number, merge.source_id, merge.target_id, earlier, change, merge.score, evidence))
        return links

    def _taken(self) -> dict[int, list[int]]:
        """For each incident that stays: those that were merged into it, over all steps."""
        taken: dict[int, list[int]] = defaultdict(list)
        for source_id in self._redirects:
            taken[self._resolve(source_id)].append(source_id)
        return taken

    def _log(self, before: dict[int, LiveIncident | None], taken: dict[int, list[int]]) -> list[LogEntry]:
        joined: dict[int, list[int]] = defaultdict(list)
        apart: dict[int, list[str]] = defaultdict(list)
        for number, placed in self._placed.items():
            incident_id = self._resolve(placed.placement.incident_id)
            joined[incident_id].append(number)
            apart[incident_id].extend(placed.placement.kept_apart)
        entries = []
        for incident_id, (change, stamp) in self._changes.items():
            detail: dict[str, object] = {"alerts": joined[incident_id], "merged": taken[incident_id]}
            detail["keptApart"] = apart[incident_id][:20]
            detail["suppressed"] = self._suppressed.get(incident_id)
            action = "alerts-joined" if before[incident_id] is not None else "opened"
            if incident_id in self._redirects:
                action = "redirected"
                detail["into"] = self._resolve(incident_id)
            text = _detail_encoder.encode({key: value for key, value in detail.items() if value}).decode()
            entries.append(LogEntry(change, stamp, incident_id, ACTOR, action, text))
        return entries


def _husk_name(old: IncidentHeader | None, facts: IncidentFacts) -> str:
    return incident_title(facts) if old is None else old.incident_name
