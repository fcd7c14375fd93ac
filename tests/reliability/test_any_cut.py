"""However a stream is cut into deliveries, and whatever is sent twice: the same store, habits and routine included."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from soundness import assert_sound, rows

from house import Bench, HandClock, native, shared_url
from tocsin.correlation.memory import IncidentFacts
from tocsin.documents import decode_alert

ALERTS = 400
_facts = msgspec.msgpack.Decoder(IncidentFacts)


def stream(seed: int, start: int) -> list[dict[str, Any]]:
    """Alerts of some hours on a few hosts: routine each minute, floods that fold, and stories among them."""
    dice, at, found = random.Random(seed), start, []
    for number in range(ALERTS):
        at += dice.choice((1, 2, 30, 200)) * 10**7
        host, kind = f"pc{dice.randrange(15)}", dice.random()
        rule = "Routine" if kind < 0.5 else "Flood" if kind < 0.8 else f"Odd {dice.randrange(12)}"
        tied = shared_url(f"page{dice.randrange(40)}") if kind > 0.8 else []
        users = [{"entityType": "User", "accountName": f"u{dice.randrange(30)}"}] if dice.random() < 0.2 else []
        found.append(
            native(
                number,
                at=at,
                title=rule,
                detectorId=rule,
                devices=[{"deviceDnsName": host if rule != "Flood" else "pc1"}],
                entities=tied + users,
            )
        )
    return found


def filled(folder: Path, alerts: Sequence[dict[str, Any]], size: Callable[[], int], *, restarts: bool = False) -> Bench:
    folder.mkdir()
    bench, rest = Bench(folder, HandClock()), list(alerts)
    while rest:
        taken = size()
        bench.ingest(*rest[:taken])
        rest = rest[taken:]
        if restarts:
            bench.reader._connection.close()
            bench.store.connection.close()
            bench.open()
    return bench


def remembered(bench: Bench) -> tuple[Any, ...]:
    """Where each alert is, what is known of every incident, and every memory of entities, habits and routine."""
    connection = bench.store.connection
    placed = [
        (decode_alert(raw).provider_alert_id, incident_id)
        for incident_id, raw in rows(
            connection,
            "SELECT incident_id, document FROM alert JOIN alert_document USING (document_id) "
            "WHERE superseded_by IS NULL ORDER BY alert_number",
        )
    ]
    incidents = [
        _facts.decode(raw)
        for (raw,) in rows(
            connection, "SELECT facts FROM incident JOIN incident_document USING (document_id) ORDER BY incident_id"
        )
    ]
    return placed, incidents, memories(bench)


def memories(bench: Bench) -> list[tuple[int, bytes]]:
    for _ in range(2):  # what was being folded already, and the rest
        bench.store.entities.fold(bench.clock(), whole=True)
    assert rows(bench.store.connection, "SELECT count(*) FROM entity_journal") == [(0,)]
    return rows(bench.store.connection, "SELECT entity_key, memory FROM entity_memory ORDER BY 1")


@pytest.mark.parametrize("seed", [1, 2])
def test_one_by_one_in_tens_at_random_with_restarts_and_at_once_are_the_same(tmp_path: Path, seed: int) -> None:
    dice, alerts = random.Random(seed), stream(seed, HandClock()())
    at_once = filled(tmp_path / "once", alerts, lambda: ALERTS)
    expected = remembered(at_once)
    assert len({incident_id for _, incident_id in expected[0]}) > 5
    assert any(facts.redirect_to for facts in expected[1])
    for name, size, restarts in (
        ("one", lambda: 1, False),
        ("ten", lambda: 10, False),
        ("random", lambda: dice.randint(1, 60), True),
    ):
        assert remembered(filled(tmp_path / name, alerts, size, restarts=restarts)) == expected, name
    assert_sound(at_once.store.connection)


def test_what_is_sent_again_changes_nothing_folded_repeats_included(tmp_path: Path) -> None:
    alerts = stream(3, HandClock()())
    bench = filled(tmp_path / "store", alerts, lambda: 50)
    links = rows(bench.store.connection, "SELECT count(*) FROM link WHERE instr(evidence, CAST('sequel' AS BLOB))")
    assert links[0][0] > 10
    expected, change = remembered(bench), bench.reader.last_change(bench.scope)
    for piece in (alerts[:100], alerts[60:], alerts[::-1]):
        bench.ingest(*piece)
    assert remembered(bench) == expected
    assert bench.reader.last_change(bench.scope) == change
