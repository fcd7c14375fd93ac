"""Writing incidents and alerts: the statements of the hot path, inside a transaction that the caller holds.

Only the one writer uses this. What to write is decided elsewhere (`ingest.py`); here is how it is kept:
versions, documents, links, the change log and the tenant's counters.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import Any, Final

import apsw
import msgspec

from tocsin.correlation.memory import IncidentFacts
from tocsin.documents import IncidentHeader, decode_header, encode_header
from tocsin.errors import NotFound
from tocsin.stores.codes import encode_enum
from tocsin.stores.sqlite.alerts import INSERT_SEARCH, search_row
from tocsin.stores.sqlite.blocks import count_blocks
from tocsin.stores.sqlite.entities import EntityMemories
from tocsin.stores.sqlite.exposure import Exposures
from tocsin.stores.sqlite.merged import keep_merged
from tocsin.stores.sqlite.tuning import TuningsInForce

LIVE_CACHE_MAX: Final = 10_000
REFUSED_REMEMBERED_MAX: Final = 10_000

_facts_encoder = msgspec.msgpack.Encoder()
_facts_decoder = msgspec.msgpack.Decoder(IncidentFacts)


class Counters(msgspec.Struct):
    """A tenant's counters inside one transaction: read at its start, written at its end."""

    tenant_id: int
    guid: str
    last_change: int
    last_stamp: int
    last_incident: int
    last_alert: int
    retention_days: int
    """The tenant's own, 0 for the setting's; never written back."""

    def next_change(self, clock: int) -> tuple[int, int]:
        """The next change number and its stamp in ticks: later than every stamp before, whatever the clock says."""
        self.last_change += 1
        self.last_stamp = max(clock, self.last_stamp + 1)
        return self.last_change, self.last_stamp


class LiveIncident(msgspec.Struct, frozen=True):
    """The current version of an incident as the writer needs it. `change` 0: not written yet."""

    incident_id: int
    change: int
    created: int
    header: IncidentHeader
    facts: IncidentFacts


class NewAlert(msgspec.Struct, frozen=True):
    """A row to write: an alert that was not there before, or one that moved (its old version is superseded)."""

    alert_number: int
    change: int
    incident_id: int
    sender: str
    identity: str
    document: bytes
    rest: bytes


class NewLink(msgspec.Struct, frozen=True):
    """A reason to write. `merged_incident` is 0 where the alert joined, else the incident that was merged."""

    alert_number: int
    merged_incident: int
    incident_id: int
    earlier_alert: int
    change: int
    score: float
    evidence: bytes


class LogEntry(msgspec.Struct, frozen=True):
    """One row of the change log. `detail` is JSON text."""

    change: int
    at: int
    incident_id: int
    actor: str
    action: str
    detail: str


