"""Tenants, applications and ingest keys in the SQLite store.

Each write is one statement in a transaction of its own, begun without a read before it, so that it may run
beside the writer of a running server: it waits for the lock instead of failing on a stale snapshot. Secrets
arrive hashed; the clear text never comes here.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Final

import apsw
import msgspec

from tocsin.access import APPLICATION_PERMISSIONS, Permission
from tocsin.errors import InvalidInput, NotFound, StorageFull, Unavailable
from tocsin.identity.people import (
    Application,
    IngestKey,
    Tenant,
    parse_guid,
    parse_label,
    parse_tenant_name,
)
from tocsin.stores.sqlite.connection import transaction

DEFAULT_TENANT: Final = "default"

_TENANT: Final = "SELECT tenant_id, guid, name, retention_days, created FROM tenant"
_APPLICATION: Final = (
    "SELECT tenant_id, app_id, name, secret_hash, permissions, created, disabled, is_public, redirect_uris "
    "FROM application WHERE tenant_id = ?"
)
_INGEST_KEY: Final = "SELECT key_id, tenant_id, name, key_hash, created, disabled FROM ingest_key"


class Registry:
    """Who may call, over one connection. Writing needs a connection that may write (`open_side_writer`).

    Times are ticks. Every method may raise Unavailable when the store stays locked, StorageFull when it is full.
    """

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def create_tenant(self, name: str, guid: str, now: int) -> Tenant:
        """Add a tenant. Raises InvalidInput when name or GUID is malformed or taken."""
        kept_name, kept_guid = parse_tenant_name(name), parse_guid(guid)
        try:
            self._write("INSERT INTO tenant (guid, name, created) VALUES (?, ?, ?)", (kept_guid, kept_name, now))
        except apsw.ConstraintError:
            raise InvalidInput(f"there is already a tenant named {kept_name!r} or with GUID {kept_guid}") from None
        return self.get_tenant(kept_guid)

    def ensure_default_tenant(self, now: int) -> Tenant:
        """The tenant named `default`, made with a random GUID where it is missing."""
        try:
            return self.get_tenant(DEFAULT_TENANT)
        except NotFound:
            self._write(
                "INSERT INTO tenant (guid, name, created) VALUES (?, ?, ?) ON CONFLICT (name) DO NOTHING",
                (str(uuid.uuid4()), DEFAULT_TENANT, now),
            )
        return self.get_tenant(DEFAULT_TENANT)

    def get_tenant(self, reference: str) -> Tenant:
        """By GUID or name (a domain is a name), in any case. Raises NotFound."""
        wanted = reference.strip().lower()
        row = self._connection.execute(f"{_TENANT} WHERE guid = ?1 OR name = ?1", (_storable(wanted),)).fetchone()
        if row is None:
            raise NotFound(f"there is no tenant {reference[:60]!r}")
        return _tenant(row)

    def list_tenants(self) -> list[Tenant]:
        """All tenants, oldest first."""
        return [_tenant(row) for row in self._connection.execute(f"{_TENANT} ORDER BY tenant_id")]

    def set_retention(self, tenant_id: int, days: int | None) -> None:
        """Keep this tenant's incidents so many days; None is the setting again. Raises InvalidInput, NotFound."""
        if days is not None and days < 1:
            raise InvalidInput(f"retention must be at least 1 day, not {days}")
        if not self._write("UPDATE tenant SET retention_days = ? WHERE tenant_id = ?", (days, tenant_id)):
            raise NotFound(f"there is no tenant with number {tenant_id}")

    def create_application(
        self,
        tenant_id: int,
        name: str,
        permissions: Iterable[Permission],
        *,
        secret_hash: str,
        now: int,
        app_id: str | None = None,
        is_public: bool = False,
        redirect_uris: Iterable[str] = (),
    ) -> Application:
        """Add an application; without `app_id` it gets a random one. Raises InvalidInput when the name is taken.

        The secret is made and shown by the caller (`identity.credentials.new_secret`), once; an empty hash is none.
        """
        kept_id = str(uuid.uuid4()) if app_id is None else parse_guid(app_id)
        label = parse_label(name)
        uris = msgspec.json.encode(list(redirect_uris)).decode()
        values = (tenant_id, kept_id, label, secret_hash, _permissions_text(permissions), now, int(is_public), uris)
        try:
            written = self._write(
                "INSERT INTO application "
                "(tenant_id, app_id, name, secret_hash, permissions, created, is_public, redirect_uris) "
                "SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8 WHERE EXISTS (SELECT 1 FROM tenant WHERE tenant_id = ?1)",
                values,
            )
        except apsw.ConstraintError:
            raise InvalidInput(f"this tenant already has an application named {label!r} or with id {kept_id}") from None
        if not written:
            raise NotFound(f"there is no tenant with number {tenant_id}")
        return self.get_application(tenant_id, kept_id)

    def get_application(self, tenant_id: int, app_id: str) -> Application:
        """By its GUID within one tenant; disabled ones too. Raises NotFound."""
        wanted = (tenant_id, _storable(app_id.strip().lower()))
        row = self._connection.execute(f"{_APPLICATION} AND app_id = ?", wanted).fetchone()
        if row is None:
            raise NotFound(f"this tenant has no application {app_id[:60]!r}")
        return _application(row)

    def list_applications(self, tenant_id: int) -> list[Application]:
        """All applications of one tenant, by name."""
        return [_application(row) for row in self._connection.execute(f"{_APPLICATION} ORDER BY name", (tenant_id,))]

    def disable_application(self, tenant_id: int, app_id: str, now: int) -> None:
        """Refuse it from now on (running servers notice within 60 s). Raises NotFound."""
        self._change_application("disabled = coalesce(disabled, ?)", now, tenant_id, app_id)

    def rotate_secret(self, tenant_id: int, app_id: str, secret_hash: str) -> None:
        """Replace the secret; the old one stops at once, tokens already given out live on. Raises NotFound."""
        self._change_application("secret_hash = ?", secret_hash, tenant_id, app_id)

    def set_permissions(self, tenant_id: int, app_id: str, permissions: Iterable[Permission]) -> None:
        """Replace what it may do. Raises NotFound."""
        self._change_application("permissions = ?", _permissions_text(permissions), tenant_id, app_id)

    def create_ingest_key(self, tenant_id: int, name: str, *, key_id: str, key_hash: str, now: int) -> IngestKey:
        """Keep a key made by `identity.credentials.new_ingest_key`. Raises InvalidInput, NotFound."""
        try:
            written = self._write(
                "INSERT INTO ingest_key (key_id, tenant_id, name, key_hash, created) "
                "SELECT ?1, ?2, ?3, ?4, ?5 WHERE EXISTS (SELECT 1 FROM tenant WHERE tenant_id = ?2)",
                (key_id, tenant_id, parse_label(name), key_hash, now),
            )
        except apsw.ConstraintError:
            raise InvalidInput(f"there is already an ingest key {key_id!r}") from None
        if not written:
            raise NotFound(f"there is no tenant with number {tenant_id}")
        return self.get_ingest_key(key_id)

    def get_ingest_key(self, key_id: str) -> IngestKey:
        """By the public half of the key; disabled ones too. Raises NotFound."""
        row = self._connection.execute(f"{_INGEST_KEY} WHERE key_id = ?", (_storable(key_id),)).fetchone()
        if row is None:
            raise NotFound(f"there is no ingest key {key_id[:60]!r}")
        return _ingest_key(row)

    def list_ingest_keys(self, tenant_id: int) -> list[IngestKey]:
        """All ingest keys of one tenant, oldest first."""
        query = f"{_INGEST_KEY} WHERE tenant_id = ? ORDER BY created, key_id"
        return [_ingest_key(row) for row in self._connection.execute(query, (tenant_id,))]

    def disable_ingest_key(self, tenant_id: int, key_id: str, now: int) -> None:
        """Refuse it from now on (running servers notice within 60 s). Raises NotFound."""
        statement = "UPDATE ingest_key SET disabled = coalesce(disabled, ?) WHERE tenant_id = ? AND key_id = ?"
        if not self._write(statement, (now, tenant_id, _storable(key_id))):
            raise NotFound(f"this tenant has no ingest key {key_id[:60]!r}")

    def _change_application(self, assignment: str, value: str | int, tenant_id: int, app_id: str) -> None:
        statement = f"UPDATE application SET {assignment} WHERE tenant_id = ? AND app_id = ?"  # noqa: S608 - ours
        if not self._write(statement, (value, tenant_id, _storable(app_id.strip().lower()))):
            raise NotFound(f"this tenant has no application {app_id[:60]!r}")

    def _write(self, statement: str, values: tuple[str | int | None, ...]) -> int:
        try:
            with transaction(self._connection):
                self._connection.execute(statement, values)
                changed = self._connection.changes()
        except apsw.BusyError:
            raise Unavailable("the store is busy with another writer; try again") from None
        except apsw.FullError:
            raise StorageFull("the disk has no room; nothing was changed") from None
        return changed


