"""What an alert's evidence is: which kinds, which names are the same, and what says nothing."""

from __future__ import annotations

from typing import Any

import pytest
from story import alert, user

from tocsin.correlation.evidence import KEYS_MAX, TEXT_MAX, Evidence, account_of, evidence_keys, is_system_path
from tocsin.model import Entity


def traces(*entities: Entity, devices: tuple[str, ...] = ("pc1",)) -> list[Evidence]:
    """The evidence of the entities alone."""
    skipped = ("rule", "moment", "device", "sequel")
    return [each for each in evidence_keys(alert(devices=devices, entities=entities)) if each.kind.name not in skipped]


@pytest.mark.parametrize(
    ("fields", "kinds"),
    [
        ({"entity_type": "User", "account_name": "eva"}, ["user"]),
        ({"entity_type": "User", "account_name": "Administrator"}, ["genericUser"]),
        ({"entity_type": "User", "account_name": "PC1$"}, ["genericUser"]),
        ({"entity_type": "User", "account_name": "NT AUTHORITY\\SYSTEM"}, ["genericUser"]),
        ({"entity_type": "User", "user_sid": "S-1-5-18", "account_name": "eva"}, ["genericUser"]),
        ({"entity_type": "User", "user_sid": "S-1-5-21-1-2-3-500"}, ["genericUser"]),
        ({"entity_type": "User", "account_name": "-"}, []),
        ({"entity_type": "User", "aad_user_id": "00000000-0000-0000-0000-000000000000"}, []),
        ({"entity_type": "Mailbox", "mailbox_address": "eva@corp.example"}, ["user"]),
        ({"entity_type": "Ip", "ip_address": "10.1.2.3"}, ["privateIp"]),
        ({"entity_type": "Ip", "ip_address": "8.8.4.4"}, ["publicIp"]),
        ({"entity_type": "Ip", "ip_address": "2A00:1450:4001::8"}, ["publicIp"]),
        ({"entity_type": "Ip", "ip_address": "0.0.0.0"}, []),
        ({"entity_type": "Ip", "ip_address": "::1"}, []),
        ({"entity_type": "Ip", "ip_address": "239.1.1.1"}, []),
        ({"entity_type": "Ip", "ip_address": "not an address"}, []),
        ({"entity_type": "Url", "url": "HTTP://A.example/x"}, ["url", "domain"]),
        ({"entity_type": "Url", "url": "http://[broken"}, ["url"]),
        ({"entity_type": "DomainName", "domain_name": "a.example."}, ["domain"]),
        ({"entity_type": "Process", "process_unique_id": "{ab-1}"}, ["process"]),
        ({"entity_type": "Process", "process_id": 7, "process_creation_time": 99}, ["process"]),
        ({"entity_type": "Process", "process_id": 7}, []),
        (
            {"entity_type": "Process", "process_unique_id": "{ab-1}", "parent_process_unique_id": "{ab-0}"},
            ["process", "process"],
        ),
        ({"entity_type": "Process", "process_unique_id": "{00000000-0000-0000-0000-000000000000}"}, []),
        ({"entity_type": "Process", "process_command_line": "tool.exe /go"}, ["command"]),
        ({"entity_type": "Process", "image_file_name": "cmd.exe"}, []),
        ({"entity_type": "File", "sha256": "ab" * 32}, ["file"]),
        ({"entity_type": "File", "sha256": "ab" * 32, "sha1": "cd" * 20, "md5": "ef" * 16}, ["file"]),
        ({"entity_type": "File", "md5": "0" * 32}, []),
        ({"entity_type": "File", "sha256": "ab" * 32, "is_system_file": True}, []),
        ({"entity_type": "File", "file_name": "a.exe", "file_path": "c:\\users\\eva"}, ["path"]),
        ({"entity_type": "File", "file_name": "a.exe", "file_path": "c:\\windows\\system32"}, []),
        ({"entity_type": "File", "file_name": "a.exe"}, []),
        ({"entity_type": "MailMessage", "internet_message_id": "<1@x>", "sender": "a@b.example"}, ["mail", "sender"]),
        ({"entity_type": "MailMessage", "recipient": "eva@corp.example", "subject": "Pay now"}, ["subject", "user"]),
        ({"entity_type": "MailCluster", "cluster_by": "Subject", "cluster_by_value": "Pay"}, ["cluster"]),
        ({"entity_type": "Registry", "registry_hive": "HKLM", "registry_key": "Software\\Run"}, ["registry"]),
        ({"entity_type": "LogonSession", "logon_session_id": "pc1:0x4f21"}, ["session"]),
        ({"entity_type": "LogonSession", "logon_session_id": "pc1:0x3e7"}, []),
        ({"entity_type": "Script", "script_block_id": "b-1"}, ["script"]),
        ({"entity_type": "Service", "service_name": "oddsvc"}, ["service"]),
        ({"entity_type": "ScheduledTask", "task_name": "\\updater"}, ["task"]),
        ({"entity_type": "NamedPipe", "pipe_name": "\\odd-1"}, ["pipe"]),
        ({"entity_type": "NamedPipe", "pipe_name": "\\lsass"}, []),
        ({"entity_type": "Share", "share_name": "\\\\*\\plans"}, ["share"]),
        ({"entity_type": "Share", "share_name": "\\\\*\\IPC$"}, []),
        ({"entity_type": "OAuthApplication", "application_id": "app-1"}, ["application"]),
        ({"entity_type": "AzureResource", "azure_resource_id": "/subscriptions/1/vm/2"}, ["resource"]),
        ({"entity_type": "NeverHeardOf", "url": "http://a.example/", "account_name": "eva"}, ["user", "url", "domain"]),
    ],
)
def test_kinds_of_an_entity(fields: dict[str, Any], kinds: list[str]) -> None:
    assert [each.kind.name for each in traces(Entity(**fields))] == kinds


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (user("eva"), user("CORP\\Eva")),
        (user("eva"), Entity(entity_type="User", user_principal_name="eva@corp.example")),
        (Entity(entity_type="File", sha1="AB" * 20), Entity(entity_type="File", sha1="ab" * 20)),
        (Entity(entity_type="Ip", ip_address="FE80::1"), Entity(entity_type="Ip", ip_address="fe80::1 ")),
    ],
)
def test_spellings_of_one_thing_have_one_key(one: Entity, other: Entity) -> None:
    assert {each.key for each in traces(one)} == {each.key for each in traces(other)}


