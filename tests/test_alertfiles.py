"""Files become records with the line they stand on, whatever their form."""

from __future__ import annotations

import gzip
import io

import pytest

from tocsin.alertfiles import Junk, Record, open_unpacked, read_records
from tocsin.errors import InvalidInput


def read(content: bytes) -> list[tuple[int, bytes]]:
    return [(each.line, each.body if isinstance(each, Record) else b"!") for each in read_records(io.BytesIO(content))]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", []),
        (b"\n \n", []),
        (b'{"a":1}\n{"b":2}\n', [(1, b'{"a":1}'), (2, b'{"b":2}')]),
        (b'\xef\xbb\xbf{"a":1}\r\n\r\n{"b":2}', [(1, b'{"a":1}'), (3, b'{"b":2}')]),
        (b'{"a":1}\nnot json\n', [(1, b'{"a":1}'), (2, b"not json")]),
        (b'\0\0\0{"a":1}\n', [(1, b'{"a":1}')]),
        (b'[{"a":1},\n {"b":2}]', [(1, b'{"a":1}'), (2, b'{"b":2}')]),
        (b'[{"a":1},{"b":2}]\n{"c":3}\n', [(1, b'{"a":1}'), (1, b'{"b":2}'), (2, b'{"c":3}')]),
        (b'{\n  "a": 1\n}\n{\n  "b": "x\\n y"\n}\n', [(1, b'{"a":1}'), (4, b'{"b":"x\\n y"}')]),
        (b'{"a":1}\n[2026-01-01] started\n{"b":2}\n', [(1, b'{"a":1}'), (2, b"!"), (3, b'{"b":2}')]),
    ],
)
def test_records_keep_their_lines(content: bytes, expected: list[tuple[int, bytes]]) -> None:
    assert read(content) == expected


def test_a_line_that_only_looks_like_an_array_is_junk_with_a_reason() -> None:
    junk = next(each for each in read_records(io.BytesIO(b'{"a":1}\n[2026]x\n')) if isinstance(each, Junk))
    assert (junk.line, "no array" in junk.reason) == (2, True)


def test_an_array_that_cannot_be_read_is_said() -> None:
    with pytest.raises(InvalidInput, match="line 2"):
        read(b'[{"a":1},\n {"b":]\n')


def test_packed_content_is_told_by_its_bytes_and_not_by_its_name() -> None:
    packed = gzip.compress(b'{"a":1}\n') + gzip.compress(b'{"b":2}\n')
    assert open_unpacked(io.BytesIO(packed)).read() == b'{"a":1}\n{"b":2}\n'
    assert open_unpacked(io.BytesIO(b'{"a":1}\n')).read() == b'{"a":1}\n'
