"""What the commands about people share, and `tocsin people import`.

Each command changes the store in one transaction, beside a running server or not. Passwords come from a prompt or
from stdin, never from an argument: those can be read by everybody on the machine.
"""

from __future__ import annotations

import getpass
import json
import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import apsw
import msgspec
import typer

from tocsin import ticks
from tocsin.access import UNGROUPED
from tocsin.cli.screen import counted, say, show_json
from tocsin.cli.session import DEFAULT, JsonOption, TenantOption, settings_of, writing
from tocsin.config import Settings
from tocsin.errors import InvalidInput
from tocsin.identity.passwords import LENGTH_MAX, LENGTH_MIN, hash_password, new_password, parse_password
from tocsin.identity.people import Tenant
from tocsin.stores.sqlite.connection import DATABASE_NAME, open_reader, open_side_writer, transaction
from tocsin.stores.sqlite.foreign import ForeignIssuers
from tocsin.stores.sqlite.groups import UNGROUPED_NAME, Groups
from tocsin.stores.sqlite.people import People
from tocsin.stores.sqlite.people_import import Imported, PeopleFile, import_people, read_people_file
from tocsin.stores.sqlite.registry import Registry

people_commands = typer.Typer(help="Users, roles and device groups from a file.", no_args_is_help=True)

FILE_BYTES_MAX = 10 * 1024 * 1024

GenerateOption = Annotated[bool, typer.Option("--generate", help="Make up a password and print it, this once.")]
StdinOption = Annotated[bool, typer.Option("--password-stdin", help="Read the password from stdin, one line.")]


class Administration(msgspec.Struct, frozen=True):
    """The people of one tenant, for one command."""

    settings: Settings
    tenant: Tenant
    people: People
    groups: Groups
    issuers: ForeignIssuers

    @property
    def tenant_id(self) -> int:
        """The number of the tenant."""
        return self.tenant.tenant_id

    def group_names(self) -> dict[int, str]:
        """Every group id with its name, highest rank first, and ungrouped at the end."""
        found = {group.group_id: group.name for group in self.groups.device_groups(self.tenant_id)}
        return {**found, UNGROUPED: UNGROUPED_NAME}

    def group_id(self, name: str) -> int:
        """Of a group's name, or of `ungrouped`. Raises NotFound."""
        if name.strip().casefold() == UNGROUPED_NAME:
            return UNGROUPED
        return self.groups.get_group(self.tenant_id, name).group_id


@contextmanager
def looking(context: typer.Context, tenant: str) -> Iterator[Administration]:
    """Open the people of a tenant for reading. Raises StoreError, NotFound."""
    settings = settings_of(context)
    connection = open_reader(settings.data_dir / DATABASE_NAME)
    try:
        yield _administration(settings, connection, tenant)
    finally:
        connection.close()


@contextmanager
def administering(context: typer.Context, tenant: str) -> Iterator[Administration]:
    """One transaction of changes; stored devices follow when it changed groups. A store that is missing is made."""
    settings = settings_of(context)
    with writing(settings) as connection:
        with transaction(connection):
            administration = _administration(settings, connection, tenant)
            yield administration
        unfinished = administration.tenant_id in administration.groups.unfinished()
    if unfinished:
        settle_devices(settings, administration.tenant_id)


def settle_devices(settings: Settings, tenant_id: int) -> None:
    """Let all stored devices follow their groups. Its steps are a transaction each, so that a server beside it can
    write between them, and no deeds of anybody: the audit log has the change that made them necessary."""
    connection = open_side_writer(settings.data_dir / DATABASE_NAME)
    try:
        groups, done = Groups(connection), False
        while not done:
            with transaction(connection):
                done = groups.regroup_step(tenant_id)
    finally:
        connection.close()


def _administration(settings: Settings, connection: apsw.Connection, tenant: str) -> Administration:
    found = Registry(connection).get_tenant(tenant)
    return Administration(settings, found, People(connection), Groups(connection), ForeignIssuers(connection))


