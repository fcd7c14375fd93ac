"""Finished objects of the Graph form: stored versions in, JSON out, with a cache for alerts.

A version of an alert never changes, so what was made of it once is never stale; it is kept under its change number
and under what the caller knows of enumerations. Incidents are cheap to make and are not kept.
"""

from __future__ import annotations

from typing import Final

from tocsin import narrative
from tocsin.access import Scope
from tocsin.dialects import graph_objects
from tocsin.dialects.graph_objects import Speaking
from tocsin.documents import decode_alert
from tocsin.odata.shaping import Shape
from tocsin.service import Service
from tocsin.stores.sqlite.alerts import AlertVersion
from tocsin.stores.sqlite.reading import IncidentRow

CACHE_BYTES_MAX: Final = 32 * 1024 * 1024


class GraphReading:
    """Makes what is shown of what was found. The scope was applied when it was found, or is applied here."""

    def __init__(self, service: Service, cache_bytes_max: int = CACHE_BYTES_MAX) -> None:
        self._service, self._cache_bytes_max = service, cache_bytes_max
        self._alerts: dict[tuple[Speaking, int, int], bytes] = {}
        self._cached_bytes = 0

    def incident(
        self, speaking: Speaking, scope: Scope, row: IncidentRow, shape: Shape, *, narrated: bool = False
    ) -> bytes:
        """One incident, with its alerts where they are expanded. A summary is made of the alerts where it is
        `narrated`, which costs reading them; without it the property is null."""
        reader = self._service.reader
        urgency = self._service.feedback.priority(scope, reader.facts(row))
        wanted = narrated and (shape.select is None or "summary" in shape.select)
        summary = self._summary(scope, row) if wanted else None
        made = graph_objects.incident_object(speaking, row.incident_id, reader.header(row), urgency, summary)
        made = graph_objects.selected(made, shape.select)
        if "alerts" not in shape.expanded:
            return made
        chosen = shape.expanded["alerts"]
        versions = self._service.alerts.alerts_of(scope, row.incident_id, row.change)
        return graph_objects.with_alerts(made, [self.alert(speaking, version, chosen) for version in versions])

    def _summary(self, scope: Scope, row: IncidentRow) -> str | None:
        alerts = self._service.alerts
        versions = alerts.alerts_of(scope, row.incident_id, row.change)
        documents = [decode_alert(alerts.document(version)[0]) for version in versions[: narrative.ALERTS_MAX]]
        told = narrative.narrate(documents, len(versions))
        return None if told is None else told.text

    def alert(self, speaking: Speaking, version: AlertVersion, chosen: frozenset[str] | None) -> bytes:
        """One alert that was found within the caller's scope."""
        key = (speaking, version.alert_number, version.change)
        found = self._alerts.pop(key, None)
        if found is None:
            found = graph_objects.alert_object(speaking, *self._service.alerts.document(version))
            self._cached_bytes += len(found)
        self._alerts[key] = found  # popped and put back: the oldest use comes first
        while self._cached_bytes > self._cache_bytes_max:
            self._cached_bytes -= len(self._alerts.pop(next(iter(self._alerts))))
        return graph_objects.selected(found, chosen)
