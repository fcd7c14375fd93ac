"""`tocsin tenant` and `tocsin retention`: the organisations of a store, and how long each keeps its incidents."""

from __future__ import annotations

import sys
import uuid
from typing import Annotated

import typer

from tocsin import ticks
from tocsin.cli.screen import counted, moment, say, show_json, show_table
from tocsin.cli.session import DEFAULT, JsonOption, Reading, TenantOption, managing, reading, settings_of
from tocsin.errors import InvalidInput
from tocsin.retention import cutoff

tenants = typer.Typer(help="Tenants: organisations whose incidents are kept apart.", no_args_is_help=True)
retention = typer.Typer(help="How long incidents are kept after their last change.", no_args_is_help=True)


@tenants.command("create")
def create_tenant(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Letters, digits, dots and dashes; a domain name is usual.")],
    guid: Annotated[str, typer.Option("--guid", help="Its GUID; a random one where none is given.")] = "",
) -> None:
    """Add a tenant and print its GUID.

    \b
    Example:
      tocsin tenant create example.org
    """
    with managing(settings_of(context)) as registry:
        made = registry.create_tenant(name, guid or str(uuid.uuid4()), ticks.now())
    typer.echo(made.guid)


@tenants.command("list")
def list_tenants(context: typer.Context, as_json: JsonOption = False) -> None:
    """List all tenants, oldest first."""
    with reading(context, DEFAULT) as store:
        found, settings = store.registry.list_tenants(), store.settings
    if as_json:
        views = [
            {
                "tenantId": each.guid,
                "name": each.name,
                "retentionDays": each.retention_days or settings.retention_days,
                "created": ticks.format_ticks(each.created),
            }
            for each in found
        ]
        show_json(views)
        return
    rows = [
        (each.guid, each.name, str(each.retention_days or settings.retention_days), moment(each.created))
        for each in found
    ]
    show_table(("ID", "NAME", "RETENTION DAYS", "CREATED"), rows, empty="no tenants")


@retention.command("show")
def show_retention(context: typer.Context, tenant: TenantOption = DEFAULT, as_json: JsonOption = False) -> None:
    """Show how long a tenant keeps incidents, and from which change on they are visible now."""
    with reading(context, tenant) as store:
        own, days = store.tenant.retention_days, store.tenant.retention_days or store.settings.retention_days
        visible = store.store.count_incidents(store.scope, not_before=store.not_before)
        oldest = store.not_before
    if as_json:
        view = {"tenant": store.tenant.name, "retentionDays": days, "own": own is not None}
        show_json({**view, "keptSince": ticks.format_ticks(oldest), "incidents": visible})
        return
    source = "its own" if own is not None else "the setting retention_days"
    typer.echo(f"{store.tenant.name}: {counted(days, 'day')} ({source})")
    typer.echo(f"{counted(visible, 'incident')}, last changed since {moment(oldest)} UTC")


@retention.command("set")
def set_retention(
    context: typer.Context,
    days: Annotated[str, typer.Argument(metavar="DAYS|default", help="Days after the last change, or `default`.")],
    tenant: TenantOption = DEFAULT,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before incidents go.")] = False,
) -> None:
    """Set how long a tenant keeps incidents; `default` goes back to the setting.

    What is past it goes out of sight at once, and a running server deletes it within minutes. There is no way back.

    \b
    Examples:
      tocsin retention set 365
      tocsin retention set default --tenant example.org
    """
    wanted = _days(days)
    with reading(context, tenant) as store:
        gone = _past(store, wanted or store.settings.retention_days)
    told = counted(gone, "incident")
    if gone and not yes:
        lost = f"{told} of {store.tenant.name} would be past that now and deleted"
        if not sys.stdin.isatty():
            raise InvalidInput(f"{lost}; give --yes if that is meant")
        typer.confirm(f"{lost}; go on?", abort=True, err=True)
    with managing(store.settings) as registry:
        registry.set_retention(store.tenant.tenant_id, wanted)
    kept = counted(wanted or store.settings.retention_days, "day")
    say(
        f"{store.tenant.name} keeps incidents {kept} after their last change; "
        f"{told if gone else 'no incident'} went past that by this"
    )


def _days(text: str) -> int | None:
    if text.lower() == "default":
        return None
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 36_500:
        raise InvalidInput(f"give a whole number of days from 1 to 36500, or `default`, not {text[:40]!r}")
    return int(text)


def _past(store: Reading, days: int) -> int:
    """How many incidents that are visible now are past so many days."""
    now_visible = store.store.count_incidents(store.scope, not_before=store.not_before)
    then = max(store.not_before, cutoff(ticks.now(), days))
    return now_visible - store.store.count_incidents(store.scope, not_before=then)
