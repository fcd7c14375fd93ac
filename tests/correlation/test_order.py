"""The order in which alerts of one moment come in: where it cannot matter, and that it does not there."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from story import alert, url

from tocsin.correlation.apart import living_id
from tocsin.correlation.engine import Correlator
from tocsin.correlation.memory import MemoryView
from tocsin.correlation.watch import Watch
from tocsin.model import Alert

LATE_MAX = 120
"""Seconds."""

stories = st.lists(
    st.lists(
        st.tuples(st.integers(0, LATE_MAX), st.lists(st.integers(0, 3), min_size=1, max_size=3, unique=True)),
        min_size=1,
        max_size=6,
    ),
    min_size=1,
    max_size=4,
)


def told(found: Sequence[Sequence[tuple[int, list[int]]]]) -> list[Alert]:
    """Alerts of stories that share nothing with each other; inside a story they share addresses of pages."""
    return [
        msgspec.structs.replace(
            alert(second / 60, entities=tuple([url(f"https://s{story}-{each}.example/x") for each in pages])),
            title=f"Alert {story}-{number}",
            detector_id=f"rule-{story}-{number}",
        )
        for story, alerts in enumerate(found)
        for number, (second, pages) in enumerate(alerts)
    ]


def tied(alerts: Sequence[Alert]) -> set[frozenset[str]]:
    """Which alerts hang together by pages, whatever came first."""
    groups: list[tuple[set[str], set[str]]] = []
    for each in alerts:
        pages, titles = {str(entity.url) for entity in each.entities}, {each.title}
        for group in [group for group in groups if group[0] & pages]:
            groups.remove(group)
            pages, titles = pages | group[0], titles | group[1]
        groups.append((pages, titles))
    return {frozenset(titles) for _, titles in groups}


def grouped(alerts: Sequence[Alert]) -> set[frozenset[str]]:
    """Which alerts are together when they came in this order, each in a batch of its own."""
    view = MemoryView()
    placed: dict[str, int] = {}
    for number, each in enumerate(alerts, 1):
        correlator = Correlator(view)
        watch = Watch(view, correlator, moments=True)
        evidence = watch.seen(each, correlator.keys_of(each))
        placement = correlator.place(each, number, number, evidence)
        watch.placed(each, evidence[0].key, placement)
        placed[each.title] = placement.incident_id
        view.absorb(correlator.entities_changed | watch.entities_changed, correlator.incidents_changed)
    groups: dict[int, set[str]] = {}
    for title, incident_id in placed.items():
        groups.setdefault(living_id(incident_id, view.incident), set()).add(title)
    return {frozenset(each) for each in groups.values()}


@given(stories.map(told).flatmap(st.permutations))
@settings(max_examples=300, deadline=None)
def test_what_is_tied_by_one_strong_thing_is_together_in_any_order_within_two_minutes(alerts: list[Alert]) -> None:
    """Each tie is enough to merge, so a late alert merges what would have been one. Ties that join and do not merge
    (scores from .5 to .7) are what order decides; `docs/correlation/experiments.md` says how much that is."""
    assert grouped(alerts) == tied(alerts)
