"""`tocsin signing-key`: the keys with which the built-in issuer signs. A running server follows by itself."""

from __future__ import annotations

from typing import Annotated

import typer

from tocsin import ticks
from tocsin.cli.screen import moment, say, show_json, show_table
from tocsin.cli.session import JsonOption, record_command, settings_of
from tocsin.identity.signing import KeyRecord, list_signing_keys, rotate_signing_key, withdraw_signing_key

signing_keys = typer.Typer(help="Keys with which the built-in issuer signs its tokens.", no_args_is_help=True)


@signing_keys.command("list")
def list_keys(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the keys, newest first: the first signs, the others verify what they signed until it has ended."""
    settings, now = settings_of(context), ticks.now()
    found = list_signing_keys(settings.data_dir, settings.token_minutes)
    if as_json:
        show_json([_view(record) for record in found])
        return
    rows = [(record.kid, moment(record.made), _part(record, now)) for record in found]
    show_table(("KEY", "MADE", "DOES"), rows, empty="no key yet; the first start of a server makes one")


@signing_keys.command("rotate")
def rotate(context: typer.Context) -> None:
    """Make a new key that signs from now on. The old one verifies until the tokens that it signed have ended.

    A running server signs with the new key within a minute. Keys of which no token can live are removed.

    \b
    Example:
      tocsin signing-key rotate
    """
    settings = settings_of(context)
    made = rotate_signing_key(settings.data_dir, settings.token_minutes, ticks.now())
    record_command(settings)
    typer.echo(made.kid)
    say("This key signs from now on.")


@signing_keys.command("withdraw")
def withdraw(
    context: typer.Context,
    key: Annotated[str, typer.Argument(metavar="KEY", help="The key, or its first 8 characters or more.")],
) -> None:
    """Void a key and every token that it signed, within a minute: for a key that somebody else may have.

    Where it is the one that signs, a new one takes its place.

    \b
    Example:
      tocsin signing-key withdraw 8gOcm1Xs
    """
    settings = settings_of(context)
    withdraw_signing_key(settings.data_dir, key, ticks.now())
    record_command(settings)
    say(f"Key {key} is withdrawn. Clients get new tokens by themselves; people stay signed in.")


def _part(record: KeyRecord, now: int) -> str:
    if record.verifies_until is None:
        return "signs"
    if record.verifies_until <= now:
        return "nothing any more"
    return f"verifies until {moment(record.verifies_until)}"


def _view(record: KeyRecord) -> dict[str, object]:
    until = record.verifies_until
    return {
        "key": record.kid,
        "made": ticks.format_ticks(record.made),
        "verifiesUntil": None if until is None else ticks.format_ticks(until),
    }
