"""Graph's `security` over HTTP: incidents and alerts, single ones, updates and comments. Lists: `graph_lists.py`."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tocsin import triage
from tocsin.access import READ_ALERTS, READ_INCIDENTS, WRITE_ALERTS, WRITE_INCIDENTS
from tocsin.audit import described
from tocsin.dialects import graph, graph_objects, graph_updates
from tocsin.dialects.patching import BODY_BYTES_MAX
from tocsin.errors import NotFound
from tocsin.odata import parse_options
from tocsin.odata.options import Options
from tocsin.odata.shaping import Shape, Shapes, parse_shape
from tocsin.quotas import Operation
from tocsin.service import Service
from tocsin.stores.sqlite.alerts import AlertVersion, alert_number_of
from tocsin.stores.sqlite.managing import require_manage_alert
from tocsin.stores.sqlite.reading import IncidentRow
from tocsin.stores.sqlite.writing import WriteStore
from tocsin.web import graph_resources as resources
from tocsin.web import items
from tocsin.web.api import actor_of, change_incident, incident_id_of
from tocsin.web.bodies import read_body
from tocsin.web.graph_asking import ROOT, Asked, answering, ask
from tocsin.web.graph_lists import GraphLists
from tocsin.web.graph_reading import GraphReading
from tocsin.witness import remark


def graph_routes(service: Service) -> list[Route]:
    """Routes under `/v1.0/security` and `/beta/security`."""
    items.register()
    reading = GraphReading(service)
    incidents, alerts, lists = _Incidents(service, reading), _Alerts(service, reading), GraphLists(service, reading)
    table = [
        ("/incidents", "GET", lists.incidents),
        ("/incidents/$count", "GET", lists.incident_count),
        ("/incidents/delta", "GET", lists.changes),
        ("/incidents/delta()", "GET", lists.changes),
        ("/incidents/{incident_id:item}", "GET", incidents.get),
        ("/incidents/{incident_id:item}", "PATCH", incidents.update),
        ("/incidents/{incident_id:item}/alerts", "GET", incidents.alerts),
        ("/incidents/{incident_id:item}/comments", "GET", incidents.comments),
        ("/incidents/{incident_id:item}/comments", "POST", incidents.add_comment),
        ("/alerts_v2", "GET", lists.alerts),
        ("/alerts_v2/$count", "GET", lists.alert_count),
        ("/alerts_v2/{alert_id:item}", "GET", alerts.get),
        ("/alerts_v2/{alert_id:item}", "PATCH", alerts.update),
        ("/alerts_v2/{alert_id:item}/comments", "GET", alerts.comments),
        ("/alerts_v2/{alert_id:item}/comments", "POST", alerts.add_comment),
    ]
    return [Route(ROOT + path, answering(service, handler), methods=[method]) for path, method, handler in table]


class _Incidents:
    """Single incidents."""

    def __init__(self, service: Service, reading: GraphReading) -> None:
        self._service, self._reading = service, reading

    async def get(self, request: Request) -> Response:
        asked = ask(self._service, request, READ_INCIDENTS, Operation.GET)
        shape = _shape(request, resources.ONE_INCIDENT_OPTIONS, resources.INCIDENT_SHAPES)
        return self._shown(asked, incident_id_of(request.path_params["incident_id"]), shape)

    async def update(self, request: Request) -> Response:
        asked = ask(self._service, request, WRITE_INCIDENTS, Operation.UPDATE)
        shape = _shape(request, resources.ONE_INCIDENT_OPTIONS, resources.INCIDENT_SHAPES)
        incident_id = incident_id_of(request.path_params["incident_id"])
        changes = graph_updates.parse_incident_update(await read_body(request, BODY_BYTES_MAX))
        await change_incident(self._service, asked.principal, incident_id, changes)
        return self._shown(asked, incident_id, shape)

    async def alerts(self, request: Request) -> Response:
        """All alerts of one incident: their number is bounded where they are stored."""
        asked = ask(self._service, request, READ_INCIDENTS, Operation.GET)
        shape = _shape(request, resources.ONE_ALERT_OPTIONS, resources.ALERT_SHAPES)
        with self._service.reader.snapshot():
            row = self._row(asked, incident_id_of(request.path_params["incident_id"]))
            versions = self._service.alerts.alerts_of(asked.scope, row.incident_id, row.change)
            shown = [self._reading.alert(asked.speaking, version, shape.select) for version in versions]
        context = asked.exchange.context(f"security/incidents('{row.incident_id}')/alerts")
        return Response(graph.collection(context, shown), headers=asked.headers)

    async def comments(self, request: Request) -> Response:
        asked = ask(self._service, request, READ_INCIDENTS, Operation.GET)
        return self._remarks(asked, incident_id_of(request.path_params["incident_id"]))

    async def add_comment(self, request: Request) -> Response:
        asked = ask(self._service, request, WRITE_INCIDENTS, Operation.UPDATE)
        incident_id = incident_id_of(request.path_params["incident_id"])
        text = graph_updates.parse_comment(await read_body(request, BODY_BYTES_MAX))
        changes = triage.IncidentChanges(comment=text)
        await change_incident(self._service, asked.principal, incident_id, changes)
        return self._remarks(asked, incident_id)

    def _row(self, asked: Asked, incident_id: int) -> IncidentRow:
        return self._service.reader.get_incident(asked.scope, incident_id, not_before=asked.not_before)

    def _shown(self, asked: Asked, incident_id: int, shape: Shape) -> Response:
        with self._service.reader.snapshot():
            row = self._row(asked, incident_id)
            shown = self._reading.incident(asked.speaking, asked.scope, row, shape, narrated=True)
        body = graph.single(asked.exchange.context("security/incidents"), shown)
        return Response(body, headers=asked.headers)

    def _remarks(self, asked: Asked, incident_id: int) -> Response:
        with self._service.reader.snapshot():
            header = self._service.reader.header(self._row(asked, incident_id))
        context = asked.exchange.context(f"security/incidents('{incident_id}')/comments")
        return Response(graph.collection(context, graph_objects.comments_of(header)), headers=asked.headers)


class _Alerts:
    """Single alerts."""

    def __init__(self, service: Service, reading: GraphReading) -> None:
        self._service, self._reading = service, reading

    async def get(self, request: Request) -> Response:
        asked = ask(self._service, request, READ_ALERTS, Operation.GET_ALERT)
        shape = _shape(request, resources.ONE_ALERT_OPTIONS, resources.ALERT_SHAPES)
        return self._shown(asked, request.path_params["alert_id"], shape)

    async def update(self, request: Request) -> Response:
        asked = ask(self._service, request, WRITE_ALERTS, Operation.UPDATE_ALERT)
        shape = _shape(request, resources.ONE_ALERT_OPTIONS, resources.ALERT_SHAPES)
        changes = graph_updates.parse_alert_update(await read_body(request, BODY_BYTES_MAX))
        await self._change(asked, request.path_params["alert_id"], changes)
        return self._shown(asked, request.path_params["alert_id"], shape)

    async def comments(self, request: Request) -> Response:
        asked = ask(self._service, request, READ_ALERTS, Operation.GET_ALERT)
        return self._remarks(asked, request.path_params["alert_id"])

    async def add_comment(self, request: Request) -> Response:
        asked = ask(self._service, request, WRITE_ALERTS, Operation.UPDATE_ALERT)
        text = graph_updates.parse_comment(await read_body(request, BODY_BYTES_MAX))
        await self._change(asked, request.path_params["alert_id"], triage.AlertChanges(comment=text))
        return self._remarks(asked, request.path_params["alert_id"])

    async def _change(self, asked: Asked, alert_id: str, changes: triage.AlertChanges) -> None:
        """Commit a change of an alert that the caller may manage. Raises NotFound, Forbidden, InvalidChange."""
        service, version = self._service, self._version(asked, alert_id)

        def work(store: WriteStore) -> None:
            require_manage_alert(store.connection, asked.scope, version.alert_number, alert_id[:60])
            triage.update_alert(
                store,
                asked.tenant.tenant_id,
                version.alert_number,
                changes,
                actor=actor_of(asked.principal),
                clock=service.clock(),
                not_before=asked.not_before,
            )

        remark(described(changes))
        await asyncio.wrap_future(service.writer.perform(work))

    def _version(self, asked: Asked, alert_id: str) -> AlertVersion:
        """The alert of this id. Raises NotFound, also where only the letters before its number are wrong."""
        alerts = self._service.alerts
        version = alerts.get_alert(asked.scope, alert_number_of(alert_id), alert_id[:60], not_before=asked.not_before)
        if graph_objects.alert_id_of(alerts.document(version)[0]) != alert_id:
            raise NotFound(f"Alert {alert_id[:60]} was not found")
        return version

    def _shown(self, asked: Asked, alert_id: str, shape: Shape) -> Response:
        with self._service.reader.snapshot():
            shown = self._reading.alert(asked.speaking, self._version(asked, alert_id), shape.select)
        body = graph.single(asked.exchange.context("security/alerts_v2"), shown)
        return Response(body, headers=asked.headers)

    def _remarks(self, asked: Asked, alert_id: str) -> Response:
        with self._service.reader.snapshot():
            rest = self._service.alerts.document(self._version(asked, alert_id))[1]
        context = asked.exchange.context(f"security/alerts_v2('{alert_id}')/comments")
        return Response(graph.collection(context, graph_objects.alert_comments_of(rest)), headers=asked.headers)


def _shape(request: Request, options: Options, shapes: Shapes) -> Shape:
    """The shape that a request for one object asks for. Raises InvalidQuery."""
    return parse_shape(parse_options(request.scope["query_string"], options).passed_on, shapes)
