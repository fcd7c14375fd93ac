"""Ingest's log lines: the first request at once, those that follow within a second in one line."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from tocsin.web import tallies


def test_the_first_request_is_told_at_once_and_the_following_ones_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tallies, "EVERY_SECONDS", 0)

    async def three_requests() -> None:
        told = tallies.Tallies()
        for ms in (4, 9, 2):
            told.add("native", {"created": 1, "refused": 0}, ms)
        for _ in range(3):
            await asyncio.sleep(0)

    with capture_logs() as found:
        asyncio.run(three_requests())
    assert [(line["requests"], line["created"], line["ms"]) for line in found] == [(1, 1, 4), (2, 2, 9)]
