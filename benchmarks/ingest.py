"""How many alerts a second are committed and correlated, beside the same rows inserted with no thought at all.

usage: python benchmarks/ingest.py [--seconds 10] [--plain] [--in-process] [--profile]

Starts the real server over https with `synchronous=FULL` and sends it alerts of a busy organisation: batches of 100
over 8 connections, then one by one over 64. Then copies the rows it made into an empty store of the same schema,
in transactions of the same sizes: the limit. Prints one JSON object; `ratio` is served over limit.

`--plain` leaves TLS away, `--in-process` the network and the server: one thread reads and commits, and the time of
each stage is printed; `--profile` shows where that time goes.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import pstats
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import apsw

from load import Load, requests_of, send_for

sys.path.append(str(Path(__file__).parents[1] / "tests" / "reliability"))

from busy import Organisation
from running import ServerProcess, make_ready

from tocsin import ticks
from tocsin.correlation.guards import Limits
from tocsin.ingest import read_delivery
from tocsin.senders import REGISTRY
from tocsin.stores.sqlite.connection import DATABASE_NAME, open_writer
from tocsin.stores.sqlite.writing import WriteStore
from tocsin.writer import Committer

BATCH: Final = 100
EXPECTED_BATCHED: Final = 12_000
EXPECTED_SINGLE: Final = 6_000
COPIED: Final = (
    "incident",
    "incident_superseded",
    "alert",
    "link",
    "change_log",
)
DOCUMENTS: Final = (("incident_document", ("incident", "incident_superseded")), ("alert_document", ("alert",)))
TICK_SECONDS: Final = 1 / os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """Processor time of a process so far, all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_SECONDS


def served(seconds: float, connections: int, batch: int, expected: int, flags: tuple[str, ...]) -> dict[str, Any]:
    """Measure the server with requests of `batch` alerts, then the limit on the rows it wrote."""
    alerts = Organisation(batch).bodies(int(seconds * expected))
    bodies = [b"\n".join(alerts[start : start + batch]) for start in range(0, len(alerts), batch)]
    with tempfile.TemporaryDirectory() as folder:
        server = ServerProcess(Path(folder), *flags)
        requests = requests_of(bodies, "/ingest/native", server.who.ingest_key)
        server.start()
        before = cpu_seconds(server.pid)
        tls = None if "--plain" in flags else server.context()
        load = send_for(seconds, connections, requests, server.port, tls)
        spent = cpu_seconds(server.pid) - before
        server.stop()
        return {
            "connections": connections,
            "batch": batch,
            **figures(load.alerts, load.seconds, spent),
            "p50_ms": load.percentile(0.5),
            "p99_ms": load.percentile(0.99),
            "not_200": load.refused,
            "ran_out_of_alerts": load.requests == len(requests),
            **compared(load, Path(folder)),
        }


def figures(alerts: int, seconds: float, cpu: float) -> dict[str, float]:
    """Rates of a run."""
    return {
        "alerts": alerts,
        "alerts_per_second": round(alerts / seconds),
        "cpu_ms_per_alert": round(1000 * cpu / max(1, alerts), 4),
    }


def compared(load: Load, folder: Path) -> dict[str, Any]:
    """The limit for the rows of this store, and what they are."""
    connection = open_writer(folder / DATABASE_NAME)
    connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    size = (folder / DATABASE_NAME).stat().st_size
    commits = commit_bounds(connection)
    limit = insert_limit(connection, commits)
    counted = connection.execute("SELECT action, count(*) FROM change_log GROUP BY action").fetchall()
    return {
        "bytes_per_alert": round(size / max(1, load.alerts)),
        "alerts_per_commit": round(load.alerts / max(1, len(commits)), 1),
        "changes": {str(action): count for action, count in counted},
        "limit": limit,
        "ratio": round(load.alerts / load.seconds / max(1, limit["alerts_per_second"]), 3),
    }


def commit_bounds(connection: apsw.Connection) -> list[tuple[int, int]]:
    """First and last change number of each commit: inside one, stamps follow each other tick by tick."""
    bounds: list[tuple[int, int]] = []
    last_at = 0
    for change, at in connection.execute("SELECT change, at FROM change_log ORDER BY change"):
        if at == last_at + 1:
            bounds[-1] = (bounds[-1][0], change)
        else:
            bounds.append((change, change))
        last_at = at
    return bounds


