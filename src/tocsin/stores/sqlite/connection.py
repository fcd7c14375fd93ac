"""Opening the SQLite file: the version that is safe, the pragmas, the migrations, and the writer's lock.

Leaves reading and writing to its neighbours.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Final
from weakref import WeakKeyDictionary

import apsw

from tocsin.errors import StoreError

SQLITE_MIN: Final = (3, 51, 3)
"""Older ones have the WAL-reset corruption bug (`promises.md`)."""

DATABASE_NAME: Final = "tocsin.db"


def check_version(version: str) -> None:
    """Raise StoreError when the SQLite library in use could corrupt the store; `version` is like "3.51.3"."""
    if tuple(int(part) for part in version.split(".")[:3]) < SQLITE_MIN:
        needed = ".".join(map(str, SQLITE_MIN))
        raise StoreError(
            f"this Python's apsw carries SQLite {version}, which has a bug that can corrupt a write-ahead log; "
            f"Tocsin needs {needed} or newer: pip install --upgrade apsw"
        )


def open_writer(path: Path) -> apsw.Connection:
    """Open or make the store for its one writing process and bring its schema up to date. Raises StoreError."""
    check_version(apsw.sqlite_lib_version())
    _make_folder(path.parent)
    _make_private(path)
    connection = _open(path, apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA wal_autocheckpoint=0")  # the writer checkpoints between commits, not inside one
    connection.execute("PRAGMA cache_size=-48000")
    migrate(connection)
    return connection


def _make_folder(data_dir: Path) -> None:
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StoreError(
            f"the data folder {data_dir} cannot be made: {error.strerror}; choose another --data-dir"
        ) from error


def _make_private(path: Path) -> None:
    """Make a new store its owner's alone; SQLite gives the files beside it the same rights. Raises StoreError.

    One that is there is not even opened: closing it here would let go of SQLite's own locks in this process.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        pass
    except OSError as error:
        raise StoreError(f"{path} cannot be opened as a store: {error.strerror}") from error


def open_reader(path: Path) -> apsw.Connection:
    """Open an existing store for reading only. Raises StoreError where there is none or it is of another version."""
    check_version(apsw.sqlite_lib_version())
    if not path.exists():
        raise StoreError(f"there is no store at {path}; start a server first (tocsin serve, or tocsin demo)")
    connection = _open(path, apsw.SQLITE_OPEN_READONLY)
    connection.execute("PRAGMA cache_size=-16000")
    found, known = _schema_version(connection), len(_migrations())
    if found != known:
        raise StoreError(f"{path} has schema {found} and this Tocsin knows {known}; start its server to bring it up")
    return connection


def open_side_writer(path: Path) -> apsw.Connection:
    """Open an existing store for small management changes beside a running server (apps, keys, retention)."""
    open_reader(path).close()
    connection = _open(path, apsw.SQLITE_OPEN_READWRITE)
    connection.execute("PRAGMA synchronous=FULL")
    return connection


def _open(path: Path, flags: int) -> apsw.Connection:
    try:
        connection = apsw.Connection(str(path), flags=flags, statementcachesize=200)
        connection.set_busy_timeout(10_000)
        connection.execute("PRAGMA mmap_size=1073741824; PRAGMA temp_store=MEMORY; PRAGMA trusted_schema=OFF")
    except apsw.Error as error:
        raise StoreError(f"{path} cannot be opened as a store: {error}") from error
    return connection


def _migrations() -> list[str]:
    folder = resources.files(__package__) / "migrations"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [(folder / name).read_text(encoding="utf-8") for name in names]


_WATCHED: Final = WeakKeyDictionary[apsw.Connection, Callable[[apsw.Connection], None]]()


def watch_commits(connection: apsw.Connection, before_commit: Callable[[apsw.Connection], None]) -> None:
    """Have each `transaction` of this connection that changed something end with `before_commit`, as part of it.

    So the audit log gets a record of every change that a command makes, whatever module makes it.
    """
    _WATCHED[connection] = before_commit


@contextmanager
def transaction(connection: apsw.Connection) -> Iterator[None]:
    """A transaction of its own, undone by any error. A full disk ends one by itself: that error comes out as it was,
    where apsw's own `with connection` would say that there is nothing to roll back."""
    connection.execute("BEGIN IMMEDIATE")
    changed_before = connection.total_changes()
    try:
        yield
        before_commit = _WATCHED.get(connection)
        if before_commit is not None and connection.total_changes() != changed_before:
            before_commit(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _schema_version(connection: apsw.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").get)


def migrate(connection: apsw.Connection) -> None:
    """Apply the migrations that are missing, each in one transaction: killed midway, it never happened."""
    migrations = _migrations()
    if _schema_version(connection) > len(migrations):
        raise StoreError("the store was written by a newer Tocsin; use that one, or restore a backup made before it")
    for number, script in enumerate(migrations, 1):
        with transaction(connection):
            if _schema_version(connection) < number:
                connection.execute(script)
                connection.execute(f"PRAGMA user_version={number}")


class WriterLock:
    """Held by the one process that may ingest into a data folder; released when the process ends, however it ends."""

    def __init__(self, data_dir: Path) -> None:
        _make_folder(data_dir)
        self._path = data_dir / "tocsin.lock"
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StoreError(f"the data folder {data_dir} cannot be written to: {error.strerror}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._file, 32).decode(errors="replace").strip()
            os.close(self._file)
            raise StoreError(
                f"{data_dir} is in use by another Tocsin (process {holder or 'unknown'}); "
                "stop it, or choose another --data-dir"
            ) from None
        os.truncate(self._file, 0)
        os.write(self._file, str(os.getpid()).encode())

    def release(self) -> None:
        """Let another process in."""
        os.close(self._file)
