from __future__ import annotations

from typing import Any

import pytest
from records import EVE, WAZUH_LOGON, WAZUH_SYSMON, as_bytes

from tocsin.errors import Refused
from tocsin.model import Alert, Entity, Severity
from tocsin.senders.wazuh import level_severity, normalise
from tocsin.ticks import format_ticks


def read(record: dict[str, Any], **changes: Any) -> Alert:
    alert = normalise(as_bytes(record | changes))
    assert alert is not None
    return alert


def kinds(alert: Alert, kind: str) -> list[Entity]:
    return [entity for entity in alert.entities if entity.entity_type == kind]


def with_event(**event: str) -> Alert:
    return read(WAZUH_SYSMON, data={"win": {"system": {"eventID": "0"}, "eventdata": event}})


def test_a_sysmon_event_gives_rule_machine_and_its_own_time() -> None:
    alert = read(WAZUH_SYSMON)
    assert (alert.title, alert.detector_id, alert.severity) == ("PowerShell spawned by Word", "92027", Severity.HIGH)
    assert (alert.category, alert.tactics) == ("Execution", ("execution",))
    assert alert.mitre_techniques == ("T1059.001", "T1204")
    assert format_ticks(alert.creation_time) == "2024-05-01T08:00:09.1000000Z"
    assert format_ticks(alert.first_activity) == "2024-05-01T08:00:07.1234567Z"
    assert [(d.device_dns_name, d.os_platform) for d in alert.devices] == [("WS7", "Windows")]


def test_a_sysmon_process_is_undoubled_and_linked_to_its_parent() -> None:
    child, parent = kinds(read(WAZUH_SYSMON), "Process")
    assert (child.file_name, child.file_path) == ("powershell.exe", "C:\\Windows\\System32")
    assert child.process_command_line == '"C:\\Windows\\powershell.exe" -enc AAAA'
    assert (child.process_id, child.process_unique_id) == (4112, "0ab1c2d3-0000-0000-1111-222233334444")
    assert (child.sha1, child.md5, child.sha256) == ("1" * 40, "2" * 32, None)
    assert child.parent_process_unique_id == parent.process_unique_id == "0ab1c2d3-0000-0000-1111-000000000001"
    assert (parent.file_name, parent.process_id) == ("winword.exe", 900)


def test_users_sessions_and_the_agents_address_are_kept() -> None:
    alert = read(WAZUH_SYSMON)
    [user] = kinds(alert, "User")
    assert (user.account_name, user.domain_name) == ("ann", "CORP")
    assert [entity.logon_session_id for entity in kinds(alert, "LogonSession")] == ["ws7:0x3e7"]
    assert [entity.ip_address for entity in kinds(alert, "Ip")] == ["10.1.2.3"]


def test_a_log_line_of_another_host_makes_that_host_the_device() -> None:
    alert = read(WAZUH_LOGON)
    assert [device.device_dns_name for device in alert.devices] == ["gate"]
    assert "The host is gate, whose log line reached the manager wz-master." in alert.description
    assert [entity.ip_address for entity in kinds(alert, "Ip")] == ["198.51.100.7", "10.1.2.9"]
    assert [entity.account_name for entity in kinds(alert, "User")] == ["root"]
    assert (alert.category, alert.severity) == ("CredentialAccess", Severity.LOW)


def test_the_other_windows_events_name_their_things() -> None:
    assert kinds(with_event(targetObject="HKLM\\Software\\Run", details="x"), "Registry")[0] == Entity(
        entity_type="Registry", registry_hive="HKEY_LOCAL_MACHINE", registry_key="Software\\Run", registry_value="x"
    )
    assert kinds(with_event(queryName="C2.Example."), "DomainName")[0].domain_name == "c2.example"
    assert kinds(with_event(serviceName="upd", imagePath="c:\\u.exe"), "Service")[0].service_name == "upd"
    assert kinds(with_event(taskName="\\T1"), "ScheduledTask")[0].task_name == "\\T1"
    assert kinds(with_event(pipeName="\\p"), "NamedPipe")[0].pipe_name == "\\p"
    assert kinds(with_event(shareName="\\\\*\\C$"), "Share")[0].share_name == "\\\\*\\C$"
    assert kinds(with_event(scriptBlockId="{AB-1}"), "Script")[0].script_block_id == "ab-1"
    alert = with_event(targetUserName="ann@corp.example", targetLogonId="0x1F", ipAddress="-", subjectUserSid="S-1-0-0")
    assert kinds(alert, "User")[0].user_principal_name == "ann@corp.example"
    assert kinds(alert, "LogonSession")[0].logon_session_id == "ws7:0x1f"


