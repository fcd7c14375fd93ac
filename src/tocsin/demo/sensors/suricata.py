"""The network sensor: alerts that the real Suricata wrote on recorded traffic, moved to another time and other hosts.

The recording is `network.jsonl.gz`, made by `scripts/record_network`. Only times, addresses, flow ids and, where
asked for, names are changed; shape and everything else are as Suricata wrote them.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from typing import Any, Final

from tocsin.demo.logbook import Logbook
from tocsin.ticks import format_ticks, parse_ticks

SENDER: Final = "suricata"
_TIMES: Final = ("timestamp", "start", "end")


@lru_cache(maxsize=1)
def recording() -> Mapping[str, list[tuple[int, str]]]:
    """Session name: its events as (ticks since the first one, JSON text)."""
    packed = (resources.files("tocsin.demo") / "network.jsonl.gz").read_bytes()
    found: dict[str, list[tuple[int, str]]] = {}
    for line in gzip.decompress(packed).splitlines():
        kept = json.loads(line)
        found.setdefault(kept["session"], []).append((kept["at"] * 10, json.dumps(kept["event"])))
    return found


def replay(
    log: Logbook,
    session: str,
    at: int,
    addresses: Mapping[str, str] | None = None,
    *,
    stretch: float = 1.0,
    names: Mapping[str, str] | None = None,
    first: int = 0,
    most: int = 1000,
) -> None:
    """Report a recorded session as if it began at `at`, each gap made `stretch` times as long.

    `addresses` and `names` replace texts wherever they stand; `first` and `most` choose some of its events.
    """
    at = log.blurred(at)
    flows: dict[int, int] = {}
    others = {f'"{old}"': f'"{new}"' for old, new in (addresses or {}).items()} | dict(names or {})
    for offset, text in recording()[session][first : first + most]:
        event: dict[str, Any] = json.loads(_renamed(text, others))
        shift = at + int(offset * stretch) - parse_ticks(event["timestamp"])
        for part in (event, event.get("flow", {})):
            for key in _TIMES:
                if isinstance(part.get(key), str):
                    part[key] = _text(parse_ticks(part[key]) + shift)
        if "flow_id" in event:
            event["flow_id"] = flows.setdefault(event["flow_id"], int(log.fresh(12), 16))
        log.add(SENDER, parse_ticks(event["timestamp"]), log.seconds(1, 3), {"in_iface": "span0", **event})


def _renamed(text: str, others: Mapping[str, str]) -> str:
    """All replacements in one pass, so that none touches what another one wrote."""
    if not others:
        return text
    return re.sub("|".join(map(re.escape, others)), lambda found: others[found[0]], text)


def _text(value: int) -> str:
    return f"{format_ticks(value)[:26]}+0000"
