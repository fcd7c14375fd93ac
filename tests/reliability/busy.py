"""Alerts of an invented busy organisation, as native JSON objects of about 800 bytes: same seed, same alerts.

300 devices whose owners mistype and click, a dozen attacks under way at any moment that cross machines, and
findings that stand alone. Some attacks meet late, so that incidents merge. Times are event times.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from random import Random
from typing import Any, Final

import msgspec

from tocsin.ticks import SECOND, format_ticks, parse_ticks

START: Final = parse_ticks("2026-03-02T08:00:00Z")
DEVICES: Final = 300
ATTACKS: Final = 12
RULES: Final = 150
SEVERITIES: Final = ("Informational", "Low", "Medium", "Medium", "High")
TACTICS: Final = (
    ("InitialAccess", "T1566.002"),
    ("Execution", "T1059.001"),
    ("Persistence", "T1053.005"),
    ("CredentialAccess", "T1003.001"),
    ("LateralMovement", "T1021.002"),
    ("CommandAndControl", "T1071.001"),
    ("Exfiltration", "T1567.002"),
)
_encode = msgspec.json.Encoder().encode


class _Attack(msgspec.Struct):
    """What the alerts of one attack share; `left` alerts until it ends."""

    number: int
    devices: list[int]
    user: int
    tool: str
    site: str
    left: int


class Organisation:
    """A stream of alerts. `gap` is the mean event time between two of them, in seconds."""

    def __init__(self, seed: int, *, gap: float = 4.0, attack_share: float = 0.4) -> None:
        self._random = Random(seed)
        self._seed, self._gap, self._attack_share = seed, gap, attack_share
        self._at, self._number, self._attacks_begun = START, 0, 0
        self._attacks = [self._begin() for _ in range(ATTACKS)]

    def alerts(self, count: int) -> Iterator[dict[str, Any]]:
        """The next alerts."""
        for _ in range(count):
            yield self._next()

    def bodies(self, count: int) -> list[bytes]:
        """The next alerts as JSON lines, encoded."""
        return [_encode(alert) for alert in self.alerts(count)]

    def _begin(self) -> _Attack:
        self._attacks_begun += 1
        number, random = self._attacks_begun, self._random
        return _Attack(
            number,
            [random.randrange(DEVICES)],
            random.randrange(DEVICES),
            _digest(f"tool {self._seed}/{number}"),
            f"c{number}-{self._seed}.badsite.example",
            random.randrange(4, 40),
        )

    def _next(self) -> dict[str, Any]:
        random = self._random
        self._number += 1
        self._at += int(random.expovariate(1 / self._gap) * SECOND)
        if random.random() >= self._attack_share:
            return self._finding(random.randrange(DEVICES), random.randrange(RULES), self._own_things())
        place = random.randrange(ATTACKS)
        attack = self._attacks[place]
        attack.left -= 1
        if attack.left <= 0:
            attack = self._attacks[place] = self._begin()
        if random.random() < 0.15:
            attack.devices.append(random.randrange(DEVICES))
        things = self._attack_things(attack)
        if random.random() < 0.01:  # two attacks turn out to be one
            things += self._attack_things(random.choice(self._attacks))
        return self._finding(random.choice(attack.devices), RULES + attack.number % 20, things, attack.user)

    def _own_things(self) -> list[dict[str, Any]]:
        random = self._random
        digest = _digest(f"{self._seed} program {int(random.paretovariate(0.6)) % 5000}")
        things: list[dict[str, Any]] = [
            {
                "entityType": "Process",
                "fileName": "updater.exe",
                "filePath": "C:\\Users\\Public\\Downloads",
                "sha256": digest,
                "processId": random.randrange(1000, 60000),
                "processCommandLine": f"updater.exe --task {random.randrange(10**6)} --quiet",
                "processCreationTime": format_ticks(self._at),
            }
        ]
        if random.random() < 0.3:
            things.append({"entityType": "Ip", "ipAddress": f"203.0.{random.randrange(256)}.{random.randrange(256)}"})
        return things

    def _attack_things(self, attack: _Attack) -> list[dict[str, Any]]:
        return [
            {
                "entityType": "File",
                "fileName": "stage.dll",
                "filePath": "C:\\Users\\Public",
                "sha256": attack.tool,
            },
            {"entityType": "Url", "url": f"https://{attack.site}/landing?n={attack.number}"},
        ]

    def _finding(self, device: int, rule: int, things: list[dict[str, Any]], user: int | None = None) -> dict[str, Any]:
        tactic, technique = TACTICS[rule % len(TACTICS)]
        account = device if user is None else user
        return {
            "providerAlertId": f"{self._seed}-{self._number}",
            "title": f"Suspicious behaviour {rule} on a workstation",
            "description": f"Rule {rule} saw what programs of this kind do not do by themselves. "
            "The steps before and after it are in the sensor's own console.",
            "serviceSource": "BusySensor",
            "detectionSource": "Sensor",
            "detectorId": f"rule-{rule}",
            "severity": SEVERITIES[rule % len(SEVERITIES)],
            "category": tactic,
            "mitreTechniques": [technique],
            "firstActivity": format_ticks(self._at),
            "lastActivity": format_ticks(self._at + SECOND),
            "devices": [{"deviceDnsName": f"ws-{device:03}.corp.example", "osPlatform": "Windows11"}],
            "entities": [
                {"entityType": "User", "accountName": f"user{account:03}", "domainName": "CORP"},
                *things,
            ],
        }


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
