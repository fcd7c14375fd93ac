"""The server: routes, housekeeping, start and stop. `asgi` is what a test client needs, `serve` runs it."""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import FrameType
from typing import Final

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route

from tocsin import ticks
from tocsin.config import Settings
from tocsin.dialects import defender, graph
from tocsin.errors import TocsinError
from tocsin.identity.authority import ensure_tls
from tocsin.retention import PurgeClock, cutoff
from tocsin.service import Service
from tocsin.stores.sqlite.groups import Groups
from tocsin.stores.sqlite.writing import WriteStore
from tocsin.web.answers import failed
from tocsin.web.api import api_routes
from tocsin.web.authorize import Authorize
from tocsin.web.edge import Edge
from tocsin.web.foreign_sign_in import ForeignFirst, ForeignSignIn
from tocsin.web.graph import graph_routes
from tocsin.web.graph_asking import MEANT_FOR_GRAPH, exchange_of
from tocsin.web.health import health_routes
from tocsin.web.intake import intake_routes
from tocsin.web.machines import machine_routes
from tocsin.web.oauth import OAuthDeps, oauth_routes
from tocsin.web.openapi.page import openapi_routes
from tocsin.web.portal.pages import portal_routes
from tocsin.web.protocol import BoundedProtocol
from tocsin.web.regrouping import regrouping_routes
from tocsin.web.retuning import retuning_routes
from tocsin.web.sign_in import SignIn

HOUSEKEEPING_SECONDS: Final = 60
AUDIT_SECONDS: Final = 1
CHECKPOINT_SECONDS: Final = 60
HOUSEKEEPING_PAUSE_SECONDS: Final = 0.05
BACKLOG: Final = 2048
SWITCH_SECONDS: Final = 0.0005
IDLE_CLOSE_SECONDS: Final = 0.5

log = structlog.get_logger()


def asgi(service: Service) -> Starlette:
    """The application over an open service. It does not close the service."""
    deps = OAuthDeps(
        issuer=service.issuer,
        directory=service.registry,
        keys=service.keys,
        names=service.names,
        clock=service.clock,
    )
    sign_in = SignIn(service)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(_keep_house(service)), asyncio.create_task(_keep_audit(service))]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()

    return Starlette(
        routes=[
            *intake_routes(service),  # first: what comes most often is found soonest
            *api_routes(service),
            *regrouping_routes(service),
            *retuning_routes(service),
            *machine_routes(service),
            *graph_routes(service),
            *health_routes(service),
            *openapi_routes(service.names),
            *sign_in.routes(),
            *ForeignSignIn(sign_in).routes(),
            *portal_routes(service, sign_in),
            *oauth_routes(deps),
            *Authorize(sign_in).routes(),
        ],
        middleware=[Middleware(Edge, service=service), Middleware(ForeignFirst, service=service)],
        lifespan=lifespan,
        exception_handlers={404: _missing(service), 405: _missing(service)},
    )


