"""A disk that fails when it is told to: SQLite's own files with a count-down to a failing write or flush."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import apsw

SYNC: Final = "sync"
WRITE: Final = "write"
_CODES: Final = {SYNC: apsw.SQLITE_IOERR_FSYNC, WRITE: apsw.SQLITE_IOERR_WRITE}
_NAME: Final = "failing"


class Disk(apsw.VFS):
    """Fails the `n`-th operation of a kind after `fail_at`, and with `for_good` all that follow it."""

    def __init__(self) -> None:
        super().__init__(_NAME, base="unix", makedefault=True)
        self.failed = False
        self._kind, self._left, self._for_good = "", 0, False

    def fail_at(self, kind: str, n: int, *, for_good: bool) -> None:
        """Arm it."""
        self._kind, self._left, self._for_good, self.failed = kind, n, for_good, False

    def mend(self) -> None:
        """Fail no more."""
        self._kind = ""

    def count(self, kind: str) -> None:
        """Note an operation; raises apsw.IOError where it is to fail."""
        if kind != self._kind:
            return
        self._left -= 1
        if self._left == 0 or (self._left < 0 and self._for_good):
            self.failed = True
            error = apsw.IOError(f"this {kind} was told to fail")
            error.extendedresult = _CODES[kind]  # type: ignore[attr-defined]
            raise error

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        """See SQLite."""
        return _File(self, name, flags)


class _File(apsw.VFSFile):
    def __init__(self, disk: Disk, name: Any, flags: list[int]) -> None:
        super().__init__("unix", name, flags)
        self._disk = disk

    def xSync(self, flags: int) -> None:
        self._disk.count(SYNC)
        super().xSync(flags)

    def xWrite(self, data: bytes, offset: int) -> None:
        self._disk.count(WRITE)
        super().xWrite(data, offset)


@contextmanager
def failing_disk() -> Iterator[Disk]:
    """All stores opened inside are on this disk."""
    before = apsw.vfs_names()[0]
    disk = Disk()
    try:
        yield disk
    finally:
        apsw.set_default_vfs(before)
        disk.unregister()
