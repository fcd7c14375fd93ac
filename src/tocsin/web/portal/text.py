"""Texts for people: hidden characters made visible, times told as a distance, names of enumerations as words.

What sensors send may be written by an attacker. Characters that one cannot see, or that turn the text around them
(U+202E), are shown by their number; the rest is escaped by the templates. Pure.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec
from markupsafe import Markup, escape

from tocsin.ticks import DAY, HOUR, MINUTE, SECOND, format_ticks

TOLD_DAYS_MAX: Final = 90
"""Farther away, a date says more than a number of days."""
_WORD: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")


class Moment(msgspec.Struct, frozen=True):
    """A time in three forms: for machines, exact for people, and as a distance from now."""

    iso: str
    exact: str
    distance: str


def moment(value: int, now: int) -> Moment:
    """The forms of a time in ticks."""
    iso = format_ticks(value)
    return Moment(f"{iso[:23]}Z", f"{iso[:10]} {iso[11:19]} UTC", distance(value, now))


def distance(value: int, now: int) -> str:
    """How long ago, in one unit rounded down: `3 min ago`; a time to come is `in 3 min`. Far away it is the date."""
    gap = abs(now - value)
    if gap > TOLD_DAYS_MAX * DAY:
        return format_ticks(value)[:10]
    if gap < 10 * SECOND:
        return "just now"
    told = span(gap)
    return f"{told} ago" if value <= now else f"in {told}"


def span(gap: int) -> str:
    """A length of time in its largest unit, rounded down."""
    for size, unit in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if gap >= size:
            return f"{gap // size} {unit}"
    return f"{gap // SECOND} s"


def visible(text: object, most: int = 0, *, counting: bool = True) -> Markup:
    """A text as HTML, isolated from the direction of what stands around it.

    `most` above 0 cuts it there, and `counting` says how much was cut.
    """
    told = str(text)
    rest = len(told) - most if 0 < most < len(told) else 0
    shown = told[:most] if rest else told
    body = escape(shown) if shown.isprintable() else Markup("").join([_character(each) for each in shown])
    tail = Markup('<span class="cut">…{}</span>').format(f" {counted(rest, 'more character')}" if counting else "")
    return Markup("<bdi>") + body + (tail if rest else Markup("")) + Markup("</bdi>")


def _character(character: str) -> Markup:
    if character.isprintable() or character in "\n\t":
        return escape(character)
    return Markup('<span class="hidden-character">U+{}</span>').format(f"{ord(character):04X}")


def plain(text: object, most: int = 300) -> str:
    """A text for attributes and drawings: no markup, hidden characters by number, cut after `most` characters."""
    told = str(text)
    shown = told[:most]
    if not shown.isprintable():
        shown = "".join([each if each.isprintable() else _numbered(each) for each in shown])
    return shown + ("…" if len(told) > most else "")


def _numbered(character: str) -> str:
    return " " if character in "\n\r\t" else f"⟨U+{ord(character):04X}⟩"


def words(name: str) -> str:
    """`InitialAccess` and `initial-access` are `Initial access`."""
    return _WORD.sub(" ", name).replace("-", " ").capitalize()


def counted(count: int, noun: str) -> str:
    """`1 alert`, `1,204 alerts`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
