"""`GET /healthz`: for everybody, and only whether the work goes on."""

from __future__ import annotations

from pathlib import Path

from house import HandClock, running


def test_a_server_that_works_says_so_to_everybody(tmp_path: Path) -> None:
    with running(tmp_path, HandClock()) as client:
        answer = client.http.get("/healthz")
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_a_server_whose_store_failed_says_that(tmp_path: Path) -> None:
    with running(tmp_path, HandClock()) as client:
        client.service.writer._committer.broken = OSError("of a test")
        answer = client.http.get("/healthz")
        assert (answer.status_code, answer.json()) == (503, {"status": "broken"})
