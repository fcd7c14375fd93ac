"""The portal's routes: who looks, and what is read for them. Nothing here changes an incident.

Pages are made in a worker thread over a connection of the portal's own, so that a large incident does not keep the
API waiting. A visitor without a session learns nothing: whatever is asked for, the answer is the sign-in page.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec
import structlog
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tocsin.access import Principal, Scope
from tocsin.correlation.engine import Merge
from tocsin.correlation.explain import Phrase, phrases
from tocsin.documents import decode_alert
from tocsin.errors import InvalidInput, NotFound, TocsinError, Unauthenticated
from tocsin.identity.lookup import FreshCache
from tocsin.identity.people import Tenant
from tocsin.model import IncidentStatus
from tocsin.odata import Constant, Expression, Field, OneOf
from tocsin.service import Service
from tocsin.stores.sqlite.connection import DATABASE_NAME, open_reader
from tocsin.stores.sqlite.feedback import Feedback
from tocsin.stores.sqlite.overview import Card, Overview, Tally
from tocsin.stores.sqlite.reading import ReadStore
from tocsin.stores.sqlite.wording import incidents_about
from tocsin.ticks import DAY
from tocsin.web.answers import asked_at
from tocsin.web.portal.asking import (
    PAGE,
    SEVERITIES,
    STATUSES,
    URGENT_LOOKED_AT,
    Asked,
    FilterError,
    Words,
    expression_of,
    order_of,
    read_asked,
    read_filter,
)
from tocsin.web.portal.chart import daily_chart, first_day
from tocsin.web.portal.queue import Turning, most_urgent, page_of, queue_row, status_words, turning
from tocsin.web.portal.rendering import INTERNAL, Rendering, Shown
from tocsin.web.portal.session import COOKIE
from tocsin.web.portal.story import history, lit_tactics, tell
from tocsin.web.portal.text import moment
from tocsin.web.sign_in import SignIn
from tocsin.witness import identify

REDIRECTS_MAX: Final = 20

log = structlog.get_logger()


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """One request of somebody who may look. Times are ticks; `not_before` is the retention cut-off."""

    request: Request
    tenant: Tenant
    principal: Principal
    scope: Scope
    now: int
    not_before: int


_Page = Callable[[Visit], Response]


def portal_routes(service: Service, sign_in: SignIn) -> list[Route]:
    """The portal's pages and its static files; who is not signed in goes to the sign-in pages."""
    portal = _Portal(service, sign_in)
    return [
        Route("/", portal.visiting(portal.home), methods=["GET"]),
        Route("/incidents", portal.visiting(portal.queue), methods=["GET"]),
        Route("/incidents/{incident_id}", portal.visiting(portal.incident), methods=["GET"]),
        Route("/static/{name}", portal.answering(portal.static), methods=["GET"]),
    ]


