"""What a visitor asks of the queue: the address of a page ↔ filters, place in the list, and the expression they mean.

Places are times of change (ticks), which are unique in a tenant: a page that is turned while incidents change
neither repeats nor skips one. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from tocsin.errors import InvalidInput, InvalidQuery
from tocsin.model import IncidentStatus, Severity
from tocsin.odata import INCIDENT_OPTIONS, And, Compare, Expression, Field, OneOf, Operator, Order, parse_options

PAGE: Final = 50
URGENT_LOOKED_AT: Final = 2_000
"""Incidents of the newest changes that are put in the order of their priority: a look has a bounded price."""
WORDS_LENGTH_MAX: Final = 200
SEVERITIES: Final = (Severity.HIGH, Severity.MEDIUM, Severity.LOW, Severity.INFORMATIONAL)
STATUSES: Final = (IncidentStatus.ACTIVE, IncidentStatus.IN_PROGRESS, IncidentStatus.RESOLVED)

_NAMES: Final = frozenset({"severity", "status", "merged", "$filter", "order", "older", "newer"})
_COMPARISON: Final = re.compile(r"\S\s+(?:eq|ne|gt|ge|lt|le)(?:\s|$)", re.ASCII)
_UNQUOTED: Final = re.compile(r"\s(?:eq|ne|gt|ge|lt|le)\s+([A-Za-z]+)\b", re.ASCII)
_NUMBER: Final = re.compile(r"\s*#?([0-9]{1,18})\s*", re.ASCII)
_TICKS: Final = re.compile(r"[0-9]{1,18}", re.ASCII)
_Choice = TypeVar("_Choice", Severity, IncidentStatus)
_POSITION: Final = re.compile(r" at (?:position )?'?([0-9]{1,4})'?(?= in '|$|,)")


class FilterError(msgspec.Struct, frozen=True):
    """What is wrong with the text of a filter; `caret` is a line to print below it, or empty."""

    message: str
    caret: str


class Words(msgspec.Struct, frozen=True):
    """A filter that is no OData: words to look for in names."""

    text: str


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A queue page. `older` and `newer` are the time of change beyond which it begins, 0 for "not said".

    `urgent` puts the highest priority first, of what is not resolved where no status is chosen.
    """

    severities: tuple[Severity, ...] = ()
    statuses: tuple[IncidentStatus, ...] = ()
    merged: bool = False
    text: str = ""
    urgent: bool = False
    older: int = 0
    newer: int = 0

    @property
    def narrowed(self) -> bool:
        """Whether anything but the default is asked for."""
        return bool(self.severities or self.statuses or self.text)

    def address(self, **changes: object) -> str:
        """The query string of this page with changes, from its beginning unless a place is among them."""
        asked = msgspec.structs.replace(self, **{"older": 0, "newer": 0, **changes})
        pairs: list[tuple[str, str]] = [("severity", each.value) for each in asked.severities]
        pairs += [("status", each.value) for each in asked.statuses]
        pairs += [("merged", "1")] if asked.merged else []
        pairs += [("$filter", asked.text)] if asked.text else []
        pairs += [("order", "priority")] if asked.urgent else []
        pairs += [(name, str(at)) for name, at in (("older", asked.older), ("newer", asked.newer)) if at]
        return f"?{urlencode(pairs)}" if pairs else ""

    def toggled(self, value: Severity | IncidentStatus) -> str:
        """The address with one chip switched."""
        if isinstance(value, Severity):
            return self.address(severities=_switched(SEVERITIES, self.severities, value))
        return self.address(statuses=_switched(STATUSES, self.statuses, value))


