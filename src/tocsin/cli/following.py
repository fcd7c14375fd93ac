"""The loop of `tocsin ingest --follow`: read what is new, send it, and only then remember how far it was sent."""

from __future__ import annotations

import fcntl
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Final, Never

import msgspec

from tocsin.alertfiles import Record, line_records
from tocsin.cli.screen import say
from tocsin.cli.wrong_sender import Suspicion
from tocsin.errors import InvalidInput
from tocsin.follow import Chunk, Follower, load_position, save_position
from tocsin.identity.keyfiles import make_private_folder
from tocsin.shipping import Outcome, Shipper, Waiting

IDLE_SECONDS: Final = 0.5
TALLY_SECONDS: Final = 60.0


class Interruption:
    """Lets a request that is on its way be answered before Ctrl-C or SIGTERM ends the loop; a second one does not wait.

    `pause` sleeps, and there the end comes at once.
    """

    def __init__(self) -> None:
        self._busy = self._asked = False

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Take the two signals while this lasts."""
        numbers = (signal.SIGINT, signal.SIGTERM)
        previous = [signal.signal(number, self._take) for number in numbers]
        try:
            yield
        finally:
            for number, handler in zip(numbers, previous, strict=True):
                signal.signal(number, handler)

    @contextmanager
    def held_back(self) -> Iterator[None]:
        """Do this to its end first."""
        self._busy = True
        try:
            yield
        finally:
            self._busy = False
        if self._asked:
            raise KeyboardInterrupt

    def pause(self, seconds: float) -> None:
        """Sleep, unless the end was asked for."""
        busy, self._busy = self._busy, False
        try:
            if self._asked:
                raise KeyboardInterrupt
            time.sleep(seconds)
        finally:
            self._busy = busy

    def _take(self, _number: int, _frame: FrameType | None) -> None:
        if not self._busy or self._asked:
            raise KeyboardInterrupt
        self._asked = True


class Followed(msgspec.Struct, frozen=True):
    """A file to follow and where to remember how far."""

    path: Path
    state: Path


class Status:
    """Lines for the person or the journal that watches: what changes at once, and how far it is once a minute.

    `total` is what became of everything so far. `clock` is in seconds.
    """

    def __init__(self, total: Outcome, clock: Callable[[], float] = time.monotonic) -> None:
        self.total, self._clock = total, clock
        self._counted, self._counted_at = 0, clock()
        self._reason, self._waited_at = "", clock()

    def waiting(self, waiting: Waiting) -> None:
        """The server takes nothing: said when the reason is new, then once a minute."""
        now = self._clock()
        if waiting.reason != self._reason or now - self._waited_at >= TALLY_SECONDS:
            say(f"waiting {waiting.seconds:.0f} s: {waiting.reason}")
            self._reason, self._waited_at = waiting.reason, now

    def back(self, seconds: float) -> None:
        """The server takes something again."""
        self._reason = ""
        say(f"the server takes alerts again, after {seconds:.0f} s")

    def tally(self) -> None:
        """What became of everything, where there is more than when it was last said."""
        if self.total.alerts != self._counted and self._clock() - self._counted_at >= TALLY_SECONDS:
            self._counted, self._counted_at = self.total.alerts, self._clock()
            say(f"so far: {counts_in_words(self.total)}")


def counts_in_words(total: Outcome) -> str:
    """`created 5, duplicate 0, refused 0, skipped 0`."""
    return f"created {total.created}, duplicate {total.duplicate}, refused {total.refused}, skipped {total.skipped}"


def follow_files(
    files: Sequence[Followed],
    shipper: Shipper,
    status: Status,
    batch: int,
    interruption: Interruption,
    *,
    suspicion: Suspicion | None,
) -> Never:
    """Follow until interrupted, counting into the total of `status`. Raises InvalidInput, and what `Shipper.send`
    raises. A wrong sender is only said: what a sensor writes may get better, and a follower that ended would not hear.
    """
    with ExitStack() as stack:
        stack.enter_context(interruption.handled())
        followers = []
        for file in files:
            stack.enter_context(_alone(file))
            follower = Follower(file.path, load_position(file.state), _warner(file.path), _teller(file.path))
            stack.callback(follower.close)
            followers.append((file, follower))
            if not file.path.exists():
                say(f"{file.path} is not there yet; waiting for it")
        while True:
            busy = False
            for file, follower in followers:
                chunk = _read(file.path, follower, batch)
                if chunk is not None:
                    busy = True
                    with interruption.held_back():
                        if _send(file, chunk, shipper, status.total, suspicion) and suspicion is not None:
                            say(f"warning: {file.path}: {suspicion.told()}")
                            suspicion = None
            status.tally()
            if not busy:
                interruption.pause(IDLE_SECONDS)


def _send(file: Followed, chunk: Chunk, shipper: Shipper, total: Outcome, suspicion: Suspicion | None) -> bool:
    """Deliver a chunk; gives whether the sender is suspected to be wrong."""
    records: list[Record] = []
    outcome = Outcome()
    for number, line in chunk.lines:
        for each in line_records(number, line):
            if isinstance(each, Record):
                records.append(each)
            else:
                outcome.refuse(each.line, each.reason)
    outcome.add(shipper.send(records))
    save_position(file.state, file.path, chunk.position)
    suspect = suspicion is not None and suspicion.arises(records, outcome)
    for refused in outcome.refused_lines:
        say(f"{file.path} line {refused.line} refused: {refused.reason}")
    outcome.refused_lines = []
    total.add(outcome)
    return suspect


def _read(path: Path, follower: Follower, batch: int) -> Chunk | None:
    try:
        return follower.read(batch)
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror or error}") from None


def _teller(path: Path) -> Callable[[str], None]:
    return lambda text: say(f"{path}: {text}")


def _warner(path: Path) -> Callable[[str], None]:
    return lambda text: say(f"warning: {path}: {text}")


@contextmanager
def _alone(file: Followed) -> Iterator[None]:
    """Held while a file is followed: two followers with one state would undo each other's memory."""
    make_private_folder(file.state.parent)
    handle = os.open(file.state.with_name(f"{file.state.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise InvalidInput(f"{file.path} is already being followed with {file.state}; stop that one first") from None
    finally:
        os.close(handle)
