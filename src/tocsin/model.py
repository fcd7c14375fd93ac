"""The nouns: Alert, Device, Entity, Incident and their enumerations. Frozen; times are ticks.

Spellings and field order are those of `/api/incidents` (`incidents-api.md` section 2), because that shape
is also the stored form (ADR 3); other dialects respell at the edge. Knows nothing of JSON bytes, stores or HTTP.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec


class Severity(StrEnum):
    """In rising order; an incident has the highest of its alerts."""

    UNSPECIFIED = "UnSpecified"
    INFORMATIONAL = "Informational"
    LOW = "Low"
    MEDIUM = "Medium"
    HIGH = "High"

    @property
    def rank(self) -> int:
        """0 for UnSpecified to 4 for High."""
        return _SEVERITY_RANK[self]


_SEVERITY_RANK: Final = {severity: rank for rank, severity in enumerate(Severity)}


class IncidentStatus(StrEnum):
    """`Redirected` marks a husk: an incident that was merged into `redirect_incident_id`."""

    ACTIVE = "Active"
    IN_PROGRESS = "InProgress"
    RESOLVED = "Resolved"
    REDIRECTED = "Redirected"


class AlertStatus(StrEnum):
    """As examples and captures have it; the documents' `Active` for alerts is an error (section 2.2)."""

    NEW = "New"
    IN_PROGRESS = "InProgress"
    RESOLVED = "Resolved"


class Classification(StrEnum):
    """Incident level; an alert that nobody classified has None instead of Unknown."""

    UNKNOWN = "Unknown"
    FALSE_POSITIVE = "FalsePositive"
    TRUE_POSITIVE = "TruePositive"
    INFORMATIONAL_EXPECTED_ACTIVITY = "InformationalExpectedActivity"


class Determination(StrEnum):
    """Names of the update page, and the older ones that stored alerts may carry (section 2.5)."""

    NOT_AVAILABLE = "NotAvailable"
    APT = "Apt"
    MALWARE = "Malware"
    SECURITY_PERSONNEL = "SecurityPersonnel"
    SECURITY_TESTING = "SecurityTesting"
    UNWANTED_SOFTWARE = "UnwantedSoftware"
    OTHER = "Other"
    MULTI_STAGED_ATTACK = "MultiStagedAttack"
    COMPROMISED_ACCOUNT = "CompromisedAccount"
    PHISHING = "Phishing"
    MALICIOUS_USER_ACTIVITY = "MaliciousUserActivity"
    NOT_MALICIOUS = "NotMalicious"
    NO_ENOUGH_DATA_TO_VALIDATE = "NoEnoughDataToValidate"
    CONFIRMED_ACTIVITY = "ConfirmedActivity"
    LINE_OF_BUSINESS_APPLICATION = "LineOfBusinessApplication"


class ServiceSource(StrEnum):
    """The product families that Graph has a word for; `service_source` of an alert is free text and may be any
    other (`service_source_of`)."""

    UNKNOWN = "Unknown"
    MICROSOFT_DEFENDER_FOR_ENDPOINT = "MicrosoftDefenderForEndpoint"
    MICROSOFT_DEFENDER_FOR_IDENTITY = "MicrosoftDefenderForIdentity"
    MICROSOFT_DEFENDER_FOR_CLOUD_APPS = "MicrosoftDefenderForCloudApps"
    MICROSOFT_DEFENDER_FOR_OFFICE_365 = "MicrosoftDefenderForOffice365"
    MICROSOFT_365_DEFENDER = "Microsoft365Defender"
    AZURE_AD_IDENTITY_PROTECTION = "AzureAdIdentityProtection"
    MICROSOFT_APP_GOVERNANCE = "MicrosoftAppGovernance"
    DATA_LOSS_PREVENTION = "DataLossPrevention"
    MICROSOFT_DEFENDER_FOR_CLOUD = "MicrosoftDefenderForCloud"
    MICROSOFT_SENTINEL = "MicrosoftSentinel"
    MICROSOFT_INSIDER_RISK_MANAGEMENT = "MicrosoftInsiderRiskManagement"
    MICROSOFT_THREAT_INTELLIGENCE = "MicrosoftThreatIntelligence"
    MICROSOFT_SECURITY_FOR_AI = "MicrosoftSecurityForAI"


_SERVICE_SOURCES: Final = {
    **{member.value.lower(): member for member in ServiceSource},
    # Names that the same products have in `/api/incidents` and had in earlier years.
    "microsoftdefenderatp": ServiceSource.MICROSOFT_DEFENDER_FOR_ENDPOINT,
    "microsoftdefenderadvancedthreatprotection": ServiceSource.MICROSOFT_DEFENDER_FOR_ENDPOINT,
    "officeatp": ServiceSource.MICROSOFT_DEFENDER_FOR_OFFICE_365,
    "microsoftdefenderforoffice": ServiceSource.MICROSOFT_DEFENDER_FOR_OFFICE_365,
    "azureatp": ServiceSource.MICROSOFT_DEFENDER_FOR_IDENTITY,
    "microsoftcloudappsecurity": ServiceSource.MICROSOFT_DEFENDER_FOR_CLOUD_APPS,
    "microsoftthreatprotection": ServiceSource.MICROSOFT_365_DEFENDER,
    "microsoftdefenderxdr": ServiceSource.MICROSOFT_365_DEFENDER,
    "aadidentityprotection": ServiceSource.AZURE_AD_IDENTITY_PROTECTION,
    "azuresentinel": ServiceSource.MICROSOFT_SENTINEL,
}


