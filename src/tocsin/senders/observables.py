"""What one alert is about, gathered while a sender reads: devices and entities, each once, cleaned and bounded.

In charge of how addresses, users, hashes, paths and host names are written, so that two sensors that saw
the same thing name it alike. Loopback addresses and standing logon sessions are kept: weighing what a thing
is worth belongs to `correlation`. The senders decide what is worth gathering.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Hashable, Iterable
from functools import lru_cache
from typing import Any, Final

from tocsin.model import Device, Entity
from tocsin.senders.bounds import COMMAND_LINE_MAX, DESCRIPTION_MAX, DEVICES_MAX, ENTITIES_MAX, TEXT_MAX

_NOTHING: Final = frozenset(("", "-", "--", "n/a", "none", "null", "unknown", "(unknown)", "<unknown>", "(null)"))
_HOST: Final = re.compile(r"(?=.{1,253}$)(?:[A-Za-z0-9_-]+\.)+[A-Za-z][A-Za-z0-9-]*", re.ASCII)
_WITH_PORT: Final = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::\d+)?|(\d+\.\d+\.\d+\.\d+):\d+", re.ASCII)
_BIG: Final = 10**40  # str() of a far larger integer is refused by Python
_HASH_FIELD: Final = {32: "md5", 40: "sha1", 64: "sha256"}
_HEX: Final = re.compile(r"[0-9a-fA-F]+", re.ASCII)
_HIVES: Final = {
    "hklm": "HKEY_LOCAL_MACHINE",
    "hkcu": "HKEY_CURRENT_USER",
    "hku": "HKEY_USERS",
    "hkcr": "HKEY_CLASSES_ROOT",
    "hkcc": "HKEY_CURRENT_CONFIG",
}


class Observables:
    """The devices and entities of one alert, in the order they were met. Made for one alert and dropped with it."""

    __slots__ = ("_devices", "_entities", "_entity_keys", "devices_over", "entities_over", "texts_cut")

    def __init__(self) -> None:
        self._entities: list[Entity] = []
        self._entity_keys: set[Hashable] = set()
        self._devices: dict[str, Device] = {}
        self.entities_over = 0
        self.devices_over = 0
        self.texts_cut = False

    @property
    def entities(self) -> tuple[Entity, ...]:
        return tuple(self._entities)

    @property
    def devices(self) -> tuple[Device, ...]:
        return tuple(self._devices.values())

    def text(self, value: object, limit: int = TEXT_MAX) -> str:
        """An outside value as bounded text without U+0000; "" for what is neither text nor number."""
        if not isinstance(value, str):
            if not isinstance(value, int | float) or isinstance(value, bool):
                return ""
            # Wazuh's JSON decoder writes whole numbers as 1914330066006315.000000.
            value = f"{value:.17g}" if isinstance(value, float) else str(value) if abs(value) < _BIG else hex(value)
        if "\0" in value:
            value = value.replace("\0", "")
        if len(value) > limit:
            self.texts_cut = True
            return value[:limit]
        return value

    def name(self, value: object) -> str:
        """Like `text`, and "" for the many ways to write that there is nothing (`-`, `N/A`)."""
        if value is None:
            return ""
        if type(value) is not str or len(value) > TEXT_MAX or "\0" in value:
            if type(value) is int and -_BIG < value < _BIG:
                return str(value)
            value = self.text(value)
        text = value.strip()
        return "" if len(text) < 10 and text.lower() in _NOTHING else text

    def described(self, description: str) -> str:
        """A description within its bound, with a closing remark on whatever of the alert had to be cut."""
        text = self.text(description, DESCRIPTION_MAX)
        if not (self.entities_over or self.devices_over or self.texts_cut):
            return text
        parts = []
        if self.entities_over:
            parts.append(f"{self.entities_over} entities beyond {ENTITIES_MAX} left out")
        if self.devices_over:
            parts.append(f"{self.devices_over} devices beyond {DEVICES_MAX} left out")
        if self.texts_cut:
            parts.append("long texts cut short")
        remark = f" [Tocsin: {', '.join(parts)}.]"
        return text[: DESCRIPTION_MAX - len(remark)].rstrip() + remark

    def add(self, key: Hashable, entity: Entity) -> None:
        """Keep an entity unless one with the same key is there already."""
        if key in self._entity_keys:
            return
        if len(self._entities) >= ENTITIES_MAX:
            self.entities_over += 1
            return
        self._entity_keys.add(key)
        self._entities.append(entity)

    def device(self, name: object, **fields: Any) -> str:
        """Keep a device by its name and give that name back, "" where there is none. `fields` are Device's own."""
        text = self.name(name).rstrip(".")
        key = text.lower() or fields.get("mdatp_device_id") or fields.get("aad_device_id")
        if not key:
            return ""
        if key not in self._devices:
            self.keep_device(key, Device(device_dns_name=text, **fields))
        return text

    def keep_device(self, key: str, device: Device) -> None:
        """Keep a device under the key that `devices_by_key` gave it elsewhere."""
        if key in self._devices:
            return
        if len(self._devices) >= DEVICES_MAX:
            self.devices_over += 1
        else:
            self._devices[key] = device

    def devices_by_key(self) -> Iterable[tuple[str, Device]]:
        """The devices with what tells them apart: the name in lower case, or an id where there is no name."""
        return self._devices.items()

    def ip(self, value: object, **fields: Any) -> str:
        """Keep an address and give its usual form back; a host name that stands in its place becomes a DomainName."""
        text = self.name(value)
        if not text:
            return ""
        found = address(text)
        if found is None:
            self.domain(text)
            return ""
        if found:
            self.add(("Ip", found), Entity(entity_type="Ip", ip_address=found, **fields))
        return found

    def domain(self, value: object) -> None:
        """Keep a DNS name, lower-cased and without its final dot; anything else is passed over."""
        text = self.name(value).rstrip(".").lower()
        if _HOST.fullmatch(text):
            self.add(("DomainName", text), Entity(entity_type="DomainName", domain_name=text))

    def url(self, value: object, **fields: Any) -> None:
        """Keep a URL as it is written."""
        text = self.name(value)
        if text:
            self.add(("Url", text), Entity(entity_type="Url", url=text, **fields))

    def user(self, value: object, *, domain: object = "", sid: object = "", **fields: Any) -> str:
        """Keep an account and give its bare name back. `DOMAIN\\user` and `user@domain` are taken apart."""
        account, realm, upn = user_parts(self.name(value))
        realm = realm or self.name(domain)
        sid_text = self.name(sid).upper()
        upn = fields.pop("user_principal_name", None) or upn
        if sid_text in ("S-1-0-0", "NULL SID"):
            sid_text = ""
        if account or sid_text or upn or any(fields.values()):
            key = ("User", account.lower(), realm.lower(), sid_text, upn, fields.get("aad_user_id"))
            entity = Entity(
                entity_type="User",
                account_name=account or None,
                domain_name=realm or None,
                user_sid=sid_text or None,
                user_principal_name=upn or None,
                **fields,
            )
            self.add(key, entity)
        return account

    def file(self, path: object, hashes: dict[str, str] | None = None, **fields: Any) -> None:
        """Keep a file by path (or bare name) and hashes as `hashes_in` gives them."""
        name, folder = path_parts(self.name(path))
        known = hashes or {}
        if name or known:
            key = ("File", name.lower(), folder.lower(), *known.values())
            entity = Entity(
                entity_type="File",
                file_name=name or None,
                file_path=folder or None,
                md5=known.get("md5"),
                sha1=known.get("sha1"),
                sha256=known.get("sha256"),
                **fields,
            )
            self.add(key, entity)

    def registry(self, path: object, **fields: Any) -> None:
        """Keep a registry key of a path whose first part is its hive, short or long."""
        hive, _, key = self.name(path).lstrip("\\").partition("\\")
        if key:
            hive = _HIVES.get(hive.lower(), hive)
            found = Entity(entity_type="Registry", registry_hive=hive, registry_key=key, **fields)
            self.add(("Registry", hive, key.lower(), *fields.values()), found)

    def logon_session(self, host: str, session: object, **fields: Any) -> None:
        """Keep a logon session. Its id means something on its own host only, so the host is part of it."""
        text = self.name(session).lower()
        if host and text and text.strip("0x"):
            scoped = f"{_label(host)}:{text}"
            found = Entity(entity_type="LogonSession", logon_session_id=scoped, **fields)
            self.add(("LogonSession", scoped), found)

    def command_line(self, value: object) -> str | None:
        """A command line within its own bound; None where there is none."""
        return self.text(value, COMMAND_LINE_MAX).strip() or None


