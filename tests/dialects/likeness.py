"""Holding an answer of ours against a documented one, field by field."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tocsin.errors import InvalidInput
from tocsin.ticks import parse_ticks

EXAMPLES: Final = Path(__file__).parents[3] / "shared" / "spec" / "examples"
Difference = tuple[str, str]
"""Where (`alerts[].devices[].tags`) and what: missing, null left out, more, order, type, length, value."""

_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT[\d:]{8}(\.\d+)?Z")
_OURS: Final = re.compile(r"\d{4}-\d\d-\d\dT[\d:]{8}\.\d{7}Z")


def example(name: str) -> Any:
    """A documented body, read where it is kept. Skips the test where that is not here."""
    path = EXAMPLES / f"{name}.json"
    if not path.exists():
        pytest.skip(f"the example {name} is kept outside the repository and is not here")
    return json.loads(path.read_bytes())


def differences(documented: Any, ours: Any, at: str = "") -> set[Difference]:
    """All that differs. Times are alike when they are the same moment and ours is written with seven digits."""
    return set(_differences(documented, ours, at))


def _differences(documented: Any, ours: Any, at: str) -> Iterator[Difference]:
    if isinstance(documented, dict) and isinstance(ours, dict):
        yield from _of_objects(documented, ours, at)
    elif isinstance(documented, list) and isinstance(ours, list):
        if len(documented) != len(ours):
            yield at, "length"
        for one, other in zip(documented, ours, strict=False):
            yield from _differences(one, other, f"{at}[]")
    elif type(documented) is not type(ours):
        yield at, "type"
    elif documented != ours and not _same_moment(documented, ours):
        yield at, "value"


def _of_objects(documented: dict[str, Any], ours: dict[str, Any], at: str) -> Iterator[Difference]:
    dot = f"{at}." if at else ""
    for name in (name for name in documented if name not in ours):
        yield (f"{dot}*", "null left out") if documented[name] is None else (f"{dot}{name}", "missing")
    yield from ((f"{dot}{name}", "more") for name in ours if name not in documented)
    if [name for name in documented if name in ours] != [name for name in ours if name in documented]:
        yield at, "order"
    for name, value in documented.items():
        if name in ours:
            yield from _differences(value, ours[name], f"{dot}{name}")


def _same_moment(documented: Any, ours: Any) -> bool:
    if not isinstance(ours, str) or not _TIME.fullmatch(documented) or not _OURS.fullmatch(ours):
        return False
    try:
        return parse_ticks(documented) == parse_ticks(ours)
    except InvalidInput:
        return False
