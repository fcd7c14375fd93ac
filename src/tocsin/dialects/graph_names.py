"""How Graph spells enumerations: camelCase, some members under other names, some only for callers who ask for them.

Graph's enumerations grow. Members that came after `unknownFutureValue` are shown as that word unless the caller
sends `Prefer: include-unknown-enum-members` (`incidents-api.md` 1.7). Lists are in Graph's own order. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final, TypeVar

from tocsin.model import AlertStatus, Classification, Determination, IncidentStatus, ServiceSource, Severity

UNKNOWN: Final = "unknown"
FUTURE: Final = "unknownFutureValue"

_Member = TypeVar("_Member", bound=StrEnum)


def camel(text: str) -> str:
    """The first letter in lower case."""
    return text[:1].lower() + text[1:]


def _spellings(members: Iterable[_Member], **others: _Member) -> dict[_Member, str]:
    named = {member: name for name, member in others.items()}
    return {member: named.get(member, camel(member.value)) for member in members}


INCIDENT_STATUSES: Final = _spellings(IncidentStatus)
ALERT_STATUSES: Final = _spellings(AlertStatus)
SEVERITIES: Final = _spellings(Severity, unknown=Severity.UNSPECIFIED)
CLASSIFICATIONS: Final = _spellings(Classification)
DETERMINATIONS: Final = _spellings(
    Determination,
    unknown=Determination.NOT_AVAILABLE,
    notEnoughDataToValidate=Determination.NO_ENOUGH_DATA_TO_VALIDATE,
)
SERVICE_SOURCES: Final = _spellings(ServiceSource)

LATE_SERVICE_SOURCES: Final = frozenset(
    {
        ServiceSource.MICROSOFT_DEFENDER_FOR_CLOUD,
        ServiceSource.MICROSOFT_SENTINEL,
        ServiceSource.MICROSOFT_INSIDER_RISK_MANAGEMENT,
        ServiceSource.MICROSOFT_THREAT_INTELLIGENCE,
        ServiceSource.MICROSOFT_SECURITY_FOR_AI,
    }
)


def members_of(spellings: Mapping[_Member, str]) -> dict[str, StrEnum]:
    """What filters may write: Graph's spelling, and the same with a capital, as half of Graph's own pages have it."""
    capitals: dict[str, StrEnum] = {name[:1].upper() + name[1:]: member for member, name in spellings.items()}
    return {**{name: member for member, name in spellings.items()}, **capitals}


class Names:
    """An enumeration that we keep only as text: what Graph calls it, for callers who know all members and others."""

    def __init__(self, early: str, late: str = "", *, otherwise: str = UNKNOWN) -> None:
        self.early, self.late = tuple(early.split()), tuple(late.split())
        known = {name.lower(): name for name in self.early}
        self._all = {**known, **{name.lower(): name for name in self.late}}
        self._few = {**known, **{name.lower(): FUTURE for name in self.late}}
        self._otherwise = otherwise

    def spell(self, text: str | None, *, all_members: bool) -> str:
        """Graph's word for this text; case, spaces and dashes make no difference."""
        folded = (text or "").lower().replace(" ", "").replace("-", "")
        return (self._all if all_members else self._few).get(folded, self._otherwise)

    def schema(self) -> dict[str, object]:
        """What a JSON schema says of it."""
        return {"enum": [*dict.fromkeys((*self.early, FUTURE, *self.late))]}


VERDICTS: Final = Names("unknown suspicious malicious noThreatsFound")
REMEDIATIONS: Final = Names(
    "none remediated prevented blocked notFound",
    "active pendingApproval declined unremediated running partiallyRemediated",
    otherwise="none",
)
HEALTH_STATUSES: Final = Names(
    "active inactive impairedCommunication noSensorData noSensorDataImpairedCommunication unknown"
)
RISK_SCORES: Final = Names("none informational low medium high", otherwise="none")
ONBOARDING_STATUSES: Final = Names(
    "insufficientInfo onboarded canBeOnboarded unsupported", otherwise="insufficientInfo"
)
AV_STATUSES: Final = Names("notReporting disabled notUpdated updated unknown notSupported")
CLOUD_PROVIDERS: Final = Names("unknown azure")
INVESTIGATION_STATES: Final = Names(
    "unknown terminated successfullyRemediated benign failed partiallyRemediated running pendingApproval "
    "pendingResource queued innerFailure preexistingAlert unsupportedOs unsupportedAlertType suppressedAlert "
    "partiallyInvestigated terminatedByUser terminatedBySystem"
)
DETECTION_SOURCES: Final = Names(
    "unknown microsoftDefenderForEndpoint antivirus smartScreen customTi microsoftDefenderForOffice365 "
    "automatedInvestigation microsoftThreatExperts customDetection microsoftDefenderForIdentity cloudAppSecurity "
    "microsoft365Defender azureAdIdentityProtection manual microsoftDataLossPrevention appGovernancePolicy "
    "appGovernanceDetection",
    "microsoftDefenderForCloud microsoftDefenderForIoT microsoftDefenderForServers microsoftDefenderForStorage "
    "microsoftDefenderForDNS microsoftDefenderForDatabases microsoftDefenderForContainers "
    "microsoftDefenderForNetwork microsoftDefenderForAppService microsoftDefenderForKeyVault "
    "microsoftDefenderForResourceManager microsoftDefenderForApiManagement nrtAlerts scheduledAlerts "
    "microsoftDefenderThreatIntelligenceAnalytics builtInMl microsoftInsiderRiskManagement "
    "microsoftThreatIntelligence microsoftDefenderForAIServices securityCopilot microsoftSentinel",
)


def service_source_name(source: ServiceSource, *, all_members: bool) -> str:
    """The word for a product family."""
    return FUTURE if source in LATE_SERVICE_SOURCES and not all_members else SERVICE_SOURCES[source]
