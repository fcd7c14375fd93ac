"""The incidents API over HTTP, in the Defender dialect. The stages: who calls, how often, what, the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tocsin import triage
from tocsin.access import READ_INCIDENTS, WRITE_INCIDENTS, Permission, Principal, Scope
from tocsin.audit import described
from tocsin.dialects import defender
from tocsin.dialects.defender_updates import parse_update
from tocsin.dialects.patching import BODY_BYTES_MAX
from tocsin.errors import InvalidInput, NotFound, Redirected
from tocsin.identity.credentials import credentials
from tocsin.odata import INCIDENT_OPTIONS, parse_options
from tocsin.quota import Allowed
from tocsin.quotas import Operation
from tocsin.search import Render
from tocsin.service import Service
from tocsin.stores.sqlite.managing import require_manage
from tocsin.stores.sqlite.reading import IncidentRow, ReadStore
from tocsin.stores.sqlite.writing import WriteStore
from tocsin.walks import Walk, Walker
from tocsin.web.answers import answering
from tocsin.web.bodies import read_body
from tocsin.witness import identify_principal, remark

RESOURCE: Final = "api/incidents"


def api_routes(service: Service) -> list[Route]:
    """Routes under `/api`."""

    @answering
    async def list_incidents(request: Request) -> Response:
        principal = caller(service, request, *READ_INCIDENTS)
        allowed = service.spend(principal, Operation.LIST)
        page_size = defender.preferred_page_size(",".join(request.headers.getlist("prefer")))
        walk = _walk(service, principal, request.scope["query_string"], page_size)
        # The original has no links: only who names no $top, or asks for pages by a header, is told where to go on.
        linked = page_size is not None or walk.query.top is None
        bytes_max = defender.PAGE_BYTES_MAX if linked else None
        page = service.search.walk(
            principal.scope(), renderer(service, service.tenant(principal.tenant_id).guid), walk, bytes_max=bytes_max
        )
        found, now = page.found, service.clock()
        service.walks.note(walk, as_of=found.as_of, given=len(found.rows), last=found.last, ended=found.ended, now=now)
        token = service.walks.token(found.onward) if linked and found.onward is not None else None
        base_url = service.names.base_for(request.headers.get("host", ""))
        headers = answer_headers(allowed)
        if page_size is not None:
            headers["preference-applied"] = f"odata.maxpagesize={page_size}"
        return Response(defender.incident_page(base_url, page.incidents, token), headers=headers)

    @answering
    async def get_incident(request: Request) -> Response:
        principal = caller(service, request, *READ_INCIDENTS)
        allowed = service.spend(principal, Operation.GET)
        return one_incident(request, principal, incident_id_of(request.path_params["incident_id"]), allowed)

    @answering
    async def update_incident(request: Request) -> Response:
        principal = caller(service, request, *WRITE_INCIDENTS)
        allowed = service.spend(principal, Operation.UPDATE)
        incident_id = incident_id_of(request.path_params["incident_id"])
        changes = parse_update(await read_body(request, BODY_BYTES_MAX))
        await change_incident(service, principal, incident_id, changes)
        return one_incident(request, principal, incident_id, allowed)

    def one_incident(request: Request, principal: Principal, incident_id: int, allowed: Allowed) -> Response:
        tenant = service.tenant(principal.tenant_id)
        incident = service.search.one(
            principal.scope(),
            renderer(service, tenant.guid),
            incident_id,
            not_before=service.not_before(tenant),
        )
        base_url = service.names.base_for(request.headers.get("host", ""))
        return Response(defender.single_incident(base_url, incident), headers=answer_headers(allowed))

    @answering
    async def patch_collection(request: Request) -> Response:
        """`seed.md` prints `PATCH /api/incidents?$top=10` as its example: without a body it answers like the GET."""
        caller(service, request, *READ_INCIDENTS)
        if await read_body(request, BODY_BYTES_MAX):
            return _patch_needs_id()
        return await list_incidents(request)

    return [
        Route("/api/incidents", list_incidents, methods=["GET"]),
        Route("/api/incidents", patch_collection, methods=["PATCH"]),
        Route("/api/incidents/{incident_id}", get_incident, methods=["GET"]),
        Route("/api/incidents/{incident_id}", update_incident, methods=["PATCH"]),
    ]


def caller(service: Service, request: Request, *any_of: Permission) -> Principal:
    """Who calls, holding one of these permissions. Raises Unauthenticated or Forbidden."""
    principal = service.tokens.authenticate(credentials(request.scope["headers"]), service.clock())
    identify_principal(service.tenant(principal.tenant_id).guid, principal)
    principal.require(*any_of)
    return principal


def _walk(service: Service, principal: Principal, query_string: bytes, page_size: int | None) -> Walk:
    """The walk that a list request begins or goes on with. Raises InvalidQuery."""
    query = parse_options(query_string, INCIDENT_OPTIONS)
    walker = Walker(principal.tenant_id, principal.caller, RESOURCE)
    not_before = service.not_before(service.tenant(principal.tenant_id))
    if "$skiptoken" in query.passed_on:
        walk = service.walks.resume(walker, query, INCIDENT_OPTIONS, not_before=not_before)
        return walk if page_size is None else msgspec.structs.replace(walk, page_size=page_size)
    return service.walks.begin(
        walker,
        query_string,
        query,
        page_size=page_size or defender.PAGE_MAX,
        top=query.top,
        not_before=not_before,
        now=service.clock(),
    )


def actor_of(principal: Principal) -> str:
    """Who did it, for people and for the change log: names may be given again, ids are not."""
    return f"{principal.name} ({principal.user_id or principal.app_id})"


async def change_incident(
    service: Service, principal: Principal, incident_id: int, changes: triage.IncidentChanges
) -> None:
    """Commit a change of an incident that the caller may manage.

    Raises NotFound, Forbidden, InvalidChange, Redirected.
    """
    tenant = service.tenant(principal.tenant_id)
    not_before = service.not_before(tenant)
    scope = principal.scope()
    service.reader.get_incident(scope, incident_id, not_before=not_before)

    def work(store: WriteStore) -> None:
        require_manage(store.connection, scope, [incident_id])
        actor, clock = actor_of(principal), service.clock()
        try:
            triage.update_incident(
                store, principal.tenant_id, incident_id, changes, actor=actor, clock=clock, not_before=not_before
            )
        except Redirected as error:
            require_holder(ReadStore(store.connection), scope, error.incident_id, incident_id)
            raise

    remark(described(changes))
    await asyncio.wrap_future(service.writer.perform(work))


def require_holder(reader: ReadStore, scope: Scope, holder: int, husk: int) -> None:
    """Raise NotFound, naming the husk alone, where the incident that holds its alerts now is not visible: a husk tells
    what it was merged into, and not where that went."""
    try:
        reader.get_incident(scope, holder)
    except NotFound:
        raise NotFound(f"The incident that holds the alerts of incident {husk} was not found") from None


def answer_headers(allowed: Allowed) -> dict[str, str]:
    """Of every answer that counts against a quota."""
    return {**defender.HEADERS, **defender.quota_headers(allowed)}


def renderer(service: Service, tenant_guid: str) -> Render:
    """How incidents of a tenant are written."""
    portal_url = service.names.base_url

    def render(row: IncidentRow, header: bytes, alerts: Sequence[bytes]) -> bytes:
        uri = defender.incident_uri(portal_url, tenant_guid, row.incident_id)
        return defender.incident_object(row.incident_id, uri, header, alerts)

    return render


def incident_id_of(text: str) -> int:
    """The incident id in a path. Raises InvalidInput."""
    if not text.isascii() or not text.isdigit() or len(text) > 19:
        raise InvalidInput(f"{text[:40]!r} is not an incident id: a positive whole number is needed")
    return int(text)


def _patch_needs_id() -> Response:
    message = (
        "PATCH of the collection changes nothing. To list incidents use GET /api/incidents; "
        "to update one use PATCH /api/incidents/{id} with the changed properties as a JSON object."
    )
    headers = {**defender.HEADERS, "allow": "GET"}
    return Response(defender.error_body("BadRequest", message), status_code=405, headers=headers)
