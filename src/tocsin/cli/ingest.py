"""`tocsin ingest`: send files of alerts, or follow growing ones."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import Annotated, BinaryIO, Final, cast

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from tocsin.alertfiles import Junk, Record, open_unpacked, read_records
from tocsin.cli.following import Followed, Interruption, Status, counts_in_words, follow_files
from tocsin.cli.remote import CacertOption, KeyOption, UrlOption, current_server, named_server
from tocsin.cli.screen import plain, say, show_json
from tocsin.cli.session import settings_of
from tocsin.cli.wrong_sender import REFUSED_ALONE_MAX, Suspicion
from tocsin.config import Settings
from tocsin.errors import InvalidInput, NotFound, TocsinError
from tocsin.senders import REGISTRY
from tocsin.shipping import Outcome, Shipper, Waiting, in_batches

EXIT_REFUSED: Final = 3
REFUSED_SHOWN: Final = 20


def ingest(
    context: typer.Context,
    *,
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Files, plain or gzip; - is standard input.")],
    sender: Annotated[str, typer.Option("--sender", "-s", help=f"What wrote them: {', '.join(REGISTRY)}.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is added, through rotation.")] = False,
    state: Annotated[
        Path | None, typer.Option(help="With --follow and one file: where to remember how far it was sent.")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, max=20_000, help="Alerts in one request.")] = 1000,
    patience: Annotated[
        float, typer.Option(min=0, help="Seconds to wait for a server that takes nothing; with --follow for ever.")
    ] = 300,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Go on when all of the first 100 alerts are refused.")
    ] = False,
    url: UrlOption = "",
    key: KeyOption = "",
    cacert: CacertOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Send alerts to the running server and say what became of each.

    Files hold JSON lines, an array, or pretty-printed objects. Sending a file again does no harm: repeats are
    recognised. Exit code 3 says that some lines were refused; they are kept (`tocsin refused list`). When nothing but
    refusals comes back the sender is probably another one: sending stops after the first hundred.

    With --follow each file is read on as it grows, through rotation by renaming or by copying and cutting. How far
    each was sent is kept in the data folder, so that a restart goes on without loss. Ctrl-C ends it.

    \b
    Examples:
      tocsin ingest --sender suricata eve.json
      zcat old/*.gz | tocsin ingest --sender wazuh -
      tocsin ingest --sender suricata --follow /var/log/suricata/eve.json
      tocsin ingest --sender native alerts.json --url https://tocsin.example.org --key "$KEY"
    """
    if sender not in REGISTRY:
        raise NotFound(f"there is no sender {sender[:40]!r}; there are {', '.join(REGISTRY)}")
    settings = settings_of(context)
    named_server(settings, url, key, cacert)  # a wrong address or a missing server is said before anything is read
    interruption, total = Interruption(), Outcome()
    status, suspicion = Status(total), None if keep_going else Suspicion(sender)
    shipper = Shipper(
        sender,
        lambda: current_server(settings, url, key, cacert),
        pause=interruption.pause,
        watch=status.waiting if follow else _watch,
        back=status.back,
        patience_seconds=None if follow else patience,
    )
    try:
        if follow:
            found = _followed(settings, files, state, sender, url)
            follow_files(found, shipper, status, batch, interruption, suspicion=suspicion)
        else:
            _send_files(files, shipper, total, batch, suspicion)
    except (KeyboardInterrupt, TocsinError) as error:
        if not follow or isinstance(error, TocsinError):
            if total.alerts:
                say("ended early; acknowledged until then:")
                _summarise(total, as_json=as_json)
            raise
    finally:
        shipper.close()
    _summarise(total, as_json=as_json)
    if total.refused:
        raise typer.Exit(EXIT_REFUSED)


def _followed(settings: Settings, files: list[str], state: Path | None, sender: str, url: str) -> list[Followed]:
    if "-" in files:
        raise InvalidInput("--follow needs files; standard input is read to its end without it")
    if state is not None and len(files) != 1:
        raise InvalidInput("--state is for one file; leave it out to have one state for each in the data folder")
    found = []
    for file in files:
        path = Path(file).absolute()
        name = hashlib.sha256(f"{sender}\0{url}\0{path}".encode("utf-8", "surrogateescape")).hexdigest()[:16]
        default = settings.data_dir / "follow" / f"{path.name}-{name}.json"
        found.append(Followed(path, state or default))
    return found


