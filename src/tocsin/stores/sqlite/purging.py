"""Deleting what is past retention, and versions that no walk can need any more, a bounded number at a time.

An incident is removed whole: versions, alerts, documents, links. A line in the change log stays until it is itself
past retention, since it says that the incident went.
"""

from __future__ import annotations

import apsw

from tocsin.stores.sqlite.blocks import count_blocks
from tocsin.stores.sqlite.merged import forget_merged


class Purge:
    """Deletions inside a transaction that the caller holds. Each method gives how many rows it removed."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def tenants(self) -> list[tuple[int, int]]:
        """Tenants with their own retention in days, 0 for the setting's."""
        rows = self._rows("SELECT tenant_id, coalesce(retention_days, 0) FROM tenant ORDER BY tenant_id")
        return [(tenant_id, days) for tenant_id, days in rows]

    def incidents(self, tenant_id: int, before: int, now: int, most: int) -> int:
        """Remove up to `most` incidents whose last change is before these ticks, oldest first.

        An incident goes at once and its alerts follow (`orphans`), so that none is ever there with half its alerts,
        even if retention is raised meanwhile. Each removal takes a change number, as of `now`: a feed tells of it.
        """
        rows = self._rows(
            "SELECT change, incident_id, document_id FROM incident WHERE tenant_id = ? AND last_update < ? "
            "ORDER BY last_update LIMIT ?",
            tenant_id,
            before,
            most,
        )
        for change, incident_id, document_id in rows:
            self._run("DELETE FROM incident WHERE tenant_id = ? AND change = ?", tenant_id, change)
            count_blocks(self._connection, tenant_id, new=(), gone=(change,))
            self._run("DELETE FROM incident_document WHERE document_id = ?", document_id)
            self._run("INSERT INTO incident_orphaned VALUES (?, ?)", tenant_id, incident_id)
            self._note_removal(tenant_id, incident_id, now)  # notes whom it concerned, so it comes before forgetting
            forget_merged(self._connection, tenant_id, incident_id)
        return len(rows)

    def orphans(self, tenant_id: int, most: int) -> int:
        """Remove up to about `most` alerts of incidents that are gone."""
        pending = self._rows("SELECT incident_id FROM incident_orphaned WHERE tenant_id = ? LIMIT ?", tenant_id, most)
        gone = 0
        for (incident_id,) in pending:
            wanted = most - gone
            found = self._alerts(tenant_id, incident_id, wanted)
            gone += found
            if found == wanted:
                break  # there may be more of this one; it stays pending for the next step
            self._run("DELETE FROM incident_orphaned WHERE tenant_id = ? AND incident_id = ?", tenant_id, incident_id)
        return max(gone, len(pending))

    def _note_removal(self, tenant_id: int, incident_id: int, now: int) -> None:
        (taken,) = self._rows(
            "UPDATE tenant SET last_change = last_change + 1, last_stamp = max(last_stamp + 1, ?2) "
            "WHERE tenant_id = ?1 RETURNING last_change, last_stamp",
            tenant_id,
            now,
        )
        change, at = taken
        self._run("INSERT INTO incident_removed VALUES (?, ?, ?, ?)", tenant_id, change, incident_id, at)
        self._run(
            "INSERT INTO change_log (tenant_id, change, at, incident_id, actor, action, detail) "
            "VALUES (?, ?, ?, ?, 'retention', 'removed', '{}')",
            tenant_id,
            change,
            at,
            incident_id,
        )

    def removals(self, tenant_id: int, before: int, most: int) -> int:
        """Forget removals from before these ticks: a change feed that is further behind begins anew."""
        rows = self._rows(
            "SELECT change FROM incident_removed WHERE tenant_id = ? AND at < ? ORDER BY change LIMIT ?",
            tenant_id,
            before,
            most,
        )
        if rows:
            last = rows[-1][0]
            self._run("DELETE FROM incident_removed WHERE tenant_id = ? AND change <= ?", tenant_id, last)
            self._run("UPDATE tenant SET removals_since = ?2 WHERE tenant_id = ?1", tenant_id, last)
        return len(rows)

    def _alerts(self, tenant_id: int, incident_id: int, most: int) -> int:
        rows = self._rows(
            "SELECT alert_number, change, document_id FROM alert WHERE tenant_id = ? AND incident_id = ? LIMIT ?",
            tenant_id,
            incident_id,
            most,
        )
        for number, change, document_id in rows:
            self._run(
                "DELETE FROM alert WHERE tenant_id = ? AND alert_number = ? AND change = ?", tenant_id, number, change
            )
            self._run("DELETE FROM alert_document WHERE document_id = ?", document_id)
            self._run(
                "DELETE FROM link WHERE tenant_id = ?1 AND alert_number = ?2 AND NOT EXISTS "
                "(SELECT 1 FROM alert WHERE tenant_id = ?1 AND alert_number = ?2)",
                tenant_id,
                number,
            )
        return len(rows)

    def superseded(self, tenant_id: int, before: int, most: int) -> int:
        """Remove versions that were replaced before these ticks."""
        replaced_by = self._last_change_before(tenant_id, before)
        rows = self._rows(
            "SELECT superseded_by, change, document_id FROM incident_superseded "
            "WHERE tenant_id = ? AND superseded_by <= ? ORDER BY superseded_by LIMIT ?",
            tenant_id,
            replaced_by,
            most,
        )
        for superseded_by, change, document_id in rows:
            self._run(
                "DELETE FROM incident_superseded WHERE tenant_id = ? AND superseded_by = ? AND change = ?",
                tenant_id,
                superseded_by,
                change,
            )
            self._run("DELETE FROM incident_document WHERE document_id = ?", document_id)
        alerts = self._rows(
            "SELECT alert_number, change, document_id FROM alert WHERE tenant_id = ? AND superseded_by <= ? LIMIT ?",
            tenant_id,
            replaced_by,
            most,
        )
        for number, change, document_id in alerts:
            self._run(
                "DELETE FROM alert WHERE tenant_id = ? AND alert_number = ? AND change = ?", tenant_id, number, change
            )
            self._run("DELETE FROM alert_document WHERE document_id = ?", document_id)
        if rows or alerts:
            statement = "UPDATE tenant SET states_since = max(states_since, ?2) WHERE tenant_id = ?1"
            self._run(statement, tenant_id, replaced_by)
        return len(rows) + len(alerts)

    def _last_change_before(self, tenant_id: int, before: int) -> int:
        """The greatest change number whose moment is before these ticks: moments rise with the numbers, so halve."""
        (found,) = self._rows("SELECT coalesce(max(change), 0) FROM change_log WHERE tenant_id = ?", tenant_id)
        low, high = 0, found[0]
        while low < high:
            middle = (low + high + 1) // 2
            (probe,) = self._rows(
                "SELECT change, at FROM change_log WHERE tenant_id = ? AND change >= ? ORDER BY change LIMIT 1",
                tenant_id,
                middle,
            )
            if probe[1] < before:
                low = probe[0]
            else:
                high = middle - 1
        return low

    def log(self, tenant_id: int, before: int, most: int) -> int:
        """Remove lines of the change log from before these ticks."""
        self._run(
            "DELETE FROM change_log WHERE tenant_id = ?1 AND change IN "
            "(SELECT change FROM change_log WHERE tenant_id = ?1 AND change <= ?2 ORDER BY change LIMIT ?3)",
            tenant_id,
            self._last_change_before(tenant_id, before),
            most,
        )
        return self._connection.changes()

    def refused(self, tenant_id: int, before: int, kept_max: int, bytes_max: int, most: int) -> int:
        """Remove refused inputs that came before these ticks, and the oldest above `kept_max` inputs or `bytes_max`."""
        self._run(
            "DELETE FROM refused WHERE refused_id IN (SELECT refused_id FROM (SELECT refused_id, received, "
            "row_number() OVER newest_first AS place, sum(length(body)) OVER newest_first AS size "
            "FROM refused WHERE tenant_id = ?1 WINDOW newest_first AS (ORDER BY refused_id DESC)) "
            "WHERE received < ?2 OR place > ?3 OR size > ?4 ORDER BY refused_id LIMIT ?5)",
            tenant_id,
            before,
            kept_max,
            bytes_max,
            most,
        )
        return self._connection.changes()

    def memories(self, before: int, after: tuple[int, int], most: int) -> tuple[int, int] | None:
        """Look at the next `most` entity memories after this (tenant, key) and remove those last written before.

        Gives where the next look begins, or None at the end. There is no index by time: memories are only ever
        looked up by key, and a slow walk around them once a day costs less than an index on every write.
        """
        rows = self._rows(
            "SELECT tenant_id, entity_key, touched FROM entity_memory WHERE (tenant_id, entity_key) > (?, ?) "
            "ORDER BY tenant_id, entity_key LIMIT ?",
            *after,
            most,
        )
        last = None
        for tenant_id, key, touched in rows:
            last = (tenant_id, key)
            if touched < before:
                self._run("DELETE FROM entity_memory WHERE tenant_id = ? AND entity_key = ?", tenant_id, key)
        return last if len(rows) == most else None

    def _run(self, statement: str, *values: apsw.SQLiteValue) -> None:
        self._connection.execute(statement, values)

    def _rows(self, statement: str, *values: apsw.SQLiteValue) -> list[tuple[int, ...]]:
        rows: list[tuple[int, ...]] = self._connection.execute(statement, values).fetchall()  # type: ignore[assignment]
        return rows
