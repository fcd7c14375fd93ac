"""The words of a `$filter`: text → tokens, and the refusals that name a character position.

One regular expression of alternatives that cannot backtrack into each other; the whole is linear in the text.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from tocsin.errors import InvalidQuery

# Operators of OData are words, so all that follows a digit is one literal, with its signs, dots and colons.
_TOKEN: Final = re.compile(
    r"""[ \t]*+(?:
      (?P<guid>[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}(?![\w.:+-]))
    | (?P<word>[^\W\d]\w*+(?:\.[^\W\d]\w*+)*+)
    | (?P<number>[+-]?[0-9][0-9A-Za-z_.:+-]*+)
    | (?P<string>'[^']*+(?:''[^']*+)*+')
    | (?P<json>"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9A-Fa-f]{4})*+")
    | (?P<dollar>\$[A-Za-z]++)
    | (?P<at>@[^\W\d]\w*+(?:\.[^\W\d]\w*+)*+(?:\#[^\W\d]\w*+)?)
    | (?P<mark>[(),/:=\[\]{}-])
    | (?P<end>\Z)
    )""",
    re.VERBOSE,
)


class Token(NamedTuple):
    """`kind` is a group name of the pattern; `start` and `end` are 0-based characters of the text."""

    kind: str
    text: str
    start: int
    end: int


def tokenise(text: str) -> list[Token]:
    """All tokens of `text`, the last one `end`. Raises InvalidQuery for a stray character or an open string."""
    tokens: list[Token] = []
    match = _TOKEN.match
    position = 0
    while True:
        found = match(text, position)
        if found is None:
            raise _stray(text, position)
        kind = found.lastgroup
        assert kind is not None
        start, position = found.span(kind)
        tokens.append(Token(kind, text[start:position], start, position))
        if kind == "end":
            return tokens


def _stray(text: str, position: int) -> InvalidQuery:
    while text[position] in " \t":
        position += 1
    character = text[position]
    if character in "'\"":
        return InvalidQuery(f"There is an unterminated string literal at position {position} in '{text}'.")
    return stray_character(text, position)


def stray_character(text: str, position: int) -> InvalidQuery:
    """The refusal of one character; one that cannot be printed is named by its code point."""
    character = text[position]
    shown = character if character.isprintable() else f"U+{ord(character):04X}"
    return InvalidQuery(
        f"Syntax error: character '{shown}' is not valid at position {position} in '{printable(text)}'."
    )


def printable(text: str) -> str:
    """The text for a message: what cannot be printed becomes U+FFFD."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "�" for c in text)
