"""From an alert to the typed, weighted keys of the things it is about.

In charge of normalising names (so that the same thing has the same key whoever reports it), of throwing
away what identifies nothing (null ids, program names, system files, loopback addresses: with weights of .05
they changed no grouping and cost a stored row each), and of the bound on keys. What a key has been seen with
is `memory`'s; what shared keys lead to is `engine`'s.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from functools import lru_cache
from hashlib import blake2b
from typing import Final
from urllib.parse import urlsplit

import msgspec

from tocsin import ticks
from tocsin.correlation import commonplace, kinds
from tocsin.correlation.kinds import Kind
from tocsin.model import Alert, Entity

KEYS_MAX: Final = 64
ENTITIES_READ_MAX: Final = 256
"""Entities looked at in one alert; the first ones are those a sensor puts first."""
DEVICES_READ_MAX: Final = 24
REPEATS_MAX: Final = 2
"""The two ends of a connection: a scanner repeats itself, and so does what many do to one target."""
SEQUEL_KEYS_MAX: Final = 8
TEXT_MAX: Final = 120
ADDRESS_LENGTH_MAX: Final = 64
CACHED_LENGTH_MAX: Final = 120
"""Longer values (command lines) are hashed each time, so that the cache of keys stays small in bytes."""
MOMENT_SPAN_MAX: Final = ticks.MINUTE
"""An alert about a longer stretch (a scheduled query over a day) happens at no moment."""


_VOLUME: Final = re.compile(r"^(?:\\\\\?\\)?(?:[a-z]:|\\device\\harddiskvolume\d+)")
_WINDOWS: Final = re.compile(r"^(?:%systemroot%|%windir%|\\systemroot)")


_HOST_ONLY: Final = (kinds.RULE, kinds.MOMENT, kinds.DEVICE, kinds.PRIVATE_IP)


class Evidence(msgspec.Struct, frozen=True, gc=False):
    """One thing an alert is about. `subject` is the first key of that thing: keys of one subject are names of
    the same thing and count once. `key` is the blake2b-8 of name space and value as a signed 64-bit integer."""

    key: int
    kind: Kind
    text: str
    subject: int


def evidence_keys(alert: Alert) -> tuple[Evidence, ...]:
    """The evidence of one alert, the rule first, then devices and entities in the alert's order.

    At most `KEYS_MAX`; each key once. The rule's key carries no weight: it is there so that the
    number of devices a rule fires on is known.
    """
    collector = _Collector(alert)
    if alert.last_activity - alert.first_activity <= MOMENT_SPAN_MAX:
        collector.add(kinds.MOMENT, "tenant", text="")
    for device in collector.devices:
        collector.device(device.device_dns_name or device.mdatp_device_id)
    for entity in alert.entities[:ENTITIES_READ_MAX]:
        if len(collector.found) >= KEYS_MAX:
            break
        for read in _READERS.get(entity.entity_type.lower(), _ANY):
            read(collector, entity)
    collector.sequel()
    return tuple(collector.found.values())[:KEYS_MAX]


def device_mark(key: int) -> int:
    """A short mark (32 bits) of a device's key, for the spread of what is seen on it."""
    return key & 0xFFFF_FFFF


