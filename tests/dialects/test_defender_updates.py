"""Update bodies of `/api/incidents`: every name a value may have, and every fault by its name."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from tocsin.dialects.defender_updates import parse_update
from tocsin.errors import InvalidChange
from tocsin.triage import IncidentChanges


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("CompromisedUser", "CompromisedAccount"),
        ("CompromisedAccount", "CompromisedAccount"),
        ("ConfirmedUserActivity", "ConfirmedActivity"),
        ("ConfirmedActivity", "ConfirmedActivity"),
        ("Clean", "NotMalicious"),
        ("NotMalicious", "NotMalicious"),
        ("InsufficientData", "NoEnoughDataToValidate"),
        ("NotEnoughDataToValidate", "NoEnoughDataToValidate"),
        ("NoEnoughDataToValidate", "NoEnoughDataToValidate"),
        ("Apt", "Apt"),
        ("SecurityPersonnel", "SecurityPersonnel"),
        ("SecurityTesting", "SecurityTesting"),
        ("MultiStagedAttack", "MultiStagedAttack"),
        ("LineOfBusinessApplication", "LineOfBusinessApplication"),
        ("NotAvailable", "NotAvailable"),
    ],
)
def test_every_name_of_a_determination_is_taken(sent: str, kept: str) -> None:
    assert parse_update(msgspec.json.encode({"determination": sent})).determination == kept


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("Unknown", "Unknown"),
        ("FalsePositive", "FalsePositive"),
        ("TruePositive", "TruePositive"),
        ("InformationalExpectedActivity", "InformationalExpectedActivity"),
        ("Informational, expected activity", "InformationalExpectedActivity"),
    ],
)
def test_every_name_of_a_classification_is_taken(sent: str, kept: str) -> None:
    assert parse_update(msgspec.json.encode({"classification": sent})).classification == kept


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"severity": "High"}, ["'severity' cannot be changed"]),
        ({"Status": "Active"}, ["'Status' is not a property; names are case-sensitive: 'status'"]),
        ({"owner": "x", "incidentName": "y"}, ["'owner'", "'incidentName'"]),
        ({"comments": []}, ["'comments'", "'comment'"]),
        ({"status": "resolved"}, ["'status' cannot be 'resolved'; it is one of Active, InProgress, Resolved"]),
        ({"status": "Redirected"}, ["'status' cannot be 'Redirected'"]),
        ({"status": None, "tags": "x", "comment": 1, "assignedTo": 5}, ["'status'", "'tags'", "'comment'", "'assi"]),
        ({"tags": ["a", 1]}, ["'tags'"]),
        ({"tags": {"a": 1}}, ["'tags'"]),
        ({"classification": "Wrong", "determination": "Bad"}, ["'classification'", "'determination'"]),
        (b'{"status":"Active","status":"Resolved"}', ["'status' is there more than once"]),
        (b"", ["empty"]),
        (b"[]", ["object"]),
        (b"null", ["object"]),
        (b'{"status":', ["not JSON"]),
        (b'{"comment":"\\ud800"}', ["not JSON"]),
        (b'{"comment":"\xff"}', ["not JSON"]),
        (b'{"comment":NaN}', ["not JSON"]),
        (b'{"tags":' + b"[" * 100_000 + b"]" * 100_000 + b"}", ["not JSON"]),
    ],
)
def test_each_fault_of_a_body_is_named(body: Any, named: list[str]) -> None:
    with pytest.raises(InvalidChange) as caught:
        parse_update(body if isinstance(body, bytes) else msgspec.json.encode(body))
    for text in named:
        assert text in str(caught.value)


def test_what_is_absent_stays_unset_and_nobody_is_none() -> None:
    assert parse_update(b"{}") == IncidentChanges()
    assert (
        parse_update(b'{"assignedTo":""}') == parse_update(b'{"assignedTo":null}') == IncidentChanges(assigned_to=None)
    )
    assert parse_update(b'{"tags":[]}').tags == ()
    assert parse_update(b'{"comment":"x","@odata.type":"#any"}').status is UNSET
