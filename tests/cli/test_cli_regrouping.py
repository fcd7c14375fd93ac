"""Regrouping at the command line, through the running server as the operator of this machine; evidence as a tree."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from shell import Terminal, online_fixture, served_fixture, terminal_fixture  # noqa: F401  fixtures

from house import Bench, HandClock, lines, native, shared_url
from tocsin import ticks


def sent(terminal: Terminal, folder: Path, name: str) -> list[str]:
    """Two alerts that share a URL, in an incident of their own; their ids."""
    file = folder / f"{name}.jsonl"
    at = ticks.now()
    alerts = [native(n, at=at, entities=shared_url(name), providerAlertId=f"{name}-{n}") for n in range(2)]
    file.write_bytes(lines(alerts))
    terminal.run("ingest", "-s", "native", str(file))
    return [each["alertId"] for each in incident(terminal, newest(terminal))["alerts"]]


def newest(terminal: Terminal) -> int:
    found = terminal.run("incidents", "list", "--top", "1", "--json").json()
    return int(found[0]["incidentId"])


def incident(terminal: Terminal, incident_id: int) -> Any:
    return terminal.run("incidents", "show", str(incident_id), "--json").json()


def test_merge_unmerge_split_and_move_say_what_changed(online: Terminal, tmp_path: Path) -> None:
    sent(online, tmp_path, "one")
    one = newest(online)
    ids = sent(online, tmp_path, "two")
    two = newest(online)
    merged = online.run("incidents", "merge", str(two), "--into", str(one), "-m", "one story", "--json").json()
    assert [(each["incidentId"], each["status"]) for each in merged] == [(one, "Active"), (two, "Redirected")]
    undone = online.run("incidents", "unmerge", str(two))
    assert [each.split()[:3] for each in undone.out.splitlines()[1:]] == [
        [str(two), "Active", "2"],
        [str(one), "Active", "2"],
    ]
    cut = online.run("incidents", "split", str(two), "--at", ids[1], "--json").json()
    assert [[alert["alertId"] for alert in each["alerts"]] for each in cut] == [[ids[1]], [ids[0]]]
    moved = online.run("incidents", "move", str(two), ids[0], "--to", str(one), "--json").json()
    assert [len(each["alerts"]) for each in moved] == [3, 0]
    told = online.run("incidents", "evidence", str(one)).out
    assert "merged incident" in told
    assert "one story" in told
    assert "local operator (" in told


def test_what_the_server_refuses_is_said_in_its_words(online: Terminal, tmp_path: Path) -> None:
    sent(online, tmp_path, "three")
    number = str(newest(online))
    for arguments, words in (
        (("merge", number, "--into", number), "other than the target"),
        (("unmerge", number), "was not merged"),
        (("merge", "x", "--into", number), "not an incident's number"),
        (("merge", "99999", "--into", number), "was not found"),
        (("split", number), "--at ALERT"),
        (("move", number, "tn99999", "--to", "new"), "tn99999"),
        (("merge", "1", "--into", number, "--url", "https://elsewhere.example"), "--token"),
    ):
        ran = online.run("incidents", *arguments)
        assert (ran.code, words in ran.err) == (1, True), (arguments, ran.err)


def test_a_lost_secret_of_the_operator_is_made_anew(online: Terminal, tmp_path: Path) -> None:
    sent(online, tmp_path, "four")
    one = newest(online)
    sent(online, tmp_path, "five")
    online.run("incidents", "merge", str(newest(online)), "--into", str(one))
    (file,) = online.data_dir.glob("local-application-*.json")
    assert file.stat().st_mode & 0o077 == 0
    file.unlink()
    assert online.run("incidents", "unmerge", str(one + 1)).code == 0
    applications = online.run("app", "list", "--json").json()
    assert [each["name"] for each in applications].count("local operator") == 1


def test_without_a_server_nothing_can_be_regrouped(terminal: Terminal) -> None:
    terminal.data_dir.mkdir()
    ran = terminal.run("incidents", "unmerge", "1")
    assert (ran.code, "no server is running" in ran.err) == (1, True)


@pytest.fixture(name="bench")
def bench_fixture(terminal: Terminal) -> Bench:
    terminal.data_dir.mkdir()
    start = ticks.now() - ticks.DAY
    bench = Bench(terminal.data_dir, HandClock(start))
    pairs = [f"{number:02}" for number in range(14)]
    links = pairwise(pairs)
    bench.ingest(*[native(n, at=start, entities=shared_url(a) + shared_url(b)) for n, (a, b) in enumerate(links)])
    return bench


@pytest.mark.usefixtures("bench")
def test_evidence_is_a_tree_that_stays_narrow_and_says_how_much_it_leaves_out(terminal: Terminal) -> None:
    lines_shown = terminal.run("incidents", "evidence", "1").out.splitlines()
    assert lines_shown[0] == "Incident 1: 13 alerts"
    assert any("joined: same url https://01.example/landing" in each for each in lines_shown)
    assert any(each.endswith("with tn1") for each in lines_shown)
    assert max(each.index("tn") for each in lines_shown if "  Alert " in each) <= 4 * 9
    assert "and 3 more; --top shows them" in terminal.run("incidents", "evidence", "1", "--top", "10").out
    found = terminal.run("incidents", "evidence", "1", "--json").json()
    assert (found["alertCount"], found["value"][1]["parentAlertId"]) == (13, "tn1")
