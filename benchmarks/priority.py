"""How well the priority puts attacks first, on the alerts of real networks (AIT-ADS) that nobody here wrote.

usage: python benchmarks/priority.py [--shared DIR] [--networks NAME ...] [--alerts-max N] [--without-moments]

Each network's alerts are folded, correlated and scored as a stream; the host is the only entity. The first two days
are warm-up: they teach what is usual, and their labels are not used. Then every incident with a later alert is
ranked; one that holds a labelled attack alert is an attack. Prints a JSON line per network and ranking, then a
table: average precision, attack steps found in the ten first incidents, ranks of the attack incidents. The data has
no severities, so a ranking by severity is not among them. Ties go to the older incident.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from tocsin import ticks
from tocsin.correlation.engine import Correlator
from tocsin.correlation.folding import Folding
from tocsin.correlation.memory import IncidentFacts, MemoryView
from tocsin.correlation.priority import priority
from tocsin.correlation.watch import Watch
from tocsin.model import Alert, Device

BATCH: Final = 500
WARM_UP: Final = 2 * ticks.DAY
FIRST: Final = 10
NONE: Final = "-"


class Row(msgspec.Struct, frozen=True):
    """One line of the data: an alert, and the attack step it is of."""

    alert: Alert
    step: str


class Ranked(msgspec.Struct):
    """An incident when all is read. `steps` are those of alerts after the warm-up."""

    number: int
    alerts: int = 0
    last: int = 0
    rules: set[str] = msgspec.field(default_factory=set)
    steps: set[str] = msgspec.field(default_factory=set)
    facts: IncidentFacts = IncidentFacts(0)


def rows_of(path: Path, most: int) -> list[Row]:
    """The first `most` alerts of a network in the order of their times (0: all)."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        next(lines)
        rows = [_row(number, line.rstrip("\n")) for number, line in enumerate(lines)]
    rows.sort(key=lambda row: (row.alert.first_activity, int(row.alert.identity)))
    return rows[:most] if most else rows


def _row(number: int, line: str) -> Row:
    moment, rest = line.split(",", 1)
    name, _, host, _, _, step = rest.rsplit(",", 5)
    at = round(float(moment) * ticks.SECOND)
    source, _, title = name.partition(": ")
    alert = Alert(
        identity=str(number),
        provider_alert_id=str(number),
        service_source=source,
        first_activity=at,
        last_activity=at,
        title=title or name,
        devices=(Device(device_dns_name=host),),
    )
    return Row(alert, step)


class Stream:
    """One network, alert by alert: folding, habits, correlation and signals, as ingest would do it."""

    def __init__(self, moments: bool) -> None:
        self._moments = moments
        self._view = MemoryView()
        self._folding = Folding()
        self._redirects: dict[int, int] = {}
        self._incident_of: dict[int, int] = {}
        self._folds: list[int] = []
        self.correlated = 0

    def read(self, rows: list[Row]) -> None:
        """Take everything, in batches."""
        for start in range(0, len(rows), BATCH):
            correlator = Correlator(self._view)
            watch = Watch(self._view, correlator, moments=self._moments)
            for number, row in enumerate(rows[start : start + BATCH], start + 1):
                self._take(correlator, watch, row.alert, number)
            self._view.absorb(correlator.entities_changed | watch.entities_changed, correlator.incidents_changed)

    def _take(self, correlator: Correlator, watch: Watch, alert: Alert, number: int) -> None:
        evidence = correlator.keys_of(alert)
        fold = self._folding.take(tuple([each.key for each in evidence]), number, alert.first_activity)
        self._folds.append(fold.number)
        if fold.number != number:
            return
        self.correlated += 1
        placement = correlator.place(alert, number, number, watch.seen(alert, evidence))
        watch.placed(alert, evidence[0].key, placement)
        self._incident_of[number] = placement.incident_id
        for merge in placement.merges:
            self._redirects[merge.source_id] = merge.target_id

    def incidents(self, rows: list[Row], not_before: int) -> list[Ranked]:
        """The incidents with an alert at `not_before` (ticks) or later, the oldest first."""
        found: dict[int, Ranked] = {}
        for row, fold in zip(rows, self._folds, strict=True):
            number = self._incident_of[fold]
            while number in self._redirects:
                number = self._redirects[number]
            incident = found.setdefault(number, Ranked(number))
            incident.alerts += 1
            incident.rules.add(row.alert.title)
            incident.last = max(incident.last, row.alert.first_activity)
            if row.step != NONE and row.alert.first_activity >= not_before:
                incident.steps.add(row.step)
        for number, incident in found.items():
            incident.facts = self._view.incidents[number]
        return sorted((each for each in found.values() if each.last >= not_before), key=lambda each: each.number)


