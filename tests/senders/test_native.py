from __future__ import annotations

from typing import Any

import msgspec
import pytest
from records import NATIVE, as_bytes

from tocsin.errors import Refused
from tocsin.model import Alert, AlertStatus, Classification, Determination, Severity
from tocsin.senders.native import normalise
from tocsin.ticks import format_ticks, parse_ticks

LEAST = {"title": "Something", "firstActivity": "2024-05-01T08:00:00"}


def read(**changes: Any) -> Alert:
    return normalise(as_bytes(NATIVE | changes))


def test_everything_the_api_writes_is_read() -> None:
    alert = read()
    assert alert.provider_alert_id == "p-17"
    assert format_ticks(alert.creation_time) == "2024-05-01T08:00:05.1234567Z"
    assert format_ticks(alert.last_activity) == "2024-05-01T08:00:04.5000000Z"
    assert (alert.category, alert.status, alert.severity) == (
        "CredentialAccess",
        AlertStatus.IN_PROGRESS,
        Severity.HIGH,
    )
    assert alert.classification is Classification.INFORMATIONAL_EXPECTED_ACTIVITY
    assert alert.determination is Determination.COMPROMISED_ACCOUNT
    assert (alert.tactics, alert.mitre_techniques, alert.event_count) == (("credential-access",), ("T1003.001",), 3)
    [device] = alert.devices
    assert (device.mdatp_device_id, device.os_build, device.tags) == ("ab" * 20, 19045, ("finance",))
    assert device.vm_metadata == {"vmId": "v1", "cloudProvider": None}
    assert format_ticks(device.first_seen) == "2023-01-01T00:00:00.0000000Z"


def test_an_entity_keeps_its_known_keys_and_an_unknown_type_its_name() -> None:
    mailbox, process, gadget = read().entities
    assert (mailbox.entity_type, mailbox.mailbox_address) == ("Mailbox", "ann@corp.example")
    assert (process.process_id, process.process_command_line, process.is_system_file) == (612, "dump.exe -all", False)
    assert (gadget.entity_type, gadget.pipe_name) == ("Gadget", "\\p1")


def test_a_title_and_one_time_are_enough() -> None:
    alert = normalise(as_bytes(LEAST))
    assert alert.first_activity == alert.last_activity == alert.creation_time == parse_ticks("2024-05-01T08:00:00Z")
    assert alert.severity is Severity.UNSPECIFIED
    assert normalise(as_bytes({"displayName": "Other", "creationTime": "2024-05-01"})).title == "Other"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"title": None}, "`title`: is missing"),
        ({"title": 5}, "`title`: expected"),
        (
            {"firstActivity": None, "lastActivity": "", "creationTime": "0001-01-01T00:00:00Z"},
            "`firstActivity`: is miss",
        ),
        ({"firstActivity": "yesterday"}, "`firstActivity`: 'yesterday' is not a time like"),
        ({"severity": "Fatal"}, "`severity`: 'Fatal' is none of UnSpecified, Informational, Low, Medium, High"),
        ({"status": "Redirected"}, "`status`: 'Redirected' is none of New, InProgress, Resolved"),
        ({"classification": "Maybe"}, "`classification`: 'Maybe' is none of Unknown, FalsePositive"),
        ({"determination": "Luck"}, "`determination`: 'Luck' is none of NotAvailable"),
        ({"investigationId": 2**64}, "`investigationId`: "),
        ({"entities": [{"sha1": "x"}]}, "`entities[0].entityType`: is missing"),
        ({"entities": [{"entityType": "Process", "processId": "many"}]}, "`entities[0].processId`: 'many' is no whole"),
        ({"entities": [{"entityType": "Url", "url": [[1]]}]}, "`entities[0].url`: a value of type list is no text"),
        ({"devices": [{"firstSeen": "soon"}]}, "`devices[0].firstSeen`: 'soon' is not a time"),
        ({"devices": [3]}, "`devices[0]`: expected"),
    ],
)
def test_a_refusal_names_the_field_and_the_reason(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(Refused) as caught:
        normalise(as_bytes(LEAST | changes))
    assert words in str(caught.value)


def test_the_documents_null_form_and_the_sparse_form_are_the_same_entity() -> None:
    nulls = dict.fromkeys(("sha1", "url", "processId", "processCreationTime", "deviceId", "accountName"))
    full = normalise(as_bytes(LEAST | {"entities": [{**nulls, "entityType": "Ip", "ipAddress": "192.0.2.1"}]}))
    sparse = normalise(as_bytes(LEAST | {"entities": [{"entityType": "Ip", "ipAddress": "192.0.2.1"}]}))
    assert full == sparse
    assert normalise(as_bytes(LEAST | {"devices": None, "entities": None, "tactics": None})).entities == ()


def test_without_an_id_equal_content_is_the_same_alert() -> None:
    one = normalise(as_bytes(LEAST))
    same = normalise(b'{ "firstActivity":"2024-05-01T08:00:00Z",\r\n "title":"Something", "new": 1 }')
    other = normalise(as_bytes(LEAST | {"title": "Something else"}))
    assert one.identity == same.identity != other.identity
    assert one.provider_alert_id


def test_equal_ids_of_two_products_are_two_alerts() -> None:
    assert read().identity != read(serviceSource="OtherProduct").identity
    assert read().identity == read(title="Renamed").identity


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("Edge", "A:1"), ("Edge:A", "1")),
        (("a%3Ab", "1"), ("a:b", "1")),
        (("a", "1:" * 150 + "x"), ("a:1", "1:" * 149 + "x")),
    ],
)
def test_ids_of_two_products_are_two_alerts_wherever_the_colons_stand(
    one: tuple[str, str], other: tuple[str, str]
) -> None:
    first, second = (read(serviceSource=source, providerAlertId=own_id).identity for source, own_id in (one, other))
    assert first != second


