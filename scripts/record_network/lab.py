"""The laboratory: servers and clients of the invented organisation, inside a network namespace with nothing but `lo`.

Every address of the plan sits on that loopback, so no packet can leave. `refuse_outside_namespace` makes sure.
"""

# ruff: noqa: PLR0917 (source, target and what is sent read as one line of a log)

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

Answer = Callable[[bytes, bytes], bytes]
"""Request line and headers, body -> the whole answer."""


def refuse_outside_namespace() -> None:
    """Exit unless the only interface is loopback: this program must never talk to a real network."""
    if sorted(os.listdir("/sys/class/net")) != ["lo"] and not _only_loopback():  # noqa: PTH208
        raise SystemExit("refusing: this is not an empty network namespace, start record.sh instead")


def _only_loopback() -> bool:
    links = subprocess.run(["ip", "-o", "link"], check=True, capture_output=True, text=True).stdout
    return all(": lo:" in line for line in links.splitlines())


def give_addresses(addresses: list[str]) -> None:
    """Put every address of the plan on `lo`, with an Ethernet-sized MTU so that packets look usual."""
    subprocess.run(["ip", "link", "set", "lo", "mtu", "1500", "up"], check=True)
    for address in addresses:
        subprocess.run(["ip", "addr", "replace", f"{address}/32", "dev", "lo"], check=True)


@contextlib.contextmanager
def captured(path: Path) -> Iterator[None]:
    """Write what crosses `lo` meanwhile to a pcap."""
    dump = subprocess.Popen(
        ["tcpdump", "--immediate-mode", "-i", "lo", "-s", "0", "-B", "16384", "-U", "-w", str(path)],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert dump.stderr is not None
    while "listening on" not in dump.stderr.readline():
        pass
    yield
    time.sleep(0.5)
    dump.terminate()
    _, told = dump.communicate()
    if "0 packets dropped by kernel" not in told:
        raise SystemExit(f"{path.name}: packets were lost, record again: {told}")


def http_answer(status: str, body: bytes, kind: str = "text/html", extra: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nServer: nginx\r\nContent-Type: {kind}\r\n{extra}Content-Length: {len(body)}\r\n"
    return head.encode() + b"Connection: close\r\n\r\n" + body


@contextlib.contextmanager
def tcp_server(address: str, port: int, serve: Callable[[socket.socket], None]) -> Iterator[None]:
    """Listen until the block ends; each connection is handed to `serve` in its own thread."""
    listener = socket.create_server((address, port), backlog=64)

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.settimeout(5)
            threading.Thread(target=_served, args=(serve, connection), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield
    finally:
        time.sleep(0.1)
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def _served(serve: Callable[[socket.socket], None], connection: socket.socket) -> None:
    with contextlib.suppress(OSError), connection:
        serve(connection)


def http_server(address: str, answer: Answer, port: int = 80) -> contextlib.AbstractContextManager[None]:
    def serve(connection: socket.socket) -> None:
        head, body = b"", b""
        while b"\r\n\r\n" not in head:
            more = connection.recv(65536)
            if not more:
                return
            head += more
        head, body = head.split(b"\r\n\r\n", 1)
        length = 0
        for line in head.split(b"\r\n")[1:]:
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        while len(body) < length:
            body += connection.recv(65536)
        connection.sendall(answer(head, body))

    return tcp_server(address, port, serve)


def tls_server(address: str, cert: Path, port: int = 443) -> contextlib.AbstractContextManager[None]:
    """TLS 1.2, because its certificates can be read on the wire."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(cert, cert.with_suffix(".key"))

    def serve(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secure:
            while secure.recv(65536):
                secure.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    return tcp_server(address, port, serve)


def speak(source: str, target: str, port: int, *messages: bytes, wait: bool = True) -> bytes:
    """One TCP connection: send each message, wait for an answer to each; returns the last answer."""
    last = b""
    with contextlib.suppress(OSError), socket.create_connection((target, port), 2, (source, 0)) as connection:
        connection.settimeout(2)
        for message in messages:
            connection.sendall(message)
            if wait:
                last = connection.recv(65536)
    return last


def http(source: str, target: str, line: str, host: str, agent: str, body: bytes = b"", extra: str = "") -> None:
    """One HTTP request; `line` is `GET /path` or `POST /path`."""
    head = f"{line} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {agent}\r\nAccept: */*\r\n{extra}"
    if body:
        head += f"Content-Length: {len(body)}\r\n"
    with contextlib.suppress(OSError), socket.create_connection((target, 80), 2, (source, 0)) as connection:
        connection.settimeout(3)
        connection.sendall(head.encode() + b"\r\n" + body)
        while connection.recv(65536):
            pass


def tls(source: str, target: str, name: str, sent: bytes = b"GET / HTTP/1.1\r\n\r\n", port: int = 443) -> None:
    """One TLS session with `name` in the clear part of its hello."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        contextlib.suppress(OSError),
        socket.create_connection((target, port), 2, (source, 0)) as connection,
        context.wrap_socket(connection, server_hostname=name) as secure,
    ):
        secure.sendall(sent)
        secure.recv(65536)


def touch(source: str, target: str, port: int) -> None:
    """One connection attempt, closed at once."""
    with contextlib.suppress(OSError), socket.create_connection((target, port), 0.5, (source, 0)):
        pass


def datagram(source: str, target: str, port: int, payload: bytes, source_port: int = 0) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind((source, source_port))
        sender.sendto(payload, (target, port))


def question(name: str, number: int) -> bytes:
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return number.to_bytes(2, "big") + b"\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + labels + b"\x00\x00\x01\x00\x01"


def ask(source: str, resolver: str, name: str, number: int, address: str | None = None) -> None:
    """A DNS question and its answer; without `address` the name does not exist."""
    asked = question(name, number)
    answered = bytearray(asked)
    answered[2:4] = b"\x81\x80" if address else b"\x81\x83"
    if address:
        answered[6:8] = b"\x00\x01"
        answered += b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04" + socket.inet_aton(address)
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
    ):
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((resolver, 53))
        client.bind((source, 0))
        client.sendto(asked, (resolver, 53))
        server.settimeout(2)
        _, back = server.recvfrom(2048)
        server.sendto(bytes(answered), back)
        client.settimeout(2)
        client.recv(2048)


def echo(source: str, target: str, number: int, payload: bytes) -> None:
    """One ICMP echo request; the kernel answers."""
    body = b"\x08\x00\x00\x00" + (77).to_bytes(2, "big") + number.to_bytes(2, "big") + payload + bytes(len(payload) % 2)
    total = sum(int.from_bytes(body[at : at + 2], "big") for at in range(0, len(body), 2))
    total = (total & 0xFFFF) + (total >> 16)
    check = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as sender:
        sender.bind((source, 0))
        sender.sendto(body[:2] + check.to_bytes(2, "big") + body[4:], (target, 0))
