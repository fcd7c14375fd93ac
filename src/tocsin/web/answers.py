"""The outermost edge of every route: expected failures become their answers, defects a fixed 500 and a log line."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog
from starlette.requests import Request
from starlette.responses import Response

from tocsin.audit import redacted
from tocsin.dialects import defender
from tocsin.errors import TocsinError, Unauthenticated

log = structlog.get_logger()
Handler = Callable[[Request], Awaitable[Response]]


def answering(handler: Handler) -> Handler:
    """Wrap a route's handler so that it never raises."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except TocsinError as error:
            if isinstance(error, Unauthenticated):
                log.info("caller_refused", path=asked_at(request), reason=str(error))
            return failed(defender.error_answer(error))
        except Exception as error:  # the outermost edge: no text of a defect leaves the process
            log.error("request_failed", path=asked_at(request), exc_info=error)
            return failed(defender.internal_error())

    return answer


def asked_at(request: Request) -> str:
    """The pattern of the route that was asked for, for a log line: a path may hold what does not belong there."""
    return str(getattr(request.scope.get("route"), "path", "(none)"))


def failed(answer: defender.ErrorAnswer) -> Response:
    """The response for a failure. A secret that was sent in the wrong place is not said back."""
    return Response(redacted(answer.body.decode()), status_code=answer.status, headers=answer.headers)
