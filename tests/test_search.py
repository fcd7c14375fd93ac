"""Walks over lists that move: each incident that matched at the start exactly once, in the state of that moment; and
the change feed: each change exactly once, removals included."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from house import Bench, HandClock, native, shared_url
from tocsin.access import Grant, Scope
from tocsin.config import Settings
from tocsin.dialects import defender
from tocsin.errors import Expired, NotFound, Redirected
from tocsin.model import IncidentStatus
from tocsin.odata import INCIDENT_OPTIONS, parse_options
from tocsin.retention import Housekeeping, cutoff
from tocsin.search import Page, Search, find_changes
from tocsin.stores.sqlite.reading import IncidentRow
from tocsin.ticks import DAY, HOUR, MINUTE
from tocsin.triage import IncidentChanges, update_incident
from tocsin.walks import Walk, Walker, Walks

SETTINGS = Settings(retention_days=1, superseded_minutes=60)
QUERIES = (
    "",
    "$filter=status eq 'Active'",
    "$orderby=lastUpdateTime",
    "$orderby=createdTime&$filter=status ne 'Redirected'",
    "$orderby=createdTime desc",
    "$filter=assignedTo eq 'ann' or status eq 'Resolved'",
)
OPTIONS = msgspec.structs.replace(INCIDENT_OPTIONS, offered=INCIDENT_OPTIONS.offered | {"$deltatoken"})


def show(row: IncidentRow, header: bytes, alerts: Sequence[bytes]) -> bytes:
    """An incident as the store has it, with the change it is of."""
    return b"%d %d %b %b" % (row.change, row.incident_id, header, b"".join(alerts))


class World:
    """A store that people and sensors change, and callers who walk over it."""

    def __init__(self, folder: Path) -> None:
        self.bench = Bench(folder, HandClock())
        self.walks = Walks(bytes(32), SETTINGS.superseded_minutes * MINUTE)
        self.search = Search(self.bench.reader)
        self.housekeeping = Housekeeping(SETTINGS)
        self.alerts = 0

    @property
    def not_before(self) -> int:
        return cutoff(self.bench.clock(), SETTINGS.retention_days)

    def alert(self, *names: int) -> None:
        self.alerts += 1
        self.bench.later(1)
        urls = [entity for name in names for entity in shared_url(str(name))]
        self.bench.ingest(native(self.alerts, at=self.bench.clock(), entities=urls))

    def patch(self, incident_id: int, **changes: Any) -> None:
        self.bench.later(1)
        with suppress(NotFound, Redirected):
            self.bench.committer.run(
                lambda store: update_incident(
                    store,
                    self.bench.tenant.tenant_id,
                    incident_id,
                    IncidentChanges(**changes),
                    actor="test",
                    clock=self.bench.clock(),
                    not_before=self.not_before,
                )
            )

    def purge(self) -> None:
        while self.bench.committer.run(lambda store: self.housekeeping.step(store, self.bench.clock())):
            pass

    def everything(self, query_string: str) -> list[bytes]:
        """The whole list as of now, by other means than a walk."""
        query = parse_options(query_string.encode(), INCIDENT_OPTIONS)
        reader, scope = self.bench.reader, self.bench.scope
        rows = reader.find_incidents(
            scope, expression=query.filter, order_by=query.order_by, top=10_000, not_before=self.not_before
        )
        return [show(row, reader.header(row), reader.alerts(scope, row)) for row in rows]

    def begin(self, app_id: str, query_string: str, page_size: int) -> Walk:
        raw = query_string.encode()
        return self.walks.begin(
            Walker(self.bench.tenant.tenant_id, app_id, "test"),
            raw,
            parse_options(raw, INCIDENT_OPTIONS),
            page_size=page_size,
            top=None,
            not_before=self.not_before,
            now=self.bench.clock(),
        )

    def turn(self, walk: Walk) -> Page:
        page = self.search.walk(self.bench.scope, show, walk)
        found = page.found
        self.walks.note(
            walk,
            as_of=found.as_of,
            given=len(found.rows),
            last=found.last,
            ended=found.ended,
            now=self.bench.clock(),
        )
        return page

    def resume(self, app_id: str, name: str, token: str) -> Walk:
        query = parse_options(f"{name}={token}".encode(), OPTIONS)
        walker = Walker(self.bench.tenant.tenant_id, app_id, "test")
        return self.walks.resume(walker, query, OPTIONS, not_before=self.not_before)


class Client:
    """One that walks a list to its end and then begins anew, by links or by `$skip`."""

    def __init__(self, world: World, app_id: str, query_string: str, page_size: int, *, by_skip: bool) -> None:
        self.world, self.app_id, self.query_string = world, app_id, query_string
        self.page_size, self.by_skip = page_size, by_skip
        self._begin()

    def _begin(self) -> None:
        self.expected = self.world.everything(self.query_string)
        self.got: list[bytes] = []
        self.token = ""

    def step(self) -> None:
        """Fetch a page; at the end compare with what there was at the beginning."""
        if not self.got and not self.token:
            self._begin()
        if self.by_skip:
            asked = f"{self.query_string}&$skip={len(self.got)}"
            page = self.world.turn(self.world.begin(self.app_id, asked, self.page_size))
            ended = len(page.incidents) < self.page_size
        else:
            walk = (
                self.world.resume(self.app_id, "$skiptoken", self.token)
                if self.token
                else self.world.begin(self.app_id, self.query_string, self.page_size)
            )
            page = self.world.turn(walk)
            onward = page.found.onward
            ended = onward is None
            self.token = "" if onward is None else self.world.walks.token(onward)
        self.got.extend(page.incidents)
        assert self.got == self.expected[: len(self.got)]
        if ended:
            assert self.got == self.expected
            self.got, self.token = [], ""


class Feed:
    """One that follows the change feed and keeps what it is told."""

    def __init__(self, world: World, app_id: str) -> None:
        self.world, self.app_id = world, app_id
        walk = world.begin(app_id, "", 1000)
        page = world.turn(walk)
        self.known = {row.incident_id: row.change for row in page.found.rows}
        self.token = world.walks.token(msgspec.structs.replace(walk, since=page.found.as_of, page_size=3))
        self.last = page.found.as_of

    def step(self) -> bool:
        """Ask once what changed; whether there is more."""
        world, walk = self.world, self.world.resume(self.app_id, "$deltatoken", self.token)
        with world.bench.reader.snapshot():
            found = find_changes(world.bench.reader, world.bench.scope, walk)
        for change in found.changes:
            assert change.change > self.last, "a change is told once and in order"
            self.last = change.change
            if change.row is None:
                del self.known[change.incident_id]
            else:
                self.known[change.incident_id] = change.row.change
        self.last = found.position
        self.token = world.walks.token(msgspec.structs.replace(walk, since=found.position))
        return found.more


class Walkers(RuleBasedStateMachine):
    """Random writes between the pages of walkers."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.world = World(Path(self.folder.name))
        self.clients: list[Client] = []
        self.feed: Feed | None = None

    def teardown(self) -> None:
        """Give the folder back."""
        self.folder.cleanup()

    @initialize(alerts=st.lists(st.integers(0, 20), min_size=3, max_size=15))
    def fill(self, alerts: list[int]) -> None:
        for name in alerts:
            self.world.alert(name)
        self.feed = Feed(self.world, "feed")

    @rule(names=st.lists(st.integers(0, 20), min_size=1, max_size=3, unique=True))
    def sense(self, names: list[int]) -> None:
        self.world.alert(*names)

    @rule(
        incident_id=st.integers(1, 12),
        status=st.sampled_from([IncidentStatus.ACTIVE, IncidentStatus.RESOLVED]),
        owner=st.sampled_from([None, "ann", "bob"]),
    )
    def decide(self, incident_id: int, status: IncidentStatus, owner: str | None) -> None:
        self.world.patch(incident_id, status=status, assigned_to=owner)

    @rule()
    def keep_house(self) -> None:
        self.world.purge()

    @precondition(lambda self: len(self.clients) < 6)
    @rule(query_string=st.sampled_from(QUERIES), page_size=st.integers(1, 4), by_skip=st.booleans())
    def come(self, query_string: str, page_size: int, by_skip: bool) -> None:
        app_id = f"client {len(self.clients)}"
        self.clients.append(Client(self.world, app_id, query_string, page_size, by_skip=by_skip))

    @precondition(lambda self: self.clients)
    @rule(which=st.integers(0, 5))
    def turn_a_page(self, which: int) -> None:
        self.clients[which % len(self.clients)].step()

    @rule()
    def follow_the_feed(self) -> None:
        assert self.feed is not None
        if not self.feed.step():
            self.check_feed()

    @rule()
    def restart(self) -> None:
        self.world.bench.open()
        self.world.search = Search(self.world.bench.reader)

    def check_feed(self) -> None:
        """Caught up, the feed knows what the list has."""
        assert self.feed is not None
        rows = self.world.bench.reader.find_incidents(self.world.bench.scope, top=10_000)
        assert self.feed.known == {row.incident_id: row.change for row in rows}


