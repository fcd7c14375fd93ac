"""A cheap load generator: kept-alive connections over uvloop that send bodies made beforehand, and count.

It takes its share of the same two processors as the server it measures, so it does as little as it can.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec
import uvloop

_LENGTH: Final = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
_CREATED: Final = re.compile(rb'{"created":(\d+)')


class Load(msgspec.Struct):
    """What was sent and answered; `received` in bytes of bodies. Latencies are milliseconds of whole requests."""

    alerts: int = 0
    requests: int = 0
    refused: int = 0
    received: int = 0
    seconds: float = 0.0
    latencies: list[float] = []

    def percentile(self, share: float) -> float:
        """The latency that this share of the requests did not exceed."""
        ordered = sorted(self.latencies)
        return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 2) if ordered else 0.0


def requests_of(bodies: Sequence[bytes], path: str, key: str) -> list[bytes]:
    """Whole HTTP/1.1 requests, ready to be written."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n"
        "Content-Type: application/json\r\nContent-Length: "
    ).encode()
    return [b"%b%d\r\n\r\n%b" % (head, len(body), body) for body in bodies]


def gets_of(paths: Sequence[str], token: str) -> list[bytes]:
    """The same for reading."""
    rest = f" HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n"
    return [f"GET {path}{rest}".encode() for path in paths]


def send_for(
    seconds: float, connections: int, requests: Iterable[bytes], port: int, tls: ssl.SSLContext | None
) -> Load:
    """Send the requests in order over so many connections until the time is over or none is left."""
    return uvloop.run(_send(seconds, connections, iter(requests), port, tls))


async def _send(
    seconds: float, connections: int, requests: Iterator[bytes], port: int, tls: ssl.SSLContext | None
) -> Load:
    load = Load()
    opened = [await asyncio.open_connection("127.0.0.1", port, ssl=tls) for _ in range(connections)]
    begun = time.perf_counter()
    await asyncio.gather(*(_client(*each, requests, begun + seconds, load) for each in opened))
    load.seconds = time.perf_counter() - begun
    return load


async def _client(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, requests: Iterator[bytes], end: float, load: Load
) -> None:
    for request in requests:
        begun = time.perf_counter()
        if begun >= end:
            break
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        assert length is not None
        body = await reader.readexactly(int(length[1]))
        load.requests += 1
        load.latencies.append((time.perf_counter() - begun) * 1000)
        load.received += len(body)
        if not head.startswith(b"HTTP/1.1 200"):
            load.refused += 1
        elif created := _CREATED.match(body):
            load.alerts += int(created[1])
    writer.close()
