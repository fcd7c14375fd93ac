"""The codes that stores keep never change."""

from __future__ import annotations

from enum import StrEnum

import pytest

from tocsin.model import AlertStatus, Classification, Determination, IncidentStatus, ServiceSource, Severity
from tocsin.stores.codes import decode_enum, encode_enum

KEPT: list[tuple[type[StrEnum], list[str]]] = [
    (IncidentStatus, ["Active", "InProgress", "Resolved", "Redirected"]),
    (AlertStatus, ["New", "InProgress", "Resolved"]),
    (
        ServiceSource,
        [
            "Unknown",
            "MicrosoftDefenderForEndpoint",
            "MicrosoftDefenderForIdentity",
            "MicrosoftDefenderForCloudApps",
            "MicrosoftDefenderForOffice365",
            "Microsoft365Defender",
            "AzureAdIdentityProtection",
            "MicrosoftAppGovernance",
            "DataLossPrevention",
            "MicrosoftDefenderForCloud",
            "MicrosoftSentinel",
            "MicrosoftInsiderRiskManagement",
            "MicrosoftThreatIntelligence",
            "MicrosoftSecurityForAI",
        ],
    ),
    (Severity, ["UnSpecified", "Informational", "Low", "Medium", "High"]),
    (Classification, ["Unknown", "FalsePositive", "TruePositive", "InformationalExpectedActivity"]),
    (
        Determination,
        [
            "NotAvailable",
            "Apt",
            "Malware",
            "SecurityPersonnel",
            "SecurityTesting",
            "UnwantedSoftware",
            "Other",
            "MultiStagedAttack",
            "CompromisedAccount",
            "Phishing",
            "MaliciousUserActivity",
            "NotMalicious",
            "NoEnoughDataToValidate",
            "ConfirmedActivity",
            "LineOfBusinessApplication",
        ],
    ),
]


@pytest.mark.parametrize(("kind", "spelled"), KEPT)
def test_members_keep_the_codes_they_were_first_stored_with(kind: type[StrEnum], spelled: list[str]) -> None:
    # Members may be added at the end; those listed here stay where they are.
    assert [decode_enum(kind, code) for code in range(len(spelled))] == spelled
    assert [encode_enum(member) for member in kind] == list(range(len(kind)))


def test_severity_codes_are_its_ranks() -> None:
    assert [encode_enum(severity) for severity in Severity] == [severity.rank for severity in Severity]


@pytest.mark.parametrize("code", [-1, 99])
def test_an_unknown_code_is_not_taken_for_a_member(code: int) -> None:
    with pytest.raises(IndexError):
        decode_enum(Severity, code)
