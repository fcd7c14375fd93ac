"""`POST /ingest/{sender}` and the refused inputs. Bodies are bounded before they are read; answers follow a commit."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Send
from starlette.types import Scope as AsgiScope

from tocsin.access import Permission, Principal, Scope
from tocsin.errors import InvalidInput, NotFound
from tocsin.ingest import Delivery, LineResult, Result, read_delivery, read_line
from tocsin.senders import REGISTRY, Sender
from tocsin.service import Service
from tocsin.stores.sqlite.reading import RefusedInput
from tocsin.ticks import format_ticks
from tocsin.web import items
from tocsin.web.answers import Handler, answering
from tocsin.web.api import caller
from tocsin.web.bodies import Room, read_body
from tocsin.web.tallies import Tallies

INLINE_BYTES_MAX: Final = 256 * 1024
BODIES_BYTES_MAX: Final = 64 * 1024 * 1024
LARGE_AT_ONCE: Final = 2
"""Large bodies being read or committed; read, a body takes more than ten times its bytes. The others wait unread."""
REFUSED_PAGE_MAX: Final = 1_000
REFUSED_PAGE_BYTES: Final = 16 * 1024 * 1024
"""A page of refused inputs ends with the one that reaches this: each may be as large as a request."""
_REFUSED_STEP: Final = 8
_JSON: Final = {"content-type": "application/json; charset=utf-8"}


class _Bare:
    """A handler that answers every failure itself, without the layers that Starlette puts around a function."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        response = await self._handler(Request(scope, receive, send))
        await response(scope, receive, send)


class Receipt(msgspec.Struct, frozen=True, rename="camel"):
    """The answer to a delivery: how many of each, then every line."""

    created: int
    duplicate: int
    refused: int
    skipped: int
    results: list[LineResult]


class RefusedView(msgspec.Struct, frozen=True, rename="camel"):
    """A refused input as it is listed; `body` is its text, bytes that are no UTF-8 replaced."""

    refused_id: int
    received_time: str
    sender: str
    line: int
    reason: str
    body: str


