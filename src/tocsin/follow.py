"""Reading a growing file through rotation, so that every line is given once and a restart continues where it was.

Rotation comes in two kinds: the file is renamed and a new one begun, or it is copied and cut to nothing. Where we
are is (device, inode, offset) and a digest of the first bytes, because inodes are used again. What is still unread
in the old file is read before the new one. Lines are given; sending them is the caller's.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from tocsin.errors import StoreError
from tocsin.identity.keyfiles import make_private_folder, read_private, write_private

HEAD_BYTES: Final = 1024
READ_BYTES: Final = 1024 * 1024
LINE_BYTES_MAX: Final = 16 * 1024 * 1024
"""A longer line is cut, so that a file without line ends cannot fill the memory; the server refuses the pieces."""


class Position(msgspec.Struct, frozen=True):
    """How far a file was read: `offset` bytes and `line` lines. `modified` is its time then, in nanoseconds."""

    device: int
    inode: int
    offset: int
    line: int
    head_bytes: int
    head_digest: str
    modified: int


class Chunk(msgspec.Struct, frozen=True):
    """Whole lines with their numbers, and the position behind them: keep it once they are delivered."""

    lines: tuple[tuple[int, bytes], ...]
    position: Position


class _Kept(msgspec.Struct, frozen=True):
    path: str
    position: Position


def load_position(state: Path) -> Position | None:
    """The position in a state file, or None where there is none. Raises StoreError for a damaged one."""
    content = read_private(state)
    if content is None:
        return None
    try:
        return msgspec.json.decode(content, type=_Kept).position
    except msgspec.DecodeError as error:
        raise StoreError(f"{state} is no state of --follow ({error}); remove it to read the file anew") from None


def save_position(state: Path, path: Path, position: Position) -> None:
    """Replace the state file in one step. Raises StoreError."""
    make_private_folder(state.parent)
    write_private(state, msgspec.json.encode(_Kept(str(path), position)))


class _Source:
    """One open file. `final` says that nobody writes to it any more."""

    def __init__(self, path: Path, *, final: bool = False) -> None:
        self.handle: BinaryIO = path.open("rb", buffering=0)
        found = os.fstat(self.handle.fileno())
        self.identity = (found.st_dev, found.st_ino)
        self.packed = path.name.endswith(".gz")
        self.final = final or self.packed
        self.offset = self.line = 0
        self._plain = gzip.GzipFile(fileobj=self.handle) if self.packed else None
        self._head = self.read_at(0, HEAD_BYTES) if self.packed else b""

    def close(self) -> None:
        if self._plain is not None:
            self._plain.close()
        self.handle.close()

    def read_at(self, offset: int, count: int) -> bytes:
        if self._plain is None:
            return os.pread(self.handle.fileno(), count, offset)
        try:
            self._plain.seek(offset)
            return self._plain.read(count)
        except (EOFError, gzip.BadGzipFile):
            return b""

    def head(self, count: int) -> bytes:
        return self._head[:count] if self.packed else self.read_at(0, count)

    def holds(self, position: Position) -> bool:
        """Whether this is the file of that position (or a copy of it), not shorter than it was read."""
        head = self.head(position.head_bytes)
        if len(head) < position.head_bytes or _digest(head) != position.head_digest:
            return False
        return bool(self.packed) or os.fstat(self.handle.fileno()).st_size >= position.offset

    def is_at(self, position: Position) -> bool:
        return self.identity == (position.device, position.inode)

    def position(self) -> Position:
        head = self.head(min(self.offset, HEAD_BYTES))
        modified = os.fstat(self.handle.fileno()).st_mtime_ns
        return Position(*self.identity, self.offset, self.line, len(head), _digest(head), modified)

    def take_lines(self, lines_max: int, bytes_max: int) -> list[tuple[int, bytes]]:
        """The next lines, and past them. An unfinished last line is taken only from a final file."""
        size = min(bytes_max, READ_BYTES)
        data = self.read_at(self.offset, size)
        while data and b"\n" not in data and len(data) >= size and size < LINE_BYTES_MAX:
            size = min(size * 4, LINE_BYTES_MAX)
            data = self.read_at(self.offset, size)
        end = data.rfind(b"\n") + 1
        if not end and data and (len(data) >= LINE_BYTES_MAX or (self.final and len(data) < size)):
            end = len(data)
        pieces = [piece + b"\n" for piece in data[:end].split(b"\n")]
        pieces[-1] = pieces[-1][:-1]  # what follows the last line end: nothing, or an unfinished last line
        pieces = pieces[: min(lines_max, len(pieces) - (not pieces[-1]))]
        first = self.line + 1
        self.offset += sum(map(len, pieces))
        self.line += len(pieces)
        return list(enumerate(pieces, first))


class Follower:
    """Follows one path. `read` again and again; `warn` is told in words where something can have been missed, `tell`
    where the file was rotated and nothing was."""

    def __init__(
        self, path: Path, position: Position | None, warn: Callable[[str], None], tell: Callable[[str], None]
    ) -> None:
        self._path, self._warn, self._tell = path, warn, tell
        self._rotated = _rotated_names(path)
        self._resume = position
        self._source: _Source | None = None
        self._last: Position | None = position

    def close(self) -> None:
        """Let the file go."""
        if self._source is not None:
            self._source.close()
            self._source = None

    def read(self, lines_max: int, bytes_max: int = READ_BYTES) -> Chunk | None:
        """The next lines, or None where there is nothing new yet. Raises OSError for a file that cannot be read."""
        if self._source is None and not self._begin():
            return None
        while True:
            source = self._source
            assert source is not None
            if self._was_cut(source):
                self._after_cut(source)
                continue
            before = (source.offset, source.line)
            lines = source.take_lines(lines_max, bytes_max)
            if lines and self._was_cut(source):  # cut and written anew between the two looks
                source.offset, source.line = before
                continue
            if lines:
                self._last = source.position()
                return Chunk(tuple(lines), self._last)
            if not self._go_on(source):
                return None

    def _begin(self) -> bool:
        if self._resume is None:
            self._source = _open(self._path)
            return self._source is not None
        position, found = self._resume, self._find(self._resume)
        if found is None:
            found = self._first_of(self._unread_since(position.modified))
            if found is None:
                return False
            self._warn(
                f"the file that was read up to byte {position.offset} is gone, and {self._path} is another; "
                "what was written to the old one after that cannot be read"
            )
            self._last = None
        else:
            found.offset, found.line = position.offset, position.line
        self._source, self._resume = found, None
        return True

    def _find(self, position: Position) -> _Source | None:
        """The file of a position wherever it is now: in place, renamed, or a copy."""
        wanted = (position.device, position.inode)
        for path in self._neighbours():
            if _identity(path) == wanted and (source := _open(path)) is not None:
                if source.holds(position):
                    return source
                source.close()
        return self._find_copy(position)

    def _find_copy(self, position: Position) -> _Source | None:
        if position.head_bytes == 0:
            return None
        for path in self._rotated_files():
            source = _open(path, final=True)
            if source is not None and source.holds(position):
                return source
            if source is not None:
                source.close()
        return None

    def _was_cut(self, source: _Source) -> bool:
        if source.packed or source.offset == 0 or self._last is None:
            return False
        return not source.holds(msgspec.structs.replace(self._last, offset=source.offset))

    def _after_cut(self, source: _Source) -> None:
        assert self._last is not None
        copy = self._find_copy(self._last)
        if copy is None:
            self._warn(
                f"{self._path} was cut after byte {source.offset} and no copy of it is beside it; "
                "what was written just before that cannot be read"
            )
            source.offset = source.line = 0
            self._last = None
            return
        copy.offset, copy.line = source.offset, source.line
        self._tell("rotated by copying: the copy is read to its end, then the file anew")
        source.close()
        self._source = copy

    def _go_on(self, source: _Source) -> bool:
        """At the end of a file: whether there is another to read, or the last words of this one."""
        if not source.final:
            # A writer goes on with the renamed file until it is told; once the new one has content, it has let go.
            replaced = _identity(self._path) not in (None, source.identity)
            if not replaced or self._path.stat().st_size == 0:
                return False
            source.final = True
            self._tell("rotated by renaming: the old file is read to its end, then the new one")
            return True
        position = source.position()
        following = self._first_of(self._unread_since(position.modified), but=source)
        if following is None:
            return False
        source.close()
        self._source, self._last = following, None
        return True

    def _first_of(self, paths: list[Path], but: _Source | None = None) -> _Source | None:
        """The first of these files that opens and is not what was just read, or a copy of it."""
        read = None if but is None else msgspec.structs.replace(but.position(), offset=0)
        for path in paths:
            source = _open(path, final=path != self._path)
            if source is None:
                continue
            if read is None or not (source.is_at(read) or (read.head_bytes and source.holds(read))):
                return source
            source.close()
        return None

    def _unread_since(self, modified: int) -> list[Path]:
        """Rotated files that were written to later, oldest first, then the path itself."""
        times = {path: _modified(path) for path in self._rotated_files()}
        later = [path for path, at in times.items() if at >= modified]
        return [*sorted(later, key=lambda path: times[path]), self._path]

    def _rotated_files(self) -> list[Path]:
        """The newest first."""
        found = [path for path in self._neighbours() if self._rotated.fullmatch(path.name)]
        return sorted(found, key=_modified, reverse=True)

    def _neighbours(self) -> list[Path]:
        try:
            names = sorted(os.listdir(self._path.parent))  # noqa: PTH208  names alone, without a stat each
        except FileNotFoundError:
            return []
        paths = [self._path.parent / name for name in names if name != self._path.name]
        return [self._path, *(path for path in paths if path.is_file())]


def _rotated_names(path: Path) -> re.Pattern[str]:
    """Names that rotation gives to the files of a path: `a.json.1`, `a.json-20260101.gz`, `a-20260101.json`."""
    stamp = r"[.-]\d[\dT:._-]*"
    name, stem, suffix = re.escape(path.name), re.escape(path.stem), re.escape(path.suffix)
    return re.compile(rf"(?:{name}{stamp}|{stem}{stamp}{suffix})(?:\.gz)?")


def _open(path: Path, *, final: bool = False) -> _Source | None:
    try:
        return _Source(path, final=final)
    except FileNotFoundError:
        return None
    except PermissionError:
        if not final:
            raise
        return None  # an older file that is not for us


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _modified(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _digest(head: bytes) -> str:
    return hashlib.sha256(head).hexdigest()[:32] if head else ""
