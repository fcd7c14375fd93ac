"""The Graph dialect's envelopes: collections, contexts, links, headers and error bodies (`incidents-api.md` 1.7, 4).

What stands inside is made in `graph_objects.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from tocsin.dialects.defender import ErrorAnswer
from tocsin.errors import (
    Expired,
    Forbidden,
    InvalidChange,
    InvalidInput,
    InvalidQuery,
    NotFound,
    QuotaExceeded,
    Redirected,
    StorageFull,
    TocsinError,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from tocsin.ticks import format_ticks

INCIDENTS_PAGE: Final = 50
ALERTS_PAGE: Final = 100
PAGE_BYTES_MAX: Final = 1_000_000
"""A page whose size the client did not ask for ends here: one public client drops bodies above 1 MiB."""

CONTENT_TYPE: Final = (
    "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"
)

_ERRORS: Final[tuple[tuple[type[TocsinError], int, str], ...]] = (
    (InvalidQuery, 400, "BadRequest"),
    (Unauthenticated, 401, "InvalidAuthenticationToken"),
    (Forbidden, 403, "Forbidden"),
    (NotFound, 404, "ResourceNotFound"),
    (Redirected, 409, "Conflict"),
    (Expired, 410, "resyncRequired"),
    (TooLarge, 413, "RequestTooLarge"),
    (InvalidInput, 400, "BadRequest"),
    (QuotaExceeded, 429, "TooManyRequests"),
    (StorageFull, 507, "InsufficientStorage"),
    (Unavailable, 503, "ServiceUnavailable"),
)
"""First match wins."""

UNAUTHORIZED: Final = "Access token is missing, invalid or expired."
"""Says nothing of which check failed: that is in the log (`tokens.md`)."""


class Exchange(msgspec.Struct, frozen=True):
    """One request as its answer names it. `version` is `v1.0` or `beta`; `now` is ticks."""

    base_url: str
    version: str
    request_id: str
    client_request_id: str
    now: int

    def context(self, what: str) -> bytes:
        """The address of `$metadata` with what the answer is, e.g. `security/incidents`."""
        return f"{self.base_url}/{self.version}/$metadata#{what}".encode()

    def address(self, path: str) -> str:
        """A path below `security/` as an absolute address of this very server, as the client reached it."""
        return f"{self.base_url}/{self.version}/security/{path}"

    def headers(self) -> dict[str, str]:
        """Of every answer."""
        return {
            "content-type": CONTENT_TYPE,
            "odata-version": "4.0",
            "request-id": self.request_id,
            "client-request-id": self.client_request_id,
        }


def error_answer(error: TocsinError, exchange: Exchange) -> ErrorAnswer:
    """Map an expected failure to its answer."""
    found = next(((status, code) for kind, status, code in _ERRORS if isinstance(error, kind)), None)
    if found is None:
        return internal_error(exchange)
    status, code = found
    message = str(error)
    headers = exchange.headers()
    if isinstance(error, InvalidQuery):
        message = f"The query specified in the URI is not valid. {message}"
    elif isinstance(error, InvalidChange):
        message = f"Request body is incorrect: {message}."
    elif isinstance(error, Unauthenticated):
        message = UNAUTHORIZED
        headers["www-authenticate"] = "Bearer"
    elif isinstance(error, QuotaExceeded | Unavailable):
        headers["retry-after"] = str(error.retry_after)
    if isinstance(error, QuotaExceeded):
        headers.update({"ratelimit-remaining": "0", "ratelimit-reset": str(error.retry_after)})
    return ErrorAnswer(status, error_body(code, message, exchange), headers)


def internal_error(exchange: Exchange) -> ErrorAnswer:
    """The fixed answer to a defect: its text never leaves the process."""
    body = error_body("InternalServerError", "The request failed here; try again.", exchange)
    return ErrorAnswer(500, body, exchange.headers())


class InnerError(msgspec.Struct, frozen=True):
    """What to quote when asking about a failure. `date` is UTC."""

    date: str
    request_id: str = msgspec.field(name="request-id")
    client_request_id: str = msgspec.field(name="client-request-id")


class GraphFailure(msgspec.Struct, frozen=True, rename="camel"):
    """Code for programs, message for people."""

    code: str
    message: str
    inner_error: InnerError


class GraphError(msgspec.Struct, frozen=True):
    """The body of every failure."""

    error: GraphFailure


def error_body(code: str, message: str, exchange: Exchange) -> bytes:
    """The error envelope."""
    inner = InnerError(format_ticks(exchange.now)[:19], exchange.request_id, exchange.client_request_id)
    return msgspec.json.encode(GraphError(GraphFailure(code, message, inner)))


def collection(
    context: bytes,
    items: Sequence[bytes],
    *,
    count: int | None = None,
    next_link: str | None = None,
    delta_link: str | None = None,
) -> bytes:
    """A list of finished objects with what belongs around it."""
    parts = [b'{"@odata.context":"', context, b'"']
    if count is not None:
        parts.append(b',"@odata.count":%d' % count)
    if next_link is not None:
        parts += [b',"@odata.nextLink":', msgspec.json.encode(next_link)]
    if delta_link is not None:
        parts += [b',"@odata.deltaLink":', msgspec.json.encode(delta_link)]
    parts += [b',"value":[', b",".join(items), b"]}"]
    return b"".join(parts)


def single(context: bytes, item: bytes) -> bytes:
    """One finished object as a document of its own: the context comes first."""
    return b"".join((b'{"@odata.context":"', context, b'/$entity",', item[1:]))


def removed(incident_id: int) -> bytes:
    """What a change feed says of an incident that retention took."""
    return b'{"@removed":{"reason":"deleted"},"id":"%d"}' % incident_id
