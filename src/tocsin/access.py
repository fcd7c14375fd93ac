"""Who is calling (`Principal`) and what they may see (`Scope`). Pure; no default sees anything.

Every read of the store takes a `Scope`. Today a scope is a whole tenant or nothing; device groups and
workloads come into this file and nowhere else.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from tocsin.errors import Forbidden


class Permission(StrEnum):
    """What an application may be granted. The first two are the API's own (`seed.md`), the next four are Graph's
    (`incidents-api.md` 1.7), the last is ours."""

    READ = "Incident.Read.All"
    READ_WRITE = "Incident.ReadWrite.All"
    SECURITY_INCIDENT_READ = "SecurityIncident.Read.All"
    SECURITY_INCIDENT_READ_WRITE = "SecurityIncident.ReadWrite.All"
    SECURITY_ALERT_READ = "SecurityAlert.Read.All"
    SECURITY_ALERT_READ_WRITE = "SecurityAlert.ReadWrite.All"
    INGEST = "Alert.Ingest.All"


# The two dialects speak of the same incidents, so their names for a permission are synonyms: either opens both.
# An incident shows its alerts, so who reads incidents reads alerts; the alert names open nothing but alerts.
WRITE_INCIDENTS: Final = (Permission.READ_WRITE, Permission.SECURITY_INCIDENT_READ_WRITE)
READ_INCIDENTS: Final = (Permission.READ, Permission.SECURITY_INCIDENT_READ, *WRITE_INCIDENTS)
WRITE_ALERTS: Final = (Permission.SECURITY_ALERT_READ_WRITE, *WRITE_INCIDENTS)
READ_ALERTS: Final = (Permission.SECURITY_ALERT_READ, Permission.SECURITY_ALERT_READ_WRITE, *READ_INCIDENTS)


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
        """What this caller may see: an application with a read permission sees its whole tenant. What of it is asked
        for, incidents or alerts, is `require`'s question."""
        if self.permissions.isdisjoint(READ_ALERTS):
            return Scope.nothing_of(self.tenant_id)
        return Scope.everything_of(self.tenant_id)
