"""The evidence objects of a Graph alert: one type for each `@odata.type`, with Graph's own property names.

Typed SDKs choose their class by `@odata.type`. Property names and types are those that msgraph-sdk reads;
what nobody told us is null, and lists are `[]`. How our entities become these is in `graph_entities.py`.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

from tocsin.dialects import graph_names as names

Time: TypeAlias = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
Verdict: TypeAlias = Annotated[str, Meta(extra_json_schema=names.VERDICTS.schema())]
Remediation: TypeAlias = Annotated[str, Meta(extra_json_schema=names.REMEDIATIONS.schema())]
HealthStatus: TypeAlias = Annotated[str, Meta(extra_json_schema=names.HEALTH_STATUSES.schema())]
RiskScore: TypeAlias = Annotated[str, Meta(extra_json_schema=names.RISK_SCORES.schema())]
OnboardingStatus: TypeAlias = Annotated[str, Meta(extra_json_schema=names.ONBOARDING_STATUSES.schema())]
AvStatus: TypeAlias = Annotated[str, Meta(extra_json_schema=names.AV_STATUSES.schema())]
CloudProvider: TypeAlias = Annotated[str, Meta(extra_json_schema=names.CLOUD_PROVIDERS.schema())]

_NAMESPACE = "#microsoft.graph.security."


def _tag(class_name: str) -> str:
    return f"{_NAMESPACE}{class_name[:1].lower()}{class_name[1:]}"


class Evidence(msgspec.Struct, frozen=True, kw_only=True, rename="camel", tag_field="@odata.type", tag=_tag):
    """What all kinds of evidence have."""

    created_date_time: Time
    verdict: Verdict
    remediation_status: Remediation
    remediation_status_details: str | None = None
    roles: tuple[str, ...] = ()
    detailed_roles: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


class UserAccount(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An account, as part of other evidence."""

    account_name: str | None = None
    domain_name: str | None = None
    user_sid: str | None = None
    azure_ad_user_id: str | None = None
    user_principal_name: str | None = None
    display_name: str | None = None


