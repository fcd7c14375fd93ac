"""Devices and entities of a stored alert → Graph's evidence. Nothing is invented: what is not known is null.

Entities whose type Graph lacks, or that lack what their Graph type is about (an address without an address), become
the basic type with their facts as text in `detailedRoles`, so that no fact is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from tocsin.dialects import graph_evidence as evidence
from tocsin.dialects import graph_names as names

Facts: TypeAlias = Mapping[str, Any]
"""An entity or device as it is stored: the names of `model.Entity` or `model.Device` in camelCase, times as text."""
_Shared: TypeAlias = dict[str, Any]
_Reader: TypeAlias = Callable[[Facts, _Shared], evidence.AnyEvidence | None]

_COMMON_KEYS: Final = frozenset({"entityType", "evidenceCreationTime", "verdict", "remediationStatus"})


def device_evidence(device: Facts, created: str, *, all_members: bool) -> evidence.DeviceEvidence:
    """One device. `created` is the alert's own creation time in text."""
    dns_name = device["deviceDnsName"]
    host, _, domain = dns_name.partition(".")
    vm = device["vmMetadata"]
    spelling = {"all_members": all_members}
    return evidence.DeviceEvidence(
        created_date_time=created,
        verdict=names.UNKNOWN,
        remediation_status="none",
        tags=tuple(device["tags"]),
        first_seen_date_time=device["firstSeen"],
        mde_device_id=device["mdatpDeviceId"],
        azure_ad_device_id=device["aadDeviceId"],
        device_dns_name=dns_name,
        host_name=host,
        dns_domain=domain or None,
        os_platform=device["osPlatform"],
        os_build=device["osBuild"],
        version=device["version"],
        health_status=names.HEALTH_STATUSES.spell(device["healthStatus"], **spelling),
        risk_score=names.RISK_SCORES.spell(device["riskScore"], **spelling),
        rbac_group_id=device["rbacGroupId"],
        rbac_group_name=device["rbacGroupName"],
        onboarding_status=names.ONBOARDING_STATUSES.spell(device["onboardingStatus"], **spelling),
        defender_av_status=names.AV_STATUSES.spell(device["defenderAvStatus"], **spelling),
        vm_metadata=None if vm is None else _vm(vm),
    )


def _vm(vm: Facts) -> evidence.VmMetadata:
    return evidence.VmMetadata(
        vm_id=vm.get("vmId"),
        cloud_provider=names.CLOUD_PROVIDERS.spell(vm.get("cloudProvider"), all_members=True),
        resource_id=vm.get("resourceId"),
        subscription_id=vm.get("subscriptionId"),
    )


def entity_evidence(entity: Facts, created: str, *, all_members: bool) -> evidence.AnyEvidence:
    """One entity. `created` is the alert's own creation time in text, for entities without one."""
    shared = {
        "created_date_time": entity.get("evidenceCreationTime") or created,
        "verdict": names.VERDICTS.spell(entity.get("verdict"), all_members=all_members),
        "remediation_status": names.REMEDIATIONS.spell(entity.get("remediationStatus"), all_members=all_members),
    }
    read = _READERS.get(entity["entityType"].lower())
    return (read and read(entity, shared)) or _basic(entity, shared)


def _basic(entity: Facts, shared: _Shared) -> evidence.AnyEvidence:
    facts = [f"{key}: {value}" for key, value in entity.items() if key not in _COMMON_KEYS]
    return evidence.AlertEvidence(**shared, detailed_roles=(entity["entityType"], *facts))


def _account(entity: Facts) -> evidence.UserAccount:
    return evidence.UserAccount(
        account_name=entity.get("accountName"),
        domain_name=entity.get("domainName"),
        user_sid=entity.get("userSid"),
        azure_ad_user_id=entity.get("aadUserId"),
        user_principal_name=entity.get("userPrincipalName"),
        display_name=entity.get("accountName"),
    )


_ACCOUNT_KEYS: Final = ("accountName", "userSid", "aadUserId", "userPrincipalName")


def _account_or_none(entity: Facts) -> evidence.UserAccount | None:
    return _account(entity) if any(key in entity for key in _ACCOUNT_KEYS) else None


def _user(entity: Facts, shared: _Shared) -> evidence.UserEvidence | None:
    account = _account_or_none(entity)
    return None if account is None else evidence.UserEvidence(**shared, user_account=account)


def _ip(entity: Facts, shared: _Shared) -> evidence.AnyEvidence | None:
    address = entity.get("ipAddress")
    return evidence.IpEvidence(**shared, ip_address=address) if address else None


def _url(entity: Facts, shared: _Shared) -> evidence.AnyEvidence | None:
    url = entity.get("url")
    return evidence.UrlEvidence(**shared, url=url) if url else None


def _details(entity: Facts, name_key: str, path_key: str, *hashes: str) -> evidence.FileDetails | None:
    found = {name: entity.get(name) for name in hashes}
    details = evidence.FileDetails(file_name=entity.get(name_key), file_path=entity.get(path_key), **found)
    return None if details == evidence.FileDetails() else details


def _file(entity: Facts, shared: _Shared) -> evidence.AnyEvidence | None:
    details = _details(entity, "fileName", "filePath", "md5", "sha1", "sha256")
    if details is None:
        return None
    return evidence.FileEvidence(**shared, mde_device_id=entity.get("deviceId"), file_details=details)


