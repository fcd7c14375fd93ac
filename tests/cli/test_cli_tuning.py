"""A tenant is tuned from the command line, every version is kept, and a dry run says what would change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from shell import Terminal, online_fixture, served_fixture, terminal_fixture  # noqa: F401

from house import Bench, HandClock, lines, native
from tocsin import ticks
from tocsin.stores.sqlite.connection import WriterLock


def user(name: str) -> list[dict[str, str]]:
    return [{"entityType": "User", "accountName": name}]


@pytest.fixture(name="filled")
def filled_fixture(terminal: Terminal) -> Terminal:
    terminal.data_dir.mkdir()
    lately = ticks.now() - ticks.HOUR
    bench = Bench(terminal.data_dir, HandClock(lately))
    bench.ingest(*[native(n, at=lately, entities=user("svc-backup")) for n in (1, 2, 3)])
    bench.store.connection.close()
    return terminal


def test_knobs_are_set_added_removed_and_taken_back_and_each_version_stays(filled: Terminal) -> None:
    assert "nothing is set" in filled.run("tuning", "show").err
    assert filled.run("tuning", "set", "join-score", "0.6", "--reason", "loose ends").code == 0
    assert "version 2" in filled.run("tuning", "add", "common-accounts", "svc-*", "scan").err
    rule = ("rule=Nightly*", "until=2099-01-01", "reason=known job")
    assert filled.run("tuning", "add", "suppress", *rule).code == 0
    shown = filled.run("tuning", "show").out
    assert "join-score" in shown
    assert "reason=known job by=operator:" in shown
    assert "merges-max" in filled.run("tuning", "show", "--all").out
    assert "nothing changes" in filled.run("tuning", "add", "common-accounts", "scan").err
    assert filled.run("tuning", "remove", "suppress", "1").code == 0
    assert filled.run("tuning", "rollback", "1").code == 0
    assert filled.run("tuning", "show", "--json").json() == {"version": 5, "tuning": {"join_score": 0.6}}
    history = filled.run("tuning", "history", "--json").json()
    assert [each["version"] for each in history] == [5, 4, 3, 2, 1]
    assert (history[-1]["reason"], history[0]["reason"]) == ("loose ends", "back to version 1")


def test_what_is_exported_can_be_imported(filled: Terminal, tmp_path: Path) -> None:
    filled.run("tuning", "add", "never-join", "rule=Scan*", "by=address")
    file = tmp_path / "tuning.json"
    file.write_text(filled.run("tuning", "export").out, encoding="utf-8")
    filled.run("tuning", "rollback", "0")
    assert filled.run("tuning", "import", str(file), "--reason", "again").code == 0
    assert filled.run("tuning", "show", "--json").json()["tuning"] == {
        "never_join": [{"rule": "Scan*", "by": "address"}]
    }


def test_a_dry_run_shows_the_change_and_writes_nothing(filled: Terminal) -> None:
    arguments = ("correlate", "--dry-run", "--since", "2026-01-01", "--set", "common-accounts+=svc-*")
    before = (filled.data_dir / "tocsin.db").read_bytes()
    ran = filled.run(*arguments)
    assert ran.code == 0, ran.err
    assert "1 incident now, 3 then; 0 unchanged; changes: 1 split" in ran.out
    assert "split: incident 1 (3 alerts)" in ran.out
    found: Any = filled.run(*arguments, "--json").json()
    assert [each["taken"] for each in found["changes"][0]["after"]] == [{"1": 1}, {"1": 1}, {"1": 1}]
    assert "changes: none" in filled.run("correlate", "--dry-run", "--since", "2026-01-01").out
    assert (filled.data_dir / "tocsin.db").read_bytes() == before


def test_applying_makes_the_change_of_the_tuning_in_force_and_is_told_in_the_change_log(filled: Terminal) -> None:
    filled.run("tuning", "add", "common-accounts", "svc-*")
    ran = filled.run("correlate", "--apply", "--since", "2026-01-01")
    assert ran.code == 0, ran.err
    assert "1 change made, 0 left" in ran.err
    assert [each["alertCount"] for each in filled.run("incidents", "list", "--json").json()] == [1, 1, 1]
    assert "retuned" in filled.run("incidents", "show", "2").out
    assert "changes: none" in filled.run("correlate", "--dry-run", "--since", "2026-01-01").out


def test_a_tuning_is_not_applied_beside_another_program_that_holds_the_store(filled: Terminal) -> None:
    lock = WriterLock(filled.data_dir)
    ran = filled.run("correlate", "--apply", "--since", "2026-01-01")
    lock.release()
    assert (ran.code, "in use by another Tocsin" in ran.err) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("correlate",), "--dry-run"),
        (("correlate", "--apply", "--set", "merges_max=0"), "the tuning in force"),
        (("correlate", "--dry-run", "--since", "soon"), "--since takes"),
        (("correlate", "--dry-run", "--set", "colour=red"), "there is no knob"),
        (("correlate", "--dry-run", "--tuning", "nowhere.json"), "cannot be read"),
        (("tuning", "rollback", "9"), "no version 9"),
        (("tuning", "set", "join_score", "7"), "join-score"),
    ],
)
def test_what_cannot_be_done_is_said(filled: Terminal, arguments: tuple[str, ...], words: str) -> None:
    ran = filled.run(*arguments)
    assert ran.code == 1
    assert words in ran.err


def test_a_running_server_makes_the_changes_and_leaves_what_people_worked_on(online: Terminal, tmp_path: Path) -> None:
    at = ticks.now() - ticks.HOUR
    for name in ("one", "two"):
        file = tmp_path / f"{name}.jsonl"
        names = user(f"svc-{name}")
        alerts = [native(n, at=at, entities=names, providerAlertId=f"{name}-{n}", devices=()) for n in range(3)]
        file.write_bytes(lines(alerts))
        assert online.run("ingest", "-s", "native", str(file)).code == 0
    assert [each["alertCount"] for each in online.run("incidents", "list", "--json").json()] == [3, 3]
    online.run("tuning", "add", "common-accounts", "svc-*")
    number = online.run("incidents", "show", "2", "--json").json()["alerts"][0]["alertId"]
    assert online.run("incidents", "split", "2", number).code == 0
    ran = online.run("correlate", "--apply", "--since", "2026-01-01")
    assert (ran.code, "1 change made, 1 left" in ran.err) == (0, True), ran.err
    counted = {each["incidentId"]: each["alertCount"] for each in online.run("incidents", "list", "--json").json()}
    assert counted == {1: 1, 2: 2, 3: 1, 4: 1, 5: 1}
    assert "retuned" in online.run("incidents", "show", "4").out
    ran = online.run("correlate", "--apply", "--since", "2026-01-01", "--include-handled")
    assert (ran.code, "1 change made, 0 left" in ran.err) == (0, True), ran.err
