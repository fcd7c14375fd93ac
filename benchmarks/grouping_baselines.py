"""Other ways of grouping alerts, on the same evidence: fixed windows, graph communities, plain evidence weights."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from math import exp2, log2
from typing import Final

from tocsin import ticks
from tocsin.correlation.evidence import evidence_keys
from tocsin.model import Alert

Rules = Callable[[Sequence[Alert]], list[int]]
OWN_KINDS: Final = ("rule", "moment", "repeat", "sequel")
"""Evidence that only our rules use."""
NEIGHBOURS_MAX: Final = 8
PASSES_MAX: Final = 20
Graph = dict[int, dict[int, float]]


def root(parents: dict[int, int], number: int) -> int:
    """The end of a chain of parents; 0 and absent mean none."""
    while parents.get(number):
        number = parents[number]
    return number


def windowed(window: int) -> Rules:
    """The usual rule: alerts that share an entity (or device) within `window` ticks are one incident."""

    def group(alerts: Sequence[Alert]) -> list[int]:
        last: dict[int, tuple[int, int]] = {}
        parents: dict[int, int] = {}
        for number, alert in enumerate(alerts, 1):
            parents[number] = 0
            for key, _ in _shared(alert):
                seen_at, earlier = last.get(key, (0, 0))
                last[key] = (alert.first_activity, number)
                if earlier and alert.first_activity - seen_at <= window:
                    one, other = root(parents, earlier), root(parents, number)
                    if one != other:
                        parents[max(one, other)] = min(one, other)
        return [root(parents, number) for number in range(1, len(alerts) + 1)]

    return group


def communities(window: int) -> Rules:
    """Louvain communities of the graph of alerts that share things within `window` ticks, weighted by prior."""

    def group(alerts: Sequence[Alert]) -> list[int]:
        graph: Graph = {number: {} for number in range(len(alerts))}
        seen: dict[int, list[int]] = defaultdict(list)
        for number, alert in enumerate(alerts):
            for key, prior in _shared(alert):
                for other in seen[key][-NEIGHBOURS_MAX:]:
                    if alert.first_activity - alerts[other].first_activity <= window:
                        graph[number][other] = graph[number].get(other, 0.0) + prior
                        graph[other][number] = graph[other].get(number, 0.0) + prior
                seen[key].append(number)
        return louvain(graph)

    return group


def louvain(graph: Graph) -> list[int]:
    """The community of each node 0..n-1 (Blondel and others 2008): local moves, then the same on what they made."""
    member = list(range(len(graph)))
    while True:
        moved = _moved(graph)
        if len(set(moved.values())) == len(graph):
            return member
        member = [moved[each] for each in member]
        joint: Graph = {community: {} for community in set(moved.values())}
        for node, edges in graph.items():
            for other, weight in edges.items():
                here, there = moved[node], moved[other]
                joint[here][there] = joint[here].get(there, 0.0) + weight
        graph = joint


def _moved(graph: Graph) -> dict[int, int]:
    community = {node: node for node in graph}
    degree = {node: sum(edges.values()) for node, edges in graph.items()}
    total, twice = dict(degree), sum(degree.values()) or 1.0
    for _ in range(PASSES_MAX):
        changed = False
        for node, edges in graph.items():
            here = community[node]
            links: dict[int, float] = defaultdict(float)
            for other, weight in edges.items():
                if other != node:
                    links[community[other]] += weight
            total[here] -= degree[node]
            gains = {each: links[each] - degree[node] * total[each] / twice for each in (*links, here)}
            best = max(gains, key=lambda each: (gains[each], each == here, -each))
            total[best] += degree[node]
            if best != here:
                community[node], changed = best, True
        if not changed:
            break
    return community


_PROTOTYPE: Final[dict[str, tuple[float, int]]] = {
    "device": (0.85, 20 * ticks.MINUTE), "user": (0.70, ticks.HOUR), "publicIp": (0.60, 2 * ticks.HOUR),
    "privateIp": (0.35, ticks.HOUR), "hostIp": (0.35, ticks.HOUR), "file": (0.60, 24 * ticks.HOUR),
}  # fmt: skip
_ASSETS: Final = ("device", "user", "publicIp", "privateIp", "hostIp")


def prototype(alerts: Sequence[Alert]) -> list[int]:
    """Plain evidence-weighted linking: fixed half-lives, specificity by devices and incidents, join .5, merge .7."""
    seen: dict[int, dict[int, int]] = defaultdict(dict)
    places: dict[int, set[str]] = defaultdict(set)
    stories: dict[int, set[int]] = defaultdict(set)
    parents: dict[int, int] = {}
    made = []
    for number, alert in enumerate(alerts, 1):
        at, keys = alert.first_activity, evidence_keys(alert)
        known = [each for each in keys if each.kind.name not in OWN_KINDS]
        rule = _fading(len(places[keys[0].key]), 20)
        rest: dict[int, dict[int, float]] = defaultdict(dict)
        for each in known:
            prior, half_life = _PROTOTYPE.get(each.kind.name, (each.kind.prior, each.kind.half_life))
            base = prior * _fading(len(places[each.key]), 4)
            base *= rule if each.kind.name in _ASSETS else _fading(len(stories[each.key]), 3)
            for incident, then in seen[each.key].items():
                weight = base * exp2(-abs(at - then) / half_life)
                found = rest[root(parents, incident)]
                found[each.subject] = max(weight, found.get(each.subject, 0.0))
        scores = sorted(((_noisy_or(found), -incident) for incident, found in rest.items()), reverse=True)
        joined = -scores[0][1] if scores and scores[0][0] >= 0.5 else number
        for score, other in scores[1:] if joined != number else ():
            if score >= 0.7:
                target, source = sorted((root(parents, joined), -other))
                parents[source], joined = target, target
        made.append(joined)
        for each in keys:
            places[each.key].update([device.device_dns_name for device in alert.devices])
            seen[each.key].pop(joined, None)
            seen[each.key][joined] = at
            stories[each.key].add(joined)
            if len(seen[each.key]) > NEIGHBOURS_MAX:
                seen[each.key].pop(next(iter(seen[each.key])))
    return [root(parents, incident) for incident in made]


def _noisy_or(weights: dict[int, float]) -> float:
    rest = 1.0
    for weight in weights.values():
        rest *= 1.0 - weight
    return 1.0 - rest


def _fading(places: int, free: int) -> float:
    return 1.0 if places <= free else 1.0 / (1.0 + log2(min(places, 64) / free))


def _shared(alert: Alert) -> Iterator[tuple[int, float]]:
    for each in evidence_keys(alert):
        if each.kind.name not in OWN_KINDS:
            yield each.key, each.kind.prior