RANKINGS: Final[dict[str, Callable[[Ranked], float]]] = {
    "volume": lambda each: each.alerts,
    "distinct rules": lambda each: len(each.rules),
    "highest rarity": lambda each: max(finding.bits for finding in each.facts.signals.findings),
    "summed rarity": lambda each: sum(finding.bits for finding in each.facts.signals.findings),
    "priority": lambda each: priority(each.facts).points,
}


def measure(incidents: list[Ranked], rank: Callable[[Ranked], float]) -> dict[str, Any]:
    """Average precision over incidents and what the first ten hold."""
    ordered = sorted(incidents, key=lambda each: (-rank(each), each.number))
    ranks = [place for place, each in enumerate(ordered, 1) if each.steps]
    precision = sum(hit / place for hit, place in enumerate(ranks, 1)) / len(ranks) if ranks else 0.0
    steps = set().union(*(each.steps for each in ordered)) if ordered else set()
    found = set().union(*(each.steps for each in ordered[:FIRST])) if ordered else set()
    return {
        "average_precision": round(precision, 4),
        "steps": len(steps),
        "steps_found": len(found),
        "steps_missed": sorted(steps - found),
        "first_attack_rank": ranks[0] if ranks else None,
        "attack_ranks": ranks,
    }


def by_chance(incidents: int, attacks: int) -> float:
    """The average precision to expect of a random order."""
    if incidents < 2 or not attacks:
        return 0.0
    share = sum(1 / place for place in range(1, incidents + 1)) / incidents
    return round(share + (1 - share) * (attacks - 1) / (incidents - 1), 4)


def rows_for(path: Path, most: int, moments: bool) -> Iterator[dict[str, Any]]:
    """The measures of one network, one per ranking."""
    rows = rows_of(path, most)
    begun = time.process_time()
    stream = Stream(moments)
    stream.read(rows)
    taken = time.process_time() - begun
    incidents = stream.incidents(rows, rows[0].alert.first_activity + WARM_UP)
    about = {
        "network": path.name.removeprefix("ait-ads-").removesuffix(".csv.gz"),
        "alerts": len(rows),
        "folded_to": stream.correlated,
        "incidents": len(incidents),
        "attacks": sum(1 for each in incidents if each.steps),
        "alerts_per_second": round(len(rows) / taken),
        "random_average_precision": by_chance(len(incidents), sum(1 for each in incidents if each.steps)),
    }
    for name, rank in RANKINGS.items():
        yield about | {"ranking": name} | measure(incidents, rank)


def table(rows: list[dict[str, Any]]) -> str:
    """The rows for people, with the mean over the networks."""
    lines = [
        "| network | incidents | attacks | ranking | AP | steps in first ten | ranks of attacks |",
        "|" + "---|" * 7,
    ]
    for row in rows:
        places = " ".join(map(str, row["attack_ranks"]))
        shown = [row["network"], row["incidents"], row["attacks"], row["ranking"], f"{row['average_precision']:.3f}"]
        lines.append("| " + " | ".join(map(str, [*shown, f"{row['steps_found']}/{row['steps']}", places])) + " |")
    for name in RANKINGS:
        mine = [row for row in rows if row["ranking"] == name]
        mean = sum(row["average_precision"] for row in mine) / len(mine)
        steps, found = sum(row["steps"] for row in mine), sum(row["steps_found"] for row in mine)
        firsts = " ".join(str(row["first_attack_rank"]) for row in mine)
        lines.append(
            f"| all | | | {name} | {mean:.3f} | {found}/{steps} ({found / max(1, steps):.3f}) | first: {firsts} |"
        )
    networks = [row for row in rows if row["ranking"] == "priority"]
    chance = sum(row["random_average_precision"] for row in networks) / len(networks)
    lines.append(f"| all | | | random, to be expected | {chance:.3f} | | |")
    return "\n".join(lines)


def main() -> None:
    """Measure every network and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="folder with data/")
    parser.add_argument("--networks", nargs="+", help="names as in ait-ads-NAME.csv.gz; default: all that are there")
    parser.add_argument("--alerts-max", type=int, default=0, help="only the first N alerts of each network")
    parser.add_argument("--without-moments", action="store_true", help="hosts alone link, strange moments do not")
    given = parser.parse_args()
    paths = sorted((given.shared / "data").glob("ait-ads-*.csv.gz"))
    if given.networks:
        paths = [path for path in paths if path.name.split("-", 2)[2].removesuffix(".csv.gz") in given.networks]
    if not paths:
        sys.exit(f"nothing measured: no ait-ads-*.csv.gz in {given.shared / 'data'} (say where with --shared)")
    rows = []
    for path in paths:
        for row in rows_for(path, given.alerts_max, not given.without_moments):
            rows.append(row)
            print(json.dumps(row), flush=True)
    print(table(rows))


if __name__ == "__main__":
    main()
