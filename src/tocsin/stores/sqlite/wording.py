"""Which incidents a person's words fit: names, devices, people and titles, and addresses and the like in alerts.

A look has a bounded price: only the newest incidents and alerts are looked at. Every read takes a Scope.
"""

from __future__ import annotations

import json
from typing import Any, Final

import apsw
import msgspec

from tocsin.access import Scope
from tocsin.correlation.memory import IncidentFacts
from tocsin.documents import IncidentHeader, decode_header
from tocsin.stores.sqlite.reading import ReadStore
from tocsin.stores.sqlite.sight import newest_alerts

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
    if scope.is_empty:
        return ()
    words = text.lower().split()
    found: dict[int, None] = {}
    if scope.whole_tenant:
        _among_all(connection, scope, words, not_before, found)
    else:
        store = ReadStore(connection)
        for row in store.find_incidents(scope, top=INCIDENTS_LOOKED_AT, not_before=not_before):
            if _fits(words, *store.told(row)):
                found[row.incident_id] = None
    if any(not each.isalnum() for each in text.strip()) and len(words) == 1:
        found.update(dict.fromkeys(_in_alerts(connection, scope, text.strip())))
    return tuple(found)[:FOUND_MAX]


def _among_all(
    connection: apsw.Connection, scope: Scope, words: list[str], not_before: int, found: dict[int, None]
) -> None:
    rows: Any = connection.execute(
        # The plus keeps last_update from choosing the index: rows are taken from the newest change downwards.
        "SELECT incident_id, header, facts FROM (SELECT incident_id, document_id FROM incident "
        "WHERE tenant_id = ? AND +last_update >= ? ORDER BY change DESC LIMIT ?) "
        "CROSS JOIN incident_document USING (document_id)",
        (scope.tenant_id, not_before, INCIDENTS_LOOKED_AT),
    )
    for incident_id, header, facts in rows:
        if _fits(words, decode_header(header), _facts_decoder.decode(facts)):
            found[incident_id] = None


def _fits(words: list[str], header: IncidentHeader, facts: IncidentFacts) -> bool:
    told = "\n".join((header.incident_name, *facts.devices, *facts.users, *facts.titles)).lower()
    return all(word in told for word in words)


def _in_alerts(connection: apsw.Connection, scope: Scope, text: str) -> list[int]:
    """Incidents with an alert whose document has the text as it is or in lower case."""
    written = [json.dumps(each, ensure_ascii=False)[1:-1].encode("utf-8", "replace") for each in (text, text.lower())]
    source, alerts = newest_alerts(connection, scope)
    rows = connection.execute(
        f"SELECT DISTINCT incident_id FROM (SELECT incident_id, document_id FROM {source} "  # noqa: S608
        "ORDER BY alert_number DESC LIMIT ?2) "
        "CROSS JOIN alert_document USING (document_id) WHERE instr(document, ?3) OR instr(document, ?4)",
        (scope.tenant_id, ALERTS_LOOKED_AT, *written, alerts),
    )
    return [int(row[0]) for row in rows]
