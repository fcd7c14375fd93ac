"""What a running server leaves in its data folder for commands of the same machine and user.

`server.json` says where it listens and which process it is; `local-ingest-key` is the text of an ingest key named
"local", made once. Both are readable by this user alone: who may read them may read the store as well.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec

from tocsin.config import Settings
from tocsin.errors import InvalidInput, NotFound, Unauthenticated
from tocsin.identity.credentials import new_ingest_key, parse_ingest_key, secret_matches
from tocsin.identity.keyfiles import read_private, write_private
from tocsin.identity.names import service_names
from tocsin.stores.sqlite.registry import DEFAULT_TENANT, Registry

SERVER_FILE: Final = "server.json"
KEY_FILE: Final = "local-ingest-key"
KEY_NAME: Final = "local"


class RunningServer(msgspec.Struct, frozen=True):
    """A server of this machine: its base URL as seen from here, and its process id."""

    url: str
    pid: int


def local_url(settings: Settings) -> str:
    """How commands of this machine reach the server, whatever its public URL is."""
    return service_names(msgspec.structs.replace(settings, public_url="")).base_url


def announce(settings: Settings) -> None:
    """Leave word that this process serves the folder. Raises StoreError."""
    server = RunningServer(local_url(settings), os.getpid())
    write_private(settings.data_dir / SERVER_FILE, msgspec.json.encode(server))


def withdraw(data_dir: Path) -> None:
    """Take back what this process announced; another process's word is left alone."""
    found = _read_server(data_dir)
    if found is not None and found.pid == os.getpid():
        (data_dir / SERVER_FILE).unlink(missing_ok=True)


def find_server(data_dir: Path) -> RunningServer | None:
    """The server of this folder, or None where none announced itself or its process is gone."""
    found = _read_server(data_dir)
    if found is None or not _is_alive(found.pid):
        return None
    return found


def require_server(data_dir: Path) -> RunningServer:
    """As `find_server`, but raises InvalidInput saying how to start one."""
    found = find_server(data_dir)
    if found is None:
        raise InvalidInput(
            f"no server is running on the data folder {data_dir}; start one with "
            f"`tocsin --data-dir {data_dir} serve`, or name another with --url"
        )
    return found


def ensure_local_key(data_dir: Path, registry: Registry, now: int) -> str:
    """The text of the key "local" of the default tenant; made where it is missing or of another store.

    A key that was disabled stays so: that was somebody's wish. Raises StoreError.
    """
    kept = read_private(data_dir / KEY_FILE)
    if kept is not None and _is_of(registry, kept.decode("ascii", "replace").strip()):
        return kept.decode("ascii").strip()
    key = new_ingest_key()
    tenant = registry.get_tenant(DEFAULT_TENANT)
    # The file first: a key without its text would be of no use to anybody, the text without its key is made anew.
    write_private(data_dir / KEY_FILE, f"{key.text}\n".encode())
    registry.create_ingest_key(tenant.tenant_id, KEY_NAME, key_id=key.key_id, key_hash=key.key_hash, now=now)
    return key.text


def read_local_key(data_dir: Path) -> str:
    """The text of the key that a server left. Raises InvalidInput when there is none."""
    kept = read_private(data_dir / KEY_FILE)
    if kept is None:
        raise InvalidInput(f"there is no {KEY_FILE} in {data_dir}; start its server once, or give --key")
    return kept.decode("ascii", "replace").strip()


def _is_of(registry: Registry, text: str) -> bool:
    try:
        key_id, secret = parse_ingest_key(text)
        return secret_matches(secret, registry.get_ingest_key(key_id).key_hash)
    except (Unauthenticated, NotFound):
        return False


def _read_server(data_dir: Path) -> RunningServer | None:
    content = read_private(data_dir / SERVER_FILE)
    if content is None:
        return None
    try:
        return msgspec.json.decode(content, type=RunningServer)
    except msgspec.DecodeError:
        return None


def _is_alive(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
