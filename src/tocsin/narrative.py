"""An incident in sentences: what happened, in order, to whom, and with what. Written from the alerts, never invented.

The same alerts give the same words, whoever asks and whenever. Nothing is concluded: a sentence repeats what alerts
say, counts them and puts them in order. It is made from the alerts that a caller may see, so it tells of no other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from typing import Final

import msgspec

from tocsin.correlation.title import category_words
from tocsin.documents import AlertDocument
from tocsin.involved import machines_of, people_of

ALERTS_MAX: Final = 1_000
"""Alerts that a summary is made from, the earliest ones; it says so where there are more."""
STEPS_MAX: Final = 12
NAMED_MAX: Final = 3
TEXT_MAX: Final = 80

# Not what `is_private` says, which counts the ranges kept for documentation as private.
_INSIDE: Final = tuple(
    ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
)


class Narrative(msgspec.Struct, frozen=True):
    """`opening` says how much, when, about whom; `steps` are in order of time; `techniques` are ATT&CK ids, each once,
    in the order in which they were seen. `left_out` counts kinds of finding beyond the last step."""

    opening: str
    steps: tuple[str, ...]
    left_out: int
    techniques: tuple[str, ...]

    @property
    def text(self) -> str:
        """All of it as one text of several lines."""
        lines = [self.opening, *[f"{number}. {step}" for number, step in enumerate(self.steps, 1)]]
        if self.left_out:
            lines.append(f"Then {_counted(self.left_out, 'other kind')} of alert, not told here.")
        if self.techniques:
            lines.append(f"ATT&CK techniques: {', '.join(self.techniques)}.")
        return "\n".join(lines)


class _Told(msgspec.Struct, frozen=True, rename="camel"):
    """The properties of a stored entity that say with what."""

    ip_address: str | None = None
    url: str | None = None
    sender: str | None = None
    sender_ip: str | None = None
    file_name: str | None = None


_told_decoder = msgspec.json.Decoder(_Told)


def narrate(alerts: Iterable[AlertDocument], whole_count: int | None = None) -> Narrative | None:
    """The incident that these alerts make; None without any. `whole_count` is how many alerts there are, where only
    some of them were read."""
    ordered = sorted(alerts, key=lambda alert: (alert.first_activity, int(alert.alert_id[2:])))
    if not ordered:
        return None
    told = ordered[:ALERTS_MAX]
    findings: dict[tuple[str, str], list[AlertDocument]] = {}
    for alert in told:
        findings.setdefault((alert.service_source, alert.title), []).append(alert)
    groups = list(findings.values())
    day = told[0].first_activity[:10]
    return Narrative(
        opening=_opening(told, max(len(ordered), whole_count or 0)),
        steps=tuple([_step(group, day) for group in groups[:STEPS_MAX]]),
        left_out=max(0, len(groups) - STEPS_MAX),
        techniques=tuple(dict.fromkeys(each for alert in told for each in alert.mitre_techniques)),
    )


def _opening(alerts: Sequence[AlertDocument], count: int) -> str:
    sources = _listed([each.service_source for each in alerts])
    start, end = alerts[0].first_activity, max(alert.last_activity for alert in alerts)
    amount = _counted(count, "alert") if count == len(alerts) else f"The first {len(alerts)} of {count} alerts"
    about = [_about(machines_of(alerts), "device"), _about(people_of(alerts), "account")]
    named = " and ".join([each for each in about if each])
    return f"{amount} from {sources}, {_span(start, end)}" + (f", about {named}." if named else ".")


def _step(group: Sequence[AlertDocument], day: str) -> str:
    first = group[0]
    parts = [f"{_clock(first.first_activity, day)} {category_words(first.category)}: {_short(first.title)}"]
    machines, people, means = machines_of(group), people_of(group), _means(group)
    if machines:
        parts.append(f"on {_listed(machines)}")
    if people:
        parts.append(f"account {_listed(people)}")
    if means:
        parts.append(f"with {_listed(means)}")
    last = group[-1].first_activity
    if len(group) > 1:
        until = f" until {_clock(last, first.first_activity[:10])}" if last[:16] != first.first_activity[:16] else ""
        parts.append(f"{len(group)} alerts{until}")
    return ", ".join(parts) + "."


def _means(group: Sequence[AlertDocument]) -> list[str]:
    """What an analyst looks for elsewhere: addresses of the outside, links, senders of mail, files."""
    found: dict[str, None] = {}
    for alert in group:
        for raw in alert.entities:
            told = _told_decoder.decode(raw)
            for address in (told.ip_address, told.sender_ip):
                if address and _is_outside(address):
                    found[f"address {address}"] = None
            for noun, text in (("link", told.url), ("sender", told.sender), ("file", told.file_name)):
                if text:
                    found[f"{noun} {text}"] = None
    return list(found)


def _is_outside(text: str) -> bool:
    try:
        address = ip_address(text)
    except ValueError:
        return False
    inside = address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified
    return not inside and not any(address in network for network in _INSIDE if network.version == address.version)


def _about(names: Sequence[str], noun: str) -> str:
    if not names:
        return ""
    return f"{noun}{'s' if len(names) > 1 else ''} {_listed(names)}"


def _listed(names: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and 4 more`."""
    distinct = list(dict.fromkeys(names))
    shown = [_short(each) for each in distinct[:NAMED_MAX]]
    if len(distinct) > NAMED_MAX:
        shown.append(f"{len(distinct) - NAMED_MAX} more")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _span(start: str, end: str) -> str:
    if start[:16] == end[:16]:
        return f"on {start[:10]} at {start[11:16]} UTC"
    later = end[11:16] if start[:10] == end[:10] else f"{end[:10]} {end[11:16]}"
    return f"between {start[:10]} {start[11:16]} and {later} UTC ({_lasted(start, end)})"


def _lasted(start: str, end: str) -> str:
    began, ended = (datetime.fromisoformat(text[:19]).replace(tzinfo=UTC) for text in (start, end))
    minutes = max(1, round((ended - began).total_seconds() / 60))
    if minutes < 60:
        return _counted(minutes, "minute")
    hours, rest = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {rest} min" if rest else _counted(hours, "hour")
    return _counted(hours // 24, "day")


def _clock(text: str, day: str) -> str:
    return text[11:16] if text[:10] == day else f"{text[:10]} {text[11:16]}"


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= TEXT_MAX else flat[: TEXT_MAX - 1].rstrip() + "…"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