class Retry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of a retry: which refused inputs; absent means all (the oldest thousand). `sender` is who wrote them after
    all, where they were sent in another's name; what is refused again is then kept as that sender's."""

    ids: list[int] | None = None
    sender: str | None = None


def intake_routes(service: Service) -> list[Route]:
    """Routes under `/ingest`. All need the ingest permission, from a key or a token."""

    room, large, tallies = Room(BODIES_BYTES_MAX), asyncio.Semaphore(LARGE_AT_ONCE), Tallies()

    @answering
    async def ingest(request: Request) -> Response:
        began = time.perf_counter()
        principal = caller(service, request, Permission.INGEST)
        sender = _sender(request.path_params["sender"])
        with room.hold() as take:
            body = await read_body(request, service.settings.body_bytes_max, take)
            return _receipt([await deliver(sender, principal.tenant_id, body)], sender.name, began, tallies)

    async def deliver(sender: Sender, tenant_id: int, body: bytes) -> list[LineResult]:
        alerts_max = service.settings.request_alerts_max
        if len(body) <= INLINE_BYTES_MAX:
            return await _commit(service, read_delivery(sender, tenant_id, body, alerts_max))
        async with large:  # beside the event loop: it would hold up every other request while it is read
            delivery = await asyncio.to_thread(read_delivery, sender, tenant_id, body, alerts_max)
            return await _commit(service, delivery)

    @answering
    async def list_refused(request: Request) -> Response:
        principal = caller(service, request, Permission.INGEST)
        above = _whole(request.query_params.get("above", "0"), "above")
        found = _refused_page(service, principal, above=above, ids=None, most=REFUSED_PAGE_MAX)
        return Response(await asyncio.to_thread(_refused_list, found), headers=_JSON)

    @answering
    async def retry_refused(request: Request) -> Response:
        began = time.perf_counter()
        principal = caller(service, request, Permission.INGEST)
        try:
            wanted = msgspec.json.decode(await read_body(request, 1024 * 1024) or b"{}", type=Retry)
        except (msgspec.DecodeError, RecursionError) as error:
            raise InvalidInput(f'the body must be like {{"ids": [1, 2]}} or empty: {error}') from None
        instead = None if wanted.sender is None else _sender(wanted.sender)
        results: list[list[LineResult]] = []
        above, left = 0, REFUSED_PAGE_MAX
        while left and (found := _refused_page(service, principal, above=above, ids=wanted.ids, most=left)):
            anew = {line.refused_id for each in results for line in each}
            mine = [each for each in found if each.refused_id not in anew]
            for delivery in await asyncio.to_thread(_retries, principal.tenant_id, mine, instead):
                results.append(await _commit(service, delivery))
            above, left = found[-1].refused_id, left - len(found)
        return _receipt(results, "retry" if instead is None else instead.name, began, tallies)

    items.register()
    return [
        Route("/ingest/{sender:item}", _Bare(ingest), methods=["POST"]),
        Route("/ingest/refused", list_refused, methods=["GET"]),
        Route("/ingest/refused/retry", retry_refused, methods=["POST"]),
    ]


def _refused_page(
    service: Service, principal: Principal, *, above: int, ids: list[int] | None, most: int
) -> list[RefusedInput]:
    """The oldest refused inputs behind `above`, or among `ids`: `most` at most, or up to the one that fills a page."""
    found: list[RefusedInput] = []
    scope, size = Scope.everything_of(principal.tenant_id), 0
    while len(found) < most and size < REFUSED_PAGE_BYTES:
        after = found[-1].refused_id if found else above
        step = service.reader.find_refused(scope, top=min(_REFUSED_STEP, most - len(found)), above=after, ids=ids)
        if not step:
            break
        for each in step:
            found.append(each)
            size += len(each.body)
            if size >= REFUSED_PAGE_BYTES:
                break
    return found


def _refused_list(found: list[RefusedInput]) -> bytes:
    return msgspec.json.encode({"value": [_refused_view(each) for each in found]})


def _retries(tenant_id: int, found: list[RefusedInput], instead: Sender | None) -> list[Delivery]:
    """Read refused inputs again: a delivery for each sender, or all as the alerts of another."""
    deliveries = []
    for sender in dict.fromkeys(each.sender if instead is None else instead.name for each in found):
        mine = [each for each in found if each.sender == sender or instead is not None]
        lines = tuple([read_line(REGISTRY[sender], each.line, each.body) for each in mine])
        deliveries.append(Delivery(tenant_id, sender, lines, tuple([each.refused_id for each in mine])))
    return deliveries


async def _commit(service: Service, delivery: Delivery) -> list[LineResult]:
    return await service.writer.commit(delivery)


def _receipt(results: list[list[LineResult]], sender: str, began: float, tallies: Tallies) -> Response:
    lines = [line for each in results for line in each]
    counts = Counter(line.result for line in lines)
    receipt = Receipt(
        counts[Result.CREATED], counts[Result.DUPLICATE], counts[Result.REFUSED], counts[Result.SKIPPED], lines
    )
    told = {result.value: counts[result] for result in Result}
    tallies.add(sender, told, round((time.perf_counter() - began) * 1000))
    # Refused input is kept, yet a request of nothing else is a mistake that its sender should hear about.
    only_refused = counts[Result.REFUSED] and counts[Result.REFUSED] == len(lines)
    return Response(msgspec.json.encode(receipt), status_code=422 if only_refused else 200, headers=_JSON)


def _sender(name: str) -> Sender:
    sender = REGISTRY.get(name)
    if sender is None:
        raise NotFound(f"there is no sender {name[:40]!r}; there are {', '.join(sorted(REGISTRY))}")
    return sender


def _refused_view(found: RefusedInput) -> RefusedView:
    text = found.body.decode("utf-8", "replace")
    return RefusedView(found.refused_id, format_ticks(found.received), found.sender, found.line, found.reason, text)


def _whole(text: str, name: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise InvalidInput(f"{name} must be a whole number, not {text[:40]!r}")
    return int(text)
