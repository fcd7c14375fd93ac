"""An incident in sentences: in order, counted, and nothing that no alert says."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from house import START, Bench, HandClock, native, running, shared_url
from tocsin.documents import AlertDocument, decode_alert
from tocsin.narrative import ALERTS_MAX, STEPS_MAX, narrate
from tocsin.ticks import DAY, MINUTE, SECOND


def stored(tmp_path: Path, *alerts: dict[str, Any]) -> list[AlertDocument]:
    bench = Bench(tmp_path, HandClock())
    bench.ingest(*alerts)
    rows = bench.reader.find_incidents(bench.scope, top=1000)
    return [decode_alert(each) for _, found in bench.reader.documents(bench.scope, rows) for each in found]


def attack(number: int, minutes: int, title: str, **fields: Any) -> dict[str, Any]:
    fields["entities"] = [*shared_url("bad"), *fields.get("entities", [])]
    return native(number, at=START + minutes * MINUTE, title=title, **fields)


def told(alerts: list[AlertDocument]) -> str:
    found = narrate(alerts)
    assert found is not None
    return found.text


def test_a_story_is_told_in_order_with_who_and_what(tmp_path: Path) -> None:
    alerts = stored(
        tmp_path,
        attack(
            2,
            19,
            "Credentials read",
            category="CredentialAccess",
            serviceSource="Wazuh",
            devices=[{"deviceDnsName": "ws-7.example.org"}, {"deviceDnsName": "dc-1"}],
            mitreTechniques=["T1003.001", "T1566.002"],
        ),
        attack(
            1,
            0,
            "Link clicked",
            category="InitialAccess",
            serviceSource="Suricata",
            devices=[{"deviceDnsName": "WS-7"}],
            entities=[
                {"entityType": "User", "accountName": "alice", "domainName": "EXAMPLE"},
                {"entityType": "Ip", "ipAddress": "203.0.113.5"},
                {"entityType": "Ip", "ipAddress": "10.0.0.5"},
            ],
            mitreTechniques=["T1566.002"],
        ),
    )
    assert told(alerts).splitlines() == [
        "2 alerts from Suricata and Wazuh, between 2026-03-02 09:00 and 09:19 UTC (19 minutes), "
        "about devices ws-7.example.org and dc-1 and account EXAMPLE\\alice.",
        "1. 09:00 Initial access: Link clicked, on WS-7, account EXAMPLE\\alice, "
        "with link https://bad.example/landing and address 203.0.113.5.",
        "2. 09:19 Credential access: Credentials read, on ws-7.example.org and dc-1, "
        "with link https://bad.example/landing.",
        "ATT&CK techniques: T1566.002, T1003.001.",
    ]


def test_repeats_are_one_step_with_their_number_and_end(tmp_path: Path) -> None:
    alerts = stored(tmp_path, *[attack(number, number * 50, "Beacon") for number in range(40)])
    assert "1. 09:00 Execution: Beacon, with link https://bad.example/landing, 40 alerts until 2026-03-03 17:30." in (
        told(alerts).splitlines()
    )


def test_nothing_makes_no_story_and_order_of_arrival_does_not_matter(tmp_path: Path) -> None:
    assert narrate([]) is None
    alerts = stored(tmp_path, *[attack(number, number, f"Step {number % 5}") for number in range(30)])
    expected = told(alerts)
    for seed in range(5):
        random.Random(seed).shuffle(alerts)
        assert told(alerts) == expected


def test_what_is_too_much_is_counted_instead_of_told(tmp_path: Path) -> None:
    alerts = stored(tmp_path, *[attack(number, 0, f"Step {number} " + "x" * 300) for number in range(30)])
    found = narrate(alerts, 5 * ALERTS_MAX)
    assert found is not None
    assert (len(found.steps), found.left_out) == (STEPS_MAX, 30 - STEPS_MAX)
    assert found.opening.startswith("The first 30 of 5000 alerts from Test, on 2026-03-02 at 09:00 UTC")
    assert "Then 18 other kinds of alert, not told here." in found.text
    assert len(found.text) < 4000


def test_long_stories_span_days(tmp_path: Path) -> None:
    assert "(3 days)" in told(stored(tmp_path, attack(1, 0, "First"), attack(2, 3 * DAY // MINUTE, "Last")))


def test_graph_summarises_one_incident_and_not_lists(tmp_path: Path) -> None:
    with running(tmp_path, HandClock(START + SECOND)) as client:
        client.ingest(attack(1, 0, "Link clicked"))
        one = client.get("/v1.0/security/incidents/1").json()
        assert one["summary"] == (
            "1 alert from Test, on 2026-03-02 at 09:00 UTC.\n"
            "1. 09:00 Execution: Link clicked, with link https://bad.example/landing."
        )
        assert client.get("/v1.0/security/incidents").json()["value"][0]["summary"] is None
        assert "summary" not in client.get("/v1.0/security/incidents/1?$select=id").json()
        chosen = client.get("/v1.0/security/incidents/1?$select=summary").json()
        assert chosen["summary"] == one["summary"]
