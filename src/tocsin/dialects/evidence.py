"""Why an incident is as it is, as one document: the tree of joins, the merges, what was kept apart, what people did.

An extension of ours; reasons are words of Graph's vocabulary. Only what the caller was given is told: an alert that
is elsewhere now is named by nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tocsin import ticks
from tocsin.correlation.engine import Link, LinkEvidence, Merge
from tocsin.correlation.explain import explain
from tocsin.correlation.kinds import MOMENT
from tocsin.documents import AlertDocument, IncidentHeader
from tocsin.involved import names_by_id
from tocsin.stores.sqlite.reading import LogRow

PAGE_MAX: Final = 1_000
"""Alerts to a page."""
DEEDS_MAX: Final = 200
"""The newest changes of the grouping that are told, and the newest remarks on what was kept apart."""
ALERTS_TOLD_MAX: Final = 1_000

Time: TypeAlias = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]


class Reason(msgspec.Struct, frozen=True, rename="camel"):
    """One shared thing. `reason` is Graph's word, `ageSeconds` how far apart the two sightings are.

    `value` is empty where nothing but the moment was shared.
    """

    reason: str
    kind: str
    value: str
    weight: float
    age_seconds: float


class MergedHere(msgspec.Struct, frozen=True, rename="camel"):
    """The alert showed that two incidents are one. `withAlertId` is null where that alert is elsewhere now."""

    incident_id: int
    into_incident_id: int
    with_alert_id: str | None
    score: float
    text: str
    reasons: tuple[Reason, ...]


class Joined(msgspec.Struct, frozen=True, rename="camel"):
    """An alert and why it is here. `parentAlertId` is the earlier alert of this incident that it joined by.

    Without a parent it is a root of the tree: it opened an incident (`score` is null), or what it joined by is
    elsewhere now (`isCut`).
    """

    alert_id: str
    title: str
    first_activity: Time
    parent_alert_id: str | None
    is_cut: bool
    score: float | None
    text: str
    reasons: tuple[Reason, ...]
    merges: tuple[MergedHere, ...]


class Deed(msgspec.Struct, frozen=True, rename="camel"):
    """A change of the grouping: who did what when, and why. The machine's name is `correlation`."""

    time: Time
    actor: str
    action: str
    text: str
    incident_ids: tuple[int, ...]
    alert_ids: tuple[str, ...]
    reason: str | None


class KeptApart(msgspec.Struct, frozen=True):
    """An incident that was near and yet not joined or merged, and why."""

    time: Time
    text: str


class Evidence(msgspec.Struct, frozen=True, rename="camel"):
    """All of an incident. `alertCount` counts all alerts, a page has some of them in `value`."""

    incident_id: int
    incident_name: str
    last_update_time: Time
    redirect_incident_id: int | None
    alert_count: int
    deeds: tuple[Deed, ...]
    kept_apart: tuple[KeptApart, ...]
    value: tuple[Joined, ...]
    next_link: str | UnsetType = msgspec.field(name="@odata.nextLink", default=UNSET)


class _Detail(msgspec.Struct, frozen=True, rename="camel"):
    alerts: tuple[int, ...] = ()
    merged: tuple[int, ...] = ()
    sources: tuple[int, ...] = ()
    kept_apart: tuple[str, ...] = ()
    source: int | tuple[int, ...] = msgspec.field(name="from", default=())
    into: int = 0
    by: str = ""
    reason: str | None = None

    def incidents(self) -> tuple[int, ...]:
        """The other incidents that took part."""
        sources = self.source if isinstance(self.source, tuple) else (self.source,)
        into = (self.into,) if self.into else ()
        return tuple(dict.fromkeys((*self.merged, *self.sources, *sources, *into)))


_detail_decoder: Final = msgspec.json.Decoder(_Detail)
_WORDS: Final = {
    "merged": "merged {} into this one",
    "redirected": "merged into {}",
    "alerts-moved": "moved alerts here from {}",
    "split": "cut from {}",
    "unmerged": "undid the merge into {}",
    "alerts-taken": "took alerts from here to {}",
    "opened": "merged {} into this one",
    "alerts-joined": "merged {} into this one",
}


