"""Why an alert joined, or why two incidents became one, in a sentence a person can check.

How to read it: `docs/correlation/reading-reasons.md`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from tocsin import ticks
from tocsin.correlation import kinds
from tocsin.correlation.engine import Link, LinkEvidence, Merge

STRONGEST: Final = 2
"""So many pieces of evidence are told with their age; the weaker ones follow in short."""
_LABELS: Final = {kind.name: kind.label for kind in vars(kinds).values() if isinstance(kind, kinds.Kind)}
_IN_WORDS: Final = {
    kinds.SAME_ASSET: "same asset",
    kinds.SHARED_INDICATORS: "shared indicator",
    kinds.SIMILAR_ARTIFACTS: "similar artifact",
    kinds.TEMPORAL_PROXIMITY: "close in time",
    kinds.LATERAL_MOVEMENT_PATH: "path from machine to machine",
}
_NO_NAMES: Final[Mapping[str, str]] = MappingProxyType({})


class Phrase(msgspec.Struct, frozen=True):
    """A part of a sentence; `told` marks what a sensor wrote, the rest is ours."""

    text: str
    told: bool = False


def explain(edge: Link | Merge, names: Mapping[str, str] = _NO_NAMES) -> str:
    """One sentence of an edge, strongest evidence first, weights to two places, ages rounded down.

    `names` gives for an id that is a person's (lower case) the name to show instead.
    """
    return "".join([phrase.text for phrase in phrases(edge, names)])


def phrases(edge: Link | Merge, names: Mapping[str, str] = _NO_NAMES) -> tuple[Phrase, ...]:
    """The sentence of `explain` in parts, so that what sensors wrote can be set apart."""
    return tuple(_phrases(edge, names))


def _phrases(edge: Link | Merge, names: Mapping[str, str]) -> Iterator[Phrase]:
    yield Phrase(f"merged {edge.source_id} into {edge.target_id}: " if isinstance(edge, Merge) else "joined: ")
    ordered = sorted(edge.evidence, key=lambda each: -each.weight)
    for each in ordered[:STRONGEST]:
        yield from _thing(each, names)
        seen = "at the same time" if each.age < ticks.SECOND else f"{_span(each.age)} apart"
        if each.kind == kinds.MOMENT.name:
            yield Phrase(f"{seen}, and little else was going on (+{_places(each.weight)}); ")
        else:
            kind = _IN_WORDS.get(each.reason, each.reason)
            yield Phrase(f" seen {seen} (+{_places(each.weight)}, {kind}); ")
    for index, each in enumerate(ordered[STRONGEST:]):
        yield Phrase("also " if index == 0 else "")
        yield from _thing(each, names)
        rest = f" (+{_places(each.weight)}); "
        yield Phrase(f"little else was going on at that time{rest}" if each.kind == kinds.MOMENT.name else rest)
    yield Phrase(f"score {_places(edge.score)}")


def _thing(evidence: LinkEvidence, names: Mapping[str, str]) -> Iterator[Phrase]:
    """What was shared. A moment has no name."""
    if evidence.kind == kinds.MOMENT.name:
        return
    yield Phrase(f"same {_LABELS.get(evidence.kind, evidence.kind)} ")
    named = evidence.kind in (kinds.USER.name, kinds.GENERIC_USER.name)
    yield Phrase(names.get(evidence.text.lower(), evidence.text) if named else evidence.text, told=True)


def _span(age: int) -> str:
    for size, unit in ((ticks.DAY, "d"), (ticks.HOUR, "h"), (ticks.MINUTE, "min"), (ticks.SECOND, "s")):
        if age >= size:
            return f"{age // size} {unit}"
    return "0 s"


def _places(value: float) -> str:
    """Two places without the leading zero, and never rounded up to a certainty."""
    return f"{min(value, 0.99):.2f}".lstrip("0") if value < 1 else "1.00"
