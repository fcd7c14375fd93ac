"""The `Entities` of a Sentinel alert: objects that refer to each other by `$id` and `$ref`.

References may point forward, in a circle or nowhere, and a whole object may stand where a reference could;
all of that is read without looping, and nothing here refuses an alert. Kinds and key names are those of
Microsoft's list of security alert entities; a kind that is not on it is kept under its own name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from tocsin.model import Entity
from tocsin.senders.bounds import integer_or_none, list_of, moment_or_none
from tocsin.senders.observables import Observables, hash_of

_OBJECTS_MAX: Final = 5_000  # of one alert; far above what its entities may be
_HOPS_MAX: Final = 8  # references that only lead to references

_Object = Mapping[str, object]


class Graph:
    """The objects of one alert and the way from a reference to its object."""

    def __init__(self, entities: object) -> None:
        self._by_id: dict[str, dict[str, object]] = {}
        self.typed: list[dict[str, object]] = []
        self._walk(entities)

    def _walk(self, entities: object) -> None:
        """Breadth first, so that the listed entities come before those written inside them."""
        waiting = [entities]
        seen = 0
        while seen < len(waiting) and seen < _OBJECTS_MAX:
            value = waiting[seen]
            seen += 1
            if isinstance(value, list):
                waiting.extend(item for item in value if isinstance(item, list | dict))
            elif isinstance(value, dict):
                own_id = value.get("$id")
                if isinstance(own_id, str | int):
                    self._by_id.setdefault(str(own_id), value)
                if isinstance(value.get("Type") or value.get("type"), str):
                    self.typed.append(value)
                waiting.extend(item for item in value.values() if isinstance(item, list | dict))

    def at(self, parent: _Object, *keys: str) -> dict[str, object]:
        """The object under the first of some keys, fetched where a reference stands; else an empty one."""
        for key in keys:
            found = self.resolved(parent.get(key))
            if found:
                return found
        return {}

    def all_at(self, parent: _Object, key: str) -> list[dict[str, object]]:
        """The objects of a list."""
        return [found for item in list_of(parent.get(key)) if (found := self.resolved(item))]

    def resolved(self, value: object) -> dict[str, object]:
        """An object, or the one its reference leads to; an empty one where it leads nowhere."""
        for _ in range(_HOPS_MAX):
            if not isinstance(value, dict):
                return {}
            reference = value.get("$ref")
            if not isinstance(reference, str | int):
                return value
            value = self._by_id.get(str(reference))
        return {}


class _Reading:
    """One pass over the entities of one alert."""

    def __init__(self, found: Observables, graph: Graph) -> None:
        self.found = found
        self.graph = graph
        self.name = found.name

    def first(self, item: _Object, *keys: str) -> str:
        """The first of some keys that holds something."""
        return next((text for key in keys if (text := self.name(item.get(key)))), "")

    def host_name(self, host: _Object) -> str:
        """`HostName.DnsDomain`, or whichever name the host has."""
        label, domain = self.first(host, "HostName", "FQDN", "Fqdn", "NetBiosName"), self.name(host.get("DnsDomain"))
        return f"{label}.{domain}" if label and domain and "." not in label else label

    def host_id(self, item: _Object) -> str | None:
        """The device id of the host that an entity is on."""
        return _device_id(self.name(self.graph.at(item, "Host").get("MdatpDeviceId")))


def gather(found: Observables, entities: object) -> None:
    """Collect hosts as devices and the rest as entities, in their order."""
    if not isinstance(entities, list | dict):
        return
    graph = Graph(entities)
    reading = _Reading(found, graph)
    for item in graph.typed:
        given = item.get("Type") or item.get("type")
        kind = str(given).replace("-", "").replace("_", "").lower()
        _READERS.get(kind, _other)(reading, item)


def azure_resource(found: Observables, resource: str) -> None:
    """Keep a resource of Azure by its path."""
    found.add(("AzureResource", resource.lower()), Entity(entity_type="AzureResource", azure_resource_id=resource))


def _device_id(text: str) -> str | None:
    """The 40 hex digits of a device id; None for anything else, which could not be linked to."""
    low = text.lower()
    return low if len(low) == 40 and all(digit in "0123456789abcdef" for digit in low) else None


def _host(reading: _Reading, host: _Object) -> None:
    resource = reading.first(host, "AzureID", "AzureId")
    vm: dict[str, str | None] | None = None
    if resource:
        parts = resource.split("/")
        subscription = parts[2] if len(parts) > 2 and parts[1].lower() == "subscriptions" else None
        vm = {"vmId": None, "cloudProvider": "azure", "resourceId": resource, "subscriptionId": subscription}
    reading.found.device(
        reading.host_name(host),
        mdatp_device_id=_device_id(reading.name(host.get("MdatpDeviceId"))) or "",
        aad_device_id=reading.first(host, "AadDeviceId", "AadDeviceID") or None,
        os_platform=reading.first(host, "OSFamily", "OsFamily") or "Other",
        vm_metadata=vm,
    )


def _iot_device(reading: _Reading, device: _Object) -> None:
    reading.found.device(
        reading.first(device, "DeviceName", "DeviceId"),
        os_platform=reading.name(device.get("OperatingSystem")) or "Other",
    )
    _ip(reading, reading.graph.at(device, "IpAddress"))


def _account(reading: _Reading, account: _Object) -> None:
    upn = reading.first(account, "UserPrincipalName", "Upn")
    name, suffix = reading.name(account.get("Name")), reading.name(account.get("UPNSuffix"))
    if name and suffix and "@" not in name:
        upn = upn or f"{name}@{suffix}"
    reading.found.user(
        name or reading.name(account.get("DisplayName")),
        domain=reading.first(account, "NTDomain", "DnsDomain"),
        sid=account.get("Sid"),
        user_principal_name=upn or None,
        aad_user_id=reading.name(account.get("AadUserId")) or None,
        device_id=reading.host_id(account),
    )
    if account.get("LogonId"):
        _session_on(reading, account, account["LogonId"])


def _session_on(reading: _Reading, item: _Object, session: object) -> None:
    host = reading.graph.at(item, "Host") or reading.graph.at(reading.graph.at(item, "Account"), "Host")
    reading.found.logon_session(reading.host_name(host), session, device_id=reading.host_id(item))


def _host_logon_session(reading: _Reading, session: _Object) -> None:
    _session_on(reading, session, session.get("SessionId"))


def _hashes(reading: _Reading, file: _Object) -> dict[str, str]:
    found: dict[str, str] = {}
    for item in reading.graph.all_at(file, "FileHashes"):
        found |= hash_of(reading.name(item.get("Value")))
    for key in ("Sha256", "SHA256", "Sha1", "SHA1", "Md5", "MD5"):
        found |= hash_of(file.get(key))
    return found


def _path(reading: _Reading, file: _Object) -> str:
    folder, name = reading.name(file.get("Directory")), reading.name(file.get("Name"))
    if not folder or not name:
        return name or folder
    mark = "/" if "/" in folder and "\\" not in folder else "\\"
    return f"{folder.rstrip(mark)}{mark}{name}"


def _file(reading: _Reading, file: _Object) -> None:
    reading.found.file(_path(reading, file), _hashes(reading, file), device_id=reading.host_id(file))


def _file_hash(reading: _Reading, item: _Object) -> None:
    reading.found.file("", hash_of(reading.name(item.get("Value"))))


def _process(reading: _Reading, process: _Object) -> None:
    graph, found = reading.graph, reading.found
    image, parent = graph.at(process, "ImageFile"), graph.at(process, "ParentProcess")
    parent_image = graph.at(parent, "ImageFile")
    account = graph.at(process, "Account")
    number = integer_or_none(process.get("ProcessId"))
    created = moment_or_none(process.get("CreationTimeUtc"))
    command = found.command_line(process.get("CommandLine"))
    hashes = _hashes(reading, image)
    name, folder = reading.name(image.get("Name")), reading.name(image.get("Directory"))
    if number is None and not command and not name and not hashes:
        return
    entity = Entity(
        entity_type="Process",
        sha1=hashes.get("sha1"),
        sha256=hashes.get("sha256"),
        md5=hashes.get("md5"),
        file_name=name or None,
        file_path=folder or None,
        process_id=number,
        process_command_line=command,
        process_creation_time=created,
        parent_process_id=integer_or_none(parent.get("ProcessId")),
        parent_process_creation_time=moment_or_none(parent.get("CreationTimeUtc")),
        parent_process_file_name=reading.name(parent_image.get("Name")) or None,
        parent_process_file_path=reading.name(parent_image.get("Directory")) or None,
        account_name=reading.name(account.get("Name")) or None,
        domain_name=reading.name(account.get("NTDomain")) or None,
        device_id=reading.host_id(process),
    )
    host = reading.host_name(graph.at(process, "Host"))
    found.add(("Process", host.lower(), number, created, command, name.lower()), entity)


def _ip(reading: _Reading, item: _Object) -> None:
    place = reading.graph.at(item, "Location")
    parts = [text for key in ("City", "State", "CountryName") if (text := reading.name(place.get(key)))]
    reading.found.ip(item.get("Address"), location=", ".join(parts) or reading.name(place.get("CountryCode")) or None)


def _dns(reading: _Reading, item: _Object) -> None:
    reading.found.domain(item.get("DomainName"))
    for key in ("IpAddress", "IpAddresses", "HostIpAddress", "DnsServerIp"):
        for inner in reading.graph.all_at(item, key):
            _ip(reading, inner)


def _url(reading: _Reading, item: _Object) -> None:
    reading.found.url(item.get("Url"))


def _mailbox(reading: _Reading, box: _Object) -> None:
    address, upn = reading.name(box.get("MailboxPrimaryAddress")), reading.first(box, "Upn", "UserPrincipalName")
    if address or upn:
        entity = Entity(
            entity_type="Mailbox",
            mailbox_address=address or None,
            mailbox_display_name=reading.name(box.get("DisplayName")) or None,
            user_principal_name=upn or None,
            aad_user_id=reading.first(box, "AadId", "ExternalDirectoryObjectId") or None,
        )
        reading.found.add(("Mailbox", (address or upn).lower()), entity)


def _mail_message(reading: _Reading, mail: _Object) -> None:
    sender = reading.first(mail, "P2Sender", "Sender", "P1Sender")
    recipient = reading.name(mail.get("Recipient"))
    # The network message id names one mail in the whole service, also where the sender set no Message-ID.
    message_id = reading.first(mail, "InternetMessageId", "NetworkMessageId")
    subject = reading.name(mail.get("Subject"))
    if sender or recipient or message_id or subject:
        entity = Entity(
            entity_type="MailMessage",
            sender=sender or None,
            recipient=recipient or None,
            subject=subject or None,
            delivery_action=reading.name(mail.get("DeliveryAction")) or None,
            internet_message_id=message_id or None,
            sender_ip=reading.first(mail, "SenderIP", "SenderIp") or None,
        )
        reading.found.add(("MailMessage", sender, recipient, message_id, subject), entity)
    for link in list_of(mail.get("Urls"))[:100]:
        reading.found.url(link if isinstance(link, str) else reading.graph.resolved(link).get("Url"))
    reading.found.user(mail.get("Submitter"))


def _mail_cluster(reading: _Reading, cluster: _Object) -> None:
    by = reading.first(cluster, "ClusterBy", "ClusterSourceType", "ClusterGroup")
    value = reading.first(cluster, "ClusterByValue", "ClusterSourceIdentifier", "Query")
    if by or value:
        entity = Entity(
            entity_type="MailCluster",
            cluster_by=by or None,
            cluster_by_value=value or None,
            email_count=integer_or_none(cluster.get("MailCount")),
        )
        reading.found.add(("MailCluster", by, value), entity)


def _cloud_logon_session(reading: _Reading, session: _Object) -> None:
    own_id = reading.name(session.get("SessionId"))
    if own_id:
        account = reading.graph.at(session, "Account")
        entity = Entity(
            entity_type="CloudLogonSession",
            cloud_session_id=own_id,
            user_agent=reading.name(session.get("UserAgent")) or None,
            account_name=reading.name(account.get("Name")) or None,
            aad_user_id=reading.name(account.get("AadUserId")) or None,
        )
        reading.found.add(("CloudLogonSession", own_id), entity)


def _cloud_logon_request(reading: _Reading, request: _Object) -> None:
    own_id = reading.name(request.get("RequestId"))
    if own_id:
        reading.found.add(
            ("CloudLogonRequest", own_id), Entity(entity_type="CloudLogonRequest", cloud_request_id=own_id)
        )


def _application(entity_type: str) -> Callable[[_Reading, _Object], None]:
    def read(reading: _Reading, app: _Object) -> None:
        own_id = reading.first(app, "OAuthAppId", "AppId", "SaasId", "ApplicationId")
        name = reading.first(app, "Name", "AppName", "DisplayName")
        if own_id or name:
            entity = Entity(
                entity_type=entity_type,
                application_id=own_id or None,
                application_name=name or None,
                application_instance_name=reading.first(app, "InstanceName", "InstanceId") or None,
            )
            reading.found.add((entity_type, own_id, name), entity)

    return read


def _azure_resource(reading: _Reading, item: _Object) -> None:
    resource = reading.name(item.get("ResourceId"))
    if resource:
        azure_resource(reading.found, resource)


def _registry_key(reading: _Reading, item: _Object) -> None:
    reading.found.registry(
        f"{reading.name(item.get('Hive'))}\\{reading.name(item.get('Key'))}", device_id=reading.host_id(item)
    )


def _registry_value(reading: _Reading, item: _Object) -> None:
    key = reading.graph.at(item, "Key")
    reading.found.registry(
        f"{reading.name(key.get('Hive'))}\\{reading.name(key.get('Key'))}",
        registry_value_name=reading.name(item.get("Name")) or None,
        registry_value_type=reading.name(item.get("ValueType")) or None,
        registry_value=reading.name(item.get("Value")) or None,
        device_id=reading.host_id(item) or reading.host_id(key),
    )


def _security_group(reading: _Reading, group: _Object) -> None:
    own_id = reading.first(group, "ObjectGuid", "SID", "Sid", "AadGroupId")
    name = reading.first(group, "DistinguishedName", "FriendlyName", "Name")
    if own_id or name:
        entity = Entity(entity_type="SecurityGroup", security_group_id=own_id or None, security_group_name=name or None)
        reading.found.add(("SecurityGroup", own_id, name), entity)


def _malware(reading: _Reading, item: _Object) -> None:
    name = reading.first(item, "Name", "Category")
    if name:
        reading.found.add(("Malware", name.lower()), Entity(entity_type="Malware", malware_name=name))


def _nothing(_reading: _Reading, _item: _Object) -> None:
    """A part of another entity that says nothing alone."""


def _other(reading: _Reading, item: _Object) -> None:
    """A kind that is not listed: its own name for itself, and whatever it is called."""
    given = reading.first(item, "Type", "type")[:100]
    kind = "".join(word[:1].upper() + word[1:] for word in given.replace("_", "-").split("-"))
    name = reading.first(item, "FriendlyName", "DisplayName", "Name", "Id", "ResourceId")
    if kind and name:
        entity = Entity(
            entity_type=kind,
            application_name=name,
            application_instance_name=reading.first(item, "ContainerId", "ImageId", "Namespace") or None,
        )
        reading.found.add((kind, name), entity)


_READERS: Final[dict[str, Callable[[_Reading, _Object], None]]] = {
    "host": _host,
    "machine": _host,
    "iotdevice": _iot_device,
    "account": _account,
    "user": _account,
    "process": _process,
    "file": _file,
    "filehash": _file_hash,
    "ip": _ip,
    "dns": _dns,
    "dnsresolution": _dns,
    "domain": _dns,
    "url": _url,
    "mailbox": _mailbox,
    "mailmessage": _mail_message,
    "submissionmail": _mail_message,
    "mailcluster": _mail_cluster,
    "hostlogonsession": _host_logon_session,
    "cloudlogonsession": _cloud_logon_session,
    "cloudlogonrequest": _cloud_logon_request,
    "cloudapplication": _application("CloudApplication"),
    "oauthapplication": _application("OAuthApplication"),
    "azureresource": _azure_resource,
    "registrykey": _registry_key,
    "registryvalue": _registry_value,
    "registry": _registry_key,
    "securitygroup": _security_group,
    "malware": _malware,
    "location": _nothing,
    "geolocation": _nothing,
}
