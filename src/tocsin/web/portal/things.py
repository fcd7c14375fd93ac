"""What an alert is about, as a person reads it: devices and entities become labelled things in groups. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec

from tocsin.documents import AlertDocument
from tocsin.involved import Account, fuller_account, fuller_machine, machine_key, named

DEVICES: Final = "Devices"
USERS: Final = "Users"
ADDRESSES: Final = "Addresses"
WEB: Final = "URLs and domains"
FILES: Final = "Files"
PROCESSES: Final = "Processes"
MAIL: Final = "Mail"
CLOUD: Final = "Cloud and applications"
OTHER: Final = "Other"
GROUPS: Final = (DEVICES, USERS, ADDRESSES, WEB, FILES, PROCESSES, MAIL, CLOUD, OTHER)
ASSETS: Final = frozenset({DEVICES, USERS})

_GROUP_OF: Final = {
    "Ip": ADDRESSES,
    "Url": WEB, "DomainName": WEB,
    "File": FILES, "Process": PROCESSES, "Script": PROCESSES,
    "Mailbox": MAIL, "MailMessage": MAIL, "MailCluster": MAIL,
    "AzureResource": CLOUD, "CloudLogonRequest": CLOUD, "CloudLogonSession": CLOUD, "CloudResource": CLOUD,
    "CloudApplication": CLOUD, "OAuthApplication": CLOUD,
}  # fmt: skip


class Thing(msgspec.Struct, frozen=True):
    """`label` names it, `detail` says more (path and hash, command line, sender and recipient) or is empty.

    Both are as the sensor wrote them. `same` is equal for the spellings of one machine or account, else empty.
    """

    group: str
    label: str
    detail: str = ""
    same: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """Equal for two sightings of one thing."""
        return self.group, self.same or self.label.lower()


class ThingCount(msgspec.Struct, frozen=True):
    """A thing and the number of alerts that name it."""

    thing: Thing
    alerts: int


class _Device(msgspec.Struct, frozen=True, rename="camel"):
    device_dns_name: str = ""
    mdatp_device_id: str = ""
    os_platform: str = ""


class _Entity(Account, frozen=True, rename="camel"):
    """The properties of a stored entity that a label is made of."""

    entity_type: str = ""
    ip_address: str | None = None
    location: str | None = None
    url: str | None = None
    file_name: str | None = None
    file_path: str | None = None
    sha256: str | None = None
    sha1: str | None = None
    md5: str | None = None
    process_id: int | None = None
    process_command_line: str | None = None
    image_file_name: str | None = None
    subject: str | None = None
    sender: str | None = None
    recipient: str | None = None
    internet_message_id: str | None = None
    mailbox_address: str | None = None
    mailbox_display_name: str | None = None
    cluster_by_value: str | None = None
    security_group_name: str | None = None
    security_group_id: str | None = None
    registry_hive: str | None = None
    registry_key: str | None = None
    registry_value_name: str | None = None
    service_name: str | None = None
    task_name: str | None = None
    pipe_name: str | None = None
    share_name: str | None = None
    script_block_id: str | None = None
    logon_session_id: str | None = None
    cloud_session_id: str | None = None
    cloud_request_id: str | None = None
    application_name: str | None = None
    application_id: str | None = None
    application_instance_name: str | None = None
    azure_resource_id: str | None = None
    malware_name: str | None = None


_device_decoder = msgspec.json.Decoder(_Device)
_entity_decoder = msgspec.json.Decoder(_Entity)


def things_of(alert: AlertDocument, names: Mapping[str, str]) -> list[Thing]:
    """Everything an alert names, devices first, each once. `names` are those of people by id."""
    found = [_device_thing(_device_decoder.decode(raw)) for raw in alert.devices]
    for raw in alert.entities:
        found += _entity_things(_entity_decoder.decode(raw), names)
    return list({thing.key: thing for thing in reversed(found)}.values())[::-1]


def best_known(things_by_alert: Iterable[Iterable[Thing]]) -> dict[tuple[str, str], Thing]:
    """Of each thing the sighting that says most of its name; the first of equal ones."""
    found: dict[tuple[str, str], Thing] = {}
    for things in things_by_alert:
        for thing in things:
            other = found.setdefault(thing.key, thing)
            fuller = fuller_account if thing.group == USERS else fuller_machine
            if thing.same and fuller(thing.label, other.label):
                found[thing.key] = thing
    return found


def count_things(things_by_alert: Iterable[Iterable[Thing]]) -> list[tuple[str, list[ThingCount]]]:
    """The groups that occur, in their order, each with its things, the most named first."""
    counts: Counter[tuple[str, str]] = Counter()
    shown: dict[tuple[str, str], Thing] = {}
    for things in things_by_alert:
        for thing in things:
            counts[thing.key] += 1
            shown.setdefault(thing.key, thing)
    by_group: dict[str, list[ThingCount]] = {}
    for key, count in counts.most_common():
        by_group.setdefault(key[0], []).append(ThingCount(shown[key], count))
    return [(group, by_group[group]) for group in GROUPS if group in by_group]


def _device_thing(device: _Device) -> Thing:
    platform = "" if device.os_platform in ("", "Other") else device.os_platform
    label = device.device_dns_name or device.mdatp_device_id or "device without a name"
    return Thing(DEVICES, label, platform, machine_key(device.device_dns_name))


def _entity_things(entity: _Entity, names: Mapping[str, str]) -> Iterator[Thing]:
    """The entity, and the account that it names besides. An id that nobody has a name for is no person: the queue,
    which counts names, would not agree."""
    account = named(entity, names)
    if account.key:
        yield Thing(USERS, account.label, "", account.key)
    if not account.key or entity.entity_type != "User":
        label, detail = _told(entity)
        yield Thing(_GROUP_OF.get(entity.entity_type, OTHER), label or entity.entity_type, detail)


def _told(entity: _Entity) -> tuple[str | None, str]:
    """(label, detail) of an entity."""
    hashes = entity.sha256 or entity.sha1 or entity.md5
    match entity.entity_type:
        case "User":
            return entity.user_sid or entity.aad_user_id, ""
        case "Ip":
            return entity.ip_address, entity.location or ""
        case "File":
            detail = " · ".join(text for text in (entity.file_path, hashes) if text)
            return entity.file_name or entity.file_path or hashes, detail
        case "Process":
            name = entity.image_file_name or entity.file_name
            number = f"process {entity.process_id}" if entity.process_id is not None else None
            return name or entity.process_command_line or number, entity.process_command_line or ""
        case "MailMessage":
            route = " → ".join(text for text in (entity.sender, entity.recipient) if text)
            return entity.subject or route or entity.internet_message_id, route
        case "Mailbox":
            return entity.mailbox_address or entity.user_principal_name, entity.mailbox_display_name or ""
        case "Registry":
            path = "\\".join(text for text in (entity.registry_hive, entity.registry_key) if text)
            return path, entity.registry_value_name or ""
        case "DomainName":
            return entity.domain_name, ""
    return _named(entity), ""


def _named(entity: _Entity) -> str | None:
    return (
        entity.url or entity.service_name or entity.task_name or entity.pipe_name or entity.share_name
        or entity.security_group_name or entity.security_group_id or entity.cluster_by_value
        or entity.application_name or entity.application_instance_name or entity.application_id
        or entity.azure_resource_id or entity.malware_name or entity.script_block_id or entity.logon_session_id
        or entity.cloud_session_id or entity.cloud_request_id or entity.file_name
        or entity.user_principal_name or entity.account_name or entity.ip_address
    )  # fmt: skip


def command_lines(alert: AlertDocument, most: int) -> list[str]:
    """The command lines that an alert shows, each once, at most so many."""
    found = [_entity_decoder.decode(raw).process_command_line for raw in alert.entities]
    return list(dict.fromkeys(text for text in found if text))[:most]
