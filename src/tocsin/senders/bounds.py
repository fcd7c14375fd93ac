"""How much of an outside text is kept, how a JSON value is decoded, and how its failures are told.

Every failure here is a Refused that names the field. What is longer than its bound is cut, never refused;
`observables.py` says so in the description.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Final, TypeVar

import msgspec

from tocsin.errors import Refused
from tocsin.ticks import parse_ticks

TEXT_MAX: Final = 2_000
TITLE_MAX: Final = 500
DESCRIPTION_MAX: Final = 8_000
COMMAND_LINE_MAX: Final = 8_000
IDENTITY_MAX: Final = 200
ENTITIES_MAX: Final = 500
DEVICES_MAX: Final = 100
LIST_MAX: Final = 100  # tags, tactics, techniques
INTEGER_MAX: Final = 2**63 - 1  # what a store's integer holds

_T = TypeVar("_T")
_PLACE: Final = re.compile(r" - at `(?:key in )?\$\.?([^`]*)`$")
_MISSING: Final = re.compile(r"Object missing required field `([^`]+)`")


def decode(decoder: msgspec.json.Decoder[_T], raw: bytes, within: str = "") -> _T:
    """Decode one JSON value. Raises Refused with the field where there is one, and nothing else.

    `within` is the path of the value inside the alert, where it is only a part of it.
    """
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        raise Refused(_reason(str(error), within)) from None
    except UnicodeDecodeError as error:
        raise Refused(f"the line is not UTF-8: {error.reason} at byte {error.start} of a text") from None
    except msgspec.DecodeError as error:
        raise Refused(f"the line is not JSON: {error}") from None
    except RecursionError:
        raise Refused("the line is nested too deeply to be read") from None


def _reason(message: str, within: str) -> str:
    place = _PLACE.search(message)
    path = ".".join(part for part in (within, place[1] if place else "") if part)
    problem = message[: place.start()] if place else message
    missing = _MISSING.fullmatch(problem)
    if missing:
        return f"`{path + '.' if path else ''}{missing[1]}`: is missing"
    return f"`{path[:200]}`: {problem[:1].lower()}{problem[1:]}" if path else f"the line: {problem}"


def moment(field: str, text: str) -> int:
    """Ticks of a time in text. Raises Refused naming the field."""
    try:
        return parse_ticks(text)
    except ValueError as error:
        raise Refused(f"`{field}`: {error}") from None


def moment_or_none(value: object) -> int | None:
    """Ticks of a time that the alert can do without; None for anything that is no time."""
    if not isinstance(value, str) or not value:
        return None
    try:
        return parse_ticks(value)
    except ValueError:
        return None


def integer_or_none(value: object) -> int | None:
    """A whole number from 0 to `INTEGER_MAX`, also out of decimal or `0x` text; else None."""
    if isinstance(value, str):
        text = value.strip()
        if not 0 < len(text) <= 20 or not text.isascii():
            return None
        try:
            number = int(text[2:], 16) if text[:2] in ("0x", "0X") else int(text)
        except ValueError:
            return None
    elif isinstance(value, float) and value.is_integer():
        number = int(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        number = value
    else:
        return None
    return number if 0 <= number <= INTEGER_MAX else None


def object_in(parent: Mapping[str, object], key: str) -> dict[str, object]:
    """The object under a key; an empty one where there is none or something else stands there."""
    value = parent.get(key)
    return value if isinstance(value, dict) else {}


def list_of(value: object) -> list[object]:
    """A list as it is, nothing as an empty list, and any other value as a list of one."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def digest(raw: bytes) -> str:
    """16 hex digits that stand for some bytes where the sender gives no id of its own."""
    return hashlib.blake2b(raw, digest_size=8).hexdigest()


def issued_by(issuer: str, own_id: str) -> str:
    """An identity of an id that is unique only beside its issuer, whatever characters either of them has."""
    name = issuer.replace("%", "%25").replace(":", "%3A")
    return identity(f"{name}:{own_id}")


def identity(text: str) -> str:
    """An identity within `IDENTITY_MAX` characters: a longer one keeps its start and ends in its digest."""
    if "\0" in text or len(text) > IDENTITY_MAX:
        return f"{text[: IDENTITY_MAX - 17].replace(chr(0), '')}-{digest(text.encode())}"
    return text
