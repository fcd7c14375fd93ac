"""How well alerts are grouped into incidents, and how fast, on labelled alerts nobody here wrote.

usage: python benchmarks/grouping.py [--shared DIR] [--seeds 0 1 2] [--noise-from FILE] [--settings NAME ...]

Builds each setting with `bench/grouping/overlay.py` of the shared folder (real incidents put on one timeline
of one organisation, with real false alarms), places the alerts with the correlation rules and with fixed
windows, and scores both with `score.py`. Prints one JSON line per run, then a table. Alerts per second are
CPU time of evidence, placing and freezing over an in-memory view, batches of 500, best of three.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from tocsin import ticks
from tocsin.correlation.engine import Correlator
from tocsin.correlation.evidence import evidence_keys
from tocsin.correlation.memory import MemoryView
from tocsin.model import Alert
from tocsin.senders.native import normalise

BATCH: Final = 500
RUNS: Final = 3
LABELLED: Final = "data/sigma-labelled.jsonl.gz"
SETTINGS: Final[dict[str, list[str]]] = {
    "original times and names": ["--keep-times", "--keep-names"],
    "org, 7 days": ["--days", "7"],
    "org, one day": [],
    "org, one day + 1x noise": ["--noise", "1"],
    "org, one day + 4x noise": ["--noise", "4"],
}
WINDOWS: Final = {"5 min": 5 * ticks.MINUTE, "30 min": 30 * ticks.MINUTE, "48 h": 48 * ticks.HOUR}
Rules = Callable[[Sequence[Alert]], list[int]]


def correlated(alerts: Sequence[Alert]) -> list[int]:
    """The incident of each alert by the correlation rules, each batch a fresh Correlator over stored state."""
    view, placed = MemoryView(), []
    for start in range(0, len(alerts), BATCH):
        correlator = Correlator(view)
        for number, alert in enumerate(alerts[start : start + BATCH], start + 1):
            placed.append(correlator.place(alert, number, number).incident_id)
        view.absorb(correlator.entities_changed, correlator.incidents_changed)
    targets = {number: facts.redirect_to for number, facts in view.incidents.items()}
    return [_root(targets, incident) for incident in placed]


def windowed(window: int) -> Rules:
    """The usual rule: alerts that share an entity (or device) within `window` ticks are one incident."""

    def group(alerts: Sequence[Alert]) -> list[int]:
        last: dict[int, tuple[int, int]] = {}
        parents: dict[int, int] = {}
        for number, alert in enumerate(alerts, 1):
            parents[number] = 0
            for evidence in evidence_keys(alert):
                if evidence.kind.name in ("rule", "moment", "repeat", "sequel"):
                    continue
                seen_at, earlier = last.get(evidence.key, (0, 0))
                last[evidence.key] = (alert.first_activity, number)
                if earlier and alert.first_activity - seen_at <= window:
                    one, other = _root(parents, earlier), _root(parents, number)
                    if one != other:
                        parents[max(one, other)] = min(one, other)
        return [_root(parents, number) for number in range(1, len(alerts) + 1)]

    return group


def _root(parents: dict[int, int], number: int) -> int:
    while parents.get(number):
        number = parents[number]
    return number


def build(shared: Path, prefix: Path, options: Sequence[str], seed: int, noise: Path) -> list[Alert]:
    """Make one setting's files at `prefix` and read its alerts."""
    command = [sys.executable, str(shared / "bench/grouping/overlay.py"), str(shared / LABELLED), str(prefix)]
    command += [*options, "--seed", str(seed), "--noise-from", str(noise)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    with Path(f"{prefix}.alerts.jsonl").open("rb") as lines:
        return [normalise(line) for line in lines]


def measure(shared: Path, prefix: Path, alerts: Sequence[Alert], rules: Rules) -> dict[str, Any]:
    """Scores and speed of one way of grouping."""
    best, made = float("inf"), [0]
    for _ in range(RUNS):
        begun = time.process_time()
        made = rules(alerts)
        best = min(best, time.process_time() - begun)
    assigned = Path(f"{prefix}.assigned.jsonl")
    with assigned.open("w", encoding="utf-8") as lines:
        for alert, incident in zip(alerts, made, strict=True):
            lines.write(json.dumps({"id": alert.provider_alert_id, "incident": incident}) + "\n")
    command = [sys.executable, str(shared / "bench/grouping/score.py"), f"{prefix}.truth.jsonl", str(assigned)]
    scored: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return scored | {"alerts_per_second": round(len(alerts) / best)}


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows for people."""
    lines = ["| setting | seed | rules | precision | recall | F1 | exact | made | true | alerts/s |", "|" + "---|" * 10]
    for row in rows:
        figures = [row[name] for name in ("b3_precision", "b3_recall", "b3_f1", "exact")]
        shown = [row["setting"], row["seed"], row["rules"], *(f"{figure:.3f}" for figure in figures)]
        shown += [row["incidents_made"], row["incidents_true"], row["alerts_per_second"]]
        lines.append("| " + " | ".join(map(str, shown)) + " |")
    return "\n".join(lines)


def main() -> None:
    """Run every setting and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="folder with bench/ and data/")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--noise-from", type=Path, help="default: data/ait-ads-santos.csv.gz of the shared folder")
    parser.add_argument("--settings", nargs="+", choices=list(SETTINGS), default=list(SETTINGS))
    parser.add_argument("--without-baseline", action="store_true", help="leave the fixed windows out")
    given = parser.parse_args()
    if not (given.shared / LABELLED).exists():
        sys.exit(f"nothing measured: {given.shared / LABELLED} is absent (say where with --shared)")
    noise = given.noise_from or given.shared / "data/ait-ads-santos.csv.gz"
    ways: dict[str, Rules] = {"evidence": correlated}
    if not given.without_baseline:
        ways |= {f"shared entity, {name}": windowed(window) for name, window in WINDOWS.items()}
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        prefix = Path(folder) / "setting"
        for setting in given.settings:
            for seed in given.seeds[:1] if "--keep-times" in SETTINGS[setting] else given.seeds:
                alerts = build(given.shared, prefix, SETTINGS[setting], seed, noise)
                for name, rules in ways.items():
                    row = {"setting": setting, "seed": seed, "rules": name}
                    row |= measure(given.shared, prefix, alerts, rules)
                    rows.append(row)
                    print(json.dumps(row), flush=True)
    print(table(rows))


if __name__ == "__main__":
    main()
