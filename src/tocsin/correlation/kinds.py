"""The kinds of evidence: how much a shared thing says at first, and how fast that fades.

A prior is the chance-like weight (0 to 1) of sharing one thing of the kind at the same moment, before
specificity; after each half-life it is worth half. The figures are one fixed setting for every tenant
(`docs/correlation/experiments.md`).
"""

from __future__ import annotations

from typing import Final

import msgspec

from tocsin import ticks

SAME_ASSET: Final = "sameAsset"
SHARED_INDICATORS: Final = "sharedIndicators"
SIMILAR_ARTIFACTS: Final = "similarArtifacts"
TEMPORAL_PROXIMITY: Final = "temporalProximity"
LATERAL_MOVEMENT_PATH: Final = "lateralMovementPath"


class Kind(msgspec.Struct, frozen=True, eq=False):
    """`half_life` is in ticks. `label` is how a person reads it; `reason` is the word of Graph's correlation
    vocabulary. `gap` (ticks, 0 where only time counts) is the least pause worth telling apart on it: see `decay`.

    `strangers` is the mean ticks between unrelated uses of one such thing; 0 for an asset, which shows it itself.
    `spreads` is False where being seen in many places says nothing against the evidence, `tempo` where what an
    incident has shown so far says nothing about it: all happens at once.
    """

    name: str
    label: str
    prior: float
    half_life: int
    reason: str
    gap: int = 0
    strangers: int = 0
    spreads: bool = True
    tempo: bool = True

    @property
    def is_asset(self) -> bool:
        """Whether it is where things happen, related or not."""
        return self.gap != 0 and self.strangers == 0


