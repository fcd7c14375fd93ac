"""Files of alerts cut into records to send: JSON lines as a stream; an array or pretty-printed objects as a whole.

Knows nothing of servers or alerts. A record is one JSON value on one line, and remembers its line in the file.
"""

from __future__ import annotations

import gzip
import io
import itertools
import sys
from collections.abc import Iterator
from typing import BinaryIO, Final, cast

import msgspec

from tocsin.errors import InvalidInput
from tocsin.payload import split_payload

_BOM: Final = b"\xef\xbb\xbf"
_GZIP: Final = b"\x1f\x8b"


class Record(msgspec.Struct, frozen=True):
    """One value to send. `line` counts from 1: the line of the file, or the element of an array."""

    line: int
    body: bytes


class Junk(msgspec.Struct, frozen=True):
    """A line that could be no alert whoever reads it, and why. It would spoil the request it is sent in."""

    line: int
    reason: str


def open_unpacked(raw: BinaryIO) -> BinaryIO:
    """The plain content of a file, gzip or not, told by its first bytes."""
    buffered = raw if isinstance(raw, io.BufferedReader) else io.BufferedReader(cast(io.RawIOBase, raw))
    if buffered.peek(2)[:2] == _GZIP:
        return cast(BinaryIO, gzip.GzipFile(fileobj=buffered))
    return buffered


def read_records(content: BinaryIO) -> Iterator[Record | Junk]:
    """All records of plain content, in order. Raises InvalidInput for an array that cannot be read, OSError."""
    lines = iter(content)
    opening: list[bytes] = []
    for line in lines:
        opening.append(line)
        if line.removeprefix(_BOM).strip():
            break
    first = opening[-1].removeprefix(_BOM).strip() if opening else b""
    if first == b"{" or (first.startswith(b"[") and not _is_value(first)):
        yield from _whole(b"".join(opening) + content.read())
        return
    for number, line in enumerate(itertools.chain(opening, lines), 1):
        yield from line_records(number, line.removeprefix(_BOM) if number == 1 else line)


def line_records(number: int, line: bytes) -> Iterator[Record | Junk]:
    """The record of one line; several where the line is an array; none where it is blank."""
    # A writer that does not append leaves zero bytes before its next line when its log is truncated under it.
    bare = line.strip(b" \t\r\n\0")
    if not bare:
        return
    if not bare.startswith(b"["):
        yield Record(number, bare)
        return
    try:
        elements = split_payload(bare, sys.maxsize)
    except InvalidInput:
        yield Junk(number, "the line begins with [ and is no array of JSON values")
        return
    for _, element in elements:
        yield Record(number, element)


def _whole(content: bytes) -> Iterator[Record]:
    for number, value in split_payload(content, sys.maxsize):
        yield Record(number, _on_one_line(value))


def _on_one_line(value: bytes) -> bytes:
    if b"\n" not in value and b"\r" not in value:
        return value
    try:
        return msgspec.json.format(value, indent=-1)
    except (msgspec.DecodeError, RecursionError):
        # The server will refuse it and keep it; white space between JSON tokens means nothing.
        return b" ".join(value.split())


def _is_value(text: bytes) -> bool:
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True
