"""A deep `$skip` over blocks gives what a walk over rows gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from house import Bench, HandClock, native, shared_url
from tocsin.config import Settings
from tocsin.retention import Housekeeping
from tocsin.stores.sqlite import blocks, reading
from tocsin.ticks import DAY, SECOND


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    for module in (blocks, reading):
        monkeypatch.setattr(module, "BLOCK_BITS", 3)
    return Bench(tmp_path, HandClock())


def fill(bench: Bench) -> None:
    for number in range(120):
        bench.later(3600)
        bench.ingest(native(number, entities=shared_url(str(number % 50)), at=bench.clock.at))
    bench.ingest(native(500, entities=shared_url("3") + shared_url("4") + shared_url("5"), at=bench.clock.at))


def assert_skips_like_a_walk(bench: Bench, not_before: int = 0) -> None:
    whole = bench.reader.find_incidents(bench.scope, top=1000, not_before=not_before)
    for skip in range(len(whole) + 3):
        page = bench.reader.find_incidents(bench.scope, top=7, skip=skip, not_before=not_before)
        assert page == whole[skip : skip + 7]


def test_every_skip_gives_the_rows_a_walk_gives(bench: Bench) -> None:
    fill(bench)
    assert_skips_like_a_walk(bench)
    assert_skips_like_a_walk(bench, bench.clock.at - 20 * 3600 * SECOND)
    counted = bench.store.connection.execute("SELECT sum(live) FROM incident_block").get
    assert counted == bench.reader.count_incidents(bench.scope)


def test_what_retention_removes_is_counted_no_more(bench: Bench) -> None:
    fill(bench)
    housekeeping = Housekeeping(Settings(retention_days=1))
    bench.clock.at += DAY // 2
    while bench.committer.run(lambda store: housekeeping.step(store, bench.clock())):
        pass
    assert 0 < bench.reader.count_incidents(bench.scope) < 50
    assert_skips_like_a_walk(bench)
