from __future__ import annotations

import json
from typing import Any

import pytest
from records import SENTINEL, as_bytes

from tocsin.errors import Refused
from tocsin.model import Alert, AlertStatus, Entity, Severity
from tocsin.senders.sentinel import normalise
from tocsin.ticks import format_ticks

OLDER = {
    "StartTimeUtc": "2019-01-11 06:31:40",
    "EndTimeUtc": "1/15/2019, 9:15:03.333 PM",
    "AlertDisplayName": "Older row",
    "Severity": "Low",
    "ProviderName": "Detection",
    "ProviderAlertId": "v-1",
    "Entities": "",
    "ExtendedProperties": "",
}


def read(record: dict[str, Any], **changes: Any) -> Alert:
    return normalise(as_bytes(record | changes))


def one(alert: Alert, kind: str) -> Entity:
    return next(entity for entity in alert.entities if entity.entity_type == kind)


def test_todays_columns_are_read() -> None:
    alert = read(SENTINEL)
    assert alert.title == "Suspicious sign-in, then mail rule"
    assert format_ticks(alert.first_activity) == "2024-05-01T08:00:00.1234567Z"
    assert format_ticks(alert.creation_time) == "2024-05-01T08:10:00.0000000Z"
    assert (alert.category, alert.tactics) == ("InitialAccess", ("initial-access", "persistence"))
    assert (alert.mitre_techniques, alert.event_count) == (("T1078", "T1078.004"), 4)
    assert alert.provider_alert_id == "11111111-2222-3333-4444-555555555555"
    assert alert.identity == "aaaaaaaa-2222-3333-4444-555555555555"
    assert (alert.severity, alert.detection_source) == (Severity.MEDIUM, "Azure Sentinel")
    assert alert.threat_family_name == "Loader"


def test_the_older_columns_are_read() -> None:
    alert = read(OLDER)
    assert (alert.title, alert.severity, alert.provider_alert_id) == ("Older row", Severity.LOW, "v-1")
    assert format_ticks(alert.first_activity) == "2019-01-11T06:31:40.0000000Z"
    assert format_ticks(alert.last_activity) == "2019-01-15T21:15:03.3330000Z"


def test_hosts_become_devices_and_a_known_compromised_one_is_not_repeated() -> None:
    host, camera = read(SENTINEL).devices
    assert (host.device_dns_name, host.mdatp_device_id, host.os_platform) == ("WS7.corp.example", "cd" * 20, "Windows")
    assert host.aad_device_id == "77777777-0000-0000-0000-000000000007"
    assert host.vm_metadata is not None
    assert host.vm_metadata["subscriptionId"] == "s1"
    assert camera.device_dns_name == "cam-4"


def test_a_process_gathers_what_its_references_lead_to() -> None:
    process = one(read(SENTINEL), "Process")
    assert (process.process_id, process.parent_process_id) == (16, 12)
    assert (process.file_name, process.file_path, process.sha256) == ("run.exe", "c:\\tools", "ef" * 32)
    assert (process.parent_process_file_name, process.account_name) == ("boot.exe", "ann")
    assert process.device_id == "cd" * 20
    assert process.process_creation_time is not None


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        ("User", "user_principal_name", "ann@corp.example"),
        ("User", "user_sid", "S-1-5-21-1-2-3-1105"),
        ("User", "domain_name", "CORP"),
        ("LogonSession", "logon_session_id", "ws7:0x77aa"),
        ("Ip", "location", "Oslo, Norway"),
        ("Url", "url", "https://login.bad.example/x"),
        ("DomainName", "domain_name", "bad.example"),
        ("Mailbox", "mailbox_address", "ann@corp.example"),
        ("MailMessage", "internet_message_id", "<m1@bad.example>"),
        ("MailMessage", "sender_ip", "198.51.100.8"),
        ("MailCluster", "email_count", 12),
        ("CloudLogonSession", "cloud_session_id", "sess-1"),
        ("CloudLogonRequest", "cloud_request_id", "req-1"),
        ("OAuthApplication", "application_id", "app-1"),
        ("CloudApplication", "application_id", "20893"),
        ("AzureResource", "azure_resource_id", "/subscriptions/s1/vaults/v"),
        ("Registry", "registry_value_name", "Run"),
        ("SecurityGroup", "security_group_id", "g-1"),
        ("Malware", "malware_name", "Loader"),
        ("K8sPod", "application_name", "web-1"),
    ],
)
def test_each_kind_of_entity_is_kept(kind: str, field: str, value: object) -> None:
    assert getattr(one(read(SENTINEL), kind), field) == value


