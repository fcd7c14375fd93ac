"""A tenant's tuning made ready for alerts: what it does to their evidence, their joins and their weight.

Made once for each version of a tuning. Where nothing is set there is no `Tuned` at all, so nothing is paid.
"""

from __future__ import annotations

import fnmatch
import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from math import log2
from typing import Final

import msgspec

from tocsin import ticks
from tocsin.correlation import kinds
from tocsin.correlation.evidence import KEYS_MAX, TEXT_MAX, Evidence, account_of, key_of
from tocsin.correlation.guards import Limits
from tocsin.correlation.kinds import Kind
from tocsin.correlation.memory import IncidentFacts
from tocsin.correlation.priority import Stake
from tocsin.correlation.tuning import (
    NO_TUNING,
    TIERS,
    AlwaysJoin,
    NeverJoin,
    Suppression,
    Tuning,
    network_of,
)
from tocsin.model import Alert, Classification, IncidentStatus
from tocsin.ticks import parse_ticks

_ADDRESSES: Final = (kinds.PUBLIC_IP, kinds.PRIVATE_IP, kinds.HOST_IP)
_FILES: Final = (kinds.FILE, kinds.PATH)
_DROPPED_BY: Final[dict[str, tuple[Kind, ...]]] = {
    "device": (kinds.DEVICE, kinds.GENERIC_DEVICE, kinds.SEQUEL),
    "account": (kinds.USER, kinds.GENERIC_USER),
    "address": (*_ADDRESSES, kinds.GENERIC_IP),
    "file": (*_FILES, kinds.GENERIC_FILE),
    "process": (kinds.PROCESS, kinds.COMMAND),
    "url": (kinds.URL,),
    "domain": (kinds.DOMAIN,),
    "mail": (kinds.MAIL, kinds.SENDER, kinds.SUBJECT, kinds.CLUSTER),
    "repeat": (kinds.REPEAT, kinds.SEQUEL),
    "moment": (kinds.MOMENT,),
}
_SAME_KINDS: Final[dict[str, tuple[Kind, ...]]] = {
    "device": (kinds.DEVICE, kinds.GENERIC_DEVICE, kinds.HOST_IP),
    "account": (kinds.USER, kinds.GENERIC_USER),
    "address": (*_ADDRESSES, kinds.GENERIC_IP),
    "nothing": (),
}
_WORDS_MAX: Final = 24

Fits = Callable[[str], object]


class _Alerts:
    """Which alerts a rule means, and which incidents hold such ones as far as their facts tell."""

    def __init__(self, rule: str, source: str, device: str, account: str) -> None:
        self._rule, self._source = _fits(rule), _fits(source)
        self._device, self._account = _fits(device), _fits(account)
        given = (("rule", rule), ("source", source), ("device", device), ("account", account))
        self.text = ", ".join([f"{name} {value}" for name, value in given if value])

    def means(self, alert: Alert) -> bool:
        """Whether all that is given fits this alert."""
        if self._rule and not (self._rule(alert.title.lower()) or self._rule(alert.detector_id.lower())):
            return False
        if self._source and not self._source(alert.service_source.lower()):
            return False
        if self._device and not _any_fits(self._device, _device_names(alert)):
            return False
        return not self._account or _any_fits(self._account, _account_names(alert))

    def held_by(self, facts: IncidentFacts) -> bool:
        """Whether all that is given fits something the incident has."""
        if self._rule:
            told = (each.title for each in facts.signals.findings)
            if not _any_fits(self._rule, (title.lower() for title in (*facts.titles, *told))):
                return False
        if self._source and not _any_fits(self._source, (each.lower() for each in facts.sources)):
            return False
        if self._device and not _any_fits(self._device, _with_labels(facts.devices)):
            return False
        return not self._account or _any_fits(self._account, facts.users)


