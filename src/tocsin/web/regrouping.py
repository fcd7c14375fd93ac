"""`/api/incidents/{id}/merge`, `/unmerge`, `/split`, `/move`, and `/evidence`: extensions of ours (ADR 6).

Every verb answers the incidents that it changed, as a list of them would show them, the one it is about first. It needs
sight of what it names and manage rights on every workload in it, hidden alerts included (ADR 7).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tocsin import regroup
from tocsin.access import READ_INCIDENTS, WRITE_INCIDENTS, Principal, Scope
from tocsin.audit import described
from tocsin.correlation.engine import Link
from tocsin.correlation.guards import Limits
from tocsin.dialects import defender, evidence
from tocsin.dialects.patching import BODY_BYTES_MAX
from tocsin.dialects.regrouping import Asked, parse_merge, parse_move, parse_split, parse_unmerge
from tocsin.documents import decode_alert, decode_header
from tocsin.errors import InvalidChange, NotFound
from tocsin.odata import parse_options
from tocsin.odata.machines import machine_options, only
from tocsin.quota import Allowed
from tocsin.quotas import Operation
from tocsin.regroup import By, Regrouped
from tocsin.service import Service
from tocsin.stores.sqlite.alerts import AlertStore, alert_number_of
from tocsin.stores.sqlite.managing import require_manage
from tocsin.stores.sqlite.reading import IncidentRow, ReadStore
from tocsin.stores.sqlite.writing import WriteStore
from tocsin.web.answers import answering
from tocsin.web.api import actor_of, answer_headers, caller, incident_id_of, renderer
from tocsin.web.bodies import read_body
from tocsin.witness import remark

_REDIRECTS_MAX: Final = 1_000
_PAGING: Final = only(machine_options(frozenset()), "$top", "$skip")

_Verb = Callable[[WriteStore, int, Asked, By], Regrouped]
"""(store, incident of the path, what the body asks, who): what to do in the writer."""


def regrouping_routes(service: Service) -> list[Route]:
    """Routes below `/api/incidents/{id}`."""
    limits = Limits(incident_alerts_max=service.settings.incident_alerts_max)

    def route(name: str, parse: Callable[[bytes], Asked], verb: Callable[[int], _Verb]) -> Route:
        @answering
        async def handle(request: Request) -> Response:
            principal = caller(service, request, *WRITE_INCIDENTS)
            allowed = service.spend(principal, Operation.UPDATE)
            incident_id = incident_id_of(request.path_params["incident_id"])
            asked = parse(await read_body(request, BODY_BYTES_MAX))
            done = await _perform(service, principal, verb(principal.tenant_id), incident_id, asked)
            return _changed(service, request, principal, done, allowed)

        return Route(f"/api/incidents/{{incident_id}}/{name}", handle, methods=["POST"])

    def merge(tenant_id: int) -> _Verb:
        return lambda store, target, asked, who: regroup.merge_incidents(
            store, tenant_id, asked.incident_ids, target, by=who, limits=limits
        )

    def unmerge(tenant_id: int) -> _Verb:
        return lambda store, husk, _asked, who: regroup.unmerge(store, tenant_id, husk, by=who)

    def move(tenant_id: int) -> _Verb:
        def work(store: WriteStore, source: int, asked: Asked, who: By) -> Regrouped:
            numbers = [alert_number_of(each) for each in asked.alert_ids]
            regroup.check_held(store, tenant_id, numbers, source)
            return regroup.move_alerts(store, tenant_id, numbers, asked.incident_id, by=who, limits=limits)

        return work

    def split(tenant_id: int) -> _Verb:
        def work(store: WriteStore, source: int, asked: Asked, who: By) -> Regrouped:
            if asked.alert_ids:
                return move(tenant_id)(store, source, asked, who)
            number = alert_number_of(asked.cut_alert_id)
            regroup.check_held(store, tenant_id, [number], source)
            return regroup.split(store, tenant_id, number, by=who)

        return work

    @answering
    async def show_evidence(request: Request) -> Response:
        principal = caller(service, request, *READ_INCIDENTS)
        allowed = service.spend(principal, Operation.GET)
        incident_id = incident_id_of(request.path_params["incident_id"])
        query = parse_options(request.scope["query_string"], _PAGING)
        top, skip = evidence.PAGE_MAX if query.top is None else query.top, query.skip or 0
        told = _evidence(service, principal, incident_id)
        base_url = service.names.base_for(request.headers.get("host", ""))
        page = evidence.evidence_page(told, base_url, min(top, evidence.PAGE_MAX), skip)
        return Response(page, headers=answer_headers(allowed))

    return [
        route("merge", parse_merge, merge),
        route("unmerge", parse_unmerge, unmerge),
        route("split", parse_split, split),
        route("move", parse_move, move),
        Route("/api/incidents/{incident_id}/evidence", show_evidence, methods=["GET"]),
    ]


def _require_rights(store: WriteStore, scope: Scope, incident_id: int, asked: Asked, not_before: int) -> None:
    """Raise NotFound unless the caller sees every incident and alert that is named, and those that hold the alerts of
    husks; Forbidden unless they may change all of these incidents. Inside the transaction that changes them."""
    reader, alerts = ReadStore(store.connection), AlertStore(store.connection)
    wanted = [*asked.incident_ids, *([] if asked.incident_id is None else [asked.incident_id]), incident_id]
    rows = [reader.get_incident(scope, each, not_before=not_before) for each in wanted]
    _require_alerts(alerts, scope, rows[-1], asked)
    holders = [_holder(reader, scope, row, not_before) for row in rows]
    require_manage(store.connection, scope, dict.fromkeys([*wanted, *holders]))
    if asked.cut_alert_id and not scope.whole_tenant:
        edges = reader.find_links(scope, rows[-1]).get(alert_number_of(asked.cut_alert_id), [])
        if not any(isinstance(each, Link) for each in edges):  # a reason with a hidden alert is none that is known of
            raise InvalidChange(regroup.NOTHING_TO_CUT)


def _require_alerts(alerts: AlertStore, scope: Scope, row: IncidentRow, asked: Asked) -> None:
    """Raise NotFound for a named alert that is not visible in this incident."""
    wanted = [*asked.alert_ids, *([asked.cut_alert_id] if asked.cut_alert_id else [])]
    if not wanted:
        return
    versions = {each.alert_number: each for each in alerts.alerts_of(scope, row.incident_id, row.change)}
    for each in wanted:
        version = versions.get(alert_number_of(each))
        if version is None or decode_alert(alerts.document(version)[0]).alert_id != each:
            raise NotFound(f"Alert {each[:60]} was not found in incident {row.incident_id}")


def _holder(reader: ReadStore, scope: Scope, row: IncidentRow, not_before: int) -> int:
    """The incident that holds the alerts now: this one, or where a husk's went. Raises NotFound.

    Only the first husk was named to the caller, so what is not visible behind it has no number in the text.
    """
    asked = row.incident_id
    for _ in range(_REDIRECTS_MAX):
        into = decode_header(reader.header(row)).redirect_incident_id
        if into is None:
            break
        try:
            row = reader.get_incident(scope, into, not_before=not_before)
        except NotFound:
            raise NotFound(f"The incident that holds the alerts of incident {asked} was not found") from None
    return row.incident_id


async def _perform(service: Service, principal: Principal, work: _Verb, incident_id: int, asked: Asked) -> Regrouped:
    not_before, scope = service.not_before(service.tenant(principal.tenant_id)), principal.scope()

    def commit(store: WriteStore) -> Regrouped:
        _require_rights(store, scope, incident_id, asked, not_before)
        who = By(actor=actor_of(principal), clock=service.clock(), not_before=not_before, comment=asked.comment)
        return work(store, incident_id, asked, who)

    remark(described(asked))
    return await asyncio.wrap_future(service.writer.perform(commit))


def _changed(service: Service, request: Request, principal: Principal, done: Regrouped, allowed: Allowed) -> Response:
    tenant = service.tenant(principal.tenant_id)
    render, not_before = renderer(service, tenant.guid), service.not_before(tenant)
    incidents = []
    for each in _shown(service, principal, done.changed, not_before):
        incidents.append(service.search.one(principal.scope(), render, each, not_before=not_before))
    base_url = service.names.base_for(request.headers.get("host", ""))
    return Response(defender.incident_page(base_url, incidents), headers=answer_headers(allowed))


def _shown(service: Service, principal: Principal, changed: Iterable[int], not_before: int) -> list[int]:
    """Those that the caller may see: where all alerts went elsewhere, an incident may be out of sight now."""
    found = []
    for each in changed:
        try:
            service.reader.get_incident(principal.scope(), each, not_before=not_before)
        except NotFound:
            continue
        found.append(each)
    return found


def _evidence(service: Service, principal: Principal, incident_id: int) -> evidence.Evidence:
    scope, reader = principal.scope(), service.reader
    not_before = service.not_before(service.tenant(principal.tenant_id))
    with reader.snapshot():
        row = reader.get_incident(scope, incident_id, not_before=not_before)
        return evidence.evidence_of(
            incident_id,
            decode_header(reader.header(row)),
            [decode_alert(each) for each in reader.alerts(scope, row)],
            reader.find_links(scope, row),
            reader.find_log(scope, row),
        )