PROCESS: Final = Kind("process", "process", 0.90, 6 * ticks.HOUR, SIMILAR_ARTIFACTS, 20 * ticks.SECOND, 4 * ticks.DAY)
MAIL: Final = Kind("mail", "mail message", 0.95, 72 * ticks.HOUR, SHARED_INDICATORS)
SESSION: Final = Kind("session", "logon session", 0.80, 6 * ticks.HOUR, LATERAL_MOVEMENT_PATH)
URL: Final = Kind("url", "url", 0.75, 72 * ticks.HOUR, SHARED_INDICATORS)
SCRIPT: Final = Kind("script", "script", 0.70, 12 * ticks.HOUR, SIMILAR_ARTIFACTS)
DEVICE: Final = Kind("device", "device", 0.85, 12 * ticks.HOUR, SAME_ASSET, 20 * ticks.SECOND)
USER: Final = Kind("user", "user", 0.70, 12 * ticks.HOUR, SAME_ASSET, 60 * ticks.SECOND)
PUBLIC_IP: Final = Kind("publicIp", "public address", 0.60, 12 * ticks.HOUR, SHARED_INDICATORS, 120 * ticks.SECOND)
PRIVATE_IP: Final = Kind("privateIp", "private address", 0.35, 12 * ticks.HOUR, SAME_ASSET, 60 * ticks.SECOND)
HOST_IP: Final = Kind("hostIp", "host address", 0.60, 12 * ticks.HOUR, SAME_ASSET, 20 * ticks.SECOND)
FILE: Final = Kind("file", "file hash", 0.60, 24 * ticks.HOUR, SIMILAR_ARTIFACTS, 20 * ticks.SECOND, 14 * ticks.DAY)
SENDER: Final = Kind("sender", "mail sender", 0.60, 48 * ticks.HOUR, SHARED_INDICATORS)
SUBJECT: Final = Kind("subject", "mail subject", 0.30, 24 * ticks.HOUR, SHARED_INDICATORS)
CLUSTER: Final = Kind("cluster", "mail cluster", 0.60, 48 * ticks.HOUR, SHARED_INDICATORS)
DOMAIN: Final = Kind("domain", "domain", 0.50, 24 * ticks.HOUR, SHARED_INDICATORS)
APPLICATION: Final = Kind("application", "OAuth application", 0.70, 72 * ticks.HOUR, SHARED_INDICATORS)
RESOURCE: Final = Kind("resource", "cloud resource", 0.70, 12 * ticks.HOUR, SAME_ASSET, 60 * ticks.SECOND)
GROUP: Final = Kind("group", "security group", 0.30, 6 * ticks.HOUR, SIMILAR_ARTIFACTS)
SERVICE: Final = Kind("service", "service", 0.40, 12 * ticks.HOUR, SIMILAR_ARTIFACTS)
TASK: Final = Kind("task", "scheduled task", 0.40, 12 * ticks.HOUR, SIMILAR_ARTIFACTS)
PATH: Final = Kind("path", "file path", 0.35, 6 * ticks.HOUR, SIMILAR_ARTIFACTS)
PIPE: Final = Kind("pipe", "named pipe", 0.30, 6 * ticks.HOUR, SIMILAR_ARTIFACTS)
COMMAND: Final = Kind("command", "command line", 0.30, 2 * ticks.HOUR, SIMILAR_ARTIFACTS)
REGISTRY: Final = Kind("registry", "registry value", 0.20, 2 * ticks.HOUR, SIMILAR_ARTIFACTS)
MALWARE: Final = Kind("malware", "malware name", 0.20, 24 * ticks.HOUR, SIMILAR_ARTIFACTS)
SHARE: Final = Kind("share", "share", 0.10, 2 * ticks.HOUR, SIMILAR_ARTIFACTS)
GENERIC_USER: Final = Kind("genericUser", "common account", 0.10, ticks.HOUR, SAME_ASSET)
GENERIC_DEVICE: Final = Kind("genericDevice", "common device", 0.10, ticks.HOUR, SAME_ASSET)
GENERIC_IP: Final = Kind("genericIp", "common address", 0.10, ticks.HOUR, SHARED_INDICATORS)
GENERIC_FILE: Final = Kind("genericFile", "common program", 0.05, ticks.HOUR, SIMILAR_ARTIFACTS)
"""What a tenant said is common (`tuning`)."""
ALWAYS: Final = Kind("always", "joining rule", 1.0, ticks.HOUR, SIMILAR_ARTIFACTS, spreads=False)
"""A rule of the tenant's that joins; its half-life is made of the rule's own span (`tuned`)."""
RULE: Final = Kind("rule", "rule", 0.0, ticks.HOUR, TEMPORAL_PROXIMITY)
REPEAT: Final = Kind(
    "repeat",
    "rule for the same address",
    0.60,
    240 * ticks.MINUTE,
    TEMPORAL_PROXIMITY,
    90 * ticks.SECOND,
    spreads=False,
    tempo=False,
)
"""The same rule again at one of two ends, where a sensor knows no devices: a scan, or a spray at one target."""
SEQUEL: Final = Kind("sequel", "same finding again", 0.60, 2 * ticks.MINUTE, TEMPORAL_PROXIMITY, spreads=False)
"""An alert that names nothing but hosts, and soon after it the same again: a flood, however busy its host is."""
MOMENT: Final = Kind(
    "moment", "quiet moment", 0.40, 80 * ticks.MINUTE, TEMPORAL_PROXIMITY, 30 * ticks.SECOND, spreads=False, tempo=False
)
"""The tenant itself: two alerts at one moment, in a tenant where little happens. Never enough alone."""
STRANGE: Final = Kind(
    "strange",
    "unusual moment",
    0.80,
    5 * ticks.MINUTE,
    TEMPORAL_PROXIMITY,
    60 * ticks.SECOND,
    spreads=False,
    tempo=False,
)
"""Something nearly unseen on a host, right after such a thing on another (`unusual`)."""
ODD: Final = Kind(
    "odd", "unusual moment", 0.70, 5 * ticks.MINUTE, TEMPORAL_PROXIMITY, 60 * ticks.SECOND, spreads=False, tempo=False
)
