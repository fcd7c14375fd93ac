"""`GET /healthz`: whether this process can do its work, for load balancers and supervisors. Says nothing else.

Needs no token: it tells no more than that something listens, which a connection tells as well.
"""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tocsin.service import Service


class Health(msgspec.Struct, frozen=True):
    """`status` is `ok`, or `broken` when a failed write stopped the store."""

    status: str


def health_routes(service: Service) -> list[Route]:
    """The one route."""

    async def health(_request: Request) -> Response:
        broken = service.writer.broken
        body = msgspec.json.encode(Health("broken" if broken else "ok"))
        headers = {"content-type": "application/json; charset=utf-8", "cache-control": "no-store"}
        return Response(body, 503 if broken else 200, headers)

    return [Route("/healthz", health, methods=["GET"])]
