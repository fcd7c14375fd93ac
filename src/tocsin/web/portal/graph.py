"""A drawing of an incident: alerts in the middle, assets to their left, everything else to their right. Pure geometry.

Alerts of one title are one node. At most `ALERTS_MAX` of those, the most severe, and `SIDE_MAX` things on
each side are drawn, those that tie the most alerts together; the rest is counted, and listed on the page anyway.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Final

import msgspec

from tocsin.model import Severity
from tocsin.web.portal.text import plain
from tocsin.web.portal.things import ASSETS, Thing

ALERTS_MAX: Final = 12
SIDE_MAX: Final = 14
_NODE_HEIGHT: Final = 26
_ROW: Final = 36
_MARGIN: Final = 10
_COLUMNS: Final = ((2, 230), (318, 376), (782, 276))
"""x and width of assets, alerts, others."""
WIDTH: Final = 1060
_CHARACTER: Final = 6.6
"""Width of a letter of the drawing's text, on average."""

_Key = tuple[str, str]
_Place = tuple[int, float, int]
"""x, y and width of a box."""


class Told(msgspec.Struct, frozen=True):
    """One alert as the drawing needs it."""

    title: str
    severity: Severity
    things: Sequence[Thing]


class Node(msgspec.Struct, frozen=True):
    """A box with its top left corner. `look` is a style: a severity for alerts, a group for things."""

    x: int
    y: float
    width: int
    height: int
    text: str
    whole: str
    look: str
    is_alert: bool


class Drawing(msgspec.Struct, frozen=True):
    """`edges` are path data. `left_out` counts nodes that found no room."""

    width: int
    height: int
    nodes: tuple[Node, ...]
    edges: tuple[str, ...]
    left_out: int


def draw(alerts: Sequence[Told]) -> Drawing | None:
    """The drawing of an incident's alerts in their order, or None where there is nothing that ties them."""
    titles = Counter(alert.title for alert in alerts)
    severities: dict[str, Severity] = {}
    ties: defaultdict[_Key, set[str]] = defaultdict(set)
    named: Counter[_Key] = Counter()
    things: dict[_Key, Thing] = {}
    for alert in alerts:
        severities[alert.title] = max(severities.get(alert.title, alert.severity), alert.severity, key=_rank)
        for thing in alert.things:
            ties[thing.key].add(alert.title)
            named[thing.key] += 1
            things.setdefault(thing.key, thing)
    chosen = set(sorted(titles, key=lambda title: (-severities[title].rank, -titles[title]))[:ALERTS_MAX])
    middle = [title for title in titles if title in chosen]
    left, right = _sides(ties, named, chosen)
    if not left and not right:
        return None
    middle, left, right = _untangled(middle, left, right, ties)
    height = max(len(middle), len(left), len(right)) * _ROW - (_ROW - _NODE_HEIGHT) + 2 * _MARGIN
    alert_nodes = {
        title: _alert_node(place, title, titles[title], severities[title])
        for title, place in zip(middle, _column(1, len(middle), height), strict=True)
    }
    thing_nodes = {
        key: _thing_node(place, things[key])
        for index, column in ((0, left), (2, right))
        for key, place in zip(column, _column(index, len(column), height), strict=True)
    }
    edges = tuple(
        _edge(node, alert_nodes[title]) for key, node in thing_nodes.items() for title in middle if title in ties[key]
    )
    nodes = (*alert_nodes.values(), *thing_nodes.values())
    return Drawing(WIDTH, height, nodes, edges, len(titles) + len(things) - len(nodes))


def _column(index: int, count: int, height: int) -> list[_Place]:
    """The boxes of a column of so many nodes, centred."""
    x, width = _COLUMNS[index]
    top = (height - (count * _ROW - (_ROW - _NODE_HEIGHT))) / 2
    return [(x, round(top + row * _ROW, 1), width) for row in range(count)]


def _alert_node(place: _Place, title: str, count: int, severity: Severity) -> Node:
    return _node(place, f"{count} × {title}" if count > 1 else title, severity, is_alert=True)


def _thing_node(place: _Place, thing: Thing) -> Node:
    return _node(place, thing.label, thing.group, is_alert=False)


def _node(place: _Place, text: str, look: str, *, is_alert: bool) -> Node:
    x, y, width = place
    return Node(x, y, width, _NODE_HEIGHT, plain(text, int((width - 34) / _CHARACTER)), plain(text), look, is_alert)


def _rank(severity: Severity) -> int:
    return severity.rank


def _sides(ties: dict[_Key, set[str]], named: Counter[_Key], middle: set[str]) -> tuple[list[_Key], list[_Key]]:
    """The things to draw on each side, the most tying first."""
    ranked = sorted(ties, key=lambda key: (-len(ties[key] & middle), -named[key]))
    ranked = [key for key in ranked if ties[key] & middle]
    left = [key for key in ranked if key[0] in ASSETS][:SIDE_MAX]
    right = [key for key in ranked if key[0] not in ASSETS][:SIDE_MAX]
    return left, right


def _untangled(
    middle: list[str], left: list[_Key], right: list[_Key], ties: dict[_Key, set[str]]
) -> tuple[list[str], list[_Key], list[_Key]]:
    """The columns ordered by the mean place of their neighbours, back and forth, so that fewer lines cross."""
    for _ in range(3):
        places = {title: (index + 0.5) / len(middle) for index, title in enumerate(middle)}
        left = sorted(left, key=lambda key: _mean([places[title] for title in ties[key] if title in places]))
        right = sorted(right, key=lambda key: _mean([places[title] for title in ties[key] if title in places]))
        near: defaultdict[str, list[float]] = defaultdict(list)
        for column in (left, right):
            for index, key in enumerate(column):
                for title in ties[key]:
                    near[title].append((index + 0.5) / len(column))
        middle = sorted(middle, key=lambda title: _mean(near[title]))
    return middle, left, right


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.5


def _edge(thing: Node, alert: Node) -> str:
    first, second = sorted((thing, alert), key=lambda node: node.x)
    start, end = first.x + first.width, second.x
    y1, y2 = first.y + first.height / 2, second.y + second.height / 2
    bend = (start + end) / 2
    return f"M{start} {y1:g}C{bend:g} {y1:g} {bend:g} {y2:g} {end} {y2:g}"
