"""The real samples, where they are at hand: none is refused, and no two are taken for the same alert."""

from __future__ import annotations

import gzip
from pathlib import Path

import msgspec
import pytest

from tocsin.senders import REGISTRY

DATA = Path(__file__).parents[3] / "shared" / "data"


def lines(file: str) -> list[bytes]:
    path = DATA / file
    if not path.exists():
        pytest.skip(f"the sample {file} is kept outside the repository and is not here")
    with gzip.open(path) as stream:
        return [line.strip() for line in stream]


@pytest.mark.parametrize(
    ("name", "file", "count"),
    [
        ("suricata", "suricata-eve.ndjson.gz", 1912),
        ("wazuh", "wazuh-alerts.ndjson.gz", 497),
        ("sentinel", "sentinel-security-alerts.ndjson.gz", 189),
    ],
)
def test_every_real_alert_is_read_and_distinct(name: str, file: str, count: int) -> None:
    alerts = [REGISTRY[name].normalise(line) for line in lines(file)]
    assert len({alert.identity for alert in alerts if alert}) == len(alerts) == count


class _Labelled(msgspec.Struct):
    alert: msgspec.Raw


def test_every_labelled_alert_keeps_each_key_of_its_entities() -> None:
    identities = set()
    raws = [bytes(msgspec.json.decode(line, type=_Labelled).alert) for line in lines("sigma-labelled.jsonl.gz")]
    for raw in raws:
        alert = REGISTRY["native"].normalise(raw)
        assert alert is not None
        identities.add(alert.identity)
        given = msgspec.json.decode(raw)["entities"]
        kept = msgspec.json.decode(msgspec.json.encode(alert.entities))
        assert kept == [item for index, item in enumerate(given) if item not in given[:index]]
    assert len(identities) == len(raws) == 2343
