"""Sending alerts to a server so that none is lost: batches, retries with back-off, and what became of each line.

A batch is acknowledged as a whole or sent again; the server knows repeats. Nothing here gives up silently: every
wait is reported, and the end of patience is an error. Knows nothing of files.
"""

from __future__ import annotations

import gzip
import ssl
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import httpx2
import msgspec

from tocsin.alertfiles import Record
from tocsin.errors import Forbidden, InvalidInput, NotFound, Unauthenticated, Unavailable

GZIP_BYTES_MIN: Final = 32 * 1024
BATCH_BYTES_MAX: Final = 4 * 1024 * 1024
WAIT_SECONDS_MAX: Final = 30.0
RETRY_AFTER_SECONDS_MAX: Final = 600.0
_AGAIN: Final = frozenset({429, 500, 502, 503, 504, 507})
_TOO_MUCH: Final = frozenset({400, 413})
_TIMEOUT: Final = httpx2.Timeout(120, connect=10)


class Server(msgspec.Struct, frozen=True):
    """Where to send and with which key. `authority` is the certificate file to trust, None for the system's."""

    url: str
    key: str
    authority: Path | None


class RefusedLine(msgspec.Struct, frozen=True):
    """A record that was not taken, with the line of its source and the server's reason."""

    line: int
    reason: str


class Outcome(msgspec.Struct, kw_only=True):
    """What became of what was sent. `refused_lines` has every refused one, `refused` counts them."""

    created: int = 0
    duplicate: int = 0
    refused: int = 0
    skipped: int = 0
    refused_lines: list[RefusedLine] = []

    @property
    def alerts(self) -> int:
        """How many records were answered for."""
        return self.created + self.duplicate + self.refused + self.skipped

    def add(self, other: Outcome) -> None:
        """Count another outcome in."""
        self.created += other.created
        self.duplicate += other.duplicate
        self.skipped += other.skipped
        self.refused += other.refused
        self.refused_lines.extend(other.refused_lines)

    def refuse(self, line: int, reason: str) -> None:
        """Count a record that was not taken."""
        self.refused += 1
        self.refused_lines.append(RefusedLine(line, reason))


class Waiting(msgspec.Struct, frozen=True):
    """A pause before the next attempt, for the person who watches."""

    reason: str
    seconds: float


class _LineAnswer(msgspec.Struct, frozen=True):
    line: int
    result: str
    reason: str | None = None


class _Answer(msgspec.Struct, frozen=True):
    created: int
    duplicate: int
    refused: int
    skipped: int
    results: list[_LineAnswer]


_answers: Final = msgspec.json.Decoder(_Answer)


def connect(authority: Path | None) -> httpx2.Client:
    """A client that trusts `authority` alone, or where it is None those of the system. Raises InvalidInput."""
    try:
        context = ssl.create_default_context(cafile=authority)
    except (OSError, ssl.SSLError) as error:
        raise InvalidInput(f"{authority} cannot be used as a certificate to trust: {error}") from None
    return httpx2.Client(verify=context, timeout=_TIMEOUT, trust_env=False, follow_redirects=False)


def error_text(response: httpx2.Response) -> str:
    """What an error answer says, in either dialect of error bodies."""
    try:
        content = msgspec.json.decode(response.content)
        found = content.get("error_description") or content["error"]["message"]
        return str(found)
    except (msgspec.DecodeError, UnicodeDecodeError, AttributeError, KeyError, TypeError):
        return f"the server answered {response.status_code} {response.reason_phrase}"