def test_unset_verdicts_of_an_analyst_become_none() -> None:
    alert = read(classification="Unknown", determination="NotAvailable")
    assert alert.classification is None
    assert alert.determination is None


def test_what_is_too_long_is_cut_and_the_description_says_so() -> None:
    entities = [{"entityType": "Ip", "ipAddress": f"10.0.{n // 250}.{n % 250}"} for n in range(507)]
    devices = [{"deviceDnsName": f"h{n}"} for n in range(103)]
    alert = read(title="t" * 600, description="d" * 9000, entities=entities, devices=devices)
    assert (len(alert.title), len(alert.entities), len(alert.devices)) == (500, 500, 100)
    assert len(alert.description) <= 8000
    assert alert.description.endswith(
        "[Tocsin: 7 entities beyond 500 left out, 3 devices beyond 100 left out, long texts cut short.]"
    )


def test_the_null_character_is_taken_out_of_every_text() -> None:
    alert = normalise(
        b'{"title":"a\\u0000b","providerAlertId":"x\\u0000","firstActivity":"2024-05-01","tactics":["exe\\u0000cution"],'
        b'"devices":[{"deviceDnsName":"h\\u0000","tags":["\\u0000t"],"vmMetadata":{"\\u0000k":"\\u0000v"}}],'
        b'"entities":[{"entityType":"U\\u0000rl","url":"http://\\u0000x"}]}'
    )
    assert b"\\u0000" not in msgspec.json.encode(alert)
    assert alert.title == "ab"


def test_a_part_that_is_no_object_is_refused_by_its_place() -> None:
    whole = b'{"title": "t", "firstActivity": "2026-03-02T08:00:00Z", "entities": [%b]}'
    with pytest.raises(Refused, match=r"`entities\[1\]`: expected `object`"):
        normalise(whole % b'{"entityType": "Ip", "ipAddress": "192.0.2.1"}, 7')


def test_the_same_part_twice_is_refused_by_its_own_place_each_time() -> None:
    whole = b'{"title": "t", "firstActivity": "2026-03-02T08:00:00Z", "entities": [%b{"entityType": ""}]}'
    for place, before in ((0, b""), (1, b'{"entityType": "Url", "url": "https://a.example"}, ')):
        with pytest.raises(Refused, match=rf"`entities\[{place}\].entityType`: is missing"):
            normalise(whole % before)
