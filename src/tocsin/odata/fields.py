"""The property table of a resource: what may be filtered by, under which name, type and spelling.

A dialect declares one `Properties`; the same fields may have other names and enum spellings in another dialect.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum, StrEnum, auto

import msgspec

from tocsin.odata.expression import Field


class Kind(Enum):
    """How values of a property are written and compared."""

    TIME = auto()
    NUMBER = auto()
    TEXT = auto()
    ENUM = auto()


class Property(msgspec.Struct, frozen=True, kw_only=True):
    """One filterable property. `type_name` is what messages call its type.

    `members` maps the spelling of an enum value, case-sensitive, to the model's member. `elsewhere` are values that the
    original has and no row here: they may be asked for and equal nothing. Only for properties that are never null.
    `ordered`: gt, ge, lt and le are offered. `orderable`: so is `$orderby`.
    """

    name: str
    field: Field
    kind: Kind
    type_name: str
    members: Mapping[str, StrEnum] = {}
    elsewhere: frozenset[str] = frozenset()
    ordered: bool = True
    orderable: bool = False


class Properties(msgspec.Struct, frozen=True, kw_only=True):
    """All of one resource. `type_name` is what messages call it; `unfilterable` are names that answers have
    and filters may not use, but for `tags`, the name of the list that `any` may ask for a tag."""

    type_name: str
    by_name: Mapping[str, Property]
    unfilterable: frozenset[str] = frozenset()
    tags: str = ""

    def named(self, field: Field) -> Property:
        """The property of a field. KeyError where this resource does not offer it."""
        for candidate in self.by_name.values():
            if candidate.field is field:
                return candidate
        raise KeyError(field)


def by_name(properties: Iterable[Property]) -> dict[str, Property]:
    """Index declarations by their case-sensitive names."""
    return {declared.name: declared for declared in properties}


def spelled(members: Iterable[StrEnum]) -> dict[str, StrEnum]:
    """Members under the spelling of `/api/incidents`, which is their value."""
    return {member.value: member for member in members}


def spelled_camel(members: Iterable[StrEnum]) -> dict[str, StrEnum]:
    """Members as Graph spells them: the first letter in lower case."""
    return {member.value[:1].lower() + member.value[1:]: member for member in members}
