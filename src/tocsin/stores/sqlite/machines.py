"""Alerts that name devices: what machines are made of, which have no table of their own.

A look has a bounded price: only the newest alerts are looked at. Every read takes a Scope.
"""

from __future__ import annotations

from typing import Final

import apsw

from tocsin.access import Scope
from tocsin.stores.sqlite.sight import newest_alerts

ALERTS_LOOKED_AT: Final = 20_000


def alerts_on_devices(
    connection: apsw.Connection, scope: Scope, *, holding: bytes, not_before: int, looked_at: int = ALERTS_LOOKED_AT
) -> list[bytes]:
    """Alert documents that have the bytes `holding`, newest alert first, of the newest `looked_at` alerts.

    `not_before` is the retention cut-off in ticks: an alert goes with its incident.
    """
    if scope.is_empty:
        return []
    source, alerts = newest_alerts(connection, scope)
    rows = connection.execute(
        f"SELECT document FROM (SELECT alert_number, incident_id, document_id FROM {source} "  # noqa: S608
        "ORDER BY alert_number DESC LIMIT ?2) AS newest "
        "CROSS JOIN incident ON incident.tenant_id = ?1 AND incident.incident_id = newest.incident_id "
        "CROSS JOIN alert_document ON alert_document.document_id = newest.document_id "
        "WHERE last_update >= ?3 AND instr(document, ?4) ORDER BY alert_number DESC",
        (scope.tenant_id, looked_at, not_before, holding, alerts),
    )
    return [bytes(row[0]) for row in rows]