class Tuned:
    """A Tuning in force. Pure: the same alert always gives the same answers."""

    def __init__(self, tuning: Tuning) -> None:
        self.tuning = tuning
        self._accounts = _any_of(tuning.common_accounts)
        self._hosts = _any_of(tuning.common_hosts)
        self._binaries = _any_of(tuning.common_binaries)
        self._hashes = {key_of("hash", each.lower()) for each in tuning.common_binaries}
        self._networks = [network_of(each) for each in tuning.common_addresses]
        self._commons = bool(self._accounts or self._hosts or self._binaries or self._networks)
        never = [(_alerts_of(each), each) for each in tuning.never_join]
        self._never_by = [(alerts, _DROPPED_BY[each.by]) for alerts, each in never if each.by]
        self._never_with = [(alerts, _others_of(each)) for alerts, each in never if not each.by]
        self._always = [_Always(each, tuning.join_score) for each in tuning.always_join]
        self._suppressions = [(_alerts_of(each), parse_ticks(each.until), each) for each in tuning.suppress]
        self._critical = [
            (_fits(each.device), _fits(each.account), _fits(each.tag), TIERS.index(each.tier))
            for each in tuning.critical
        ]
        self._networked: dict[str, bool] = {}

    def limits(self, limits: Limits) -> Limits:
        """The limits with the tenant's own; its cap never exceeds the server's."""
        tuning = self.tuning
        cap = min(tuning.incident_alerts_max or limits.incident_alerts_max, limits.incident_alerts_max)
        return msgspec.structs.replace(
            limits,
            join_score=tuning.join_score,
            merge_score=tuning.merge_score,
            merges_max=tuning.merges_max,
            incident_alerts_max=max(1, cap),
        )

    def evidence(self, alert: Alert, found: tuple[Evidence, ...]) -> tuple[Evidence, ...]:
        """The evidence as this tenant weighs it; the rule stays the first."""
        kept = [self._weighed(each) for each in found] if self._commons else list(found)
        for alerts, dropped in self._never_by:
            if alerts.means(alert):
                kept = [each for each in kept if each.kind not in dropped]
        added: list[Evidence] = []
        for always in self._always:
            if always.alerts.means(alert):
                added.extend(always.evidence(found))
        return tuple(kept) if not added else (*kept[: KEYS_MAX - len(added[:_ALWAYS_MAX])], *added[:_ALWAYS_MAX])

    def _weighed(self, each: Evidence) -> Evidence:
        kind = each.kind
        if kind is kinds.USER:
            common = self._accounts and self._accounts(each.text.lower())
            return msgspec.structs.replace(each, kind=kinds.GENERIC_USER) if common else each
        if kind is kinds.DEVICE:
            common = self._hosts and _any_fits(self._hosts, _with_labels([each.text.lower()]))
            return msgspec.structs.replace(each, kind=kinds.GENERIC_DEVICE) if common else each
        if kind in _ADDRESSES or kind is kinds.REPEAT:
            common = self._networks and self._is_common_address(each.text)
            return msgspec.structs.replace(each, kind=kinds.GENERIC_IP) if common else each
        if kind in _FILES:
            path = each.text.lower()
            names = (path, re.split(r"[\\/]", path)[-1])
            common = each.key in self._hashes or (self._binaries and _any_fits(self._binaries, names))
            return msgspec.structs.replace(each, kind=kinds.GENERIC_FILE) if common else each
        return each

    def _is_common_address(self, text: str) -> bool:
        known = self._networked.get(text)
        if known is None:
            if len(self._networked) >= _ADDRESSES_KNOWN_MAX:
                self._networked.clear()
            known = self._networked[text] = any(_lies_in(text, each) for each in self._networks)
        return known

    def join_obstacle(self, alert: Alert, facts: IncidentFacts) -> str | None:
        """Why a rule keeps this alert out of this incident, or None."""
        for one, other in self._never_with:
            if (one.means(alert) and other.held_by(facts)) or (other.means(alert) and one.held_by(facts)):
                return _kept_apart(one, other)
        return None

    def merge_obstacle(self, here: IncidentFacts, there: IncidentFacts) -> str | None:
        """Why a rule keeps these incidents apart, or None."""
        for one, other in self._never_with:
            if (one.held_by(here) and other.held_by(there)) or (other.held_by(here) and one.held_by(there)):
                return _kept_apart(one, other)
        return None

    def suppression(self, alert: Alert, at: int) -> Suppression | None:
        """The first rule in force at `at` (ticks) that suppresses this alert, or None."""
        for alerts, until, rule in self._suppressions:
            if at < until and alerts.means(alert):
                return rule
        return None

    def stake(self, facts: IncidentFacts) -> Stake | None:
        """The highest tier that is said of the incident's devices, accounts and tags, and what it is said of; None:
        nothing is. Names are those that the facts keep, some dozens."""
        best: Stake | None = None
        for device, account, tag, tier in self._critical:
            if best is not None and tier <= best.tier:
                continue
            found = (
                _named("device", device, facts.devices, with_labels=True)
                or _named("account", account, facts.users)
                or _named("tag", tag, facts.signals.tags)
            )
            best = Stake(tier, found) if found else best
        return best