def key_of(space: str, value: str) -> int:
    """The key of `value` in a name space, signed 64 bits."""
    digest = blake2b(f"{space}\0{value}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def _evidence(kind: Kind, space: str, value: str, text: str, subject: int) -> Evidence:
    key = key_of(space, value)
    return Evidence(key, kind, text, subject or key)


_cached_evidence: Final = lru_cache(maxsize=65_536)(_evidence)


class _Collector:
    """The evidence of one alert while it is read. Each `add` of an unseen key is bounded and cheap."""

    def __init__(self, alert: Alert) -> None:
        self.found: dict[int, Evidence] = {}
        self.subject = 0
        self.devices = alert.devices[:DEVICES_READ_MAX]
        self.host = ""
        self.repeats = 0
        self.title = alert.title
        self.rule = f"{alert.service_source}\0{alert.detector_id or alert.title}"
        self.add(kinds.RULE, self.rule, text=alert.title)

    def add(self, kind: Kind, value: str, *, space: str = "", text: str = "", same: bool = False) -> None:
        """Take one name of a thing; `same` says that it names the thing added before."""
        make = _cached_evidence if len(value) <= CACHED_LENGTH_MAX else _evidence
        evidence = make(kind, space or kind.name, value, (text or value)[:TEXT_MAX], self.subject if same else 0)
        if not same:
            self.subject = evidence.key
        if evidence.key not in self.found:
            self.found[evidence.key] = evidence

    def sequel(self) -> None:
        """Take the whole alert as one thing, where it names nothing but hosts."""
        found = self.found
        if not self.host or len(found) > SEQUEL_KEYS_MAX:
            return
        for each in found.values():
            if each.kind not in _HOST_ONLY:
                return
        hosts = sorted([each.key for each in found.values() if each.kind is kinds.DEVICE])
        self.add(kinds.SEQUEL, f"{self.rule}\0{hosts}", text=self.title)

    def device(self, name: str) -> None:
        """Take a device by its label, since some sensors give `pc1` and others `pc1.corp.example`."""
        label = _host_label(name)
        if label in commonplace.ABSENT or label == "localhost":
            return
        self.host = self.host or label
        space = "device" if _address_kind(label) is None else "ip"
        self.add(kinds.DEVICE, label, space=space, text=name.strip().lower())

    def host_of(self, device_id: str | None) -> str:
        """The name of the device an entity says it is on; without that, of the alert's first device."""
        if device_id and len(self.devices) > 1:
            for device in self.devices:
                if device.mdatp_device_id == device_id:
                    return _host_label(device.device_dns_name or device_id)
        return self.host

    def process(self, device_id: str | None, unique: str | None, number: int | None, created: int | None) -> None:
        """Take a process. Ids that sensors call unique repeat on cloned machines, so the host is part of the key."""
        host = self.host_of(device_id)
        if unique and unique.strip("{}0-"):
            self.add(kinds.PROCESS, f"{host}/{unique.lower()}")
        elif number and created:
            self.add(kinds.PROCESS, f"{host}/{number}/{created}")

    def user(self, name: str | None, *, same: bool = False) -> bool:
        account = account_of(name or "")
        if not account:
            return False
        generic = (
            account in commonplace.ACCOUNTS or account.endswith("$") or account.startswith(commonplace.ACCOUNT_PREFIXES)
        )
        self.add(kinds.GENERIC_USER if generic else kinds.USER, account, space="user", same=same)
        return True

    def ip(self, text: str | None) -> None:
        address = (text or "").strip().lower()
        scope = _address_kind(address)
        if scope is None or scope == "none":
            return
        if scope == "private" and self.host:
            self.add(kinds.PRIVATE_IP, address, space="ip")
        elif scope == "private":
            self.add(kinds.HOST_IP, address, space="ip")
            if self.repeats < REPEATS_MAX:
                self.repeats += 1
                self.add(kinds.REPEAT, f"{self.rule}\0{address}", text=address)
        else:
            self.add(kinds.PUBLIC_IP, address, space="ip")

    def domain(self, name: str | None, *, same: bool = False) -> None:
        domain = (name or "").strip().lower().rstrip(".")
        if domain in commonplace.ABSENT or _address_kind(domain) is not None or "." not in domain:
            return
        self.add(kinds.DOMAIN, domain, same=same)

    def hash(self, entity: Entity) -> None:
        digest = entity.sha256 or entity.sha1 or entity.md5
        if digest and digest.strip("0-"):
            system = entity.is_system_file or is_system_path(entity.file_path or "", entity.file_name or "")
            name = entity.file_name or entity.image_file_name or digest[:16]
            if not system:
                self.add(kinds.FILE, digest.lower(), space="hash", text=name)


def _host_label(name: str) -> str:
    return _known_host_label(name) if len(name) <= CACHED_LENGTH_MAX else _read_host_label(name)


def _read_host_label(name: str) -> str:
    host = name.strip().lower().rstrip(".")
    if _address_kind(host) is not None:
        return host
    label = host.partition(".")[0]
    return host if label in commonplace.HOST_LABELS else label


_known_host_label: Final = lru_cache(maxsize=16_384)(_read_host_label)


@lru_cache(maxsize=16_384)
def account_of(name: str) -> str:
    """The bare account name, lower case: `CORP\\jdoe` and `jdoe@corp.example` are `jdoe`. Empty if absent."""
    account = name.strip().lower()
    if "\\" in account:
        account = account.rpartition("\\")[2]
    account = account.partition("@")[0] if not account.startswith("@") else account
    return "" if account in commonplace.ABSENT else account


def is_system_path(folder: str, name: str = "") -> bool:
    """Whether a path is where the operating system and installed programs live, and not open to any user."""
    short = len(folder) + len(name) <= CACHED_LENGTH_MAX
    return _known_system_path(folder, name) if short else _is_system_path(folder, name)


def _is_system_path(folder: str, name: str) -> bool:
    joint = "/" if folder.startswith("/") else "\\"
    path = _VOLUME.sub("", f"{folder.rstrip(joint)}{joint}{name}".lower())
    path = _WINDOWS.sub(r"\\windows", path)
    if not path.startswith(commonplace.SYSTEM_FOLDERS):
        return False
    return not path.startswith(commonplace.OPEN_FOLDERS)


_known_system_path: Final = lru_cache(maxsize=16_384)(_is_system_path)


def _address_kind(text: str) -> str | None:
    """private, public, none (loopback and the like), or None where the text is no address."""
    return _known_address_kind(text) if len(text) <= ADDRESS_LENGTH_MAX else None


@lru_cache(maxsize=16_384)
def _known_address_kind(text: str) -> str | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if address.is_loopback or address.is_unspecified or address.is_multicast or text == "255.255.255.255":
        return "none"
    return "private" if address.is_private or address.is_link_local else "public"


def _user(found: _Collector, entity: Entity) -> None:
    sid = (entity.user_sid or "").lower()
    if sid in commonplace.SIDS:
        found.add(kinds.GENERIC_USER, sid, space="user")
        return
    named = found.user(entity.account_name)
    principal = entity.user_principal_name or entity.mailbox_address
    if principal:
        named = found.user(principal, same=named) or named
    if sid and sid not in commonplace.ABSENT:
        well_known = sid.endswith(("-500", "-501", "-502"))
        found.add(kinds.GENERIC_USER if well_known else kinds.USER, sid, space="user", same=named)
        named = True
    if entity.aad_user_id and entity.aad_user_id.strip("0-"):
        found.add(kinds.USER, entity.aad_user_id.lower(), space="user", same=named)


def _ip(found: _Collector, entity: Entity) -> None:
    found.ip(entity.ip_address)


def _url(found: _Collector, entity: Entity) -> None:
    url = (entity.url or "").strip().lower()
    if url in commonplace.ABSENT:
        return
    found.add(kinds.URL, url)
    found.domain(_known_host(url) if len(url) <= CACHED_LENGTH_MAX else _host_in(url), same=True)


def _host_in(url: str) -> str | None:
    try:
        return urlsplit(url if "//" in url else f"//{url}").hostname
    except ValueError:
        return None


_known_host: Final = lru_cache(maxsize=16_384)(_host_in)


def _domain(found: _Collector, entity: Entity) -> None:
    found.domain(entity.domain_name)


def _process(found: _Collector, entity: Entity) -> None:
    if entity.process_unique_id or entity.process_id:
        found.process(entity.device_id, entity.process_unique_id, entity.process_id, entity.process_creation_time)
    if entity.parent_process_unique_id or entity.parent_process_id:
        found.process(
            entity.device_id,
            entity.parent_process_unique_id,
            entity.parent_process_id,
            entity.parent_process_creation_time,
        )
    command = entity.process_command_line_hash or entity.process_command_line
    if command and command not in commonplace.ABSENT:
        found.add(kinds.COMMAND, command.lower(), text=entity.process_command_line or "")
    if entity.sha256 or entity.sha1 or entity.md5:
        found.hash(entity)
    if entity.account_name:
        _user(found, entity)


def _file(found: _Collector, entity: Entity) -> None:
    found.hash(entity)
    name, folder = (entity.file_name or "").lower(), (entity.file_path or "").lower()
    if name in commonplace.ABSENT or not folder or entity.is_system_file or is_system_path(folder, name):
        return
    has_hash = bool(entity.sha256 or entity.sha1 or entity.md5)
    found.add(kinds.PATH, f"{folder}\\{name}", same=has_hash)


def _mail(found: _Collector, entity: Entity) -> None:
    if entity.internet_message_id:
        found.add(kinds.MAIL, entity.internet_message_id.strip().lower())
    if entity.sender:
        found.add(kinds.SENDER, entity.sender.strip().lower())
    if entity.sender_ip:
        found.ip(entity.sender_ip)
    if entity.subject and entity.subject.strip():
        found.add(kinds.SUBJECT, entity.subject.strip().lower())
    found.user(entity.recipient)
    if entity.cluster_by_value:
        found.add(kinds.CLUSTER, f"{entity.cluster_by}={entity.cluster_by_value}".lower())


def _registry(found: _Collector, entity: Entity) -> None:
    if entity.registry_key:
        value = (entity.registry_hive, entity.registry_key, entity.registry_value_name)
        found.add(kinds.REGISTRY, "\\".join(part for part in value if part).lower())


def _session(found: _Collector, entity: Entity) -> None:
    session = (entity.logon_session_id or "").strip().lower()
    if session:
        number = session.rpartition(":")[2]
        if number not in commonplace.LOGON_SESSIONS and number.strip("0x-"):
            found.add(kinds.SESSION, f"{found.host}:{session}" if session == number else session)
    if entity.cloud_session_id and entity.cloud_session_id.strip("0-"):
        found.add(kinds.SESSION, entity.cloud_session_id.lower())


def _named(kind: Kind, field: str, common: frozenset[str] = frozenset()) -> Callable[[_Collector, Entity], None]:
    """A reader of one plain text field; names in `common` say nothing."""

    def read(found: _Collector, entity: Entity) -> None:
        value = (getattr(entity, field) or "").strip().lower()
        if value not in commonplace.ABSENT and value.strip("0-") and value.rpartition("\\")[2] not in common:
            found.add(kind, value)

    return read


_READERS: Final[dict[str, tuple[Callable[[_Collector, Entity], None], ...]]] = {
    "user": (_user,),
    "mailbox": (_user,),
    "ip": (_ip,),
    "url": (_url,),
    "domainname": (_domain,),
    "process": (_process,),
    "file": (_file, _named(kinds.MALWARE, "malware_name")),
    "mailmessage": (_mail,),
    "mailcluster": (_mail,),
    "registry": (_registry,),
    "logonsession": (_session,),
    "cloudlogonsession": (_session,),
    "script": (_named(kinds.SCRIPT, "script_block_id"), _file),
    "service": (_named(kinds.SERVICE, "service_name", commonplace.SERVICES),),
    "scheduledtask": (_named(kinds.TASK, "task_name"),),
    "namedpipe": (_named(kinds.PIPE, "pipe_name", commonplace.PIPES),),
    "share": (_named(kinds.SHARE, "share_name", commonplace.SHARES),),
    "malware": (_named(kinds.MALWARE, "malware_name"),),
    "securitygroup": (_named(kinds.GROUP, "security_group_id"),),
    "cloudapplication": (_named(kinds.APPLICATION, "application_id"),),
    "oauthapplication": (_named(kinds.APPLICATION, "application_id"),),
    "azureresource": (_named(kinds.RESOURCE, "azure_resource_id"),),
}

_ANY: Final = (
    _user, _ip, _url, _process, _mail, _registry, _session,
    _named(kinds.SCRIPT, "script_block_id"), _named(kinds.SERVICE, "service_name"),
    _named(kinds.APPLICATION, "application_id"), _named(kinds.RESOURCE, "azure_resource_id"),
)  # fmt: skip
"""Readers for an entity type nobody knows: whatever fields it has."""