class WriteStore:
    """The writer's half of the store: one connection, one thread. Its caches are dropped by a rollback."""

    def __init__(self, connection: apsw.Connection) -> None:
        self.connection = connection
        self.entities = EntityMemories(connection)
        self.exposures = Exposures(connection)
        self.tunings = TuningsInForce(connection)
        self._live: dict[tuple[int, int], LiveIncident] = {}
        self._refused_lately: dict[tuple[int, str, bytes], int] = {}
        self._number_documents()
        self._wal_pages = self._wal_left = 0
        connection.set_wal_hook(self._note_wal)

    def begin(self) -> None:
        """Start the transaction that `commit` or `rollback` ends."""
        self.connection.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """Make the transaction durable (synchronous=FULL: on the disk when this returns)."""
        self.connection.execute("COMMIT")
        self.entities.committed()

    def rollback(self) -> None:
        """Forget the transaction and every cached state; harmless where none is open."""
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")
        self._live.clear()
        self.entities.rolled_back()
        self.exposures.forget()
        self.tunings.forget()
        self._number_documents()

    def _number_documents(self) -> None:
        """Count documents on from the greatest stored: there is one writer, so many can be inserted at once."""
        self._alert_document_ids = self._ids_after("SELECT coalesce(max(document_id), 0) FROM alert_document")
        self._incident_document_ids = self._ids_after("SELECT coalesce(max(document_id), 0) FROM incident_document")

    def _ids_after(self, statement: str) -> Iterator[int]:
        return itertools.count(int(self.connection.execute(statement).get) + 1)

    def forget_live(self) -> None:
        """Drop what is cached of incidents and devices, after some were deleted."""
        self._live.clear()
        self.exposures.forget()

    def checkpoint(self, pages: int, pages_hard: int) -> None:
        """Fold the write-ahead log into the file when it is long; at `pages_hard` wait for readers to let go of it."""
        length = self._wal_pages
        if length < pages or length < 2 * self._wal_left:
            return
        mode = apsw.SQLITE_CHECKPOINT_RESTART if length >= pages_hard else apsw.SQLITE_CHECKPOINT_PASSIVE
        try:
            total, done = self.connection.wal_checkpoint(mode=mode)
        except apsw.BusyError:
            total, done = length, 0
        self._wal_left = max(0, total - done)
        if self._wal_left == 0:
            self._wal_pages = 0

    def _note_wal(self, _connection: apsw.Connection, _name: str, pages: int) -> int:
        self._wal_pages = pages
        return apsw.SQLITE_OK

    def counters(self, tenant_id: int) -> Counters:
        """The tenant's counters as of now. Raises NotFound."""
        row = self.connection.execute(
            "SELECT tenant_id, guid, last_change, last_stamp, last_incident, last_alert, coalesce(retention_days, 0) "
            "FROM tenant WHERE tenant_id = ?",
            (tenant_id,),
        ).fetchone()
        if row is None:
            raise NotFound(f"there is no tenant {tenant_id}")
        return Counters(*row)

    def save_counters(self, counters: Counters) -> None:
        """Write the counters back at the end of the transaction."""
        self.connection.execute(
            "UPDATE tenant SET last_change = ?, last_stamp = ?, last_incident = ?, last_alert = ? WHERE tenant_id = ?",
            (
                counters.last_change,
                counters.last_stamp,
                counters.last_incident,
                counters.last_alert,
                counters.tenant_id,
            ),
        )

    def find_known(self, tenant_id: int, sender: str, identities: Sequence[str]) -> dict[str, tuple[int, int]]:
        """Of these identities, those already stored: identity -> (alert number, incident id as of now)."""
        rows = self.connection.execute(
            "SELECT identity, alert_number, incident_id FROM carray(?3) CROSS JOIN alert "
            "ON tenant_id = ?1 AND sender = ?2 AND identity = value AND superseded_by IS NULL",
            (tenant_id, sender, apsw.carray(tuple(identities))),
        )
        return {str(identity): (int(number), int(incident)) for identity, number, incident in rows}

    def live(self, tenant_id: int, incident_id: int) -> LiveIncident | None:
        """The current version of an incident, husks included, or None where there is none."""
        found = self._live.get((tenant_id, incident_id))
        if found is None:
            row = self.connection.execute(
                "SELECT change, created, header, facts FROM incident JOIN incident_document USING (document_id) "
                "WHERE incident.tenant_id = ? AND incident_id = ?",
                (tenant_id, incident_id),
            ).fetchone()
            if row is None:
                return None
            change, created, header, facts = row
            found = LiveIncident(incident_id, change, created, decode_header(header), _facts_decoder.decode(facts))
            self._keep_live(tenant_id, found)
        return found

    def _keep_live(self, tenant_id: int, incident: LiveIncident) -> None:
        if len(self._live) >= LIVE_CACHE_MAX:
            for oldest in list(self._live)[: LIVE_CACHE_MAX // 2]:
                del self._live[oldest]
        self._live[tenant_id, incident.incident_id] = incident

    def write_versions(self, tenant_id: int, versions: Sequence[tuple[LiveIncident, int, int]]) -> None:
        """Write new versions, each as (incident with its new change, the change replaced or 0, last_update ticks).

        Of one that becomes a husk it is kept what it was; its alerts must have been superseded before.
        """
        replaced = [(tenant_id, before, incident.change) for incident, before, _ in versions if before]
        run = self.connection.executemany
        husks = [
            (incident.incident_id, incident.change, incident.header.redirect_incident_id)
            for incident, before, _ in versions
            if before and incident.header.redirect_incident_id is not None
        ]
        if husks:
            keep_merged(self.connection, tenant_id, husks)
        if replaced:
            run(_SUPERSEDE, replaced)
            run("DELETE FROM incident WHERE tenant_id = ? AND change = ?", [each[:2] for each in replaced])
        documents, rows = [], []
        for incident, _, last_update in versions:
            header, document_id = incident.header, next(self._incident_document_ids)
            documents.append((document_id, tenant_id, encode_header(header), _facts_encoder.encode(incident.facts)))
            rows.append(
                (
                    tenant_id,
                    incident.change,
                    incident.incident_id,
                    last_update,
                    incident.created,
                    encode_enum(header.status),
                    encode_enum(header.severity),
                    encode_enum(header.classification),
                    encode_enum(header.determination),
                    header.assigned_to,
                    incident.facts.alert_count,
                    document_id,
                )
            )
            self._keep_live(tenant_id, incident)
        run("INSERT INTO incident_document (document_id, tenant_id, header, facts) VALUES (?, ?, ?, ?)", documents)
        run(_INSERT_INCIDENT, rows)
        gone = [before for _, before, _ in versions if before]
        count_blocks(self.connection, tenant_id, new=[incident.change for incident, _, _ in versions], gone=gone)

    def revise_marks(self, tenant_id: int, incident: LiveIncident, apart: tuple[int, ...]) -> None:
        """Let an incident know what it must stay apart from, in the version it has: no reader is shown that."""
        facts = msgspec.structs.replace(incident.facts, apart=apart)
        self.connection.execute(
            "UPDATE incident_document SET facts = ? WHERE document_id = "
            "(SELECT document_id FROM incident WHERE tenant_id = ? AND change = ?)",
            (_facts_encoder.encode(facts), tenant_id, incident.change),
        )
        self._keep_live(tenant_id, msgspec.structs.replace(incident, facts=facts))

    def write_alerts(self, tenant_id: int, alerts: Sequence[NewAlert]) -> None:
        """Write new alerts, or new versions of moved ones (supersede the old with `move_out` first)."""
        if not alerts:
            return
        documents, rows = [], []
        for alert in alerts:
            document_id = next(self._alert_document_ids)
            documents.append((document_id, tenant_id, alert.document, alert.rest))
            rows.append(
                (
                    tenant_id,
                    alert.alert_number,
                    alert.change,
                    alert.incident_id,
                    document_id,
                    alert.sender,
                    alert.identity,
                )
            )
        run = self.connection.executemany
        run("INSERT INTO alert_document (document_id, tenant_id, document, rest) VALUES (?, ?, ?, ?)", documents)
        run(_INSERT_ALERT, rows)
        run(INSERT_SEARCH, [search_row(tenant_id, each.change, each.alert_number, each.document) for each in alerts])

    def move_out(self, tenant_id: int, incident_id: int, change: int) -> list[NewAlert]:
        """Mark all alerts of an incident superseded by `change` and give them as they were."""
        rows = self.connection.execute(
            "SELECT alert_number, sender, identity, document, rest "
            "FROM alert INDEXED BY alert_by_incident CROSS JOIN alert_document USING (document_id) "
            "WHERE alert.tenant_id = ? AND incident_id = ? AND superseded_by IS NULL",
            (tenant_id, incident_id),
        ).fetchall()
        moved = [
            NewAlert(number, change, incident_id, sender, identity, document, rest)
            for number, sender, identity, document, rest in map(_alert_columns, rows)
        ]
        self.connection.execute(
            "UPDATE alert INDEXED BY alert_by_incident SET superseded_by = ? "
            "WHERE tenant_id = ? AND incident_id = ? AND superseded_by IS NULL",
            (change, tenant_id, incident_id),
        )
        return moved

    def find_alerts(self, tenant_id: int, incident_id: int) -> list[NewAlert]:
        """The current alerts of an incident, each as its current version, in the order in which they came."""
        return self._current_alerts("AND incident_id = ? ORDER BY alert_number", tenant_id, incident_id)

    def get_alert(self, tenant_id: int, alert_number: int) -> NewAlert:
        """The current version of one alert. Raises NotFound."""
        for found in self._current_alerts("AND alert_number = ?", tenant_id, alert_number):
            return found
        raise NotFound(f"Alert {alert_number} was not found")

    def _current_alerts(self, which: str, *values: int) -> list[NewAlert]:
        rows = self.connection.execute(_CURRENT_ALERTS + which, values)
        return [NewAlert(*row) for row in rows]

    def supersede_alerts(self, tenant_id: int, alerts: Sequence[NewAlert], change: int) -> None:
        """Mark these versions as replaced by `change`; `write_alerts` writes what replaces them."""
        self.connection.executemany(
            "UPDATE alert SET superseded_by = ? WHERE tenant_id = ? AND alert_number = ? AND change = ?",
            [(change, tenant_id, alert.alert_number, alert.change) for alert in alerts],
        )

    def write_links(self, tenant_id: int, links: Iterable[NewLink]) -> None:
        """Write why alerts joined and incidents merged."""
        self.connection.executemany(
            "INSERT INTO link (tenant_id, alert_number, merged_incident, incident_id, earlier_alert, change, score, "
            "evidence) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [(tenant_id, *msgspec.structs.astuple(link)) for link in links],
        )

    def write_log(self, tenant_id: int, entries: Iterable[LogEntry]) -> None:
        """Append to the change log."""
        self.connection.executemany(
            "INSERT INTO change_log (tenant_id, change, at, incident_id, actor, action, detail) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            [(tenant_id, *msgspec.structs.astuple(entry)) for entry in entries],
        )

    def write_refused(
        self, tenant_id: int, received: int, sender: str, lines: Iterable[tuple[int, str, bytes]], *, anew: bool
    ) -> list[int]:
        """Keep input that could not be read, as (line, reason, body); gives the ids to name them by.

        What is kept of a sender already is not kept twice, as far as those refused lately are remembered; unless it
        is to be kept `anew`, under an id that is greater than all before.
        """
        ids = []
        for line, reason, body in lines:
            mark = (tenant_id, sender, blake2b(body, digest_size=16).digest())
            kept = self._refused_lately.get(mark, 0)
            if kept and not anew and self._is_refused(kept, tenant_id, sender, body):
                ids.append(kept)
                continue
            self.connection.execute(
                "INSERT INTO refused (tenant_id, received, sender, line, reason, body) VALUES (?, ?, ?, ?, ?, ?)",
                (tenant_id, received, sender, line, reason, body),
            )
            ids.append(self.connection.last_insert_rowid())
            if len(self._refused_lately) >= REFUSED_REMEMBERED_MAX:
                del self._refused_lately[next(iter(self._refused_lately))]
            self._refused_lately[mark] = ids[-1]
        return ids

    def _is_refused(self, refused_id: int, tenant_id: int, sender: str, body: bytes) -> bool:
        """The memory is a hint alone: a rolled back or deleted row is not there, or is another's."""
        return bool(
            self.connection.execute(
                "SELECT EXISTS (SELECT 1 FROM refused "
                "WHERE refused_id = ? AND tenant_id = ? AND sender = ? AND body = ?)",
                (refused_id, tenant_id, sender, body),
            ).get
        )

    def drop_refused(self, tenant_id: int, refused_ids: Sequence[int]) -> None:
        """Forget refused inputs that were sent again (each attempt that fails is kept anew)."""
        self.connection.executemany(
            "DELETE FROM refused WHERE tenant_id = ? AND refused_id = ?",
            [(tenant_id, refused_id) for refused_id in refused_ids],
        )


def _alert_columns(row: Sequence[Any]) -> tuple[int, str, str, bytes, bytes]:
    number, sender, identity, document, rest = row
    return number, sender, identity, document, rest


_CURRENT_ALERTS: Final = """
SELECT alert_number, change, incident_id, sender, identity, document, rest
FROM alert CROSS JOIN alert_document USING (document_id)
WHERE superseded_by IS NULL AND alert.tenant_id = ? """

_SUPERSEDE: Final = """
INSERT INTO incident_superseded (tenant_id, superseded_by, change, incident_id, last_update, created, status, severity,
    classification, determination, assigned_to, alert_count, document_id)
SELECT tenant_id, ?3, change, incident_id, last_update, created, status, severity,
    classification, determination, assigned_to, alert_count, document_id
FROM incident WHERE tenant_id = ?1 AND change = ?2
"""

_INSERT_INCIDENT: Final = """
INSERT INTO incident (tenant_id, change, incident_id, last_update, created, status, severity, classification,
    determination, assigned_to, alert_count, document_id)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

_INSERT_ALERT: Final = """
INSERT INTO alert (tenant_id, alert_number, change, incident_id, document_id, sender, identity)
VALUES (?, ?, ?, ?, ?, ?, ?)
"""