def read_asked(parameters: Sequence[tuple[str, str]]) -> Asked:
    """Read the decoded pairs of a query string; of what may be said once, the last counts.

    Raises InvalidInput for a name or value that no link of ours has.
    """
    last = dict(parameters)
    if unknown := [name for name in last if name not in _NAMES]:
        raise InvalidInput(f"This page takes no parameter named {unknown[0][:40]!r}.")
    if last.get("order", "") not in ("", "priority"):
        raise InvalidInput(
            f"The order {last['order'][:40]!r} is not known; there is priority, and none for the newest."
        )
    return Asked(
        severities=_chosen(SEVERITIES, [value for name, value in parameters if name == "severity"]),
        statuses=_chosen(STATUSES, [value for name, value in parameters if name == "status"]),
        merged=last.get("merged", "") == "1",
        text=last.get("$filter", "").strip(),
        urgent=last.get("order", "") == "priority",
        older=_place(last.get("older", "")),
        newer=_place(last.get("newer", "")),
    )


def read_filter(text: str) -> Expression | Words | FilterError | None:
    """What the text box means: an OData filter, the number of an incident, or words; None where it is empty."""
    if not text:
        return None
    if number := _NUMBER.fullmatch(text):
        return Compare(Field.INCIDENT_ID, Operator.EQ, int(number[1]))
    try:
        return parse_options(b"$filter=" + quote(text, safe="", errors="replace").encode(), INCIDENT_OPTIONS).filter
    except InvalidQuery as error:
        return _told(text, str(error)) if _is_odata(text) else Words(text[:WORDS_LENGTH_MAX])


def _is_odata(text: str) -> bool:
    """Whether a text that is no valid filter was meant as one: it compares or calls something."""
    return bool(set("()=<>") & set(text) or _COMPARISON.search(text))


def expression_of(asked: Asked, filter_: Expression | None) -> Expression | None:
    """Everything that narrows the list, in one expression."""
    terms: list[Expression] = []
    if asked.severities:
        terms.append(OneOf(Field.SEVERITY, asked.severities))
    if asked.statuses:
        shown = asked.statuses + ((IncidentStatus.REDIRECTED,) if asked.merged else ())
        terms.append(OneOf(Field.STATUS, shown))
    elif asked.urgent:
        terms.append(OneOf(Field.STATUS, (IncidentStatus.ACTIVE, IncidentStatus.IN_PROGRESS)))
    elif not asked.merged:
        terms.append(Compare(Field.STATUS, Operator.NE, IncidentStatus.REDIRECTED))
    if asked.older:
        terms.append(Compare(Field.LAST_UPDATE, Operator.LT, asked.older))
    elif asked.newer:
        terms.append(Compare(Field.LAST_UPDATE, Operator.GT, asked.newer))
    if isinstance(filter_, And):
        terms.extend(filter_.terms)
    elif filter_ is not None:
        terms.append(filter_)
    return And(tuple(terms)) if len(terms) > 1 else next(iter(terms), None)


def order_of(asked: Asked) -> Order | None:
    """Turning back reads upwards from the place, so that the page next to it comes and not the newest."""
    return Order(Field.LAST_UPDATE, descending=False) if asked.newer and not asked.older else None


def _chosen(offered: Sequence[_Choice], values: Sequence[str]) -> tuple[_Choice, ...]:
    by_value = {each.value: each for each in offered}
    if unknown := [value for value in values if value not in by_value]:
        raise InvalidInput(f"{unknown[0][:40]!r} is not one of {', '.join(by_value)}.")
    return tuple(each for each in offered if each.value in values)


def _switched(offered: Sequence[_Choice], chosen: Sequence[_Choice], value: _Choice) -> tuple[_Choice, ...]:
    return tuple(each for each in offered if (each in chosen) != (each is value))


def _place(text: str) -> int:
    if text and not _TICKS.fullmatch(text):
        raise InvalidInput("The place in the list is not a number.")
    return int(text or 0)


def _told(text: str, message: str) -> FilterError:
    found = _POSITION.search(message)
    sentence = message.replace(f" in '{text}'", "")
    bare = next((each for each in _UNQUOTED.findall(text) if f"'{each}'" in message), "")
    if bare and bare.lower() not in ("null", "true", "false"):
        sentence += f" Put text in quotes: '{bare}'."
    if found is None or int(found[1]) > min(len(text), 200) or not text.isprintable():
        return FilterError(sentence, "")
    return FilterError(sentence, " " * int(found[1]) + "^")
