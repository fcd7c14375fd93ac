"""Running `tocsin` as a shell would: in this process where that shows enough, else as a process of its own.

The fixtures `terminal`, `served` and `online` are imported by the tests that use them.
"""

from __future__ import annotations

import atexit
import json
import logging
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog

from tocsin.cli import main

_RUNNING: list[Background] = []
PROGRAM = str(Path(sys.executable).parent / "tocsin")


class Ran(msgspec.Struct, frozen=True):
    """What a command printed and its exit code."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """The JSON it printed, after it went well."""
        assert self.code == 0, self.err
        return json.loads(self.out)


class Terminal:
    """A shell user with one data folder."""

    def __init__(self, data_dir: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.data_dir, self._capture = data_dir, capture

    def run(self, *arguments: str) -> Ran:
        """Run a command in this process."""
        self._capture.readouterr()
        with _own_logs(), pytest.raises(SystemExit) as ended:
            main(["--data-dir", str(self.data_dir), *arguments])
        printed = self._capture.readouterr()
        code = ended.value.code
        return Ran(code if isinstance(code, int) else int(code is not None), printed.out, printed.err)


def spawn(data_dir: Path, *arguments: str, stdin: bytes = b"") -> Ran:
    """Run a command as a process of its own."""
    command = [PROGRAM, "--data-dir", str(data_dir), *arguments]
    run = subprocess.run(command, input=stdin, capture_output=True, check=False)
    return Ran(run.returncode, run.stdout.decode(), run.stderr.decode())


@contextmanager
def _own_logs() -> Iterator[None]:
    """Commands arrange the logs of their process; this process gets its own arrangement back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.reset_defaults()


class Background:
    """A command that goes on: `until` reads its lines as they come."""

    def __init__(self, *arguments: str, cwd: Path | None = None) -> None:
        self.process = subprocess.Popen(
            [PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=cwd
        )
        self.lines: list[str] = []
        _RUNNING.append(self)

    def until(self, words: str) -> str:
        """Read on to the line with these words."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            if words in line:
                return line
        raise AssertionError(f"{words!r} was never printed; printed was: {self.lines}")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it with a signal and give its exit code."""
        _RUNNING.remove(self)
        self.process.send_signal(number)
        assert self.process.stdout is not None
        self.lines += [line.rstrip("\n") for line in self.process.stdout]
        self.process.stdout.close()
        return self.process.wait()


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def serve(data_dir: Path) -> Background:
    """Start a server and wait until it listens."""
    server = Background("--data-dir", str(data_dir), "serve", "--port", str(free_port()))
    server.until("Stop with Ctrl-C")
    return server


def _end_all() -> None:
    """A test that fails midway does not leave its processes running."""
    for each in _RUNNING:
        each.process.kill()


atexit.register(_end_all)


@pytest.fixture(name="terminal")
def terminal_fixture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(tmp_path / "data", capsys)


@pytest.fixture(name="served", scope="module")
def served_fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The data folder of a running server."""
    data_dir = tmp_path_factory.mktemp("served") / "data"
    server = serve(data_dir)
    yield data_dir
    server.stop()


@pytest.fixture(name="online")
def online_fixture(served: Path, capsys: pytest.CaptureFixture[str]) -> Terminal:
    """A terminal beside a running server."""
    return Terminal(served, capsys)
