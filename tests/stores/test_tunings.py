"""Tunings are kept version by version, and the writer takes up a new one within a minute."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from house import Bench, HandClock, native, shared_url
from tocsin.correlation.tuning import NO_TUNING, Tuning, with_setting
from tocsin.documents import decode_alert, decode_header
from tocsin.errors import InvalidInput, NotFound
from tocsin.model import AlertStatus, Classification, IncidentStatus
from tocsin.stores.sqlite.connection import open_side_writer, transaction
from tocsin.stores.sqlite.tuning import NEVER_SET, Tunings


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, HandClock())


def put(bench: Bench, tuning: Tuning, after: int = 0) -> int:
    """Set a tuning as a command does, beside the writer."""
    connection = open_side_writer(bench.path)
    with transaction(connection):
        version = Tunings(connection).write(1, tuning, after=after, actor="ann", reason="a test", at=bench.clock())
    connection.close()
    return version


def test_versions_stay_and_the_newest_is_in_force(bench: Bench) -> None:
    tunings = Tunings(bench.store.connection)
    assert tunings.newest(1) == NEVER_SET
    first = with_setting(NO_TUNING, "merges_max=1")
    assert put(bench, first) == 1
    assert put(bench, NO_TUNING, after=1) == 2
    assert [each.version for each in tunings.history(1, 10)] == [2, 1]
    assert tunings.get(1, 1).tuning == first
    assert tunings.newest(1).tuning == NO_TUNING
    with pytest.raises(NotFound, match="version 7"):
        tunings.get(1, 7)
    with pytest.raises(InvalidInput, match=re.escape("changed meanwhile (version 2)")):
        put(bench, first, after=1)


def test_the_writer_takes_a_new_version_up_within_a_minute(bench: Bench) -> None:
    bench.ingest(native(1, entities=shared_url("a")))
    put(bench, with_setting(NO_TUNING, "never_join+=rule=Alert*;by=url"))
    put(
        bench,
        with_setting(with_setting(NO_TUNING, "never_join+=rule=Alert*;by=url"), "never_join+=rule=Alert*;by=domain"),
        1,
    )
    (early,) = bench.ingest(native(2, entities=shared_url("a")))
    assert early.incident_id == 1
    bench.later(60)
    (late,) = bench.ingest(native(3, entities=shared_url("a"), firstActivity="2026-03-05T09:00:00Z"))
    assert late.incident_id == 2


def test_a_suppressed_alert_is_kept_resolved_in_an_incident_of_its_own(bench: Bench) -> None:
    bench.ingest(native(1, entities=shared_url("a")))
    put(bench, with_setting(NO_TUNING, "suppress+=rule=Alert 2;until=2026-03-03;reason=nightly job"))
    bench.later(60)
    _, second, third = bench.ingest(native(9), native(2, entities=shared_url("a")), native(3, entities=shared_url("a")))
    assert (second.incident_id, third.incident_id) == (3, 1)
    row = bench.reader.get_incident(bench.scope, 3)
    header = decode_header(bench.reader.header(row))
    assert header.status is IncidentStatus.RESOLVED
    assert header.classification is Classification.INFORMATIONAL_EXPECTED_ACTIVITY
    assert header.tags == ("suppressed",)
    (kept,) = [decode_alert(raw) for raw in bench.reader.alerts(bench.scope, row)]
    assert (kept.status, kept.title) == (AlertStatus.RESOLVED, "Alert 2")
    assert any("nightly job" in each.detail for each in bench.reader.find_log(bench.scope, row))
    bench.later(86_400)
    (after,) = bench.ingest({**native(2), "providerAlertId": "again"})
    assert after.incident_id == 4
