"""`$select`, `$expand`, `$count` and `$format`: what of the found objects is shown, and how.

Read after `options.py`, which hands the texts on. Grammar: OData 4.01 URL conventions, as much as clients send
(`clients.md`): `alerts`, `alerts($expand=evidence;$select=id,title),comments`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from tocsin.errors import InvalidQuery

_ITEM: Final = re.compile(r"([A-Za-z]+)(?:\((.*)\))?", re.DOTALL)
_NESTED: Final = frozenset({"$expand", "$select"})


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """What to show. `select` None means all; `expanded` maps each expanded property to what is selected of it."""

    select: frozenset[str] | None = None
    expanded: Mapping[str, frozenset[str] | None] = {}
    count: bool = False


class Shapes(msgspec.Struct, frozen=True, kw_only=True):
    """What a resource offers: its properties, and for each that may be expanded the properties of what is in it.

    Expanding what is always shown (`comments`, `evidence`) is allowed and changes nothing.
    """

    properties: frozenset[str]
    expandable: Mapping[str, frozenset[str]]


def parse_shape(passed_on: Mapping[str, str], shapes: Shapes) -> Shape:
    """Read the options that `options.parse_options` handed on. Raises InvalidQuery."""
    form = passed_on.get("$format")
    if form is not None and form.strip().lower().split(";")[0] not in ("json", "application/json"):
        raise InvalidQuery(f"The $format '{form}' is not supported; answers are always JSON.")
    return Shape(
        select=_select(passed_on.get("$select"), shapes.properties),
        expanded=_expand(passed_on.get("$expand"), shapes),
        count=_flag(passed_on.get("$count")),
    )


def _flag(text: str | None) -> bool:
    folded = "false" if text is None else text.strip().lower()
    if folded not in ("true", "false"):
        raise InvalidQuery(
            f"Invalid value '{text}' for $count query option found. Valid values are 'true' and 'false'."
        )
    return folded == "true"


def _select(text: str | None, known: frozenset[str]) -> frozenset[str] | None:
    if text is None:
        return None
    chosen = frozenset(part.strip() for part in text.split(","))
    for name in sorted(chosen - known - {"*"}):
        raise InvalidQuery(f"Could not find a property named '{name[:100]}' in the $select query option.")
    return None if "*" in chosen else chosen


def _expand(text: str | None, shapes: Shapes) -> dict[str, frozenset[str] | None]:
    expanded: dict[str, frozenset[str] | None] = {}
    for item in () if text is None else _split(text, ","):
        found = _ITEM.fullmatch(item.strip())
        name = found[1] if found else item.strip()[:100]
        inner = shapes.expandable.get(name)
        if found is None or inner is None:
            offered = ", ".join(sorted(shapes.expandable)) or "nothing"
            raise InvalidQuery(f"The $expand query option cannot have '{name}'. This resource can expand {offered}.")
        expanded[name] = _nested(found[2], inner)
    return expanded


def _nested(text: str | None, known: frozenset[str]) -> frozenset[str] | None:
    chosen = None
    for option in _split(text, ";") if text else ():
        name, equals, value = option.strip().partition("=")
        if name.lower() not in _NESTED or not equals:
            raise InvalidQuery(f"Inside $expand only $expand and $select are supported, not '{name[:100]}'.")
        if name.lower() == "$select":
            chosen = _select(value, known)
        else:
            _select(value, known)
    return chosen


def _split(text: str, separator: str) -> Iterator[str]:
    """Split at separators outside of parentheses. Raises InvalidQuery where those do not match."""
    depth = start = 0
    for position, character in enumerate(text):
        if character == "(":
            depth += 1
        elif character == ")":
            depth -= 1
        elif character == separator and depth == 0:
            yield text[start:position]
            start = position + 1
        if depth < 0:
            break
    if depth != 0:
        raise InvalidQuery(f"The parentheses in '{text[:200]}' do not match.")
    yield text[start:]
