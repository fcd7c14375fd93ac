"""The endpoint sensor, which speaks the API's own alert shape (`incidents-api.md` 2.2 to 2.4)."""

# ruff: noqa: PLR0917 (who, where and what in their order read as one line of a log)

from __future__ import annotations

import hashlib
from typing import Final

from tocsin.demo.logbook import Logbook
from tocsin.demo.organisation import NETBIOS, Host, Person
from tocsin.ticks import format_ticks

SENDER: Final = "native"
PRODUCT: Final = "SkerryEndpoint"
Thing = dict[str, object]


def report(
    log: Logbook,
    at: int,
    host: Host | list[Host],
    title: str,
    description: str,
    severity: str,
    tactic: str,
    technique: str,
    *entities: Thing,
    family: str | None = None,
    category: str = "",
    count: int = 1,
) -> None:
    """One alert. `tactic` is the API's category word, e.g. `CredentialAccess`; techniques are split at spaces."""
    at = log.blurred(at)
    last = at + log.seconds(0, 40) if count > 1 else at
    hosts = host if isinstance(host, list) else [host]
    record: dict[str, object] = {
        "providerAlertId": f"sk{log.fresh(20)}",
        "title": title,
        "description": description,
        "category": category or tactic,
        "severity": severity,
        "status": "New",
        "serviceSource": PRODUCT,
        "detectionSource": "Antivirus" if family else "BehaviourEngine",
        "detectorId": hashlib.sha256(title.encode()).hexdigest()[:32],
        "firstActivity": format_ticks(at),
        "lastActivity": format_ticks(last),
        "creationTime": format_ticks(min(last + log.seconds(1, 3), log.end - 1)),
        "eventCount": count,
        "threatFamilyName": family,
        "tactics": [tactic],
        "mitreTechniques": technique.split(),
        "devices": [_device(one) for one in hosts],
        "entities": list(entities),
    }
    log.add(SENDER, last, log.seconds(3, 25), record)


def _device(host: Host) -> Thing:
    return {
        "deviceDnsName": host.fqdn,
        "osPlatform": host.platform,
        "version": {19045: "22H2", 22631: "23H2", 26100: "24H2"}.get(host.build, "Other"),
        "osProcessor": "x64",
        "osBuild": host.build,
        "healthStatus": "Active",
        "riskScore": "Medium",
        "rbacGroupName": "Servers" if host.name.split("-")[1] in ("dc", "fs", "db", "web", "pki", "erp") else "Desks",
        "defenderAvStatus": "Updated",
        "onboardingStatus": "Onboarded",
        "tags": ["tier-0"] if "-dc-" in host.name else [],
    }


def user(person: Person) -> Thing:
    return {
        "entityType": "User",
        "accountName": person.account,
        "domainName": NETBIOS,
        "userSid": person.sid,
        "aadUserId": person.directory_id,
        "userPrincipalName": person.upn,
    }


def account(name: str) -> Thing:
    """A service or built-in account."""
    return {"entityType": "User", "accountName": name, "domainName": NETBIOS}


def address(text: str) -> Thing:
    return {"entityType": "Ip", "ipAddress": text}


def url(text: str) -> Thing:
    return {"entityType": "Url", "url": text}


def file(name: str, folder: str, digest: str) -> Thing:
    sha1 = hashlib.sha1(digest.encode()).hexdigest()  # noqa: S324 (a made-up hash)
    return {"entityType": "File", "fileName": name, "filePath": folder, "sha256": digest, "sha1": sha1}


def process(
    number: int,
    started: int,
    name: str,
    folder: str,
    command: str,
    digest: str = "",
    parent: tuple[int, int] | None = None,
) -> Thing:
    """A process; `parent` is the number and start (ticks) of the one that started it."""
    made: Thing = {
        "entityType": "Process",
        "processId": number,
        "processCreationTime": format_ticks(started),
        "processCommandLine": command,
        "fileName": name,
        "filePath": folder,
    }
    if digest:
        made["sha256"] = digest
    if parent:
        made["parentProcessId"], made["parentProcessCreationTime"] = parent[0], format_ticks(parent[1])
    return made


def registry(hive: str, key: str, value: str) -> Thing:
    return {
        "entityType": "Registry",
        "registryHive": hive,
        "registryKey": key,
        "registryValueType": "String",
        "registryValue": value,
    }
