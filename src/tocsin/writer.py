"""The one writer: requests wait in a queue, one commit carries all that wait, and only then are they answered.

One fsync serves many requests (group commit). A request whose write fails is tried alone, so that it cannot
take others down with it; a disk that fails for good stops the writer, because after a failed fsync
nobody knows what is on the disk until the file is opened anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Final, TypeVar

import apsw
import structlog

from tocsin.config import Settings
from tocsin.correlation.guards import Limits
from tocsin.errors import StorageFull, TocsinError, Unavailable
from tocsin.ingest import Delivery, LineResult, apply_deliveries
from tocsin.retention import cutoff
from tocsin.stores.sqlite.writing import WriteStore
from tocsin.ticks import MINUTE
from tocsin.witness import witnessed

GROUP_ALERTS_MAX: Final = 4_000
GROUP_JOBS_MAX: Final = 512
RETENTION_DAYS: Final = Settings().retention_days
CHECKPOINT_PAGES: Final = 8_000
CHECKPOINT_PAGES_HARD: Final = 64_000

log = structlog.get_logger()
T = TypeVar("T")
Clock = Callable[[], int]


class _Awaited:
    """What a coroutine waits for, settled by the writer and told in its own loop: all of a group in one call."""

    __slots__ = ("_failure", "_result", "_settled", "loop", "waiter")

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.waiter: asyncio.Future[object] = self.loop.create_future()
        self._result: object = None
        self._failure: BaseException | None = None
        self._settled = False

    def set_running_or_notify_cancel(self) -> bool:
        """Whether someone still waits; from here on it is written."""
        return not self.waiter.cancelled()

    def done(self) -> bool:
        return self._settled or self.waiter.cancelled()

    def set_result(self, result: object) -> None:
        self._result, self._settled = result, True

    def set_exception(self, failure: BaseException) -> None:
        self._failure, self._settled = failure, True

    def tell(self) -> None:
        """In the loop: hand over what is settled."""
        if self.waiter.done() or not self._settled:
            return
        if self._failure is None:
            self.waiter.set_result(self._result)
        else:
            self.waiter.set_exception(self._failure)


class _Job:
    """Something to write: a delivery, or a function of the store; and whom to tell."""

    __slots__ = ("delivery", "future", "weight", "work")

    def __init__(
        self,
        delivery: Delivery | None,
        work: Callable[[WriteStore], object] | None,
        future: Future[object] | _Awaited,
    ) -> None:
        self.delivery, self.work = delivery, work
        self.weight = 0 if delivery is None else len(delivery.lines)
        self.future = future


class Committer:
    """Applies jobs in transactions, in the calling thread: always the same one."""

    def __init__(self, store: WriteStore, clock: Clock, limits: Limits, retention_days: int = RETENTION_DAYS) -> None:
        self._store, self._clock, self._limits, self._retention_days = store, clock, limits, retention_days
        self.broken: BaseException | None = None
        self._full_said: int | None = None

    def ingest(self, deliveries: Sequence[Delivery]) -> list[list[LineResult]]:
        """Commit and correlate these deliveries in one transaction."""
        now = self._clock()

        def not_before(own_days: int) -> int:
            return cutoff(now, own_days or self._retention_days)

        return self._transaction(lambda: apply_deliveries(self._store, deliveries, now, self._limits, not_before))

    def run(self, work: Callable[[WriteStore], T]) -> T:
        """Commit one piece of work in a transaction of its own."""
        return self._transaction(lambda: work(self._store))

    def tidy(self) -> None:
        """Between commits: fold a slice of the entity journal when it is due, and keep the write-ahead log short.

        Nobody waits for this, so it raises nothing: what fails now is tried again, or stops the store.
        """
        if self.broken is not None:
            return
        try:
            self._store.entities.fold(self._clock())
            self._store.checkpoint(CHECKPOINT_PAGES, CHECKPOINT_PAGES_HARD)
        except apsw.Error as error:
            log.error("tidy_failed", error=str(error))
            self._translated(error)

    def _transaction(self, body: Callable[[], T]) -> T:
        if self.broken is not None:
            raise Unavailable("the store stopped after a failed write; the service must be started anew", 30)
        try:
            self._store.begin()
            result = body()
            self._store.commit()
        except BaseException as error:
            failure = self._translated(error)
            self._undo()
            raise failure from error
        return result

    def _undo(self) -> None:
        try:
            self._store.rollback()
        except apsw.Error as error:
            self._break(error)

    def _translated(self, error: BaseException) -> BaseException:
        if isinstance(error, apsw.FullError):
            self._say_full()
            return StorageFull("the disk of the store is full; nothing of this request was kept", 30)
        if isinstance(error, apsw.BusyError):
            return Unavailable("the store is busy with another program; ask again", 5)
        if isinstance(error, apsw.IOError | apsw.CorruptError):
            self._break(error)
            return Unavailable("the store could not write; the service stops", 30)
        return error

    def _say_full(self) -> None:
        """Once a minute: senders come again and again, and each would leave a line."""
        now = self._clock()
        if self._full_said is None or now - self._full_said >= MINUTE:
            self._full_said = now
            log.error(
                "disk_full",
                advice="nothing new is kept until there is room, reads go on; "
                "free space on the disk of the data folder, or shorten the retention",
            )

    def _break(self, error: BaseException) -> None:
        self.broken = error
        log.critical("store_failed", error=str(error), advice="the service stops; check the disk, then start it anew")


class Writer:
    """The writer's thread and its queue. `start` it, `submit` from any thread, `stop` drains and ends it."""

    def __init__(self, committer: Committer, *, alerts_waiting_max: int, on_broken: Callable[[], None]) -> None:
        self._committer, self._waiting_max, self._on_broken = committer, alerts_waiting_max, on_broken
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._waiting = 0
        self._counting = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._stopping = False

    @property
    def broken(self) -> bool:
        """Whether a failed write stopped the store for good."""
        return self._committer.broken is not None

    def start(self) -> None:
        """Begin to take jobs."""
        self._thread.start()

    def submit(self, delivery: Delivery) -> Future[object]:
        """Queue a delivery; the future gives its list of LineResult. Raises Unavailable when too much waits."""
        future: Future[object] = Future()
        self._enter(_Job(delivery, None, future))
        return future

    async def commit(self, delivery: Delivery) -> list[LineResult]:
        """Queue a delivery and wait for its commit. Raises Unavailable, and what the write raised."""
        awaited = _Awaited()
        self._enter(_Job(delivery, None, awaited))
        results = await awaited.waiter
        assert isinstance(results, list)
        return results

    def _enter(self, job: _Job) -> None:
        with self._counting:
            if self._waiting + job.weight > self._waiting_max and self._waiting:
                raise Unavailable("more alerts are waiting than the writer can take; ask again", 2)
            self._put(job)
            self._waiting += job.weight

    def perform(self, work: Callable[[WriteStore], T]) -> Future[T]:
        """Queue a function of the store, committed in its own transaction; the future gives what it returns. In a
        request that changes something the audit log's record of it is committed with it.

        Raises Unavailable when the writer is stopping.
        """
        future: Future[T] = Future()
        with self._counting:
            self._put(_Job(None, witnessed(work), future))  # type: ignore[arg-type]
        return future

    def _put(self, job: _Job) -> None:
        """Queue a job, under the lock: behind the mark of the end it would wait for ever."""
        if self._stopping:
            raise Unavailable("the service is stopping", 5)
        self._jobs.put(job)

    def stop(self) -> None:
        """Refuse new deliveries, finish those that wait, and end the thread."""
        with self._counting:
            self._stopping = True
            self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        ended = False
        while not ended:
            group, ended = self._next_group()
            try:
                self._commit([job for job in group if job.future.set_running_or_notify_cancel()])
                _tell(group)
                self._committer.tidy()
            except Exception as error:  # a defect here must stop the service, not leave senders waiting
                log.critical("writer_failed", exc_info=error)
                self._committer.broken = error
                for job in group:
                    if not job.future.done():
                        job.future.set_exception(Unavailable("the service stops after a failure of its writer", 30))
                _tell(group)
            with self._counting:
                self._waiting -= sum(job.weight for job in group)
            if self._committer.broken is not None:
                self._on_broken()

    def _next_group(self) -> tuple[list[_Job], bool]:
        """What waits, up to the bounds of one commit; and whether the writer is told to end after it."""
        group: list[_Job] = []
        alerts = 0
        job = self._jobs.get()
        while job is not None:
            group.append(job)
            alerts += job.weight
            if len(group) >= GROUP_JOBS_MAX or alerts >= GROUP_ALERTS_MAX:
                return group, False
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return group, False
        return group, True

    def _commit(self, group: list[_Job]) -> None:
        deliveries = [job for job in group if job.delivery is not None]
        if deliveries:
            self._ingest(deliveries)
        for job in group:
            if job.work is not None:
                self._settle(job, job.work)

    def _ingest(self, jobs: list[_Job]) -> None:
        try:
            results = self._committer.ingest([job.delivery for job in jobs if job.delivery is not None])
        except Exception as error:  # noqa: BLE001  the thread's outermost edge: one bad request must not end it
            if len(jobs) == 1 or self._committer.broken is not None:
                for job in jobs:
                    self._fail(job, error)
                return
            for job in jobs:
                self._ingest([job])
            return
        for job, result in zip(jobs, results, strict=True):
            job.future.set_result(result)

    def _settle(self, job: _Job, work: Callable[[WriteStore], object]) -> None:
        try:
            job.future.set_result(self._committer.run(work))
        except Exception as error:  # noqa: BLE001  the thread's outermost edge, as above
            self._fail(job, error)

    def _fail(self, job: _Job, error: BaseException) -> None:
        if not isinstance(error, TocsinError):
            log.error("write_failed", exc_info=error)
        job.future.set_exception(error)


def _tell(group: list[_Job]) -> None:
    """Wake those who wait in event loops, each loop once: a call for every one costs a turn at the interpreter each."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Awaited]] = {}
    for job in group:
        if isinstance(job.future, _Awaited):
            by_loop.setdefault(job.future.loop, []).append(job.future)
    for loop, awaited in by_loop.items():
        with contextlib.suppress(RuntimeError):  # the loop is closed, and nobody waits in it any more
            loop.call_soon_threadsafe(_tell_all, awaited)


def _tell_all(awaited: list[_Awaited]) -> None:
    for each in awaited:
        each.tell()