@lru_cache(maxsize=8192)
def address(text: str) -> str | None:
    """Usual form of an IP address: no port, no zone, IPv4 out of its IPv6 wrapping. "" for the null address,
    None for what is no address."""
    if not 2 <= len(text) <= 64:
        return None
    wrapped = _WITH_PORT.fullmatch(text)
    bare = (wrapped[1] or wrapped[2]) if wrapped else text
    try:
        found = ipaddress.ip_address(bare.partition("%")[0])
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    return "" if found.is_unspecified else str(found)


def _label(host: str) -> str:
    """The first part of a host name, which is all that some sensors give; an address stays whole."""
    return host.lower() if address(host) else host.lower().partition(".")[0]


def user_parts(name: str) -> tuple[str, str, str]:
    """(account, domain, user principal name) of one written name; "" for each that it does not hold.

    Takes off what log lines put around a name: angle brackets, and PAM's `(uid=0)`.
    """
    bare = name.strip("<>").partition("(uid=")[0].strip()
    if bare.lower() in _NOTHING:
        return "", "", ""
    if "\\" in bare:
        domain, _, account = bare.rpartition("\\")
        return account, domain.rpartition("\\")[2], ""
    account, at, suffix = bare.rpartition("@")
    if at and account and "." in suffix:
        return account, "", bare
    return bare, "", ""


def path_parts(path: str) -> tuple[str, str]:
    """(file name, folder) of a Windows or POSIX path; a bare name has no folder."""
    cut = max(path.rfind("\\"), path.rfind("/"))
    return (path, "") if cut < 0 else (path[cut + 1 :], path[:cut] or path[:1])


def hash_of(value: object) -> dict[str, str]:
    """`{"sha1": "..."}` of one hash, its kind told by its length; empty for anything else and for all zeros."""
    if not isinstance(value, str):
        return {}
    kind = _HASH_FIELD.get(len(value))
    return {kind: value.lower()} if kind and _HEX.fullmatch(value) and value.strip("0") else {}


def hashes_in(values: str) -> dict[str, str]:
    """Hashes of text such as `SHA1=..,MD5=..,IMPHASH=..`. The import hash is left out: it names no file."""
    found: dict[str, str] = {}
    for part in values[:1000].split(","):
        label, _, value = part.rpartition("=")
        if label.strip().upper() != "IMPHASH":
            found |= hash_of(value.strip())
    return found
