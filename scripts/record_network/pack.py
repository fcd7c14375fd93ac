"""Keep the alerts, and a handful of other events, of all sessions in one small file.

One line is `{"session": name, "at": microseconds since the session's first event, "event": {...}}`; the event is as
Suricata wrote it, less the name of the capture file.
"""

from __future__ import annotations

import gzip
import json
import sys
from datetime import datetime
from pathlib import Path

OTHERS = {
    ("phish-login", "http"): 1,
    ("worm-names", "dns"): 2,
    ("control-tls", "tls"): 1,
    ("admin-share", "flow"): 1,
    ("web-exploit", "flow"): 1,
    ("installer-download", "fileinfo"): 1,
    ("own-address", "flow"): 1,
}


def micros(text: str) -> int:
    moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%f%z")
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond


def main() -> None:
    work, target = Path(sys.argv[1]), Path(sys.argv[2])
    lines: list[str] = []
    for folder in sorted(path.parent for path in work.glob("*/eve.json")):
        events = [json.loads(line) for line in (folder / "eve.json").read_text().splitlines()]
        kept, others = [], dict(OTHERS)
        for event in events:
            key = (folder.name, event["event_type"])
            if event["event_type"] == "alert" or others.get(key, 0) > 0:
                others[key] = others.get(key, 0) - 1
                event.pop("pcap_filename", None)
                kept.append(event)
        kept.sort(key=lambda event: micros(event["timestamp"]))
        for event in kept:
            at = micros(event["timestamp"]) - micros(kept[0]["timestamp"])
            lines.append(json.dumps({"session": folder.name, "at": at, "event": event}, separators=(",", ":")))
        print(f"{folder.name:22} {sum(e['event_type'] == 'alert' for e in kept)} alerts of {len(events)} events")  # noqa: T201
    with target.open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed:
        packed.write(("\n".join(lines) + "\n").encode())


if __name__ == "__main__":
    main()