def test_kinds_do_not_share_keys() -> None:
    same = [Entity(entity_type="Service", service_name="x"), Entity(entity_type="ScheduledTask", task_name="x")]
    assert len({each.key for each in traces(*same)}) == 2


def test_keys_are_stable_signed_and_of_64_bits() -> None:
    (found,) = traces(user("eva"))
    assert -(2**63) <= found.key < 2**63
    assert [each.key for each in traces(user("eva"))] == [found.key]


def test_the_rule_is_first_and_weighs_nothing() -> None:
    first = evidence_keys(alert(devices=("pc1",)))[0]
    assert (first.kind.name, first.kind.prior, first.text) == ("rule", 0.0, "Odd logon")


def test_an_alert_without_devices_takes_its_addresses_for_hosts() -> None:
    found = traces(Entity(entity_type="Ip", ip_address="10.1.2.3"), devices=())
    assert [each.kind.name for each in found] == ["hostIp", "repeat"]


@pytest.mark.parametrize("absent", ["", "-", "localhost", " N/A "])
def test_absent_host_names_are_no_evidence(absent: str) -> None:
    assert [each.kind.name for each in evidence_keys(alert(devices=(absent,)))] == ["rule", "moment"]


def test_a_host_that_is_known_by_address_meets_that_address() -> None:
    named = next(each for each in evidence_keys(alert(devices=("10.1.2.3",))) if each.kind.name == "device")
    seen = traces(Entity(entity_type="Ip", ip_address="10.1.2.3"), devices=())[0]
    assert named.key == seen.key


def test_keys_and_texts_are_bounded() -> None:
    crowd = tuple(Entity(entity_type="Url", url=f"http://x.example/{n}/{'y' * 500}") for n in range(5_000))
    found = evidence_keys(alert(devices=tuple(f"pc{n}" for n in range(500)), entities=crowd))
    assert len(found) == KEYS_MAX
    assert max(len(each.text) for each in found) == TEXT_MAX
    assert {each.kind.name for each in found} >= {"device", "url"}


@pytest.mark.parametrize(
    ("name", "account"),
    [("CORP\\JDoe", "jdoe"), ("jdoe@corp.example", "jdoe"), ("-", ""), (" ", ""), ("@odd", "@odd"), ("(null)", "")],
)
def test_account_names(name: str, account: str) -> None:
    assert account_of(name) == account


@pytest.mark.parametrize(
    ("folder", "system"),
    [
        ("C:\\Windows\\System32", True),
        ("C:\\Windows\\System32\\", True),
        ("\\Device\\HarddiskVolume3\\Windows\\System32", True),
        ("%SystemRoot%\\system32", True),
        ("/usr/bin", True),
        ("C:\\Windows\\Temp", False),
        ("C:\\Users\\eva\\windows\\", False),
        ("/home/eva/usr/bin", False),
        ("", False),
    ],
)
def test_system_paths(folder: str, system: bool) -> None:
    assert is_system_path(folder, "a.exe") is system
