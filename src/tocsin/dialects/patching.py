"""Request bodies that change something: a JSON object of properties, each read by a reader of its own.

Names are case-sensitive, as the original says of its own (`incidents-api.md` section 4). A body with any fault is
refused whole, and the answer names every property that is wrong. Which properties there are is the dialects'.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final, TypeAlias

import msgspec

from tocsin.errors import InvalidChange

BODY_BYTES_MAX: Final = 1024 * 1024
"""A comment of 30,000 characters, each written as two escapes, is 360 kB."""

Reader: TypeAlias = Callable[[object], object]
"""A JSON value → what it means. Raises ValueError whose text follows the property's name."""


def read_properties(
    body: bytes, readers: Mapping[str, Reader], read_only: frozenset[str], hints: Mapping[str, str] = {}
) -> dict[str, Any]:
    """Read a body into property → value. `hints` say what to do instead, for a name that cannot be changed.

    Raises InvalidChange naming each property that is unknown, read-only, repeated or wrong.
    """
    pairs = _pairs(body)
    faults: list[str] = []
    values: dict[str, Any] = {}
    names = [name for name, _ in pairs]
    for name in dict.fromkeys(name for name in names if names.count(name) > 1):
        faults.append(f"'{name[:60]}' is there more than once")
    for name, value in dict(pairs).items():
        if name.startswith("@odata."):
            continue  # control information of OData clients says nothing of the object
        reader = readers.get(name)
        if reader is None:
            faults.append(_unknown(name, readers, read_only, hints))
            continue
        try:
            values[name] = reader(value)
        except ValueError as error:
            faults.append(f"'{name}' {error}")
    if faults:
        raise InvalidChange("; ".join(faults))
    return values


def _pairs(body: bytes) -> list[tuple[str, Any]]:
    """The members of the object in the body, repeated ones too."""
    if not body.strip():
        raise InvalidChange("the body is empty; a JSON object with the changed properties is needed")
    body = body.removeprefix(b"\xef\xbb\xbf")
    try:
        msgspec.json.decode(body)  # stricter than the standard library: UTF-8, no NaN, no lone surrogates
        found = json.loads(body, object_pairs_hook=_Members)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidChange(f"the body is not JSON: {error}") from None
    if not isinstance(found, _Members):
        raise InvalidChange("the body must be a JSON object with the changed properties")
    return list(found)


class _Members(list[tuple[str, Any]]):
    """A JSON object as its members in order; a list of JSON stays a plain list."""


def _unknown(name: str, readers: Mapping[str, Reader], read_only: frozenset[str], hints: Mapping[str, str]) -> str:
    if name in read_only:
        hint = hints.get(name)
        return f"'{name}' cannot be changed" + (f"; {hint}" if hint else "")
    for known in readers:
        if known.lower() == name.lower():
            return f"'{name}' is not a property; names are case-sensitive: '{known}'"
    return f"'{name[:60]}' is not a property that can be changed (those are {', '.join(readers)})"


def one_of(members: Mapping[str, StrEnum], extra: str = "") -> Callable[[object], StrEnum]:
    """A reader of one of these spellings. `extra` ends the refusal of another one."""

    def read(value: object) -> StrEnum:
        if not isinstance(value, str):
            raise ValueError(f"must be a string, one of {', '.join(members)}")
        if value not in members:
            raise ValueError(f"cannot be '{value[:60]}'; it is one of {', '.join(members)}{extra}")
        return members[value]

    return read


def owner(value: object) -> str | None:
    """Who has it; null and the empty text are nobody."""
    if value is not None and not isinstance(value, str):
        raise ValueError("must be a string, or null or empty for nobody")
    return value or None


def tags(value: object) -> tuple[str, ...]:
    """The whole list of tags."""
    if type(value) is not list or not all(isinstance(tag, str) for tag in value):
        raise ValueError("must be the whole list of tags, each a string")
    return tuple(value)


def text(value: object) -> str:
    """Any text."""
    if not isinstance(value, str):
        raise ValueError("must be a string")
    return value
