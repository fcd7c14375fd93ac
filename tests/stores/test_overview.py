"""What lists for people read: cards in the order asked for, counts within scope, retention and days."""

from __future__ import annotations

from pathlib import Path

import pytest

from house import Bench, HandClock, native, shared_url
from tocsin.access import Scope
from tocsin.model import Severity
from tocsin.stores.sqlite.connection import open_reader
from tocsin.stores.sqlite.overview import Overview
from tocsin.ticks import DAY


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, HandClock())


def test_cards_come_in_the_order_of_their_rows(bench: Bench) -> None:
    for number in range(1, 5):
        bench.ingest(native(number, title=f"title {number}"))
    rows = bench.reader.find_incidents(bench.scope, top=10)[::-1]
    cards = Overview(open_reader(bench.path)).cards(rows)
    assert [card.header.incident_name for card in cards] == ["title 1", "title 2", "title 3", "title 4"]
    assert [card.facts.incident_id for card in cards] == [card.row.incident_id for card in cards] == [1, 2, 3, 4]


def test_a_tally_counts_within_scope_retention_and_days(bench: Bench) -> None:
    first_day = bench.clock.at // DAY
    bench.ingest(native(1, severity="Low", entities=shared_url("a")), native(2, entities=shared_url("a")))
    bench.later(86_400)
    bench.ingest(native(3, severity="High"))
    reader = Overview(open_reader(bench.path))
    tally = reader.tally(bench.scope, not_before=0, opened_since=first_day * DAY)
    assert (tally.incidents, tally.alerts, tally.whole) == (2, 3, True)
    assert tally.open_by_severity == {Severity.MEDIUM: 1, Severity.HIGH: 1}
    assert tally.opened == {(first_day, Severity.MEDIUM): 1, (first_day + 1, Severity.HIGH): 1}
    later = reader.tally(bench.scope, not_before=bench.clock.at, opened_since=(first_day + 1) * DAY)
    assert (later.incidents, later.opened) == (1, {(first_day + 1, Severity.HIGH): 1})
    for scope in (Scope.nothing_of(bench.tenant.tenant_id), Scope.everything_of(bench.tenant.tenant_id + 1)):
        unseen = reader.tally(scope, not_before=0, opened_since=0)
        assert (unseen.incidents, unseen.alerts, unseen.opened, unseen.open_by_severity) == (0, 0, {}, {})


def test_a_tally_has_a_bounded_price_and_says_so(bench: Bench) -> None:
    bench.ingest(*[native(number) for number in range(1, 6)])
    tally = Overview(open_reader(bench.path), counted_max=3).tally(bench.scope, not_before=0, opened_since=0)
    assert (tally.incidents, tally.whole) == (3, False)
