"""Time as whole 100-nanosecond ticks since 1970-01-01T00:00:00Z, and its text form.

Seven fraction digits are what the API speaks (`seed.md`); microseconds would cut the last digit and a
poller that sends a stamp back would then see an incident twice or miss one. Reads no clock, except in
`now()`, which only the edges call and hand on as an argument.
"""

from __future__ import annotations

import re
import time
from datetime import date
from functools import lru_cache
from typing import Final

SECOND: Final = 10_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
LATEST: Final = 253_402_300_800 * SECOND - 1  # 9999-12-31T23:59:59.9999999Z

_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_TEXT: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)"
    r"(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?\s?([Zz]|[+-]\d\d:?(?:\d\d)?)?)?",
    re.ASCII,
)


_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_USUAL_LENGTH: Final = len("2020-06-03T18:04:29.4633333Z")


def now() -> int:
    """The wall clock in ticks. For the edges only; rules take the time as an argument."""
    return time.time_ns() // 100


def parse_ticks(text: str) -> int:
    """Read an ISO 8601 / RFC 3339 time, as senders write it, into ticks.

    Takes `T` or a space, any number of fraction digits (more than seven are cut), `Z`, `+00:00`,
    `+0000` or `+00`; a time without a zone is UTC and a bare date is its midnight. Raises ValueError
    for anything else, and for times before 1970.
    """
    usual = _usual_ticks(text)
    if usual >= 0:
        return usual
    found = _TEXT.fullmatch(text)
    if found is None:
        raise ValueError(f"{text[:40]!r} is not a time like 2020-06-03T18:04:29.4633333Z")
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    days = date(int(year), int(month), int(day)).toordinal() - _EPOCH_DAY
    value = days * DAY
    if hour is not None:
        h, m, s = int(hour), int(minute), int(second or 0)
        if h > 23 or m > 59 or s > 60:
            raise ValueError(f"{text[:40]!r} has an hour, minute or second out of range")
        value += (h * 3600 + m * 60 + s) * SECOND
        if fraction:
            value += int(fraction[:7].ljust(7, "0"))
        if zone and zone not in "Zz":
            digits = zone[1:].replace(":", "").ljust(4, "0")
            offset = (int(digits[:2]) * 60 + int(digits[2:])) * MINUTE
            value += offset if zone[0] == "-" else -offset
    if not 0 <= value <= LATEST:
        raise ValueError(f"{text[:40]!r} is not between 1970 and 9999")
    return value


def _usual_ticks(text: str) -> int:
    """Ticks of a time in the API's own form, which comes again and again; -1 for any other text."""
    if len(text) != _USUAL_LENGTH or text[19] != "." or text[27] != "Z":
        return -1
    hour, minute, second = text[11:13], text[14:16], text[17:19]
    digits = f"{hour}{minute}{second}{text[20:27]}"
    if text[10] != "T" or not text[13] == text[16] == ":" or not (digits.isdigit() and digits.isascii()):
        return -1
    day = _day_ticks(text[:10])
    if day < 0 or hour > "23" or minute > "59" or second > "59":
        return -1
    return day + (int(hour) * 3600 + int(minute) * 60) * SECOND + int(digits[4:])


@lru_cache(maxsize=1024)
def _day_ticks(text: str) -> int:
    """Ticks of a day's midnight; -1 for any other text."""
    try:
        return parse_ticks(text) if _DAY.fullmatch(text) else -1
    except ValueError:
        return -1


@lru_cache(maxsize=4096)
def _second_text(second: int) -> str:
    days, rest = divmod(second, 86_400)
    return f"{date.fromordinal(days + _EPOCH_DAY).isoformat()}T{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}."


@lru_cache(maxsize=4096)
def format_ticks(value: int) -> str:
    """Write ticks as the API does: seven fraction digits and `Z`, e.g. `2020-06-03T18:04:29.4633333Z`."""
    second, fraction = divmod(value, SECOND)
    return f"{_second_text(second)}{fraction:07}Z"
