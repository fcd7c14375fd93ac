"""Write docs/cli.md from the help of the commands. `--check` only says whether it is stale."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import typer

from tocsin.cli.program import program

TARGET: Final = Path(__file__).parent.parent / "docs" / "cli.md"
_WIDTH: Final = 100
_HEAD: Final = """# The command line

This page is made from the program's own help: `python scripts/write_cli.py` writes it.
Every command prints its part with `--help`.
"""


def reference() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *_sections(typer.main.get_command(program), "tocsin", None)])


def _sections(command: Any, name: str, parent: typer.Context | None) -> Iterator[str]:
    context = typer.Context(command, info_name=name, parent=parent, terminal_width=_WIDTH, **command.context_settings)
    text = "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
    yield f"## `{context.command_path}`\n\n```text\n{text}\n```\n"
    for each, inner in getattr(command, "commands", {}).items():
        yield from _sections(inner, each, context)


def main() -> int:
    """Write, or check."""
    if "--check" in sys.argv:
        return 0 if TARGET.read_text(encoding="utf-8") == reference() else 1
    TARGET.write_text(reference(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
