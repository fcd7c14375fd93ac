"""Our entities and devices as Graph's evidence: every type, what is lost, what is never invented."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tocsin.dialects import graph_names as names
from tocsin.dialects.graph_entities import device_evidence, entity_evidence
from tocsin.documents import decode_alert, encode_alert
from tocsin.model import Alert, Device, Entity
from tocsin.ticks import parse_ticks

AT = parse_ticks("2026-03-02T09:00:00Z")
CREATED = "2026-03-02T09:00:00.0000000Z"


def stored(*, entities: tuple[Entity, ...] = (), devices: tuple[Device, ...] = ()) -> tuple[list[Any], list[Any]]:
    """Entities and devices as they come out of a stored alert."""
    alert = Alert(
        identity="i",
        provider_alert_id="p",
        service_source="Test",
        first_activity=AT,
        last_activity=AT,
        title="t",
        entities=entities,
        devices=devices,
    )
    document = decode_alert(encode_alert(alert, public_id="tn1", incident_id=1, tenant_guid="g", stamp=AT)[0])
    return [msgspec.json.decode(each) for each in document.entities], [
        msgspec.json.decode(each) for each in document.devices
    ]


def shown(*, all_members: bool = False, **facts: Any) -> dict[str, Any]:
    """One entity as Graph shows it, without what is null or empty."""
    (entity,), _ = stored(entities=(Entity(**facts),))
    found = msgspec.to_builtins(entity_evidence(entity, CREATED, all_members=all_members))
    return lean(found)


def lean(node: dict[str, Any]) -> dict[str, Any]:
    return {
        name: lean(value) if isinstance(value, dict) else value
        for name, value in node.items()
        if value not in (None, (), [])
    }


def base(kind: str) -> dict[str, Any]:
    return {
        "@odata.type": f"#microsoft.graph.security.{kind}",
        "createdDateTime": CREATED,
        "verdict": "unknown",
        "remediationStatus": "none",
    }


ANN = {
    "account_name": "ann",
    "domain_name": "corp",
    "user_sid": "S-1",
    "aad_user_id": "u",
    "user_principal_name": "a@x",
}
ACCOUNT = {
    "accountName": "ann",
    "domainName": "corp",
    "userSid": "S-1",
    "azureAdUserId": "u",
    "userPrincipalName": "a@x",
    "displayName": "ann",
}

VECTORS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"entity_type": "User", **ANN}, {**base("userEvidence"), "userAccount": ACCOUNT}),
    ({"entity_type": "Ip", "ip_address": "203.0.113.7"}, {**base("ipEvidence"), "ipAddress": "203.0.113.7"}),
    ({"entity_type": "Url", "url": "https://a.example"}, {**base("urlEvidence"), "url": "https://a.example"}),
    (
        {
            "entity_type": "File",
            "sha1": "1",
            "sha256": "2",
            "md5": "3",
            "file_name": "a",
            "file_path": "c:\\",
            "device_id": "d",
        },
        {
            **base("fileEvidence"),
            "mdeDeviceId": "d",
            "fileDetails": {"md5": "3", "sha1": "1", "sha256": "2", "fileName": "a", "filePath": "c:\\"},
        },
    ),
    (
        {
            "entity_type": "Process",
            "process_id": 7,
            "parent_process_id": 3,
            "process_command_line": "a -x",
            "process_creation_time": AT + 1,
            "parent_process_creation_time": AT,
            "image_file_name": "a.exe",
            "file_path": "c:\\",
            "sha1": "1",
            "parent_process_file_name": "b.exe",
            "account_name": "ann",
            "device_id": "d",
        },
        {
            **base("processEvidence"),
            "processId": 7,
            "parentProcessId": 3,
            "processCommandLine": "a -x",
            "processCreationDateTime": "2026-03-02T09:00:00.0000001Z",
            "parentProcessCreationDateTime": CREATED,
            "mdeDeviceId": "d",
            "imageFile": {"sha1": "1", "fileName": "a.exe", "filePath": "c:\\"},
            "parentProcessImageFile": {"fileName": "b.exe"},
            "userAccount": {"accountName": "ann", "displayName": "ann"},
        },
    ),
    (
        {
            "entity_type": "MailBox",
            "mailbox_address": "a@x",
            "mailbox_display_name": "Ann",
            "user_principal_name": "a@x",
        },
        {
            **base("mailboxEvidence"),
            "primaryAddress": "a@x",
            "displayName": "Ann",
            "upn": "a@x",
            "userAccount": {"userPrincipalName": "a@x"},
        },
    ),
    (
        {
            "entity_type": "MailMessage",
            "sender": "b@y.example",
            "recipient": "a@x",
            "subject": "hi",
            "delivery_action": "Delivered",
            "internet_message_id": "<1>",
            "sender_ip": "203.0.113.7",
        },
        {
            **base("analyzedMessageEvidence"),
            "p1Sender": {"emailAddress": "b@y.example", "domainName": "y.example"},
            "recipientEmailAddress": "a@x",
            "subject": "hi",
            "deliveryAction": "delivered",
            "internetMessageId": "<1>",
            "senderIp": "203.0.113.7",
        },
    ),
    (
        {"entity_type": "MailCluster", "cluster_by": "Subject", "cluster_by_value": "hi", "email_count": 3},
        {**base("mailClusterEvidence"), "clusterBy": "Subject", "clusterByValue": "hi", "emailCount": 3},
    ),
    (
        {"entity_type": "SecurityGroup", "security_group_id": "g", "security_group_name": "Ops"},
        {**base("securityGroupEvidence"), "securityGroupId": "g", "displayName": "Ops"},
    ),
    (
        {"entity_type": "Registry", "registry_hive": "HKLM", "registry_key": "Run"},
        {**base("registryKeyEvidence"), "registryHive": "HKLM", "registryKey": "Run"},
    ),
    (
        {"entity_type": "Registry", "registry_key": "Run", "registry_value_name": "a", "registry_value": "b"},
        {**base("registryValueEvidence"), "registryKey": "Run", "registryValueName": "a", "registryValue": "b"},
    ),
    (
        {"entity_type": "CloudApplication", "application_id": "11161", "application_name": "mail"},
        {**base("cloudApplicationEvidence"), "appId": 11161, "saasAppId": 11161, "displayName": "mail"},
    ),
    (
        {"entity_type": "CloudApplication", "application_id": "x-1", "application_name": "mail"},
        {**base("cloudApplicationEvidence"), "displayName": "mail"},
    ),
    (
        {"entity_type": "OAuthApplication", "application_id": "x-1", "application_name": "app"},
        {**base("oauthApplicationEvidence"), "appId": "x-1", "displayName": "app"},
    ),
    (
        {
            "entity_type": "AzureResource",
            "azure_resource_id": "/subscriptions/1/resourceGroups/g/providers/M.Compute/vm/v",
        },
        {
            **base("azureResourceEvidence"),
            "resourceId": "/subscriptions/1/resourceGroups/g/providers/M.Compute/vm/v",
            "resourceName": "v",
            "resourceType": "M.Compute/vm",
        },
    ),
    (
        {"entity_type": "CloudLogonSession", "cloud_session_id": "s", "user_agent": "curl", "account_name": "ann"},
        {
            **base("cloudLogonSessionEvidence"),
            "sessionId": "s",
            "userAgent": "curl",
            "account": {**base("userEvidence"), "userAccount": {"accountName": "ann", "displayName": "ann"}},
        },
    ),
    (
        {"entity_type": "CloudLogonRequest", "cloud_request_id": "r"},
        {**base("cloudLogonRequestEvidence"), "requestId": "r"},
    ),
    (
        {"entity_type": "LogonSession", "logon_session_id": "0x1"},
        {**base("hostLogonSessionEvidence"), "sessionId": "0x1"},
    ),
    ({"entity_type": "DomainName", "domain_name": "bad.example"}, {**base("dnsEvidence"), "domainName": "bad.example"}),
    ({"entity_type": "Malware", "malware_name": "Emo"}, {**base("malwareEvidence"), "name": "Emo"}),
    # What Graph has no type for, and what lacks the thing its type is about, keep their facts as text.
    (
        {"entity_type": "Service", "service_name": "svc", "process_command_line": "svc -k"},
        {**base("alertEvidence"), "detailedRoles": ["Service", "processCommandLine: svc -k", "serviceName: svc"]},
    ),
    ({"entity_type": "Ip", "location": "DE"}, {**base("alertEvidence"), "detailedRoles": ["Ip", "location: DE"]}),
    (
        {"entity_type": "User", "domain_name": "corp"},
        {**base("alertEvidence"), "detailedRoles": ["User", "domainName: corp"]},
    ),
]


@pytest.mark.parametrize(("facts", "expected"), VECTORS, ids=[each[0]["entity_type"] for each in VECTORS])
def test_an_entity_becomes_the_evidence_of_its_kind(facts: dict[str, Any], expected: dict[str, Any]) -> None:
    found = shown(**facts)
    if isinstance(found.get("detailedRoles"), tuple):
        found["detailedRoles"] = list(found["detailedRoles"])
    assert found == expected


def test_evidence_has_its_own_time_verdict_and_remediation() -> None:
    found = shown(
        entity_type="Ip",
        ip_address="203.0.113.7",
        evidence_creation_time=AT - 5,
        verdict="NoThreatsFound",
        remediation_status="Blocked",
    )
    assert found["createdDateTime"] == "2026-03-02T08:59:59.9999995Z"
    assert (found["verdict"], found["remediationStatus"]) == ("noThreatsFound", "blocked")


def test_a_late_member_is_shown_only_to_who_asks_for_it() -> None:
    facts: dict[str, Any] = {"entity_type": "Ip", "ip_address": "::1", "remediation_status": "PartiallyRemediated"}
    assert shown(**facts)["remediationStatus"] == "unknownFutureValue"
    assert shown(**facts, all_members=True)["remediationStatus"] == "partiallyRemediated"


def test_a_device_becomes_device_evidence() -> None:
    device = Device(
        mdatp_device_id="a" * 40,
        device_dns_name="pc1.corp.example",
        os_platform="Windows11",
        os_build=22631,
        health_status="ImpairedCommunication",
        risk_score="High",
        defender_av_status="NotUpdated",
        onboarding_status="Onboarded",
        tags=("vip",),
        first_seen=AT - 10,
        vm_metadata={"vmId": "v", "cloudProvider": "Azure", "resourceId": None, "subscriptionId": "s"},
    )
    _, (found,) = stored(devices=(device,))
    assert lean(msgspec.to_builtins(device_evidence(found, CREATED, all_members=False))) == {
        **base("deviceEvidence"),
        "tags": ("vip",),
        "firstSeenDateTime": "2026-03-02T08:59:59.9999990Z",
        "mdeDeviceId": "a" * 40,
        "deviceDnsName": "pc1.corp.example",
        "hostName": "pc1",
        "dnsDomain": "corp.example",
        "osPlatform": "Windows11",
        "osBuild": 22631,
        "version": "Other",
        "healthStatus": "impairedCommunication",
        "riskScore": "high",
        "rbacGroupId": 0,
        "onboardingStatus": "onboarded",
        "defenderAvStatus": "notUpdated",
        "vmMetadata": {"vmId": "v", "cloudProvider": "azure", "subscriptionId": "s"},
    }


def test_a_text_that_graph_does_not_know_becomes_the_neutral_member() -> None:
    assert names.VERDICTS.spell("Odd", all_members=True) == "unknown"
    assert names.REMEDIATIONS.spell(None, all_members=True) == "none"
    assert names.DETECTION_SOURCES.spell("Custom Detection", all_members=False) == "customDetection"
    assert names.DETECTION_SOURCES.spell("NRTAlerts", all_members=True) == "nrtAlerts"
    assert names.DETECTION_SOURCES.spell("NRTAlerts", all_members=False) == "unknownFutureValue"
