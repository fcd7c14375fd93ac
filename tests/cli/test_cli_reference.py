"""`docs/cli.md` says what the commands say."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_reference_is_what_the_commands_say() -> None:
    run = subprocess.run([sys.executable, "scripts/write_cli.py", "--check"], cwd=ROOT, check=False)
    assert run.returncode == 0, "run scripts/write_cli.py"


def test_every_option_has_a_sentence() -> None:
    lines = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8").splitlines()
    options = [(line, after) for line, after in itertools.pairwise(lines) if line.startswith("  -")]
    assert len(options) > 60
    for line, after in options:
        assert "  " in line.strip() or after.startswith("     "), line
