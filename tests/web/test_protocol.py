"""The head of a request is bounded in size and time, whoever calls."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from tocsin.web.protocol import HEAD_BYTES_MAX, BoundedProtocol


class Line(asyncio.Transport):
    """The other end of a connection, in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def write(self, data: Any) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Hasty(BoundedProtocol):
    head_seconds = 0.0


async def told_length(scope: Any, receive: Any, send: Any) -> None:
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


def talk(
    say: Callable[[BoundedProtocol, Line], Awaitable[None]], kind: type[BoundedProtocol] = BoundedProtocol
) -> Line:
    line = Line()

    async def run() -> None:
        config = uvicorn.Config(told_length, log_config=None)
        config.load()
        state = ServerState()
        protocol = kind(config, state, {})
        protocol.connection_made(line)
        await say(protocol, line)
        for task in list(state.tasks):
            await task
        protocol.connection_lost(None)

    asyncio.run(run())
    return line


def test_a_head_that_does_not_end_is_hung_up_on() -> None:
    async def endless(protocol: BoundedProtocol, line: Line) -> None:
        protocol.data_received(b"GET / HTTP/1.1\r\nhost: x\r\nx-long: ")
        sent = 0
        while not line.closed:
            protocol.data_received(b"a" * 4096)
            sent += 4096
            assert sent <= HEAD_BYTES_MAX + 4096

    line = talk(endless)
    assert line.written.startswith(b"HTTP/1.1 431 ")


def test_many_headers_are_as_bounded_as_one() -> None:
    async def many(protocol: BoundedProtocol, line: Line) -> None:
        protocol.data_received(b"GET / HTTP/1.1\r\n")
        for number in range(10 * HEAD_BYTES_MAX // 1024):
            protocol.data_received(b"x-%d: " % number + b"v" * 1024 + b"\r\n")
            if line.closed:
                return

    assert talk(many).written.startswith(b"HTTP/1.1 431 ")


def test_a_large_body_is_no_large_head() -> None:
    async def large(protocol: BoundedProtocol, line: Line) -> None:
        size = 5 * HEAD_BYTES_MAX
        for _ in range(2):  # the second on the same connection
            protocol.data_received(
                b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % size + b"b" * (size // 2)
            )
            protocol.data_received(b"b" * (size - size // 2))
            await asyncio.gather(*protocol.tasks)
            assert not line.closed

    assert talk(large).written.count(b"HTTP/1.1 200 ") == 2


def test_a_head_that_is_not_there_in_time_is_hung_up_on() -> None:
    async def slow(protocol: BoundedProtocol, line: Line) -> None:
        protocol.data_received(b"GET / HT")
        while not line.closed:
            await asyncio.sleep(0)

    assert talk(slow, Hasty).written.startswith(b"HTTP/1.1 408 ")


def test_a_connection_that_says_nothing_is_hung_up_on() -> None:
    async def silent(_protocol: BoundedProtocol, line: Line) -> None:
        while not line.closed:
            await asyncio.sleep(0)

    assert talk(silent, Hasty).closed


def test_a_slow_answer_is_given_all_its_time() -> None:
    async def complete(protocol: BoundedProtocol, line: Line) -> None:
        protocol.data_received(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n")
        for _ in range(20):
            await asyncio.sleep(0)
        assert not line.closed
        protocol.data_received(b"bb")

    assert talk(complete, Hasty).written.startswith(b"HTTP/1.1 200 ")
