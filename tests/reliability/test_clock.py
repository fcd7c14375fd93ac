"""Whatever the clock does, stamps are unique and rise, and what the API says of time still makes sense."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Final

import pytest
from busy import Organisation

from house import START, Bench, HandClock, native, running
from tocsin.access import Permission
from tocsin.documents import decode_header, stamp_of
from tocsin.ticks import DAY, HOUR

YEAR: Final = 365 * DAY
JUMPS: Final = {
    "an hour back": (-HOUR,),
    "a year forward and back": (YEAR, -YEAR),
    "back and forth at random": tuple(Random(5).choice((-1, 1)) * Random(n).randrange(YEAR // 8) for n in range(30)),
    "standing still": (0,) * 20,
}


@pytest.mark.parametrize("jumps", JUMPS.values(), ids=JUMPS.keys())
def test_stamps_are_unique_and_rise_over_jumps_of_the_clock_and_restarts(
    tmp_path: Path, jumps: tuple[int, ...]
) -> None:
    bench, organisation = Bench(tmp_path, HandClock()), Organisation(1)
    bench.ingest(*organisation.alerts(20))
    for jump in jumps:
        bench.clock.at = max(0, bench.clock.at + jump)
        bench.ingest(*organisation.alerts(20))
        bench.store.connection.close()
        bench.open()
        bench.ingest(*organisation.alerts(5))
    log: list[tuple[int, int]] = bench.store.connection.execute(  # type: ignore[assignment]
        "SELECT change, at FROM change_log ORDER BY change"
    ).fetchall()
    assert [change for change, _ in log] == list(range(1, len(log) + 1))
    assert [at for _, at in log] == sorted({at for _, at in log})


def test_every_stamp_is_later_than_what_was_read_before_the_clock_went_back(tmp_path: Path) -> None:
    bench = Bench(tmp_path, HandClock(START + YEAR))
    bench.ingest(native(1))
    (before,) = bench.reader.find_incidents(bench.scope, top=10)
    bench.clock.at = START
    bench.ingest(native(2), native(3))
    after = bench.reader.find_incidents(bench.scope, top=10)
    assert [row.last_update - before.last_update for row in after] == [2, 1, 0]


def test_an_incident_is_never_updated_before_it_was_created(tmp_path: Path) -> None:
    bench, organisation, random = Bench(tmp_path, HandClock()), Organisation(2, gap=1), Random(2)
    for _ in range(40):
        bench.clock.at = START + random.randrange(YEAR)
        bench.ingest(*organisation.alerts(5))
    rows = bench.reader.find_incidents(bench.scope, top=1000)
    assert all(row.created <= row.last_update for row in rows)
    headers = [(row, decode_header(bench.reader.header(row))) for row in rows]
    assert all(stamp_of(header.created_time) == row.created for row, header in headers)
    assert all(stamp_of(header.last_update_time) == row.last_update for row, header in headers)


def test_a_server_whose_clock_goes_back_goes_on_reading_and_writing(tmp_path: Path) -> None:
    clock = HandClock()
    with running(tmp_path, clock) as client:
        first = client.ingest(native(1)).json()["results"][0]["incidentId"]
        clock.at -= HOUR // 2
        client.token = client.token_for("after", Permission.READ)
        second = client.ingest(native(2)).json()["results"][0]["incidentId"]
        listed = client.get("/api/incidents").json()["value"]
    assert [incident["incidentId"] for incident in listed] == [second, first]
    assert listed[0]["lastUpdateTime"] > listed[1]["lastUpdateTime"]
