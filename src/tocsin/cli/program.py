"""The whole command line put together, and the one place where a failure becomes a line on stderr and an exit code."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Annotated, Final

import apsw
import typer

from tocsin.cli.apps import apps, keys
from tocsin.cli.audit import audit
from tocsin.cli.correlate import correlate
from tocsin.cli.demo import demo
from tocsin.cli.groups import groups
from tocsin.cli.incidents import incidents
from tocsin.cli.ingest import ingest
from tocsin.cli.issuers import issuers
from tocsin.cli.people import people_commands
from tocsin.cli.portal import portal
from tocsin.cli.refused import refused
from tocsin.cli.roles import roles
from tocsin.cli.screen import say
from tocsin.cli.serving import serve
from tocsin.cli.session import Globals
from tocsin.cli.signing_keys import signing_keys
from tocsin.cli.tenants import retention, tenants
from tocsin.cli.tokens import token
from tocsin.cli.tuning import tuning
from tocsin.cli.users import users
from tocsin.errors import TocsinError
from tocsin.logs import configure_logs

_GLOBAL: Final = "--data-dir"

program = typer.Typer(
    name="tocsin",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for group, name in (
    (apps, "app"),
    (keys, "key"),
    (signing_keys, "signing-key"),
    (tenants, "tenant"),
    (users, "user"),
    (roles, "role"),
    (groups, "group"),
    (people_commands, "people"),
    (issuers, "issuer"),
    (incidents, "incidents"),
    (tuning, "tuning"),
    (refused, "refused"),
    (audit, "audit"),
    (retention, "retention"),
):
    program.add_typer(group, name=name)
for command in (demo, serve, ingest, correlate, portal, token):
    program.command()(command)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"tocsin {metadata.version('tocsin')}")
        raise typer.Exit


@program.callback()
def begin(
    context: typer.Context,
    data_dir: Annotated[
        Path | None,
        typer.Option(_GLOBAL, help="Folder of the store, keys and certificates; else TOCSIN_DATA_DIR, tocsin-data."),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Tocsin takes alerts, makes explained incidents of them, and serves them over the API your SIEM speaks.

    \b
    Begin here:
      tocsin demo                  two weeks of sample alerts, served on this machine
      tocsin serve                 a server of your own
      tocsin incidents list        what it found

    \b
    Exit codes: 0 done; 1 failed, the reason is on stderr; 2 wrong usage;
    3 done, but some lines were refused; 130 interrupted.

    The option --data-dir may stand before or after the command.
    """
    del version
    context.obj = Globals(data_dir)
    configure_logs(as_json=False, level=logging.WARNING)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command. Always ends in SystemExit with the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        program(_global_first(given), prog_name="tocsin")
    except TocsinError as error:
        say(f"tocsin: {error}")
        sys.exit(1)
    except apsw.Error as error:
        say(f"tocsin: the store could not be used: {error}")
        sys.exit(1)


def _global_first(arguments: list[str]) -> list[str]:
    """Move the global option before the command, where it stands after it."""
    front: list[str] = []
    rest: list[str] = []
    index = 0
    while index < len(arguments):
        each = arguments[index]
        if each == "--":
            break
        if each == _GLOBAL and index + 1 < len(arguments):
            front += arguments[index : index + 2]
            index += 1
        elif each.startswith(f"{_GLOBAL}="):
            front.append(each)
        else:
            rest.append(each)
        index += 1
    return front + rest + arguments[index:]
