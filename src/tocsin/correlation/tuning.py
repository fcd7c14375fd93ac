"""What a tenant may set of its correlation: every knob, its bounds, and its one sentence.

Pure data. `docs/correlation/tuning.md` is made from this file and a test fails when it is stale. What the knobs do to
an alert is `tuned`'s, where they are kept is the store's. An empty `Tuning` changes nothing at all.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from tocsin.errors import InvalidInput
from tocsin.ticks import parse_ticks

PATTERN_MAX: Final = 200
NAMES_MAX: Final = 500
RULES_MAX: Final = 100
TIERS: Final = ("low", "normal", "high", "critical")

Pattern: TypeAlias = Annotated[str, Meta(max_length=PATTERN_MAX)]
Names: TypeAlias = Annotated[tuple[Pattern, ...], Meta(max_length=NAMES_MAX)]
Tier: TypeAlias = Literal["low", "normal", "high", "critical"]
EvidenceName: TypeAlias = Literal[
    "", "device", "account", "address", "file", "process", "url", "domain", "mail", "repeat", "moment"
]
SameThing: TypeAlias = Literal["device", "account", "address", "nothing"]


class Which(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which alerts a rule is about: all that is given must fit. Patterns with `*` and `?`, in any case."""

    rule: Annotated[Pattern, Meta(description="title or detector id of the alert")] = ""
    source: Annotated[Pattern, Meta(description="its service source, e.g. `Wazuh`")] = ""
    device: Annotated[Pattern, Meta(description="the name of one of its devices, in full or up to the first dot")] = ""
    account: Annotated[Pattern, Meta(description="the bare name of one of its accounts")] = ""


