"""Callers of every kind for one running service: applications, ingest keys, people with tokens and with browsers."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Final

from house import Client
from tocsin.access import DELEGATED_PERMISSIONS, Permission
from tocsin.exposure import DeviceRule
from tocsin.identity.clients import BY_NOTHING
from tocsin.identity.clients import Client as Party
from tocsin.identity.credentials import hash_secret, new_ingest_key, new_secret
from tocsin.identity.people import Application, Right, Tenant, User
from tocsin.identity.sign_in import Session
from tocsin.stores.sqlite.connection import DATABASE_NAME, open_side_writer, transaction
from tocsin.stores.sqlite.groups import Groups
from tocsin.stores.sqlite.people import People
from tocsin.stores.sqlite.registry import Registry
from tocsin.stores.sqlite.sign_in import SignIns
from tocsin.web.portal.session import COOKIE

AUDIENCE: Final = "https://api.security.microsoft.com"
OTHER_GUID: Final = "99999999-2222-4333-8444-555555555555"
EVERYTHING: Final = " ".join(sorted(DELEGATED_PERMISSIONS))


class Role:
    """What a person may see: these workloads (None: all) on devices of these groups (None: all)."""

    def __init__(
        self, *rights: Right, workloads: Iterable[str] | None = None, groups: Iterable[int] | None = None
    ) -> None:
        self.rights, self.workloads, self.groups = rights, workloads, groups


class Callers:
    """Makes callers beside a running service, through a connection of its own."""

    def __init__(self, client: Client) -> None:
        self.client, self.service = client, client.service
        self._connection = open_side_writer(client.service.settings.data_dir / DATABASE_NAME)
        self.registry, self.people = Registry(self._connection), People(self._connection)
        self.tenant = client.tenant
        self.other = self.registry.create_tenant("other", OTHER_GUID, self.service.clock())
        self._numbers = itertools.count(1)
        self.desktop = {
            each.tenant_id: self.application(each, "desktop", is_public=True) for each in (self.tenant, self.other)
        }

    def close(self) -> None:
        """Let the connection go."""
        self._connection.close()

    def group(self, name: str, *hosts: str) -> int:
        """A device group of these hosts, for devices that are seen from now on."""
        with transaction(self._connection):
            return Groups(self._connection).create_group(self.tenant.tenant_id, name, DeviceRule(names=hosts)).group_id

    def application(self, tenant: Tenant, name: str, *permissions: Permission, is_public: bool = False) -> Application:
        """An application."""
        secret = "" if is_public else hash_secret(new_secret())
        return self.registry.create_application(
            tenant.tenant_id, name, permissions, secret_hash=secret, now=self.service.clock(), is_public=is_public
        )

    def app_token(self, application: Application, *, tenant: Tenant | None = None, audience: str = AUDIENCE) -> str:
        """A token that an application got for itself."""
        base_url, now = self.service.names.base_url, self.service.clock()
        owner = tenant or self.tenant
        return self.service.tokens.issue(
            owner, application, audience=audience, base_url=base_url, version=2, now=now
        ).text

    def app(self, *permissions: Permission, tenant: Tenant | None = None) -> str:
        """The token of a new application."""
        owner = tenant or self.tenant
        return self.app_token(self.application(owner, f"app {next(self._numbers)}", *permissions), tenant=owner)

    def key(self, tenant: Tenant | None = None) -> str:
        """A new ingest key."""
        made, owner = new_ingest_key(), tenant or self.tenant
        self.registry.create_ingest_key(
            owner.tenant_id,
            f"key {next(self._numbers)}",
            key_id=made.key_id,
            key_hash=made.key_hash,
            now=self.service.clock(),
        )
        return made.text

    def user(self, *roles: Role, tenant: Tenant | None = None) -> User:
        """A person with these roles."""
        owner = (tenant or self.tenant).tenant_id
        user = self.people.create_user(owner, f"user{next(self._numbers)}@corp.example", now=self.service.clock())
        held = [
            self.people.create_role(
                owner, f"role {next(self._numbers)}", each.rights, workloads=each.workloads, device_groups=each.groups
            ).role_id
            for each in roles
        ]
        self.people.set_roles(owner, user.user_id, held)
        return user

    def user_token(self, user: User, scopes: str = EVERYTHING) -> str:
        """A token with which the public application acts for a person."""
        tenant = self.tenant if user.tenant_id == self.tenant.tenant_id else self.other
        client, now = Party(self.desktop[user.tenant_id], BY_NOTHING), self.service.clock()
        base_url = self.service.names.base_url
        return self.service.tokens.issue_delegated(
            tenant, client, user, scopes, audience=AUDIENCE, base_url=base_url, version=2, now=now
        ).text

    def person(self, *roles: Role, scopes: str = EVERYTHING, tenant: Tenant | None = None) -> str:
        """The token of a new person."""
        return self.user_token(self.user(*roles, tenant=tenant), scopes)

    def cookie(self, user: User | None, tenant: Tenant | None = None) -> str:
        """The cookie of a browser that a person (None: the operator) signed in with."""
        session_id, now = new_secret(), self.service.clock()
        owner = user.tenant_id if user is not None else (tenant or self.tenant).tenant_id
        session = Session(tenant_id=owner, user_id=None if user is None else user.user_id, opened=now, used=now)
        with transaction(self._connection):
            SignIns(self._connection).open_session(hash_secret(session_id), session)
        return f"{COOKIE}={session_id}"


def bearer(token: str) -> dict[str, str]:
    """The header of a caller with a token or key."""
    return {"authorization": f"Bearer {token}"}
