"""What a `$filter` means, once its names and types are known: the expression that stores answer.

Values are the model's own (ticks, enum members, int, str, None), whatever spelling a dialect has.
Canonical by construction of `binding.py`: no And directly in And, no Or directly in Or.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

import msgspec

Value: TypeAlias = int | str | None


class Field(StrEnum):
    """What of an incident or alert can be filtered by; the values are the attributes of `meaning.Row`.

    `SERVICE_SOURCE` is of alerts alone. The two of a device are of machines alone, which no store filters.
    """

    LAST_UPDATE = "last_update"
    CREATED = "created"
    INCIDENT_ID = "incident_id"
    STATUS = "status"
    SEVERITY = "severity"
    CLASSIFICATION = "classification"
    DETERMINATION = "determination"
    ASSIGNED_TO = "assigned_to"
    SERVICE_SOURCE = "service_source"
    DEVICE_ID = "device_id"
    DEVICE_NAME = "device_name"


class Operator(StrEnum):
    """The six comparisons, spelled as in OData."""

    EQ = "eq"
    NE = "ne"
    GT = "gt"
    GE = "ge"
    LT = "lt"
    LE = "le"


class TextFunction(StrEnum):
    """The functions on text that are offered; all are case-sensitive."""

    STARTSWITH = "startswith"
    ENDSWITH = "endswith"
    CONTAINS = "contains"


class Constant(msgspec.Struct, frozen=True):
    """`true` or `false` by itself."""

    value: bool


class Compare(msgspec.Struct, frozen=True):
    """A field against a value. None is only compared with eq and ne; enum values order by their rank."""

    field: Field
    operator: Operator
    value: Value


class OneOf(msgspec.Struct, frozen=True):
    """Equal to at least one of `values`, which is not empty and may hold None."""

    field: Field
    values: tuple[Value, ...]


class TextMatch(msgspec.Struct, frozen=True):
    """A text function on a field. On null it is null, and so is its negation: neither matches."""

    field: Field
    function: TextFunction
    text: str


class HasTag(msgspec.Struct, frozen=True):
    """The incident carries this very tag."""

    tag: str


class And(msgspec.Struct, frozen=True):
    """All of two or more terms."""

    terms: tuple[Expression, ...]


class Or(msgspec.Struct, frozen=True):
    """At least one of two or more terms."""

    terms: tuple[Expression, ...]


class Not(msgspec.Struct, frozen=True):
    """The opposite; of null it is null."""

    term: Expression


Expression: TypeAlias = Constant | Compare | OneOf | TextMatch | HasTag | And | Or | Not