class Critical(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How much is at stake where one of these fits; exactly one of the three patterns is given."""

    device: Annotated[Pattern, Meta(description="name of a device, in full or up to the first dot")] = ""
    account: Annotated[Pattern, Meta(description="bare name of an account")] = ""
    tag: Annotated[Pattern, Meta(description="tag of a device")] = ""
    tier: Annotated[Tier, Meta(description="`low`, `normal`, `high` or `critical`; the highest that fits counts")]


class NeverJoin(Which, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Either `by`: such alerts are not joined by this kind of evidence. Or `with_*`: such alerts are not put into an
    incident that has alerts like that, nor are two such incidents merged."""

    by: Annotated[EvidenceName, Meta(description="kind of evidence that shall not join them")] = ""
    with_rule: Annotated[Pattern, Meta(description="title of an alert of the other side")] = ""
    with_source: Annotated[Pattern, Meta(description="service source of the other side")] = ""
    with_device: Annotated[Pattern, Meta(description="device of the other side")] = ""
    with_account: Annotated[Pattern, Meta(description="account of the other side")] = ""


class AlwaysJoin(Which, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Such alerts are joined when they share a device, account or address (or nothing) within so many minutes.

    Guards still hold: a resolved incident takes no alert, and what people took apart stays apart.
    """

    same: Annotated[SameThing, Meta(description="`device`, `account`, `address`, or `nothing`")] = "device"
    within_minutes: Annotated[int, Meta(description="from one alert to the next", ge=1, le=10_080)] = 60


class Suppression(Which, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Such alerts are kept, resolved as expected activity, in an incident of their own that is resolved and tagged
    `suppressed`. They join nothing. When the rule is gone or has expired, later alerts are as any others."""

    until: Annotated[str, Meta(description="moment from which it has expired, e.g. `2026-12-31T00:00:00Z`")]
    reason: Annotated[str, Meta(description="why, for those who come later", min_length=3, max_length=500)]
    by: Annotated[str, Meta(description="who set it; filled in by the command", max_length=256)] = ""


class Tuning(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """All knobs of one tenant."""

    common_accounts: Annotated[
        Names, Meta(description="Accounts that many use (bare names): shared, they hardly count as evidence.")
    ] = ()
    common_binaries: Annotated[
        Names,
        Meta(description="Programs that are everywhere, by file name, path or hash: shared, they hardly count."),
    ] = ()
    common_addresses: Annotated[
        Names, Meta(description="Addresses or networks (CIDR) of proxies, scanners and the like: they hardly count.")
    ] = ()
    common_hosts: Annotated[
        Names, Meta(description="Devices that many use, such as jump hosts: shared, they hardly count.")
    ] = ()
    critical: Annotated[
        tuple[Critical, ...],
        Meta(description="How much is at stake on devices and accounts; part of the priority.", max_length=NAMES_MAX),
    ] = ()
    never_join: Annotated[
        tuple[NeverJoin, ...], Meta(description="Alerts that evidence shall not put together.", max_length=RULES_MAX)
    ] = ()
    always_join: Annotated[
        tuple[AlwaysJoin, ...], Meta(description="Alerts that belong together by rule.", max_length=RULES_MAX)
    ] = ()
    suppress: Annotated[
        tuple[Suppression, ...],
        Meta(description="Alerts that nobody needs to look at, for a time and for a reason.", max_length=RULES_MAX),
    ] = ()
    join_score: Annotated[
        float, Meta(description="Evidence from which an alert joins an incident.", ge=0.2, le=0.95)
    ] = 0.5
    merge_score: Annotated[float, Meta(description="Evidence from which two incidents merge.", ge=0.2, le=0.99)] = 0.7
    merges_max: Annotated[int, Meta(description="Merges that one alert may cause.", ge=0, le=16)] = 4
    incident_alerts_max: Annotated[
        int,
        Meta(description="Alerts one incident may hold, where that is less than the server's setting.", ge=0, le=5_000),
    ] = 0


NO_TUNING: Final = Tuning()
RULE_KINDS: Final[dict[str, type[Any]]] = {
    "critical": Critical,
    "never_join": NeverJoin,
    "always_join": AlwaysJoin,
    "suppress": Suppression,
}
PLAIN_LISTS: Final = ("common_accounts", "common_binaries", "common_addresses", "common_hosts")
_encoder = msgspec.json.Encoder()


def read_tuning(content: bytes | str) -> Tuning:
    """A Tuning of its JSON document, checked. Raises InvalidInput, which says where and what."""
    try:
        return checked(msgspec.json.decode(content, type=Tuning))
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise InvalidInput(f"the tuning cannot be read: {error} (see docs/correlation/tuning.md)") from None


def write_tuning(tuning: Tuning) -> str:
    """Its JSON document; knobs that stand as they are by default are left out."""
    return _encoder.encode(tuning).decode()


def checked(tuning: Tuning) -> Tuning:
    """The tuning, if it makes sense beyond types and bounds. Raises InvalidInput."""
    if tuning.merge_score < tuning.join_score:
        raise InvalidInput("merge_score: merging must need at least as much evidence as joining (join_score)")
    for name in PLAIN_LISTS:
        for each in getattr(tuning, name):
            _check_pattern(name, each)
    for address in tuning.common_addresses:
        network_of(address)
    for name, check in _CHECKS.items():
        for number, rule in enumerate(getattr(tuning, name), 1):
            check(f"{name} {number}", rule)
    return tuning


def network_of(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """The network of an address or CIDR. Raises InvalidInput."""
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise InvalidInput(f"common_addresses: {text[:60]!r} is no address or network like 10.0.0.0/24") from None


def _check_pattern(where: str, text: str) -> None:
    if not text.strip() or not text.strip("*? "):
        raise InvalidInput(f"{where}: a pattern that fits everything is not meant; {text[:40]!r} names nothing")


def _check_which(where: str, rule: Which) -> None:
    given = [each for each in (rule.rule, rule.source, rule.device, rule.account) if each]
    if not given:
        raise InvalidInput(f"{where}: say which alerts: rule, source, device or account")
    for each in given:
        _check_pattern(where, each)


def _check_never(where: str, rule: NeverJoin) -> None:
    _check_which(where, rule)
    other = [each for each in (rule.with_rule, rule.with_source, rule.with_device, rule.with_account) if each]
    if bool(rule.by) == bool(other):
        raise InvalidInput(f"{where}: give either by (a kind of evidence) or with_rule, with_source, with_device ...")
    for each in other:
        _check_pattern(where, each)


def _check_critical(where: str, rule: Critical) -> None:
    given = [each for each in (rule.device, rule.account, rule.tag) if each]
    if len(given) != 1:
        raise InvalidInput(f"{where}: give exactly one of device, account and tag")
    _check_pattern(where, given[0])


def _check_suppression(where: str, rule: Suppression) -> None:
    _check_which(where, rule)
    try:
        parse_ticks(rule.until)
    except ValueError:
        raise InvalidInput(
            f"{where}: until must be a time like 2026-12-31T00:00:00Z, not {rule.until[:40]!r}"
        ) from None


_CHECKS: Final[dict[str, Callable[[str, Any], None]]] = {
    "critical": _check_critical,
    "never_join": _check_never,
    "always_join": _check_which,
    "suppress": _check_suppression,
}


def knob_of(text: str) -> str:
    """The name of a knob as given (`join-score`). Raises InvalidInput that lists them."""
    name = text.strip().lower().replace("-", "_")
    if name not in Tuning.__struct_fields__:
        known = ", ".join(each.replace("_", "-") for each in Tuning.__struct_fields__)
        raise InvalidInput(f"there is no knob {text[:40]!r}; there are {known}")
    return name


def with_value(tuning: Tuning, knob: str, text: str) -> Tuning:
    """With one number set, or a list replaced by a JSON array; `default` goes back. Raises InvalidInput."""
    name = knob_of(knob)
    if text.strip().lower() == "default":
        return _replaced(tuning, name, getattr(NO_TUNING, name))
    try:
        return _replaced(tuning, name, msgspec.json.decode(text))
    except msgspec.DecodeError:
        raise InvalidInput(f"{knob}: {text[:60]!r} is no value for it; see docs/correlation/tuning.md") from None


def with_added(tuning: Tuning, knob: str, values: Iterable[str]) -> Tuning:
    """With names added to a list, or one rule of `field=value` parts. What is there already is not added twice.

    Raises InvalidInput.
    """
    name = _list_of(knob)
    more = [_rule_parts(name, values)] if name in RULE_KINDS else [each.strip() for each in values]
    kept = list(msgspec.to_builtins(getattr(tuning, name)))
    for each in more:
        if each not in kept:
            kept.append(each)
    return _replaced(tuning, name, kept)


def with_removed(tuning: Tuning, knob: str, values: Iterable[str]) -> Tuning:
    """Without these names of a list; rules go by their number, from 1. Raises InvalidInput for what is not there."""
    name = _list_of(knob)
    kept = list(getattr(tuning, name))
    gone = set()
    for text in values:
        index = _index_of(kept, text.strip(), by_number=name in RULE_KINDS)
        if index is None:
            raise InvalidInput(f"{knob} has no {text[:60]!r}; `tocsin tuning show` says what there is")
        gone.add(index)
    return _replaced(tuning, name, msgspec.to_builtins([each for at, each in enumerate(kept) if at not in gone]))


def with_setting(tuning: Tuning, setting: str) -> Tuning:
    """With one setting of `--set`: `knob=value`, `knob+=name`, `knob+=field=value;field=value`, `knob-=name`."""
    knob, found, value = setting.partition("=")
    if not found:
        raise InvalidInput(f"--set takes knob=value, knob+=value or knob-=value, not {setting[:60]!r}")
    if knob.endswith("+"):
        return with_added(tuning, knob[:-1], value.split(";"))
    if knob.endswith("-"):
        return with_removed(tuning, knob[:-1], [value])
    return with_value(tuning, knob, value)


def _list_of(knob: str) -> str:
    name = knob_of(knob)
    if name not in PLAIN_LISTS and name not in RULE_KINDS:
        raise InvalidInput(f"{knob} is one value, not a list: set it")
    return name


def _rule_parts(name: str, values: Iterable[str]) -> dict[str, Any]:
    parts: dict[str, Any] = {}
    for text in values:
        field, found, value = text.partition("=")
        field = field.strip().replace("-", "_")
        if not found or field not in RULE_KINDS[name].__struct_fields__:
            known = ", ".join(RULE_KINDS[name].__struct_fields__)
            raise InvalidInput(f"{name}: a rule is made of field=value, the fields are {known}; not {text[:60]!r}")
        parts[field] = int(value) if field == "within_minutes" and value.strip().isdecimal() else value
    return parts


def _index_of(kept: list[Any], text: str, *, by_number: bool) -> int | None:
    if by_number:
        return int(text) - 1 if text.isdecimal() and 0 < int(text) <= len(kept) else None
    return kept.index(text) if text in kept else None


def _replaced(tuning: Tuning, name: str, value: Any) -> Tuning:
    document = {**msgspec.to_builtins(tuning), name: msgspec.to_builtins(value)}
    try:
        return checked(msgspec.convert(document, Tuning))
    except msgspec.ValidationError as error:
        raise InvalidInput(f"{name.replace('_', '-')}: {error} (see docs/correlation/tuning.md)") from None
