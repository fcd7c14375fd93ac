"""The cloud side: rows of the SecurityAlert table as it is today.

Entities and extended properties are JSON in strings; entities refer to each other by `$id` and `$ref`.
"""

# ruff: noqa: PLR0917 (who, where and what in their order read as one line of a log)

from __future__ import annotations

import json
from typing import Final

from tocsin.demo.logbook import Logbook
from tocsin.demo.organisation import DOMAIN, NETBIOS, Host, Person
from tocsin.ticks import SECOND, format_ticks

SENDER: Final = "sentinel"
Thing = dict[str, object]

# Short word: (product, provider, component)
_PRODUCTS: Final = {
    "mail": ("Microsoft Defender for Office 365", "OATP", "Mail protection"),
    "identity": ("Azure Active Directory Identity Protection", "IPC", "Sign-in risk"),
    "cloud": ("Microsoft Cloud App Security", "MCAS", "App activity"),
    "rule": ("Azure Sentinel", "ASI Scheduled Alerts", "Scheduled rule"),
    "data": ("Microsoft Data Loss Prevention", "MicrosoftDataLossPrevention", "Policy"),
}
_WORKSPACE: Final = "6d0c8f0e-3f6f-4a55-9b8e-2f4f6c6f1a10"


def report(
    log: Logbook,
    at: int,
    product: str,
    name: str,
    description: str,
    severity: str,
    tactics: str,
    techniques: str,
    *entities: Thing,
    lasted: int = 60 * SECOND,
    **extended: str,
) -> None:
    """One row about something from `at` on for `lasted` ticks. Severities: High, Medium, Low, Informational."""
    at = log.blurred(at)
    full, provider, component = _PRODUCTS[product]
    delay = log.seconds(35, 200)
    alert_id = log.guid()
    ends = min(at + lasted, log.end - 2 * SECOND)
    started = min(at, ends)
    named = " ".join(str((thing.get("UPNSuffix") and f"{thing['Name']}@{DOMAIN}") or "") for thing in entities).split()
    record: dict[str, object] = {
        "TenantId": _WORKSPACE,
        "TimeGenerated": format_ticks(min(ends + delay, log.end - 1)),
        "DisplayName": name,
        "AlertName": name,
        "AlertSeverity": severity,
        "Description": description,
        "ProviderName": provider,
        "VendorName": "Microsoft",
        "VendorOriginalId": log.guid(),
        "SystemAlertId": alert_id,
        "ResourceId": "",
        "SourceComputerId": "",
        "AlertType": name.title().replace(" ", "").replace("-", ""),
        "ConfidenceLevel": "Unknown",
        "ConfidenceScore": None,
        "IsIncident": False,
        "StartTime": format_ticks(started),
        "EndTime": format_ticks(ends),
        "ProcessingEndTime": format_ticks(min(ends + delay, log.end - 1)),
        "RemediationSteps": json.dumps(["Ask the person concerned", "Reset the account if they deny it"]),
        "ExtendedProperties": json.dumps(
            {"ProcessedBySentinel": "True", "Alert generation status": "Full", **extended}
        ),
        "Entities": json.dumps(_numbered(entities), ensure_ascii=False),
        "SourceSystem": "Detection",
        "WorkspaceSubscriptionId": "4f3be8d2-0f57-4c7a-8a31-5a2b7f1c9d02",
        "WorkspaceResourceGroup": "norrvik-security",
        "ExtendedLinks": "",
        "ProductName": full,
        "ProductComponentName": component,
        "AlertLink": f"https://alerts.{DOMAIN}/{alert_id}",
        "Status": "New",
        "CompromisedEntity": named[0] if named else "",
        "Tactics": tactics,
        "Techniques": json.dumps(techniques.split()),
        "SubTechniques": "",
        "Type": "SecurityAlert",
    }
    log.add(SENDER, ends, delay, record)


def _numbered(entities: tuple[Thing, ...]) -> list[Thing]:
    """Give each entity its `$id`; one that stands inside another and was seen before becomes a `$ref`."""
    numbers: dict[int, str] = {}

    def numbered(thing: Thing) -> Thing:
        if id(thing) in numbers:
            return {"$ref": numbers[id(thing)]}
        numbers[id(thing)] = str(len(numbers) + 2)
        made: Thing = {"$id": numbers[id(thing)]}
        for key, value in thing.items():
            made[key] = numbered(value) if isinstance(value, dict) and key not in ("Location",) else value
        return made

    return [numbered(thing) for thing in entities if id(thing) not in numbers]


def account(person: Person) -> Thing:
    return {
        "Name": person.account,
        "UPNSuffix": DOMAIN,
        "NTDomain": NETBIOS,
        "AadUserId": person.directory_id,
        "DisplayName": person.name,
        "IsDomainJoined": True,
        "Type": "account",
    }


def address(text: str, country: str = "") -> Thing:
    made: Thing = {"Address": text, "Type": "ip"}
    if country:
        made["Location"] = {"CountryCode": country}
    return made


def url(text: str) -> Thing:
    return {"Url": text, "Type": "url"}


def host(one: Host) -> Thing:
    name, _, domain = one.fqdn.partition(".")
    family = "Windows" if one.is_windows else "Linux"
    return {"HostName": name, "DnsDomain": domain, "OSFamily": family, "IsDomainJoined": one.is_windows, "Type": "host"}


def mailbox(person: Person) -> Thing:
    return {
        "MailboxPrimaryAddress": person.upn,
        "Upn": person.upn,
        "DisplayName": person.name,
        "AadId": person.directory_id,
        "Type": "mailbox",
    }


def mail(
    message_id: str,
    sender: str,
    recipient: Person,
    subject: str,
    *,
    sender_ip: str = "",
    link: str = "",
    action: str = "Delivered",
) -> Thing:
    """A mail message; `message_id` is without angle brackets."""
    made: Thing = {
        "Recipient": recipient.upn,
        "Sender": sender,
        "P1Sender": sender,
        "P2Sender": sender,
        "Subject": subject,
        "InternetMessageId": f"<{message_id}>",
        "DeliveryAction": action,
        "DeliveryLocation": "Inbox" if action == "Delivered" else "Quarantine",
        "AntispamDirection": "Inbound" if not sender.endswith(f"@{DOMAIN}") else "Intraorg",
        "Type": "mailMessage",
    }
    if sender_ip:
        made["SenderIP"] = sender_ip
    if link:
        made["Urls"] = [link]
    return made


def application(app_id: str, name: str) -> Thing:
    return {"AppId": app_id, "Name": name, "InstanceName": name, "Type": "cloud-application"}


def oauth(app_id: str, name: str, publisher: str) -> Thing:
    return {
        "OAuthAppId": app_id,
        "OAuthObjectId": app_id,
        "OAuthAppName": name,
        "PublisherName": publisher,
        "Type": "oauth-application",
    }


def file(name: str, directory: str, digest: str) -> Thing:
    return {
        "Name": name,
        "Directory": directory,
        "FileHashes": [{"Algorithm": "SHA256", "Value": digest, "Type": "filehash"}],
        "Type": "file",
    }


def session(number: str) -> Thing:
    """A sign-in session in the cloud, by its id."""
    return {"SessionId": number, "Type": "cloud-logon-session"}
