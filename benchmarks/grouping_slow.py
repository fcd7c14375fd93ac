"""Slow stories, which the labelled alerts at hand lack: real incidents thinned, stripped and stretched over hours.

Products that watch mail, identities and clouds tell a story in a few alerts over hours, and name little besides a
person, an address, a file or a device. A stand-in for such incidents is made from those that are there: a few alerts
of each, without processes and the like, at gaps of minutes to hours. What is made is never tuned to: one file for all.
"""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from math import exp, log
from typing import Any, Final

START: Final = datetime(2024, 3, 4, tzinfo=UTC)
ALERTS_MAX: Final = 8
GAP_MEDIAN: Final = timedelta(minutes=10)
GAP_SPREAD: Final = log(6.0)
"""Standard deviation of the logarithm: two thirds of the gaps are between 2 minutes and an hour."""
SPAN_MAX: Final = timedelta(hours=48)
KEPT_TYPES: Final = frozenset({"User", "Ip", "Url", "File", "DomainName"})
DEVICES: Final = 300
USERS: Final = 300


def slow_incidents(
    labelled: Iterable[str], *, days: float, seed: int, devices: bool = True, strangers: int = 0
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Alerts in time order and the label of each by its id, from lines as `sigma-labelled.jsonl` has them.

    `devices` False leaves people and addresses only, as an identity provider reports. `strangers` are single
    alerts about random people and devices, each an incident of its own.
    """
    rng = random.Random(seed)
    incidents: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in labelled:
        row = json.loads(line)
        incidents[row["label"]].append(row["alert"])
    rows: list[tuple[datetime, dict[str, Any]]] = []
    truth: dict[str, str] = {}
    pool: list[dict[str, Any]] = []
    for label in sorted(incidents):
        names = _Names(rng)
        told = _thinned(rng, [_stripped(each, names, devices) for each in incidents[label]])
        pool += told
        if len(told) < 2:
            continue
        for at, alert in zip(_times(rng, len(told), days), told, strict=True):
            rows.append((at, _moved(alert, at)))
            truth[alert["providerAlertId"]] = label
    for number in range(strangers):
        at = START + timedelta(days=rng.random() * days)
        alert = _moved(rng.choice(pool), at) | {"providerAlertId": f"stranger-{number}"}
        names = _Names(rng)
        rows.append((at, _stripped(alert, names, devices) | {"entities": _people(alert["entities"], names)}))
        truth[alert["providerAlertId"]] = f"noise:{number}"
    rows.sort(key=lambda row: row[0])
    return [alert for _, alert in rows], truth


class _Names:
    """One incident's people, devices and addresses among those of the organisation."""

    def __init__(self, rng: random.Random) -> None:
        self._rng, self._known = rng, dict[str, str]()

    def of(self, kind: str, name: str) -> str:
        if name not in self._known:
            size = DEVICES if kind == "pc" else USERS
            self._known[name] = f"{kind}{self._rng.randrange(size):03d}"
        return self._known[name]


def _people(entities: Iterable[Mapping[str, Any]], names: _Names) -> list[dict[str, Any]]:
    return [
        dict(each) | {"accountName": names.of("user", each["accountName"])}
        for each in entities
        if each["entityType"] == "User"
    ]


def _stripped(alert: Mapping[str, Any], names: _Names, devices: bool) -> dict[str, Any]:
    entities = []
    for each in alert["entities"]:
        if each["entityType"] not in KEPT_TYPES:
            continue
        renamed = dict(each)
        if each["entityType"] == "User":
            renamed["accountName"] = names.of("user", each["accountName"])
        elif each["entityType"] == "Ip":
            renamed["ipAddress"] = "203.0.113." + names.of("", each["ipAddress"]).lstrip("0").rjust(1, "0")[:2]
        entities.append(renamed)
    hosts = [names.of("pc", each["deviceDnsName"]) for each in alert["devices"]]
    if not devices:
        # The host's person stands for it: an identity alert always names someone.
        entities = [each for each in entities if each["entityType"] in ("User", "Ip")]
        entities += [{"entityType": "User", "accountName": host.replace("pc", "user")} for host in hosts[:1]]
    return dict(alert) | {
        "entities": entities,
        "devices": [{"deviceDnsName": host} for host in hosts] if devices else [],
    }


def _thinned(rng: random.Random, alerts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A few of the alerts, one per rule first: products seldom repeat one finding in one incident."""
    by_rule = {each["title"]: each for each in alerts}
    some = list(by_rule.values())
    more = [each for each in alerts if by_rule[each["title"]] is not each]
    rng.shuffle(more)
    return (some + more)[: rng.randint(2, ALERTS_MAX)]


def _times(rng: random.Random, count: int, days: float) -> list[datetime]:
    times = [START + timedelta(days=rng.random() * days)]
    for _ in range(count - 1):
        gap = GAP_MEDIAN * exp(rng.gauss(0.0, GAP_SPREAD))
        times.append(min(times[-1] + gap, times[0] + SPAN_MAX))
    return times


def _moved(alert: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    stamp = at.strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"
    return dict(alert) | {"firstActivity": stamp, "lastActivity": stamp}