async def _keep_house(service: Service) -> None:
    doubted = PurgeClock(service.newest_stamp(), time.monotonic_ns() // 100)

    def step(store: WriteStore) -> bool:
        return service.housekeeping.step(store, doubted.now(service.clock(), time.monotonic_ns() // 100))

    pruned = 0
    while True:
        await clean_up(service, lambda store: Groups(store.connection).catch_up())
        await clean_up(service, step)
        now = doubted.now(service.clock(), time.monotonic_ns() // 100)
        if service.settings.audit_keep_days and now >= pruned + ticks.DAY:
            pruned = now
            await _prune_audit(service, cutoff(now, service.settings.audit_keep_days))
        await asyncio.sleep(HOUSEKEEPING_SECONDS)


async def _prune_audit(service: Service, before: int) -> None:
    try:
        await asyncio.to_thread(service.witness.prune, service.writer, before)
    except TocsinError as error:
        log.warning("audit_not_pruned", reason=str(error))
    except Exception as error:  # the outermost edge of this step: tried again tomorrow
        log.error("audit_not_pruned", exc_info=error)


async def _keep_audit(service: Service) -> None:
    """Write what was noted once a second, and have the end of the audit log signed at once and then every minute."""
    marked = time.monotonic() - CHECKPOINT_SECONDS
    while True:
        await asyncio.sleep(AUDIT_SECONDS)
        service.witness.flush(service.writer)
        if service.witness.is_mark_due or time.monotonic() - marked >= CHECKPOINT_SECONDS:
            marked = time.monotonic()
            try:
                await asyncio.to_thread(service.witness.checkpoint, service.writer)
            except TocsinError as error:
                log.error("audit_not_signed", reason=str(error), advice="see the folder of checkpoints")
            except Exception as error:  # the outermost edge: a defect here must not end the writing of records
                log.error("audit_not_signed", exc_info=error)


async def clean_up(service: Service, step: Callable[[WriteStore], bool]) -> None:
    """Take steps of housekeeping in the writer until nothing is left to do. A failure ends this round alone: nobody
    waits for it, and a purge that stopped for good would go unnoticed until the disk is full."""
    try:
        while await asyncio.wrap_future(service.writer.perform(step)):
            await asyncio.sleep(HOUSEKEEPING_PAUSE_SECONDS)
    except TocsinError as error:
        log.warning("housekeeping_postponed", reason=str(error))
    except Exception as error:  # the outermost edge of this task
        log.error("housekeeping_failed", exc_info=error)


def _missing(service: Service) -> Callable[[Request, Exception], Awaitable[Response]]:
    """The answer where there is nothing, or not with this method, in the words of the dialect that was addressed."""

    async def answer(request: Request, error: Exception) -> Response:
        status = getattr(error, "status_code", 404)
        path = request.url.path[:200]
        message = f"There is nothing at {path}." if status == 404 else f"{request.method} is not offered at {path}."
        code = "NotFound" if status == 404 else "BadRequest"
        if MEANT_FOR_GRAPH.match(path):
            exchange = exchange_of(service, request)
            body, headers = graph.error_body(code, message, exchange), exchange.headers()
        else:
            body, headers = defender.error_body(code, message), dict(defender.HEADERS)
        if status == 405:
            headers["allow"] = ", ".join(sorted(_methods_at(request)))
        return failed(defender.ErrorAnswer(status, body, headers))

    return answer


def _methods_at(request: Request) -> set[str]:
    """All that is offered at a path: routes may share it, and Starlette names the methods of the first alone."""
    return {
        method
        for route in request.app.routes
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE
        for method in route.methods or ()
    }


def serve(settings: Settings, on_ready: Callable[[Service], None] | None = None) -> None:
    """Run the https server until it is told to stop. `on_ready` is called once it listens.

    Raises StoreError, InvalidInput; SystemExit when the store failed while running.
    """
    service = Service(settings, ticks.now, lambda: server.handle_exit(15, None))
    tls = ensure_tls(settings.data_dir, service.names.certificate_hosts, ticks.now())
    config = uvicorn.Config(
        asgi(service),
        host=settings.listen_host,
        port=settings.listen_port,
        http=BoundedProtocol,
        loop="uvloop",
        backlog=BACKLOG,
        ssl_certfile=str(tls.server),
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=10,
    )
    # Alerts are frozen and hold no cycles: the collector finds nothing among them, so it need not look often.
    gc.freeze()
    # The writer gives the interpreter up at each statement, and would wait five milliseconds to have it back.
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.set_threshold(50_000, 20, 50)
    server = _Server(config, service, on_ready)
    try:
        server.run()
    finally:
        service.close()
    if service.writer.broken:
        raise SystemExit(1)


class _Server(uvicorn.Server):
    """uvicorn's server, saying when it listens, and leaving the end of the process to `serve`."""

    def __init__(self, config: uvicorn.Config, service: Service, on_ready: Callable[[Service], None] | None) -> None:
        super().__init__(config)
        self._service, self._on_ready = service, on_ready

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop serving. uvicorn would send itself the signal again at its end, and nothing after it would run."""
        super().handle_exit(sig, frame)
        self._captured_signals.clear()

    async def shutdown(self, sockets: list | None = None) -> None:  # type: ignore[type-arg]
        asyncio.get_running_loop().call_later(IDLE_CLOSE_SECONDS, self._abort_idle)
        await super().shutdown(sockets)

    def _abort_idle(self) -> None:
        """An idle client that does not answer the closing of TLS would hold up the stop for the whole grace time."""
        for connection in list(self.server_state.connections):
            cycle = getattr(connection, "cycle", None)
            transport = getattr(connection, "transport", None)
            if transport is not None and (cycle is None or cycle.response_complete):
                transport.abort()

    async def startup(self, sockets: list | None = None) -> None:  # type: ignore[type-arg]
        await super().startup(sockets)
        log.info("listening", url=self._service.names.base_url)
        if self._on_ready is not None and self.started:
            self._on_ready(self._service)
