"""Suricata's EVE record: its shape, its scales, and what its protocol parts say an alert is about.

Shared by `suricata.py`, which reads EVE itself, and `wazuh.py`, which gets it inside its own documents with
numbers as text. Field names as in Suricata's documentation of EVE for versions 4 to 8. Apart from the
event's type everything is optional and of any JSON type: a record is not refused for a part beside the point.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from tocsin.model import Entity, Severity
from tocsin.senders.attack import category_of, tactics_of
from tocsin.senders.bounds import list_of, object_in
from tocsin.senders.observables import Observables, address, hash_of

_ITEMS_MAX: Final = 50  # names, answers, files of one record


class Eve(msgspec.Struct, frozen=True):
    """The keys of one EVE record that are read."""

    event_type: str
    timestamp: object = None
    flow_id: object = None
    src_ip: object = None
    src_port: object = None
    dest_ip: object = None
    dest_port: object = None
    proto: object = None
    app_proto: object = None
    direction: object = None
    host: object = None
    in_iface: object = None
    xff: object = None
    alert: object = None
    http: object = None
    dns: object = None
    tls: object = None
    quic: object = None
    smtp: object = None
    email: object = None
    smb: object = None
    krb5: object = None
    ftp: object = None
    fileinfo: object = None
    files: object = None

    def part(self, name: str) -> dict[str, object]:
        """One of the parts as an object; an empty one where it is missing or something else."""
        value = getattr(self, name)
        return value if isinstance(value, dict) else {}


_SEVERITY: Final = {
    "1": Severity.HIGH,
    "2": Severity.MEDIUM,
    "3": Severity.LOW,
}
# `signature_severity` of the Emerging Threats rules, four grades on our four; other rule sets use the plain words.
_SIGNATURE_SEVERITY: Final = {
    "critical": Severity.HIGH,
    "major": Severity.MEDIUM,
    "minor": Severity.LOW,
    "informational": Severity.INFORMATIONAL,
    "high": Severity.HIGH,
    "medium": Severity.MEDIUM,
    "low": Severity.LOW,
}
# Texts of Suricata's classification.config against the API's categories; what only says "odd" is left out.
_CATEGORY: Final = {
    "attempted information leak": "Discovery",
    "information leak": "Discovery",
    "large scale information leak": "Discovery",
    "detection of a network scan": "Discovery",
    "decode of an rpc query": "Discovery",
    "device retrieving external ip address detected": "Discovery",
    "attempted denial of service": "Impact",
    "denial of service": "Impact",
    "detection of a denial of service attack": "Impact",
    "crypto currency mining activity detected": "Impact",
    "attempted user privilege gain": "Exploit",
    "unsuccessful user privilege gain": "Exploit",
    "attempted administrator privilege gain": "Exploit",
    "web application attack": "Exploit",
    "access to a potentially vulnerable web application": "Exploit",
    "exploit kit activity detected": "Exploit",
    "successful user privilege gain": "PrivilegeEscalation",
    "successful administrator privilege gain": "PrivilegeEscalation",
    "executable code was detected": "Execution",
    "a system call was detected": "Execution",
    "a network trojan was detected": "Malware",
    "a network trojan was de...": "Malware",
    "targeted malicious activity was detected": "Malware",
    "malware command and control activity detected": "CommandAndControl",
    "domain observed used for c2 detected": "CommandAndControl",
    "possibly unwanted program detected": "UnwantedSoftware",
    "successful credential theft detected": "CredentialAccess",
    "an attempted login using a suspicious username was detected": "CredentialAccess",
    "attempt to login by a default username and password": "CredentialAccess",
    "possible social engineering attempted": "InitialAccess",
}
# Where the class says only "odd", the second word of an Emerging Threats title names the rule's family.
_FAMILY: Final = {
    "SCAN": "Discovery",
    "MALWARE": "Malware",
    "TROJAN": "Malware",
    "WORM": "Malware",
    "EXPLOIT": "Exploit",
    "EXPLOIT_KIT": "Exploit",
    "WEB_SPECIFIC_APPS": "Exploit",
    "CNC": "CommandAndControl",
    "COINMINER": "Impact",
    "DOS": "Impact",
    "ADWARE_PUP": "UnwantedSoftware",
    "PHISHING": "InitialAccess",
}


def severity(signature: Mapping[str, object]) -> Severity:
    """The rule's own grade where its metadata has one, else that of its class: 1 high to 3 low, then informational."""
    for grade in list_of(object_in(signature, "metadata").get("signature_severity")):
        known = _SIGNATURE_SEVERITY.get(str(grade).lower()) if isinstance(grade, str) else None
        if known:
            return known
    given = signature.get("severity")
    if not isinstance(given, int | str):
        return Severity.UNSPECIFIED
    text = str(given)[:20].strip()
    return _SEVERITY.get(text) or (Severity.INFORMATIONAL if text.isdecimal() else Severity.UNSPECIFIED)


def tactics(signature: Mapping[str, object]) -> tuple[str, ...]:
    """ATT&CK tactics of the rule's metadata, by name or else by id."""
    metadata = object_in(signature, "metadata")
    named = metadata.get("mitre_tactic_name") or metadata.get("mitre_tactic_id")
    return tactics_of(list_of(named)) if named else ()