def _named(noun: str, fits: Fits | None, names: Sequence[str], *, with_labels: bool = False) -> str:
    if fits is not None:
        for name in names:
            if _any_fits(fits, _with_labels([name]) if with_labels else [name]):
                return f"{noun} {name}"
    return ""


class _Always:
    """A joining rule: alerts it means share a key of its own, worth the join score up to the end of its span."""

    def __init__(self, rule: AlwaysJoin, join_score: float) -> None:
        self.alerts = _alerts_of(rule)
        self._same, self._rule = rule.same, rule
        span = rule.within_minutes * ticks.MINUTE
        half_life = max(1, round(span / -log2(join_score)) + 1)
        self._kind: Kind = msgspec.structs.replace(kinds.ALWAYS, half_life=half_life)
        self._mark = f"{self.alerts.text}\0{rule.same}"

    def evidence(self, found: Iterable[Evidence]) -> Iterator[Evidence]:
        values = [str(each.key) for each in found if each.kind in _SAME_KINDS[self._same]]
        for value in [""] if self._same == "nothing" else values:
            key = key_of("always", f"{self._mark}\0{value}")
            yield Evidence(key, self._kind, self.alerts.text[:TEXT_MAX], key)


_ALWAYS_MAX: Final = 16
_ADDRESSES_KNOWN_MAX: Final = 20_000


def tuned_of(tuning: Tuning) -> Tuned | None:
    """The tuning ready for alerts, or None where it changes nothing."""
    return None if tuning == NO_TUNING else Tuned(tuning)


def suppression_key(rule: Suppression) -> int:
    """The key under which the resolved incident of a suppression is remembered."""
    return key_of("suppressed", _alerts_of(rule).text)


def set_aside(facts: IncidentFacts) -> IncidentFacts:
    """The facts of an incident that holds what is suppressed."""
    return msgspec.structs.replace(
        facts, status=IncidentStatus.RESOLVED, classification=Classification.INFORMATIONAL_EXPECTED_ACTIVITY
    )


def is_set_aside(facts: IncidentFacts) -> bool:
    """Whether it still stands as `set_aside` left it: what people opened again takes no more of them."""
    expected = facts.classification == Classification.INFORMATIONAL_EXPECTED_ACTIVITY
    return facts.status == IncidentStatus.RESOLVED and expected and not facts.redirect_to and not facts.assigned_to


def _kept_apart(one: _Alerts, other: _Alerts) -> str:
    return f"a rule of the tenant keeps {one.text} and {other.text} apart"


def _alerts_of(rule: NeverJoin | AlwaysJoin | Suppression) -> _Alerts:
    return _Alerts(rule.rule, rule.source, rule.device, rule.account)


def _others_of(rule: NeverJoin) -> _Alerts:
    return _Alerts(rule.with_rule, rule.with_source, rule.with_device, rule.with_account)


def _fits(pattern: str) -> Fits | None:
    return re.compile(fnmatch.translate(pattern.lower())).match if pattern else None


def _any_of(patterns: Sequence[str]) -> Fits | None:
    """One test of many patterns; names without wildcards are looked up."""
    exact = {each.lower() for each in patterns if not set(each) & set("*?[")}
    wild = [fnmatch.translate(each.lower()) for each in patterns if set(each) & set("*?[")]
    if not wild:
        return exact.__contains__ if exact else None
    matched = re.compile("|".join(wild)).match
    return lambda text: text in exact or matched(text)


def _any_fits(fits: Fits, texts: Iterable[str]) -> bool:
    return any(fits(text) for text in texts)


def _device_names(alert: Alert) -> Iterator[str]:
    return _with_labels([each.device_dns_name.lower() for each in alert.devices[:_WORDS_MAX]])


def _with_labels(names: Iterable[str]) -> Iterator[str]:
    for name in names:
        yield name
        if "." in name:
            yield name.partition(".")[0]


def _account_names(alert: Alert) -> Iterator[str]:
    for entity in alert.entities:
        for name in (entity.account_name, entity.user_principal_name, entity.mailbox_address, entity.recipient):
            if name:
                yield account_of(name)


def _lies_in(text: str, network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    try:
        return ipaddress.ip_address(text.partition("%")[0]) in network
    except ValueError:
        return False