def ask_password(*, generate: bool, from_stdin: bool) -> tuple[str, str | None]:
    """(hash of the password, its text where it was made up). Raises InvalidInput saying how to give one."""
    if generate and from_stdin:
        raise InvalidInput("give --generate or --password-stdin, not both")
    if generate:
        made = new_password()
        return hash_password(made), made
    if from_stdin:
        return hash_password(sys.stdin.readline(4 * LENGTH_MAX).rstrip("\r\n")), None
    if not sys.stdin.isatty():
        raise InvalidInput("a password is needed: give --generate, or --password-stdin and one line on stdin")
    text = parse_password(getpass.getpass(f"Password, at least {LENGTH_MIN} characters: "))
    if getpass.getpass("The same again: ") != text:
        raise InvalidInput("the two were not the same; nothing was changed")
    return hash_password(text), None


class _Undone(Exception):
    """Ends a transaction that was only tried."""


@people_commands.command("import")
def import_file(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .toml or .json file, see docs/people.md.")],
    *,
    tenant: TenantOption = DEFAULT,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before the changes are made.")] = False,
    generate: Annotated[
        bool, typer.Option("--generate", help="Make up passwords for new users and print them, this once.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Bring groups, roles and users of a file into a tenant.

    What the file names is added or changed, the rest is left alone: the same file again changes nothing. First it is
    told what will change; then all of it is done in one transaction, or none.

    \b
    Examples:
      tocsin people import people.toml --dry-run
      tocsin people import people.toml --yes --generate
    """
    document = read_people_file(_read_values(file))
    planned = _bring_in(context, tenant, document, {}, keep=False)
    for change in planned.changes:
        say(f"{'would change: ' if dry_run else ''}{change}")
    if dry_run or not planned.changes:
        say(f"{counted(len(planned.changes), 'change')} to make" if planned.changes else "nothing to change")
        if as_json:
            show_json({"changes": planned.changes, "applied": False, "passwords": {}})
        return
    _confirm(len(planned.changes), yes=yes)
    passwords = {name: new_password() for name in planned.new_users} if generate else {}
    hashes = {name: hash_password(text) for name, text in passwords.items()}
    _bring_in(context, tenant, document, hashes, keep=True, expected=planned)
    if as_json:
        show_json({"changes": planned.changes, "applied": True, "passwords": passwords})
    else:
        for name, text in passwords.items():
            typer.echo(f"{name}\t{text}")
    say(f"{counted(len(planned.changes), 'change')} made{'; the passwords are shown this once' if passwords else ''}")
    if planned.new_users and not passwords:
        say(f"{counted(len(planned.new_users), 'new user')} cannot sign in yet; see `tocsin user password`")


def _confirm(count: int, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise InvalidInput(f"{counted(count, 'change')} to make; give --yes if they are meant")
    typer.confirm(f"Make {counted(count, 'change')}?", abort=True, err=True)


def _bring_in(
    context: typer.Context,
    tenant: str,
    document: PeopleFile,
    hashes: Mapping[str, str],
    *,
    keep: bool,
    expected: Imported | None = None,
) -> Imported:
    """Import, and undo it unless it is to be kept; what is kept is what was announced, or nothing."""
    done = Imported((), ())
    try:
        with administering(context, tenant) as opened:
            done = import_people(
                opened.people, opened.groups, opened.tenant_id, document, hashes=hashes, now=ticks.now()
            )
            if not keep:
                raise _Undone
            if expected is not None and done != expected:
                raise InvalidInput("somebody else changed people meanwhile; nothing was changed, run it again")
    except _Undone:
        pass
    return done


def _read_values(file: Path) -> object:
    """What the file says. Raises InvalidInput with the place of what cannot be read."""
    try:
        with file.open("rb") as opened:
            content = opened.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read: {error.strerror}") from None
    if len(content) > FILE_BYTES_MAX:
        raise InvalidInput(f"{file} is larger than {FILE_BYTES_MAX // 1024**2} MiB")
    if file.suffix.lower() not in (".toml", ".json"):
        raise InvalidInput(f"{file} must end in .toml or .json, which says how it is written")
    try:
        text = content.decode("utf-8-sig")
        return tomllib.loads(text) if file.suffix.lower() == ".toml" else json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{file} cannot be read: {error}") from None
