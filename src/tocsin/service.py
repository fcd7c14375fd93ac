"""Wiring: one object with everything that the routes use, opened from the settings and closed in order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from tocsin import __version__
from tocsin.access import Principal
from tocsin.checkpoints import Checkpoints
from tocsin.config import Settings
from tocsin.correlation.guards import Limits
from tocsin.identity.fetching import Fetcher
from tocsin.identity.foreign import ForeignIssuer
from tocsin.identity.foreign_callers import CACHED_MAX, ForeignCallers
from tocsin.identity.foreign_keys import KeySets
from tocsin.identity.issuer import Issuer
from tocsin.identity.lookup import FreshCache, Lookup
from tocsin.identity.names import service_names
from tocsin.identity.people import Tenant, User
from tocsin.identity.sign_in import SignInStore
from tocsin.identity.signing import KeyRing
from tocsin.identity.tokens import Tokens
from tocsin.quota import Allowed
from tocsin.quotas import Operation, Quotas
from tocsin.retention import Housekeeping, cutoff
from tocsin.search import Search
from tocsin.stores.sqlite.alerts import AlertStore
from tocsin.stores.sqlite.connection import DATABASE_NAME, WriterLock, open_reader, open_writer
from tocsin.stores.sqlite.feedback import Feedback
from tocsin.stores.sqlite.foreign import ForeignIssuers, provision
from tocsin.stores.sqlite.people import People
from tocsin.stores.sqlite.reading import ReadStore
from tocsin.stores.sqlite.registry import Registry
from tocsin.stores.sqlite.sign_in import SignIns
from tocsin.stores.sqlite.writing import WriteStore
from tocsin.ticks import MINUTE
from tocsin.walks import Walks, load_walk_key
from tocsin.witness import Witness, identify
from tocsin.writer import Clock, Committer, Writer

T = TypeVar("T")


class WriterKeeper:
    """`identity.sign_in.Keeper`: what signing in remembers, changed by the one writer."""

    def __init__(self, writer: Writer, reading: SignInStore) -> None:
        self._writer, self.reading = writer, reading

    async def change(self, work: Callable[[SignInStore], T]) -> T:
        """Run work in a transaction of its own. Raises Unavailable."""
        return await asyncio.wrap_future(self._writer.perform(lambda store: work(SignIns(store.connection))))


class Service:
    """All parts of a running service; `close` drains the writer and lets the store go.

    Making one takes the data folder, brings its store up to date and starts the writer. `on_broken` is called from
    the writer's thread when a failed write stopped the store. Raises StoreError, InvalidInput.
    """

    def __init__(self, settings: Settings, clock: Clock, on_broken: Callable[[], None]) -> None:
        self.settings, self.clock = settings, clock
        self.names = service_names(settings)
        self._lock = WriterLock(settings.data_dir)
        path = settings.data_dir / DATABASE_NAME
        connection = open_writer(path)
        Registry(connection).ensure_default_tenant(clock())
        self.keys = KeyRing(settings.data_dir, settings.token_minutes, clock())
        calling = open_reader(path)
        self.registry, self.people = Registry(calling), People(calling)
        reading = open_reader(path)
        self.reader, self.alerts = ReadStore(reading), AlertStore(reading)
        self.feedback = Feedback(reading)
        self.search = Search(self.reader)
        self.walks = Walks(load_walk_key(settings.data_dir), settings.superseded_minutes * MINUTE)
        self.foreign_issuers, self.foreign_keys = ForeignIssuers(calling), KeySets(Fetcher())
        lookup = Lookup(self.registry, self.people, FreshCache(CACHED_MAX))
        self.foreign = ForeignCallers(self.foreign_issuers, lookup, self.foreign_keys, self._provision)
        self.tokens = Tokens(
            self.keys, self.names, self.registry, self.people, settings.token_minutes, foreign=self.foreign
        )
        self.witness = Witness(clock, Checkpoints(settings))
        self.housekeeping = Housekeeping(settings)
        per_minute = dict.fromkeys(Operation, settings.quota_per_minute)
        gets = (Operation.GET, Operation.GET_ALERT, Operation.GET_MACHINE)
        per_minute.update(dict.fromkeys(gets, settings.quota_get_per_minute))
        self._quotas = Quotas(per_minute, settings.quota_per_hour)
        self._tenants: FreshCache[Tenant] = FreshCache(1024)
        limits = Limits(incident_alerts_max=settings.incident_alerts_max)
        committer = Committer(WriteStore(connection), clock, limits, settings.retention_days)
        self.writer = Writer(committer, alerts_waiting_max=settings.ingest_queue_max, on_broken=on_broken)
        self.keeper = WriterKeeper(self.writer, SignIns(calling))
        self.issuer = Issuer(self.registry, self.people, self.tokens, self.names, self.keeper, told=identify)
        self.writer.start()
        self.witness.start(__version__)

    def close(self) -> None:
        """Finish what was taken, then let go of the data folder."""
        self.witness.close(self.writer)
        self.writer.stop()
        self._lock.release()

    async def _provision(self, issuer: ForeignIssuer, subject: str, claims: Mapping[str, Any]) -> User:
        now = self.clock()
        return await asyncio.wrap_future(
            self.writer.perform(lambda store: provision(store.connection, issuer, subject, claims, now))
        )

    def tenant(self, tenant_id: int) -> Tenant:
        """A tenant by its number, at most 30 seconds old."""
        now = self.clock()
        found = self._tenants.find(tenant_id, now)
        if found is None:
            found = next(each for each in self.registry.list_tenants() if each.tenant_id == tenant_id)
            self._tenants.keep(tenant_id, found, now)
        return found

    def newest_stamp(self) -> int:
        """The latest moment that the store knows of, in ticks; the clock's where it is empty."""
        return self.reader.newest_stamp() or self.clock()

    def not_before(self, tenant: Tenant) -> int:
        """The tenant's retention cut-off, in ticks."""
        return cutoff(self.clock(), tenant.retention_days or self.settings.retention_days)

    def spend(self, principal: Principal, operation: Operation) -> Allowed:
        """Count a call of an operation against the caller's quota and say what is left. Raises QuotaExceeded."""
        return self._quotas.spend((principal.tenant_id, principal.caller, operation), time.monotonic_ns() // 100)
