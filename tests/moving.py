"""A list that moves while clients page through it: the known ways to page, over our service and over a usual one.

The usual server is the control: its stamps are of the clock when the work on a change began, which is before the change
can be seen, and its pages are cut from whatever the list is at that moment. Everything is drawn from a seed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

import msgspec

from house import Client, HandClock, native, running
from tocsin.access import Scope
from tocsin.odata import INCIDENT_OPTIONS, parse_options
from tocsin.search import find_changes
from tocsin.stores.sqlite.writing import WriteStore
from tocsin.ticks import SECOND, format_ticks
from tocsin.triage import IncidentChanges, update_incident
from tocsin.walks import Walker

INCIDENTS: Final = 120
PAGE: Final = 20
POLLS: Final = 12
QUIET_POLLS: Final = 80

Row = tuple[int, str, str]
"""Incident id, its stamp as text (fixed width, so that texts order like times), its version."""


class Server(Protocol):
    """A list of incidents by lastUpdateTime; `op` and `cursor` are the filter on it."""

    def churn(self, rng: random.Random, changes: int) -> None:
        """Change this many incidents, some of them new."""

    def page(self, op: str, cursor: str, *, skip: int = 0, ascending: bool = False) -> list[Row]:
        """One page by `$skip`."""

    def linked(self, op: str, cursor: str, link: str) -> tuple[list[Row], str]:
        """One page by links; the link to the next, or nothing."""

    def feed(self, token: str) -> tuple[list[Row], str, bool]:
        """One look at the change feed: rows, the next token, whether more is waiting."""

    def truth(self) -> dict[int, str]:
        """The version that each incident is at."""


class Ours:
    """Tocsin, called as its clients call it."""

    def __init__(self, client: Client, clock: HandClock) -> None:
        self._client, self._clock = client, clock
        self._count = 0
        self._add(INCIDENTS)

    def _add(self, count: int) -> None:
        self._client.ingest(*[native(self._count + number) for number in range(count)])
        self._count += count

    def churn(self, rng: random.Random, changes: int) -> None:
        """See Server."""
        self._clock.at += SECOND
        fresh = sum(rng.random() < 0.1 for _ in range(changes))
        chosen = [_drawn(rng, self._count) for _ in range(changes - fresh)]

        def work(store: WriteStore) -> None:
            for number in chosen:
                changed = IncidentChanges(tags=(f"{rng.random()}",))
                update_incident(store, 1, number + 1, changed, actor="x", clock=self._clock.at, not_before=0)

        self._client.service.writer.perform(work).result()
        if fresh:
            self._add(fresh)

    def page(self, op: str, cursor: str, *, skip: int = 0, ascending: bool = False) -> list[Row]:
        """See Server."""
        order = "&$orderby=lastUpdateTime asc" if ascending else ""
        query = f"$filter=lastUpdateTime+{op}+{cursor}&$top={PAGE}&$skip={skip}{order}"
        return _rows(self._client.get(f"/api/incidents?{query}").json()["value"])

    def linked(self, op: str, cursor: str, link: str) -> tuple[list[Row], str]:
        """See Server."""
        base = self._client.service.names.base_url
        path = link.removeprefix(base) or f"/api/incidents?$filter=lastUpdateTime+{op}+{cursor}"
        found = self._client.get(path, prefer=f"odata.maxpagesize={PAGE}").json()
        return _rows(found["value"]), found.get("@odata.nextLink", "")

    def feed(self, token: str) -> tuple[list[Row], str, bool]:
        """See Server."""
        service, scope = self._client.service, _scope(self._client)
        walker = Walker(1, "feed", "moving")
        options = msgspec.structs.replace(INCIDENT_OPTIONS, offered=INCIDENT_OPTIONS.offered | {"$deltatoken"})
        if token:
            query = parse_options(f"$deltatoken={token}".encode(), options)
            walk = service.walks.resume(walker, query, options, not_before=0)
        else:
            query = parse_options(b"", options)
            begun = service.walks.begin(walker, b"", query, page_size=PAGE, top=None, not_before=0, now=self._clock.at)
            walk = msgspec.structs.replace(begun, since=service.reader.last_change(scope))
        with service.reader.snapshot():
            found = find_changes(service.reader, scope, walk)
        rows = []
        for change in found.changes:
            assert change.row is not None
            stamp = format_ticks(change.row.last_update)
            rows.append((change.incident_id, stamp, stamp))
        return rows, service.walks.token(msgspec.structs.replace(walk, since=found.position)), found.more

    def truth(self) -> dict[int, str]:
        """See Server."""
        rows = self._client.service.reader.find_incidents(_scope(self._client), top=100_000)
        return {row.incident_id: format_ticks(row.last_update) for row in rows}


class Usual:
    """A table with a time stamp, read as it is: what one writes without a second thought."""

    def __init__(self, rng: random.Random) -> None:
        self._rng, self._clock = rng, 0
        self._stamps: dict[int, int] = {}
        self._versions: dict[int, int] = {}
        self._under_way: list[tuple[int, int]] = []
        for number in range(INCIDENTS):
            self._stamps[number], self._versions[number] = 0, 1

    def churn(self, rng: random.Random, changes: int) -> None:
        """See Server. A change is stamped when it begins and seen a little later."""
        for _ in range(changes):
            self._clock += rng.random() < 0.5  # a clock stands still between two quick changes
            number = len(self._stamps) + len(self._under_way) if rng.random() < 0.1 else _drawn(rng, len(self._stamps))
            self._under_way.append((number, self._clock))
            while len(self._under_way) > rng.randrange(4):
                self._commit()

    def _commit(self) -> None:
        number, stamp = self._under_way.pop(self._rng.randrange(len(self._under_way)))
        self._stamps[number] = stamp
        self._versions[number] = self._versions.get(number, 0) + 1

    def page(self, op: str, cursor: str, *, skip: int = 0, ascending: bool = False) -> list[Row]:
        """See Server."""
        rows = [(f"{stamp:020}", number) for number, stamp in self._stamps.items()]
        wanted = [row for row in rows if row[0] > cursor or (op == "ge" and row[0] == cursor)]
        wanted.sort(key=lambda row: row[0], reverse=not ascending)
        return [(number, stamp, str(self._versions[number])) for stamp, number in wanted[skip : skip + PAGE]]

    def linked(self, op: str, cursor: str, link: str) -> tuple[list[Row], str]:
        """See Server: a link that is a `$skip`, as servers make them."""
        skip = int(link or 0)
        rows = self.page(op, cursor, skip=skip)
        return rows, str(skip + PAGE) if len(rows) == PAGE else ""

    def feed(self, token: str) -> tuple[list[Row], str, bool]:
        """See Server: later stamps than the last one seen."""
        if not token:
            return [], max(f"{stamp:020}" for stamp in self._stamps.values()), False
        rows = self.page("gt", token, ascending=True)
        return rows, rows[-1][1] if rows else token, len(rows) == PAGE

    def truth(self) -> dict[int, str]:
        """See Server."""
        while self._under_way:
            self._commit()
        return {number: str(version) for number, version in self._versions.items()}


class Outcome(msgspec.Struct):
    """What became of one run: versions that a client never saw, and incidents that one walk gave twice."""

    missed: int = 0
    repeated: int = 0


class Poller:
    """A client: how it polls, and what it has seen."""

    def __init__(self, server: Server, rng: random.Random, outcome: Outcome) -> None:
        self._server, self._rng, self._outcome = server, rng, outcome
        self.seen = server.truth()
        self.cursor = server.page("ge", "0000" if isinstance(server, Usual) else "1970-01-01T00:00:00Z")[0][1]
        self.token = server.feed("")[1]
        self.live = True

    def _take(self, rows: list[Row], walk: set[int]) -> None:
        for number, _, version in rows:
            self._outcome.repeated += number in walk
            walk.add(number)
            self.seen[number] = version
        if self.live:
            self._server.churn(self._rng, self._rng.randrange(PAGE))

    def to_the_end(self, op: str) -> None:
        """`$skip` until a page is short, then on from the greatest stamp seen."""
        walk: set[int] = set()
        greatest, skip = self.cursor, 0
        while True:
            rows = self._server.page(op, self.cursor, skip=skip)
            self._take(rows, walk)
            greatest = max([greatest, *[stamp for _, stamp, _ in rows]])
            skip += PAGE
            if len(rows) < PAGE:
                break
        self.cursor = greatest

    def first_page(self) -> None:
        """The first page of the default order alone, then on from the greatest stamp seen."""
        rows = self._server.page("gt", self.cursor)
        self._take(rows, set())
        self.cursor = max([self.cursor, *[stamp for _, stamp, _ in rows]])

    def boundary(self) -> None:
        """Oldest first, one page, and the last stamp of it is where the next poll begins."""
        rows = self._server.page("gt", self.cursor, ascending=True)
        self._take(rows, set())
        self.cursor = rows[-1][1] if rows else self.cursor

    def links(self) -> None:
        """Links to the end, then on from the greatest stamp seen."""
        walk: set[int] = set()
        greatest, link = self.cursor, ""
        while True:
            rows, link = self._server.linked("ge", self.cursor, link)
            self._take(rows, walk)
            greatest = max([greatest, *[stamp for _, stamp, _ in rows]])
            if not link:
                break
        self.cursor = greatest

    def changes(self) -> None:
        """The change feed until nothing is waiting."""
        more = True
        while more:
            rows, self.token, more = self._server.feed(self.token)
            self._take(rows, set())


PATTERNS: Final[dict[str, Callable[[Poller], None]]] = {
    "ge, $skip to the end": lambda poller: poller.to_the_end("ge"),
    "gt, $skip to the end": lambda poller: poller.to_the_end("gt"),
    "gt, moving boundary, $orderby asc": Poller.boundary,
    "ge, nextLink": Poller.links,
    "change feed": Poller.changes,
    "gt, first page only, newest first": Poller.first_page,
}
UNSAFE: Final = "gt, first page only, newest first"
"""Whoever reads one page of what is newest leaves the rest behind, whatever the server does."""


@contextmanager
def our_server(folder: Path) -> Iterator[Ours]:
    """A service of ours with a list to page through."""
    clock = HandClock()
    with running(folder, clock, quota_per_minute=1_000_000, quota_per_hour=1_000_000) as client:
        yield Ours(client, clock)


def run(server: Server, pattern: Callable[[Poller], None], seed: int) -> Outcome:
    """One client that polls in this way while the list moves, and then until it is quiet."""
    rng, outcome = random.Random(seed), Outcome()
    poller = Poller(server, rng, outcome)
    for poll in range(POLLS + QUIET_POLLS):
        poller.live = poll < POLLS
        if poller.live:
            server.churn(rng, rng.randrange(3 * PAGE))
        pattern(poller)
    truth = server.truth()
    outcome.missed = sum(poller.seen.get(number) != version for number, version in truth.items())
    return outcome


def _drawn(rng: random.Random, count: int) -> int:
    """Mostly one of the newer incidents."""
    return rng.randrange(max(0, count - 50), count) if rng.random() < 0.7 else rng.randrange(count)


def _rows(found: list[dict[str, object]]) -> list[Row]:
    rows = []
    for incident in found:
        number, stamp = incident["incidentId"], incident["lastUpdateTime"]
        assert isinstance(number, int)
        rows.append((number, str(stamp), str(stamp)))
    return rows


def _scope(client: Client) -> Scope:
    return Scope.everything_of(client.tenant.tenant_id)
