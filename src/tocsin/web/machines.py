"""`/api/machines`, read-only: the neighbours of the incidents API that a public client of it asks first.

Machines have no table: they are read off the newest alerts (`docs/divergences.md` names the bound), over a connection
of their own in a worker thread, because such a look reads many documents.
"""

from __future__ import annotations

import asyncio
import threading

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tocsin.access import READ_INCIDENTS, Principal
from tocsin.dialects import defender, machines
from tocsin.documents import decode_alert
from tocsin.errors import NotFound
from tocsin.odata import matches, parse_options
from tocsin.odata.machines import PAGE_MAX, machine_options, only
from tocsin.odata.options import Query
from tocsin.odata.shaping import Shapes, parse_shape
from tocsin.quota import Allowed
from tocsin.quotas import Operation
from tocsin.service import Service
from tocsin.stores.sqlite.connection import DATABASE_NAME, open_reader
from tocsin.stores.sqlite.machines import alerts_on_devices
from tocsin.web.answers import answering
from tocsin.web.api import caller

LIST_OPTIONS = machine_options(machines.MACHINE_NAMES)
ONE_OPTIONS = only(LIST_OPTIONS, "$select")
ALERT_OPTIONS = only(LIST_OPTIONS, "$top", "$skip")
SHAPES = Shapes(properties=machines.MACHINE_NAMES, expandable={})


class Sightings:
    """Looks through the newest alerts, one at a time and never in the thread of the routes."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._connection = open_reader(service.settings.data_dir / DATABASE_NAME)
        self._one_at_a_time = threading.Lock()

    async def documents(self, principal: Principal, holding: bytes) -> list[bytes]:
        """The alert documents that have these bytes and that the caller may see, newest alert first."""
        not_before = self._service.not_before(self._service.tenant(principal.tenant_id))

        def look() -> list[bytes]:
            with self._one_at_a_time:
                return alerts_on_devices(self._connection, principal.scope(), holding=holding, not_before=not_before)

        return await asyncio.to_thread(look)

    async def sighted(self, principal: Principal, device_id: str | None = None) -> list[machines.Sighted]:
        """All machines, or the one of this id where there is one."""
        holding = machines.HOLDING_DEVICES if device_id is None else machines.holding_device(device_id)
        documents = await self.documents(principal, holding)
        found = await asyncio.to_thread(machines.machines_in, documents)
        return found if device_id is None else [each for each in found if each.device_id == device_id]

    async def alerts(self, principal: Principal, device_id: str) -> list[machines.MachineAlert]:
        """The alerts of a machine, newest first. Raises NotFound where there are none: then there is no machine."""
        documents = await self.documents(principal, machines.holding_device(device_id))
        guid = self._service.tenant(principal.tenant_id).guid

        def make() -> list[machines.MachineAlert]:
            made = (machines.machine_alert(decode_alert(each), device_id, guid) for each in documents)
            return [each for each in made if each is not None]

        found = await asyncio.to_thread(make)
        if not found:
            raise _missing(device_id)
        return found


def machine_routes(service: Service) -> list[Route]:
    """Routes under `/api/machines`."""
    sightings = Sightings(service)

    @answering
    async def list_machines(request: Request) -> Response:
        principal = caller(service, request, *READ_INCIDENTS)
        allowed = service.spend(principal, Operation.LIST_MACHINES)
        query = parse_options(request.scope["query_string"], LIST_OPTIONS)
        chosen = parse_shape(query.passed_on, SHAPES).select
        found = await sightings.sighted(principal)
        if query.filter is not None:
            found = [each for each in found if matches(query.filter, each)]
        shown = [machines.machine(each, chosen) for each in found[_asked_for(query)]]
        return Response(machines.machine_page(_base(request), shown), headers=_headers(allowed))

    @answering
    async def get_machine(request: Request) -> Response:
        principal = caller(service, request, *READ_INCIDENTS)
        allowed = service.spend(principal, Operation.GET_MACHINE)
        query = parse_options(request.scope["query_string"], ONE_OPTIONS)
        chosen = parse_shape(query.passed_on, SHAPES).select
        found = await one_machine(principal, request.path_params["machine_id"])
        body = machines.single_machine(_base(request), machines.machine(found, chosen))
        return Response(body, headers=_headers(allowed))

    @answering
    async def alerts_of_machine(request: Request) -> Response:
        principal = caller(service, request, *READ_INCIDENTS)
        allowed = service.spend(principal, Operation.LIST_MACHINES)
        query = parse_options(request.scope["query_string"], ALERT_OPTIONS)
        device_id = request.path_params["machine_id"]
        found = await sightings.alerts(principal, device_id)
        return Response(machines.alert_page(_base(request), found[_asked_for(query)]), headers=_headers(allowed))

    async def one_machine(principal: Principal, device_id: str) -> machines.Sighted:
        found = await sightings.sighted(principal, device_id)
        if not found:
            raise _missing(device_id)
        return found[0]

    def _base(request: Request) -> str:
        return service.names.base_for(request.headers.get("host", ""))

    return [
        Route("/api/machines", list_machines, methods=["GET"]),
        Route("/api/machines/{machine_id}", get_machine, methods=["GET"]),
        Route("/api/machines/{machine_id}/alerts", alerts_of_machine, methods=["GET"]),
    ]


def _asked_for(query: Query) -> slice:
    top = PAGE_MAX if query.top is None else query.top
    return slice(query.skip, query.skip + top)


def _missing(device_id: str) -> NotFound:
    return NotFound(f"Machine {device_id[:64]} was not found")


def _headers(allowed: Allowed) -> dict[str, str]:
    return {**defender.HEADERS, **defender.quota_headers(allowed)}
