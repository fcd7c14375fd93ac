"""Sending: every record is answered for or the sender hears of it, against a small server with a script of answers."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tocsin.alertfiles import Record
from tocsin.errors import InvalidInput, NotFound, Unauthenticated, Unavailable
from tocsin.shipping import Outcome, Server, Shipper, Waiting, in_batches

Answer = tuple[int, dict[str, str], bytes]


def accepted(body: bytes) -> Answer:
    """Takes every line but those with the word `bad`."""
    lines = body.splitlines()
    results = [
        {"line": number, "result": "refused", "reason": "is bad"}
        if b"bad" in line
        else {"line": number, "result": "created"}
        for number, line in enumerate(lines, 1)
    ]
    refused = sum(each["result"] == "refused" for each in results)
    counts = {"created": len(lines) - refused, "duplicate": 0, "refused": refused, "skipped": 0}
    status = 422 if refused == len(lines) else 200
    return status, {}, json.dumps({**counts, "results": results}).encode()


def error(status: int, **headers: str) -> Callable[[bytes], Answer]:
    body = json.dumps({"error": {"code": "x", "message": f"says {status}"}}).encode()
    return lambda _body: (status, {key.replace("_", "-"): value for key, value in headers.items()}, body)


class Scripted:
    """A server on loopback that answers as told, then takes everything."""

    def __init__(self) -> None:
        self.script: list[Callable[[bytes], Answer]] = []
        self.otherwise: Callable[[bytes], Answer] = accepted
        self.taken: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.waits: list[Waiting] = []
        self.returns: list[float] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                outer.headers.append({key.lower(): value for key, value in self.headers.items()})
                if self.headers["content-encoding"] == "gzip":
                    body = gzip.decompress(body)
                answer = outer.script.pop(0) if outer.script else outer.otherwise
                status, headers, content = answer(body)
                if status in (200, 422):
                    outer.taken.append(body)
                self.send_response(status)
                for key, value in {**headers, "content-length": str(len(content))}.items():
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_args: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,))
        self.thread.start()

    def shipper(self, patience: float | None = 60) -> Shipper:
        server = Server(f"http://127.0.0.1:{self.http.server_port}", "tocsin_key", None)
        return Shipper(
            "native",
            lambda: server,
            pause=lambda _s: None,
            watch=self.waits.append,
            back=self.returns.append,
            patience_seconds=patience,
        )

    def stop(self) -> None:
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


@pytest.fixture
def server() -> Iterator[Scripted]:
    running = Scripted()
    yield running
    running.stop()


def records(*bodies: str) -> list[Record]:
    return [Record(number * 10, body.encode()) for number, body in enumerate(bodies, 1)]


def test_refused_records_are_named_by_the_line_of_their_source(server: Scripted) -> None:
    shipper = server.shipper()
    outcome = shipper.send(records("a", "bad", "c"))
    shipper.close()
    assert (outcome.created, outcome.refused, outcome.alerts) == (2, 1, 3)
    assert [(each.line, each.reason) for each in outcome.refused_lines] == [(20, "is bad")]
    assert server.headers[0]["authorization"] == "Bearer tocsin_key"


def test_a_request_of_nothing_but_refused_records_is_an_answer_too(server: Scripted) -> None:
    shipper = server.shipper()
    assert shipper.send(records("bad")).refused == 1
    shipper.close()


@pytest.mark.parametrize("status", [429, 500, 503, 507])
def test_a_busy_server_is_asked_again_when_it_said(server: Scripted, status: int) -> None:
    server.script = [error(status, retry_after="7"), error(status)]
    shipper = server.shipper()
    assert shipper.send(records("a")).created == 1
    shipper.close()
    assert [(each.reason, each.seconds) for each in server.waits] == [(f"says {status}", 7.0), (f"says {status}", 2.0)]


def test_waits_grow_and_the_end_of_patience_is_an_error(server: Scripted) -> None:
    server.otherwise = error(503)
    shipper = server.shipper(patience=20)
    with pytest.raises(Unavailable, match="says 503"):
        shipper.send(records("a"))
    shipper.close()
    assert [each.seconds for each in server.waits] == [1, 2, 4, 8, 5]


def test_a_server_that_asks_for_more_than_the_patience_left_is_asked_once_more_at_its_end(server: Scripted) -> None:
    server.otherwise = error(507, retry_after="30")
    shipper = server.shipper(patience=10)
    with pytest.raises(Unavailable, match="took nothing for 10 s"):
        shipper.send(records("a"))
    shipper.close()
    assert [each.seconds for each in server.waits] == [10]


def test_without_patience_nothing_is_waited_for(server: Scripted) -> None:
    server.otherwise = error(507, retry_after="30")
    shipper = server.shipper(patience=0)
    with pytest.raises(Unavailable, match="did not take this"):
        shipper.send(records("a"))
    shipper.close()
    assert not server.waits


def test_what_was_acknowledged_before_the_end_of_patience_is_counted(server: Scripted) -> None:
    server.otherwise = lambda body: error(503)(body) if b"c" in body and b"b" not in body else error(413)(body)
    server.script = [error(413), accepted]
    shipper, outcome = server.shipper(patience=1), Outcome()
    with pytest.raises(Unavailable):
        shipper.send(records("a", "b", "c"), outcome)
    shipper.close()
    assert outcome.created == 2


def test_an_unreachable_server_is_waited_for_and_found_where_it_came_back(server: Scripted) -> None:
    there = Server(f"http://127.0.0.1:{server.http.server_port}", "k", None)
    gone = Server("http://127.0.0.1:9", "k", None)
    addresses = iter([gone, gone, there])
    shipper = Shipper(
        "native",
        lambda: next(addresses),
        pause=lambda _s: None,
        watch=server.waits.append,
        back=server.returns.append,
        patience_seconds=None,
    )
    assert shipper.send(records("a")).created == 1
    shipper.close()
    assert len(server.waits) == 2
    assert server.returns == [3]


@pytest.mark.parametrize("status", [400, 413])
def test_a_batch_that_is_too_much_is_halved_and_its_order_kept(server: Scripted, status: int) -> None:
    def at_most_two(body: bytes) -> Answer:
        return accepted(body) if body.count(b"\n") <= 2 else error(status)(body)

    server.otherwise = at_most_two
    shipper = server.shipper()
    assert shipper.send(records("a", "b", "c", "d", "e")).created == 5
    shipper.close()
    assert b"".join(server.taken).split() == [b"a", b"b", b"c", b"d", b"e"]


def test_one_record_that_is_too_much_alone_is_refused_and_its_neighbours_are_sent(server: Scripted) -> None:
    server.otherwise = lambda body: error(413)(body) if b"huge" in body else accepted(body)
    shipper = server.shipper()
    outcome = shipper.send(records("a", "huge", "c"))
    shipper.close()
    assert (outcome.created, outcome.refused) == (2, 1)
    assert (outcome.refused_lines[0].line, outcome.refused_lines[0].reason) == (20, "says 413")


@pytest.mark.parametrize(
    ("status", "raised"), [(401, Unauthenticated), (404, NotFound), (302, InvalidInput), (405, InvalidInput)]
)
def test_what_sending_again_would_not_mend_is_said_at_once(
    server: Scripted, status: int, raised: type[Exception]
) -> None:
    server.otherwise = error(status)
    shipper = server.shipper()
    with pytest.raises(raised):
        shipper.send(records("a"))
    shipper.close()
    assert not server.waits


def test_a_receipt_that_is_none_is_no_acknowledgement(server: Scripted) -> None:
    server.otherwise = lambda _body: (200, {}, b'{"created":1,"duplicate":0,"refused":0,"skipped":0,"results":[]}')
    shipper = server.shipper()
    with pytest.raises(InvalidInput, match="receipt"):
        shipper.send(records("a"))
    shipper.close()


def test_large_bodies_are_packed_and_small_ones_are_not(server: Scripted) -> None:
    shipper = server.shipper()
    shipper.send(records("a"))
    shipper.send(records("x" * 100_000))
    shipper.close()
    assert [each.get("content-encoding") for each in server.headers] == [None, "gzip"]
    assert server.taken[1] == b"x" * 100_000 + b"\n"


def test_batches_are_bounded_by_count_and_by_bytes() -> None:
    found = list(in_batches(records("aaaa", "bbbb", "cccc", "dddddddddddd", "e"), 2, bytes_max=10))
    assert [[each.body for each in batch] for batch in found] == [
        [b"aaaa", b"bbbb"],
        [b"cccc"],
        [b"dddddddddddd"],
        [b"e"],
    ]
