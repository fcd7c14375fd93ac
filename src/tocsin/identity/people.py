"""The nouns of identity: Tenant, Application, IngestKey, User, Role, and the port through which callers are looked up.

Pure. How they are kept is the store's business (`stores/sqlite/registry.py`, `people.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Final, Protocol

import msgspec

from tocsin.access import DELEGATED_PERMISSIONS, Grant, Permission, workload_of
from tocsin.errors import InvalidInput

GUID: Final = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.ASCII)
"""A GUID as we keep it: lower case with dashes."""

_TENANT_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?", re.ASCII)
_RESERVED: Final = frozenset({"common", "organizations", "consumers", "adfs"})
_LABEL_MAX: Final = 100
_USER_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._+'-]{0,63}(?:@[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?)?", re.ASCII)
_SUBJECT_MAX: Final = 255
_ISSUER: Final = re.compile(r"https://|http://(?:localhost|127\.0\.0\.1|\[::1\])[:/]", re.ASCII)
"""Without TLS only on this machine, where `foreign.py` wants it said explicitly."""


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


class Right(StrEnum):
    """What a role lets its holders do with what it shows. MANAGE includes READ; AUDIT opens the audit log alone."""

    READ = "read"
    MANAGE = "manage"
    AUDIT = "audit"


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A person. `name` is a user principal name in lower case.

    `password_hash` None: signs in with a foreign issuer only, as `subject` of `issuer`. `disabled` is the time since
    when, or None; sessions and tokens of before `signed_out` are void. Times are ticks.
    """

    tenant_id: int
    user_id: str
    name: str
    display_name: str
    password_hash: str | None
    issuer: str | None
    subject: str | None
    created: int
    disabled: int | None
    signed_out: int


class Role(msgspec.Struct, frozen=True, kw_only=True):
    """Rights over workloads (`access.workload_of`) and device groups (ids); None stands for all, empty for none."""

    tenant_id: int
    role_id: int
    name: str
    rights: frozenset[Right]
    workloads: frozenset[str] | None
    device_groups: frozenset[int] | None

    @property
    def grant(self) -> Grant | None:
        """What it shows; None for a role that shows no incidents."""
        if self.rights.isdisjoint((Right.READ, Right.MANAGE)):
            return None
        return Grant(workloads=self.workloads, device_groups=self.device_groups, may_manage=Right.MANAGE in self.rights)


class BuiltInRole(msgspec.Struct, frozen=True, kw_only=True):
    """A role that need not be made: naming it makes it, over everything."""

    name: str
    rights: frozenset[Right]


BUILT_IN_ROLES: Final = (
    BuiltInRole(name="Security reader", rights=frozenset({Right.READ})),
    BuiltInRole(name="Security operator", rights=frozenset({Right.READ, Right.MANAGE})),
    BuiltInRole(name="Auditor", rights=frozenset({Right.AUDIT})),
)

_READING: Final = frozenset({Permission.USER_READ, Permission.SECURITY_INCIDENT_READ, Permission.SECURITY_ALERT_READ})


def permissions_for(rights: Iterable[Right]) -> frozenset[Permission]:
    """What an application may be allowed to do in the name of a person who holds these rights."""
    held = frozenset(rights)
    if Right.MANAGE in held:
        return DELEGATED_PERMISSIONS
    return _READING if Right.READ in held else frozenset()


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


def parse_user_name(text: str) -> str:
    """The user principal name as it is kept, lower case. Raises InvalidInput; a GUID would be taken for an id."""
    name = text.strip().lower()
    if not _USER_NAME.fullmatch(name) or GUID.fullmatch(name):
        raise InvalidInput(
            f"{text[:60]!r} cannot be a user's name: use one like anna or anna@example.org, of letters, digits, "
            "dots, dashes, underscores and plus signs"
        )
    return name


def parse_foreign_subject(issuer: str | None, subject: str | None) -> tuple[str, str] | None:
    """(issuer, subject) of a person who signs in elsewhere, or None for neither. Raises InvalidInput.

    Both are compared to the character (OpenID Connect Core 5.7: only the pair of the two names a person).
    """
    if not issuer and not subject:
        return None
    if not issuer or not subject:
        raise InvalidInput("a foreign identity is an issuer and a subject: give both, or neither")
    if not _ISSUER.match(issuer) or not issuer.isprintable() or len(issuer) > _SUBJECT_MAX:
        raise InvalidInput(f"an issuer is an https URL as its tokens have it in `iss`, not {issuer[:60]!r}")
    if not subject.isprintable() or len(subject) > _SUBJECT_MAX:
        raise InvalidInput(f"a subject has at most {_SUBJECT_MAX} printable characters, as `sub` of its tokens has it")
    return issuer, subject


def parse_right(text: str) -> Right:
    """Raises InvalidInput naming the rights there are."""
    try:
        return Right(text.strip().lower())
    except ValueError:
        raise InvalidInput(f"{text[:40]!r} is no right; there are {', '.join(Right)}") from None


def parse_rights(texts: Iterable[str]) -> frozenset[Right]:
    """At least one right. Raises InvalidInput."""
    rights = frozenset(parse_right(text) for text in texts)
    if not rights:
        raise InvalidInput(f"a role needs at least one right of {', '.join(Right)}")
    return rights


def parse_workload(text: str) -> str:
    """A workload as it is compared: a service source in any case, with or without spaces. Raises InvalidInput."""
    return workload_of(parse_label(text))
