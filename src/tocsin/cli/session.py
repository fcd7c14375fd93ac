"""What the commands share: the global options, the settings they give, and the store opened for one command."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import apsw
import msgspec
import typer

from tocsin import ticks
from tocsin.access import Scope
from tocsin.audit import Action, Deed
from tocsin.checkpoints import Checkpoints
from tocsin.config import Settings, read_settings
from tocsin.errors import NotFound
from tocsin.identity.people import Tenant
from tocsin.retention import cutoff
from tocsin.stores.sqlite import auditing
from tocsin.stores.sqlite.connection import (
    DATABASE_NAME,
    WriterLock,
    open_reader,
    open_side_writer,
    open_writer,
    transaction,
    watch_commits,
)
from tocsin.stores.sqlite.feedback import Feedback
from tocsin.stores.sqlite.reading import ReadStore
from tocsin.stores.sqlite.registry import DEFAULT_TENANT, Registry

T = TypeVar("T")

TenantOption = Annotated[str, typer.Option("--tenant", help="Tenant, by name or GUID.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
DEFAULT: Final = DEFAULT_TENANT


_running: ContextVar[typer.Context | None] = ContextVar("running", default=None)


class Globals(msgspec.Struct, frozen=True):
    """The global options as given; None means not given."""

    data_dir: Path | None


def settings_of(context: typer.Context, **overrides: Any) -> Settings:
    """Settings of the environment, the global options and `overrides`. Raises InvalidInput.

    Every command begins with this, so it also notes which one runs, for the audit log.
    """
    _running.set(context)
    return read_settings(os.environ, **{"data_dir": given(context).data_dir, **overrides})


def given(context: typer.Context) -> Globals:
    """The global options of this run."""
    found = context.obj
    assert isinstance(found, Globals)
    return found


class Reading(msgspec.Struct, frozen=True):
    """The store opened for reading, for one tenant."""

    settings: Settings
    store: ReadStore
    feedback: Feedback
    registry: Registry
    tenant: Tenant

    @property
    def scope(self) -> Scope:
        """The operator at the command line sees the whole tenant."""
        return Scope.everything_of(self.tenant.tenant_id)

    @property
    def not_before(self) -> int:
        """The retention cut-off in ticks."""
        return cutoff(ticks.now(), self.tenant.retention_days or self.settings.retention_days)


@contextmanager
def reading(context: typer.Context, tenant: str) -> Iterator[Reading]:
    """Open the store for reading. Raises StoreError, NotFound."""
    settings = settings_of(context)
    connection = open_reader(settings.data_dir / DATABASE_NAME)
    try:
        registry = Registry(connection)
        yield Reading(settings, ReadStore(connection), Feedback(connection), registry, registry.get_tenant(tenant))
    finally:
        connection.close()


@contextmanager
def managing(settings: Settings) -> Iterator[Registry]:
    """Open the registry for changes, beside a running server or not; a store that is missing is made."""
    with writing(settings) as connection:
        yield Registry(connection)


@contextmanager
def writing(settings: Settings) -> Iterator[apsw.Connection]:
    """Open the store for small changes, as `managing`. Each transaction carries its record for the audit log, and the
    end of the log is signed when the command is through."""
    path = settings.data_dir / DATABASE_NAME
    if not path.exists():
        make_store(settings)
    connection = open_side_writer(path)
    recorded = []

    def record(changed: apsw.Connection) -> None:
        auditing.append(changed, [command_deed(changed)])
        recorded.append(True)

    watch_commits(connection, record)
    try:
        yield connection
        if recorded:
            Checkpoints(settings).write(*auditing.end(connection), ticks.now())
    finally:
        connection.close()


def record_command(settings: Settings, kind: Action = Action.ADMINISTER) -> None:
    """Put this command into the audit log by itself, where the store is not what it changes."""
    path = settings.data_dir / DATABASE_NAME
    if not path.exists():
        make_store(settings)
    connection = open_side_writer(path)
    try:
        with transaction(connection):
            auditing.append(connection, [msgspec.structs.replace(command_deed(connection), action=kind)])
        Checkpoints(settings).write(*auditing.end(connection), ticks.now())
    finally:
        connection.close()


def command_deed(connection: apsw.Connection, detail: str = "") -> Deed:
    """The command that is running, as a deed of the system's user: its name, and its arguments but for secret ones."""
    context = _running.get()
    given_values = {} if context is None else context.params
    words = [f"{name}={_words(value)}" for name, value in given_values.items() if _is_telling(name, value)]
    return Deed(
        at=ticks.now(),
        tenant=_tenant_guid(connection, given_values.get("tenant")),
        actor=f"operator:{_system_user()}",
        action=Action.ADMINISTER,
        target="tocsin" if context is None else context.command_path,
        detail=detail or " ".join(words),
    )


def _is_telling(name: str, value: object) -> bool:
    return value not in (None, False, "", [], ()) and not any(word in name for word in ("secret", "password", "stdin"))


def _words(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _tenant_guid(connection: apsw.Connection, reference: object) -> str:
    try:
        return Registry(connection).get_tenant(reference).guid if isinstance(reference, str) else ""
    except NotFound:
        return ""


def _system_user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def make_store(settings: Settings) -> None:
    """Make the store of the data folder, with its default tenant. Raises StoreError."""
    lock = WriterLock(settings.data_dir)
    try:
        connection = open_writer(settings.data_dir / DATABASE_NAME)
        try:
            Registry(connection).ensure_default_tenant(ticks.now())
        finally:
            connection.close()
    finally:
        lock.release()
