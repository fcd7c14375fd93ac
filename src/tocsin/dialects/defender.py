"""The dialect of `/api/incidents` (`seed.md`, `incidents-api.md` sections 1.5 and 4): bodies, headers and errors.

Departures from the original are lines in `docs/divergences.md`. What a query means is not decided here.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from typing import Final

import msgspec

from tocsin.errors import (
    Expired,
    Forbidden,
    InvalidChange,
    InvalidInput,
    InvalidQuery,
    NotFound,
    QuotaExceeded,
    Redirected,
    Refused,
    StorageFull,
    TocsinError,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from tocsin.quota import Allowed

PAGE_MAX: Final = 100
PAGE_BYTES_MAX: Final = 16 * 1024 * 1024
"""Where a page ends early and its nextLink goes on: a hundred large incidents would be more than a client can take."""
CONTENT_TYPE: Final = "application/json; odata.metadata=minimal; odata.streaming=true; charset=utf-8"
HEADERS: Final = {"content-type": CONTENT_TYPE, "odata-version": "4.0"}

_ERRORS: Final[tuple[tuple[type[TocsinError], int, str], ...]] = (
    (InvalidQuery, 400, "ODataError"),
    (Unauthenticated, 401, "Unauthorized"),
    (Forbidden, 403, "Forbidden"),
    (NotFound, 404, "ResourceNotFound"),
    (TooLarge, 413, "RequestTooLarge"),
    (Refused, 422, "InvalidInput"),
    (InvalidChange, 400, "InvalidRequestBody"),
    (InvalidInput, 400, "InvalidInput"),
    (Redirected, 400, "BadRequest"),
    (Expired, 410, "BadRequest"),
    (QuotaExceeded, 429, "429"),
    (StorageFull, 507, "InsufficientStorage"),
    (Unavailable, 503, "ServiceUnavailable"),
)
"""First match wins; the codes are the original's where it has one (section 4)."""

_PAGE_SIZE: Final = re.compile(r'(?:odata\.)?maxpagesize\s*=\s*"?([0-9]{1,9})(?![0-9])', re.IGNORECASE | re.ASCII)

UNAUTHORIZED: Final = "The authorization header is missing, invalid or expired."
"""Says nothing of which check failed: that is in the log (`tokens.md`)."""


class ErrorAnswer(msgspec.Struct, frozen=True):
    """Status, body and extra headers of a failure."""

    status: int
    body: bytes
    headers: dict[str, str]


def error_answer(error: TocsinError) -> ErrorAnswer:
    """Map an expected failure to its answer."""
    found = next(((status, code) for kind, status, code in _ERRORS if isinstance(error, kind)), None)
    if found is None:
        return internal_error()
    status, code = found
    message = str(error)
    headers: dict[str, str] = {}
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
    return ErrorAnswer(status, error_body(code, message), {**headers, **HEADERS})


def internal_error() -> ErrorAnswer:
    """The fixed answer to a defect: its text never leaves the process."""
    return ErrorAnswer(500, error_body("InternalServerError", "The request failed here; try again."), dict(HEADERS))


def error_body(code: str, message: str) -> bytes:
    """The error envelope; `target` is a fresh id to quote."""
    return msgspec.json.encode({"error": {"code": code, "message": message, "target": str(uuid.uuid4())}})


def quota_headers(allowed: Allowed) -> dict[str, str]:
    """What is left of the caller's quota for this operation, in the names of the IETF's draft (RateLimit fields).

    `ratelimit-reset` is in seconds: when the limit that is nearest to its end has room for one call more.
    """
    return {
        "ratelimit-limit": str(allowed.limit.calls),
        "ratelimit-remaining": str(allowed.remaining),
        "ratelimit-reset": str(allowed.reset_after),
    }


def incident_uri(portal_url: str, tenant_guid: str, incident_id: int) -> str:
    """Where a person looks at the incident (section 2.1)."""
    return f"{portal_url}/incidents/{incident_id}?tid={tenant_guid}"


def incident_object(incident_id: int, uri: str, header: bytes, alerts: Sequence[bytes]) -> bytes:
    """One incident, from its stored header and alerts, in one join."""
    start = b'{"incidentId":%d,"incidentUri":%b,' % (incident_id, msgspec.json.encode(uri))
    return b"".join((start, header[1:-1], b',"alerts":[', b",".join(alerts), b"]}"))


def incident_page(base_url: str, incidents: Sequence[bytes], next_token: str | None = None) -> bytes:
    """The collection envelope around finished incidents, glued to its ends so that one join does it all.

    `next_token` makes the nextLink, on the origin that the request came to.
    """
    head = b'{"@odata.context":"%b/api/$metadata#Incidents","value":[' % base_url.encode()
    link = "" if next_token is None else f',"@odata.nextLink":"{base_url}/api/incidents?$skiptoken={next_token}"'
    tail = b"]%b}" % link.encode()
    if not incidents:
        return head + tail
    parts = list(incidents)
    parts[0] = head + parts[0]
    parts[-1] += tail
    return b",".join(parts)


def preferred_page_size(prefer: str) -> int | None:
    """The page size that the Prefer headers, joined by commas, ask for; None where they ask for none that works."""
    found = _PAGE_SIZE.search(prefer)
    return min(int(found[1]), PAGE_MAX) if found and int(found[1]) else None


def single_incident(base_url: str, incident: bytes) -> bytes:
    """One incident as a document of its own: the context comes first."""
    return b'{"@odata.context":"%b/api/$metadata#Incidents/$entity",%b' % (base_url.encode(), incident[1:])
