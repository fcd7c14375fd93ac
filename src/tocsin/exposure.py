"""Which group a device belongs to: what is known of it, what a group's rule asks, and which group is first to match.

Pure. Rules compare without regard to case. How a group becomes sight: `access.Grant`; where both are kept:
`stores/sqlite/groups.py`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final

import msgspec

from tocsin.access import UNGROUPED
from tocsin.errors import InvalidInput
from tocsin.model import Device

VALUES_MAX: Final = 200
"""Values of one kind in a rule."""
TEXT_MAX: Final = 255
TAGS_MAX: Final = 100
GROUPS_MAX: Final = 500

_DOMAIN: Final = re.compile(r"[^\s.*?]+(?:\.[^\s.*?]+)*")
_SAYS_NOTHING: Final = frozenset({"", "other", "unknown"})


class DeviceFacts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What rules ask of a device, in folded case. `name` is its whole DNS name (or its address), `domain` what follows
    the first label. Empty where nothing is known."""

    name: str = ""
    domain: str = ""
    os: str = ""
    tags: tuple[str, ...] = ()

    @classmethod
    def of(cls, device: Device) -> DeviceFacts:
        """The facts of a device as one alert has it. What is over the bounds is cut."""
        name = _folded(device.device_dns_name)[:TEXT_MAX].rstrip(".")
        os = _folded_os(device.os_platform)[:TEXT_MAX]
        tags = {_folded(tag)[:TEXT_MAX] for tag in device.tags[:TAGS_MAX]} - {""}
        return cls(
            name=name,
            domain="" if _is_address(name) else name.partition(".")[2],
            os="" if os in _SAYS_NOTHING else os,
            tags=tuple(sorted(tags)),
        )

    @property
    def host(self) -> str:
        """The name without the domain."""
        return self.name.removesuffix(f".{self.domain}") if self.domain else self.name

    def over(self, earlier: DeviceFacts) -> DeviceFacts:
        """These facts, and the earlier ones where these say nothing: not every sensor knows tags or the system."""
        if not self.name or (not self.domain and self.name == earlier.host):
            name, domain = earlier.name, earlier.domain
        else:
            name, domain = self.name, self.domain
        return DeviceFacts(name=name, domain=domain, os=self.os or earlier.os, tags=self.tags or earlier.tags)


class DeviceRule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a group asks of its devices, in folded case. A kind that has values must be met by one of them; a rule
    without any matches nothing.

    `names` and `os` may hold `*` (any text) and `?` (one character); a name is met by the whole name or by that
    without its domain. `domains` include what is below them.
    """

    names: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    os: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether it asks nothing, and so matches nothing."""
        return not (self.names or self.tags or self.domains or self.os)


class DeviceGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Rank 1 is the highest: of the groups whose rule matches a device, that with the least number has it."""

    group_id: int
    name: str
    rank: int
    rule: DeviceRule


class Finding(msgspec.Struct, frozen=True):
    """How one kind of condition went: `met_by` is the value of the rule that was met, None where none was."""

    kind: str
    wanted: tuple[str, ...]
    met_by: str | None


_facts_decoder: Final = msgspec.json.Decoder(DeviceFacts)
_rule_decoder: Final = msgspec.json.Decoder(DeviceRule)


def encode_facts(facts: DeviceFacts) -> str:
    """As the store keeps them."""
    return msgspec.json.encode(facts).decode()


def decode_facts(text: str | bytes) -> DeviceFacts:
    """What `encode_facts` wrote; keys of a newer version are passed over."""
    return _facts_decoder.decode(text)


def encode_rule(rule: DeviceRule) -> str:
    """As the store keeps it."""
    return msgspec.json.encode(rule).decode()


def decode_rule(text: str | bytes) -> DeviceRule:
    """What `encode_rule` wrote. A rule with a condition that this version does not know matches nothing: without it
    the rest could match too much."""
    try:
        return _rule_decoder.decode(text)
    except msgspec.ValidationError:
        return DeviceRule()


def parse_rule(
    *,
    names: Iterable[str] = (),
    tags: Iterable[str] = (),
    domains: Iterable[str] = (),
    os: Iterable[str] = (),
) -> DeviceRule:
    """A rule of what a person wrote. Raises InvalidInput naming the value, and for a rule that asks nothing."""
    rule = DeviceRule(
        names=_values("name", names, lambda text: _folded(text).rstrip(".")),
        tags=_values("tag", tags, _folded),
        domains=_values("domain", domains, _parse_domain),
        os=_values("os", os, _folded_os),
    )
    if rule.is_empty:
        raise InvalidInput(
            "a device group needs a condition: a name, tag, domain or os; the name * matches every device that has one"
        )
    return rule


def _values(kind: str, texts: Iterable[str], fold: Callable[[str], str]) -> tuple[str, ...]:
    values = []
    for text in texts:
        value = fold(text)
        if not value or len(value) > TEXT_MAX or not value.isprintable():
            raise InvalidInput(f"{text[:60]!r} is no {kind} of a device: 1 to {TEXT_MAX} printable characters are")
        values.append(value)
    if len(values) > VALUES_MAX:
        raise InvalidInput(f"a rule may have {VALUES_MAX} values of one kind, not {len(values)} for {kind}")
    return tuple(dict.fromkeys(values))


def _parse_domain(text: str) -> str:
    value = _folded(text).removeprefix("*").strip(".")
    if not _DOMAIN.fullmatch(value):
        raise InvalidInput(
            f"{text[:60]!r} is no domain: write one like corp.example.org, which includes all below it; "
            "for patterns use names"
        )
    return value


def findings(rule: DeviceRule, facts: DeviceFacts) -> tuple[Finding, ...]:
    """How each kind of condition that the rule has goes for a device, for a person to read."""
    return tuple(Finding(each.kind, each.values, each.met_by(facts)) for each in _conditions(rule))


def matches(rule: DeviceRule, facts: DeviceFacts) -> bool:
    """Whether a device meets a rule."""
    conditions = _conditions(rule)
    return bool(conditions) and all(each.met_by(facts) is not None for each in conditions)


class Grouping:
    """The groups of a tenant made ready for many devices."""

    def __init__(self, groups: Iterable[DeviceGroup]) -> None:
        ranked = sorted(groups, key=lambda group: (group.rank, group.group_id))
        self._ranked = [(group.group_id, _conditions(group.rule)) for group in ranked if not group.rule.is_empty]

    def group_of(self, facts: DeviceFacts) -> int:
        """The id of the first group by rank whose rule the device meets; UNGROUPED for none."""
        for group_id, conditions in self._ranked:
            for each in conditions:
                if each.met_by(facts) is None:
                    break
            else:
                return group_id
        return UNGROUPED


def group_of(facts: DeviceFacts, groups: Iterable[DeviceGroup]) -> int:
    """As `Grouping.group_of`, for one device."""
    return Grouping(groups).group_of(facts)


class _Condition:
    """One kind of condition, with its patterns made ready."""

    __slots__ = ("kind", "met_by", "values")

    def __init__(self, kind: str, values: tuple[str, ...], met_by: Callable[[DeviceFacts], str | None]) -> None:
        self.kind, self.values, self.met_by = kind, values, met_by


@lru_cache(maxsize=2 * GROUPS_MAX)
def _conditions(rule: DeviceRule) -> tuple[_Condition, ...]:
    # The cheapest question first: most groups are passed over at it.
    every = (
        _Condition("tag", rule.tags, _tag_test(rule.tags)),
        _Condition("domain", rule.domains, _domain_test(rule.domains)),
        _Condition("os", rule.os, _os_test(rule.os)),
        _Condition("name", rule.names, _name_test(rule.names)),
    )
    return tuple(each for each in every if each.values)


def _tag_test(wanted: tuple[str, ...]) -> Callable[[DeviceFacts], str | None]:
    known = frozenset(wanted)
    return lambda facts: next((tag for tag in facts.tags if tag in known), None)


def _domain_test(wanted: tuple[str, ...]) -> Callable[[DeviceFacts], str | None]:
    known = frozenset(wanted)

    def met_by(facts: DeviceFacts) -> str | None:
        domain = facts.domain
        while domain:
            if domain in known:
                return domain
            domain = domain.partition(".")[2]
        return None

    return met_by


def _os_test(wanted: tuple[str, ...]) -> Callable[[DeviceFacts], str | None]:
    find = _pattern_finder(wanted)
    return lambda facts: find(facts.os) if facts.os else None


def _name_test(wanted: tuple[str, ...]) -> Callable[[DeviceFacts], str | None]:
    find = _pattern_finder(wanted)

    def met_by(facts: DeviceFacts) -> str | None:
        if not facts.name:
            return None
        found = find(facts.name)
        return find(facts.host) if found is None and facts.domain else found

    return met_by


def _pattern_finder(patterns: tuple[str, ...]) -> Callable[[str], str | None]:
    """Gives the first pattern that a text fits: all are tried at once, and only a text that fits asks which it was."""
    each = [(pattern, re.compile(_expression(pattern), re.DOTALL)) for pattern in patterns]
    if not each:
        return lambda text: None
    any_of = re.compile("|".join(f"(?:{_expression(pattern)})" for pattern in patterns), re.DOTALL)

    def find(text: str) -> str | None:
        if any_of.fullmatch(text) is None:
            return None
        return next(pattern for pattern, expression in each if expression.fullmatch(text))

    return find


def _expression(pattern: str) -> str:
    # Atomic groups: what stands between two stars is best met at its first place, so nothing need be tried again
    # there, and no pattern takes more than its length times the text's.
    first, *rest = ["".join("." if char == "?" else re.escape(char) for char in part) for part in pattern.split("*")]
    if not rest:
        return first
    between = "".join(f"(?>.*?{part})" for part in rest[:-1] if part)
    return f"{first}{between}.*{rest[-1]}"


def _folded(text: str) -> str:
    return text.strip().casefold()


def _folded_os(text: str) -> str:
    return _folded(text).replace(" ", "")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
