"""README's commands are executed, in its order, as a new user would paste them."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BIN = Path(sys.executable).parent


def blocks() -> list[str]:
    """The console blocks, in order."""
    return re.findall(r"```console\n(.*?)```", README, re.DOTALL)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """An environment like a user's, with README's server running on another port in another folder."""
    folder, port = tmp_path_factory.mktemp("readme"), free_port()
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(folder), "PORT": str(port)}
    environment["FOLDER"] = str(folder)
    server = subprocess.Popen(
        [BIN / "tocsin", "serve", "--data-dir", "tocsin-data", "--port", str(port)],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(300):
            if (folder / "tocsin-data" / "server.json").exists():
                break
            assert server.poll() is None
            time.sleep(0.1)
        yield environment
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)


def run(shell: dict[str, str], script: str) -> str:
    script = script.replace("8443", shell["PORT"]).replace("/var/log/suricata/eve.json", "eve.json")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=shell["FOLDER"],
        env=shell,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_two_commands_are_targets_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\w+)", blocks()[0], re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_alerts_of_your_own_become_incidents(shell: dict[str, str]) -> None:
    event = {
        "timestamp": "2026-03-02T09:00:00.000000+0000",
        "event_type": "alert",
        "src_ip": "192.0.2.7",
        "dest_ip": "10.0.0.7",
        "alert": {"signature_id": 1, "gid": 1, "rev": 1, "signature": "A scan", "category": "", "severity": 2},
    }
    (Path(shell["FOLDER"]) / "eve.json").write_bytes(msgspec.json.encode(event) + b"\n")
    lines = blocks()[1].splitlines()
    commands = [line.split("#")[0].strip() for line in lines if line.startswith("tocsin") and " serve" not in line]
    assert len(commands) == 4
    outputs = [run(shell, command.replace(" --follow", "")) for command in commands]
    assert "A scan" in outputs[1]
    assert "A scan" in outputs[2]
    assert "/sign-in?code=" in outputs[3]


def test_a_siem_signs_in_and_polls_as_printed(shell: dict[str, str]) -> None:
    answer = run(shell, f"{blocks()[2]}\n{blocks()[3]}")
    incidents = msgspec.json.decode(answer)["value"]
    assert [incident["incidentName"] for incident in incidents] == ["A scan"]


def test_every_page_that_readme_names_is_there() -> None:
    for name in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / name).exists(), name
