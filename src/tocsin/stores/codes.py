"""How the enumerations of incidents and alerts are kept: as the index of the member in its definition order.

The codes are stored, so members are only ever added at the end of an enumeration (`test_codes.py` pins them).
Severity's codes are its ranks, which is why SQL may compare them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, TypeVar

from tocsin.model import AlertStatus, Classification, Determination, IncidentStatus, ServiceSource, Severity

Coded = TypeVar("Coded", bound=StrEnum)

# One table for each enumeration: members of different ones can be equal as strings.
_CODES: Final[dict[type[StrEnum], dict[str, int]]] = {
    kind: {member: code for code, member in enumerate(kind)}
    for kind in (IncidentStatus, AlertStatus, Severity, Classification, Determination, ServiceSource)
}
_MEMBERS: Final[dict[type[StrEnum], tuple[StrEnum, ...]]] = {kind: tuple(kind) for kind in _CODES}


def encode_enum(member: StrEnum) -> int:
    """The stored code of a member. KeyError for an enumeration that is not kept as codes: a defect."""
    return _CODES[type(member)][member]


def decode_enum(kind: type[Coded], code: int) -> Coded:
    """The member of `kind` with this code. IndexError for a code that nobody gave: a defect or a newer store."""
    if code < 0:
        raise IndexError(code)
    member = _MEMBERS[kind][code]
    assert isinstance(member, kind)
    return member
