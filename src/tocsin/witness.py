"""Who is doing what just now, and how it gets into the audit log: with the change itself, or within a second.

A request is one Occurrence, found through a context variable by everything that runs for it. What the writer is asked
to do in a request that changes something is recorded in the same transaction; everything else is noted, folded and
written once a second. So an unclean stop loses at most the last second of reads and refusals, and the counts of the
last minute's repeats; never a change (ADR 8).
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Final, Protocol, TypeVar

import structlog

from tocsin.access import Principal
from tocsin.audit import Action, Checkpoint, Deed, Folding, Kind, Outcome
from tocsin.checkpoints import Checkpoints
from tocsin.errors import TocsinError
from tocsin.stores.sqlite import auditing
from tocsin.stores.sqlite.writing import WriteStore

WAITING_MAX: Final = 10_000
"""Deeds that may wait while nothing can be written; the rest is counted."""
CHECKPOINT_RECORDS: Final = 1_000
PRUNED_STEP: Final = 2_000
CLOSING_SECONDS_MAX: Final = 30

log = structlog.get_logger()
T = TypeVar("T")


class Performing(Protocol):
    """What the writer offers: a function of the store, committed in a transaction of its own."""

    def perform(self, work: Callable[[WriteStore], T]) -> Future[T]:
        """Raises Unavailable when the writer is stopping."""


class Occurrence:
    """One request while it goes on. `told` gives its action (None: nothing worth a record) and its target; it is told
    how it ended, or None where nobody is known to be behind it."""

    def __init__(self, at: int, address: str, told: Callable[[Outcome | None], tuple[Action | None, str]]) -> None:
        self.at, self.address, self._told = at, address, told
        self.tenant = self.actor = self.name = self.detail = ""
        self.refused = self.recorded = False

    @property
    def action(self) -> Action | None:
        """What it is, as far as is known by now."""
        return self._told(None)[0]

    def deed(self, outcome: Outcome, detail: str) -> Deed:
        """What there is to record. Only for an occurrence that has an action."""
        action, target = self._told(outcome if self.actor else None)
        assert action is not None
        return Deed(
            at=self.at,
            tenant=self.tenant,
            actor=self.actor,
            name=self.name,
            address=self.address,
            action=action,
            target=target,
            outcome=outcome,
            detail="; ".join(part for part in (self.detail, detail) if part),
        )


_current: ContextVar[Occurrence | None] = ContextVar("occurrence", default=None)


@contextmanager
def occurring(occurrence: Occurrence) -> Iterator[None]:
    """Everything inside is done for this occurrence."""
    token = _current.set(occurrence)
    try:
        yield
    finally:
        _current.reset(token)


def identify(tenant_guid: str, actor: str, name: str = "") -> None:
    """Say who is behind what goes on: as soon as it is known, and also where it is then refused."""
    occurrence = _current.get()
    if occurrence is not None:
        occurrence.tenant, occurrence.actor, occurrence.name = tenant_guid, actor, name


def identify_principal(tenant_guid: str, principal: Principal) -> None:
    """As `identify`, for a caller whose token, key or session was verified."""
    identify(tenant_guid, actor_named(principal), principal.name)


def actor_named(principal: Principal) -> str:
    """A caller as the log names it: `app:`, `key:`, or `user:` and the application that the person uses."""
    if principal.user_id is not None:
        return f"user:{principal.user_id} app:{principal.app_id}"
    return f"{'app' if '-' in principal.app_id else 'key'}:{principal.app_id}"


def remark(detail: str) -> None:
    """Say more of what goes on, e.g. what is being changed. Never a secret, and no text of alerts or comments."""
    occurrence = _current.get()
    if occurrence is not None:
        occurrence.detail = detail


def refuse(reason: str) -> None:
    """What goes on is refused, though the answer may be an ordinary page (a sign-in that failed)."""
    occurrence = _current.get()
    if occurrence is not None:
        occurrence.refused, occurrence.detail = True, reason


def witnessed(work: Callable[[WriteStore], T]) -> Callable[[WriteStore], T]:
    """The work together with its record, where it is done for somebody who changes something: both or neither."""
    occurrence = _current.get()
    if occurrence is None or occurrence.action not in (Action.CHANGE, Action.ADMINISTER):
        return work
    deed = occurrence.deed(Outcome.DONE, "")

    def both(store: WriteStore) -> T:
        result = work(store)
        auditing.append(store.connection, [deed])
        occurrence.recorded = True
        return result

    return both


class Witness:
    """Takes notes of deeds from any thread, writes them through the writer, and has checkpoints signed."""

    def __init__(self, clock: Callable[[], int], checkpoints: Checkpoints) -> None:
        self._clock, self._checkpoints = clock, checkpoints
        self._folding, self._waiting, self._lost = Folding(), list[Deed](), 0
        self._guard = threading.Lock()
        self._marked, self._since_mark = 0, 0

    def note(self, deed: Deed) -> None:
        """Remember a deed until the next `flush`."""
        with self._guard:
            self._wait(self._folding.note(deed))

    def _wait(self, deeds: list[Deed]) -> None:
        room = max(0, WAITING_MAX - len(self._waiting))
        self._waiting += deeds[:room]
        self._lost += len(deeds) - len(deeds[:room])

    def flush(self, writer: Performing) -> Future[None] | None:
        """Have the writer commit what waits; None where nothing does. What cannot be written now waits on."""
        with self._guard:
            self._wait(self._folding.sweep(self._clock()))
            deeds, self._waiting = self._waiting, []
            if self._lost:
                deeds.append(self._serving(f"{self._lost} records could not be kept: the store could not write"))
                self._lost = 0
        if not deeds:
            return None

        def settle(done: Future[None]) -> None:
            error = done.exception()
            with self._guard:
                if error is None:
                    self._since_mark += len(deeds)
                else:
                    waiting, self._waiting = self._waiting, []
                    self._wait([*deeds, *waiting])

        future: Future[None]
        try:
            future = writer.perform(lambda store: auditing.append(store.connection, deeds))
        except TocsinError as error:
            future = Future()
            future.set_exception(error)
        future.add_done_callback(settle)
        return future

    @property
    def is_mark_due(self) -> bool:
        """Whether so much was written since the last checkpoint that the next should not wait for its time."""
        return self._since_mark >= CHECKPOINT_RECORDS

    def checkpoint(self, writer: Performing) -> Checkpoint | None:
        """Sign the end of the log and write it down outside, also as a log line; None where nothing is new.

        Raises Unavailable, StoreError.
        """
        since = self._since_mark
        sequence, seal = writer.perform(lambda store: auditing.end(store.connection)).result()
        if sequence <= self._marked:
            return None
        made = self._checkpoints.write(sequence, seal, self._clock())
        self._marked = sequence
        self._since_mark -= since
        tell(made)
        return made

    def start(self, version: str) -> None:
        """Note that a server began."""
        self.note(self._serving(f"started, version {version}"))

    def close(self, writer: Performing) -> None:
        """Write all that waits, and that the service ends; sign it. What fails is logged: the service ends anyway."""
        with self._guard:
            self._wait(self._folding.close())
            self._wait([self._serving("stopped")])
        try:
            flushed = self.flush(writer)
            if flushed is not None:
                flushed.result(CLOSING_SECONDS_MAX)
            self.checkpoint(writer)
        except (TocsinError, TimeoutError) as error:
            log.error("audit_not_closed", reason=str(error) or "the writer did not answer")

    def _serving(self, detail: str) -> Deed:
        return Deed(at=self._clock(), actor="service", action=Action.SERVE, target="server", detail=detail)

    def prune(self, writer: Performing, before: int) -> int:
        """Remove the oldest records up to the first that is not older than `before` (ticks), PRUNED_STEP at a time and
        each step after a signed note of it; gives how many. Raises Unavailable, StoreError."""
        removed, last = 0, 0
        while position := writer.perform(
            lambda store: auditing.last_before(store.connection, before, PRUNED_STEP)
        ).result():
            last, seal = position
            tell(self._checkpoints.write(last, seal, self._clock(), Kind.PRUNED))
            removed += writer.perform(partial(_prune, sequence=last, seal=seal)).result()
        if removed:
            self.note(self._serving(f"removed {removed} records, up to {last}: past audit_keep_days"))
        return removed


def _prune(store: WriteStore, *, sequence: int, seal: bytes) -> int:
    return auditing.prune(store.connection, sequence, seal)


def tell(checkpoint: Checkpoint) -> None:
    """Say a checkpoint as a log line with all that verifying needs, for a log host to keep."""
    log.info(
        "audit_checkpoint",
        kind=checkpoint.kind.value,
        sequence=checkpoint.sequence,
        seal=base64.b64encode(checkpoint.seal).decode(),
        at=checkpoint.at,
        key=checkpoint.key,
        signature=base64.b64encode(checkpoint.signature).decode(),
    )