def _process(entity: Facts, shared: _Shared) -> evidence.AnyEvidence | None:
    image_name = "fileName" if "fileName" in entity else "imageFileName"
    return evidence.ProcessEvidence(
        **shared,
        process_id=entity.get("processId"),
        parent_process_id=entity.get("parentProcessId"),
        process_command_line=entity.get("processCommandLine"),
        process_creation_date_time=entity.get("processCreationTime"),
        parent_process_creation_date_time=entity.get("parentProcessCreationTime"),
        mde_device_id=entity.get("deviceId"),
        image_file=_details(entity, image_name, "filePath", "md5", "sha1", "sha256"),
        parent_process_image_file=_details(entity, "parentProcessFileName", "parentProcessFilePath"),
        user_account=_account_or_none(entity),
    )


def _mailbox(entity: Facts, shared: _Shared) -> evidence.AnyEvidence:
    return evidence.MailboxEvidence(
        **shared,
        primary_address=entity.get("mailboxAddress"),
        display_name=entity.get("mailboxDisplayName"),
        upn=entity.get("userPrincipalName"),
        user_account=_account(entity),
    )


def _message(entity: Facts, shared: _Shared) -> evidence.AnyEvidence:
    sender, action, url = entity.get("sender"), entity.get("deliveryAction"), entity.get("url")
    return evidence.AnalyzedMessageEvidence(
        **shared,
        internet_message_id=entity.get("internetMessageId"),
        subject=entity.get("subject"),
        sender_ip=entity.get("senderIp"),
        recipient_email_address=entity.get("recipient"),
        delivery_action=None if action is None else names.camel(action),
        urls=(url,) if url else (),
        p1_sender=_sender(sender) if sender else None,
    )


def _sender(address: str) -> evidence.EmailSender:
    return evidence.EmailSender(email_address=address, domain_name=address.rpartition("@")[2] or None)


def _cluster(entity: Facts, shared: _Shared) -> evidence.AnyEvidence:
    return evidence.MailClusterEvidence(
        **shared,
        cluster_by=entity.get("clusterBy"),
        cluster_by_value=entity.get("clusterByValue"),
        email_count=entity.get("emailCount"),
    )


def _group(entity: Facts, shared: _Shared) -> evidence.AnyEvidence:
    return evidence.SecurityGroupEvidence(
        **shared, security_group_id=entity.get("securityGroupId"), display_name=entity.get("securityGroupName")
    )


def _registry(entity: Facts, shared: _Shared) -> evidence.AnyEvidence:
    hive, key = entity.get("registryHive"), entity.get("registryKey")
    name, kind, value = (entity.get(f"registryValue{part}") for part in ("Name", "Type", ""))
    if name is None and kind is None and value is None:
        return evidence.RegistryKeyEvidence(**shared, registry_hive=hive, registry_key=key)
    return evidence.RegistryValueEvidence(
        **shared,
        registry_hive=hive,
        registry_key=key,
        registry_value_name=name,
        registry_value_type=kind,
        registry_value=value,
        mde_device_id=entity.get("deviceId"),
    )


def _cloud_application(entity: Facts, shared: _Shared) -> evidence.AnyEvidence:
    own_id = entity.get("applicationId") or ""
    number = int(own_id) if own_id.isascii() and own_id.isdigit() and len(own_id) <= 18 else None
    return evidence.CloudApplicationEvidence(
        **shared,
        app_id=number,
        saas_app_id=number,
        display_name=entity.get("applicationName"),
        instance_name=entity.get("applicationInstanceName"),
    )


def _oauth_application(entity: Facts, shared: _Shared) -> evidence.AnyEvidence:
    return evidence.OauthApplicationEvidence(
        **shared, app_id=entity.get("applicationId"), display_name=entity.get("applicationName")
    )


def _azure_resource(entity: Facts, shared: _Shared) -> evidence.AnyEvidence | None:
    resource = entity.get("azureResourceId")
    if not resource:
        return None
    parts = resource.strip("/").split("/")
    at = next((index for index, part in enumerate(parts) if part.lower() == "providers"), -1)
    kind = "/".join(parts[at + 1 : at + 3]) if 0 <= at < len(parts) - 2 else None
    return evidence.AzureResourceEvidence(**shared, resource_id=resource, resource_name=parts[-1], resource_type=kind)


def _cloud_session(entity: Facts, shared: _Shared) -> evidence.AnyEvidence:
    return evidence.CloudLogonSessionEvidence(
        **shared,
        account=_user(entity, shared),
        session_id=entity.get("cloudSessionId"),
        user_agent=entity.get("userAgent"),
    )


def _cloud_request(entity: Facts, shared: _Shared) -> evidence.AnyEvidence:
    return evidence.CloudLogonRequestEvidence(**shared, request_id=entity.get("cloudRequestId"))


def _host_session(entity: Facts, shared: _Shared) -> evidence.AnyEvidence:
    return evidence.HostLogonSessionEvidence(
        **shared, account=_user(entity, shared), session_id=entity.get("logonSessionId")
    )


def _domain(entity: Facts, shared: _Shared) -> evidence.AnyEvidence | None:
    name = entity.get("domainName")
    return evidence.DnsEvidence(**shared, domain_name=name) if name else None


def _malware(entity: Facts, shared: _Shared) -> evidence.AnyEvidence | None:
    name = entity.get("malwareName")
    return evidence.MalwareEvidence(**shared, name=name) if name else None


_READERS: Final[dict[str, _Reader]] = {
    "user": _user,
    "ip": _ip,
    "url": _url,
    "file": _file,
    "process": _process,
    "mailbox": _mailbox,
    "mailmessage": _message,
    "mailcluster": _cluster,
    "securitygroup": _group,
    "registry": _registry,
    "cloudapplication": _cloud_application,
    "oauthapplication": _oauth_application,
    "azureresource": _azure_resource,
    "cloudlogonsession": _cloud_session,
    "cloudlogonrequest": _cloud_request,
    "logonsession": _host_session,
    "domainname": _domain,
    "malware": _malware,
}
