"""The tree that the grammar gives, before names and types are known. Positions are 0-based characters.

Only what some resource may offer has a shape of its own. All other grammatical things become `Other`, which
keeps what it was called, so that the refusal can say so.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec


class Literal(msgspec.Struct, frozen=True):
    """A primitive value. `type_name` is its Edm type, `null` for null, or the enum type written before the quote.

    `value` is ticks for dates and times (None where the year is not 1 to 9999), the int for whole numbers of
    64 bits, the bool, the unquoted text, and the text as written for the rest.
    """

    type_name: str
    value: int | str | bool | None
    position: int
    is_enum: bool = False


class Name(msgspec.Struct, frozen=True):
    """A path of one plain segment: the name of a property."""

    name: str
    position: int


class Call(msgspec.Struct, frozen=True):
    """A text function with two arguments; `name` is in lower case."""

    name: str
    arguments: tuple[Node, ...]
    position: int


class Comparison(msgspec.Struct, frozen=True):
    """`operator` is one of eq ne gt ge lt le."""

    operator: str
    left: Node
    right: Node
    position: int


class Membership(msgspec.Struct, frozen=True):
    """`in` with a list of literals."""

    left: Node
    items: tuple[Literal, ...]
    position: int


class Junction(msgspec.Struct, frozen=True):
    """`operator` is `and` or `or`, between two or more terms."""

    operator: str
    terms: tuple[Node, ...]


class Negation(msgspec.Struct, frozen=True):
    """`not`."""

    operand: Node


class Collection(msgspec.Struct, frozen=True):
    """`[...]`, only good to the right of `in` here."""

    items: tuple[Node, ...]
    position: int


class Other(msgspec.Struct, frozen=True):
    """Grammatical, and offered nowhere. `what` begins a sentence: `The function 'tolower'`."""

    what: str
    position: int


class AnyOf(msgspec.Struct, frozen=True):
    """`name/any(variable: body)`. `what` begins a sentence, for where it is not offered."""

    name: str
    variable: str
    body: Node
    what: str
    position: int


Node: TypeAlias = Literal | Name | Call | Comparison | Membership | Junction | Negation | Collection | AnyOf | Other
