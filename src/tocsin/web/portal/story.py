"""The page of one incident: its alerts as a timeline, each with why it is here, and what they have in common.

Reads nothing itself; texts stay as the sensors wrote them until the templates show them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final

import msgspec

from tocsin.correlation.engine import Link, Merge
from tocsin.correlation.explain import Phrase, phrases
from tocsin.documents import AlertDocument
from tocsin.involved import names_by_id
from tocsin.narrative import Narrative, narrate
from tocsin.senders import REGISTRY
from tocsin.stores.sqlite.reading import LogRow
from tocsin.ticks import parse_ticks
from tocsin.web.portal.graph import Drawing, Told, draw
from tocsin.web.portal.text import Moment, counted, moment, plain, span
from tocsin.web.portal.things import (
    GROUPS,
    Thing,
    ThingCount,
    best_known,
    command_lines,
    count_things,
    things_of,
)

ALERTS_PAGE: Final = 100
COMMAND_LINES_MAX: Final = 3
HISTORY_MAX: Final = 100
FOLDED_MIN: Final = 3
"""Fewer repetitions than this are shown in full."""

# ATT&CK's own order, from the first look to the damage.
TACTICS: Final = (
    "reconnaissance", "resource-development", "initial-access", "execution", "persistence", "privilege-escalation",
    "defense-evasion", "credential-access", "discovery", "lateral-movement", "collection", "command-and-control",
    "exfiltration", "impact",
)  # fmt: skip
_OPENED: Final = "Opened this incident."
_OPENED_ANOTHER: Final = "Opened an incident of its own, which was later merged into this one."
_SENSORS: Final = {sender.prefix: sender.title for sender in REGISTRY.values()}


class Place(msgspec.Struct, frozen=True):
    """Where an alert stands in the timeline."""

    number: int
    alert_id: str
    title: str
    page: int


class Reason(msgspec.Struct, frozen=True):
    """Why an alert joined, or what it merged. `percent` is the score, `earlier` the alert that it was tied to, None
    where that one is not in this incident (any more)."""

    phrases: tuple[Phrase, ...]
    percent: int
    is_merge: bool
    earlier: Place | None


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One alert of the timeline. `gap` is the time since the one shown before, empty for short ones. `opened` is a
    sentence about an alert that joined nothing, else empty."""

    number: int
    document: AlertDocument
    sensor: str
    began: Moment
    lasted: str
    gap: str
    groups: tuple[tuple[str, tuple[Thing, ...]], ...]
    commands: tuple[str, ...]
    reasons: tuple[Reason, ...]
    opened: str


class Run(msgspec.Struct, frozen=True):
    """An alert and, folded, those of the same title and sensor that came later, others between them or not; `over` is
    how long they went on."""

    first: Step
    rest: tuple[Step, ...]
    over: str


class Change(msgspec.Struct, frozen=True):
    """One entry of the history in words; `remarks` are further sentences."""

    at: Moment
    actor: str
    told: str
    remarks: tuple[str, ...]


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """Everything of an incident that its alerts tell."""

    runs: tuple[Run, ...]
    page: int
    pages: int
    alerts: int
    groups: tuple[tuple[str, tuple[ThingCount, ...]], ...]
    techniques: tuple[tuple[str, int], ...]
    drawing: Drawing | None
    narrative: Narrative | None


class _Read(msgspec.Struct, frozen=True):
    number: int
    began: int
    document: AlertDocument
    things: list[Thing]


