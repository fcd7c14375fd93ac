"""Alerts for `rules.py`, made directly as `Alert`: an organisation in which so many stories are under way at once.

Half the alerts belong to stories that cross machines and end after some thirty alerts, when a new one takes their
place; three in ten stand alone, with a program and a command of their own; two in ten are routine, the same rule on
the same host again and again. Same seed, same alerts. Times are event times, a fixed mean apart.
"""

from __future__ import annotations

from random import Random
from typing import Final

import msgspec

from tocsin import ticks
from tocsin.model import Alert, Device, Entity, Severity

START: Final = ticks.parse_ticks("2026-03-02T08:00:00Z")
STORY_ALERTS: Final = 30
DEVICES_PER_STORY: Final = 4
DEVICES_MIN: Final = 300
RULES: Final = 150
SEVERITIES: Final = (Severity.INFORMATIONAL, Severity.LOW, Severity.MEDIUM, Severity.MEDIUM, Severity.HIGH)
STAGES: Final = (
    ("InitialAccess", "T1566.002"),
    ("Execution", "T1059.001"),
    ("Persistence", "T1053.005"),
    ("CredentialAccess", "T1003.001"),
    ("LateralMovement", "T1021.002"),
    ("CommandAndControl", "T1071.001"),
    ("Exfiltration", "T1567.002"),
)


class Story(msgspec.Struct):
    """What the alerts of one story share; `left` alerts until it ends."""

    devices: list[int]
    user: int
    tool: str
    site: str
    left: int


class Stream:
    """The alerts of an organisation with `stories` stories at a time, `gap` seconds apart on average."""

    def __init__(self, stories: int, *, gap: float, seed: int = 1) -> None:
        self._random = Random(seed)
        self._gap, self._at, self._number, self._begun = gap, START, 0, 0
        self._devices = max(DEVICES_MIN, stories * DEVICES_PER_STORY)
        self._stories = [self._begin() for _ in range(stories)]

    def take(self, count: int) -> list[Alert]:
        """The next alerts."""
        return [self._next() for _ in range(count)]

    def _begin(self) -> Story:
        self._begun += 1
        dice = self._random
        return Story(
            [dice.randrange(self._devices)],
            dice.randrange(self._devices),
            f"{dice.getrandbits(256):064x}",
            f"c{self._begun}.badsite.example",
            dice.randrange(STORY_ALERTS // 2, STORY_ALERTS * 3 // 2),
        )

    def _next(self) -> Alert:
        dice = self._random
        self._number += 1
        self._at += int(dice.expovariate(1 / self._gap) * ticks.SECOND)
        lot = dice.random()
        if lot < 0.5:
            return self._of_story(dice.randrange(len(self._stories)))
        device = dice.randrange(self._devices)
        if lot < 0.8:
            return self._alert(device, dice.randrange(RULES), (_user(device), *self._own_things()))
        return self._alert(device % DEVICES_MIN, RULES + device % 8, ())

    def _of_story(self, place: int) -> Alert:
        dice, story = self._random, self._stories[place]
        story.left -= 1
        if story.left <= 0:
            story = self._stories[place] = self._begin()
        if dice.random() < 0.1:
            story.devices.append(dice.randrange(self._devices))
        things = [_user(story.user), _file(story.tool), _url(story.site)]
        if dice.random() < 0.01:  # two stories turn out to be one
            things.append(_url(dice.choice(self._stories).site))
        return self._alert(dice.choice(story.devices), RULES + 8 + story.user % 20, tuple(things))

    def _own_things(self) -> list[Entity]:
        dice = self._random
        process = Entity(
            entity_type="Process",
            file_name="updater.exe",
            file_path="C:\\Users\\Public\\Downloads",
            sha256=f"{int(dice.paretovariate(0.6)) % 5000:064x}",
            process_id=dice.randrange(1000, 60000),
            process_command_line=f"updater.exe --task {dice.randrange(10**6)} --quiet",
            process_creation_time=self._at,
        )
        if dice.random() < 0.7:
            return [process]
        address = f"203.0.{dice.randrange(256)}.{dice.randrange(256)}"
        return [process, Entity(entity_type="Ip", ip_address=address)]

    def _alert(self, device: int, rule: int, entities: tuple[Entity, ...]) -> Alert:
        category, technique = STAGES[rule % len(STAGES)]
        return Alert(
            identity=f"{self._number}",
            provider_alert_id=f"{self._number}",
            title=f"Suspicious behaviour {rule} on a workstation",
            service_source="BusySensor",
            detection_source="Sensor",
            detector_id=f"rule-{rule}",
            severity=SEVERITIES[rule % len(SEVERITIES)],
            category=category,
            tactics=(category,),
            mitre_techniques=(technique,),
            first_activity=self._at,
            last_activity=self._at + ticks.SECOND,
            devices=(Device(device_dns_name=f"ws-{device:05}.corp.example"),),
            entities=entities,
        )


def _user(number: int) -> Entity:
    return Entity(entity_type="User", account_name=f"user{number:05}", domain_name="CORP")


def _file(digest: str) -> Entity:
    return Entity(entity_type="File", file_name="stage.dll", file_path="C:\\Users\\Public", sha256=digest)


def _url(site: str) -> Entity:
    return Entity(entity_type="Url", url=f"https://{site}/landing")
