"""The real server as a process of its own, for tests that kill it: settings come from `TOCSIN_*` variables.

`--ready-fd N` gets one line when the server listens. Departures are for controls and measurements alone:
`--hasty` acknowledges before the commit, `--plain` leaves TLS away, `--failing-flush N` makes the N-th flush fail
after the server listens, and all after it.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable

import uvicorn
from failing import SYNC, Disk

from tocsin import ticks
from tocsin.app import BACKLOG, asgi, serve
from tocsin.config import Settings, read_settings
from tocsin.ingest import Delivery, LineResult, Result
from tocsin.service import Service
from tocsin.writer import Writer


class HastyWriter(Writer):
    """What Tocsin must never be: it says yes while the alerts still wait in memory."""

    async def commit(self, delivery: Delivery) -> list[LineResult]:
        """Queue the delivery and answer at once."""
        self.submit(delivery)
        return [LineResult(line.number, Result.CREATED, "tn0", 0) for line in delivery.lines]


def _make_hasty(service: Service) -> None:
    service.writer.stop()
    committer = service.writer._committer
    service.writer = HastyWriter(committer, alerts_waiting_max=10_000_000, on_broken=lambda: None)
    service.writer.start()


def _serve_plain(settings: Settings, on_ready: Callable[[Service], None]) -> None:
    service = Service(settings, ticks.now, lambda: None)
    config = uvicorn.Config(
        asgi(service),
        host=settings.listen_host,
        port=settings.listen_port,
        http="httptools",
        loop="uvloop",
        backlog=BACKLOG,
        access_log=False,
        log_config=None,
    )
    on_ready(service)
    uvicorn.Server(config).run()
    service.close()


def main() -> None:
    """Serve until told to stop."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--ready-fd", type=int, required=True)
    options.add_argument("--hasty", action="store_true")
    options.add_argument("--plain", action="store_true")
    options.add_argument("--failing-flush", type=int, default=0)
    chosen = options.parse_args()
    disk = Disk() if chosen.failing_flush else None

    def on_ready(service: Service) -> None:
        if chosen.hasty:
            _make_hasty(service)
        if disk is not None:
            disk.fail_at(SYNC, chosen.failing_flush, for_good=True)
        os.write(chosen.ready_fd, b"ready\n")

    settings = read_settings(os.environ)
    if chosen.plain:
        _serve_plain(settings, on_ready)
    else:
        serve(settings, on_ready)


if __name__ == "__main__":
    main()
