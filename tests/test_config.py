"""Settings come from the environment, are checked, and are documented as they are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tocsin.config import read_settings
from tocsin.errors import InvalidInput

ROOT = Path(__file__).parent.parent


def test_a_setting_is_read_from_its_variable_and_an_override_wins() -> None:
    environment = {"TOCSIN_LISTEN_PORT": "9000", "TOCSIN_RETENTION_DAYS": "30"}
    settings = read_settings(environment, listen_port=9001, data_dir=None)
    assert (settings.listen_port, settings.retention_days) == (9001, 30)


@pytest.mark.parametrize(
    ("variable", "value"), [("LISTEN_PORT", "many"), ("LISTEN_PORT", "70000"), ("RETENTION_DAYS", "0")]
)
def test_a_wrong_setting_is_refused_by_name(variable: str, value: str) -> None:
    with pytest.raises(InvalidInput, match=variable.lower()):
        read_settings({f"TOCSIN_{variable}": value})


def test_the_page_of_settings_is_fresh() -> None:
    run = subprocess.run([sys.executable, "scripts/write_settings.py", "--check"], cwd=ROOT, check=False)
    assert run.returncode == 0, "run scripts/write_settings.py"
