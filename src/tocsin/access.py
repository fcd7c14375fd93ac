"""Who is calling (`Principal`) and what they may see (`Scope`). Pure; no default sees anything.

Every read of the store takes a `Scope`: everything of one tenant, what some grants show of it, or nothing. Why
exposure is cut this way: ADR 7. How a grant becomes SQL is the store's business.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from tocsin.errors import Forbidden


class Permission(StrEnum):
    """What a token may say of its caller: the API's own names (`seed.md`), Graph's (`incidents-api.md` 1.7), and one
    of ours. The names of APPLICATION_PERMISSIONS stand in `roles`, those of DELEGATED_PERMISSIONS in `scp`."""

    READ = "Incident.Read.All"
    READ_WRITE = "Incident.ReadWrite.All"
    USER_READ = "Incident.Read"
    USER_READ_WRITE = "Incident.ReadWrite"
    SECURITY_INCIDENT_READ = "SecurityIncident.Read.All"
    SECURITY_INCIDENT_READ_WRITE = "SecurityIncident.ReadWrite.All"
    SECURITY_ALERT_READ = "SecurityAlert.Read.All"
    SECURITY_ALERT_READ_WRITE = "SecurityAlert.ReadWrite.All"
    INGEST = "Alert.Ingest.All"


_USERS_ALONE: Final = frozenset({Permission.USER_READ, Permission.USER_READ_WRITE})
_APPLICATIONS_ALONE: Final = frozenset({Permission.READ, Permission.READ_WRITE, Permission.INGEST})
APPLICATION_PERMISSIONS: Final = frozenset(Permission) - _USERS_ALONE
"""What `roles` may grant an application. Graph spells its names alike for applications and people."""
DELEGATED_PERMISSIONS: Final = frozenset(Permission) - _APPLICATIONS_ALONE
"""What `scp` may let an application do in a person's name."""

# The two dialects speak of the same incidents, so their names for a permission are synonyms: either opens both.
# An incident shows its alerts, so who reads incidents reads alerts; the alert names open nothing but alerts.
WRITE_INCIDENTS: Final = (Permission.READ_WRITE, Permission.USER_READ_WRITE, Permission.SECURITY_INCIDENT_READ_WRITE)
READ_INCIDENTS: Final = (
    Permission.READ,
    Permission.USER_READ,
    Permission.SECURITY_INCIDENT_READ,
    *WRITE_INCIDENTS,
)
WRITE_ALERTS: Final = (Permission.SECURITY_ALERT_READ_WRITE, *WRITE_INCIDENTS)
READ_ALERTS: Final = (Permission.SECURITY_ALERT_READ, Permission.SECURITY_ALERT_READ_WRITE, *READ_INCIDENTS)

UNGROUPED: Final = 0
"""The device group of devices that no group's rule matches."""


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """What one role shows: alerts of these workloads on devices of these groups; None stands for all of them.

    A workload is a service source in lower case without spaces (`workload_of`). An alert without a device needs its
    workload granted and no more. `may_manage` lets the holder change what the grant shows.
    """

    workloads: frozenset[str] | None
    device_groups: frozenset[int] | None
    may_manage: bool

    @property
    def is_everything(self) -> bool:
        """Whether nothing of the tenant is hidden from who holds it."""
        return self.workloads is None and self.device_groups is None

    def shows_workload(self, workload: str) -> bool:
        """Whether alerts of this workload can be seen at all."""
        return self.workloads is None or workload in self.workloads


def workload_of(service_source: str) -> str:
    """The workload that an alert's service source belongs to."""
    return service_source.lower().replace(" ", "")


class Scope(msgspec.Struct, frozen=True):
    """What may be seen of one tenant: the sum of its grants. No grant shows nothing; never more than one tenant."""

    tenant_id: int
    grants: tuple[Grant, ...]

    @classmethod
    def everything_of(cls, tenant_id: int) -> Scope:
        """The whole of one tenant: for applications, and for the operator at the command line."""
        return cls(tenant_id, (_EVERYTHING,))

    @classmethod
    def nothing_of(cls, tenant_id: int) -> Scope:
        """Nothing at all: lists are empty and every id is not found."""
        return cls(tenant_id, ())

    @property
    def whole_tenant(self) -> bool:
        """Whether nothing of the tenant is hidden."""
        return any(grant.is_everything for grant in self.grants)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is shown, whatever there is."""
        return not self.grants

    def manages(self, workload: str) -> bool:
        """Whether what belongs to this workload may be changed."""
        return any(grant.may_manage and grant.shows_workload(workload) for grant in self.grants)


_EVERYTHING: Final = Grant(workloads=None, device_groups=None, may_manage=True)


class Principal(msgspec.Struct, frozen=True):
    """A caller whose token, key or session was verified: an application of one tenant, or a person using one.

    `app_id` is the application's GUID in text (for an ingest key its public half). `user_id` is the person's GUID,
    and `grants` what their roles show; both None for an application by itself, which sees its whole tenant.
    """

    tenant_id: int
    app_id: str
    name: str
    permissions: frozenset[Permission]
    user_id: str | None = None
    grants: tuple[Grant, ...] | None = None

    @property
    def caller(self) -> str:
        """Who it is, within the tenant: what quotas count by and links are given to."""
        return self.app_id if self.user_id is None else f"{self.app_id}/{self.user_id}"

    def require(self, *any_of: Permission) -> None:
        """Raise Forbidden, in the original family's words (`incidents-api.md` section 4), unless one is held."""
        if self.permissions.isdisjoint(any_of):
            needed = ",".join(any_of)
            held = ",".join(sorted(self.permissions)) or "none"
            raise Forbidden(f"Missing application roles. API required roles: {needed}, application roles: {held}.")

    def scope(self) -> Scope:
        """What this caller may see: an application with a read permission its whole tenant, a person what their roles
        show. What of it is asked for, incidents or alerts, is `require`'s question."""
        if self.permissions.isdisjoint(READ_ALERTS):
            return Scope.nothing_of(self.tenant_id)
        return Scope.everything_of(self.tenant_id) if self.user_id is None else Scope(self.tenant_id, self.grants or ())
