"""Counts of current incident versions by block of change numbers, so that a deep `$skip` costs a walk over blocks.

Change numbers are dense and order exactly like `lastUpdateTime` (`design/feed.md`, counts and deep `$skip`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

import apsw

BLOCK_BITS: Final = 12
"""4,096 changes to a block."""


def count_blocks(connection: apsw.Connection, tenant_id: int, *, new: Iterable[int], gone: Iterable[int]) -> None:
    """Note that versions with these change numbers became current, and that those are current no more.

    Part of the transaction that changes them.
    """
    counts = Counter(change >> BLOCK_BITS for change in new)
    counts.subtract(change >> BLOCK_BITS for change in gone)
    connection.executemany(
        "INSERT INTO incident_block (tenant_id, block, live) VALUES (?1, ?2, ?3) "
        "ON CONFLICT DO UPDATE SET live = live + ?3",
        [(tenant_id, block, by) for block, by in counts.items() if by],
    )


def skip_blocks(connection: apsw.Connection, tenant_id: int, skip: int, change_least: int) -> tuple[int, int]:
    """Where to begin so that `skip` newest current versions are passed over: (greatest change, how many are left).

    Blocks that reach below `change_least` are not passed over whole: not all that is in them is listed.
    """
    rows = connection.execute(
        "SELECT block, live FROM incident_block WHERE tenant_id = ? ORDER BY block DESC", (tenant_id,)
    )
    for block, live in rows:
        if int(live) > skip or int(block) << BLOCK_BITS < change_least:
            return (int(block) + 1 << BLOCK_BITS) - 1, skip
        skip -= int(live)
    return 0, skip
