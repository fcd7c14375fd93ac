"""The nouns of identity: Tenant, Application, IngestKey, and the port through which they are looked up.

Pure. How they are kept is the store's business (`stores/sqlite/registry.py`).
"""

from __future__ import annotations

import re
from typing import Final, Protocol

import msgspec

from tocsin.access import Permission
from tocsin.errors import InvalidInput

GUID: Final = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.ASCII)
"""A GUID as we keep it: lower case with dashes."""

_TENANT_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?", re.ASCII)
_RESERVED: Final = frozenset({"common", "organizations", "consumers", "adfs"})
_LABEL_MAX: Final = 100


class Tenant(msgspec.Struct, frozen=True, kw_only=True):
    """One organisation. `name` is lower case and may be a domain name; `retention_days` None means the setting."""

    tenant_id: int
    guid: str
    name: str
    retention_days: int | None
    created: int


class Application(msgspec.Struct, frozen=True, kw_only=True):
    """A client program. `disabled` is the time since when, in ticks, or None.

    A public one runs on people's machines and has no secret (`secret_hash` is empty, which no secret has); so does
    one that signs in with a certificate alone. Codes are sent to none but its `redirect_uris`.
    """

    tenant_id: int
    app_id: str
    name: str
    secret_hash: str
    permissions: frozenset[Permission]
    created: int
    disabled: int | None
    is_public: bool = False
    redirect_uris: tuple[str, ...] = ()


class IngestKey(msgspec.Struct, frozen=True, kw_only=True):
    """A long-lived key that may only send alerts. `disabled` is the time since when, in ticks, or None."""

    key_id: str
    tenant_id: int
    name: str
    key_hash: str
    created: int
    disabled: int | None


class Directory(Protocol):
    """Where callers are looked up. Each method raises NotFound for what is not there."""

    def get_tenant(self, reference: str) -> Tenant:
        """By GUID or name (a domain is a name), in any case."""

    def list_tenants(self) -> list[Tenant]:
        """All tenants, oldest first."""

    def get_application(self, tenant_id: int, app_id: str) -> Application:
        """By its GUID within one tenant; disabled ones too."""

    def get_ingest_key(self, key_id: str) -> IngestKey:
        """By the public half of the key; disabled ones too."""


def parse_tenant_name(text: str) -> str:
    """The name as it is kept, lower case. Raises InvalidInput for what could not stand in a URL path,
    and for names that mean something else there (a GUID, `common`, `organizations`)."""
    name = text.strip().lower()
    if not _TENANT_NAME.fullmatch(name) or name in _RESERVED or GUID.fullmatch(name):
        raise InvalidInput(
            f"{text[:60]!r} cannot be a tenant's name: use letters, digits, dots and dashes, "
            "not a GUID and not one of " + ", ".join(sorted(_RESERVED))
        )
    return name


def parse_guid(text: str) -> str:
    """The GUID in lower case with dashes. Raises InvalidInput."""
    guid = text.strip().lower()
    if not GUID.fullmatch(guid):
        raise InvalidInput(f"{text[:60]!r} is not a GUID like 6d4f0b1e-0000-4000-8000-123456789abc")
    return guid


def parse_label(text: str) -> str:
    """The name of an application or key, trimmed. Raises InvalidInput when empty, long or not printable."""
    label = text.strip()
    if not label or len(label) > _LABEL_MAX or not label.isprintable():
        raise InvalidInput(f"a name must have 1 to {_LABEL_MAX} printable characters, not {text[:60]!r}")
    return label
