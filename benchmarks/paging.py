"""Do clients that page through a list that moves miss or repeat anything? The known ways to page, beside a control.

usage: python benchmarks/paging.py [--seeds 20]

Every run is 12 polls with changes between all pages, then polls until nothing is new. `missed` counts runs in which
the last version of some incident was never seen; `repeated` runs in which one walk gave an incident twice. The control
stamps by the clock when work begins and pages through the list as it is at that moment. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from moving import PATTERNS, Outcome, Usual, our_server, run


def measured(seeds: int) -> dict[str, Any]:
    """Each pattern over each seed, on both servers."""
    result: dict[str, Any] = {"runs": seeds}
    for name, pattern in PATTERNS.items():
        ours, control = [], []
        for seed in range(seeds):
            with tempfile.TemporaryDirectory() as folder, our_server(Path(folder)) as server:
                ours.append(run(server, pattern, seed))
            control.append(run(Usual(random.Random(seed)), pattern, seed))
        result[name] = {"tocsin": _told(ours), "control": _told(control)}
    return result


def _told(outcomes: list[Outcome]) -> dict[str, int]:
    return {
        "runs_with_a_miss": sum(outcome.missed > 0 for outcome in outcomes),
        "runs_with_a_repeat": sum(outcome.repeated > 0 for outcome in outcomes),
        "incidents_missed": sum(outcome.missed for outcome in outcomes),
        "repeats": sum(outcome.repeated for outcome in outcomes),
    }


def main() -> None:
    """Print the figures as JSON."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seeds", type=int, default=20)
    print(json.dumps(measured(options.parse_args().seeds), indent=2))


if __name__ == "__main__":
    main()
