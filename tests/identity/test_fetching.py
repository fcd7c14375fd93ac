"""Asking an issuer over a real socket: what is too big, too slow, sent elsewhere or no JSON is refused."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

import pytest

from tocsin.errors import InvalidInput, Unavailable
from tocsin.identity.fetching import BODY_BYTES_MAX, Fetcher
from tocsin.identity.foreign import ForeignIssuer
from tocsin.identity.foreign_keys import KeySets

Answering = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]
PATIENCE_SECONDS: Final = 0.5


def reply(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def ask(answering: Answering, seconds_max: float = 30) -> tuple[dict[str, Any] | str, list[bytes]]:
    """What the fetcher makes of a server that answers so: an object, or the reason for none; and what was asked."""
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        try:
            await answering(asked[-1], writer)
            await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    issuer = ForeignIssuer(
        tenant_id=1, name="raw", issuer=f"http://127.0.0.1:{port}", audiences=("a",), plain_loopback=True
    )
    try:
        return await Fetcher(seconds_max).get(issuer, f"{issuer.issuer}/keys"), asked
    except Unavailable as error:
        return str(error), asked
    finally:
        server.close()


def of(content: bytes) -> Answering:
    async def answering(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(content)

    return answering


def test_an_object_is_given_and_nothing_compressed_is_asked_for() -> None:
    found, (asked,) = asyncio.run(ask(of(reply(b'{"keys": []}'))))
    assert found == {"keys": []}
    assert b"accept-encoding: identity" in asked.lower()


def test_a_body_at_the_bound_is_read_and_one_above_is_refused() -> None:
    padding = BODY_BYTES_MAX - len(b'{"a":""}')
    for more, good in ((0, True), (1, False)):
        found, _ = asyncio.run(
            ask(of(reply(json.dumps({"a": "x" * (padding + more)}, separators=(",", ":")).encode())))
        )
        assert isinstance(found, dict) is good, str(found)[:200]


def test_an_endless_body_is_left_at_the_bound() -> None:
    sent = 0

    async def endless(_: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while sent < 100 * BODY_BYTES_MAX:
            writer.write(b"x" * 65_536)
            sent += 65_536
            await writer.drain()

    found, _ = asyncio.run(ask(endless))
    assert "more than" in str(found)
    assert sent < 100 * BODY_BYTES_MAX


def test_an_answer_that_drips_is_left_when_the_time_is_over() -> None:
    async def drip(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n{")
        while not writer.is_closing():
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.01)

    found, _ = asyncio.run(ask(drip, PATIENCE_SECONDS))
    assert "longer than" in str(found)


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
@pytest.mark.parametrize("place", ["https://169.254.169.254/", "/other"])
def test_a_redirect_is_not_followed(status: str, place: str) -> None:
    found, asked = asyncio.run(ask(of(reply(b"", status, f"Location: {place}"))))
    assert "elsewhere" in str(found)
    assert len(asked) == 1


@pytest.mark.parametrize(
    "content",
    [
        reply(b"[]"),
        reply(b"<html>"),
        reply(b'{"a":1,"a":2}'),
        reply(b"{}", "500 Oops"),
        reply(b"{}", "404 Not Found"),
        reply(gzip.compress(b"{}"), "200 OK", "Content-Encoding: gzip"),
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}",
        b"nonsense\r\n\r\n",
        b"",
    ],
)
def test_what_is_no_json_object_is_no_answer(content: bytes) -> None:
    found, _ = asyncio.run(ask(of(content)))
    assert isinstance(found, str)


def test_a_server_that_is_not_there_makes_its_issuer_unavailable() -> None:
    issuer = ForeignIssuer(tenant_id=1, name="gone", issuer="http://127.0.0.1:9", audiences=("a",), plain_loopback=True)
    keys = KeySets(Fetcher())
    asyncio.run(keys.refresh(issuer, None, 1))
    with pytest.raises(Unavailable, match="cannot be had"):
        keys.published(issuer, 1)


def test_only_hosts_that_the_operator_named_are_asked() -> None:
    issuer = ForeignIssuer(
        tenant_id=1, name="one", issuer="https://one.example", audiences=("a",), hosts=("keys.example",)
    )
    for good in ("https://one.example/x", "https://keys.example/x", "https://one.example:8443/x"):
        assert issuer.require_address(good) == good
    for wrong in ("https://a.keys.example/x", "http://keys.example/x", "https://127.0.0.1/", "https://[::1]/", 5, None):
        with pytest.raises(InvalidInput):
            issuer.require_address(wrong)
