"""Log lines: one form for ours and for those of libraries, on stderr."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from tocsin.logs import configure_logs


@pytest.fixture(autouse=True)
def _own_logs() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_json_lines_hold_event_level_time_and_facts(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(as_json=True)
    structlog.get_logger().info("listening", url="https://localhost:8443")
    logging.getLogger("uvicorn.error").warning("of a library")
    logging.getLogger("uvicorn.error").info("not worth a line")
    printed = capsys.readouterr()
    ours, theirs = (json.loads(line) for line in printed.err.splitlines())
    assert (ours["event"], ours["level"], ours["url"]) == ("listening", "info", "https://localhost:8443")
    assert ours["timestamp"].endswith("Z")
    assert (theirs["event"], theirs["level"]) == ("of a library", "warning")
    assert printed.out == ""


def test_lines_for_reading_have_no_colours_when_piped(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(as_json=False, level=logging.WARNING)
    structlog.get_logger().info("quiet")
    structlog.get_logger().error("write_failed", tenant=1)
    printed = capsys.readouterr().err
    assert "quiet" not in printed
    assert "write_failed" in printed
    assert "\x1b" not in printed


def test_a_defect_is_logged_with_where_it_happened(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(as_json=True)
    try:
        raise ZeroDivisionError("of a test")
    except ZeroDivisionError as error:
        structlog.get_logger().error("request_failed", exc_info=error)
    assert "ZeroDivisionError: of a test" in json.loads(capsys.readouterr().err)["exception"]
