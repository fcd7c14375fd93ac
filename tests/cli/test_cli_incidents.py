"""Incidents at the command line, read from a store that no server has open."""

from __future__ import annotations

import pytest
from shell import Terminal, terminal_fixture  # noqa: F401  fixtures

from house import START, Bench, HandClock, native, shared_url
from tocsin import ticks
from tocsin.model import IncidentStatus
from tocsin.ticks import MINUTE
from tocsin.triage import IncidentChanges, update_incident


@pytest.fixture
def bench(terminal: Terminal) -> Bench:
    """Two incidents: a single alert, then two alerts that share a URL."""
    terminal.data_dir.mkdir()
    start = ticks.now() - ticks.DAY
    bench = Bench(terminal.data_dir, HandClock(start))
    bench.ingest(native(1, at=start, severity="Low", title="Alone"))
    bench.later(60)
    device = [{"deviceDnsName": "PC-7.example.org"}]
    bench.ingest(native(2, at=start + MINUTE, entities=shared_url("lure"), devices=device, severity="High"))
    bench.later(60)
    user = [*shared_url("lure"), {"entityType": "User", "accountName": "ada"}]
    bench.ingest(native(3, at=start + 2 * MINUTE, entities=user))
    return bench


@pytest.mark.usefixtures("bench")
class TestList:
    def test_the_newest_change_comes_first_with_devices_and_users(self, terminal: Terminal) -> None:
        found = terminal.run("incidents", "list", "--json").json()
        assert [each["incidentId"] for each in found] == [2, 1]
        assert (found[0]["alertCount"], found[0]["devices"], found[0]["users"]) == (2, ["PC-7.example.org"], ["ada"])

    def test_the_table_has_everything_and_no_colours(self, terminal: Terminal) -> None:
        heading, first, second = terminal.run("incidents", "list").out.splitlines()
        assert heading.split()[:5] == ["ID", "SEVERITY", "PRIORITY", "STATUS", "NAME"]
        assert [each for each in first.split()[:4] if not each.isdigit()] == ["High", "Active"]
        assert "PC-7.example.org" in first
        assert second.split()[:2] == ["1", "Low"]

    def test_top_skip_and_filter_are_those_of_the_api(self, terminal: Terminal) -> None:
        def ids(*options: str) -> list[int]:
            return [each["incidentId"] for each in terminal.run("incidents", "list", "--json", *options).json()]

        assert ids("--top", "1", "--skip", "1") == [1]
        assert ids("--filter", "severity eq 'High'") == [2]
        assert ids("--filter", "severity eq 'Medium'") == []

    def test_a_wrong_filter_is_explained(self, terminal: Terminal) -> None:
        ran = terminal.run("incidents", "list", "--filter", "colour eq 'red'")
        assert ran.code == 1
        assert "colour" in ran.err

    def test_another_tenant_sees_none_of_them(self, terminal: Terminal) -> None:
        terminal.run("tenant", "create", "example.org")
        assert terminal.run("incidents", "list", "--tenant", "example.org", "--json").json() == []
        assert terminal.run("incidents", "show", "1", "--tenant", "example.org").code == 1


@pytest.mark.usefixtures("bench")
class TestShow:
    def test_it_names_the_evidence_and_the_earlier_alert(self, terminal: Terminal) -> None:
        out = terminal.run("incidents", "show", "2").out
        assert "opened an incident" in out
        assert "joined: same url https://lure.example/landing seen 1 min apart" in out
        assert ", with tn2" in out

    def test_it_tells_the_priority_and_what_it_is_made_of(self, terminal: Terminal) -> None:
        out = terminal.run("incidents", "show", "2").out
        listed = {each["incidentId"]: each for each in terminal.run("incidents", "list", "--json").json()}
        assert f"{listed[2]['priorityScore']} of 100 (" in out
        assert "2 rules, by severity and how usual each is here" in out
        assert listed[2]["priorityScore"] > listed[1]["priorityScore"]

    def test_the_story_stands_on_lines_of_its_own(self, terminal: Terminal) -> None:
        out = terminal.run("incidents", "show", "2").out
        assert "\n1. " in out
        assert "\ufffd" not in out

    def test_without_why_there_are_facts_alerts_and_changes(self, terminal: Terminal) -> None:
        out = terminal.run("incidents", "show", "2", "--no-why").out
        assert "joined: same" not in out
        for words in ("Incident 2", "High", "tn2", "tn3", "Alert 3", "opened", "alerts-joined", "alerts 3"):
            assert words in out

    def test_json_is_the_incident_of_the_api_and_the_reasons(self, terminal: Terminal) -> None:
        found = terminal.run("incidents", "show", "2", "--why", "--json").json()
        assert [alert["alertId"] for alert in found["alerts"]] == ["tn2", "tn3"]
        assert found["alerts"][0]["why"] == []
        assert found["alerts"][1]["why"][0].startswith("joined: same url")

    def test_what_is_not_there_is_not_found(self, terminal: Terminal) -> None:
        assert "99 was not found" in terminal.run("incidents", "show", "99").err
        assert terminal.run("incidents", "show", "two").code == 1


def test_a_merged_incident_says_where_it_went(bench: Bench, terminal: Terminal) -> None:
    at = bench.clock.at
    bench.ingest(native(10, at=at, entities=shared_url("east")), native(11, at=at, entities=shared_url("west")))
    both = [*shared_url("east"), *shared_url("west")]
    bench.ingest(native(12, at=at, entities=both))
    assert "merged into incident 3" in terminal.run("incidents", "show", "4").out
    out = terminal.run("incidents", "show", "3", "--why").out
    assert "merged 4 into 3: same url" in out
    assert "merged 4" in out.split("Changes")[1]


def test_a_change_by_hand_says_what_it_changed_from_and_to(bench: Bench, terminal: Terminal) -> None:
    changes = IncidentChanges(status=IncidentStatus.RESOLVED, assigned_to="ann", tags=("phish", "vip"))
    at, tenant_id = bench.clock.at + MINUTE, bench.tenant.tenant_id
    bench.committer.run(
        lambda store: update_incident(store, tenant_id, 2, changes, actor="ann", clock=at, not_before=0)
    )
    told = " ".join(terminal.run("incidents", "show", "2").out.split("Changes")[1].split())
    for words in ("status Active → Resolved", "assignedTo nothing → ann", "tags nothing → phish vip"):
        assert words in told, told


def test_text_of_an_alert_cannot_command_the_terminal(bench: Bench, terminal: Terminal) -> None:
    bench.ingest(
        native(20, at=START, title="\x1b[2Jgone \u202e[red]x[/red]\x9b1m", devices=[{"deviceDnsName": "a\x1b[1m"}])
    )
    number = terminal.run("incidents", "list", "--top", "1", "--json").json()[0]["incidentId"]
    for arguments in (["list"], ["list", "--json"], ["show", str(number)], ["show", str(number), "--json"]):
        out = terminal.run("incidents", *arguments).out
        assert not set(out) & set("\x1b\x9b\u202e")
        assert "[red]x[/red]" in out


def test_what_is_past_retention_is_not_shown(terminal: Terminal) -> None:
    terminal.data_dir.mkdir()
    Bench(terminal.data_dir, HandClock(ticks.now() - 200 * ticks.DAY)).ingest(native(1, at=START))
    assert terminal.run("incidents", "list", "--json").json() == []
    assert terminal.run("incidents", "show", "1").code == 1