def service_source_of(text: str) -> ServiceSource:
    """The product family that this `service_source` names, in any case and with or without spaces; else UNKNOWN."""
    return _SERVICE_SOURCES.get(text.lower().replace(" ", ""), ServiceSource.UNKNOWN)


class Device(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """A machine an alert is about. `mdatp_device_id` is 40 hex digits; empty means "not yet given one":
    ingest then derives a stable one from tenant and `device_dns_name`."""

    mdatp_device_id: str = ""
    aad_device_id: str | None = None
    device_dns_name: str = ""
    os_platform: str = "Other"
    version: str = "Other"
    os_processor: str = ""
    os_build: int = 0
    health_status: str = "Unknown"
    risk_score: str = "None"
    rbac_group_name: str | None = None
    rbac_group_id: int = 0
    first_seen: int = 0  # ticks; 0 means "when the alert came"
    tags: tuple[str, ...] = ()
    defender_av_status: str = "Unknown"
    onboarding_status: str = "InsufficientInfo"
    vm_metadata: dict[str, str | None] | None = None


class Entity(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """One thing an alert is about besides devices: a flat union, absent keys None (section 2.4).

    The first block is the documented order; times are ticks. The second block are types the original does
    not document and real sensors have. `device_id` is the `mdatp_device_id` of a device it relates to.
    """

    entity_type: str
    evidence_creation_time: int | None = None
    verdict: str | None = None
    remediation_status: str | None = None
    sha1: str | None = None
    sha256: str | None = None
    file_name: str | None = None
    file_path: str | None = None
    process_id: int | None = None
    process_command_line: str | None = None
    process_creation_time: int | None = None
    parent_process_id: int | None = None
    parent_process_creation_time: int | None = None
    ip_address: str | None = None
    url: str | None = None
    account_name: str | None = None
    domain_name: str | None = None
    user_sid: str | None = None
    aad_user_id: str | None = None
    user_principal_name: str | None = None
    mailbox_display_name: str | None = None
    mailbox_address: str | None = None
    cluster_by: str | None = None
    cluster_by_value: str | None = None
    email_count: int | None = None
    sender: str | None = None
    recipient: str | None = None
    subject: str | None = None
    delivery_action: str | None = None
    internet_message_id: str | None = None
    security_group_id: str | None = None
    security_group_name: str | None = None
    registry_hive: str | None = None
    registry_key: str | None = None
    registry_value_type: str | None = None
    registry_value: str | None = None
    device_id: str | None = None

    md5: str | None = None
    registry_value_name: str | None = None
    is_system_file: bool | None = None
    image_file_name: str | None = None
    process_unique_id: str | None = None
    process_command_line_hash: str | None = None
    parent_process_file_name: str | None = None
    parent_process_file_path: str | None = None
    parent_process_unique_id: str | None = None
    logon_session_id: str | None = None
    script_block_id: str | None = None
    service_name: str | None = None
    task_name: str | None = None
    pipe_name: str | None = None
    share_name: str | None = None
    sender_ip: str | None = None
    cloud_session_id: str | None = None
    cloud_request_id: str | None = None
    user_agent: str | None = None
    application_id: str | None = None
    application_name: str | None = None
    application_instance_name: str | None = None
    azure_resource_id: str | None = None
    port: int | None = None
    protocol: str | None = None
    malware_name: str | None = None
    location: str | None = None


class Alert(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """One finding of one sensor, in our words whatever the sender's were.

    `identity` is what makes a re-sent alert the same alert (with tenant and sender): the provider's own id,
    widened where that id is unique only within one sensor. `tactics` are ATT&CK short names
    (`initial-access`), `mitre_techniques` ids (`T1078.004`). `creation_time` 0 means "when it is stored".
    """

    identity: str
    provider_alert_id: str
    service_source: str
    creation_time: int = 0
    first_activity: int
    last_activity: int
    title: str
    description: str = ""
    category: str = "SuspiciousActivity"
    status: AlertStatus = AlertStatus.NEW
    severity: Severity = Severity.UNSPECIFIED
    investigation_id: int | None = None
    investigation_state: str = "UnsupportedAlertType"
    classification: Classification | None = None
    determination: Determination | None = None
    detection_source: str = ""
    detector_id: str = ""
    assigned_to: str | None = None
    actor_name: str | None = None
    threat_family_name: str | None = None
    event_count: int = 1
    tactics: tuple[str, ...] = ()
    mitre_techniques: tuple[str, ...] = ()
    devices: tuple[Device, ...] = ()
    entities: tuple[Entity, ...] = ()


class Comment(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A remark on an incident. `created_time` is in ticks."""

    comment: str
    created_by: str
    created_time: int