class _Portal:
    def __init__(self, service: Service, sign_in: SignIn) -> None:
        self._service, self._sign_in = service, sign_in
        connection = open_reader(service.settings.data_dir / DATABASE_NAME)
        self._connection, self._store, self._overview = connection, ReadStore(connection), Overview(connection)
        self._feedback = Feedback(connection)
        self._reading = threading.Lock()
        self._tallies: FreshCache[Tally] = FreshCache(1024)
        self._rendering = Rendering(service.names)

    def visiting(self, page: _Page) -> Callable[[Request], Awaitable[Response]]:
        """A route's handler that makes a page, in a worker thread, for somebody with a session."""

        async def visited(request: Request) -> Response:
            try:
                visit = await self._visit(request)
            except Unauthenticated:
                asked = f"?{request.url.query}" if request.url.query else ""
                return self._sign_in.to_sign_in(request, f"{request.url.path}{asked}")
            return await run_in_threadpool(page, visit)

        return self.answering(visited)

    def answering(self, handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        """Wrap a route's handler so that it never raises."""

        async def answer(request: Request) -> Response:
            try:
                return await handler(request)
            except TocsinError as error:
                return self._rendering.failure(request, error)
            except Exception as error:  # the outermost edge: no text of a defect leaves the process
                log.error("page_failed", path=asked_at(request), exc_info=error)
                return self._rendering.message(request, 500, "This page could not be made", INTERNAL)

        return answer

    async def _visit(self, request: Request) -> Visit:
        now = self._service.clock()
        visitor = await self._sign_in.sessions.visitor(request, now)
        tenant = self._service.tenant(visitor.session.tenant_id)
        identify(tenant.guid, visitor.actor, "" if visitor.standing is None else visitor.standing.user.name)
        token = self._sign_in.forms.token(request.cookies.get(COOKIE, ""))
        request.state.visitor = Shown(visitor.name, token)
        return Visit(
            request=request,
            tenant=tenant,
            principal=visitor.principal,
            scope=visitor.principal.scope(),
            now=now,
            not_before=self._service.not_before(tenant),
        )

    async def static(self, request: Request) -> Response:
        """A static file; its address changes with its content."""
        return self._rendering.static(request, request.path_params["name"])

    def home(self, visit: Visit) -> Response:
        """The queue is what one comes for."""
        return self._rendering.redirect(visit.request, "/incidents")

    def queue(self, visit: Visit) -> Response:
        """The list of incidents, newest change first."""
        asked = read_asked(visit.request.query_params.multi_items())
        wanted = read_filter(asked.text)
        with self._reading, self._store.snapshot():
            tally = self._tally(visit)
            found = (
                [] if isinstance(wanted, FilterError) else self._find(visit, asked, self._meant(visit, asked, wanted))
            )
        cards, more = (found, False) if asked.urgent else page_of(asked, found)
        with self._reading:
            urgencies = [self._feedback.priority(visit.scope, card.facts) for card in cards]
        shown = most_urgent(cards, urgencies) if asked.urgent else zip(cards, urgencies, strict=True)
        problem = wanted if isinstance(wanted, FilterError) else None
        return self._rendering.page(
            visit.request,
            "queue.html",
            400 if problem else 200,
            tenant=visit.tenant,
            asked=asked,
            problem=problem,
            words=wanted.text if isinstance(wanted, Words) else "",
            rows=[queue_row(card, urgency, visit.now) for card, urgency in shown],
            turning=Turning(None, None) if asked.urgent else turning(asked, cards, more),
            tally=tally,
            chart=daily_chart(tally, visit.now),
            severities=SEVERITIES,
            statuses=[(status, status_words(status)) for status in STATUSES],
        )

    def _meant(self, visit: Visit, asked: Asked, wanted: Expression | Words | None) -> Expression | None:
        """Everything that narrows the list; words as the numbers of incidents that they fit."""
        if not isinstance(wanted, Words):
            return expression_of(asked, wanted)
        numbers = incidents_about(self._connection, visit.scope, wanted.text, not_before=visit.not_before)
        return expression_of(asked, OneOf(Field.INCIDENT_ID, numbers) if numbers else Constant(False))

    def _find(self, visit: Visit, asked: Asked, expression: Expression | None) -> list[Card]:
        """A page and, where there are more, one beyond it."""
        rows = self._store.find_incidents(
            visit.scope,
            expression=expression,
            order_by=order_of(asked),
            top=URGENT_LOOKED_AT if asked.urgent else PAGE + 1,
            not_before=visit.not_before,
        )
        return self._overview.cards(rows)

    def _tally(self, visit: Visit) -> Tally:
        """Counts that are at most 30 seconds old."""
        found = self._tallies.find(visit.scope, visit.now)
        if found is None:
            since = first_day(visit.now) * DAY
            found = self._overview.tally(visit.scope, not_before=visit.not_before, opened_since=since)
            self._tallies.keep(visit.scope, found, visit.now)
        return found

    def incident(self, visit: Visit) -> Response:
        """One incident. `tid` stands in `incidentUri`: numbers are a tenant's own, so one of another is not found."""
        parameters = visit.request.query_params
        if parameters.get("tid", visit.tenant.guid).lower() != visit.tenant.guid:
            raise NotFound("the address is of another tenant")
        incident_id = _number(visit.request.path_params["incident_id"], NotFound("no incident has such a number"))
        page = _number(parameters.get("page", "1"), InvalidInput("The page of the timeline is not a number."))
        with self._reading, self._store.snapshot():
            row = self._store.get_incident(visit.scope, incident_id, not_before=visit.not_before)
            (card,) = self._overview.cards([row])
            urgency = self._feedback.priority(visit.scope, card.facts)
            documents = self._store.alerts(visit.scope, row)
            links = self._store.find_links(visit.scope, row)
            entries = self._store.find_log(visit.scope, row)
            why = self._merged_because(visit, row.incident_id, card.header.redirect_incident_id or 0)
        return self._rendering.page(
            visit.request,
            "husk.html" if row.status is IncidentStatus.REDIRECTED else "incident.html",
            tenant=visit.tenant,
            row=queue_row(card, urgency, visit.now),
            header=card.header,
            facts=card.facts,
            story=tell(
                [decode_alert(document) for document in documents],
                links,
                page=page,
                now=visit.now,
                partly=row.shown is not None,
            ),
            tactics=lit_tactics(card.facts.tactics) if card.facts.tactics else [],
            last_activity=moment(card.facts.last_activity, visit.now),
            created=moment(row.created, visit.now),
            history=history(entries, visit.now),
            history_length=len(entries),
            why=why,
        )

    def _merged_because(self, visit: Visit, incident_id: int, into: int) -> Sequence[Phrase]:
        """Why a husk was merged, in parts: the reason went with its alerts. Empty where it is not kept any more."""
        for _ in range(REDIRECTS_MAX if into else 0):
            try:
                row = self._store.get_incident(visit.scope, into, not_before=visit.not_before)
            except NotFound:
                return ()
            for edges in self._store.find_links(visit.scope, row).values():
                for edge in edges:
                    if isinstance(edge, Merge) and edge.source_id == incident_id:
                        return phrases(edge)
            (card,) = self._overview.cards([row])
            into = card.header.redirect_incident_id or 0
            if not into:
                break
        return ()


def _number(written: str, otherwise: TocsinError) -> int:
    if not written.isascii() or not written.isdigit() or len(written) > 18:
        raise otherwise
    return int(written)
