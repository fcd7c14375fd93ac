"""The demo: loaded as if the service had run for two weeks, served, and every printed command works when pasted."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from shell import Background, Terminal, free_port, spawn, terminal_fixture  # noqa: F401  fixtures

from house import Bench, HandClock, native
from tocsin import ticks
from tocsin.cli.demo_store import MARKER, Marker
from tocsin.local import SERVER_FILE


def paste(demo: Background, cwd: Path) -> list[str]:
    """Run every command that the demo printed, in one shell and another folder; what each printed."""
    commands = [line.strip() for line in demo.lines if line.startswith("  ")]
    script = "\necho ----\n".join(commands)
    run = subprocess.run(["bash", "-c", script], cwd=cwd, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, ""), run.stderr
    return run.stdout.split("----\n")


@pytest.mark.timeout(120)
def test_what_the_demo_prints_works_when_pasted_and_again_at_the_second_run(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    first = Background("demo", "--port", str(free_port()), cwd=folder)
    first.until("Stop with Ctrl-C")
    assert any("Loading two weeks" in line for line in first.lines)
    (link,) = [line for line in first.lines if "/sign-in?code=" in line]
    assert link.startswith("https://")  # what is indented is a command to paste
    _, top, poll, listed, shown = paste(first, elsewhere)
    assert len(json.loads(top)["value"]) == 3
    assert json.loads(poll)["value"]
    assert len(listed.splitlines()) == 11
    assert "joined: " in shown
    assert first.stop(signal.SIGINT) == 0
    data_dir = folder / ".tocsin" / "demo"
    assert not (data_dir / SERVER_FILE).exists()

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        second = Background("demo", "--port", str(port), cwd=folder)
        second.until("Stop with Ctrl-C")
    assert any(f"Port {port} is taken" in line for line in second.lines)
    assert not any("Loading" in line for line in second.lines)
    assert json.loads(paste(second, elsewhere)[1])["value"]
    assert "already running" in spawn(data_dir, "demo").err
    assert second.stop(signal.SIGTERM) == 0


def test_the_alerts_are_spread_over_two_weeks_and_become_incidents(terminal: Terminal) -> None:
    ran = terminal.run("demo", "--no-stay")
    assert ran.code == 0
    assert re.search(r"\d+ alerts became \d+ incidents; \d+ other records were no alerts\.", ran.err), ran.err
    found = terminal.run("incidents", "list", "--top", "1000", "--json").json()
    created = sorted(ticks.parse_ticks(each["createdTime"]) for each in found)
    assert created[-1] - created[0] > 12 * ticks.DAY
    assert len({each["lastUpdateTime"] for each in found}) == len(found)
    assert all(each["lastUpdateTime"] < ticks.format_ticks(ticks.now()) for each in found)
    assert terminal.run("refused", "list", "--json").json() == []


def test_old_data_are_kept_and_said_and_fresh_begins_anew(terminal: Terminal) -> None:
    terminal.run("demo", "--no-stay")
    marker = terminal.data_dir / MARKER
    marker.write_text(json.dumps({"end": ticks.now() - 3 * ticks.DAY, "complete": True}))
    again = terminal.run("demo", "--no-stay")
    assert "3 days ago" in again.err
    assert "--fresh" in again.err
    assert "Loading" in terminal.run("demo", "--no-stay", "--fresh").err
    assert json.loads(marker.read_text())["end"] > ticks.now() - ticks.DAY


def test_a_demo_that_was_interrupted_while_loading_is_begun_anew(terminal: Terminal) -> None:
    terminal.data_dir.mkdir()
    Bench(terminal.data_dir, HandClock()).ingest(native(1))
    (terminal.data_dir / MARKER).write_text(json.dumps({"end": Marker(1, complete=False).end, "complete": False}))
    assert "Loading" in terminal.run("demo", "--no-stay").err
    assert len(terminal.run("incidents", "list", "--json", "--top", "5").json()) == 5


@pytest.mark.parametrize("options", [[], ["--fresh"]])
def test_a_store_that_is_no_demo_is_never_touched(terminal: Terminal, options: list[str]) -> None:
    terminal.run("key", "create", "mine")
    ran = terminal.run("demo", "--no-stay", *options)
    assert ran.code == 1
    assert "no demo" in ran.err
    assert len(terminal.run("key", "list", "--json").json()) == 1
