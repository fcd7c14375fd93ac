"""Who sees what: every read of a scope gives what a plain model of the rules gives, whichever way the store goes."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from house import Bench, HandClock, native, shared_url
from tocsin.access import Grant, Scope, workload_of
from tocsin.config import Settings
from tocsin.documents import decode_alert, decode_header
from tocsin.errors import NotFound, TocsinError
from tocsin.exposure import DeviceRule
from tocsin.model import IncidentStatus, Severity
from tocsin.odata import And, Compare, Expression, Field, Not, Operator, Or, Order, matches
from tocsin.regroup import By, merge_incidents, move_alerts, unmerge
from tocsin.retention import Housekeeping
from tocsin.stores.sqlite import alerts as alerts_module
from tocsin.stores.sqlite import exposed as exposed_module
from tocsin.stores.sqlite import sight as sight_module
from tocsin.stores.sqlite.alerts import AlertStore
from tocsin.stores.sqlite.groups import Groups
from tocsin.stores.sqlite.machines import alerts_on_devices
from tocsin.stores.sqlite.overview import Overview
from tocsin.stores.sqlite.reading import IncidentRow
from tocsin.stores.sqlite.wording import incidents_about
from tocsin.ticks import DAY
from tocsin.triage import IncidentChanges, update_incident

WORKLOADS = ("One", "Two Three", "Four")
DEVICES = {"a1": 1, "a2": 1, "b1": 2, "c1": 0}
WAYS = {"gather": (1_000, 1_000, 1_000), "scan": (-1, -1, 1_000), "sql": (-1, -1, -1), "late": (-1, 1_000, 0)}


class Known(msgspec.Struct, frozen=True):
    """An alert as the model has it."""

    number: int
    document: bytes
    workload: str
    groups: frozenset[int]
    severity: Severity

    def seen_by(self, scope: Scope) -> bool:
        """The rule itself."""
        return any(
            (grant.workloads is None or self.workload in grant.workloads)
            and (not self.groups or grant.device_groups is None or bool(self.groups & grant.device_groups))
            for grant in scope.grants
        )


class State(msgspec.Struct, frozen=True):
    """All incidents of one moment: row, its alerts, and those that a husk lost."""

    rows: dict[int, IncidentRow]
    alerts: dict[int, list[Known]]
    lost: dict[int, list[Known]]

    def about(self, incident_id: int) -> list[Known]:
        return self.lost.get(incident_id, []) or self.alerts[incident_id]

    def seen(self, scope: Scope) -> list[IncidentRow]:
        """Rows as the scope sees them, newest change first."""
        found = []
        for incident_id, row in self.rows.items():
            visible = [each for each in self.about(incident_id) if each.seen_by(scope)]
            if scope.whole_tenant:  # and so husks that were merged in the moment they were opened
                found.append(row)
            elif visible:
                husk = row.status is IncidentStatus.REDIRECTED
                found.append(
                    msgspec.structs.replace(
                        row,
                        severity=row.severity if husk else max((e.severity for e in visible), key=lambda e: e.rank),
                        alert_count=0 if husk else len(visible),
                    )
                )
        return sorted(found, key=lambda row: -row.change)


class World:
    """A store that moves, and the model of every state that it was in."""

    def __init__(self, folder: Path) -> None:
        self.bench = Bench(folder, HandClock())
        self.tenant_id, self.count = self.bench.tenant.tenant_id, 0
        groups = Groups(self.bench.store.connection)
        groups.create_group(self.tenant_id, "a", DeviceRule(names=("a*",)))
        groups.create_group(self.tenant_id, "b", DeviceRule(names=("b*",)))
        self.reader, self.alerts = self.bench.reader, AlertStore(self.bench.reader._connection)
        self.states: dict[int, State] = {0: State({}, {}, {})}
        self.newest = 0

    def at(self, change: int) -> State:
        """The state as of a change. What a husk lost is forgotten with the husk, when its merge is undone: then who
        sees a part of it does not see that it was one."""
        lost = self.states[self.newest].lost
        return msgspec.structs.replace(
            self.states[change], lost={each: lost.get(each, []) for each in self.states[change].lost}
        )

    def act(self, some: random.Random) -> None:
        """One change of any kind."""
        self.bench.later(1)
        kind = some.randrange(10)
        incidents = [row.incident_id for row in self.states[self.newest].rows.values()]
        if kind < 5 or not incidents:
            self._deliver(some)
        else:
            one, other = some.choice(incidents), some.choice(incidents)
            numbers = [each.number for each in self.states[self.newest].alerts[one]]
            by = By(actor="ann", clock=self.bench.clock.at, not_before=0)
            limits = self.bench.limits
            verbs: list[Any] = [
                lambda store: merge_incidents(store, self.tenant_id, [one], other, by=by, limits=limits),
                lambda store: move_alerts(store, self.tenant_id, numbers[:1], other, by=by, limits=limits),
                lambda store: move_alerts(store, self.tenant_id, numbers[-1:], None, by=by, limits=limits),
                lambda store: unmerge(store, self.tenant_id, one, by=by),
                lambda store: update_incident(
                    store,
                    self.tenant_id,
                    one,
                    some.choice([IncidentChanges(status=IncidentStatus.RESOLVED), IncidentChanges(assigned_to="ann")]),
                    actor="ann",
                    clock=self.bench.clock.at,
                    not_before=0,
                ),
            ]
            try:
                self.bench.committer.run(some.choice(verbs))
            except TocsinError:
                return
        self._note()

    def _deliver(self, some: random.Random) -> None:
        alerts = []
        for _ in range(some.randrange(1, 4)):
            self.count += 1
            names = some.sample(list(DEVICES), some.choice([0, 0, 1, 1, 2]))
            alerts.append(
                native(
                    self.count,
                    at=self.bench.clock.at,
                    title=f"Title {some.randrange(4)}",
                    serviceSource=some.choice(WORKLOADS),
                    severity=some.choice(["Low", "Medium", "High"]),
                    devices=[{"deviceDnsName": name} for name in names],
                    entities=[e for _ in range(some.randrange(3)) for e in shared_url(f"u{some.randrange(5)}")],
                )
            )
        self.bench.ingest(*alerts)

    def _note(self) -> None:
        scope = self.bench.scope
        before = self.states[self.newest]
        rows = {row.incident_id: row for row in self.reader.find_incidents(scope, top=10_000)}
        alerts = {each: [_known(raw) for raw in self.reader.alerts(scope, row)] for each, row in rows.items()}
        lost = {}
        for incident_id, row in rows.items():
            if row.status is IncidentStatus.REDIRECTED:
                lost[incident_id] = before.lost.get(incident_id) or before.alerts.get(incident_id, [])
        self.newest = self.reader.last_change(scope)
        self.states[self.newest] = State(rows, alerts, lost)


def _known(raw: bytes) -> Known:
    document = decode_alert(raw)
    names = [msgspec.json.decode(each)["deviceDnsName"] for each in document.devices]
    return Known(
        int(document.alert_id[2:]),
        raw,
        workload_of(document.service_source),
        frozenset(DEVICES[name] for name in names),
        document.severity,
    )


@contextmanager
def world(seed: int, steps: int) -> Iterator[World]:
    with tempfile.TemporaryDirectory() as folder:
        made, some = World(Path(folder)), random.Random(seed)
        for _ in range(steps):
            made.act(some)
        yield made


def _no(kind: type) -> Any:
    return lambda term: not isinstance(term, kind)


grants = st.builds(
    Grant,
    workloads=st.none() | st.frozensets(st.sampled_from([*map(workload_of, WORKLOADS), "unheard-of"]), max_size=2),
    device_groups=st.none() | st.frozensets(st.sampled_from([0, 1, 2, 7]), max_size=2),
    may_manage=st.booleans(),
)
severities = st.builds(
    Compare,
    st.just(Field.SEVERITY),
    st.sampled_from([Operator.EQ, Operator.NE, Operator.GE, Operator.LT]),
    st.sampled_from(list(Severity)),
)
others: st.SearchStrategy[Expression] = st.sampled_from(
    [
        Compare(Field.STATUS, Operator.EQ, IncidentStatus.RESOLVED),
        Compare(Field.STATUS, Operator.NE, IncidentStatus.REDIRECTED),
        Compare(Field.ASSIGNED_TO, Operator.EQ, "ann"),
        Compare(Field.INCIDENT_ID, Operator.GT, 4),
        Compare(Field.CREATED, Operator.GT, 17_724_420_050_000_000),
    ]
)
filters: st.SearchStrategy[Expression | None] = st.none() | st.recursive(
    severities | others,
    lambda inner: (
        st.builds(And, st.tuples(inner.filter(_no(And)), inner.filter(_no(And))))
        | st.builds(Or, st.tuples(inner.filter(_no(Or)), inner.filter(_no(Or))))
        | st.builds(Not, inner)
    ),
    max_leaves=3,
)
orders = st.none() | st.builds(Order, st.sampled_from([Field.LAST_UPDATE, Field.CREATED]), st.booleans())


def going(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    few, many, scanned = WAYS[way]
    for module in (exposed_module, alerts_module):
        monkeypatch.setattr(module, "FEW", few)
        monkeypatch.setattr(module, "MANY", many)
    monkeypatch.setattr(sight_module, "MANY", many)
    monkeypatch.setattr(exposed_module, "SCANNED_MAX", scanned)


def ordered(rows: list[IncidentRow], order: Order | None) -> list[IncidentRow]:
    if order is None:
        return rows
    key = (lambda row: row.change) if order.field is Field.LAST_UPDATE else (lambda row: row.incident_id)
    return sorted(rows, key=key, reverse=order.descending)


def bare(row: IncidentRow) -> IncidentRow:
    return msgspec.structs.replace(row, shown=None)


@pytest.mark.parametrize("way", WAYS)
@given(seed=st.integers(0, 10_000), held=st.lists(grants, max_size=2), data=st.data())
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_lists_counts_and_single_ones_are_those_of_the_model(
    way: str, seed: int, held: list[Grant], data: st.DataObject
) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch, world(seed, 12) as it:
        going(monkeypatch, way)
        expression, order = data.draw(filters), data.draw(orders)
        scope = Scope(it.tenant_id, tuple(held))
        at = data.draw(st.sampled_from(sorted(it.states)))
        state = it.at(at)
        wanted = [row for row in state.seen(scope) if expression is None or matches(expression, row)]
        wanted = ordered(wanted, order)
        top, skip = data.draw(st.integers(1, 8)), data.draw(st.integers(0, 4))
        found = it.reader.find_incidents(scope, expression=expression, order_by=order, top=top, skip=skip, as_of=at)
        assert [bare(row) for row in found] == wanted[skip : skip + top]
        assert it.reader.count_incidents(scope, expression=expression, as_of=at) == len(wanted)
        for row, (header, alerts) in zip(found, it.reader.documents(scope, found), strict=True):
            about = [each for each in state.about(row.incident_id) if each.seen_by(scope)]
            whole = len(about) == len(state.about(row.incident_id))
            assert (row.shown is None) == (whole or scope.whole_tenant)
            assert sorted(alerts) == sorted(e.document for e in state.alerts[row.incident_id] if e.seen_by(scope))
            assert decode_header(header).severity is row.severity
            if not whole and not scope.whole_tenant:
                titles = {decode_alert(each.document).title for each in about}
                facts = it.reader.facts(row)
                assert set(facts.titles) == titles
                assert not facts.signals.findings
        current = it.states[it.newest]
        seen_now = {row.incident_id: row for row in current.seen(scope)}
        for incident_id in current.rows:
            if incident_id in seen_now:
                assert bare(it.reader.get_incident(scope, incident_id)) == seen_now[incident_id]
            else:
                with pytest.raises(NotFound):
                    it.reader.get_incident(scope, incident_id)


@pytest.mark.parametrize("way", WAYS)
@given(seed=st.integers(0, 10_000), held=st.lists(grants, max_size=2), data=st.data())
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_lists_of_alerts_and_all_that_is_told_of_them_are_those_of_the_model(
    way: str, seed: int, held: list[Grant], data: st.DataObject
) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch, world(seed, 12) as it:
        going(monkeypatch, way)
        scope = Scope(it.tenant_id, tuple(held))
        at = data.draw(st.sampled_from(sorted(it.states)))
        every = [each for known in it.states[at].alerts.values() for each in known]
        wanted = {each.number for each in every if each.seen_by(scope)}
        found = it.alerts.find_alerts(scope, top=1_000, as_of=at)
        assert {each.alert_number for each in found} == wanted
        assert len(found) == len(wanted) == it.alerts.count_alerts(scope, as_of=at)
        whole = [each.alert_number for each in it.alerts.find_alerts(it.bench.scope, top=1_000, as_of=at)]
        assert [each.alert_number for each in found] == [number for number in whole if number in wanted]
        page = it.alerts.find_alerts(scope, top=3, skip=2, as_of=at)
        assert [each.alert_number for each in page] == [each.alert_number for each in found][2:5]
        now = it.states[it.newest]
        everything = [each for known in now.alerts.values() for each in known]
        seen = {each.number for each in everything if each.seen_by(scope)}
        for each in everything:
            if each.number in seen:
                assert it.alerts.get_alert(scope, each.number, "x").alert_number == each.number
            else:
                with pytest.raises(NotFound):
                    it.alerts.get_alert(scope, each.number, "x")
        for row in it.reader.find_incidents(scope, top=1_000):
            links = it.reader.find_links(scope, row)
            assert set(links) <= seen
            assert {edge.earlier_alert_number for edges in links.values() for edge in edges} <= seen
            for entry in it.reader.find_log(scope, row) if not scope.whole_tenant else []:
                told = msgspec.json.decode(entry.detail)
                assert set(told.get("alerts", [])) <= seen | {e.number for e in now.about(row.incident_id)}
                assert not {"from", "merged", "sources"} & set(told)
        documents = alerts_on_devices(it.reader._connection, scope, holding=b"deviceDnsName", not_before=0)
        assert {int(decode_alert(each).alert_id[2:]) for each in documents} == {
            each.number for each in everything if each.number in seen and each.groups
        }
        tally = Overview(it.reader._connection).tally(scope, not_before=0, opened_since=0)
        live = [row for row in now.seen(scope) if row.status is not IncidentStatus.REDIRECTED]
        assert (tally.incidents, tally.alerts) == (len(live), sum(row.alert_count for row in live))
        fit = incidents_about(it.reader._connection, scope, "title", not_before=0)
        assert set(fit) <= {row.incident_id for row in now.seen(scope)}


@pytest.mark.parametrize("way", WAYS)
@given(seed=st.integers(0, 10_000), held=st.lists(grants, min_size=1, max_size=2), data=st.data())
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_change_feed_tells_what_became_of_what_was_visible_and_of_nothing_else(
    way: str, seed: int, held: list[Grant], data: st.DataObject
) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch, world(seed, 14) as it:
        going(monkeypatch, way)
        scope = Scope(it.tenant_id, tuple(held))
        since = data.draw(st.sampled_from(sorted(it.states)))
        expression = data.draw(filters)
        now = {row.incident_id: row for row in it.states[it.newest].seen(scope)}
        ever = {row.incident_id for state in it.states.values() for row in state.seen(scope)}
        before = {row.incident_id for row in it.states[since].seen(scope)}
        told = {}
        position = since
        while True:
            found = it.reader.find_changes(scope, since=position, top=3, expression=expression)
            told.update({each.incident_id: each for each in found})
            if len(found) < 3:
                break
            position = found[-1].change
        assert set(told) <= ever
        for incident_id, row in now.items():
            if row.change > since:
                expected = row if expression is None or matches(expression, row) else None
                got = told[incident_id].row
                assert (None if got is None else bare(got)) == expected
        assert {each for each in before if each not in now} <= set(told)
        assert all(each.row is None for each in told.values() if each.incident_id not in now)


def test_who_sees_nothing_is_told_of_no_removal_and_who_saw_it_is(tmp_path: Path) -> None:
    bench = Bench(tmp_path, HandClock())
    bench.ingest(native(1, serviceSource="One"), native(2, serviceSource="Four"))
    since = bench.reader.last_change(bench.scope)
    bench.clock.at += 400 * DAY
    housekeeping = Housekeeping(Settings(data_dir=tmp_path))
    while bench.committer.run(lambda store: housekeeping.step(store, bench.clock.at)):
        pass
    scope = Scope(bench.tenant.tenant_id, (Grant(workloads=frozenset({"one"}), device_groups=None, may_manage=False),))
    assert [each.incident_id for each in bench.reader.find_changes(scope, since=since, top=9)] == [1]
    assert len(bench.reader.find_changes(bench.scope, since=since, top=9)) == 2