TestWalkers = Walkers.TestCase
TestWalkers.settings = settings(
    max_examples=50, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_the_feed_tells_of_what_retention_removed(world: World) -> None:
    for name in range(5):
        world.alert(name)
    feed = Feed(world, "feed")
    world.bench.later(DAY / 10_000_000)
    world.alert(7)
    world.bench.later(2 * HOUR / 10_000_000)
    world.purge()
    while feed.step():
        pass
    assert list(feed.known) == [6]
    assert world.bench.reader.last_change(world.bench.scope) == 11


def test_a_feed_that_is_behind_what_is_known_of_removals_is_told_to_begin_anew(world: World) -> None:
    world.alert(1)
    feed = Feed(world, "feed")
    for _ in range(2):
        world.bench.later(2 * DAY / 10_000_000)
        world.purge()
    with pytest.raises(Expired):
        feed.step()


def test_a_position_that_this_store_never_gave_is_refused(world: World) -> None:
    world.alert(1)
    feed = Feed(world, "feed")
    walk = world.begin("feed", "", 3)
    feed.token = world.walks.token(msgspec.structs.replace(walk, since=99))
    with pytest.raises(Expired):
        feed.step()


def test_the_feed_says_what_no_longer_matches_its_filter(world: World) -> None:
    for name in range(3):
        world.alert(name)
    walk = world.begin("feed", "$filter=status eq 'Active'", 10)
    since = world.turn(walk).found.as_of
    world.patch(2, status=IncidentStatus.RESOLVED)
    world.patch(3, assigned_to="ann")
    with world.bench.reader.snapshot():
        found = find_changes(world.bench.reader, world.bench.scope, msgspec.structs.replace(walk, since=since))
    assert [(each.incident_id, each.row is None) for each in found.changes] == [(2, True), (3, False)]


def test_an_expired_walk_goes_on_in_the_newest_state(world: World) -> None:
    for name in range(6):
        world.alert(name)
    first = world.turn(world.begin("late", "", 2))
    assert first.found.onward is not None
    token = world.walks.token(first.found.onward)
    world.patch(1, assigned_to="ann")
    world.patch(3, assigned_to="ann")
    world.bench.later(3 * HOUR / 10_000_000)
    world.purge()
    rest = []
    while token:
        page = world.turn(world.resume("late", "$skiptoken", token))
        rest.extend([row.incident_id for row in page.found.rows])
        token = "" if page.found.onward is None else world.walks.token(page.found.onward)
    assert rest == [4, 2]


def test_what_goes_past_retention_during_a_walk_stays_in_it(world: World) -> None:
    for name in range(6):
        world.alert(name)
    expected = [row.incident_id for row in world.turn(world.begin("slow", "", 10)).found.rows]
    world.bench.clock.at += DAY - 5 * 10_000_000
    page = world.turn(world.begin("slow", "", 2))
    got = []
    while True:
        got.extend([row.incident_id for row in page.found.rows])
        if page.found.onward is None:
            break
        world.bench.later(20 * 60)
        world.purge()
        page = world.turn(world.resume("slow", "$skiptoken", world.walks.token(page.found.onward)))
    assert got == expected


def test_an_empty_scope_walks_over_nothing(world: World) -> None:
    world.alert(1)
    walk = world.begin("none", "", 10)
    page = world.search.walk(Scope.nothing_of(world.bench.tenant.tenant_id), show, walk)
    assert page.incidents == []


def test_a_page_ends_early_where_it_would_be_too_large(world: World) -> None:
    for name in range(4):
        world.alert(name)
    walk, sizes = world.begin("wide", "", 100), []
    onward: Walk | None = walk
    while onward is not None:
        page = world.search.walk(world.bench.scope, show, onward, bytes_max=1)
        sizes.append(len(page.incidents))
        onward = page.found.onward
    assert sizes == [1, 1, 1, 1]


def test_what_is_shown_in_part_is_kept_for_nobody_and_what_is_kept_is_shown_whole(tmp_path: Path) -> None:
    bench = Bench(tmp_path, HandClock())
    bench.ingest(
        native(1, title="Plain", serviceSource="One", severity="Low", entities=shared_url("a")),
        native(2, title="Secret", serviceSource="Two", severity="High", entities=shared_url("a")),
    )
    search = Search(bench.reader)
    one, two = (
        Scope(1, (Grant(workloads=frozenset({name}), device_groups=None, may_manage=False),)) for name in ("one", "two")
    )

    def seen(scope: Scope) -> tuple[str, str, list[str]]:
        shown = msgspec.json.decode(search.one(scope, rendered, 1, not_before=0))
        return shown["incidentName"], shown["severity"], [alert["title"] for alert in shown["alerts"]]

    for _ in range(2):
        assert seen(one) == ("Plain", "Low", ["Plain"])
        assert seen(two) == ("Secret", "High", ["Secret"])
        name, severity, titles = seen(bench.scope)
        assert (name not in {"Plain", "Secret"}, severity, titles) == (True, "High", ["Plain", "Secret"])


def rendered(row: IncidentRow, header: bytes, alerts: Sequence[bytes]) -> bytes:
    return defender.incident_object(row.incident_id, "u", header, alerts)
