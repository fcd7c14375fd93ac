"""`tocsin demo`: two weeks of sample alerts, loaded and served, with commands to paste."""

from __future__ import annotations

import errno
import shlex
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from tocsin import ticks
from tocsin.access import Permission, Scope
from tocsin.cli.demo_store import Marker, load_demo, read_marker
from tocsin.cli.portal import sign_in_link
from tocsin.cli.remote import AUTHORITY
from tocsin.cli.screen import counted, moment, own_name, say
from tocsin.cli.serving import run_server
from tocsin.cli.session import given, managing, settings_of
from tocsin.config import Settings
from tocsin.errors import InvalidInput
from tocsin.identity.credentials import hash_secret, new_secret
from tocsin.identity.people import Application, Tenant
from tocsin.ingest import Result
from tocsin.local import find_server
from tocsin.odata import INCIDENT_PROPERTIES, parse_filter
from tocsin.service import Service
from tocsin.stores.sqlite.connection import DATABASE_NAME, open_reader
from tocsin.stores.sqlite.reading import ReadStore
from tocsin.stores.sqlite.registry import DEFAULT_TENANT, Registry

FOLDER: Final = Path(".tocsin") / "demo"
APP_NAME: Final = "demo"
PORTS_TRIED: Final = 100


def demo(
    context: typer.Context,
    port: Annotated[int, typer.Option(min=1, max=65535, help="TCP port; the next free one if it is taken.")] = 8443,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin anew, with sample alerts up to now.")] = False,
    stay: Annotated[
        bool, typer.Option("--stay/--no-stay", help="Serve until Ctrl-C, or only prepare the data.")
    ] = True,
) -> None:
    """Try Tocsin with two weeks of sample alerts, on this machine alone.

    The first run loads the alerts of an invented organisation into .tocsin/demo (or --data-dir) as if the service
    had been running all the time. Then, and at every later run, it serves them and prints commands to paste.
    """
    settings = settings_of(context, data_dir=given(context).data_dir or FOLDER, listen_host="127.0.0.1", public_url="")
    data_dir = settings.data_dir
    running = find_server(data_dir)
    if running is not None:
        raise InvalidInput(
            f"this demo is already running at {running.url} (process {running.pid}); stop it with Ctrl-C there first"
        )
    marker = read_marker(data_dir)
    if fresh or marker is None or not marker.complete:
        _load(settings)
    else:
        _say_age(marker)
    if not stay:
        say(f"The demo is ready in {data_dir}. Serve it with `tocsin demo`.")
        return
    chosen = _free_port(port)
    if chosen != port:
        say(f"Port {port} is taken; using {chosen}.")
    run_server(msgspec.structs.replace(settings, listen_port=chosen), _greet)


def _load(settings: Settings) -> None:
    say(f"Loading two weeks of sample alerts into {settings.data_dir} ...")
    with _progress() as advance:
        results = load_demo(settings, ticks.now(), advance)
    connection = open_reader(settings.data_dir / DATABASE_NAME)
    try:
        tenant = Registry(connection).get_tenant(DEFAULT_TENANT)
        store, scope = ReadStore(connection), Scope.everything_of(tenant.tenant_id)
        most = sum(results.values())
        live = store.find_incidents(scope, expression=parse_filter(_NOT_A_HUSK, INCIDENT_PROPERTIES), top=most)
    finally:
        connection.close()
    say(loaded_in_words(results, len(live)))


def loaded_in_words(results: Mapping[Result, int], incidents: int) -> str:
    """What became of the records: flows and statistics are no alerts, and are said apart."""
    told = f"{counted(results.get(Result.CREATED, 0), 'alert')} became {counted(incidents, 'incident')}"
    if others := results.get(Result.SKIPPED, 0):
        told += f"; {others} other records were no alerts"
    if repeats := results.get(Result.DUPLICATE, 0):
        told += f"; {repeats} came twice"
    if refused := results.get(Result.REFUSED, 0):
        told += f"; {refused} were refused"
    return f"{told}."


_NOT_A_HUSK: Final = "status ne 'Redirected'"


