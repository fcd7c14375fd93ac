"""The two weeks as one list: every attack, the noise around them, in the order in which the sensors delivered.

Pure: the same `end` gives the same bytes. What happens is told in `attacks_*.py` and `noise_*.py`, how sensors
write it in `sensors/`, who and where in `organisation.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from tocsin.demo import (
    attacks_endpoint,
    attacks_inside,
    attacks_mail,
    attacks_server,
    noise_cloud,
    noise_hosts,
    noise_network,
)
from tocsin.demo.logbook import DAYS, Logbook, is_weekend
from tocsin.demo.organisation import BYSTANDERS, Person
from tocsin.errors import InvalidInput
from tocsin.ticks import DAY, HOUR, LATEST, MINUTE

_SEED: Final = "norrvik-1"
_ATTACKS: Final = attacks_mail.STORIES | attacks_server.STORIES | attacks_endpoint.STORIES | attacks_inside.STORIES
STORIES: Final[dict[str, str]] = {key: plot for key, (plot, _, _) in _ATTACKS.items()}
"""Attack key: its plot in one sentence."""
SENSORS: Final[dict[str, tuple[str, ...]]] = {key: sensors for key, (_, sensors, _) in _ATTACKS.items()}
"""Attack key: the senders that saw it."""

Episode = Callable[[Logbook, int, Person], None]
# How busy a day is against a working day.
_WEEKEND: Final = 0.3
_LATEST_DAYS: Final = 2.2


class SampleAlert(msgspec.Struct, frozen=True):
    """One record as a sensor delivers it.

    `sender` is the path segment it is posted to, `at` the moment of delivery in ticks, `body` one JSON value,
    `story` the attack it is part of or "" for everyday noise.
    """

    sender: str
    at: int
    body: bytes
    story: str


def sample_alerts(end: int) -> list[SampleAlert]:
    """All alerts of the 14 days before `end` (ticks), in rising `at`; the newest come minutes before the end.

    Raises InvalidInput for an end in the first 15 days of 1970 or beyond the year 9999.
    """
    if not 15 * DAY <= end <= LATEST:
        raise InvalidInput("`end` must be between 1970-01-16 and 9999-12-31")
    log = Logbook(end, _SEED)
    for _, _, play in _ATTACKS.values():
        play(log)
    log.story = ""
    _everyday(log)
    ordered = sorted(log.reports, key=lambda report: report.at)
    found: list[SampleAlert] = []
    last = log.start
    for report in ordered:
        if report.at < log.start:
            continue
        last = max(report.at, last + 1)
        found.append(SampleAlert(report.sender, last, msgspec.json.encode(report.record), report.story))
    return found


def _everyday(log: Logbook) -> None:
    moments: dict[str, list[int]] = {"any": _moments(log, office=False), "office": _moments(log, office=True)}
    episodes: tuple[tuple[Episode, int, str], ...] = (
        *noise_network.EPISODES, *noise_hosts.EPISODES, *noise_cloud.EPISODES,
    )  # fmt: skip
    people = list(BYSTANDERS)
    for play, times, when in episodes:
        for _n in range(times):
            play(log, moments[when].pop(), log.chance.choice(people))


def _moments(log: Logbook, *, office: bool) -> list[int]:
    """Moments for episodes in random order, more than are needed, at least three minutes apart."""
    weights = [_weight(log.end - (back + 1) * DAY, back, office=office) for back in range(DAYS)]
    found: set[int] = set()
    while len(found) < 220:
        back = log.chance.choices(range(DAYS), weights)[0]
        begin = log.end - (back + 1) * DAY
        at = begin + log.between(0, DAY - 20 * MINUTE)
        if office and not 7 * HOUR <= at % DAY < 17 * HOUR:
            continue
        found.add(at - at % (3 * MINUTE) + log.seconds(0, 100))
    shuffled = sorted(found)
    log.chance.shuffle(shuffled)
    return shuffled


def _weight(begin: int, back: int, *, office: bool) -> float:
    quiet = _WEEKEND if is_weekend((begin + DAY // 2) // DAY) else 1.0
    if office and quiet < 1:
        quiet = 0.12
    return max(quiet, 0.7) * _LATEST_DAYS if back < 2 else quiet
