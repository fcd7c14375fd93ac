"""Throwing away refused inputs by hand, beside a running server. Keeping and reading them is their neighbours'."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import apsw
import msgspec

from tocsin.errors import StorageFull, Unavailable
from tocsin.stores.sqlite.connection import transaction

STEP: Final = 500
"""So many in one transaction: the server's writer waits for it."""


def delete_refused(
    connection: apsw.Connection, tenant_id: int, *, ids: Sequence[int] | None = None, sender: str | None = None
) -> int:
    """Delete those among `ids` and of `sender`, None for all of a tenant; gives how many there were.

    Raises Unavailable while the store is busy; those deleted until then stay deleted.
    """
    among = "" if ids is None else " AND refused_id IN (SELECT value FROM json_each(?3))"
    of = "" if sender is None else " AND sender = ?4"
    statement = (
        "DELETE FROM refused WHERE refused_id IN (SELECT refused_id FROM refused "  # noqa: S608  constant clauses
        f"WHERE tenant_id = ?1{among}{of} ORDER BY refused_id LIMIT ?2)"
    )
    values = (tenant_id, STEP, msgspec.json.encode(ids or []).decode(), sender)
    used = values if sender is not None else values[: 2 if ids is None else 3]
    deleted = 0
    while True:
        try:
            with transaction(connection):
                connection.execute(statement, used)
                step = connection.changes()
        except apsw.FullError:
            raise StorageFull("the disk of the store is full: there is no room even to delete") from None
        except apsw.BusyError:
            raise Unavailable("the store is busy with another program; try again") from None
        deleted += step
        if step < STEP:
            return deleted