def _say_age(marker: Marker) -> None:
    age = ticks.now() - marker.end
    if age > ticks.DAY:
        days = age // ticks.DAY
        say(
            f"The sample alerts end {moment(marker.end)} UTC, {counted(days, 'day')} ago; "
            "`tocsin demo --fresh` loads them up to now."
        )


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    if not sys.stderr.isatty():
        yield lambda _done, _all: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("alerts", total=None)
        yield lambda done, whole: bar.update(task, completed=done, total=whole)


def _free_port(first: int) -> int:
    """The first port from `first` on that nobody listens on. Raises InvalidInput."""
    for port in range(first, min(first + PORTS_TRIED, 65536)):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does: no waiting after a stop
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                    raise InvalidInput(f"no port can be opened on 127.0.0.1: {error.strerror}") from None
            else:
                return port
    raise InvalidInput(f"the ports {first} to {first + PORTS_TRIED - 1} are all taken; choose another --port")


def _greet(service: Service) -> None:
    secret = new_secret()
    with managing(service.settings) as registry:
        tenant = registry.get_tenant(DEFAULT_TENANT)
        application = _demo_app(registry, tenant, secret)
    url = service.names.base_url
    typer.echo(f"The Tocsin demo listens on {url}\n\nThe incident queue, for a browser (this link works once):")
    typer.echo(f"{sign_in_link(service.settings.data_dir, url, tenant.tenant_id)}")
    typer.echo(
        "It will ask whether to trust a certificate of this machine's own authority. `tocsin portal` makes more links."
    )
    typer.echo("\n".join(greeting(service.settings, url, tenant.guid, application.app_id, secret)))
    say("Stop with Ctrl-C.")


def _demo_app(registry: Registry, tenant: Tenant, secret: str) -> Application:
    """The demo's application with this secret; the last run's secret was kept by nobody, so each run has its own."""
    for app in registry.list_applications(tenant.tenant_id):
        if app.name == APP_NAME:
            registry.rotate_secret(tenant.tenant_id, app.app_id, hash_secret(secret))
            return app
    return registry.create_application(
        tenant.tenant_id, APP_NAME, [Permission.READ_WRITE], secret_hash=hash_secret(secret), now=ticks.now()
    )


def greeting(settings: Settings, url: str, tenant_guid: str, app_id: str, secret: str) -> list[str]:
    """What to do with a running demo. The lines indented by two spaces are shell commands that work as they are."""
    authority = shlex.quote(str((settings.data_dir / AUTHORITY).absolute()))
    curl = f"curl --silent --show-error --write-out '\\n' --cacert {authority}"
    bearer = '--header "Authorization: Bearer $TOKEN"'
    scope = "https://api.security.microsoft.com/.default"
    since = ticks.format_ticks(ticks.now() - ticks.DAY)
    folder = f"{own_name()} --data-dir {shlex.quote(str(settings.data_dir.absolute()))}"
    return [
        "",
        "Paste into another terminal. A token, got as any client of the API gets one:",
        # Through a pipe: the list of processes shows the arguments of every program to everybody.
        f"  TOKEN=$(printf %s 'grant_type=client_credentials&client_id={app_id}&client_secret={secret}&scope={scope}'"
        f" | {curl} --data @- {url}/{tenant_guid}/oauth2/v2.0/token"
        ' | sed \'s/.*"access_token":"\\([^"]*\\)".*/\\1/\')',
        "",
        "The three incidents that changed last:",
        f"  {curl} {bearer} '{url}/api/incidents?$top=3'",
        "",
        "What a SIEM asks: all that changed in the last day, by its own poll:",
        f"  {curl} {bearer} --get --data-urlencode '$filter=lastUpdateTime ge {since}' {url}/api/incidents",
        "",
        "The same in tables, and why the alerts of an incident belong together:",
        f"  {folder} incidents list --top 10",
        f"  {folder} incidents show $({folder} incidents list --top 1 --json"
        " | sed -n 's/.*\"incidentId\": \\([0-9]*\\).*/\\1/p')",
        "",
    ]
