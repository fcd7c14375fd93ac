"""Lists of the Graph form: pages of a walk that is pinned to one moment, counts, and the change feed of incidents.

Every incident or alert that matched when a walk began appears once, in the state of that moment (`design/feed.md`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from tocsin.access import READ_ALERTS, READ_INCIDENTS
from tocsin.dialects import graph
from tocsin.errors import InvalidQuery
from tocsin.odata import parse_options
from tocsin.odata.expression import Field
from tocsin.odata.options import Order, Query
from tocsin.odata.shaping import Shape, parse_shape
from tocsin.quotas import Operation
from tocsin.service import Service
from tocsin.stores.sqlite.alerts import AlertVersion
from tocsin.stores.sqlite.reading import IncidentRow
from tocsin.web import graph_resources as resources
from tocsin.web.graph_asking import Asked, ask
from tocsin.web.graph_links import Links, Mark, link
from tocsin.web.graph_reading import GraphReading

INCIDENTS: Final = "incidents"
ALERTS: Final = "alerts_v2"
CHANGES: Final = "incidents/delta"

_T = TypeVar("_T")


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """One request for a page. `size` is how many rows fit; `bounded` whether the page may end at a size in bytes."""

    asked: Asked
    resource: str
    query: Query
    shape: Shape
    meaning: str
    size: int
    bounded: bool
    query_string: bytes


class GraphLists:
    """The lists, their counts and the change feed."""

    def __init__(self, service: Service, reading: GraphReading) -> None:
        self._service, self._reading, self._links = service, reading, Links(service.keys)

    async def incidents(self, request: Request) -> Response:
        """`GET security/incidents`."""
        return self._incident_page(self._incident_listing(request, INCIDENTS))

    async def alerts(self, request: Request) -> Response:
        """`GET security/alerts_v2`."""
        asked = ask(self._service, request, READ_ALERTS, Operation.LIST_ALERTS)
        return self._alert_page(_listing(asked, request, ALERTS, resources.ALERTS))

    async def incident_count(self, request: Request) -> Response:
        """`GET security/incidents/$count`: a number as text."""
        listing = self._incident_listing(request, INCIDENTS)
        return _number(listing, self._count_incidents(listing, None))

    async def alert_count(self, request: Request) -> Response:
        """`GET security/alerts_v2/$count`."""
        asked = ask(self._service, request, READ_ALERTS, Operation.LIST_ALERTS)
        listing = _listing(asked, request, ALERTS, resources.ALERTS)
        return _number(listing, self._count_alerts(listing, None))

    async def changes(self, request: Request) -> Response:
        """`GET security/incidents/delta`: a walk over all at first, then what changed since."""
        listing = self._incident_listing(request, CHANGES)
        token = listing.query.passed_on.get("$deltatoken")
        if token is None:
            return self._incident_page(listing)
        if listing.query.order_by is not None or listing.query.skip:
            raise InvalidQuery(
                "A change feed has its own order: $orderby and $skip are not allowed beside $deltatoken."
            )
        if token.lower() == "latest":
            return self._page_of(listing, [], delta=Mark(self._service.reader.last_change(listing.asked.scope)))
        asked = listing.asked
        return self._change_page(listing, self._links.open(asked.principal, CHANGES, listing.meaning, token))

    def _incident_listing(self, request: Request, resource: str) -> Listing:
        asked = ask(self._service, request, READ_INCIDENTS, Operation.LIST)
        return _listing(asked, request, resource, resources.INCIDENTS)

    def _incident_page(self, listing: Listing) -> Response:
        asked, query, reader = listing.asked, listing.query, self._service.reader
        with reader.snapshot():
            mark = self._mark(listing)
            as_of = mark.as_of if mark.as_of >= reader.oldest_state(asked.scope) else None
            rows = reader.find_incidents(
                asked.scope,
                expression=query.filter,
                order_by=query.order_by,
                top=listing.size + 1 if listing.size else 0,
                skip=0 if mark.given else query.skip,
                after=mark.place if mark.given else None,
                not_before=asked.not_before,
                as_of=as_of,
            )

            def show(row: IncidentRow) -> bytes:
                return self._reading.incident(asked.speaking, asked.scope, row, listing.shape)

            items, last = _fitting(rows, show, listing)
            count = self._count_incidents(listing, as_of) if listing.shape.count else None
        by_creation = query.order_by is not None and query.order_by.field is Field.CREATED
        following = None
        if last is not None:
            place = last.incident_id if by_creation else last.change
            following = Mark(mark.as_of, place, 0, mark.given + len(items))
        ended = Mark(mark.as_of) if listing.size else None
        return self._page_of(listing, items, count=count, following=following, delta=ended)

    def _alert_page(self, listing: Listing) -> Response:
        asked, query = listing.asked, listing.query
        reader, alerts = self._service.reader, self._service.alerts
        with reader.snapshot():
            mark = self._mark(listing)
            as_of = mark.as_of if mark.as_of >= reader.oldest_state(asked.scope) else None
            versions = alerts.find_alerts(
                asked.scope,
                expression=query.filter,
                order_by=query.order_by,
                top=listing.size + 1 if listing.size else 0,
                skip=0 if mark.given else query.skip,
                after=(mark.place, mark.number) if mark.given else None,
                not_before=asked.not_before,
                as_of=as_of,
            )

            def show(version: AlertVersion) -> bytes:
                return self._reading.alert(asked.speaking, version, listing.shape.select)

            items, last = _fitting(versions, show, listing)
            count = self._count_alerts(listing, as_of) if listing.shape.count else None
        following = None
        if last is not None:
            following = Mark(mark.as_of, last.position, last.alert_number, mark.given + len(items))
        return self._page_of(listing, items, count=count, following=following)

    def _change_page(self, listing: Listing, mark: Mark) -> Response:
        asked, reader = listing.asked, self._service.reader
        with reader.snapshot():
            newest = reader.last_change(asked.scope)
            if not reader.oldest_removal(asked.scope) <= mark.as_of <= newest:
                return _gone(asked)
            changes = reader.find_changes(
                asked.scope,
                since=mark.as_of,
                top=listing.size + 1,
                expression=listing.query.filter,
                not_before=asked.not_before,
            )
            page = changes[: listing.size]
            items = [
                graph.removed(each.incident_id)
                if each.row is None
                else self._reading.incident(asked.speaking, asked.scope, each.row, listing.shape)
                for each in page
            ]
        if len(changes) > len(page):
            return self._page_of(listing, items, more=Mark(page[-1].change))
        return self._page_of(listing, items, delta=Mark(newest))

    def _mark(self, listing: Listing) -> Mark:
        """Where the walk stands: at its beginning, pinned to now, or where its link says."""
        asked, token = listing.asked, listing.query.passed_on.get("$skiptoken")
        if token is None:
            return Mark(self._service.reader.last_change(asked.scope))
        return self._links.open(asked.principal, listing.resource, listing.meaning, token)

    def _count_incidents(self, listing: Listing, as_of: int | None) -> int:
        asked = listing.asked
        return self._service.reader.count_incidents(
            asked.scope, expression=listing.query.filter, not_before=asked.not_before, as_of=as_of
        )

    def _count_alerts(self, listing: Listing, as_of: int | None) -> int:
        asked = listing.asked
        return self._service.alerts.count_alerts(
            asked.scope, expression=listing.query.filter, not_before=asked.not_before, as_of=as_of
        )

    def _page_of(
        self,
        listing: Listing,
        items: list[bytes],
        *,
        count: int | None = None,
        following: Mark | None = None,
        more: Mark | None = None,
        delta: Mark | None = None,
    ) -> Response:
        """The answer with its link: to the next page of the walk (`following`) or of the feed (`more`), or `delta`."""
        next_link = delta_link = None
        if following is not None:
            next_link = self._link(listing, listing.resource, "$skiptoken", following)
        elif more is not None:
            next_link = self._link(listing, CHANGES, "$deltatoken", more)
        elif delta is not None:
            delta_link = self._link(listing, CHANGES, "$deltatoken", delta)
        context = listing.asked.exchange.context(f"security/{listing.resource.partition('/')[0]}")
        body = graph.collection(context, items, count=count, next_link=next_link, delta_link=delta_link)
        return Response(body, headers=listing.asked.headers)

    def _link(self, listing: Listing, resource: str, option: str, mark: Mark) -> str:
        asked = listing.asked
        feed = option == "$deltatoken"
        token = self._links.seal(asked.principal, resource, _meaning(listing.query, ordered=not feed), mark)
        return link(asked.exchange.address(resource), listing.query_string, option, token, ordered=not feed)


def _listing(asked: Asked, request: Request, resource: str, offer: resources.Offer) -> Listing:
    """Read the query of a list. Raises InvalidQuery."""
    query_string = request.scope["query_string"]
    query = parse_options(query_string, offer.options)
    wanted = query.top if query.top is not None else asked.page_size
    return Listing(
        asked=asked,
        resource=resource,
        query=query,
        shape=parse_shape(query.passed_on, offer.shapes),
        meaning=_meaning(query),
        size=offer.page if wanted is None else min(wanted, offer.options.top_max),
        bounded=wanted is None,
        query_string=query_string,
    )


def _meaning(query: Query, *, ordered: bool = True) -> str:
    order: Order | None = query.order_by if ordered else None
    said = "" if order is None else f"{order.field} {order.descending}"
    return f"{query.filter!r} {said}"


def _fitting(found: list[_T], show: Callable[[_T], bytes], listing: Listing) -> tuple[list[bytes], _T | None]:
    """The rows that fit into the page, shown, and the last of them where more follow."""
    items: list[bytes] = []
    room = graph.PAGE_BYTES_MAX
    for row in found[: listing.size]:
        item = show(row)
        room -= len(item) + 1
        if items and room < 0 and listing.bounded:
            break
        items.append(item)
    return items, found[len(items) - 1] if items and len(found) > len(items) else None


def _number(listing: Listing, count: int) -> Response:
    headers = {**listing.asked.headers, "content-type": "text/plain"}
    return Response(str(count), headers=headers)


def _gone(asked: Asked) -> Response:
    message = "What was removed since this link was made is no longer known; begin anew with GET security/incidents."
    body = graph.error_body("resyncRequired", message, asked.exchange)
    return Response(body, status_code=410, headers=asked.headers)
