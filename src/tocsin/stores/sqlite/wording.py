"""Which incidents a person's words fit: names, devices, people and titles, and addresses and the like in alerts.

A look has a bounded price: only the newest incidents and alerts are looked at. Every read takes a Scope.
"""

from __future__ import annotations

import json
from typing import Final

import apsw
import msgspec

from tocsin.access import Scope
from tocsin.correlation.memory import IncidentFacts
from tocsin.documents import decode_header

INCIDENTS_LOOKED_AT: Final = 5_000
ALERTS_LOOKED_AT: Final = 20_000
FOUND_MAX: Final = 1_000

_facts_decoder = msgspec.msgpack.Decoder(IncidentFacts)


def incidents_about(connection: apsw.Connection, scope: Scope, text: str, *, not_before: int) -> tuple[int, ...]:
    """Numbers of incidents that fit, at most `FOUND_MAX`, those of the newest change first.

    Every word of the text must be in the incident's name, or in one that it has of its devices, people and alerts.
    What looks like no plain word (an address, a domain, a path) is looked for in the alerts themselves as well.
    `not_before` is the retention cut-off in ticks.
    """
    if not scope.whole_tenant:
        return ()
    words = text.lower().split()
    found: dict[int, None] = {}
    rows = connection.execute(
        # The plus keeps last_update from choosing the index: rows are taken from the newest change downwards.
        "SELECT incident_id, header, facts FROM (SELECT incident_id, document_id FROM incident "
        "WHERE tenant_id = ? AND +last_update >= ? ORDER BY change DESC LIMIT ?) "
        "CROSS JOIN incident_document USING (document_id)",
        (scope.tenant_id, not_before, INCIDENTS_LOOKED_AT),
    )
    for incident_id, header, facts in rows:
        if _fits(words, header, facts):
            found[incident_id] = None
    if any(not each.isalnum() for each in text.strip()) and len(words) == 1:
        found.update(dict.fromkeys(_in_alerts(connection, scope, text.strip())))
    return tuple(found)[:FOUND_MAX]


def _fits(words: list[str], header: bytes, facts: bytes) -> bool:
    known = _facts_decoder.decode(facts)
    told = "\n".join((decode_header(header).incident_name, *known.devices, *known.users, *known.titles)).lower()
    return all(word in told for word in words)


def _in_alerts(connection: apsw.Connection, scope: Scope, text: str) -> list[int]:
    """Incidents with an alert whose document has the text as it is or in lower case."""
    written = [json.dumps(each, ensure_ascii=False)[1:-1].encode("utf-8", "replace") for each in (text, text.lower())]
    rows = connection.execute(
        "SELECT DISTINCT incident_id FROM (SELECT incident_id, document_id FROM alert "
        "WHERE tenant_id = ?1 AND superseded_by IS NULL ORDER BY alert_number DESC LIMIT ?2) "
        "CROSS JOIN alert_document USING (document_id) WHERE instr(document, ?3) OR instr(document, ?4)",
        (scope.tenant_id, ALERTS_LOOKED_AT, *written),
    )
    return [int(row[0]) for row in rows]
