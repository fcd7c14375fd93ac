"""A request body cut into JSON values, one per alert, before any of them is understood.

Takes one object (also pretty-printed), an array, or JSON lines. A line that is no JSON comes out as its own
item, so that its sender refuses it alone and its neighbours are kept. Knows nothing of alerts.
"""

from __future__ import annotations

import io
import re
from typing import Final

import msgspec

from tocsin.errors import InvalidInput, TooLarge

_BOM: Final = b"\xef\xbb\xbf"
_BYTE: Final = re.compile(r" \(byte (\d+)\)$")
_ARRAY: Final = msgspec.json.Decoder(list[msgspec.Raw])
_VALUE: Final = msgspec.json.Decoder(msgspec.Raw)


def split_payload(body: bytes, lines_max: int) -> list[tuple[int, bytes]]:
    """Give (number, bytes of one JSON value) in the order of the body; an empty body gives nothing.

    The number counts from 1: of the line a value begins on, or of the element in an array. Blank lines,
    CRLF and a byte order mark are passed over. Raises InvalidInput for an array that cannot be read,
    saying where, and TooLarge for more than `lines_max` values.
    """
    text = body.removeprefix(_BOM)
    content = text.strip()
    if content[:1] == b"[":
        return _elements(text, lines_max)
    if content[:1] == b"{" and b"\n" in content and _is_one_text(content):
        return [(_first_line(text), content)]
    return _lines(text, lines_max)


def _elements(text: bytes, lines_max: int) -> list[tuple[int, bytes]]:
    try:
        elements = _ARRAY.decode(text)
    except RecursionError:
        raise InvalidInput("the array is nested too deeply to be read") from None
    except UnicodeDecodeError as error:
        raise InvalidInput(f"the array is not UTF-8 at byte {error.start}") from None
    except msgspec.DecodeError as error:
        raise InvalidInput(_where(text, str(error))) from None
    if len(elements) > lines_max:
        raise _too_many(lines_max)
    return [(number, bytes(element)) for number, element in enumerate(elements, 1)]


def _where(text: bytes, message: str) -> str:
    found = _BYTE.search(message)
    if found is None:
        return f"the array cannot be read: {message}; nothing of it was taken"
    before = text[: int(found[1])]
    line = before.count(b"\n") + 1
    column = len(before) - before.rfind(b"\n")
    reason = message[: found.start()]
    return f"the array cannot be read at line {line}, column {column}: {reason}; nothing of it was taken"


def _is_one_text(content: bytes) -> bool:
    """Whether several lines are one object: one that is whole, or a broken one that nothing else follows."""
    try:
        _VALUE.decode(content)
    except RecursionError:
        return _stands_alone(content)
    except (UnicodeDecodeError, msgspec.DecodeError) as error:
        # Something follows a whole first value: these are lines.
        return "trailing characters" not in str(error) and _stands_alone(content)
    return True


def _stands_alone(content: bytes) -> bool:
    """Pretty printing puts the opening brace on a line of its own and indents what follows."""
    first, _, rest = content.partition(b"\n")
    return first.rstrip() == b"{" and b"\n{" not in rest


def _first_line(text: bytes) -> int:
    return text[: text.index(b"{")].count(b"\n") + 1


def _lines(text: bytes, lines_max: int) -> list[tuple[int, bytes]]:
    """One value a line. Where an opening brace has a line of its own, pretty-printed objects follow each other
    (what `jq .` writes), and each runs to the next such brace."""
    found: list[tuple[int, bytes]] = []
    block: list[bytes] = []
    block_line = 0
    for number, line in enumerate(io.BytesIO(text), 1):
        bare = line.strip()
        if not bare:
            continue
        opens = line.rstrip() == b"{"
        if block and (opens or _is_whole_object(line)):
            found.append((block_line, b"".join(block).strip()))
            block = []
        if not opens and not block:
            found.append((number, bare))
        else:
            block_line = block_line if block else number
            block.append(line)
            if line.rstrip() == b"}":
                found.append((block_line, b"".join(block).strip()))
                block = []
        if len(found) > lines_max:
            raise _too_many(lines_max)
    if block:
        found.append((block_line, b"".join(block).strip()))
    if len(found) > lines_max:
        raise _too_many(lines_max)
    return found


def _is_whole_object(line: bytes) -> bool:
    """Whether an unindented line inside an open block is a value of its own, which ends the block's claim on it."""
    if line[:1] != b"{":
        return False
    try:
        _VALUE.decode(line)
    except (RecursionError, UnicodeDecodeError, msgspec.DecodeError):
        return False
    return True


def _too_many(lines_max: int) -> TooLarge:
    return TooLarge(f"more than {lines_max} alerts in one request; send them in smaller requests")
