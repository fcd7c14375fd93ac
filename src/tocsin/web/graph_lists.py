"""Lists of the Graph form: pages of a walk that is pinned to one moment, counts, and the change feed of incidents.

Every incident or alert that matched when a walk began appears once, in the state of that moment (`design/feed.md`);
the walks themselves are `walks.py`'s.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from tocsin.access import READ_ALERTS, READ_INCIDENTS, Scope
from tocsin.dialects import graph
from tocsin.errors import InvalidQuery
from tocsin.odata import parse_options
from tocsin.odata.expression import Expression
from tocsin.odata.shaping import Shape, parse_shape
from tocsin.quotas import Operation
from tocsin.search import find_changes, state_of, walk_incidents
from tocsin.service import Service
from tocsin.stores.sqlite.alerts import AlertStore, AlertVersion
from tocsin.stores.sqlite.connection import DATABASE_NAME, open_reader
from tocsin.stores.sqlite.reading import IncidentRow, ReadStore
from tocsin.walks import Walk, Walker
from tocsin.web import graph_resources as resources
from tocsin.web.graph_asking import Asked, ask
from tocsin.web.graph_reading import GraphReading

INCIDENTS: Final = "incidents"
ALERTS: Final = "alerts_v2"
CHANGES: Final = "incidents/delta"

_Row = TypeVar("_Row")


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """One request for a page. `bytes_max` None: the client named the number of rows, and gets it."""

    asked: Asked
    resource: str
    walk: Walk
    shape: Shape
    bytes_max: int | None


CountRows = Callable[[Scope, Expression | None, int, int | None], int]
"""(scope, filter, retention cut-off in ticks, state) -> how many rows."""


class _Counting:
    """Counts over a connection of their own, in a worker thread: a million rows take a second or two, and nobody
    else should wait for that. A count of a pinned state is the same whenever it is made."""

    def __init__(self, service: Service) -> None:
        connection = open_reader(service.settings.data_dir / DATABASE_NAME)
        self._reader, self._alerts = ReadStore(connection), AlertStore(connection)
        self._one_at_a_time = threading.Lock()

    def incidents(self, scope: Scope, expression: Expression | None, not_before: int, state: int | None) -> int:
        with self._one_at_a_time:
            return self._reader.count_incidents(scope, expression=expression, not_before=not_before, as_of=state)

    def alerts(self, scope: Scope, expression: Expression | None, not_before: int, state: int | None) -> int:
        with self._one_at_a_time:
            return self._alerts.count_alerts(scope, expression=expression, not_before=not_before, as_of=state)


class GraphLists:
    """The lists, their counts and the change feed."""

    def __init__(self, service: Service, reading: GraphReading) -> None:
        self._service, self._reading, self._counting = service, reading, _Counting(service)

    async def incidents(self, request: Request) -> Response:
        """`GET security/incidents`."""
        asked = ask(self._service, request, READ_INCIDENTS, Operation.LIST)
        return await self._incident_page(self._listing(asked, request, INCIDENTS, resources.INCIDENTS))

    async def alerts(self, request: Request) -> Response:
        """`GET security/alerts_v2`."""
        asked = ask(self._service, request, READ_ALERTS, Operation.LIST_ALERTS)
        return await self._alert_page(self._listing(asked, request, ALERTS, resources.ALERTS))

    async def incident_count(self, request: Request) -> Response:
        """`GET security/incidents/$count`: a number as text."""
        asked = ask(self._service, request, READ_INCIDENTS, Operation.LIST)
        listing = self._listing(asked, request, INCIDENTS, resources.INCIDENTS)
        return _number(asked, await self._count(listing, None, self._counting.incidents))

    async def alert_count(self, request: Request) -> Response:
        """`GET security/alerts_v2/$count`."""
        asked = ask(self._service, request, READ_ALERTS, Operation.LIST_ALERTS)
        listing = self._listing(asked, request, ALERTS, resources.ALERTS)
        return _number(asked, await self._count(listing, None, self._counting.alerts))

    async def changes(self, request: Request) -> Response:
        """`GET security/incidents/delta`: a walk over all at first, then what changed since."""
        asked = ask(self._service, request, READ_INCIDENTS, Operation.LIST)
        listing = self._listing(asked, request, CHANGES, resources.INCIDENTS)
        if listing.walk.since is not None:
            return self._change_page(listing)
        if listing.walk.query.passed_on.get("$deltatoken") is not None:
            now = self._service.reader.last_change(asked.scope)
            return self._page(listing, [], delta=_feed(listing.walk, now))
        return await self._incident_page(listing)

    def _listing(self, asked: Asked, request: Request, resource: str, offer: resources.Offer) -> Listing:
        """Read the query of a list: it begins a walk, or goes on with one. Raises InvalidQuery."""
        query_string = request.scope["query_string"]
        query = parse_options(query_string, offer.options)
        walker = Walker(asked.tenant.tenant_id, asked.principal.caller, resource)
        token = query.passed_on.get("$deltatoken")
        if token is not None and (resource != CHANGES or query.skip or query.order_by is not None):
            raise InvalidQuery("A $deltatoken is for incidents/delta alone, which has its own order and no $skip.")
        sized = query.top if query.top is not None else asked.page_size
        if "$skiptoken" in query.passed_on or (token is not None and token.lower() != "latest"):
            walk = self._service.walks.resume(walker, query, offer.options, not_before=asked.not_before)
            sized = None  # who follows links sees the end by there being none, however long a page is
        else:
            walk = self._service.walks.begin(
                walker,
                query_string,
                query,
                page_size=offer.page if sized is None else min(sized, offer.options.top_max),
                top=None,  # here it is the size of a page
                not_before=asked.not_before,
                now=self._service.clock(),
            )
        shape = parse_shape(walk.query.passed_on, offer.shapes)
        bytes_max = graph.PAGE_BYTES_MAX if sized is None else None
        return Listing(asked=asked, resource=resource, walk=walk, shape=shape, bytes_max=bytes_max)

    async def _incident_page(self, listing: Listing) -> Response:
        asked, walk, reader = listing.asked, listing.walk, self._service.reader

        def show(row: IncidentRow) -> bytes:
            return self._reading.incident(asked.speaking, asked.scope, row, listing.shape)

        with reader.snapshot():
            found = walk_incidents(reader, asked.scope, walk)
            items = _fitting(found.rows, show, listing.bytes_max)
            if len(items) < len(found.rows):
                found = found.cut(walk, len(items))
            state = state_of(reader, asked.scope, found.as_of)
        count = await self._counted(listing, state, self._counting.incidents)
        self._note(walk, found.as_of, found.last, given=len(items), ended=found.ended)
        ended = _feed(walk, found.as_of) if found.ended else None
        return self._page(listing, items, count=count, onward=found.onward, delta=ended)

    async def _alert_page(self, listing: Listing) -> Response:
        asked, walk, reader = listing.asked, listing.walk, self._service.reader

        def show(version: AlertVersion) -> bytes:
            return self._reading.alert(asked.speaking, version, listing.shape.select)

        with reader.snapshot():
            state = state_of(reader, asked.scope, walk.as_of)
            versions = self._service.alerts.find_alerts(
                asked.scope,
                expression=walk.query.filter,
                order_by=walk.query.order_by,
                top=walk.limit + 1 if walk.limit else 0,  # one more than asked for says whether there are more
                skip=walk.skip,
                after=(walk.after[0], walk.after[1]) if walk.after else None,
                not_before=walk.not_before,
                as_of=state,
            )
            items = _fitting(versions[: walk.limit], show, listing.bytes_max)
        count = await self._counted(listing, state, self._counting.alerts)
        pinned = state if walk.as_of is None else walk.as_of
        last = versions[len(items) - 1] if items else None
        key = () if last is None else (last.position, last.alert_number)
        ended = len(versions) == len(items) and walk.limit > 0
        self._note(walk, pinned, key, given=len(items), ended=ended)
        onward = walk.onward(pinned, len(items), key) if items and not ended else None
        return self._page(listing, items, count=count, onward=onward)

    def _note(self, walk: Walk, as_of: int, last: tuple[int, ...], *, given: int, ended: bool) -> None:
        now = self._service.clock()
        self._service.walks.note(walk, as_of=as_of, given=given, last=last, ended=ended, now=now)

    def _change_page(self, listing: Listing) -> Response:
        asked, reader = listing.asked, self._service.reader
        with reader.snapshot():
            found = find_changes(reader, asked.scope, listing.walk)
            items = [
                graph.removed(each.incident_id)
                if each.row is None
                else self._reading.incident(asked.speaking, asked.scope, each.row, listing.shape)
                for each in found.changes
            ]
        feed = _feed(listing.walk, found.position)
        return self._page(listing, items, onward=feed) if found.more else self._page(listing, items, delta=feed)

    async def _counted(self, listing: Listing, state: int, count: CountRows) -> int | None:
        """How many match in all, where the client asks: counted once for a walk."""
        if not listing.shape.count:
            return None
        return await self._count(listing, state, count) if listing.walk.count is None else listing.walk.count

    async def _count(self, listing: Listing, state: int | None, count: CountRows) -> int:
        walk = listing.walk
        return await asyncio.to_thread(count, listing.asked.scope, walk.query.filter, walk.not_before, state)

    def _page(
        self,
        listing: Listing,
        items: list[bytes],
        *,
        count: int | None = None,
        onward: Walk | None = None,
        delta: Walk | None = None,
    ) -> Response:
        """The answer with the link to its next page, or at its end to what changes after."""
        next_link = None if onward is None else self._link(listing, msgspec.structs.replace(onward, count=count))
        delta_link = None if delta is None else self._link(listing, delta)
        context = listing.asked.exchange.context(f"security/{listing.resource.partition('/')[0]}")
        body = graph.collection(context, items, count=count, next_link=next_link, delta_link=delta_link)
        return Response(body, headers=listing.asked.headers)

    def _link(self, listing: Listing, walk: Walk) -> str:
        option = "$skiptoken" if walk.since is None else "$deltatoken"
        address = listing.asked.exchange.address(walk.walker.resource)
        return f"{address}?{option}={self._service.walks.token(walk)}"


def _feed(walk: Walk, since: int) -> Walk:
    """The change feed of the same query, from this change on."""
    walker = msgspec.structs.replace(walk.walker, resource=CHANGES)
    return msgspec.structs.replace(
        walk,
        walker=walker,
        page_size=walk.page_size or 1,
        since=since,
        as_of=None,
        after=(),
        skip=0,
        offset=0,
        count=None,
    )


def _fitting(found: Sequence[_Row], show: Callable[[_Row], bytes], bytes_max: int | None) -> list[bytes]:
    """The rows shown, up to a size; always one where there is one."""
    items: list[bytes] = []
    size = 0
    for row in found:
        item = show(row)
        size += len(item) + 1
        if items and bytes_max is not None and size > bytes_max:
            break
        items.append(item)
    return items


def _number(asked: Asked, count: int) -> Response:
    return Response(str(count), headers={**asked.headers, "content-type": "text/plain"})
