"""What surrounds every request: where it comes from, whether a page of ours sent it, headers, and the audit log's note.

Outside of all routes, so that none can be without it. What is recorded, and when: `witness.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import structlog
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tocsin.audit import Action, Outcome
from tocsin.errors import Forbidden
from tocsin.identity.names import LOOPBACK_HOSTS
from tocsin.service import Service
from tocsin.web.csrf import SAFE_METHODS, require_own_origin
from tocsin.web.deeds import action_of, asked_for, target_of
from tocsin.web.headers import completed
from tocsin.web.proxies import read_proxies
from tocsin.witness import Occurrence, occurring

OUR_COOKIES: Final = "__Host-tocsin"
_COMMITTED_FIRST: Final = (Action.SIGN_IN, Action.SIGN_OUT, Action.EXPORT)
_COMMIT_SECONDS_MAX: Final = 5

log = structlog.get_logger()


class Edge:
    """The application with its surroundings."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service
        settings = service.settings
        self._proxies = read_proxies(settings.trusted_proxies, settings.trusted_proxy_header)
        self._loopback = {base for base in service.names.bases.values() if urlsplit(base).hostname in LOOPBACK_HOSTS}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        peer = scope.get("client") or ("", 0)
        client = self._proxies.client_of(peer[0], scope["headers"])
        scope["client"], scope["scheme"] = (client.address, peer[1]), client.scheme
        request = Request(scope)
        occurrence = Occurrence(self._service.clock(), client.address, lambda outcome: _told(scope, outcome))
        loopback = self._service.names.base_for(request.headers.get("host", "")) in self._loopback

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = completed(message.get("headers", ()), loopback=loopback)
                await self._record(request, occurrence, message["status"])
            await send(message)

        with occurring(occurrence):
            try:
                self._require_own_page(request)
            except Forbidden as error:
                occurrence.detail = "sent by a page that is not ours"
                await PlainTextResponse(str(error), 403)(scope, receive, sending)
                return
            await self._app(scope, receive, sending)

    def _require_own_page(self, request: Request) -> None:
        """A request that a browser sends with our cookie may change something only if our own page made it."""
        carries = any(name.startswith(OUR_COOKIES) for name in request.cookies)
        if request.method not in SAFE_METHODS and carries and "authorization" not in request.headers:
            require_own_origin(request.method, request.headers, self._service.names)

    async def _record(self, request: Request, occurrence: Occurrence, status: int) -> None:
        action = occurrence.action
        if action is None or (occurrence.recorded and status < 400):
            return
        outcome = _outcome(occurrence, status)
        if action in (Action.SIGN_IN, Action.SIGN_OUT) and outcome is Outcome.DONE:
            shows_form = status == 200 and request.method in SAFE_METHODS
            if shows_form or not occurrence.actor:
                return  # on the way to it
        query = dict(parse_qsl(request.scope["query_string"].decode("latin-1"))) if outcome is Outcome.DONE else {}
        detail = f"status {status}" if status >= 400 else asked_for(query)
        self._service.witness.note(occurrence.deed(outcome, detail))
        if action in _COMMITTED_FIRST and outcome is Outcome.DONE:
            await self._committed()

    async def _committed(self) -> None:
        """Wait until what was noted is on the disk. If it cannot be, the answer goes out all the same and the record
        waits on: with a full disk reads go on, and for those one signs in."""
        flushed = self._service.witness.flush(self._service.writer)
        if flushed is None:
            return
        written = asyncio.wrap_future(flushed)
        await asyncio.wait([written], timeout=_COMMIT_SECONDS_MAX)
        failure = written.exception() if written.done() else TimeoutError("the writer is busy")
        if failure is not None:
            log.warning("audit_postponed", reason=str(failure))


def _told(scope: Scope, outcome: Outcome | None) -> tuple[Action | None, str]:
    """Action and target of a request, once it was routed; what was not routed is a read of nothing."""
    route = scope.get("route")
    if not isinstance(route, Route):
        return Action.READ, f"{scope['method'][:10]} (no such page)"
    template = route.path.replace("/{root:graph}", "/{version}/security").replace(":item}", "}")
    parameters = scope.get("path_params", {})
    target = target_of(scope["method"][:10], template, scope["path"], parameters, outcome)
    return action_of(scope["method"], template), target


def _outcome(occurrence: Occurrence, status: int) -> Outcome:
    if occurrence.refused or status in (401, 403):
        return Outcome.REFUSED
    return Outcome.DONE if status < 400 else Outcome.FAILED


def routes_by_action(routes: Sequence[object]) -> dict[tuple[str, str], Action | None]:
    """What each method of each route is: for a test that walks over all of them."""
    return {
        (method, each.path): action_of(method, each.path)
        for each in routes
        if isinstance(each, Route)
        for method in each.methods or ()
    }
