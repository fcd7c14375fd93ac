"""What the commands share: the global options, the settings they give, and the store opened for one command."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import msgspec
import typer

from tocsin import ticks
from tocsin.access import Scope
from tocsin.config import Settings, read_settings
from tocsin.identity.people import Tenant
from tocsin.retention import cutoff
from tocsin.stores.sqlite.connection import DATABASE_NAME, WriterLock, open_reader, open_side_writer, open_writer
from tocsin.stores.sqlite.feedback import Feedback
from tocsin.stores.sqlite.reading import ReadStore
from tocsin.stores.sqlite.registry import DEFAULT_TENANT, Registry

T = TypeVar("T")

TenantOption = Annotated[str, typer.Option("--tenant", help="Tenant, by name or GUID.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
DEFAULT: Final = DEFAULT_TENANT


class Globals(msgspec.Struct, frozen=True):
    """The global options as given; None means not given."""

    data_dir: Path | None


def settings_of(context: typer.Context, **overrides: Any) -> Settings:
    """Settings of the environment, the global options and `overrides`. Raises InvalidInput."""
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
    path = settings.data_dir / DATABASE_NAME
    if not path.exists():
        make_store(settings)
    connection = open_side_writer(path)
    try:
        yield Registry(connection)
    finally:
        connection.close()


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
