"""Whatever comes in, a sender gives an Alert, None or Refused, and an Alert can be written as JSON."""

from __future__ import annotations

import copy
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from records import VALID, as_bytes

from tocsin.errors import Refused
from tocsin.model import Alert
from tocsin.senders import REGISTRY
from tocsin.senders.bounds import DESCRIPTION_MAX, IDENTITY_MAX

NAMES = sorted(REGISTRY)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([2**63, 2**64, -(2**70), 10**300, 0, -1]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(codec="utf-8"), max_size=20),
    st.sampled_from(
        ["\0", "-", "0x", "\\", "@", "//", "x" * 9000, "2024-02-30T25:61:61Z", "[", "{}", "1.2.3.4:x", "::%"]
    ),
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=4)
    ),
    max_leaves=8,
)


def survives(name: str, raw: bytes) -> None:
    try:
        alert = REGISTRY[name].normalise(raw)
    except Refused:
        return
    if alert is not None:
        written = msgspec.json.encode(alert)
        assert b"\\u0000" not in written
        assert msgspec.json.decode(written, type=Alert) == alert
        assert 0 < len(alert.identity) <= IDENTITY_MAX
        assert alert.title
        assert len(alert.description) <= DESCRIPTION_MAX
        assert 0 <= alert.first_activity <= alert.last_activity


def places(value: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner: list[tuple[Any, object]] = []
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value))
    return [path, *(place for key, item in inner for place in places(item, (*path, key)))]


@st.composite
def mutated(draw: st.DrawFn, records: list[dict[str, Any]]) -> bytes:
    """A valid record with some of its values exchanged, inside JSON that stands in text too."""
    record = copy.deepcopy(draw(st.sampled_from(records)))
    if isinstance(record.get("Entities"), str) and draw(st.booleans()):
        record["Entities"] = json.loads(record["Entities"])
    for _ in range(draw(st.integers(1, 4))):
        path = draw(st.sampled_from(places(record)[1:] or [("title",)]))
        holder: Any = record
        for key in path[:-1]:
            holder = holder[key]
        holder[path[-1]] = draw(ANYTHING)
    return as_bytes(record)


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None)
@given(data=st.data())
def test_a_mutated_record_never_fails_otherwise(name: str, data: st.DataObject) -> None:
    survives(name, data.draw(mutated(VALID[name])))


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None, max_examples=50)
@given(raw=st.binary(max_size=200), value=ANYTHING, cut=st.integers(0, 1000))
def test_bytes_json_and_cut_lines_never_fail_otherwise(name: str, raw: bytes, value: object, cut: int) -> None:
    survives(name, raw)
    survives(name, as_bytes(value))
    with pytest.raises(Refused):
        REGISTRY[name].normalise(as_bytes(VALID[name][0])[:cut])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"{}",
        b"[" * 100_000,
        b'{"entities":' + b'[{"a":' * 50_000,
        b'{"title":"\xff","rule":{},"event_type":"alert"}',
        b'{"title":"\\ud800","rule":{},"event_type":"alert"}',
        b'{"title":NaN,"rule":NaN,"event_type":NaN}',
        b'{"title":"a\x00b","event_type":"a\x00"}',
        b'{"title":' + b"9" * 10_000 + b',"event_type":' + b"9" * 10_000 + b"}",
    ],
    ids=range(10),
)
def test_hostile_lines_are_refused(name: str, raw: bytes) -> None:
    with pytest.raises(Refused):
        REGISTRY[name].normalise(raw)


def test_deep_text_inside_a_row_does_not_refuse_it() -> None:
    row = VALID["sentinel"][0] | {"Entities": "[" * 50_000, "Tactics": '[["x"' * 3_000}
    alert = REGISTRY["sentinel"].normalise(as_bytes(row))
    assert alert is not None
    deep: Any = {"Type": "process"}
    for _ in range(300):
        deep = {"Type": "process", "ParentProcess": deep}
    assert REGISTRY["sentinel"].normalise(as_bytes(row | {"Entities": [deep]})) is not None
