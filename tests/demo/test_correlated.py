"""The engine, as it is, makes of each attack one incident, and leaves most of the noise alone."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest

from tocsin.correlation.engine import Correlator
from tocsin.correlation.memory import MemoryView
from tocsin.demo import STORIES, sample_alerts
from tocsin.senders import REGISTRY
from tocsin.ticks import parse_ticks


def _incidents(end: int) -> list[list[str]]:
    """For each incident, the story of each of its alerts."""
    correlator = Correlator(MemoryView())
    stories: defaultdict[int, list[str]] = defaultdict(list)
    for number, alert in enumerate(sample_alerts(end), 1):
        seen = REGISTRY[alert.sender].normalise(alert.body)
        if seen is None:
            continue
        placed = correlator.place(seen, number, number)
        for merge in placed.merges:
            stories[merge.target_id] += stories.pop(merge.source_id)
        stories[placed.incident_id].append(alert.story)
    return list(stories.values())


@pytest.mark.parametrize("end", ["2031-03-05T14:20:00Z", "2031-03-09T03:05:00Z"])
def test_attacks_become_one_incident_each_and_the_demo_has_more_than_a_hundred(end: str) -> None:
    incidents = _incidents(parse_ticks(end))
    assert 110 <= len(incidents) <= 260
    for story in STORIES:
        parts = sorted((Counter(incident)[story], len(incident)) for incident in incidents if story in incident)
        told, size = parts[-1]
        # Loose, since the engine is tuned for real alerts and not for these.
        assert told >= 0.75 * sum(part for part, _ in parts), story
        assert told >= 0.7 * size, story
