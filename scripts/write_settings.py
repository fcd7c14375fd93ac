"""Write docs/settings.md from the settings themselves. `--check` only says whether it is stale."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, get_args, get_origin, get_type_hints

import msgspec

from tocsin.config import Settings

TARGET = Path(__file__).parent.parent / "docs" / "settings.md"


def page() -> str:
    """The page's text."""
    hints = get_type_hints(Settings, include_extras=True)
    lines = [
        "# Settings",
        "",
        "Read once at start, from environment variables. Made from the code by `scripts/write_settings.py`.",
        "",
        "| variable | default | meaning |",
        "|---|---|---|",
    ]
    for field in msgspec.structs.fields(Settings):
        hint = hints[field.name]
        meta = get_args(hint)[1] if get_origin(hint) is Annotated else msgspec.Meta()
        shown = f"`{field.default}`" if str(field.default) else "(empty)"
        lines.append(f"| `TOCSIN_{field.name.upper()}` | {shown} | {meta.description} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write, or check."""
    if "--check" in sys.argv:
        return 0 if TARGET.read_text(encoding="utf-8") == page() else 1
    TARGET.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
