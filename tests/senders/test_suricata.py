from __future__ import annotations

from typing import Any

import pytest
from records import EVE, as_bytes

from tocsin.errors import Refused
from tocsin.model import Alert, Severity
from tocsin.senders.suricata import normalise
from tocsin.ticks import format_ticks


def read(**changes: Any) -> Alert:
    alert = normalise(as_bytes(EVE | changes))
    assert alert is not None
    return alert


def held(alert: Alert, kind: str, field: str) -> list[Any]:
    return [getattr(entity, field) for entity in alert.entities if entity.entity_type == kind]


def test_an_alert_is_told_by_its_rule_and_its_metadata() -> None:
    alert = read()
    assert format_ticks(alert.first_activity) == "2024-05-01T08:00:00.1234560Z"
    assert (alert.title, alert.detector_id) == ("ET MALWARE Example Loader Checkin", "1:2099001")
    assert (alert.category, alert.tactics, alert.mitre_techniques) == (
        "CommandAndControl",
        ("command-and-control",),
        ("T1071",),
    )
    assert (alert.severity, alert.threat_family_name) == (Severity.MEDIUM, "ExampleLoader")
    assert alert.devices == ()


def test_the_description_tells_action_ends_request_and_roles() -> None:
    words = read().description
    assert "action blocked" in words
    assert "From 198.51.100.7 port 51544 to 10.1.2.3 port 8080 TCP/http, packet to server." in words
    assert "POST http://cdn.loader.example:8080/gate.php?id=1 HTTP/1.1, answer 200, user agent loader/1.0" in words
    assert "198.51.100.7 as the attacker and 10.1.2.3 as the victim" in words


def test_every_protocol_part_gives_its_entities() -> None:
    alert = read()
    assert held(alert, "Ip", "ip_address") == ["198.51.100.7", "10.1.2.3", "203.0.113.9", "192.0.2.8"]
    assert held(alert, "Url", "url") == ["http://cdn.loader.example:8080/gate.php?id=1"]
    assert held(alert, "DomainName", "domain_name") == ["cdn.loader.example", "two.example", "sni.example"]
    assert held(alert, "MailMessage", "recipient") == ["ann@corp.example", "bob@corp.example"]
    [file] = [entity for entity in alert.entities if entity.entity_type == "File"]
    assert (file.file_name, file.sha256, file.md5) == ("load.exe", "ab" * 32, "cd" * 16)


@pytest.mark.parametrize(
    "dns",
    [
        {"type": "query", "rrname": "a.example"},
        {"version": 2, "query": [{"rrname": "a.example"}]},
        {
            "version": 3,
            "queries": [{"rrname": "A.example."}],
            "answers": [{"rrname": "a.example", "rdata": "192.0.2.4"}],
        },
    ],
)
def test_dns_names_are_found_in_all_versions_of_the_record(dns: dict[str, Any]) -> None:
    assert "a.example" in held(read(dns=dns), "DomainName", "domain_name")


def test_logins_shares_and_pipes_are_read() -> None:
    smb = {"ntlmssp": {"user": "ann", "domain": "CORP"}, "share": "\\\\srv\\C$", "named_pipe": "svcctl"}
    alert = read(smb=smb, krb5={"cname": "bob", "realm": "CORP"}, ftp={"command": "USER", "command_data": "eve"})
    assert held(alert, "User", "account_name") == ["ann", "bob", "eve"]
    assert held(alert, "Share", "share_name") == ["\\\\srv\\C$"]
    assert held(alert, "NamedPipe", "pipe_name") == ["svcctl"]


@pytest.mark.parametrize("kind", ["flow", "stats", "dns", "fileinfo", "anomaly", "drop"])
def test_other_event_types_are_no_alert(kind: str) -> None:
    assert normalise(as_bytes({"event_type": kind, "timestamp": 5})) is None


@pytest.mark.parametrize(
    ("severity", "metadata", "expected"),
    [
        (1, {}, Severity.HIGH),
        (2, {}, Severity.MEDIUM),
        (3, None, Severity.LOW),
        (4, "odd", Severity.INFORMATIONAL),
        (255, {}, Severity.INFORMATIONAL),
        (None, {}, Severity.UNSPECIFIED),
        (3, {"signature_severity": ["Critical"]}, Severity.HIGH),
        (1, {"signature_severity": ["Informational"]}, Severity.INFORMATIONAL),
        (1, {"signature_severity": "Minor"}, Severity.LOW),
    ],
)
def test_the_rules_own_grade_wins_over_its_class(severity: int | None, metadata: object, expected: Severity) -> None:
    alert = {"signature": "x", "signature_id": 1, "severity": severity, "metadata": metadata}
    assert read(alert=alert).severity is expected


@pytest.mark.parametrize(
    ("signature", "text", "expected"),
    [
        ("local rule", "Attempted Information Leak", "Discovery"),
        ("local rule", "Potentially Bad Traffic", "SuspiciousActivity"),
        ("ET SCAN Something", "Misc activity", "Discovery"),
        ("scan", None, "SuspiciousActivity"),
    ],
)
def test_without_a_tactic_class_and_family_give_the_category(signature: str, text: str | None, expected: str) -> None:
    assert read(alert={"signature": signature, "category": text, "signature_id": 1}).category == expected


def test_the_identity_begins_with_the_time_and_repeats_with_the_line() -> None:
    first, again = read(), normalise(as_bytes(EVE) + b"\n")
    assert again is not None
    assert first.identity == again.identity
    later, twin = read(timestamp="2024-05-01T10:00:00.2+0200"), read(tx_id=4)
    assert len({first.identity, later.identity, twin.identity}) == 3
    assert first.identity < later.identity


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"timestamp": "2024-05-01T10:00:00Z"}, "`event_type`: is missing"),
        ({"event_type": "alert", "alert": {"signature": "x"}}, "`timestamp`: is missing"),
        (
            {"event_type": "alert", "timestamp": "noon", "alert": {"signature": "x"}},
            "`timestamp`: 'noon' is not a time",
        ),
        ({"event_type": "alert", "timestamp": "2024-05-01T10:00:00Z"}, "`alert`: is missing"),
        ({"event_type": "alert", "timestamp": "2024-05-01T10:00:00Z", "alert": {}}, "`alert.signature`: is missing"),
    ],
)
def test_a_refusal_names_the_field(record: dict[str, Any], words: str) -> None:
    with pytest.raises(Refused) as caught:
        normalise(as_bytes(record))
    assert words in str(caught.value)
