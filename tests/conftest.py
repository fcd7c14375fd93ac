"""Being here puts this folder on the path; and under CI a skipped test is a failed run."""

from __future__ import annotations

import os

import pytest


def pytest_sessionfinish(session: pytest.Session) -> None:
    """`.ci/run` installs all that tests need, so nothing may be left out there (TOCSIN_NOTHING_SKIPPED)."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if not os.environ.get("TOCSIN_NOTHING_SKIPPED") or reporter is None:
        return
    skipped = reporter.stats.get("skipped", [])
    if skipped and session.exitstatus == pytest.ExitCode.OK:
        reporter.write_line(f"{len(skipped)} tests were skipped where nothing may be", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
