"""What commands print: tables, trees, JSON. Results go to stdout, everything about the work itself to stderr.

Text of alerts is written by attackers: no control character of it reaches the terminal, and none of it is markup.
Piped, nothing is coloured or cut.
"""

from __future__ import annotations

import io
import json
import re
import shlex
import shutil
import sys
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import typer
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from tocsin import ticks
from tocsin.model import Severity

_PIPED_WIDTH: Final = 100_000
_SEVERITY_STYLES: Final = {
    Severity.HIGH: "bold red",
    Severity.MEDIUM: "yellow",
    Severity.LOW: "cyan",
    Severity.INFORMATIONAL: "blue",
    Severity.UNSPECIFIED: "dim",
}
_UNSAFE_IN_JSON: Final = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def plain(text: str, style: str = "") -> Text:
    """Text as it is, without what a terminal would obey: control and direction characters become U+FFFD."""
    safe = "".join("\ufffd" if unicodedata.category(each) in ("Cc", "Cf", "Cs") else each for each in text)
    return Text(safe, style=style)


def severity_text(severity: Severity) -> Text:
    """A severity in its colour."""
    return Text(severity.value, style=_SEVERITY_STYLES[severity])


def moment(value: int) -> str:
    """Ticks for a person: to the second, in UTC."""
    return ticks.format_ticks(value)[:19].replace("T", " ")


def moment_of(text: str) -> str:
    """A time of a stored document for a person."""
    return moment(ticks.parse_ticks(text))


def counted(count: int, noun: str) -> str:
    """`1 alert`, `1,204 alerts`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def show_table(headings: Sequence[str], rows: Sequence[Sequence[str | Text]], *, empty: str, ids: int = 1) -> None:
    """Print a table, or the sentence `empty` to stderr. The first `ids` columns are never wrapped."""
    if not rows:
        say(empty)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for index, heading in enumerate(headings):
        table.add_column(heading, no_wrap=index < ids or not sys.stdout.isatty(), overflow="fold")
    for row in rows:
        table.add_row(*[cell if isinstance(cell, Text) else plain(cell) for cell in row])
    show(table)


def show(content: RenderableType) -> None:
    """Print to stdout; piped, at full width, without colours and without trailing spaces."""
    if sys.stdout.isatty():
        Console().print(content)
        return
    buffer = io.StringIO()
    Console(file=buffer, width=_PIPED_WIDTH, color_system=None, force_terminal=False).print(content)
    typer.echo("\n".join(line.rstrip() for line in buffer.getvalue().rstrip("\n").split("\n")))


def show_json(content: Any) -> None:
    """Print JSON to stdout; characters that a terminal would obey are written as escapes."""
    text = json.dumps(content, indent=2, ensure_ascii=False)
    typer.echo(_UNSAFE_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def own_name() -> str:
    """How this program is called in a command that is to be pasted: by name where the shell finds it, else by path."""
    here = Path(sys.argv[0])
    found = shutil.which("tocsin")
    if here.name == "tocsin" and (found is None or Path(found).resolve() != here.resolve()):
        return shlex.quote(str(here.absolute()))
    return "tocsin"


def say(text: str) -> None:
    """One line about the work, to stderr."""
    typer.echo(plain_lines(text), err=True)


def plain_lines(text: str) -> str:
    """As `plain`, but line feeds stay."""
    return "\n".join(plain(line).plain for line in text.split("\n"))
