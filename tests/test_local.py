"""What a server leaves for commands of the same machine: its address while it lives, and one key."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from house import START, Bench, HandClock
from tocsin.config import Settings
from tocsin.errors import InvalidInput
from tocsin.identity.credentials import parse_ingest_key, secret_matches
from tocsin.local import (
    KEY_FILE,
    SERVER_FILE,
    RunningServer,
    announce,
    ensure_local_key,
    find_server,
    local_url,
    read_local_key,
    require_server,
    withdraw,
)
from tocsin.stores.sqlite.connection import open_side_writer
from tocsin.stores.sqlite.registry import Registry


def test_a_server_is_found_while_its_process_lives(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, listen_port=9443, public_url="https://tocsin.example.org")
    announce(settings)
    assert find_server(tmp_path) == RunningServer("https://127.0.0.1:9443", os.getpid())
    assert (tmp_path / SERVER_FILE).stat().st_mode & 0o777 == 0o600
    withdraw(tmp_path)
    assert find_server(tmp_path) is None


def test_the_word_of_a_process_that_ended_is_ignored(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (tmp_path / SERVER_FILE).write_bytes(msgspec.json.encode(RunningServer("https://127.0.0.1:1", ended.pid)))
    with pytest.raises(InvalidInput, match="no server is running"):
        require_server(tmp_path)


def test_another_process_is_not_withdrawn(tmp_path: Path) -> None:
    (tmp_path / SERVER_FILE).write_bytes(msgspec.json.encode(RunningServer("https://127.0.0.1:1", os.getppid())))
    withdraw(tmp_path)
    assert find_server(tmp_path) is not None


def test_a_server_on_every_address_is_reached_as_localhost() -> None:
    assert local_url(Settings(listen_host="0.0.0.0", listen_port=8443)) == "https://localhost:8443"


def test_the_local_key_is_made_once_and_again_for_another_store(tmp_path: Path) -> None:
    bench = Bench(tmp_path, HandClock())
    registry = Registry(open_side_writer(bench.path))
    text = ensure_local_key(tmp_path, registry, START)
    assert ensure_local_key(tmp_path, registry, START) == text == read_local_key(tmp_path)
    assert (tmp_path / KEY_FILE).stat().st_mode & 0o777 == 0o600
    key_id, secret = parse_ingest_key(text)
    assert secret_matches(secret, registry.get_ingest_key(key_id).key_hash)

    (tmp_path / "other").mkdir()
    other = Bench(tmp_path / "other", HandClock())
    (tmp_path / "other" / KEY_FILE).write_text(text)
    assert ensure_local_key(tmp_path / "other", Registry(open_side_writer(other.path)), START) != text


def test_a_disabled_local_key_stays_disabled(tmp_path: Path) -> None:
    bench = Bench(tmp_path, HandClock())
    registry = Registry(open_side_writer(bench.path))
    text = ensure_local_key(tmp_path, registry, START)
    registry.disable_ingest_key(bench.tenant.tenant_id, parse_ingest_key(text)[0], START)
    assert ensure_local_key(tmp_path, registry, START) == text
    assert len(registry.list_ingest_keys(bench.tenant.tenant_id)) == 1
