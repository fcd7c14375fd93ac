"""Files that hold private keys: their folder is ours alone (0700), they appear whole or not at all (0600).

Leaves what is in them to `authority.py` and `signing.py`.
"""

from __future__ import annotations

import os
from pathlib import Path

from tocsin.errors import StoreError


def make_private_folder(folder: Path) -> None:
    """Make the folder, or take other people's rights from one that is there. Raises StoreError."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if folder.stat().st_mode & 0o077:
            folder.chmod(0o700)
    except OSError as error:
        raise StoreError(f"{folder} cannot be made private to this user: {error.strerror}") from error


def write_private(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Put a file in place in one step, on the disk before it is seen. Raises StoreError."""
    scratch = path.with_name(f".{path.name}.new")
    try:
        scratch.unlink(missing_ok=True)
        handle = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}") from error


def read_private(path: Path) -> bytes | None:
    """The content, or None where there is no such file. Takes other people's rights from it. Raises StoreError."""
    try:
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"{path} cannot be read as a private file: {error.strerror}") from error
