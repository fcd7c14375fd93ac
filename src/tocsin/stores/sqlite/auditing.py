"""The audit log in the SQLite store: appended inside somebody's transaction, read in order, pruned at its beginning."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import apsw

from tocsin.audit import GENESIS, Deed, Row, decode_record, encode_deed, seal_of
from tocsin.errors import InvalidInput
from tocsin.ticks import format_ticks

_LAST: Final = "SELECT sequence, seal FROM audit ORDER BY sequence DESC LIMIT 1"
_PRUNED: Final = "SELECT sequence, seal FROM audit_pruned"
_APPEND: Final = "INSERT INTO audit (sequence, record, seal) VALUES (?, ?, ?)"


def append(connection: apsw.Connection, deeds: Iterable[Deed]) -> None:
    """Seal deeds onto the end of the log. The caller holds a transaction begun with BEGIN IMMEDIATE: several processes
    append, and the end that was read must still be the end when it is written to."""
    sequence, seal = end(connection)
    for deed in deeds:
        record = encode_deed(deed)
        sequence, seal = sequence + 1, seal_of(seal, record)
        connection.execute(_APPEND, (sequence, record, seal))


def end(connection: apsw.Connection) -> tuple[int, bytes]:
    """(sequence, seal) of the last record; (0, GENESIS) where there never was one."""
    for statement in (_LAST, _PRUNED):
        row = connection.execute(statement).fetchone()
        if row is not None:
            return _position(row)
    return 0, GENESIS


def rows(connection: apsw.Connection, *, above: int = 0) -> Iterator[Row]:
    """Every record behind `above`, in order, as it is stored."""
    statement = "SELECT sequence, record, seal FROM audit WHERE sequence > ? ORDER BY sequence"
    for sequence, record, seal in connection.execute(statement, (above,)):
        assert isinstance(sequence, int)
        yield Row(sequence, _bytes(record), _bytes(seal))


def position_before(connection: apsw.Connection, sequence: int) -> tuple[int, bytes] | None:
    """(sequence, seal) of this record, or None where it is not kept."""
    row = connection.execute("SELECT sequence, seal FROM audit WHERE sequence = ?", (sequence,)).fetchone()
    return None if row is None else _position(row)


def last_before(connection: apsw.Connection, moment: int, most: int) -> tuple[int, bytes] | None:
    """(sequence, seal) of the last of the first `most` records that are all older than `moment`, in ticks; None where
    the oldest is not. What cannot be read stays, and all behind it: it is evidence, not old."""
    found, limit = None, format_ticks(moment)
    for sequence, kept, seal in connection.execute(
        "SELECT sequence, record, seal FROM audit ORDER BY sequence LIMIT ?", (most,)
    ):
        record = decode_record(_bytes(kept))
        if record is None or max(record.at, record.until) >= limit:
            break
        found = _position((sequence, seal))
    return found


def prune(connection: apsw.Connection, sequence: int, seal: bytes) -> int:
    """Remove the records up to this one, inside a transaction of the caller; gives how many. The signed note that they
    were pruned must be written before. Raises InvalidInput when the log has another record there."""
    if position_before(connection, sequence) != (sequence, seal):
        raise InvalidInput(f"the audit log has no record {sequence} with this seal")
    connection.execute(
        "INSERT INTO audit_pruned VALUES (1, ?1, ?2) ON CONFLICT (one) DO UPDATE SET sequence = ?1, seal = ?2",
        (sequence, seal),
    )
    connection.execute("DELETE FROM audit WHERE sequence <= ?", (sequence,))
    return connection.changes()


def _position(row: tuple[apsw.SQLiteValue, ...]) -> tuple[int, bytes]:
    sequence, seal = row
    assert isinstance(sequence, int)
    return sequence, _bytes(seal)


def _bytes(value: apsw.SQLiteValue) -> bytes:
    # The table is STRICT; a file that was tampered with may hold anything all the same.
    return value if isinstance(value, bytes) else repr(value).encode()
