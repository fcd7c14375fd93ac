"""`POST /api/correlation/retune`: changes that a dry run of the tuning in force showed are made; an extension of ours.

`tocsin correlate --apply` sends them. Each step is a transaction of its own in the one writer, looked at again before
it is made, so alerts come in meanwhile. It takes sight of the whole tenant and manage rights on what changes.
"""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tocsin.access import WRITE_INCIDENTS, Principal
from tocsin.correlation.guards import Limits
from tocsin.dialects.patching import BODY_BYTES_MAX
from tocsin.errors import Forbidden, InvalidChange, NotFound, Redirected
from tocsin.membership import By
from tocsin.quotas import Operation
from tocsin.retuning import Applied, Left, Move, Plan, apply_move
from tocsin.service import Service
from tocsin.stores.sqlite.managing import require_manage
from tocsin.stores.sqlite.writing import WriteStore
from tocsin.web.answers import answering
from tocsin.web.api import actor_of, answer_headers, caller
from tocsin.web.bodies import read_body
from tocsin.witness import remark

_plan_decoder: Final = msgspec.json.Decoder(Plan)


def retuning_routes(service: Service) -> list[Route]:
    """The one route."""
    limits = Limits(incident_alerts_max=service.settings.incident_alerts_max)

    @answering
    async def retune(request: Request) -> Response:
        principal = caller(service, request, *WRITE_INCIDENTS)
        allowed = service.spend(principal, Operation.UPDATE)
        if not principal.scope().whole_tenant:
            raise Forbidden("Applying a tuning needs sight of the whole tenant")
        try:
            plan = _plan_decoder.decode(await read_body(request, BODY_BYTES_MAX))
        except msgspec.MsgspecError as error:
            raise InvalidChange(f"the body is no plan of changes: {error}") from None
        remark(f"tuning={plan.tuning} since={plan.since} changes={len(plan.changes)}")
        left = await _carry_out(service, principal, plan, limits)
        return Response(msgspec.json.encode(Applied(left)), headers=answer_headers(allowed))

    return [Route("/api/correlation/retune", retune, methods=["POST"])]


async def _carry_out(service: Service, principal: Principal, plan: Plan, limits: Limits) -> list[Left]:
    """Make the changes, each step in a transaction of its own, so that alerts come in between; gives what was left."""
    not_before, scope = service.not_before(service.tenant(principal.tenant_id)), principal.scope()
    left = []
    for index, moves in enumerate(plan.changes):
        for move in moves:

            def commit(store: WriteStore, move: Move = move) -> int:
                concerned = {*move.alerts, *([move.incident_id] if move.incident_id else [])}
                require_manage(store.connection, scope, sorted(concerned))
                by = By(actor=actor_of(principal), clock=service.clock(), not_before=not_before)
                return apply_move(store, principal.tenant_id, move, plan=plan, by=by, limits=limits)

            try:
                await asyncio.wrap_future(service.writer.perform(commit))
            except (InvalidChange, NotFound, Redirected) as error:
                left.append(Left(index, str(error)))
                break
    return left