def insert_limit(source: apsw.Connection, commits: list[tuple[int, int]]) -> dict[str, float]:
    """Insert all rows anew, commit by commit, from lists in memory. Entity memories come with the commits evenly."""
    statements = {table: insertion(source, table) for table in (*COPIED, "incident_document", "alert_document")}
    memories = source.execute("SELECT * FROM entity_memory").fetchall()
    share = len(memories) // len(commits) + 1
    work = []
    for number, (first, last) in enumerate(commits):
        rows = {table: changed(source, table, first, last) for table in COPIED}
        for table, owners in DOCUMENTS:
            ids = [row_id for owner in owners for row_id in document_ids(source, owner, first, last)]
            rows[table] = [source.execute(f"SELECT * FROM {table} WHERE document_id = ?", (i,)).fetchone() for i in ids]
        work.append((rows, memories[number * share : (number + 1) * share]))
    with tempfile.TemporaryDirectory() as folder:
        target = open_writer(Path(folder) / DATABASE_NAME)
        remember = insertion(target, "entity_memory")
        begun, cpu = time.perf_counter(), time.process_time()
        for rows, remembered in work:
            with target:
                for table, values in rows.items():
                    target.executemany(statements[table], values)
                target.executemany(remember, remembered)
            target.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE) if number_of_pages(target) > 8000 else None
        seconds, spent = time.perf_counter() - begun, time.process_time() - cpu
        alerts = target.execute("SELECT count(*) FROM alert WHERE superseded_by IS NULL").get
        target.close()
    return figures(alerts, seconds, spent)


def number_of_pages(target: apsw.Connection) -> int:
    """Pages in the write-ahead log."""
    path = Path(target.filename + "-wal")
    return path.stat().st_size // 4096


def insertion(connection: apsw.Connection, table: str) -> str:
    """The statement that inserts a whole row."""
    columns = connection.execute("SELECT count(*) FROM pragma_table_info(?)", (table,)).get
    return f"INSERT INTO {table} VALUES ({','.join('?' * columns)})"


def changed(source: apsw.Connection, table: str, first: int, last: int) -> list[Any]:
    """The rows of a table that a commit wrote, or moved to where they are."""
    return source.execute(f"SELECT * FROM {table} WHERE change BETWEEN ? AND ?", (first, last)).fetchall()


def document_ids(source: apsw.Connection, owner: str, first: int, last: int) -> list[int]:
    """The documents of those rows."""
    rows = source.execute(f"SELECT document_id FROM {owner} WHERE change BETWEEN ? AND ?", (first, last))
    return [int(row[0]) for row in rows]


def in_process(seconds: float, profile: bool) -> dict[str, Any]:
    """Read and commit in this thread, 8 requests of 100 alerts to a commit."""
    alerts = Organisation(BATCH).bodies(int(seconds * EXPECTED_BATCHED))
    bodies = [b"\n".join(alerts[start : start + BATCH]) for start in range(0, len(alerts), BATCH)]
    begun, reading = time.perf_counter(), time.process_time()
    deliveries = [read_delivery(REGISTRY["native"], 1, body, BATCH) for body in bodies]
    reading = time.process_time() - reading
    read_seconds = time.perf_counter() - begun
    profiler = cProfile.Profile()
    with tempfile.TemporaryDirectory() as folder:
        make_ready(Path(folder))
        committer = Committer(WriteStore(open_writer(Path(folder) / DATABASE_NAME)), ticks.now, Limits())
        done, begun, cpu = 0, time.perf_counter(), time.process_time()
        if profile:
            profiler.enable()
        while done < len(deliveries) and time.perf_counter() < begun + seconds:
            committer.ingest(deliveries[done : done + 8])
            committer.tidy()
            done += 8
        profiler.disable()
        committed = min(done, len(deliveries)) * BATCH
        stages = {
            "read": figures(len(alerts), read_seconds, reading),
            "commit": figures(committed, time.perf_counter() - begun, time.process_time() - cpu),
        }
    if profile:
        pstats.Stats(profiler, stream=sys.stderr).sort_stats("tottime").print_stats(40)
    return stages


def main() -> None:
    """Print the figures as JSON."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=10)
    options.add_argument("--plain", action="store_true")
    options.add_argument("--in-process", action="store_true")
    options.add_argument("--profile", action="store_true")
    chosen = options.parse_args()
    flags = ("--plain",) if chosen.plain else ()
    result: dict[str, Any] = {"load_average": os.getloadavg(), "processors": os.cpu_count()}
    if chosen.in_process or chosen.profile:
        result["in_process"] = in_process(chosen.seconds, chosen.profile)
    else:
        result["batches"] = served(chosen.seconds, 8, BATCH, EXPECTED_BATCHED, flags)
        result["one_by_one"] = served(chosen.seconds, 64, 1, EXPECTED_SINGLE, flags)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
