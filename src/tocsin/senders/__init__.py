"""What others send, read into our Alert. One file per sender and one line in `REGISTRY`.

A sender is pure: it takes the bytes of one JSON value and gives an Alert, or None where the value is no
alert at all (flow and statistics records in an EVE file), or raises Refused with field and reason.
It reads no clock and knows no tenant.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from tocsin.model import Alert
from tocsin.senders import native, sentinel, suricata, wazuh


class Sender(msgspec.Struct, frozen=True):
    """`name` is the path segment of `POST /ingest/{name}`; `prefix` the two letters that begin its alert ids."""

    name: str
    prefix: str
    title: str
    normalise: Callable[[bytes], Alert | None]


_SENDERS: Final = (
    Sender(name="native", prefix="tn", title="Tocsin's own alert shape", normalise=native.normalise),
    Sender(name="suricata", prefix="su", title="Suricata EVE", normalise=suricata.normalise),
    Sender(name="wazuh", prefix="wz", title="Wazuh alerts", normalise=wazuh.normalise),
    Sender(name="sentinel", prefix="sn", title="Microsoft Sentinel SecurityAlert", normalise=sentinel.normalise),
)
REGISTRY: Final[dict[str, Sender]] = {sender.name: sender for sender in _SENDERS}
