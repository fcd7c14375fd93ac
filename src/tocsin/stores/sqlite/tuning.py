"""The tunings of a tenant: every version that was ever set stays, the newest is in force.

The one writer asks again at most every `FRESH` ticks, so a version that a command writes beside it is in force within
half a minute, and no alert pays for it.
"""

from __future__ import annotations

from typing import Any, Final

import apsw
import msgspec

from tocsin.correlation.tuned import Tuned, tuned_of
from tocsin.correlation.tuning import NO_TUNING, Tuning, read_tuning, write_tuning
from tocsin.errors import InvalidInput, NotFound
from tocsin.ticks import SECOND

FRESH: Final = 30 * SECOND
READY_MAX: Final = 64
"""Tenants whose tuning a reader keeps ready."""
REASON_CHARACTERS_MAX: Final = 500
_SELECT: Final = "SELECT version, at, actor, reason, document FROM tuning "


class TuningVersion(msgspec.Struct, frozen=True):
    """A tuning that was set: `version` from 1, `at` in ticks."""

    version: int
    at: int
    actor: str
    reason: str
    tuning: Tuning


NEVER_SET: Final = TuningVersion(0, 0, "", "", NO_TUNING)


class Tunings:
    """Versions of tunings, over any connection; writing needs one that may."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def newest(self, tenant_id: int) -> TuningVersion:
        """What is in force; NEVER_SET where nothing was set."""
        found = self._find("WHERE tenant_id = ? ORDER BY version DESC LIMIT 1", tenant_id)
        return found[0] if found else NEVER_SET

    def history(self, tenant_id: int, most: int) -> list[TuningVersion]:
        """The newest versions, newest first."""
        return self._find("WHERE tenant_id = ? ORDER BY version DESC LIMIT ?", tenant_id, most)

    def get(self, tenant_id: int, version: int) -> TuningVersion:
        """One version. Raises NotFound."""
        for found in self._find("WHERE tenant_id = ? AND version = ?", tenant_id, version):
            return found
        raise NotFound(f"there is no version {version} of the tuning; `tocsin tuning history` lists them")

    def write(self, tenant_id: int, tuning: Tuning, *, after: int, actor: str, reason: str, at: int) -> int:
        """Put a tuning in force, in the open transaction; gives its version.

        `after` is the version that it was made of: raises InvalidInput where somebody wrote another since.
        """
        if not reason.strip() or len(reason) > REASON_CHARACTERS_MAX:
            raise InvalidInput(f"reason: say why in 1 to {REASON_CHARACTERS_MAX} characters")
        newest = self.newest(tenant_id).version
        if newest != after:
            raise InvalidInput(f"the tuning was changed meanwhile (version {newest}); look at it and try again")
        self._connection.execute(
            "INSERT INTO tuning (tenant_id, version, at, actor, reason, document) VALUES (?, ?, ?, ?, ?, ?)",
            (tenant_id, newest + 1, at, actor, reason, write_tuning(tuning)),
        )
        return newest + 1

    def _find(self, which: str, *values: int) -> list[TuningVersion]:
        rows: list[Any] = self._connection.execute(_SELECT + which, values).fetchall()
        return [
            TuningVersion(version, at, actor, reason, read_tuning(document))
            for version, at, actor, reason, document in rows
        ]


class TuningsInForce:
    """What is in force for each tenant, ready for alerts, at most `FRESH` ticks old."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._known: dict[int, tuple[int, int, Tuned | None]] = {}

    def get(self, tenant_id: int, now: int) -> Tuned | None:
        """The tenant's tuning; None where it changes nothing. `now` in ticks."""
        checked, version, tuned = self._known.get(tenant_id, (now - FRESH, 0, None))
        if 0 <= now - checked < FRESH:
            return tuned
        row = self._connection.execute("SELECT max(version) FROM tuning WHERE tenant_id = ?", (tenant_id,)).fetchone()
        newest = int(row[0] or 0) if row is not None else 0
        if newest != version:
            version, tuned = newest, tuned_of(Tunings(self._connection).newest(tenant_id).tuning)
        self._known[tenant_id] = (now, version, tuned)
        return tuned

    def forget(self) -> None:
        """Ask anew, after a transaction that was undone."""
        self._known.clear()


class NewestTunings:
    """What is in force for each tenant at this very moment: only the number of the version is asked each time."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._known: dict[int, tuple[int, Tuned | None]] = {}

    def get(self, tenant_id: int) -> Tuned | None:
        """The tenant's tuning; None where it changes nothing."""
        row = self._connection.execute("SELECT max(version) FROM tuning WHERE tenant_id = ?", (tenant_id,)).fetchone()
        newest = int(row[0] or 0) if row is not None else 0
        version, tuned = self._known.get(tenant_id, (0, None))
        if newest != version:
            tuned = tuned_of(Tunings(self._connection).newest(tenant_id).tuning)
            if len(self._known) >= READY_MAX:
                self._known.clear()
            self._known[tenant_id] = newest, tuned
        return tuned
