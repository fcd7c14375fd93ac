"""`tocsin tuning`: what a tenant sets of its correlation, version by version, beside a running server or alone."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from tocsin import ticks
from tocsin.cli.screen import moment, say, show_json, show_table
from tocsin.cli.session import DEFAULT, JsonOption, TenantOption, command_deed, settings_of, writing
from tocsin.correlation.tuning import (
    NO_TUNING,
    PLAIN_LISTS,
    RULE_KINDS,
    Tuning,
    knob_of,
    read_tuning,
    with_added,
    with_removed,
    with_value,
    write_tuning,
)
from tocsin.errors import InvalidInput
from tocsin.stores.sqlite.connection import DATABASE_NAME, open_reader, transaction
from tocsin.stores.sqlite.registry import Registry
from tocsin.stores.sqlite.tuning import Tunings, TuningVersion

tuning = typer.Typer(
    help="Tuning of the correlation: what is common, critical, kept apart, joined or suppressed.", no_args_is_help=True
)

ReasonOption = Annotated[str, typer.Option("--reason", "-r", help="Why, for those who come later.")]
Knob = Annotated[str, typer.Argument(metavar="KNOB", help="Its name, as `tocsin tuning show --all` lists them.")]


@tuning.command("show")
def show_tuning(
    context: typer.Context,
    every: Annotated[bool, typer.Option("--all", help="Show knobs that stand as they are by default, too.")] = False,
    tenant: TenantOption = DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Show what is in force. Rules are numbered, for `tocsin tuning remove`."""
    found = newest_version(context, tenant)
    if as_json:
        show_json({"version": found.version, "tuning": msgspec.json.decode(write_tuning(found.tuning))})
        return
    rows = [row for name in Tuning.__struct_fields__ for row in _rows(found.tuning, name, every=every)]
    show_table(("KNOB", "NUMBER", "VALUE"), rows, empty="nothing is set: every knob is at its default")
    if found.version:
        say(f"version {found.version}, set {moment(found.at)} UTC by {found.actor}: {found.reason}")


@tuning.command("set")
def set_knob(
    context: typer.Context,
    knob: Knob,
    value: Annotated[str, typer.Argument(metavar="VALUE|default", help="A number, or `default`.")],
    reason: ReasonOption = "",
    tenant: TenantOption = DEFAULT,
) -> None:
    """Set a number, or put any knob back to its default.

    \b
    Examples:
      tocsin tuning set join-score 0.6 --reason "too many loose ends"
      tocsin tuning set common-accounts default
    """
    _change(context, tenant, lambda before, _: with_value(before, knob, value), reason or f"set {knob} to {value}")


@tuning.command("add")
def add_to_knob(
    context: typer.Context,
    knob: Knob,
    values: Annotated[list[str], typer.Argument(metavar="VALUE...", help="Names, or field=value parts of one rule.")],
    reason: ReasonOption = "",
    tenant: TenantOption = DEFAULT,
) -> None:
    """Add names to a list, or one rule made of field=value parts. Suppressions need until= and reason=.

    \b
    Examples:
      tocsin tuning add common-accounts svc-backup 'svc-scan*'
      tocsin tuning add common-addresses 10.1.0.0/24
      tocsin tuning add critical device='dc*' tier=critical
      tocsin tuning add never-join rule='Port scan*' by=address
      tocsin tuning add always-join rule='Password spray*' same=account within_minutes=240
      tocsin tuning add suppress rule='Vulnerability scan*' until=2026-12-31 reason='monthly scan'
    """
    signed = knob_of(knob) == "suppress" and not any(each.startswith("by=") for each in values)

    def added(before: Tuning, actor: str) -> Tuning:
        return with_added(before, knob, [*values, f"by={actor}"] if signed else values)

    _change(context, tenant, added, reason or f"added to {knob}")


@tuning.command("remove")
def remove_from_knob(
    context: typer.Context,
    knob: Knob,
    values: Annotated[list[str], typer.Argument(metavar="VALUE|NUMBER...", help="Names of a list, numbers of rules.")],
    reason: ReasonOption = "",
    tenant: TenantOption = DEFAULT,
) -> None:
    """Take names off a list, or rules by their number.

    \b
    Examples:
      tocsin tuning remove common-accounts svc-backup
      tocsin tuning remove suppress 1 --reason "the scan is over"
    """
    _change(context, tenant, lambda before, _: with_removed(before, knob, values), reason or f"removed from {knob}")


