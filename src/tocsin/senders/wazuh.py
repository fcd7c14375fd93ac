"""Wazuh: alert documents of `alerts.json` (versions 3 and 4), also inside the `_source` of an indexer's hit.

In charge of the rule, the machine the alert is about, and its times. What a document's `data` and `syscheck`
name is gathered in `wazuh_data.py`. An archived event that fired no rule is no alert: None.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from tocsin.errors import Refused
from tocsin.model import Alert, Severity
from tocsin.senders import eve as eve_parts
from tocsin.senders import wazuh_data
from tocsin.senders.attack import DEFAULT_CATEGORY, category_of, tactics_of, techniques_of
from tocsin.senders.bounds import (
    TITLE_MAX,
    decode,
    digest,
    integer_or_none,
    issued_by,
    list_of,
    moment,
    moment_or_none,
    object_in,
)
from tocsin.senders.eve import Eve
from tocsin.senders.observables import Observables, address
from tocsin.ticks import DAY


class _Rule(msgspec.Struct, frozen=True):
    level: object = None
    description: object = None
    id: object = None
    groups: object = None
    mitre: object = None


class _Agent(msgspec.Struct, frozen=True):
    id: object = None
    name: object = None
    ip: object = None


class Document(msgspec.Struct, frozen=True):
    """The keys of one alert document that are read."""

    timestamp: str | None = None
    at_timestamp: str | None = msgspec.field(default=None, name="@timestamp")
    id: object = None
    rule: _Rule | None = None
    agent: _Agent | None = None
    manager: _Agent | None = None
    predecoder: object = None
    decoder: object = None
    location: object = None
    full_log: object = None
    previous_output: object = None
    data: object = None
    syscheck: object = None
    source: Document | None = msgspec.field(default=None, name="_source")

    def part(self, name: str) -> dict[str, object]:
        """One of the free-form parts as an object; an empty one where it is missing or something else."""
        value = getattr(self, name)
        return value if isinstance(value, dict) else {}


_DECODER: Final = msgspec.json.Decoder(Document)
_MANAGER_ID: Final = "000"
_RULE_OF_LOG: Final = re.compile(r"(\d+:\d+):\d+", re.ASCII)
# Documents of services that have no machine: the agent only fetched them.
_CLOUD: Final = ("aws", "office365", "gcp", "github", "ms-graph", "azure")
# Groups of Wazuh's own rule set against the API's categories; the first group that is here decides.
_CATEGORY: Final = {
    "authentication_failed": "CredentialAccess",
    "authentication_failures": "CredentialAccess",
    "win_authentication_failed": "CredentialAccess",
    "invalid_login": "CredentialAccess",
    "recon": "Discovery",
    "web_scan": "Discovery",
    "exploit_attempt": "Exploit",
    "attack": "Exploit",
    "web_attack": "Exploit",
    "sql_injection": "Exploit",
    "sqlinjection": "Exploit",
    "xss": "Exploit",
    "rootcheck": "Malware",
    "rootkit": "Malware",
    "malware": "Malware",
    "virus": "Malware",
    "virustotal": "Malware",
    "ransomware": "Ransomware",
    "sudo": "PrivilegeEscalation",
    "privilege_escalation": "PrivilegeEscalation",
    "adduser": "Persistence",
    "account_changed": "Persistence",
    "logs_cleared": "DefenseEvasion",
    "log_clearing_auditlog": "DefenseEvasion",
    "denial_of_service": "Impact",
}


def normalise(raw: bytes) -> Alert | None:
    """Read one alert document; None for an event without a rule. Raises Refused with field and reason."""
    document = decode(_DECODER, raw)
    if document.source is not None:
        document = document.source
    rule = document.rule
    if rule is None:
        if document.decoder is not None or document.full_log is not None:
            return None
        raise Refused("`rule`: is missing")
    time_text = document.timestamp or document.at_timestamp
    if not time_text:
        raise Refused("`timestamp`: is missing")
    stored = moment("timestamp", time_text)
    found = Observables()
    rule_id = found.name(rule.id)
    title = found.text(rule.description, TITLE_MAX).strip()
    if not title and not rule_id:
        raise Refused("`rule.description`: is missing, and so is `rule.id`")
    eve = wazuh_data.embedded_eve(document.part("data"))
    signature = eve.part("alert") if eve else {}
    device, remark = _device(found, document, eve)
    wazuh_data.gather(found, document.part("data"), document.part("syscheck"), device, eve)
    seen = _event_time(document, eve, stored)
    own_id = found.name(document.id)
    provider_id = own_id or digest(raw.strip())
    mitre = rule.mitre if isinstance(rule.mitre, dict) else {}
    tactics = tactics_of([*list_of(mitre.get("tactic")), *list_of(mitre.get("tactics"))]) or eve_parts.tactics(
        signature
    )
    manager = found.name(document.manager.name) if document.manager else ""
    return Alert(
        # Wazuh counts ids on each manager by itself.
        identity=issued_by(manager, provider_id),
        provider_alert_id=provider_id,
        service_source="Wazuh",
        creation_time=stored,
        first_activity=seen,
        last_activity=seen,
        title=title or f"Wazuh rule {rule_id}",
        category=_category(rule, tactics, signature),
        severity=_severity(rule, signature),
        detection_source=found.name(document.part("decoder").get("name")),
        detector_id=_detector(found, document, rule_id, signature),
        event_count=_event_count(document),
        tactics=tactics,
        mitre_techniques=techniques_of(list_of(mitre.get("id"))),
        devices=found.devices,
        entities=found.entities,
        description=found.described(_words(found, document, rule, remark)),
    )


def level_severity(level: int) -> Severity:
    """Severity of a rule level, by Wazuh's documented classification of levels.

    0 to 3 are system messages and successes; 4 to 6 errors and attacks without effect; 7 to 11 first sights,
    repeated user errors and integrity warnings; 12 to 15 (and 16 of local rules) important events and attacks.
    """
    if level >= 12:
        return Severity.HIGH
    if level >= 7:
        return Severity.MEDIUM
    return Severity.LOW if level >= 4 else Severity.INFORMATIONAL


def _severity(rule: _Rule, signature: dict[str, object]) -> Severity:
    """The rule's severity, or the embedded signature's where that is higher: Wazuh gives all of Suricata's level 3."""
    level = integer_or_none(rule.level)
    own = Severity.UNSPECIFIED if level is None else level_severity(level)
    inner = eve_parts.severity(signature) if signature else own
    return inner if inner.rank > own.rank else own