def test_a_session_and_a_submitter_are_found_through_other_entities() -> None:
    alert = read(SENTINEL)
    assert "ws7:0x77ab" in [entity.logon_session_id for entity in alert.entities]
    assert "bob" in [entity.account_name for entity in alert.entities]
    assert "https://u.bad.example/" in [entity.url for entity in alert.entities]
    assert "10.9.9.9" in [entity.ip_address for entity in alert.entities]


def test_entities_may_be_real_json_and_hold_whole_objects() -> None:
    host = {"$id": "2", "Type": "host", "HostName": "inner"}
    account = {"$id": "1", "Type": "Account", "Name": "DOM\\ann", "Host": host}
    alert = read(OLDER, Entities=[account, {"$id": "3", "Type": "process", "Host": {"$ref": "2"}, "CommandLine": "x"}])
    assert [device.device_dns_name for device in alert.devices] == ["inner"]
    assert (one(alert, "User").account_name, one(alert, "User").domain_name) == ("ann", "DOM")


@pytest.mark.parametrize(
    "entities",
    [
        [{"$id": "1", "$ref": "1", "Type": "process"}],
        [{"$id": "1", "$ref": "2"}, {"$id": "2", "$ref": "1"}, {"Type": "process", "ImageFile": {"$ref": "1"}}],
        [{"Type": "process", "Host": {"$ref": "404"}, "ImageFile": {"$ref": None}}],
        [{"Type": "file", "FileHashes": {"$ref": "9"}}, 5, None, "x", []],
        {"Type": "host"},
        [{"Type": 5}, {"Type": ""}, {"Type": "ip", "Address": {"$ref": "1"}}],
        [{"Type": "account", "Name": 12, "Host": "not an object", "LogonId": []}],
    ],
)
def test_no_shape_of_entities_refuses_or_hangs(entities: object) -> None:
    for given in (entities, json.dumps(entities)):
        assert read(OLDER, Entities=given).title == "Older row"
    assert read(OLDER, Entities="[not json", ExtendedProperties="{", Tactics="[1").tactics == ()


def test_column_names_may_be_in_any_case_and_below_properties() -> None:
    wrapped = {"id": "x", "properties": {key[:1].lower() + key[1:]: value for key, value in SENTINEL.items()}}
    assert normalise(as_bytes(wrapped)) == read(SENTINEL)


@pytest.mark.parametrize(
    ("name", "extended", "device", "user"),
    [
        ("vm1", {}, "vm1", None),
        ("vm1", {"resourceType": "Virtual Machine"}, "vm1", None),
        ("accounts1", {"resourceType": "Storage account"}, None, None),
        ("ann@corp.example", {}, None, "ann"),
        ("CORP\\ann", {}, None, "ann"),
        ("192.0.2.1", {}, None, None),
        ("", {}, None, None),
    ],
)
def test_the_compromised_entity_is_taken_for_what_it_looks_like(
    name: str, extended: dict[str, str], device: str | None, user: str | None
) -> None:
    alert = read(OLDER, CompromisedEntity=name, ExtendedProperties=json.dumps(extended))
    assert [found.device_dns_name for found in alert.devices] == ([device] if device else [])
    assert [e.account_name for e in alert.entities if e.entity_type == "User"] == ([user] if user else [])


def test_a_row_without_sentinels_id_is_known_by_its_providers() -> None:
    assert read(OLDER).identity == "Detection:v-1"
    assert read(OLDER, ProviderAlertId=None).identity != read(OLDER, ProviderAlertId=None, Severity="High").identity


def test_a_closed_row_is_resolved() -> None:
    assert read(SENTINEL, Status="Dismissed").status is AlertStatus.RESOLVED


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"AlertDisplayName": ""}, "`DisplayName`: is missing"),
        ({"StartTimeUtc": None, "EndTimeUtc": None}, "`StartTime`: is missing"),
        ({"StartTimeUtc": "13/45/2019, 9:15:03 AM"}, "`StartTimeUtc`: "),
        ({"EndTimeUtc": "soon"}, "`EndTimeUtc`: 'soon' is not a time"),
    ],
)
def test_a_refusal_names_the_column(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(Refused) as caught:
        read(OLDER, **changes)
    assert words in str(caught.value)