class Shipper:
    """Sends records of one sender. `find_server` is asked anew before every attempt after a failed one.

    `pause` sleeps for seconds; `watch` is told before each pause, `back` the seconds waited once the server takes
    something again. `patience_seconds` bounds the pauses for one
    batch; None waits for ever. `find_server` may raise Unavailable for "not now".
    """

    def __init__(
        self,
        sender: str,
        find_server: Callable[[], Server],
        *,
        pause: Callable[[float], None],
        watch: Callable[[Waiting], None],
        back: Callable[[float], None],
        patience_seconds: float | None,
    ) -> None:
        self._sender, self._find_server = sender, find_server
        self._pause, self._watch, self._back, self._patience = pause, watch, back, patience_seconds
        self._server: Server | None = None
        self._client: httpx2.Client | None = None

    def close(self) -> None:
        """Let the connection go."""
        if self._client is not None:
            self._client.close()
        self._client = self._server = None

    def send(self, records: Sequence[Record], outcome: Outcome | None = None) -> Outcome:
        """Deliver these records, in their order. Returns once each is answered for.

        An `outcome` that is given has what was answered for so far, also when this raises.
        Raises Unavailable at the end of patience, Unauthenticated, Forbidden, NotFound, InvalidInput.
        """
        outcome = Outcome() if outcome is None else outcome
        waiting = [list(records)] if records else []
        while waiting:
            batch = waiting.pop()
            response = self._deliver(b"\n".join([record.body for record in batch]) + b"\n")
            if response.status_code in _TOO_MUCH:
                if len(batch) == 1:
                    outcome.refuse(batch[0].line, error_text(response))
                    continue
                half = (len(batch) + 1) // 2
                waiting += [batch[half:], batch[:half]]
                continue
            outcome.add(_read_answer(response, batch))
        return outcome

    def _deliver(self, body: bytes) -> httpx2.Response:
        headers = {"content-type": "application/x-ndjson"}
        if len(body) >= GZIP_BYTES_MIN:
            body, headers["content-encoding"] = gzip.compress(body, 1), "gzip"
        spent, wait = 0.0, 1.0
        while True:
            try:
                response = self._attempt(body, headers)
            except (httpx2.RequestError, Unavailable) as error:
                self.close()
                if "CERTIFICATE_VERIFY_FAILED" in str(error):
                    raise InvalidInput(
                        f"the server's certificate is not trusted ({error}); "
                        "give its authority with --cacert (tls/ca.pem in the server's data folder)"
                    ) from None
                reason, asked = str(error) or type(error).__name__, None
            else:
                if response.status_code not in _AGAIN:
                    if spent:
                        self._back(spent)
                    return response
                reason, asked = error_text(response), _retry_after(response)
            seconds = wait if asked is None else asked
            if self._patience is not None:
                # A server that asks for more than is left gets its last chance at the end of patience.
                seconds = min(seconds, self._patience - spent)
                if seconds <= 0 and spent >= self._patience:
                    waited = f"took nothing for {spent:.0f} s" if spent else "did not take this"
                    raise Unavailable(
                        f"the server {waited} ({reason}); run this again later: what it did take it will recognise"
                    )
            self._watch(Waiting(reason, seconds))
            self._pause(seconds)
            spent += max(seconds, 0.1)
            wait = min(wait * 2, WAIT_SECONDS_MAX)

    def _attempt(self, body: bytes, headers: dict[str, str]) -> httpx2.Response:
        if self._server is None or self._client is None:
            self._server = self._find_server()
            self._client = connect(self._server.authority)
        server = self._server
        response = self._client.post(
            f"{server.url.rstrip('/')}/ingest/{self._sender}",
            content=body,
            headers={**headers, "authorization": f"Bearer {server.key}"},
        )
        _raise_for_caller(response, server)
        return response


def _raise_for_caller(response: httpx2.Response, server: Server) -> None:
    """Failures that sending again would not mend."""
    text = error_text(response) if response.is_error else ""
    if response.status_code == 401:
        raise Unauthenticated(f"{server.url} does not take this key: {text} (make one with `tocsin key create`)")
    if response.status_code == 403:
        raise Forbidden(text)
    if response.status_code == 404:
        raise NotFound(text)
    known = response.status_code in (200, 422) or response.status_code in _TOO_MUCH | _AGAIN
    if not known:
        raise InvalidInput(f"{server.url} is no Tocsin, or one of another version: {text or response.status_code}")


def _retry_after(response: httpx2.Response) -> float | None:
    text = response.headers.get("retry-after", "")
    return min(float(text), RETRY_AFTER_SECONDS_MAX) if text.isascii() and text.isdigit() else None


def _read_answer(response: httpx2.Response, batch: Sequence[Record]) -> Outcome:
    try:
        answer = _answers.decode(response.content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise InvalidInput("the server's answer is no receipt; is this the address of a Tocsin?") from None
    # Broken lines may be one value to the server, so there can be fewer answers than records, yet never none.
    if not answer.results or not all(1 <= each.line <= len(batch) for each in answer.results):
        raise InvalidInput("the server's receipt is not about what was sent; is this the address of a Tocsin?")
    outcome = Outcome(created=answer.created, duplicate=answer.duplicate, skipped=answer.skipped)
    for each in answer.results:
        if each.result == "refused":
            outcome.refuse(batch[each.line - 1].line, each.reason or "no reason was given")
    return outcome


def in_batches(records: Iterable[Record], count_max: int, bytes_max: int = BATCH_BYTES_MAX) -> Iterator[list[Record]]:
    """Cut a stream of records into batches of at most so many, or so many bytes."""
    batch: list[Record] = []
    size = 0
    for record in records:
        if batch and (len(batch) >= count_max or size + len(record.body) > bytes_max):
            yield batch
            batch, size = [], 0
        batch.append(record)
        size += len(record.body) + 1
    if batch:
        yield batch
