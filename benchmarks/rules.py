"""What the rules cost for each alert, and what they remember, as history and the number of live incidents grow.

usage: python benchmarks/rules.py [--alerts 1000000] [--plot docs/rules.svg] [--shared DIR]

Evidence, habits, placing and freezing of what changed, as ingest does them: batches of 500, each a fresh Correlator
and Watch over what the batches before left. Reading, storing and making the alerts (`rules_stream.py`) are not in the
figures. Incidents and memories older than the retention go, as in a store. Processor time, in microseconds for each
alert, by stretches of 5,000 alerts: the least and the median of the stretches of a step. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

import msgspec

from rules_plot import plotted
from rules_stream import Stream
from tocsin import ticks
from tocsin.correlation.engine import Correlator
from tocsin.correlation.memory import MemoryView
from tocsin.correlation.watch import Watch
from tocsin.model import Alert
from tocsin.senders.native import normalise

BATCH: Final = 500
STRETCH: Final = 5_000
STEP: Final = 50_000
STORIES: Final = 300
ALERTS_PER_DAY: Final = 100_000
RETENTION: Final = 3 * ticks.DAY
"""Short, so that a million alerts show the state growing up to it and then staying."""
FORGET_EVERY: Final = 25_000
LIVE: Final = (10, 100, 1_000, 10_000)
LIVE_STRETCHES: Final = 6
ROUNDS: Final = 7
LABELLED: Final = "data/sigma-labelled.jsonl.gz"


class Rules:
    """The rules over what they remember; `spent` is the processor time of the last `take`, in seconds."""

    def __init__(self) -> None:
        self.view = MemoryView()
        self.last_alert = self.last_incident = 0
        self.spent = 0.0

    def take(self, alerts: Sequence[Alert]) -> None:
        """Place these alerts."""
        begun = time.process_time()
        for start in range(0, len(alerts), BATCH):
            self._batch(alerts[start : start + BATCH])
        self.spent = time.process_time() - begun

    def _batch(self, alerts: Sequence[Alert]) -> None:
        correlator = Correlator(self.view)
        watch = Watch(self.view, correlator, moments=True)
        wanted = []
        evidences = []
        for alert in alerts:
            evidence = correlator.keys_of(alert)
            evidences.append(evidence)
            wanted.extend([each.key for each in evidence])
            wanted.extend(watch.keys_of(evidence))
        for alert, known in zip(alerts, evidences, strict=True):
            self.last_alert += 1
            evidence = watch.seen(alert, known)
            placement = correlator.place(alert, self.last_alert, self.last_incident + 1, evidence)
            watch.placed(alert, evidence[0].key, placement)
            self.last_incident += placement.opened
        self.view.absorb(correlator.entities_changed | watch.entities_changed, correlator.incidents_changed)

    def forget(self, before: int) -> None:
        """Drop what was last seen before these ticks, as the purge of a store does."""
        view = self.view
        view.entities = {key: each for key, each in view.entities.items() if each.last_seen >= before}
        view.incidents = {key: each for key, each in view.incidents.items() if each.last_activity >= before}


def history(alerts: int) -> Iterator[dict[str, Any]]:
    """One row for each step of `STEP` alerts, from an empty memory on."""
    rules, stream = Rules(), Stream(STORIES, gap=86_400 / ALERTS_PER_DAY)
    costs: list[float] = []
    for done in range(STRETCH, alerts + 1, STRETCH):
        made = stream.take(STRETCH)
        rules.take(made)
        costs.append(rules.spent / STRETCH * 1e6)
        if done % FORGET_EVERY == 0:
            rules.forget(made[-1].last_activity - RETENTION)
        if done % STEP == 0:
            yield {"alerts": done, **costs_of(costs), **held(rules.view)}
            costs = []


def held(view: MemoryView) -> dict[str, Any]:
    """What is remembered: counts, and its size as a store would keep it."""
    size = sum(len(msgspec.msgpack.encode(each)) for each in view.entities.values())
    size += sum(len(msgspec.msgpack.encode(each)) for each in view.incidents.values())
    return {
        "entities": len(view.entities),
        "incidents": len(view.incidents),
        "stored_mb": round(size / 1e6, 1),
        "largest_entity_bytes": max(len(msgspec.msgpack.encode(each)) for each in view.entities.values()),
        "largest_incident_bytes": max(len(msgspec.msgpack.encode(each)) for each in view.incidents.values()),
        "process_mb": round(resident() / 1e6, 1),
    }


def resident() -> int:
    """Memory of this process, in bytes."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def live_costs() -> list[dict[str, Any]]:
    """The same with few and with many stories under way, in turns, so that a busy machine is busy for all alike."""
    runs = {stories: (Rules(), Stream(stories, gap=1.0)) for stories in LIVE}
    for stories, (rules, stream) in runs.items():
        rules.take(stream.take(max(10_000, 6 * stories)))
    costs: dict[int, list[float]] = {stories: [] for stories in LIVE}
    for _ in range(LIVE_STRETCHES):
        for stories, (rules, stream) in runs.items():
            rules.take(stream.take(STRETCH))
            costs[stories].append(rules.spent / STRETCH * 1e6)
    return [{"live": stories, **costs_of(found)} for stories, found in costs.items()]


def labelled(path: Path) -> dict[str, Any]:
    """The same for real alerts, several rounds, each from an empty memory."""
    with gzip.open(path) as lines:
        alerts = [normalise(msgspec.json.encode(msgspec.json.decode(line)["alert"])) for line in lines]
    alerts.sort(key=lambda each: each.first_activity)
    costs = []
    for _ in range(ROUNDS):
        rules = Rules()
        rules.take(alerts)
        costs.append(rules.spent / len(alerts) * 1e6)
    return {"alerts": len(alerts), **costs_of(costs)}


def costs_of(costs: Sequence[float]) -> dict[str, Any]:
    """The least and the median cost, and the rate at the least."""
    least = min(costs)
    return {"us_least": round(least, 2), "us_median": round(median(costs), 2), "alerts_per_second": round(1e6 / least)}


def main() -> None:
    """Measure and print; draw where asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--alerts", type=int, default=1_000_000)
    parser.add_argument("--plot", type=Path, help="write the figures as an SVG picture")
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="folder with data/")
    given = parser.parse_args()
    result: dict[str, Any] = {"load_average": os.getloadavg(), "python": sys.version.split()[0]}
    if (given.shared / LABELLED).exists():
        result["labelled"] = labelled(given.shared / LABELLED)
    rows = []
    for row in history(max(STEP, given.alerts)):
        rows.append(row)
        print(json.dumps(row), file=sys.stderr)
    result["history"] = rows
    result["live"] = live_costs()
    result["last_to_first_step"] = round(rows[-1]["us_least"] / rows[0]["us_least"], 3)
    result["most_to_fewest_live"] = round(result["live"][-1]["us_least"] / result["live"][0]["us_least"], 3)
    if given.plot is not None:
        given.plot.write_text(plotted(result), encoding="utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