def category(signature: Mapping[str, object]) -> str | None:
    """The API's category: of the rule's tactic, or else of its class or its family; None where none says enough."""
    known = category_of(tactics(signature))
    if known:
        return known
    given, title = signature.get("category"), signature.get("signature")
    known = _CATEGORY.get(given.lower()) if isinstance(given, str) else None
    if known or not isinstance(title, str):
        return known
    words = title[:60].split(" ", 2)
    return _FAMILY.get(words[1]) if len(words) > 1 and words[0] in ("ET", "ETPRO", "GPL") else None


def gather(found: Observables, eve: Eve) -> None:
    """Collect everything the record names: both ends, and what its application protocol carried.

    Ports stay out of the entities: one address is one thing on whichever port it was seen.
    """
    found.ip(eve.src_ip)
    found.ip(eve.dest_ip)
    if eve.http is not None:
        _http(found, eve)
    for hop in str(eve.xff).split(",")[:10] if isinstance(eve.xff, str) else ():
        found.ip(hop)
    if eve.dns is not None:
        _dns(found, eve.part("dns"))
    if eve.tls is not None or eve.quic is not None:
        found.domain(eve.part("tls").get("sni"))
        found.domain(eve.part("quic").get("sni"))
    if eve.smtp is not None or eve.email is not None:
        _mail(found, eve)
    if eve.smb is not None:
        _smb(found, eve.part("smb"))
    if eve.krb5 is not None:
        found.user(eve.part("krb5").get("cname"), domain=eve.part("krb5").get("realm"))
    if eve.ftp is not None and str(eve.part("ftp").get("command")).upper() == "USER":
        found.user(eve.part("ftp").get("command_data"))
    for item in [*list_of(eve.files)[:_ITEMS_MAX], *list_of(eve.fileinfo)]:
        if isinstance(item, dict):
            _file(found, item, eve.app_proto)


def web_address(found: Observables, eve: Eve) -> str:
    """URL of the record's HTTP request; "" where it has none. Its host name is what the client asked for."""
    http = eve.part("http")
    path = found.name(http.get("url"))
    if "://" in path[:12]:
        return path
    host = found.name(http.get("hostname")) or found.name(eve.dest_ip)
    if not path or not host:
        return ""
    port = found.name(http.get("http_port"))
    place = f"[{host}]" if host.count(":") > 1 and host[0] != "[" else host
    if port not in ("", "80", "443") and not place.endswith(f":{port}"):
        place = f"{place}:{port}"
    return f"http://{place}{'' if path[0] == '/' else '/'}{path}"


def _http(found: Observables, eve: Eve) -> None:
    http = eve.part("http")
    found.url(web_address(found, eve), user_agent=found.name(http.get("http_user_agent")) or None)
    host = found.name(http.get("hostname")).partition(":")[0]
    if host and address(host) is None:
        found.domain(host)
    forwarded = http.get("xff")
    for hop in forwarded.split(",")[:10] if isinstance(forwarded, str) else ():
        found.ip(hop)


def _dns(found: Observables, dns: Mapping[str, object]) -> None:
    """Version 1 has the name at the top, version 2 under `query`, version 3 under `queries`."""
    questions = [dns, *list_of(dns.get("query")), *list_of(dns.get("queries"))]
    for question in questions[:_ITEMS_MAX]:
        if isinstance(question, dict):
            found.domain(question.get("rrname"))
    answers = [dns, *list_of(dns.get("answer")), *list_of(dns.get("answers"))]
    for answer in answers[:_ITEMS_MAX]:
        if not isinstance(answer, dict):
            continue
        if answer is not dns:
            found.domain(answer.get("rrname"))
        grouped = object_in(answer, "grouped")
        addresses = [answer.get("rdata"), *list_of(grouped.get("A")), *list_of(grouped.get("AAAA"))]
        for value in addresses[:_ITEMS_MAX]:
            if isinstance(value, str) and address(value):
                found.ip(value)


def _mail(found: Observables, eve: Eve) -> None:
    smtp, email = eve.part("smtp"), eve.part("email")
    sender = found.name(email.get("from")) or found.name(smtp.get("mail_from")).strip("<>")
    to = list_of(email.get("to")) or list_of(smtp.get("rcpt_to"))
    subject = found.name(email.get("subject")) or None
    message_id = found.name(email.get("message_id")) or None
    for recipient in to[:_ITEMS_MAX] or [None]:
        name = found.name(recipient).strip("<>")
        if sender or name:
            message = Entity(
                entity_type="MailMessage",
                sender=sender or None,
                recipient=name or None,
                subject=subject,
                internet_message_id=message_id,
            )
            found.add(("MailMessage", sender, name, message_id), message)
    for link in list_of(email.get("url"))[:_ITEMS_MAX]:
        found.url(link)


def _smb(found: Observables, smb: Mapping[str, object]) -> None:
    login = object_in(smb, "ntlmssp")
    found.user(login.get("user"), domain=login.get("domain"))
    share = found.name(smb.get("share"))
    if share:
        found.add(("Share", share.lower()), Entity(entity_type="Share", share_name=share))
    pipe = found.name(smb.get("named_pipe"))
    if pipe:
        found.add(("NamedPipe", pipe.lower()), Entity(entity_type="NamedPipe", pipe_name=pipe))
    found.file(smb.get("filename"))


def _file(found: Observables, item: Mapping[str, object], app_proto: object) -> None:
    hashes = hash_of(item.get("md5")) | hash_of(item.get("sha1")) | hash_of(item.get("sha256"))
    # Over HTTP the "file name" is the path of the page asked for: without a hash it names no file.
    if hashes or app_proto not in ("http", "http2"):
        found.file(item.get("filename"), hashes)