def _category(rule: _Rule, tactics: tuple[str, ...], signature: dict[str, object]) -> str:
    known = category_of(tactics) or (eve_parts.category(signature) if signature else None)
    if known:
        return known
    groups = (group for group in list_of(rule.groups) if isinstance(group, str))
    return next((_CATEGORY[group] for group in groups if group in _CATEGORY), DEFAULT_CATEGORY)


def _device(found: Observables, document: Document, eve: Eve | None) -> tuple[str, str]:
    """(name of the machine the alert is about, a sentence on how that was told where it is not plain).

    Usually the agent's. Not where the agent only carried the record: the manager with a log line of another
    host, a collector of forwarded Windows events, a network sensor, a fetcher of cloud logs.
    """
    data = document.part("data")
    agent = document.agent or _Agent()
    agent_name = found.name(agent.name)
    agent_ip = address(found.name(agent.ip)) or ""
    if any(key in data for key in _CLOUD):
        return "", f"Fetched by {agent_name}." if agent_name else ""
    if eve is not None or _is_network_ids(document):
        ends = (address(found.name(end)) for end in _ends(data, eve))
        if not agent_ip or agent_ip not in ends:
            return "", f"Seen by network sensor {agent_name}." if agent_name else ""
    system = object_in(object_in(data, "win"), "system")
    if found.name(system.get("channel")) == "ForwardedEvents" and found.name(system.get("computer")):
        return found.device(system["computer"], os_platform="Windows"), f"Forwarded through {agent_name}."
    hostname = found.name(document.part("predecoder").get("hostname"))
    if found.name(agent.id) in ("", _MANAGER_ID) and hostname and hostname.lower() != agent_name.lower():
        return found.device(hostname), f"The host is {hostname}, whose log line reached the manager {agent_name}."
    name = found.device(agent_name, os_platform="Windows") if system else found.device(agent_name)
    if agent_ip and not agent_ip.startswith("127."):
        # Network sensors know this machine by its address only.
        found.ip(agent_ip)
    return name, ""


def _is_network_ids(document: Document) -> bool:
    groups = document.rule.groups if document.rule else None
    return isinstance(groups, list) and "ids" in groups and "rootcheck" not in groups and "ossec" not in groups


def _ends(data: dict[str, object], eve: Eve | None) -> tuple[object, object]:
    return (eve.src_ip, eve.dest_ip) if eve else (data.get("srcip"), data.get("dstip"))


def _detector(found: Observables, document: Document, rule_id: str, signature: dict[str, object]) -> str:
    """The rule, and behind a slash the sensor's own rule where Wazuh's only says that a sensor spoke."""
    if signature:
        inner = f"{found.name(signature.get('gid')) or '1'}:{found.name(signature.get('signature_id'))}"
        return f"{rule_id}/{inner}"
    inner_id = _RULE_OF_LOG.fullmatch(found.name(document.part("data").get("id"))[:60])
    return f"{rule_id}/{inner_id[1]}" if inner_id and _is_network_ids(document) else rule_id


def _event_time(document: Document, eve: Eve | None, stored: int) -> int:
    """When it happened: the source's own time where it has one within a day of Wazuh's."""
    system = object_in(object_in(document.part("data"), "win"), "system")
    own = moment_or_none(eve.timestamp) if eve else moment_or_none(system.get("systemTime"))
    return own if own is not None and abs(own - stored) <= DAY else stored


def _event_count(document: Document) -> int:
    """A composite rule carries the events that led to it, one a line; this event comes on top."""
    earlier = document.previous_output
    return 1 + earlier.strip().count("\n") + 1 if isinstance(earlier, str) and earlier.strip() else 1


def _words(found: Observables, document: Document, rule: _Rule, remark: str) -> str:
    groups = ", ".join(group for group in list_of(rule.groups)[:20] if isinstance(group, str))
    words = [f"Wazuh rule {found.name(rule.id) or '-'}, level {found.name(rule.level) or '-'}, groups {groups or '-'}."]
    if remark:
        words.append(remark)
    place = found.name(document.location)
    if place:
        words.append(f"Read from {place}.")
    message = object_in(object_in(document.part("data"), "win"), "system").get("message")
    log = document.full_log if isinstance(document.full_log, str) else message
    if isinstance(log, str) and log.strip():
        words.append(f"Log: {log.strip()}")
    return " ".join(words)