def _send_files(files: list[str], shipper: Shipper, total: Outcome, batch: int, suspicion: Suspicion | None) -> None:
    with _progress() as advance:
        for file in files:
            shown = 0 if len(files) == 1 else 1
            with _opened(file) as (raw, size):
                advance(file, 0, size, total)
                for group in _groups(_sendable(file, raw, total, shown), batch):
                    outcome = Outcome()
                    try:
                        shipper.send(group, outcome)
                        wrong = suspicion is not None and suspicion.arises(group, outcome)
                    finally:
                        _count(outcome, file if shown else "", total)
                    advance(file, raw.tell() if size else 0, size, total)
                    if wrong and suspicion is not None:
                        raise InvalidInput(
                            f"{suspicion.told()} Nothing more was sent; --keep-going sends all. "
                            "Those that were are kept: `tocsin refused retry` and `tocsin refused delete`"
                        )


def _groups(records: Iterator[Record], batch: int) -> Iterator[list[Record]]:
    """Batches, the first of them small: a file of another sender is noticed before much of it is sent."""
    yield from in_batches(islice(records, REFUSED_ALONE_MAX), batch)
    yield from in_batches(records, batch)


def _sendable(file: str, raw: BinaryIO, total: Outcome, shown: int) -> Iterator[Record]:
    try:
        for record in read_records(open_unpacked(raw)):
            if isinstance(record, Record):
                yield record
            else:
                _count(_refusal(record), file if shown else "", total)
    except (OSError, EOFError) as error:
        raise InvalidInput(f"{file} cannot be read to its end: {error}") from None


def _refusal(junk: Junk) -> Outcome:
    outcome = Outcome()
    outcome.refuse(junk.line, junk.reason)
    return outcome


def _count(outcome: Outcome, source: str, total: Outcome) -> None:
    """Add an outcome, and show the first refused lines at once. Of the others only the number is kept."""
    for each in outcome.refused_lines:
        if len(total.refused_lines) < REFUSED_SHOWN:
            total.refused_lines.append(each)
            say(f"{source + ' ' if source else ''}line {each.line} refused: {each.reason}")
    outcome.refused_lines = []
    total.add(outcome)


@contextmanager
def _opened(file: str) -> Iterator[tuple[BinaryIO, int]]:
    """The file and its size, 0 where it has none."""
    if file == "-":
        yield sys.stdin.buffer, 0
        return
    try:
        raw = Path(file).open("rb")  # noqa: SIM115  closed below
        size = Path(file).stat().st_size
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read: {error.strerror}") from None
    with raw:
        yield cast(BinaryIO, raw), size


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int, Outcome], None]]:
    """A function to say how far we are; it draws only on a terminal."""
    if not sys.stderr.isatty():
        yield lambda _file, _done, _size, _total: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TextColumn("{task.fields[rate]}"))
    tasks: dict[str, TaskID] = {}
    began = time.monotonic()
    with ExitStack() as stack:
        bar = stack.enter_context(Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True)))

        def advance(file: str, done: int, size: int, total: Outcome) -> None:
            if file not in tasks:
                tasks[file] = bar.add_task(plain(file).plain.replace("[", "\\["), total=size or None, rate="")
            rate = f"{total.alerts / max(time.monotonic() - began, 0.001):,.0f} alerts/s"
            bar.update(tasks[file], completed=done, rate=rate)

        yield advance


def _watch(waiting: Waiting) -> None:
    say(f"waiting {waiting.seconds:.0f} s: {waiting.reason}")


def _summarise(total: Outcome, *, as_json: bool) -> None:
    hidden = total.refused - len(total.refused_lines)
    if hidden > 0:
        say(f"... and {hidden} more lines refused")
    if as_json:
        counts = {
            "created": total.created,
            "duplicate": total.duplicate,
            "refused": total.refused,
            "skipped": total.skipped,
        }
        lines = [{"line": each.line, "reason": each.reason} for each in total.refused_lines]
        show_json({**counts, "refusedLines": lines})
        return
    typer.echo(counts_in_words(total))
