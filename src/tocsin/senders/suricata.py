"""Suricata: lines of an `eve.json`. Alerts become an Alert, every other event type (flow, stats, dns ...) None.

A network sensor knows addresses and no machines, so the alert has entities and no devices.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from tocsin.errors import Refused
from tocsin.model import Alert
from tocsin.senders import eve as eve_parts
from tocsin.senders.attack import DEFAULT_CATEGORY, techniques_of
from tocsin.senders.bounds import TITLE_MAX, decode, digest, identity, list_of, moment, object_in
from tocsin.senders.eve import Eve
from tocsin.senders.observables import Observables

_DECODER: Final = msgspec.json.Decoder(Eve)


def normalise(raw: bytes) -> Alert | None:
    """Read one EVE record; None when it is no alert. Raises Refused with field and reason."""
    eve = decode(_DECODER, raw)
    if eve.event_type != "alert":
        return None
    if not isinstance(eve.timestamp, str):
        raise Refused("`timestamp`: is missing or no text")
    time = moment("timestamp", eve.timestamp)
    signature = eve.alert
    if not isinstance(signature, dict):
        raise Refused("`alert`: is missing or no object")
    found = Observables()
    rule = found.name(signature.get("signature_id"))
    gid = found.name(signature.get("gid")) or "1"
    title = found.text(signature.get("signature"), TITLE_MAX).strip()
    if not title and not rule:
        raise Refused("`alert.signature`: is missing, and so is `alert.signature_id`")
    eve_parts.gather(found, eve)
    metadata = object_in(signature, "metadata")
    # EVE has no id. Beginning with the time keeps inserts nearly sorted; the digest of the line tells apart
    # two alerts of one rule in one flow at one moment, and makes a file that is read again harmless.
    provider_id = f"{found.name(eve.flow_id) or 'noflow'}-{rule or 'norule'}-{digest(raw.strip())}"
    return Alert(
        identity=identity(f"{time:018}-{provider_id}"),
        provider_alert_id=found.text(provider_id),
        service_source="Suricata",
        creation_time=time,
        first_activity=time,
        last_activity=time,
        title=title or f"Suricata rule {gid}:{rule}",
        category=eve_parts.category(signature) or DEFAULT_CATEGORY,
        severity=eve_parts.severity(signature),
        detection_source="NetworkIds",
        detector_id=f"{gid}:{rule}",
        threat_family_name=next((n for v in list_of(metadata.get("malware_family")) if (n := found.name(v))), None),
        tactics=eve_parts.tactics(signature),
        mitre_techniques=techniques_of(list_of(metadata.get("mitre_technique_id"))),
        entities=found.entities,
        description=found.described(" ".join(_sentences(found, eve, signature))),
    )


def _sentences(found: Observables, eve: Eve, signature: Mapping[str, object]) -> list[str]:
    """The alert in words: rule and action, the two ends, the HTTP request, who attacked whom."""
    rule = f"{found.name(signature.get('signature_id'))}, revision {found.name(signature.get('rev')) or '-'}"
    head = (
        f"{found.name(signature.get('signature'))} (rule {rule}), action {found.name(signature.get('action')) or '-'}"
    )
    kind = found.name(signature.get("category"))
    words = [f"{head}, class {kind}." if kind else f"{head}."]
    ends = f"{_end(found, eve.src_ip, eve.src_port)} to {_end(found, eve.dest_ip, eve.dest_port)}"
    app = found.name(eve.app_proto)
    protocol = found.name(eve.proto) + (f"/{app}" if app and app != "failed" else "")
    direction = found.name(eve.direction).replace("_", " ")
    words.append(f"From {ends} {protocol}{', packet ' + direction if direction else ''}.")
    if eve.http is not None:
        http = eve.part("http")
        words.append(
            f"Request: {found.name(http.get('http_method')) or '-'} {eve_parts.web_address(found, eve)}"
            f" {found.name(http.get('protocol'))}, answer {found.name(http.get('status')) or '-'},"
            f" user agent {found.name(http.get('http_user_agent')) or '-'}."
        )
    source, target = object_in(signature, "source"), object_in(signature, "target")
    if source or target:
        words.append(
            f"The rule names {found.name(source.get('ip')) or '-'} as the attacker"
            f" and {found.name(target.get('ip')) or '-'} as the victim."
        )
    sensor = found.name(eve.host)
    if sensor:
        words.append(f"Seen by sensor {sensor}.")
    return words


def _end(found: Observables, host: object, port: object) -> str:
    number = found.name(port)
    return f"{found.name(host) or '-'}{' port ' + number if number else ''}"
