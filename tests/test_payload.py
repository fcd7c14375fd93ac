from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.errors import InvalidInput, TooLarge
from tocsin.payload import split_payload

PRETTY = b'{\n  "a": [\n    1\n  ],\n  "b": {}\n}'


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", []),
        (b" \r\n\n", []),
        (b'{"a":1}', [(1, b'{"a":1}')]),
        (b'\n\n{"a":1}\n', [(3, b'{"a":1}')]),
        (PRETTY, [(1, PRETTY)]),
        (PRETTY.replace(b"\n", b"\r\n"), [(1, PRETTY.replace(b"\n", b"\r\n"))]),
        (b"\n" + PRETTY + b"\n", [(2, PRETTY)]),
        (b'{"a": {}\n, "b": 1}', [(1, b'{"a": {}\n, "b": 1}')]),
        (b'[{"a":1}, 2 ,\n "x"]', [(1, b'{"a":1}'), (2, b"2"), (3, b'"x"')]),
        (b" []", []),
        (b'{"a":1}\n\n{"b":2}\r\n', [(1, b'{"a":1}'), (3, b'{"b":2}')]),
        (b'\xef\xbb\xbf{"a":1}\n{"b":2}', [(1, b'{"a":1}'), (2, b'{"b":2}')]),
        (b'\xef\xbb\xbf[{"a":1}]', [(1, b'{"a":1}')]),
        (b'{"a":1}\nnot json\n{"b":2}', [(1, b'{"a":1}'), (2, b"not json"), (3, b'{"b":2}')]),
        (b'{"a":\n{"b":2}\n', [(1, b'{"a":'), (2, b'{"b":2}')]),
        (b'{"a":1}\n{"b":', [(1, b'{"a":1}'), (2, b'{"b":')]),
        (b"hello", [(1, b"hello")]),
        (b'{\n  "a": \n}', [(1, b'{\n  "a": \n}')]),
        (PRETTY + b"\n" + PRETTY, [(1, PRETTY), (7, PRETTY)]),
        (PRETTY + b'\n{"c":3}\nx', [(1, PRETTY), (7, b'{"c":3}'), (8, b"x")]),
        (b'{\n "a": 1\n{"b":2}', [(1, b'{\n "a": 1'), (3, b'{"b":2}')]),
    ],
)
def test_a_body_is_cut_into_its_values(body: bytes, expected: list[tuple[int, bytes]]) -> None:
    assert split_payload(body, 100) == expected


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'[{"a":1},\n {"b":}]', "line 2, column 7"),
        (b'[{"a":1}', "truncated"),
        (b"[1] 2", "trailing characters"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_a_broken_array_is_refused_as_a_whole_and_the_place_is_told(body: bytes, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        split_payload(body, 100)


@pytest.mark.parametrize("body", [b"[1,2,3]", b"1\n2\n3", b'{"a":1}\n{"a":1}\n{"a":1}', b"{\n}\n{\n}\n{\n"])
def test_more_values_than_allowed_are_too_large(body: bytes) -> None:
    assert len(split_payload(body, 3)) == 3
    with pytest.raises(TooLarge, match="more than 2 alerts"):
        split_payload(body, 2)


@given(st.binary(max_size=300))
def test_any_body_is_cut_or_refused(body: bytes) -> None:
    try:
        values = split_payload(body, 1000)
    except InvalidInput:
        return
    assert all(number > 0 and value for number, value in values)


def test_deep_lines_are_left_to_their_sender() -> None:
    deep = b'{"a":' * 50_000
    assert split_payload(deep + b'\n{"b":1}', 10) == [(1, deep), (2, b'{"b":1}')]


@given(st.lists(st.dictionaries(st.text(), st.integers() | st.text()), max_size=5), st.sampled_from([None, 2]))
def test_what_json_writes_comes_back_value_by_value(values: list[dict[str, object]], indent: int | None) -> None:
    lines = "\n".join(json.dumps(value, indent=indent) for value in values).encode()
    array = json.dumps(values, indent=indent).encode()
    for body in (lines, array):
        assert [json.loads(value) for _, value in split_payload(body, 10)] == values
