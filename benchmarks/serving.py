"""What a page costs, beside the same server sending the same bytes from memory.

usage: python benchmarks/serving.py [--incidents 20000] [--seconds 3]

Fills a store with incidents of four alerts, starts the real server over https and asks it over one connection: the
newest page of 100 and of 10 (`hot`: answered before), pages of 100 all over the list (`cold`), the poll of a SIEM with
few matches in a large and in a small store, and a page far down. CPU is of the server's process, per request; `ratio`
is to the limit, or to the row that `than` names. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from random import Random
from typing import Any, Final
from urllib.parse import quote

sys.path += [str(Path(__file__).parents[1] / "tests"), str(Path(__file__).parents[1] / "tests" / "reliability")]

from running import ServerProcess, free_port

from house import HandClock, lines, native, shared_url
from ingest import cpu_seconds
from load import gets_of, send_for
from tocsin import ticks
from tocsin.correlation.guards import Limits
from tocsin.ingest import read_delivery
from tocsin.senders import REGISTRY
from tocsin.stores.sqlite.connection import DATABASE_NAME, open_reader, open_writer
from tocsin.stores.sqlite.writing import WriteStore
from tocsin.ticks import SECOND, format_ticks
from tocsin.writer import Committer

ALERTS_EACH: Final = 4
PER_COMMIT: Final = 100
RECENT: Final = 20
SMALL: Final = 1_000
STATIC: Final = Path(__file__).with_name("static.py")


def fill(folder: Path, incidents: int) -> None:
    """Incidents a second apart that end now: `RECENT` seconds hold as many, whatever the size."""
    clock = HandClock(ticks.now() - incidents * SECOND)
    connection = open_writer(folder / DATABASE_NAME)
    connection.execute("PRAGMA synchronous=OFF")
    committer = Committer(WriteStore(connection), clock, Limits())
    for first in range(0, incidents, PER_COMMIT):
        last = min(incidents, first + PER_COMMIT)
        for number in range(first, last):
            clock.at += SECOND
            alerts = [
                native(
                    number * ALERTS_EACH + each,
                    at=clock.at,
                    entities=shared_url(f"n{number}"),
                    description="What the sensor saw, in a few words that a person can read. " * 4,
                )
                for each in range(ALERTS_EACH)
            ]
            committer.ingest([read_delivery(REGISTRY["native"], 1, lines(alerts), 1000)])
        committer.tidy()
    connection.close()


def asked(server: ServerProcess, token: str, paths: list[str], seconds: float) -> dict[str, Any]:
    """Ask for these in turn, over and over, and say what one costs."""
    for warm in (True, False):
        before = cpu_seconds(server.pid)
        requests = itertools.chain.from_iterable(itertools.repeat(gets_of(paths, token)))
        load = send_for(0.3 if warm else seconds, 1, requests, server.port, server.context())
    assert load.refused == 0
    return cost(load.requests, cpu_seconds(server.pid) - before, load.received) | {
        "p50_ms": load.percentile(0.5),
        "p99_ms": load.percentile(0.99),
    }


def cost(requests: int, cpu: float, received: int) -> dict[str, Any]:
    """CPU and size of one answer."""
    return {"cpu_ms": round(1000 * cpu / requests, 4), "bytes": received // requests, "requests": requests}


def static(server: ServerProcess, body: bytes, seconds: float) -> dict[str, Any]:
    """The same bytes from memory."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(body)
        file.flush()
        port = free_port()
        read_end, write_end = os.pipe()
        pem = str(server.data_dir / "tls" / "server.pem")
        process = subprocess.Popen(
            [sys.executable, str(STATIC), str(write_end), str(port), pem, file.name], pass_fds=(write_end,)
        )
        os.close(write_end)
        with os.fdopen(read_end, "rb") as ready:
            assert ready.readline()
        before = cpu_seconds(process.pid)
        load = send_for(seconds, 1, itertools.repeat(gets_of(["/"], "none")[0]), port, server.context())
        spent = cpu_seconds(process.pid) - before
        process.terminate()
        process.wait()
    return cost(load.requests, spent, load.received)


def last_stamp(folder: Path) -> int:
    """The newest stamp of the store, in ticks."""
    connection = open_reader(folder / DATABASE_NAME)
    found = connection.execute("SELECT max(last_stamp) FROM tenant").get
    connection.close()
    assert isinstance(found, int)
    return found


def poll(folder: Path) -> str:
    """What a SIEM asks every minute: everything since a moment before the last change."""
    since = format_ticks(last_stamp(folder) - RECENT * SECOND)
    return "/api/incidents?$top=100&$filter=" + quote(f"lastUpdateTime ge {since} and status eq 'Active'")


def pages_anywhere(folder: Path, incidents: int) -> list[str]:
    """Pages of 100 that begin at random moments, oldest first, so that nothing has to be skipped to find them."""
    random, last = Random(1), last_stamp(folder)
    begins = [format_ticks(last - random.randrange(100, incidents) * SECOND) for _ in range(200)]
    return [
        "/api/incidents?$top=100&$orderby=lastUpdateTime&$filter=" + quote(f"lastUpdateTime ge {begin}")
        for begin in begins
    ]


def measured(incidents: int, seconds: float) -> dict[str, Any]:
    """All rows."""
    result: dict[str, Any] = {"incidents": incidents, "load_average": os.getloadavg()}
    with tempfile.TemporaryDirectory() as small, tempfile.TemporaryDirectory() as large:
        for folder, size in ((small, SMALL), (large, incidents)):
            server = ServerProcess(Path(folder))
            fill(Path(folder), size)
            server.start()
            token = server.token()
            result[f"poll of {size}"] = asked(server, token, [poll(Path(folder))], seconds)
            if size == SMALL:
                server.stop()
        anywhere = pages_anywhere(Path(large), incidents)
        for top in (100, 10):
            page = [f"/api/incidents?$top={top}"]
            result[f"page of {top}, hot"] = asked(server, token, page, seconds)
            with server.reader() as reader:
                body = reader.get(page[0]).content
            result[f"page of {top}, limit"] = static(server, body, seconds)
        result["page of 100, cold"] = asked(server, token, anywhere, seconds)
        result["$skip to the end"] = asked(server, token, [f"/api/incidents?$top=10&$skip={incidents - 10}"], seconds)
        server.stop()
    for row, than in (
        (f"poll of {incidents}", f"poll of {SMALL}"),
        ("page of 100, hot", "page of 100, limit"),
        ("page of 100, cold", "page of 100, limit"),
        ("page of 10, hot", "page of 10, limit"),
        ("$skip to the end", "page of 10, hot"),
    ):
        result[row] |= {"ratio": round(result[row]["cpu_ms"] / result[than]["cpu_ms"], 2), "than": than}
    return result


def main() -> None:
    """Print the figures as JSON."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--incidents", type=int, default=20_000)
    options.add_argument("--seconds", type=float, default=3)
    chosen = options.parse_args()
    print(json.dumps(measured(chosen.incidents, chosen.seconds), indent=2))


if __name__ == "__main__":
    main()
