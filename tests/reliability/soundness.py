"""What must be true of every store at every moment, checked from its tables."""

from __future__ import annotations

from collections import Counter
from typing import Any

import apsw

from tocsin.documents import decode_alert, decode_header, stamp_of
from tocsin.model import IncidentStatus


def rows(connection: apsw.Connection, statement: str, *values: Any) -> list[Any]:
    """All rows of a statement."""
    return connection.execute(statement, values).fetchall()


def counts(connection: apsw.Connection) -> dict[str, int]:
    """Rows of each table, and the counters of tenants: equal before and after means that nothing was written."""
    tables = [name for (name,) in rows(connection, "SELECT name FROM sqlite_schema WHERE type = 'table'")]
    found = {table: rows(connection, f"SELECT count(*) FROM {table}")[0][0] for table in tables}
    (counters,) = rows(connection, "SELECT sum(last_change), sum(last_incident), sum(last_alert) FROM tenant")
    return found | dict(zip(("change", "incident id", "alert number"), counters, strict=True))


def stored_identities(connection: apsw.Connection) -> list[str]:
    """The sender's ids of all current alerts, sorted."""
    found = rows(connection, "SELECT identity FROM alert WHERE superseded_by IS NULL")
    return sorted(str(identity).rpartition(":")[2] for (identity,) in found)


def assert_sound(connection: apsw.Connection) -> None:
    """Everything below, for all tenants."""
    assert connection.execute("PRAGMA integrity_check").get == "ok"
    for (tenant_id,) in rows(connection, "SELECT tenant_id FROM tenant"):
        _assert_numbers_are_dense(connection, tenant_id)
        _assert_incidents_hold_their_alerts(connection, tenant_id)
    _assert_no_document_is_orphaned(connection)


def _assert_numbers_are_dense(connection: apsw.Connection, tenant_id: int) -> None:
    counters = "SELECT last_change, last_stamp, last_incident, last_alert FROM tenant WHERE tenant_id = ?"
    last_change, last_stamp, last_incident, last_alert = rows(connection, counters, tenant_id)[0]
    log = rows(connection, "SELECT change, at FROM change_log WHERE tenant_id = ? ORDER BY change", tenant_id)
    assert [change for change, _ in log] == list(range(1, last_change + 1))
    assert [at for _, at in log] == sorted({at for _, at in log})
    assert not log or log[-1][1] == last_stamp
    ids = rows(connection, "SELECT incident_id FROM incident WHERE tenant_id = ? ORDER BY 1", tenant_id)
    assert [each for (each,) in ids] == list(range(1, last_incident + 1))
    numbers = "SELECT alert_number FROM alert WHERE tenant_id = ? AND superseded_by IS NULL ORDER BY 1"
    assert [each for (each,) in rows(connection, numbers, tenant_id)] == list(range(1, last_alert + 1))


def _assert_incidents_hold_their_alerts(connection: apsw.Connection, tenant_id: int) -> None:
    held = Counter(
        incident_id
        for (incident_id,) in rows(
            connection, "SELECT incident_id FROM alert WHERE tenant_id = ? AND superseded_by IS NULL", tenant_id
        )
    )
    incidents = rows(
        connection,
        "SELECT incident_id, last_update, alert_count, header FROM incident JOIN incident_document "
        "USING (document_id) WHERE incident.tenant_id = ?",
        tenant_id,
    )
    headers = {}
    for incident_id, last_update, alert_count, raw in incidents:
        header = headers[incident_id] = decode_header(raw)
        assert alert_count == held[incident_id]
        assert stamp_of(header.last_update_time) == last_update
        assert (header.status is IncidentStatus.REDIRECTED) == (header.redirect_incident_id is not None)
        assert (alert_count == 0) == (header.status is IncidentStatus.REDIRECTED)
    assert set(held) <= set(headers)
    for header in headers.values():
        if header.redirect_incident_id is not None:
            assert header.redirect_incident_id in headers
    documents = rows(
        connection,
        "SELECT incident_id, document FROM alert JOIN alert_document USING (document_id) "
        "WHERE alert.tenant_id = ? AND superseded_by IS NULL",
        tenant_id,
    )
    assert all(decode_alert(document).incident_id == incident_id for incident_id, document in documents)


def _assert_no_document_is_orphaned(connection: apsw.Connection) -> None:
    used = "SELECT document_id FROM incident UNION ALL SELECT document_id FROM incident_superseded"
    for table, owners in (("incident_document", used), ("alert_document", "SELECT document_id FROM alert")):
        documents = rows(connection, f"SELECT document_id FROM {table} ORDER BY 1")
        assert documents == rows(connection, f"{owners} ORDER BY 1")