class FileDetails(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A file, as part of other evidence."""

    md5: str | None = None
    sha1: str | None = None
    sha256: str | None = None
    file_name: str | None = None
    file_path: str | None = None
    file_size: int | None = None
    file_publisher: str | None = None
    signer: str | None = None
    issuer: str | None = None


class EmailSender(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Who a message says it is from."""

    email_address: str
    display_name: str | None = None
    domain_name: str | None = None


class VmMetadata(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The virtual machine that a device is."""

    vm_id: str | None = None
    cloud_provider: CloudProvider = names.UNKNOWN
    resource_id: str | None = None
    subscription_id: str | None = None


class DeviceEvidence(Evidence, frozen=True, kw_only=True):
    """A machine; `tags` are those of the machine."""

    first_seen_date_time: Time
    mde_device_id: str
    azure_ad_device_id: str | None = None
    device_dns_name: str
    host_name: str
    dns_domain: str | None = None
    nt_domain: str | None = None
    os_platform: str
    os_build: int
    version: str
    health_status: HealthStatus
    risk_score: RiskScore
    rbac_group_id: int
    rbac_group_name: str | None = None
    onboarding_status: OnboardingStatus
    defender_av_status: AvStatus
    ip_interfaces: tuple[str, ...] = ()
    last_ip_address: str | None = None
    last_external_ip_address: str | None = None
    logged_on_users: tuple[UserAccount, ...] = ()
    vm_metadata: VmMetadata | None = None


class UserEvidence(Evidence, frozen=True, kw_only=True):
    """An account."""

    user_account: UserAccount


class IpEvidence(Evidence, frozen=True, kw_only=True):
    """An address."""

    ip_address: str
    country_letter_code: str | None = None


class UrlEvidence(Evidence, frozen=True, kw_only=True):
    """An address on the web."""

    url: str


class FileEvidence(Evidence, frozen=True, kw_only=True):
    """A file."""

    detection_status: str | None = None
    mde_device_id: str | None = None
    file_details: FileDetails


class ProcessEvidence(Evidence, frozen=True, kw_only=True):
    """A process, its image and its parent."""

    process_id: int | None = None
    parent_process_id: int | None = None
    process_command_line: str | None = None
    process_creation_date_time: Time | None = None
    parent_process_creation_date_time: Time | None = None
    detection_status: str | None = None
    mde_device_id: str | None = None
    image_file: FileDetails | None = None
    parent_process_image_file: FileDetails | None = None
    user_account: UserAccount | None = None


class MailboxEvidence(Evidence, frozen=True, kw_only=True):
    """A mailbox."""

    primary_address: str | None = None
    display_name: str | None = None
    upn: str | None = None
    user_account: UserAccount


class AnalyzedMessageEvidence(Evidence, frozen=True, kw_only=True):
    """A message."""

    network_message_id: str | None = None
    internet_message_id: str | None = None
    subject: str | None = None
    language: str | None = None
    sender_ip: str | None = None
    recipient_email_address: str | None = None
    anti_spam_direction: str | None = None
    delivery_action: str | None = None
    delivery_location: str | None = None
    urn: str | None = None
    threats: tuple[str, ...] = ()
    threat_detection_methods: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()
    url_count: int | None = None
    attachments_count: int | None = None
    received_date_time: Time | None = None
    p1_sender: EmailSender | None = None
    p2_sender: EmailSender | None = None


class MailClusterEvidence(Evidence, frozen=True, kw_only=True):
    """Messages that are alike."""

    cluster_by: str | None = None
    cluster_by_value: str | None = None
    email_count: int | None = None
    network_message_ids: tuple[str, ...] = ()
    query: str | None = None
    urn: str | None = None


class SecurityGroupEvidence(Evidence, frozen=True, kw_only=True):
    """A group of accounts."""

    security_group_id: str | None = None
    display_name: str | None = None


class RegistryKeyEvidence(Evidence, frozen=True, kw_only=True):
    """A key of the registry."""

    registry_hive: str | None = None
    registry_key: str | None = None


class RegistryValueEvidence(Evidence, frozen=True, kw_only=True):
    """A value in the registry."""

    registry_hive: str | None = None
    registry_key: str | None = None
    registry_value_name: str | None = None
    registry_value_type: str | None = None
    registry_value: str | None = None
    mde_device_id: str | None = None


class CloudApplicationEvidence(Evidence, frozen=True, kw_only=True):
    """An application that somebody else runs. Graph has numbers for its ids; an id that is none is not shown."""

    app_id: int | None = None
    display_name: str | None = None
    instance_id: int | None = None
    instance_name: str | None = None
    saas_app_id: int | None = None


class OauthApplicationEvidence(Evidence, frozen=True, kw_only=True):
    """An application that signs in."""

    app_id: str | None = None
    display_name: str | None = None
    object_id: str | None = None
    publisher: str | None = None


class AzureResourceEvidence(Evidence, frozen=True, kw_only=True):
    """A resource of Azure."""

    resource_id: str
    resource_name: str
    resource_type: str | None = None


class CloudLogonSessionEvidence(Evidence, frozen=True, kw_only=True):
    """A session of somebody signed in to the cloud."""

    account: UserEvidence | None = None
    browser: str | None = None
    device_name: str | None = None
    operating_system: str | None = None
    protocol: str | None = None
    session_id: str | None = None
    user_agent: str | None = None
    start_utc_date_time: Time | None = None
    previous_logon_date_time: Time | None = None


class CloudLogonRequestEvidence(Evidence, frozen=True, kw_only=True):
    """A request to sign in to the cloud."""

    request_id: str | None = None


class HostLogonSessionEvidence(Evidence, frozen=True, kw_only=True):
    """A session on a machine."""

    account: UserEvidence | None = None
    host: DeviceEvidence | None = None
    session_id: str | None = None
    start_utc_date_time: Time | None = None
    end_utc_date_time: Time | None = None


class DnsEvidence(Evidence, frozen=True, kw_only=True):
    """A name that was looked up."""

    domain_name: str
    dns_server_ip: IpEvidence | None = None
    host_ip_address: IpEvidence | None = None
    ip_addresses: tuple[IpEvidence, ...] = ()


class MalwareEvidence(Evidence, frozen=True, kw_only=True):
    """A kind of malware."""

    name: str
    category: str | None = None
    files: tuple[FileEvidence, ...] = ()
    processes: tuple[ProcessEvidence, ...] = ()


class AlertEvidence(Evidence, frozen=True, kw_only=True):
    """Graph's own basic type, for what it has no type for: `detailedRoles` names the kind and what is known of it.

    SDKs read it as evidence without details of its own.
    """


AnyEvidence: TypeAlias = (
    DeviceEvidence
    | UserEvidence
    | IpEvidence
    | UrlEvidence
    | FileEvidence
    | ProcessEvidence
    | MailboxEvidence
    | AnalyzedMessageEvidence
    | MailClusterEvidence
    | SecurityGroupEvidence
    | RegistryKeyEvidence
    | RegistryValueEvidence
    | CloudApplicationEvidence
    | OauthApplicationEvidence
    | AzureResourceEvidence
    | CloudLogonSessionEvidence
    | CloudLogonRequestEvidence
    | HostLogonSessionEvidence
    | DnsEvidence
    | MalwareEvidence
    | AlertEvidence
)