@tuning.command("history")
def show_history(
    context: typer.Context,
    top: Annotated[int, typer.Option(min=1, max=1000, help="At most so many, newest first.")] = 20,
    tenant: TenantOption = DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """List the versions that were set: when, by whom, why."""
    with _stored(context, tenant) as (tunings, tenant_id):
        found = tunings.history(tenant_id, top)
    if as_json:
        show_json([_view(each) for each in found])
        return
    rows = [(str(each.version), moment(each.at), each.actor, each.reason) for each in found]
    show_table(("VERSION", "SET", "BY", "REASON"), rows, empty="nothing was ever set")


@tuning.command("rollback")
def roll_back(
    context: typer.Context,
    version: Annotated[int, typer.Argument(min=0, help="The version to go back to; 0 is that nothing is set.")],
    reason: ReasonOption = "",
    tenant: TenantOption = DEFAULT,
) -> None:
    """Put an older version in force again, as a new one; what came between stays in the history."""
    with _stored(context, tenant) as (tunings, tenant_id):
        found = tunings.get(tenant_id, version).tuning if version else NO_TUNING
    _change(context, tenant, lambda _, __: found, reason or f"back to version {version}")


@tuning.command("export")
def export_tuning(context: typer.Context, tenant: TenantOption = DEFAULT) -> None:
    """Print what is in force as JSON, for `tocsin tuning import` or `tocsin correlate --tuning`."""
    typer.echo(msgspec.json.format(write_tuning(newest_version(context, tenant).tuning), indent=2))


@tuning.command("import")
def import_tuning(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A JSON file as export prints it; - is standard input.")],
    reason: ReasonOption = "",
    tenant: TenantOption = DEFAULT,
) -> None:
    """Put a whole tuning in force, in place of what is set."""
    wanted = tuning_of_file(file)
    _change(context, tenant, lambda _, __: wanted, reason or f"imported {file.name}")


def tuning_of_file(file: Path) -> Tuning:
    """The tuning in a file. Raises InvalidInput."""
    try:
        return read_tuning(sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes())
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read: {error.strerror}") from None


def newest_version(context: typer.Context, tenant: str) -> TuningVersion:
    """What is in force for a tenant. Raises NotFound, StoreError."""
    with _stored(context, tenant) as (tunings, tenant_id):
        return tunings.newest(tenant_id)


@contextmanager
def _stored(context: typer.Context, tenant: str) -> Iterator[tuple[Tunings, int]]:
    connection = open_reader(settings_of(context).data_dir / DATABASE_NAME)
    try:
        yield Tunings(connection), Registry(connection).get_tenant(tenant).tenant_id
    finally:
        connection.close()


def _change(context: typer.Context, tenant: str, change: Callable[[Tuning, str], Tuning], reason: str) -> None:
    """Put the changed tuning in force, with this command in the audit log; what changes nothing writes nothing."""
    with writing(settings_of(context)) as connection:
        tunings, tenant_id = Tunings(connection), Registry(connection).get_tenant(tenant).tenant_id
        actor = command_deed(connection).actor
        with transaction(connection):
            before = tunings.newest(tenant_id)
            after = change(before.tuning, actor)
            if after == before.tuning:
                say("nothing changes: it is so already")
                return
            version = tunings.write(tenant_id, after, after=before.version, actor=actor, reason=reason, at=ticks.now())
    say(
        f"version {version} is set; a running server takes it up within a minute, for alerts that come. "
        "`tocsin correlate --dry-run` says what it would have made of those that came"
    )


def _rows(found: Tuning, name: str, *, every: bool) -> list[tuple[str, str, str]]:
    value, knob = getattr(found, name), name.replace("_", "-")
    if name in PLAIN_LISTS:
        rows = [(knob, "", each) for each in value]
    elif name in RULE_KINDS:
        rows = [(knob, str(number), _parts(each)) for number, each in enumerate(value, 1)]
    else:
        rows = [(knob, "", str(value))] if every or value != getattr(NO_TUNING, name) else []
    return rows or ([(knob, "", "(none)")] if every and isinstance(value, tuple) else [])


def _parts(rule: Any) -> str:
    return " ".join([f"{name}={value}" for name, value in msgspec.to_builtins(rule).items()])


def _view(version: TuningVersion) -> dict[str, Any]:
    return {
        "version": version.version,
        "at": ticks.format_ticks(version.at),
        "actor": version.actor,
        "reason": version.reason,
        "tuning": msgspec.to_builtins(version.tuning),
    }
