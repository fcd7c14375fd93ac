"""Asking an issuer of others: one answer with all its bounds, and nothing that a token says has any part in it.

The bounds are those of `tokens.md`: 256 KB, 3 seconds in all, no redirects. A compressed answer is refused, since
what it becomes cannot be bounded. The caller has checked the address (`ForeignIssuer.require_address`).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from typing import Any, Final, Protocol

import httpx2

from tocsin.errors import Unauthenticated, Unavailable
from tocsin.identity.foreign import ForeignIssuer
from tocsin.identity.jwt import parse_object

BODY_BYTES_MAX: Final = 256 * 1024
SECONDS_MAX: Final = 3.0
_HEADERS: Final = {"accept": "application/json", "accept-encoding": "identity"}


class Answer(Protocol):
    """How an issuer is asked: the JSON object at an address, or the answer to a form."""

    async def get(self, issuer: ForeignIssuer, url: str) -> dict[str, Any]:
        """Raises Unavailable."""

    async def post(
        self, issuer: ForeignIssuer, url: str, form: Mapping[str, str], basic: tuple[str, str] | None
    ) -> tuple[int, dict[str, Any]]:
        """(status, object). Raises Unavailable."""


class Fetcher:
    """`Answer` over the network."""

    def __init__(self, seconds_max: float = SECONDS_MAX) -> None:
        self._seconds_max = seconds_max

    async def get(self, issuer: ForeignIssuer, url: str) -> dict[str, Any]:
        """The JSON object at an address. Raises Unavailable."""
        status, found = await self._ask(issuer, "GET", url, None, None)
        if status != 200:
            raise Unavailable(f"{url} answered {status}")
        return found

    async def post(
        self, issuer: ForeignIssuer, url: str, form: Mapping[str, str], basic: tuple[str, str] | None
    ) -> tuple[int, dict[str, Any]]:
        """(status, object) for a form. Raises Unavailable."""
        return await self._ask(issuer, "POST", url, form, basic)

    async def _ask(
        self,
        issuer: ForeignIssuer,
        method: str,
        url: str,
        form: Mapping[str, str] | None,
        basic: tuple[str, str] | None,
    ) -> tuple[int, dict[str, Any]]:
        context = ssl.create_default_context(cadata=issuer.authority or None)
        try:
            async with (
                asyncio.timeout(self._seconds_max),
                httpx2.AsyncClient(verify=context, follow_redirects=False, timeout=self._seconds_max) as client,
                client.stream(method, url, headers=_HEADERS, data=form, auth=basic) as response,
            ):
                return response.status_code, await _read(url, response)
        except TimeoutError:
            raise Unavailable(f"{url} took longer than {self._seconds_max:g} seconds") from None
        except (httpx2.RequestError, httpx2.InvalidURL) as error:
            raise Unavailable(f"{url} cannot be asked: {type(error).__name__} {error}") from None


async def _read(url: str, response: httpx2.Response) -> dict[str, Any]:
    if response.is_redirect:
        raise Unavailable(f"{url} sends elsewhere, which is not followed")
    if response.headers.get("content-encoding", "identity") != "identity":
        raise Unavailable(f"{url} sends a compressed answer, which was not asked for")
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > BODY_BYTES_MAX:
            raise Unavailable(f"{url} sends more than {BODY_BYTES_MAX} bytes")
    try:
        return parse_object(bytes(body), "answer")
    except Unauthenticated:
        raise Unavailable(f"{url} does not answer with a JSON object ({response.status_code})") from None