def _storable(text: str) -> str:
    # A lone surrogate cannot be bound as UTF-8, and nothing that is stored has one.
    return text.encode("utf-8", "replace").decode()


def _permissions_text(permissions: Iterable[Permission]) -> str:
    return msgspec.json.encode(sorted(set(permissions))).decode()


def _tenant(row: tuple[apsw.SQLiteValue, ...]) -> Tenant:
    return msgspec.convert(dict(zip(Tenant.__struct_fields__, row, strict=True)), Tenant)


def _application(row: tuple[apsw.SQLiteValue, ...]) -> Application:
    values = dict[str, object](zip(Application.__struct_fields__, row, strict=True))
    held = msgspec.json.decode(str(values["permissions"]), type=list[str])
    # A name that this version does not know gives nothing, rather than making the application unreadable.
    values["permissions"] = [name for name in held if name in APPLICATION_PERMISSIONS]
    values["is_public"] = bool(values["is_public"])
    values["redirect_uris"] = msgspec.json.decode(str(values["redirect_uris"]), type=tuple[str, ...])
    return msgspec.convert(values, Application)


def _ingest_key(row: tuple[apsw.SQLiteValue, ...]) -> IngestKey:
    return msgspec.convert(dict(zip(IngestKey.__struct_fields__, row, strict=True)), IngestKey)
