"""How well alerts are grouped into incidents, and how fast, on labelled alerts nobody here wrote.

usage: python benchmarks/grouping.py [--shared DIR] [--seeds 0 1 2 3 4] [--noise-from FILE] [--settings NAME ...]

Builds each setting with `bench/grouping/overlay.py` of the shared folder (real incidents put on one timeline
of one organisation, with real false alarms) and three of slow stories (`grouping_slow.py`), groups the alerts with
the rules as ingest does and in five other ways (`grouping_baselines.py`), and scores all with `score.py`. Prints one
JSON line per run as it goes, then a table: means over the seeds. Alerts per second are CPU time of evidence, habits,
placing and freezing over an in-memory view, in batches of 500.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from grouping_baselines import Rules, communities, prototype, root, windowed
from grouping_slow import slow_incidents
from tocsin import ticks
from tocsin.correlation.engine import Correlator
from tocsin.correlation.memory import MemoryView
from tocsin.correlation.watch import Watch
from tocsin.model import Alert
from tocsin.senders.native import normalise

BATCH: Final = 500
LATE_MAX: Final = 2 * ticks.MINUTE
SHUFFLED: Final = "tocsin, shuffled within 2 min"
LABELLED: Final = "data/sigma-labelled.jsonl.gz"
SETTINGS: Final[dict[str, list[str]]] = {
    "original times and names": ["--keep-times", "--keep-names"],
    "org, 7 days": ["--days", "7"],
    "org, one day": [],
    "org, one day + 1x noise": ["--noise", "1"],
    "org, one day + 4x noise": ["--noise", "4"],
}
SLOW: Final[dict[str, dict[str, Any]]] = {
    "slow stories, 30 days": {"days": 30.0},
    "slow stories, one day": {"days": 1.0},
    "slow stories, no devices, 7 days": {"days": 7.0, "devices": False},
    "slow stories, 30 days + 2,000 strangers": {"days": 30.0, "strangers": 2_000},
}


def correlated(alerts: Sequence[Alert]) -> list[int]:
    """The incident of each alert as ingest finds it, each batch a fresh Correlator and Watch over stored state."""
    view, placed = MemoryView(), []
    for start in range(0, len(alerts), BATCH):
        correlator = Correlator(view)
        watch = Watch(view, correlator, moments=True)
        for number, alert in enumerate(alerts[start : start + BATCH], start + 1):
            evidence = watch.seen(alert, correlator.keys_of(alert))
            placement = correlator.place(alert, number, number, evidence)
            watch.placed(alert, evidence[0].key, placement)
            placed.append(placement.incident_id)
        view.absorb(correlator.entities_changed | watch.entities_changed, correlator.incidents_changed)
    targets = {number: facts.redirect_to for number, facts in view.incidents.items()}
    return [root(targets, incident) for incident in placed]


def shuffled(alerts: Sequence[Alert]) -> list[int]:
    """The same where each alert is up to `LATE_MAX` late: what it says of its times stays, the order of arrival not."""
    dice = random.Random(0)
    arrivals = [alert.first_activity + dice.randrange(LATE_MAX) for alert in alerts]
    order = sorted(range(len(alerts)), key=arrivals.__getitem__)
    placed = [0] * len(alerts)
    for place, incident in zip(order, correlated([alerts[each] for each in order]), strict=True):
        placed[place] = incident
    return placed


WAYS: Final[dict[str, Rules]] = {
    "shared entity, 5 min": windowed(5 * ticks.MINUTE),
    "shared entity, 30 min": windowed(30 * ticks.MINUTE),
    "shared entity, 48 h": windowed(48 * ticks.HOUR),
    "graph of 30 min + Louvain": communities(30 * ticks.MINUTE),
    "plain evidence weights": prototype,
    "tocsin": correlated,
    SHUFFLED: shuffled,
}


def build(shared: Path, prefix: Path, options: Sequence[str], seed: int, noise: Path) -> list[Alert]:
    """Make one setting's files at `prefix` and read its alerts."""
    command = [sys.executable, str(shared / "bench/grouping/overlay.py"), str(shared / LABELLED), str(prefix)]
    command += [*options, "--seed", str(seed), "--noise-from", str(noise)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    with Path(f"{prefix}.alerts.jsonl").open("rb") as lines:
        return [normalise(line) for line in lines]


def build_slow(shared: Path, prefix: Path, options: dict[str, Any], seed: int) -> list[Alert]:
    """The same for a setting of slow stories."""
    with gzip.open(shared / LABELLED, "rt", encoding="utf-8") as lines:
        made, truth = slow_incidents(lines, seed=seed, **options)
    with Path(f"{prefix}.truth.jsonl").open("w", encoding="utf-8") as out:
        for name, label in truth.items():
            out.write(json.dumps({"id": name, "label": label, "noise": label.startswith("noise:")}) + "\n")
    return [normalise(json.dumps(each).encode()) for each in made]


def measure(shared: Path, prefix: Path, alerts: Sequence[Alert], rules: Rules) -> dict[str, Any]:
    """Scores and speed of one way of grouping."""
    begun = time.process_time()
    made = rules(alerts)
    taken = time.process_time() - begun
    assigned = Path(f"{prefix}.assigned.jsonl")
    with assigned.open("w", encoding="utf-8") as lines:
        for alert, incident in zip(alerts, made, strict=True):
            lines.write(json.dumps({"id": alert.provider_alert_id, "incident": incident}) + "\n")
    command = [sys.executable, str(shared / "bench/grouping/score.py"), f"{prefix}.truth.jsonl", str(assigned)]
    scored: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return scored | {"alerts_per_second": round(len(alerts) / taken)}


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Means over the seeds, for people."""
    lines = ["| setting | rules | precision | recall | F1 | least F1 | exact | alerts/s |", "|" + "---|" * 8]
    runs: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        runs.setdefault((row["setting"], row["rules"]), []).append(row)
    for (setting, rules), found in runs.items():
        means = [sum(row[name] for row in found) / len(found) for name in ("b3_precision", "b3_recall", "b3_f1")]
        exact = sum(row["exact"] for row in found) / len(found)
        shown = [f"{figure:.3f}" for figure in (*means, min(row["b3_f1"] for row in found), exact)]
        speed = max(row["alerts_per_second"] for row in found)
        lines.append("| " + " | ".join([setting, rules, *shown, f"{speed:,}"]) + " |")
    return "\n".join(lines)


def main() -> None:
    """Run every setting and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="folder with bench/ and data/")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--noise-from", type=Path, help="default: data/ait-ads-santos.csv.gz of the shared folder")
    every = [*SETTINGS, *SLOW]
    parser.add_argument("--settings", nargs="+", choices=every, default=every)
    parser.add_argument("--without-baseline", action="store_true", help="leave the other ways out")
    given = parser.parse_args()
    if not (given.shared / LABELLED).exists():
        sys.exit(f"nothing measured: {given.shared / LABELLED} is absent (say where with --shared)")
    noise = given.noise_from or given.shared / "data/ait-ads-santos.csv.gz"
    ways = {"tocsin": correlated, SHUFFLED: shuffled} if given.without_baseline else WAYS
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        prefix = Path(folder) / "setting"
        for setting in given.settings:
            for seed in given.seeds[:1] if "--keep-times" in SETTINGS.get(setting, ()) else given.seeds:
                if setting in SLOW:
                    alerts = build_slow(given.shared, prefix, SLOW[setting], seed)
                else:
                    alerts = build(given.shared, prefix, SETTINGS[setting], seed, noise)
                for name, rules in ways.items():
                    row = {"setting": setting, "seed": seed, "rules": name}
                    row |= measure(given.shared, prefix, alerts, rules)
                    rows.append(row)
                    print(json.dumps(row), flush=True)
    print(table(rows))


if __name__ == "__main__":
    main()
