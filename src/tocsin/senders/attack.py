"""ATT&CK vocabulary: tactics and techniques in any spelling, and the API's category for each tactic."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from tocsin.senders.bounds import LIST_MAX

DEFAULT_CATEGORY: Final = "SuspiciousActivity"

# Tactic: (id, the category the API has for it). The API's list (`incidents-api.md` 2.2) is older than some
# tactics: those take the nearest category. `stealth` and `defense-impairment` are the two halves that
# ATT&CK 19 made of defense evasion.
_TACTICS: Final = {
    "reconnaissance": ("TA0043", "Discovery"),
    "resource-development": ("TA0042", DEFAULT_CATEGORY),
    "initial-access": ("TA0001", "InitialAccess"),
    "execution": ("TA0002", "Execution"),
    "persistence": ("TA0003", "Persistence"),
    "privilege-escalation": ("TA0004", "PrivilegeEscalation"),
    "defense-evasion": ("TA0005", "DefenseEvasion"),
    "stealth": ("TA0005", "DefenseEvasion"),
    "defense-impairment": ("TA0112", "DefenseEvasion"),
    "credential-access": ("TA0006", "CredentialAccess"),
    "discovery": ("TA0007", "Discovery"),
    "lateral-movement": ("TA0008", "LateralMovement"),
    "collection": ("TA0009", "Collection"),
    "command-and-control": ("TA0011", "CommandAndControl"),
    "exfiltration": ("TA0010", "Exfiltration"),
    "impact": ("TA0040", "Impact"),
    "inhibit-response-function": ("TA0107", "Impact"),
    "impair-process-control": ("TA0106", "Impact"),
}
_SEPARATORS: Final = str.maketrans("", "", " -_&")
_BY_FOLDED: Final = {name.replace("-", ""): name for name in _TACTICS} | {
    "commandcontrol": "command-and-control",
    "c2": "command-and-control",
    "preattack": "reconnaissance",
    "exploitation": "initial-access",
    "probing": "reconnaissance",
}
_BY_ID: Final = {number: name for name, (number, _) in reversed(_TACTICS.items())}
_WORD_START: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
_KEBAB: Final = re.compile(r"[a-z]+(?:-[a-z]+)*")
_TECHNIQUE: Final = re.compile(r"T\d{4}(?:\.\d{3})?", re.ASCII)


@lru_cache(maxsize=1024)
def tactic(text: str) -> str | None:
    """Short name (`initial-access`) of a tactic written in any usual way, its `TA0001` id included.

    A name that is not known but has a name's form is kept, since the list grows; anything else is None.
    """
    if len(text) > 60:
        return None
    bare = text.strip()
    known = _BY_ID.get(bare.upper()) or _BY_FOLDED.get(bare.translate(_SEPARATORS).lower())
    if known:
        return known
    kebab = _WORD_START.sub("-", bare).replace(" ", "-").replace("_", "-").lower()
    return kebab if _KEBAB.fullmatch(kebab) and kebab not in ("unknown", "none", "other") else None


@lru_cache(maxsize=1024)
def technique(text: str) -> str | None:
    """Id of a technique such as `T1078.004`; None for anything else."""
    bare = text[:40].strip().upper()
    return bare if _TECHNIQUE.fullmatch(bare) else None


def tactics_of(values: Iterable[object]) -> tuple[str, ...]:
    """The tactics among outside values, each once, in their order."""
    return tuple(dict.fromkeys(n for v in values if isinstance(v, str) and (n := tactic(v))))[:LIST_MAX]


def techniques_of(values: Iterable[object]) -> tuple[str, ...]:
    """The techniques among outside values, each once, in their order."""
    return tuple(dict.fromkeys(n for v in values if isinstance(v, str) and (n := technique(v))))[:LIST_MAX]


def category_of(tactics: tuple[str, ...]) -> str | None:
    """The API's category of the first tactic that has one; None where there is none."""
    for name in tactics:
        if name in _TACTICS:
            return _TACTICS[name][1]
    return None
