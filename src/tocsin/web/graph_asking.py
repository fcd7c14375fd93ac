"""What every request of the Graph form has in common: who asks, for what version, with which preferences; the edge.

Addresses are `/v1.0/security/...` and `/beta/security/...`, also with the doubled slash that msgraph-sdk sends.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
import structlog
from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response

from tocsin.access import Permission, Principal, Scope
from tocsin.dialects import defender, graph
from tocsin.dialects.graph_objects import Speaking
from tocsin.errors import TocsinError, Unauthenticated
from tocsin.identity.people import Tenant
from tocsin.quotas import Operation
from tocsin.service import Service
from tocsin.web.answers import asked_at, failed
from tocsin.web.api import caller

ROOT: Final = "/{root:graph}"
GRAPH_PATHS: Final = re.compile(r"/(v1\.0|beta)/", re.ASCII)
MEANT_FOR_GRAPH: Final = re.compile(r"/(?:v1\.0|beta)/|/.*/security/", re.ASCII | re.DOTALL)
"""Also versions that there are not: who asks for them reads Graph's errors."""
_SAFE_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,100}", re.ASCII)
_PAGE_SIZE: Final = re.compile(r'(?:odata\.)?maxpagesize\s*=\s*"?(\d{1,9})"?', re.IGNORECASE | re.ASCII)

log = structlog.get_logger()


class _Root(Convertor[str]):
    """The versions of Graph, and its `security` below them, after one slash or two."""

    regex = r"(?:v1\.0|beta)//?security"

    def convert(self, value: str) -> str:
        return value.partition("/")[0]

    def to_string(self, value: str) -> str:
        return f"{value}/security"


register_url_convertor("graph", _Root())


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One request whose caller is known and may do this. `page_size` is what it prefers, None for no preference."""

    exchange: graph.Exchange
    principal: Principal
    scope: Scope
    tenant: Tenant
    not_before: int
    speaking: Speaking
    page_size: int | None
    headers: dict[str, str]


_Handler = Callable[[Request], Awaitable[Response]]


def exchange_of(service: Service, request: Request) -> graph.Exchange:
    """How the answer to this request names the server, and the exchange itself."""
    request_id = str(uuid.uuid4())
    sent = request.headers.get("client-request-id", "")
    named = GRAPH_PATHS.match(request.url.path)
    version = named[1] if named else "v1.0"
    base_url = service.names.base_for(request.headers.get("host", ""))
    return graph.Exchange(
        base_url, version, request_id, sent if _SAFE_ID.fullmatch(sent) else request_id, service.clock()
    )


def ask(service: Service, request: Request, permissions: tuple[Permission, ...], operation: Operation) -> Asked:
    """The stages before anything is read: who calls, with what right, how often. Raises what they raise."""
    principal = caller(service, request, *permissions)
    allowed = service.spend(principal, operation)
    tenant = service.tenant(principal.tenant_id)
    exchange = exchange_of(service, request)
    prefer = ",".join(request.headers.getlist("prefer"))
    all_members = "include-unknown-enum-members" in prefer.lower()
    found = _PAGE_SIZE.search(prefer)
    size = int(found[1]) if found else 0  # a page of nothing cannot be meant
    headers = {**exchange.headers(), **defender.quota_headers(allowed)}
    applied = ["include-unknown-enum-members"] if all_members else []
    if size and operation in (Operation.LIST, Operation.LIST_ALERTS):
        applied.append(f"odata.maxpagesize={size}")
    if applied:
        headers["preference-applied"] = ", ".join(applied)
    return Asked(
        exchange=exchange,
        principal=principal,
        scope=principal.scope(),
        tenant=tenant,
        not_before=service.not_before(tenant),
        speaking=Speaking(service.names.base_url, tenant.guid, all_members),
        page_size=size or None,
        headers=headers,
    )


def answering(service: Service, handler: _Handler) -> _Handler:
    """The outermost edge of a Graph route: expected failures become Graph's answers, defects a fixed 500."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except TocsinError as error:
            if isinstance(error, Unauthenticated):
                log.info("caller_refused", path=asked_at(request), reason=str(error))
            return failed(graph.error_answer(error, exchange_of(service, request)))
        except Exception as error:  # the outermost edge: no text of a defect leaves the process
            log.error("request_failed", path=asked_at(request), exc_info=error)
            return failed(graph.internal_error(exchange_of(service, request)))

    return answer
