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


class Kind(msgspec.Struct, frozen=True):
    """`half_life` is in ticks. An asset (device, user, address) is where things happen; the rest are traces.

    `label` is how a person reads it; `reason` is the word of Graph's correlation vocabulary.
    """

    name: str
    label: str
    prior: float
    half_life: int
    is_asset: bool
    reason: str


def _kind(name: str, label: str, prior: float, half_life: int, reason: str, *, is_asset: bool = False) -> Kind:
    return Kind(name, label, prior, half_life, is_asset, reason)


PROCESS: Final = _kind("process", "process", 0.90, 6 * ticks.HOUR, SIMILAR_ARTIFACTS)
MAIL: Final = _kind("mail", "mail message", 0.95, 72 * ticks.HOUR, SHARED_INDICATORS)
SESSION: Final = _kind("session", "logon session", 0.80, 6 * ticks.HOUR, LATERAL_MOVEMENT_PATH)
URL: Final = _kind("url", "url", 0.75, 72 * ticks.HOUR, SHARED_INDICATORS)
SCRIPT: Final = _kind("script", "script", 0.70, 12 * ticks.HOUR, SIMILAR_ARTIFACTS)
DEVICE: Final = _kind("device", "device", 0.85, 20 * ticks.MINUTE, SAME_ASSET, is_asset=True)
USER: Final = _kind("user", "user", 0.70, ticks.HOUR, SAME_ASSET, is_asset=True)
PUBLIC_IP: Final = _kind("publicIp", "public address", 0.60, 2 * ticks.HOUR, SHARED_INDICATORS, is_asset=True)
PRIVATE_IP: Final = _kind("privateIp", "private address", 0.35, ticks.HOUR, SAME_ASSET, is_asset=True)
HOST_IP: Final = _kind("hostIp", "host address", 0.60, 20 * ticks.MINUTE, SAME_ASSET, is_asset=True)
FILE: Final = _kind("file", "file hash", 0.60, 24 * ticks.HOUR, SIMILAR_ARTIFACTS)
SENDER: Final = _kind("sender", "mail sender", 0.60, 48 * ticks.HOUR, SHARED_INDICATORS)
SUBJECT: Final = _kind("subject", "mail subject", 0.30, 24 * ticks.HOUR, SHARED_INDICATORS)
CLUSTER: Final = _kind("cluster", "mail cluster", 0.60, 48 * ticks.HOUR, SHARED_INDICATORS)
DOMAIN: Final = _kind("domain", "domain", 0.50, 24 * ticks.HOUR, SHARED_INDICATORS)
APPLICATION: Final = _kind("application", "OAuth application", 0.70, 72 * ticks.HOUR, SHARED_INDICATORS)
RESOURCE: Final = _kind("resource", "cloud resource", 0.70, ticks.HOUR, SAME_ASSET, is_asset=True)
GROUP: Final = _kind("group", "security group", 0.30, 6 * ticks.HOUR, SIMILAR_ARTIFACTS)
SERVICE: Final = _kind("service", "service", 0.40, 12 * ticks.HOUR, SIMILAR_ARTIFACTS)
TASK: Final = _kind("task", "scheduled task", 0.40, 12 * ticks.HOUR, SIMILAR_ARTIFACTS)
PATH: Final = _kind("path", "file path", 0.35, 6 * ticks.HOUR, SIMILAR_ARTIFACTS)
PIPE: Final = _kind("pipe", "named pipe", 0.30, 6 * ticks.HOUR, SIMILAR_ARTIFACTS)
COMMAND: Final = _kind("command", "command line", 0.30, 2 * ticks.HOUR, SIMILAR_ARTIFACTS)
REGISTRY: Final = _kind("registry", "registry value", 0.20, 2 * ticks.HOUR, SIMILAR_ARTIFACTS)
MALWARE: Final = _kind("malware", "malware name", 0.20, 24 * ticks.HOUR, SIMILAR_ARTIFACTS)
SHARE: Final = _kind("share", "share", 0.10, 2 * ticks.HOUR, SIMILAR_ARTIFACTS)
GENERIC_USER: Final = _kind("genericUser", "common account", 0.10, ticks.HOUR, SAME_ASSET)
COMMON_NAME: Final = _kind("commonName", "common name", 0.05, ticks.HOUR, SIMILAR_ARTIFACTS)
IMAGE: Final = _kind("image", "program name", 0.05, ticks.HOUR, SIMILAR_ARTIFACTS)
SYSTEM_FILE: Final = _kind("systemFile", "system file", 0.05, ticks.HOUR, SIMILAR_ARTIFACTS)
RULE: Final = _kind("rule", "rule", 0.0, ticks.HOUR, TEMPORAL_PROXIMITY)
