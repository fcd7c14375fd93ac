"""Literals of OData 4.01 as `$filter` writes them: numbers, dates, times, durations, and the quoted forms.

The shapes are those of the OASIS ABNF (years may be 0, negative or long; hours end at 23; a leap second is
fine); values are only made where our ticks can hold them.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Final

import msgspec

from tocsin.errors import InvalidQuery
from tocsin.odata.lexer import Token, stray_character
from tocsin.odata.syntax import Literal
from tocsin.ticks import DAY, MINUTE, SECOND

_DATE: Final = r"(-?(?:0\d{3}|[1-9]\d{3,}))-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
_CLOCK: Final = r"([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d|60)(?:\.(\d+))?)?"
_DATE_TIME: Final = re.compile(rf"{_DATE}[Tt]{_CLOCK}([Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)", re.ASCII)
# The Z after a bare date is not in the grammar; the sister API's documents write it (incidents-api.md 1.4).
_DATE_ONLY: Final = re.compile(rf"{_DATE}[Zz]?", re.ASCII)
_TIME_OF_DAY: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d)(?:\.\d+)?)?", re.ASCII)
_NUMBER: Final = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_GUID: Final = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_NO_ZONE: Final = re.compile(rf"{_DATE}[Tt]{_CLOCK}", re.ASCII)

_DURATION: Final = re.compile(
    r"-?P(?=[\dT])(?:\d+D)?(?:T(?=\d)(?:\d+H)?(?:\d+M)?(?:\d+(?:\.\d+)?S)?)?", re.ASCII | re.IGNORECASE
)
_BINARY: Final = re.compile(r"(?:[\w-]{4})*(?:[\w-]{2}[AEIMQUYcgkosw048]=?|[\w-][AQgw](?:==)?)?", re.ASCII)
_GEO: Final = re.compile(r"SRID=\d{1,5};[A-Za-z]+\([A-Za-z0-9 ,.()+-]*\)", re.ASCII)
_QUOTED: Final = {
    "duration": ("Edm.Duration", _DURATION),
    "binary": ("Edm.Binary", _BINARY),
    "geography": ("Edm.Geography", _GEO),
    "geometry": ("Edm.Geometry", _GEO),
}
_ENUM_VALUE: Final = re.compile(r"(?:[^\W\d]\w*|[+-]?\d+)(?:,(?:[^\W\d]\w*|[+-]?\d+))*")

_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()


def read_number(token: Token, text: str) -> Literal:
    """The literal that begins with a digit or a sign: number, date, time or GUID.

    Raises InvalidQuery naming the type that it was most like, and what to write instead.
    """
    run, position = token.text, token.start
    if found := _DATE_TIME.fullmatch(run):
        return Literal("Edm.DateTimeOffset", _moment(found, token, text), position)
    if found := _NUMBER.fullmatch(run):
        return _number(found, run, position)
    if found := _DATE_ONLY.fullmatch(run):
        return Literal("Edm.Date", _midnight(found, "Edm.Date", token, text), position)
    if _TIME_OF_DAY.fullmatch(run):
        return Literal("Edm.TimeOfDay", run, position)
    if _GUID.fullmatch(run):
        return Literal("Edm.Guid", run, position)
    raise _unlike_all(token, text)


def read_string(token: Token) -> Literal:
    """A quoted string; two quotes inside it are one."""
    return Literal("Edm.String", token.text[1:-1].replace("''", "'"), token.start)


def read_json_string(token: Token, text: str) -> Literal:
    """A JSON string, as arrays and objects have them. Raises InvalidQuery for half a surrogate pair or U+0000."""
    try:
        value = msgspec.json.decode(token.text, type=str)
    except msgspec.DecodeError:
        raise _unrecognized("Edm.String", token.text, token.start, text) from None
    if "\0" in value:
        raise stray_character(text, token.start + token.text.index("\\u0000"))
    return Literal("Edm.String", value, token.start)


def read_prefixed(prefix: Token, quoted: Token, text: str) -> Literal:
    """`duration'..'`, `binary'..'`, `geography'..'`, `geometry'..'`, or an enum literal with its type."""
    body = quoted.text[1:-1]
    if known := _QUOTED.get(prefix.text.lower()):
        type_name, shape = known
        if not shape.fullmatch(body):
            raise _unrecognized(type_name, prefix.text + quoted.text, prefix.start, text)
        return Literal(type_name, body, prefix.start)
    if not _ENUM_VALUE.fullmatch(body):
        raise _unrecognized(prefix.text, prefix.text + quoted.text, prefix.start, text)
    return Literal(prefix.text, body, prefix.start, is_enum=True)


def _number(found: re.Match[str], run: str, position: int) -> Literal:
    fraction, exponent = found.groups()
    if exponent:
        return Literal("Edm.Double", run, position)
    # 20 characters hold every 64-bit number; longer ones are not worth the conversion.
    if fraction or len(run) > 20:
        return Literal("Edm.Decimal", run, position)
    value = int(run)
    if -0x8000_0000 <= value <= 0x7FFF_FFFF:
        return Literal("Edm.Int32", value, position)
    if -0x8000_0000_0000_0000 <= value <= 0x7FFF_FFFF_FFFF_FFFF:
        return Literal("Edm.Int64", value, position)
    return Literal("Edm.Decimal", run, position)


def _midnight(found: re.Match[str], type_name: str, token: Token, text: str) -> int | None:
    year, month, day = found.group(1, 2, 3)
    if len(year) != 4 or year == "0000":
        return None
    try:
        return (date(int(year), int(month), int(day)).toordinal() - _EPOCH_DAY) * DAY
    except ValueError:
        raise _unrecognized(type_name, token.text, token.start, text) from None


def _moment(found: re.Match[str], token: Token, text: str) -> int | None:
    value = _midnight(found, "Edm.DateTimeOffset", token, text)
    if value is None:
        return None
    hour, minute, second, fraction, zone = found.group(4, 5, 6, 7, 8)
    value += (int(hour) * 3600 + int(minute) * 60 + int(second or 0)) * SECOND
    if fraction:
        value += int(fraction[:7].ljust(7, "0"))
    if zone not in "Zz":
        offset = (int(zone[1:3]) * 60 + int(zone[4:])) * MINUTE
        value += offset if zone[0] == "-" else -offset
    return value


def _unlike_all(token: Token, text: str) -> InvalidQuery:
    run = token.text
    if _NO_ZONE.fullmatch(run):
        hint = " A time ends with Z or with an offset; in a URL the plus of an offset is written %2B."
        return _unrecognized("Edm.DateTimeOffset", run, token.start, text, hint)
    if "T" in run.upper():
        hint = " Write a time like 2020-06-03T18:04:29.4633333Z."
        return _unrecognized("Edm.DateTimeOffset", run, token.start, text, hint)
    kind = "Edm.Date" if "-" in run[1:] else "Edm.TimeOfDay" if ":" in run else "Edm.Decimal"
    return _unrecognized(kind, run, token.start, text)


def _unrecognized(type_name: str, literal: str, position: int, text: str, hint: str = "") -> InvalidQuery:
    return InvalidQuery(f"Unrecognized '{type_name}' literal '{literal}' at '{position}' in '{text}'.{hint}")