def evidence_of(
    incident_id: int,
    header: IncidentHeader,
    alerts: Sequence[AlertDocument],
    links: Mapping[int, Sequence[Link | Merge]],
    log: Sequence[LogRow],
) -> Evidence:
    """The evidence of one version of an incident, from what the reader was given of it."""
    public = {int(each.alert_id[2:]): each.alert_id for each in alerts}
    names = names_by_id(alerts)
    details = [(entry, _detail_of(entry)) for entry in log]
    regrouped = [(entry, detail) for entry, detail in details if entry.action in _WORDS and detail.incidents()]
    apart = [KeptApart(ticks.format_ticks(entry.at), text) for entry, detail in details for text in detail.kept_apart]
    return Evidence(
        incident_id=incident_id,
        incident_name=header.incident_name,
        last_update_time=header.last_update_time,
        redirect_incident_id=header.redirect_incident_id,
        alert_count=len(alerts),
        deeds=tuple([_deed(entry, detail, public) for entry, detail in regrouped[-DEEDS_MAX:]]),
        kept_apart=tuple(apart[-DEEDS_MAX:]),
        value=tuple([_joined(each, links.get(int(each.alert_id[2:]), ()), public, names) for each in alerts]),
    )


def evidence_page(evidence: Evidence, base_url: str, top: int, skip: int) -> bytes:
    """A part of it as a document. What is of the whole incident is on the first page alone."""
    shown = evidence.value[skip : skip + top]
    link = f"{base_url}/api/incidents/{evidence.incident_id}/evidence?$top={top}&$skip={skip + top}"
    onward = skip + top < len(evidence.value) and top > 0
    page = msgspec.structs.replace(
        evidence,
        value=shown,
        deeds=() if skip else evidence.deeds,
        kept_apart=() if skip else evidence.kept_apart,
        next_link=link if onward else UNSET,
    )
    return msgspec.json.encode(page)


def _joined(
    alert: AlertDocument,
    edges: Iterable[Link | Merge],
    public: Mapping[int, str],
    names: Mapping[str, str],
) -> Joined:
    join = next((each for each in edges if isinstance(each, Link)), None)
    merges = [each for each in edges if isinstance(each, Merge)]
    parent = None if join is None else public.get(join.earlier_alert_number)
    text = "opened an incident: nothing before it was near enough" if join is None else explain(join, names)
    return Joined(
        alert_id=alert.alert_id,
        title=alert.title,
        first_activity=alert.first_activity,
        parent_alert_id=parent,
        is_cut=join is not None and parent is None,
        score=None if join is None else join.score,
        text=text,
        reasons=() if join is None else _reasons(join.evidence),
        merges=tuple(
            [
                MergedHere(
                    each.source_id,
                    each.target_id,
                    public.get(each.earlier_alert_number),
                    each.score,
                    explain(each, names),
                    _reasons(each.evidence),
                )
                for each in merges
            ]
        ),
    )


def _reasons(evidence: Iterable[LinkEvidence]) -> tuple[Reason, ...]:
    return tuple(
        [
            Reason(
                each.reason,
                each.kind,
                "" if each.kind == MOMENT.name else each.text,
                each.weight,
                each.age / ticks.SECOND,
            )
            for each in evidence
        ]
    )


def _detail_of(entry: LogRow) -> _Detail:
    try:
        return _detail_decoder.decode(entry.detail)
    except msgspec.DecodeError:
        return _Detail()


def _deed(entry: LogRow, detail: _Detail, public: Mapping[int, str]) -> Deed:
    others = detail.incidents()
    named = ("incident " if len(others) == 1 else "incidents ") + ", ".join(map(str, others))
    told: list[Any] = [public[each] for each in detail.alerts if each in public]
    return Deed(
        time=ticks.format_ticks(entry.at),
        actor=entry.actor,
        action=entry.action,
        text=_WORDS[entry.action].format(named),
        incident_ids=others,
        alert_ids=tuple(told[:ALERTS_TOLD_MAX]),
        reason=detail.reason,
    )
