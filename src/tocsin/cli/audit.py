"""`tocsin audit`: who did what, and whether the log of it is as it was written."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import apsw
import msgspec
import typer

from tocsin import ticks
from tocsin.audit import Action, Record, decode_record, verify
from tocsin.checkpoints import FILE, checkpoint_folder, load_public_key, own_public_key, read_checkpoints
from tocsin.cli.screen import counted, moment_of, say, show_json, show_table
from tocsin.cli.session import JsonOption, record_command, settings_of
from tocsin.errors import InvalidInput
from tocsin.stores.sqlite import auditing
from tocsin.stores.sqlite.connection import DATABASE_NAME, open_reader

audit = typer.Typer(help="The audit log: who read, changed, exported, signed in, was refused.", no_args_is_help=True)

SinceOption = Annotated[str, typer.Option("--since", metavar="TIME", help="Not before this, e.g. 2026-03-02T09:00Z.")]
UntilOption = Annotated[str, typer.Option("--until", metavar="TIME", help="Before this.")]
ActorOption = Annotated[str, typer.Option("--actor", help="Only whose id or name has this text in it.")]
ActionOption = Annotated[Action | None, typer.Option("--action", help="Only this kind of deed.")]


class _Wanted(msgspec.Struct, frozen=True):
    since: int
    until: int
    actor: str
    action: Action | None

    def fits(self, record: Record) -> bool:
        return (
            self.since <= ticks.parse_ticks(record.at) < self.until
            and self.actor.lower() in f"{record.actor} {record.name}".lower()
            and self.action in (None, record.action)
        )


@audit.command("list")
def list_audit(
    context: typer.Context,
    *,
    since: SinceOption = "",
    until: UntilOption = "",
    actor: ActorOption = "",
    action: ActionOption = None,
    top: Annotated[int, typer.Option(min=1, max=100_000, help="The newest so many.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """List the newest records that fit, oldest first. COUNT is how many equal deeds a record stands for.

    \b
    Examples:
      tocsin audit list --action sign-in
      tocsin audit list --since 2026-03-02T09:00Z --actor operator
    """
    wanted = _wanted(since, until, actor, action)
    connection = open_reader(settings_of(context).data_dir / DATABASE_NAME)
    try:
        found = list(_fitting(connection, wanted))[-top:]
    finally:
        connection.close()
    if as_json:
        show_json([{"sequence": sequence, **msgspec.to_builtins(record)} for sequence, record in found])
        return
    rows = [
        (
            str(sequence),
            moment_of(each.at),
            f"{each.name} ({each.actor})" if each.name else each.actor or "nobody known",
            each.address,
            each.action,
            each.target,
            each.outcome,
            str(each.count),
            each.detail,
        )
        for sequence, each in found
    ]
    headings = ("NO", "AT", "WHO", "FROM", "ACTION", "WHAT", "OUTCOME", "COUNT", "DETAIL")
    show_table(headings, rows, empty="no records that fit")


@audit.command("export")
def export_audit(
    context: typer.Context,
    *,
    since: SinceOption = "",
    until: UntilOption = "",
    actor: ActorOption = "",
    action: ActionOption = None,
) -> None:
    """Write all records that fit to stdout, one JSON object a line. The export itself is recorded first.

    \b
    Example:
      tocsin audit export --since 2026-03-01 > march.jsonl
    """
    wanted = _wanted(since, until, actor, action)
    settings = settings_of(context)
    record_command(settings, kind=Action.EXPORT)
    connection = open_reader(settings.data_dir / DATABASE_NAME)
    try:
        for sequence, record in _fitting(connection, wanted):
            line = msgspec.json.encode({"sequence": sequence, **msgspec.to_builtins(record)})
            sys.stdout.buffer.write(line + b"\n")
        sys.stdout.buffer.flush()
    finally:
        connection.close()


@audit.command("verify")
def verify_audit(
    context: typer.Context,
    *,
    checkpoints: Annotated[
        Path | None, typer.Option(help="File of checkpoints, or of JSON log lines with them; else the server's own.")
    ] = None,
    public_key: Annotated[
        Path | None, typer.Option(help="Public key of the checkpoints in PEM; else that of this data folder.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Look for any edit, deletion, insertion, swap or truncation of the audit log up to the last checkpoint.

    Who owns the data folder could write log, checkpoints and key anew. So keep copies of checkpoints and of the public
    key where they cannot be reached from there, and verify with those. Exit code 1 when something was found.

    \b
    Examples:
      tocsin audit verify
      tocsin audit verify --checkpoints /mnt/loghost/tocsin.jsonl --public-key /mnt/loghost/audit.pub
    """
    settings = settings_of(context)
    path = checkpoints or checkpoint_folder(settings) / FILE
    key = own_public_key(settings.data_dir) if public_key is None else load_public_key(public_key)
    signed, wrong = read_checkpoints(path, [key])
    connection = open_reader(settings.data_dir / DATABASE_NAME)
    try:
        verdict = verify(auditing.rows(connection), signed)
    finally:
        connection.close()
    findings = [*wrong, *verdict.findings]
    if as_json:
        show_json({**msgspec.to_builtins(verdict), "findings": msgspec.to_builtins(findings)})
    else:
        for each in findings:
            typer.echo(f"record {each.sequence}: {each.problem}")
    if not signed:
        say(f"{path} has no checkpoint that this key signed: a cut at the end of the log could not be seen")
    if findings or not signed:
        raise typer.Exit(1)
    newer = verdict.last - verdict.watched_to
    say(f"{counted(verdict.records, 'record')}, all as they were written; {newer} newer than the last checkpoint")


def _fitting(connection: apsw.Connection, wanted: _Wanted) -> Iterator[tuple[int, Record]]:
    for row in auditing.rows(connection):
        record = decode_record(row.record)
        if record is None:
            say(f"record {row.sequence} cannot be read; see `tocsin audit verify`")
        elif wanted.fits(record):
            yield row.sequence, record


def _wanted(since: str, until: str, actor: str, action: Action | None) -> _Wanted:
    try:
        begin = ticks.parse_ticks(since) if since else 0
        end = ticks.parse_ticks(until) if until else ticks.LATEST
    except ValueError as error:
        raise InvalidInput(str(error)) from None
    return _Wanted(begin, end, actor, action)
