"""What a merge took, kept with the husk so that the merge can be undone; and the links that tie alerts together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import apsw
import msgspec

from tocsin.correlation.memory import IncidentFacts
from tocsin.documents import IncidentHeader, decode_header, encode_header

_facts_decoder = msgspec.msgpack.Decoder(IncidentFacts)
_numbers_decoder = msgspec.json.Decoder(tuple[int, ...])


class MergedIncident(msgspec.Struct, frozen=True):
    """An incident as it was when it was merged into `into_id`, and that one as it was before; None if it was new."""

    into_id: int
    change: int
    header: IncidentHeader
    facts: IncidentFacts
    alert_numbers: tuple[int, ...]
    into_header: IncidentHeader | None
    into_facts: IncidentFacts | None


def keep_merged(connection: apsw.Connection, tenant_id: int, husks: Iterable[tuple[int, int, int]]) -> None:
    """Keep what incidents are that become husks, as (incident, change, target); their versions are still the old ones.

    Their alerts must have been superseded by that change already.
    """
    connection.executemany(_KEEP, [(tenant_id, *husk) for husk in husks])


def find_merged(connection: apsw.Connection, tenant_id: int, incident_id: int) -> MergedIncident | None:
    """What is kept of a husk, or None: it was opened and merged in one moment, or before such things were kept."""
    row = connection.execute(
        "SELECT into_id, change, header, facts, alerts, into_header, into_facts FROM incident_merged "
        "WHERE tenant_id = ? AND incident_id = ?",
        (tenant_id, incident_id),
    ).fetchone()
    if row is None:
        return None
    into_id, change, header, facts, alerts, into_header, into_facts = row
    return MergedIncident(
        into_id,
        change,
        decode_header(header),
        _facts_decoder.decode(facts),
        _numbers_decoder.decode(alerts),
        None if into_header is None else decode_header(into_header),
        None if into_facts is None else _facts_decoder.decode(into_facts),
    )


def keep_without(
    connection: apsw.Connection, tenant_id: int, incident_id: int, header: IncidentHeader, alert_numbers: Sequence[int]
) -> None:
    """Change what is kept of a husk, after one that had been merged into it was brought back to life."""
    connection.execute(
        "UPDATE incident_merged SET header = ?, alerts = ? WHERE tenant_id = ? AND incident_id = ?",
        (encode_header(header), msgspec.json.encode(alert_numbers).decode(), tenant_id, incident_id),
    )


def forget_merged(connection: apsw.Connection, tenant_id: int, incident_id: int) -> None:
    """The incident is no husk any more, or is gone."""
    connection.execute("DELETE FROM incident_merged WHERE tenant_id = ? AND incident_id = ?", (tenant_id, incident_id))


def was_parted_since(connection: apsw.Connection, tenant_id: int, incident_ids: Sequence[int], change: int) -> bool:
    """Whether people took alerts out of one of these incidents, or into it out of others, after this change."""
    return bool(
        connection.execute(
            "SELECT EXISTS (SELECT 1 FROM json_each(?3) CROSS JOIN change_log INDEXED BY change_log_by_incident "
            "ON tenant_id = ?1 AND incident_id = value "
            "WHERE change > ?2 AND action IN ('split', 'alerts-moved', 'alerts-taken', 'unmerged'))",
            (tenant_id, change, msgspec.json.encode(incident_ids).decode()),
        ).get
    )


def find_edges(connection: apsw.Connection, tenant_id: int, incident_id: int) -> list[tuple[int, int, int]]:
    """Why the current alerts of an incident are together, as (alert, earlier alert, merged incident or 0)."""
    rows = connection.execute(
        "SELECT link.alert_number, earlier_alert, merged_incident FROM alert INDEXED BY alert_by_incident "
        "CROSS JOIN link USING (tenant_id, alert_number) "
        "WHERE alert.tenant_id = ? AND alert.incident_id = ? AND superseded_by IS NULL ORDER BY 1, 3",
        (tenant_id, incident_id),
    )
    return [(int(number), int(earlier), int(merged)) for number, earlier, merged in rows]


_KEEP: Final = """
INSERT OR REPLACE INTO incident_merged
    (tenant_id, incident_id, change, into_id, header, facts, alerts, into_header, into_facts)
SELECT ?1, ?2, ?3, ?4, own.header, own.facts,
    (SELECT json_group_array(alert_number ORDER BY alert_number) FROM alert INDEXED BY alert_by_incident
     WHERE tenant_id = ?1 AND incident_id = ?2 AND superseded_by = ?3),
    target_document.header, target_document.facts
FROM incident AS source JOIN incident_document AS own USING (document_id)
LEFT JOIN incident AS target ON target.tenant_id = ?1 AND target.incident_id = ?4
LEFT JOIN incident_document AS target_document ON target_document.document_id = target.document_id
WHERE source.tenant_id = ?1 AND source.incident_id = ?2
"""
