"""`tocsin portal`: a link that signs one person in to the portal, once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tocsin import ticks
from tocsin.cli.screen import say
from tocsin.cli.session import managing, record_command, settings_of
from tocsin.local import require_server
from tocsin.stores.sqlite.registry import DEFAULT_TENANT
from tocsin.web.portal.session import mint_sign_in_code


def sign_in_link(data_dir: Path, url: str, tenant_id: int) -> str:
    """A link to the portal that works once, within ten minutes. Whoever may write to the data folder may make one."""
    return f"{url}/sign-in?code={mint_sign_in_code(data_dir, tenant_id, ticks.now())}"


def portal(
    context: typer.Context,
    tenant: Annotated[str, typer.Option(help="Whose incidents: a tenant's name or GUID.")] = DEFAULT_TENANT,
) -> None:
    """Print a link that opens the incident queue in a browser. It works once, within ten minutes.

    \b
    Examples:
      tocsin portal
      xdg-open "$(tocsin portal)"
    """
    settings = settings_of(context)
    server = require_server(settings.data_dir)
    with managing(settings) as registry:
        owner = registry.get_tenant(tenant)
    record_command(settings)
    typer.echo(sign_in_link(settings.data_dir, server.url, owner.tenant_id))
    say(f"The browser will ask whether to trust {server.url}; its authority is {settings.data_dir / 'tls' / 'ca.pem'}.")
