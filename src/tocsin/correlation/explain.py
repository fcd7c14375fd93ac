"""Why an alert joined, or why two incidents became one, in a sentence a person can check."""

from __future__ import annotations

from typing import Final

from tocsin import ticks
from tocsin.correlation import kinds
from tocsin.correlation.engine import Link, LinkEvidence, Merge

_LABELS: Final = {kind.name: kind.label for kind in vars(kinds).values() if isinstance(kind, kinds.Kind)}


def explain(edge: Link | Merge) -> str:
    """One sentence of an edge, strongest evidence first, weights to two places, ages rounded down."""
    opening = f"merged {edge.source_id} into {edge.target_id}" if isinstance(edge, Merge) else "joined"
    return f"{opening}: {''.join(_phrase(each) + '; ' for each in edge.evidence)}score {_places(edge.score)}"


def _phrase(evidence: LinkEvidence) -> str:
    label = _LABELS.get(evidence.kind, evidence.kind)
    seen = "seen at the same time" if evidence.age < ticks.SECOND else f"seen {_span(evidence.age)} apart"
    thing = f"same {label} {evidence.text}" if evidence.kind != kinds.MOMENT.name else label
    return f"{thing} {seen} (+{_places(evidence.weight)} {evidence.reason})"


def _span(age: int) -> str:
    for size, unit in ((ticks.DAY, "d"), (ticks.HOUR, "h"), (ticks.MINUTE, "min"), (ticks.SECOND, "s")):
        if age >= size:
            return f"{age // size} {unit}"
    return "0 s"


def _places(value: float) -> str:
    """Two places without the leading zero, and never rounded up to a certainty."""
    return f"{min(value, 0.99):.2f}".lstrip("0") if value < 1 else "1.00"