def tell(
    documents: Sequence[AlertDocument],
    links: Mapping[int, Sequence[Link | Merge]],
    *,
    page: int,
    now: int,
    partly: bool = False,
) -> Story:
    """The story of an incident, one page of its timeline. Alerts are in the order in which things happened.

    `partly`: there are alerts that the visitor does not see, so that one without a reason may have a hidden one.
    """
    names = names_by_id(documents)
    read = _read(documents, names)
    read.sort(key=lambda each: (each.began, each.number))
    pages = max(1, -(-len(read) // ALERTS_PAGE))
    page = min(max(1, page), pages)
    places = {
        each.number: Place(each.number, each.document.alert_id, each.document.title, index // ALERTS_PAGE + 1)
        for index, each in enumerate(read)
    }
    first = (page - 1) * ALERTS_PAGE
    joined = {number for number, edges in links.items() if any(isinstance(edge, Link) for edge in edges)}
    alone = set() if partly else {each.number for each in read} - joined
    opener = min(alone, default=0)  # merges go into the older incident, whose first alert has the least number

    def step(each: _Read, before: _Read) -> Step:
        opened = (_OPENED if each.number == opener else _OPENED_ANOTHER) if each.number in alone else ""
        reasons = [_reason(edge, places, names) for edge in links.get(each.number, ())]
        return _step(each, before.began, opened, reasons, now)

    runs, before = [], read[max(0, first - 1)] if read else None
    for group in _with_repeats(read[first : first + ALERTS_PAGE]):
        runs.append(_run([step(each, last) for last, each in pairwise([before or group[0], *group])]))
        before = group[0]
    techniques: dict[str, int] = {}
    for each in read:
        for technique in each.document.mitre_techniques:
            techniques[technique] = techniques.get(technique, 0) + 1
    return Story(
        runs=tuple(runs),
        page=page,
        pages=pages,
        alerts=len(read),
        groups=tuple((group, tuple(things)) for group, things in count_things(each.things for each in read)),
        techniques=tuple(sorted(techniques.items(), key=lambda pair: -pair[1])),
        drawing=draw([Told(each.document.title, each.document.severity, each.things) for each in read]),
        narrative=narrate(documents),
    )


def _read(documents: Sequence[AlertDocument], names: Mapping[str, str]) -> list[_Read]:
    things = [things_of(each, names) for each in documents]
    best = best_known(things)
    return [
        _Read(int(each.alert_id[2:]), parse_ticks(each.first_activity), each, [best[thing.key] for thing in found])
        for each, found in zip(documents, things, strict=True)
    ]


def _with_repeats(page: Sequence[_Read]) -> Iterator[list[_Read]]:
    """The alerts of a page one by one; with the first of those that repeat themselves often, all that follow."""
    by_title: dict[tuple[str, str], list[_Read]] = {}
    for each in page:
        by_title.setdefault((each.document.title, each.document.service_source), []).append(each)
    for each in page:
        group = by_title[each.document.title, each.document.service_source]
        if len(group) <= FOLDED_MIN:
            yield [each]
        elif group[0] is each:
            yield group


def _run(steps: Sequence[Step]) -> Run:
    first, *rest = steps
    last = parse_ticks(steps[-1].document.first_activity)
    return Run(first, tuple(rest), span(last - parse_ticks(first.document.first_activity)) if rest else "")


def _step(read: _Read, before: int, opened: str, reasons: Sequence[Reason], now: int) -> Step:
    document = read.document
    length = parse_ticks(document.last_activity) - read.began
    by_group = {group: tuple(thing for thing in read.things if thing.group == group) for group in GROUPS}
    return Step(
        number=read.number,
        document=document,
        sensor=_SENSORS.get(document.alert_id[:2], ""),
        began=moment(read.began, now),
        lasted=span(length) if length >= 10_000_000 else "",
        gap=span(read.began - before) if read.began - before >= 600_000_000 else "",
        groups=tuple((group, things) for group, things in by_group.items() if things),
        commands=tuple(command_lines(document, COMMAND_LINES_MAX)),
        reasons=tuple(reasons),
        opened=opened,
    )


def _reason(edge: Link | Merge, places: Mapping[int, Place], names: Mapping[str, str]) -> Reason:
    return Reason(
        phrases=_opening(phrases(edge, names)),
        percent=round(min(edge.score, 0.99) * 100),
        is_merge=isinstance(edge, Merge),
        earlier=places.get(edge.earlier_alert_number),
    )


def _opening(parts: Sequence[Phrase]) -> tuple[Phrase, ...]:
    """The sentence with a capital letter."""
    first, *rest = parts
    return (Phrase(first.text[:1].upper() + first.text[1:], first.told), *rest)


def lit_tactics(tactics: Sequence[str]) -> list[tuple[str, bool]]:
    """ATT&CK's tactics in their order, each with whether it was seen; others that were seen come last."""
    seen = set(tactics)
    return [(tactic, tactic in seen) for tactic in TACTICS] + [(each, True) for each in tactics if each not in TACTICS]


class _Detail(msgspec.Struct, frozen=True, rename="camel"):
    alerts: tuple[int, ...] = ()
    merged: tuple[int, ...] = ()
    kept_apart: tuple[str, ...] = ()
    into: int = 0


_detail_decoder = msgspec.json.Decoder(_Detail)


def history(log: Sequence[LogRow], now: int) -> tuple[Change, ...]:
    """The newest entries of the change log in words, newest first."""
    return tuple(_change(entry, now) for entry in reversed(log[-HISTORY_MAX:]))


def _change(entry: LogRow, now: int) -> Change:
    try:
        detail = _detail_decoder.decode(entry.detail)
    except msgspec.DecodeError:
        detail = _Detail()
    alerts = counted(len(detail.alerts), "alert")
    told = {
        "opened": f"Opened with {alerts}",
        "alerts-joined": f"{alerts} joined" if detail.alerts else "Changed",
        "redirected": f"Merged into incident {detail.into}",
    }.get(entry.action, plain(entry.action.replace("-", " ").capitalize()))
    if detail.merged:
        told += ", which merged incident " + ", ".join(map(str, detail.merged)) + " into this one"
    return Change(moment(entry.at, now), entry.actor, told, detail.kept_apart)
