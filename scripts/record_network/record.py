"""Run every session once and keep one pcap for each. Called by record.sh inside its namespace."""

from __future__ import annotations

import sys
from pathlib import Path

from lab import captured, give_addresses, refuse_outside_namespace
from sessions import ADDRESSES, SESSIONS


def main() -> None:
    work = Path(sys.argv[1])
    refuse_outside_namespace()
    give_addresses(ADDRESSES)
    for name, play in SESSIONS.items():
        with captured(work / f"{name}.pcap"):
            play(work / "site.pem")
        print(name, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