def test_an_embedded_suricata_alert_speaks_for_itself_and_not_for_its_sensor() -> None:
    signature = {
        "action": "allowed",
        "gid": "1",
        "signature_id": "2099001",
        "severity": "1",
        "category": "Misc activity",
    }
    data = {**EVE, "flow_id": "1.000000", "src_port": "9", "alert": signature | {"signature": "ET SCAN x"}}
    rule = {"level": 3, "description": "Suricata: Alert", "id": "86601", "groups": ["ids", "suricata"]}
    alert = read(
        WAZUH_LOGON, data=data, rule=rule, predecoder=None, agent={"id": "004", "name": "probe", "ip": "10.8.8.8"}
    )
    assert alert.devices == ()
    assert "Seen by network sensor probe." in alert.description
    assert (alert.severity, alert.category, alert.detector_id) == (Severity.HIGH, "Discovery", "86601/1:2099001")
    assert {"198.51.100.7", "10.1.2.3"} <= {entity.ip_address for entity in kinds(alert, "Ip")}
    on_host = read(WAZUH_LOGON, data=data, rule=rule, agent={"id": "004", "name": "ws7", "ip": "10.1.2.3"})
    assert [device.device_dns_name for device in on_host.devices] == ["ws7"]


def test_cloud_records_have_no_machine() -> None:
    record = {"UserId": "ann@corp.example", "ClientIP": "[2001:db8::1]:443", "ObjectId": "https://x.example/f"}
    alert = read(WAZUH_LOGON, data={"office365": record})
    assert alert.devices == ()
    assert kinds(alert, "Ip")[0].ip_address == "2001:db8::1"
    assert kinds(alert, "User")[0].account_name == "ann"
    caller = {"sourceIPAddress": "cloudtrail.example", "userIdentity": {"arn": "arn:aws:iam::1:user/eve"}}
    aws = read(WAZUH_LOGON, data={"aws": caller})
    assert kinds(aws, "User")[0].account_name == "eve"
    assert kinds(aws, "Ip") == []


def test_linux_audit_and_file_integrity_records_are_read() -> None:
    audit = {"exe": "/usr/bin/curl", "pid": "44", "ppid": "1", "session": "3", "execve": {"a0": "curl", "a1": "x"}}
    alert = read(WAZUH_SYSMON, data={"audit": audit | {"file": {"name": "/etc/shadow"}}})
    [process] = kinds(alert, "Process")
    assert (process.process_command_line, process.parent_process_id) == ("curl x", 1)
    assert (kinds(alert, "File")[0].file_name, kinds(alert, "File")[0].file_path) == ("shadow", "/etc")
    assert kinds(alert, "LogonSession")[0].logon_session_id == "ws7:3"
    change = read(
        WAZUH_SYSMON, data=None, syscheck={"path": "/etc/passwd", "sha256_after": "ab" * 32, "uname_after": "root"}
    )
    assert kinds(change, "File")[0].sha256 == "ab" * 32
    assert kinds(change, "User")[0].account_name == "root"
    key = read(WAZUH_SYSMON, data=None, syscheck={"path": "HKEY_LOCAL_MACHINE\\Software\\A", "value_name": "v"})
    assert kinds(key, "Registry")[0].registry_value_name == "v"


def test_a_scan_result_of_virustotal_carries_the_verdict() -> None:
    result = {"malicious": "1", "source": {"file": "/tmp/x", "sha1": "ab" * 20}}
    [file] = kinds(read(WAZUH_SYSMON, data={"virustotal": result}), "File")
    assert (file.verdict, file.sha1) == ("Malicious", "ab" * 20)


@pytest.mark.parametrize(
    ("level", "severity"),
    [
        (0, "Informational"),
        (3, "Informational"),
        (4, "Low"),
        (6, "Low"),
        (7, "Medium"),
        (11, "Medium"),
        (12, "High"),
        (16, "High"),
    ],
)
def test_levels_become_severities(level: int, severity: str) -> None:
    assert level_severity(level) == severity


def test_the_same_id_of_two_managers_is_two_alerts() -> None:
    one, two = read(WAZUH_LOGON), read(WAZUH_LOGON, manager={"name": "wz-second"})
    assert one.provider_alert_id == two.provider_alert_id == "1714550460.80"
    assert one.identity != two.identity


def test_without_an_id_the_document_itself_is_the_identity() -> None:
    one, two = read(WAZUH_LOGON, id=None), read(WAZUH_LOGON, id=None, full_log="other")
    assert one.identity == read(WAZUH_LOGON, id=None).identity != two.identity


def test_a_hit_of_the_indexer_is_the_document_in_it() -> None:
    hit = {"_index": "wazuh-alerts-4.x", "_id": "q", "_source": WAZUH_LOGON}
    assert normalise(as_bytes(hit)) == read(WAZUH_LOGON)


def test_an_archived_event_without_a_rule_is_no_alert() -> None:
    assert normalise(as_bytes({"timestamp": "2024-05-01T08:01:00Z", "full_log": "x", "decoder": {}})) is None


def test_a_composite_rule_counts_the_events_it_carries() -> None:
    assert read(WAZUH_LOGON, previous_output="one\ntwo\n").event_count == 3


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({}, "`rule`: is missing"),
        ({"rule": {"id": "1"}}, "`timestamp`: is missing"),
        ({"rule": {"id": "1"}, "timestamp": "late"}, "`timestamp`: 'late' is not a time"),
        ({"rule": {}, "timestamp": "2024-05-01T08:01:00Z"}, "`rule.description`: is missing"),
        ({"rule": []}, "`rule`: expected"),
    ],
)
def test_a_refusal_names_the_field(record: dict[str, Any], words: str) -> None:
    with pytest.raises(Refused) as caught:
        normalise(as_bytes(record))
    assert words in str(caught.value)
