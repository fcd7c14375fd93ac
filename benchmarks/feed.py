"""Does a poller that reads while eight writers write miss anything? 20 seconds of it, beside the usual mistake.

usage: python benchmarks/feed.py [--seconds 20] [--seed 1]

Over https, pollers with `ge` and `gt` every 20 ms. `missed` counts incidents whose last version a poller never saw,
once the writers are done and the poller has drained the list. The control stamps rows when the work on them begins
and lets them become visible when it ends. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec

sys.path += [str(Path(__file__).parents[1] / "tests"), str(Path(__file__).parents[1] / "tests" / "reliability")]

from feeding import against_server, against_wall_clock_stamps
from running import ServerProcess

from tocsin.access import Scope
from tocsin.stores.sqlite.connection import DATABASE_NAME, open_reader
from tocsin.stores.sqlite.reading import ReadStore


def measured(seconds: float, seed: int) -> dict[str, Any]:
    """The promise and its control."""
    with tempfile.TemporaryDirectory() as folder:
        server = ServerProcess(Path(folder))
        server.start()
        store = ReadStore(open_reader(Path(folder) / DATABASE_NAME))
        ours = against_server(server, seconds, seed, lambda: store.last_change(Scope.everything_of(1)))
        server.stop()
    control = against_wall_clock_stamps(seconds, seed)
    return {"seed": seed, "tocsin": msgspec.to_builtins(ours), "wall_clock_control": msgspec.to_builtins(control)}


def main() -> None:
    """Print the figures as JSON."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=20)
    options.add_argument("--seed", type=int, default=1)
    chosen = options.parse_args()
    print(json.dumps(measured(chosen.seconds, chosen.seed), indent=2))


if __name__ == "__main__":
    main()
