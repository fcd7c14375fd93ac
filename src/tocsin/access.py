"""Who is calling (`Principal`) and what they may see (`Scope`). Pure; no default sees anything.

Every read of the store takes a `Scope`. Today a scope is a whole tenant or nothing; device groups and
workloads come into this file and nowhere else.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from tocsin.errors import Forbidden


class Permission(StrEnum):
    """What an application may be granted. The first two are the API's own (`seed.md`), the last is ours."""

    READ = "Incident.Read.All"
    READ_WRITE = "Incident.ReadWrite.All"
    INGEST = "Alert.Ingest.All"


class Scope(msgspec.Struct, frozen=True):
    """What may be seen: of one tenant, everything (`whole_tenant`) or nothing. Never more than one tenant."""

    tenant_id: int
    whole_tenant: bool

    @classmethod
    def everything_of(cls, tenant_id: int) -> Scope:
        """The whole of one tenant: for applications, and for the operator at the command line."""
        return cls(tenant_id=tenant_id, whole_tenant=True)

    @classmethod
    def nothing_of(cls, tenant_id: int) -> Scope:
        """Nothing at all: lists are empty and every id is not found."""
        return cls(tenant_id=tenant_id, whole_tenant=False)


class Principal(msgspec.Struct, frozen=True):
    """A caller whose token or key was verified: an application of one tenant with its permissions.

    `app_id` is the application's GUID in text; it is what quotas count and the change log names.
    """

    tenant_id: int
    app_id: str
    name: str
    permissions: frozenset[Permission]

    def require(self, *any_of: Permission) -> None:
        """Raise Forbidden, in the original family's words (`incidents-api.md` section 4), unless one is held."""
        if self.permissions.isdisjoint(any_of):
            needed = ",".join(any_of)
            held = ",".join(sorted(self.permissions)) or "none"
            raise Forbidden(f"Missing application roles. API required roles: {needed}, application roles: {held}.")

    def scope(self) -> Scope:
        """What this caller may see: an application with a read permission sees its whole tenant."""
        if self.permissions.isdisjoint((Permission.READ, Permission.READ_WRITE)):
            return Scope.nothing_of(self.tenant_id)
        return Scope.everything_of(self.tenant_id)
