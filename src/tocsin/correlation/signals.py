"""What the priority of an incident is made of, gathered alert by alert, bounded whatever the history.

In charge of what an alert adds: findings (a rule on an asset), how critical its assets are, what confirms it as
bad, and what else was unusual at the time. What that is worth is `priority`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from tocsin.correlation.evidence import DEVICES_READ_MAX, ENTITIES_READ_MAX, Evidence
from tocsin.correlation.habit import Surprise
from tocsin.correlation.kinds import DEVICE, GENERIC_DEVICE, HOST_IP, RESOURCE, USER
from tocsin.correlation.unusual import Unrest, is_strange
from tocsin.model import Alert

FINDINGS_MAX: Final = 32
ASSETS_MAX: Final = 8
TAGS_MAX: Final = 16
TAG_MAX: Final = 64
TITLE_MAX: Final = 120
MOMENT_FULL: Final = 120.0
"""Bits of others' surprise, within about twenty minutes, that count as a full strange moment."""
CRITICAL_TAGS: Final = {
    "tier0": 3, "tier-0": 3, "tier 0": 3, "crown-jewel": 3, "domain-controller": 3, "critical": 3,
    "tier1": 2, "tier-1": 2, "tier 1": 2, "high-value": 2, "server": 1,
}  # fmt: skip
"""Device tags that say how critical it is; 3 is the most."""
QUIET_SHARE: Final = 0.5
"""How much of what is unusual for the asset itself, whatever the rule, adds to the bits of a finding."""
NOBODY: Final = 0
"""The asset of an alert that names none."""


class Finding(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A rule (its evidence key) fired on an asset (evidence key, or NOBODY).

    `severity` is the highest `Severity.rank`. `bits` and `share` are of the first time in this incident: a story
    that goes on does not make itself usual.
    """

    rule: int
    asset: int
    title: str
    severity: int
    bits: float
    share: float


class Signals(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """`criticality` is 0 to 3, the highest of the devices. `threat` names what confirmed it as bad, else empty.

    `moment` (0 to 1) is how much that is unusual happened elsewhere in the tenant at the time; `own` is the
    incident's own part in the tenant's unrest. `tags` are those of its devices, in lower case, for a tenant that
    says later what they mean.
    """

    findings: tuple[Finding, ...] = ()
    criticality: int = 0
    threat: str = ""
    moment: float = 0.0
    own: Unrest = Unrest()
    tags: tuple[str, ...] = ()


def assets_of(evidence: Sequence[Evidence]) -> tuple[int, ...]:
    """The keys of what an alert happened to: its devices, else host addresses, else accounts or cloud resources."""
    for kinds in ((DEVICE, GENERIC_DEVICE), (HOST_IP,), (USER, RESOURCE)):
        if found := [each.key for each in evidence if each.kind in kinds]:
            return tuple(found[:ASSETS_MAX])
    return (NOBODY,)


def with_alert(
    signals: Signals,
    alert: Alert,
    rule: int,
    surprises: Mapping[int, Surprise],
    unrest: Unrest,
) -> tuple[Signals, Unrest]:
    """The signals after this alert, and the tenant's unrest. Surprises are by asset.

    A finding that the incident has already stirs nothing: a flood is one surprise.
    """
    rank = alert.severity.rank
    new, fresh = [], False
    for asset, surprise in surprises.items():
        known = _known(signals.findings, rule, asset)
        fresh = fresh or known is None
        if known is None or rank > known.severity:
            new.append(Finding(rule, asset, alert.title[:TITLE_MAX], rank, _bits(surprise), surprise.share))
    tags = tags_together(signals.tags, tags_of(alert))
    criticality = signals.criticality if tags is signals.tags else max(signals.criticality, criticality_of(tags))
    threat = signals.threat or threat_of(alert)
    if not new and tags is signals.tags and threat == signals.threat:
        return signals, unrest
    at, moment, own = alert.first_activity, signals.moment, signals.own
    if fresh:
        others = unrest.level(at) - own.level(at)
        moment = max(moment, round(min(1.0, max(0.0, others) / MOMENT_FULL), 3))
        stir = max([each.bits if is_strange(each) else 0.0 for each in surprises.values()])
        own, unrest = own.stirred(at, stir), unrest.stirred(at, stir)
    return Signals(_together(signals.findings, new), criticality, threat, moment, own, tags), unrest


def new_assets(signals: Signals, surprises: Iterable[int]) -> list[int]:
    """The assets that no finding of the incident is about; none where so many are kept that some were dropped."""
    if len(signals.findings) >= FINDINGS_MAX:
        return []
    known = {each.asset for each in signals.findings}
    return [asset for asset in surprises if asset not in known]


def _bits(surprise: Surprise) -> float:
    return max(0.0, round(surprise.bits + QUIET_SHARE * surprise.quiet, 3))


def _known(findings: tuple[Finding, ...], rule: int, asset: int) -> Finding | None:
    for each in findings:
        if each.rule == rule and each.asset == asset:
            return each
    return None


def merged_signals(target: Signals, source: Signals) -> Signals:
    """The signals of two incidents that become one. The lesser moment holds: what was elsewhere may be inside now."""
    return Signals(
        _together(target.findings, source.findings),
        max(target.criticality, source.criticality),
        target.threat or source.threat,
        min(target.moment, source.moment),
        target.own.joined(source.own),
        tags_together(target.tags, source.tags),
    )


def tags_of(alert: Alert) -> list[str]:
    """The tags of the alert's devices, in lower case."""
    return [tag.strip().lower()[:TAG_MAX] for device in alert.devices[:DEVICES_READ_MAX] for tag in device.tags]


def tags_together(known: tuple[str, ...], more: Iterable[str]) -> tuple[str, ...]:
    """Both, each once, the same object where nothing is new; of too many the most critical, then those known first."""
    new = [tag for tag in dict.fromkeys(more) if tag and tag not in known]
    if not new:
        return known
    kept = tuple(sorted((*known, *new), key=lambda tag: -CRITICAL_TAGS.get(tag, 0))[:TAGS_MAX])
    return known if kept == known else kept


def criticality_of(tags: Iterable[str]) -> int:
    """The highest criticality that tags tell, 0 to 3."""
    return max([CRITICAL_TAGS.get(tag, 0) for tag in tags], default=0)


def threat_of(alert: Alert) -> str:
    """What the sender says is behind it: an actor, a malware family or a malicious entity; else empty."""
    if alert.actor_name:
        return f"actor {alert.actor_name}"
    if alert.threat_family_name:
        return f"threat {alert.threat_family_name}"
    for entity in alert.entities[:ENTITIES_READ_MAX]:
        if entity.verdict and entity.verdict.lower() == "malicious":
            return f"a malicious {entity.entity_type}"
    return ""


def finding_order(finding: Finding) -> tuple[float, int, int, int]:
    """The most telling findings first: by surprise, then severity; the keys only make it definite."""
    return -finding.bits, -finding.severity, finding.rule, finding.asset


def _together(known: tuple[Finding, ...], more: Sequence[Finding]) -> tuple[Finding, ...]:
    if not known and len(more) == 1:
        return (more[0],)
    found = {(each.rule, each.asset): each for each in known}
    for new in more:
        old = found.get((new.rule, new.asset))
        if old is None:
            found[new.rule, new.asset] = new
        elif new.severity > old.severity:
            found[new.rule, new.asset] = msgspec.structs.replace(old, severity=new.severity)
    return tuple(sorted(found.values(), key=finding_order)[:FINDINGS_MAX])
