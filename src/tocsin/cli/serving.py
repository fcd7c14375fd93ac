"""`tocsin serve`: run the server, leave word of it in the data folder, and say what to do next."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Callable
from typing import Annotated

import typer

from tocsin import app, ticks
from tocsin.cli.remote import AUTHORITY
from tocsin.cli.screen import own_name, say
from tocsin.cli.session import managing, settings_of
from tocsin.config import Settings
from tocsin.errors import StoreError
from tocsin.local import KEY_FILE, announce, ensure_local_key, withdraw
from tocsin.logs import configure_logs
from tocsin.service import Service


def serve(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="TCP port.", show_default="8443")] = None,
    public_url: Annotated[
        str | None, typer.Option(help="Base URL that clients use, where it is another, e.g. https://tocsin.example.org")
    ] = None,
) -> None:
    """Run the https server until it is stopped with Ctrl-C or SIGTERM.

    The data folder is made at the first start, with a certificate authority of its own. Every setting can also be
    given as an environment variable TOCSIN_NAME; docs/settings.md lists them.

    \b
    Examples:
      tocsin serve
      tocsin --data-dir /var/lib/tocsin serve --host 0.0.0.0 --public-url https://tocsin.example.org
    """
    settings = settings_of(context, listen_host=host, listen_port=port, public_url=public_url)
    run_server(settings, _greet)


def run_server(settings: Settings, greet: Callable[[Service], None]) -> None:
    """Serve until stopped; `greet` is called once the server listens. Raises StoreError, InvalidInput."""
    configure_logs(as_json=settings.log_json, level=logging.INFO)
    running: list[Service] = []

    def on_ready(service: Service) -> None:
        running.append(service)
        with managing(settings) as registry:
            ensure_local_key(settings.data_dir, registry, ticks.now())
        announce(settings)
        greet(service)

    stopped = False
    try:
        app.serve(settings, on_ready)
    except KeyboardInterrupt:
        stopped = True
    except SystemExit:  # uvicorn could not listen, or the store failed: said below in our own words
        pass
    finally:
        if running:
            withdraw(settings.data_dir)
    if not running and not stopped:
        raise StoreError(
            f"the server could not listen on {settings.listen_host}:{settings.listen_port}; see the lines above, "
            "or choose another --port"
        )
    if any(service.writer.broken for service in running):
        raise StoreError("the server stopped after a failed write; check the disk, then start it anew")


def _greet(service: Service) -> None:
    data_dir, url = service.settings.data_dir.absolute(), service.names.base_url
    authority, tocsin = shlex.quote(str(data_dir / AUTHORITY)), f"{own_name()} --data-dir {shlex.quote(str(data_dir))}"
    lines = (
        f"Tocsin listens on {url}",
        f"  certificate authority: {authority}",
        f"  ingest key of this machine: {data_dir / KEY_FILE}",
        "",
        "Next, in another terminal: let a client read, and send a file of alerts.",
        f'  eval "$({tocsin} app create siem --permission Incident.Read.All)"',
        f'  TOKEN=$({tocsin} token --app "$TOCSIN_APP_ID" --secret-env TOCSIN_APP_SECRET)',
        f"  curl --cacert {authority} -H \"Authorization: Bearer $TOKEN\" '{url}/api/incidents?$top=3'",
        f"  {tocsin} ingest --sender suricata /var/log/suricata/eve.json",
        f"  {tocsin} portal     # a link to the incident queue, for a browser",
    )
    typer.echo("\n".join(lines))
    say("Stop with Ctrl-C.")
