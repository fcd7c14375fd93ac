"""Nobody is told anything of another tenant, or of what their roles hide, whatever is asked and done in any order.

Promise 5. The model is `canaries.Looker.sees`; the controls below plant a fault each and must be found by the same
machine. Steps, requests and scanned characters are printed.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from canaries import WORKLOADS, Looker, World
from house import HandClock, running
from tocsin.access import Scope
from tocsin.odata.options import Options, Query
from tocsin.search import Render, Search
from tocsin.service import Service
from tocsin.stores.sqlite.connection import DATABASE_NAME, open_reader
from tocsin.stores.sqlite.reading import IncidentRow, ReadStore
from tocsin.ticks import MINUTE
from tocsin.walks import Walk, Walker, Walks, load_walk_key

DRAW: Final = st.integers(0, 10**6)
WHO: Final = st.integers(0, 9)
GRAPH: Final = "/v1.0/security"
FILTERS: Final = (
    "severity eq 'High'", "severity ne 'High'", "status eq 'Active'", "status ne 'Redirected'", "incidentId gt 1",
    "assignedTo eq 'eve'", "createdTime ge 2020-01-01", "tags/any(t:t eq 'x')", "severity eq", "secret eq 1",
)  # fmt: skip
PORTAL: Final = ("/", "/incidents", "/incidents?severity=high", "/incidents?status=open", "/openapi.json", "/healthz",
                 "/sign-in", "/device", "/nowhere", "/incidents?page=x", "/incidents/x")  # fmt: skip
OTHERS: Final = (
    ("DELETE", "/api/incidents/1"), ("GET", "/api/incidents/1/merge"), ("GET", "/ingest/refused"),
    ("POST", "/ingest/refused/retry"), ("GET", f"{GRAPH}/incidents/delta?$deltatoken=x"),
    ("GET", f"{GRAPH}/alerts_v2/zz1"), ("GET", "/api/incidents/99999999999999999999"),
)  # fmt: skip
_ROW: Final = re.compile(r'href="/incidents/([0-9]+)')
_totals: Counter[str] = Counter()


class Isolation(RuleBasedStateMachine):
    """Two tenants and ten callers. `links` are what callers were given to go on with."""

    plant: Callable[[Service], None] | None = None

    def __init__(self) -> None:
        super().__init__()
        self.folder, self.stack = Path(tempfile.mkdtemp()), ExitStack()
        client = self.stack.enter_context(
            running(self.folder, HandClock(), quota_per_minute=10**6, quota_get_per_minute=10**6, quota_per_hour=10**6)
        )
        if self.plant is not None:
            self.plant(client.service)
        self.world = World(client)
        self.stack.callback(self.world.close)
        self.links: list[tuple[Looker, str]] = []
        for tenant in (1, 2):
            for workload in WORKLOADS:
                for near in (True, False, None):
                    self.world.ingest(tenant, workload, near, "a" if near else "", "High" if near else "Low")
        self.world.note_writing()

    def teardown(self) -> None:
        """Everybody looks at lists, two at everything, then the service ends."""
        try:
            for looker in self.world.lookers:
                self.lists(looker)
            for number in (self.world.words, self.world.words + 5):
                self.everything(self.who(number))
        finally:
            _totals.update(requests=self.world.requests, characters=self.world.scanned, examples=1)
            self.stack.close()
            shutil.rmtree(self.folder)

    def everything(self, looker: Looker) -> None:
        """Every incident and alert that there is anywhere, and one more."""
        self.machines(looker)
        self.words(looker, self.world.words)
        for number in range(1, 2 + max(number for _, number in self.world.alerts)):
            self.incident(looker, number)
            self.alert(looker, number)

    def who(self, number: int) -> Looker:
        return self.world.lookers[number % len(self.world.lookers)]

    @rule(
        tenant=st.sampled_from((1, 2)),
        workload=st.sampled_from(WORKLOADS),
        near=st.sampled_from((True, False, None)),
        tie=st.sampled_from(("", "a", "b", "c")),
        severity=st.sampled_from(("Low", "High")),
    )
    def comes_in(self, tenant: int, workload: str, near: bool | None, tie: str, severity: str) -> None:
        """An alert."""
        _totals["alerts"] += 1
        self.world.ingest(tenant, workload, near, tie, severity)
        self.world.note_writing()

    @rule(who=WHO)
    def looks_at_lists(self, who: int) -> None:
        """Lists, counts and the change feed."""
        self.lists(self.who(who))

    def lists(self, looker: Looker) -> None:
        """What is listed is what the model shows, no more and no less, in both dialects and in the browser."""
        _totals["lists"] += 1
        world = self.world
        incidents, alerts = world.shown(looker)
        listed = world.ask(looker, "GET", "/api/incidents")
        graph = world.ask(looker, "GET", f"{GRAPH}/incidents?$count=true&$expand=alerts&$top=50")
        counted = world.ask(looker, "GET", f"{GRAPH}/incidents/$count")
        feed = world.ask(looker, "GET", f"{GRAPH}/incidents/delta")
        if looker.incidents:
            assert {each["incidentId"] for each in listed.json()["value"]} == incidents
            assert {int(each["id"]) for each in graph.json()["value"]} == incidents
            assert (graph.json()["@odata.count"], int(counted.text)) == (len(incidents), len(incidents))
            assert {int(each["id"]) for each in feed.json()["value"]} == incidents
            self.links.append((looker, feed.json()["@odata.deltaLink"]))
        else:
            assert {each.status_code for each in (listed, graph, counted, feed)} == {403}
        listed = world.ask(looker, "GET", f"{GRAPH}/alerts_v2?$count=true")
        counted = world.ask(looker, "GET", f"{GRAPH}/alerts_v2/$count")
        if looker.alerts:
            assert {int(each["id"][2:]) for each in listed.json()["value"]} == alerts
            assert (listed.json()["@odata.count"], int(counted.text)) == (len(alerts), len(alerts))
        else:
            assert {each.status_code for each in (listed, counted)} == {403}
        if looker.cookie:
            page = world.ask(looker, "GET", "/incidents", browser=True)
            found = {int(each) for each in _ROW.findall(page.text)}
            assert incidents - world.husks(looker.tenant) <= found <= incidents

    @rule(who=WHO, size=st.integers(1, 3), which=st.sampled_from(FILTERS), skip=st.integers(0, 4))
    def pages(self, who: int, size: int, which: str, skip: int) -> None:
        """Filters, pages by number and pages by link."""
        _totals["pages"] += 1
        looker = self.who(who)
        incidents, _ = self.world.shown(looker)
        for path in (f"/api/incidents?$filter={which}&$top={size}&$skip={skip}", f"/api/incidents?$skip={skip}"):
            answer = self.world.ask(looker, "GET", path)
            if answer.status_code == 200:
                assert {each["incidentId"] for each in answer.json()["value"]} <= incidents
        for path in (f"/api/incidents?$filter={which}", f"{GRAPH}/incidents?$filter=severity eq 'high'",
                     f"{GRAPH}/alerts_v2?$filter=severity eq 'high'"):  # fmt: skip
            answer = self.world.ask(looker, "GET", path, prefer=f"odata.maxpagesize={size}")
            if answer.status_code == 200 and "@odata.nextLink" in answer.json():
                self.links.append((looker, answer.json()["@odata.nextLink"]))

    @rule(who=WHO, which=DRAW)
    def goes_on(self, who: int, which: int) -> None:
        """Everybody may try every link; it is good for whom it was given to alone."""
        if not self.links:
            return
        _totals["links"] += 1
        owner, link = self.links[which % len(self.links)]
        path = link.partition(":8443")[2]
        stranger = self.who(who)
        if stranger is not owner:
            answer = self.world.ask(stranger, "GET", path)
            assert answer.status_code in (400, 403), f"{stranger.name} goes on with a link of {owner.name}"
        answer = self.world.ask(owner, "GET", path)
        assert answer.status_code == 200
        for name in ("@odata.nextLink", "@odata.deltaLink"):
            if name in answer.json():
                self.links.append((owner, answer.json()[name]))

    @rule(who=WHO, which=DRAW)
    def looks_at_one(self, who: int, which: int) -> None:
        """An incident and an alert by their numbers, seen or not."""
        number = 1 + which % (1 + max(number for _, number in self.world.alerts))
        self.incident(self.who(who), number)
        self.alert(self.who(who), number)

    def incident(self, looker: Looker, number: int) -> None:
        """It is there if the model shows it, and else not found."""
        _totals["incidents"] += 1
        incidents, _ = self.world.shown(looker)
        expected = 403 if not looker.incidents else 200 if number in incidents else 404
        for path in (
            f"/api/incidents/{number}",
            f"/api/incidents/{number}/evidence",
            f"{GRAPH}/incidents/{number}?$expand=alerts",
            f"{GRAPH}/incidents/{number}/alerts",
            f"{GRAPH}/incidents/{number}/comments",
        ):
            assert self.world.ask(looker, "GET", path).status_code == expected, (looker.name, path)
        if looker.cookie:
            page = self.world.ask(looker, "GET", f"/incidents/{number}", browser=True)
            assert page.status_code == (200 if number in incidents else 404)

    def alert(self, looker: Looker, number: int) -> None:
        """The same of an alert."""
        _totals["single alerts"] += 1
        _, alerts = self.world.shown(looker)
        expected = 403 if not looker.alerts else 200 if number in alerts else 404
        for path in (f"{GRAPH}/alerts_v2/tn{number}", f"{GRAPH}/alerts_v2/tn{number}/comments"):
            assert self.world.ask(looker, "GET", path).status_code == expected, (looker.name, path)

    @rule(who=WHO)
    def looks_at_machines(self, who: int) -> None:
        """Machines, and the alerts of each."""
        self.machines(self.who(who))

    def machines(self, looker: Looker) -> None:
        """Those of visible alerts."""
        _totals["machines"] += 1
        listed = self.world.ask(looker, "GET", "/api/machines")
        if not looker.incidents:
            assert listed.status_code == 403
            return
        mine = {each.word for each in self.world.alerts.values() if looker.sees(each) and each.near is not None}
        found = {each["computerDnsName"].rpartition("-")[2]: each["id"] for each in listed.json()["value"]}
        assert found.keys() == mine
        for name, desk in (("desk", 1), ("other desk", 2)):
            everyone = next(each for each in self.world.lookers if each.name == name)
            for each in self.world.ask(everyone, "GET", "/api/machines").json()["value"][:6]:
                shown = desk == looker.tenant and each["computerDnsName"].rpartition("-")[2] in mine
                for path in (f"/api/machines/{each['id']}", f"/api/machines/{each['id']}/alerts"):
                    answer = self.world.ask(looker, "GET", path)
                    assert answer.status_code == (200 if shown else 404), (looker.name, path)

    @rule(who=WHO, which=DRAW)
    def searches(self, who: int, which: int) -> None:
        """For a word that is hidden, or not."""
        self.words(self.who(who), which)

    def words(self, looker: Looker, which: int) -> None:
        """A search finds incidents by what one sees of them alone."""
        _totals["searches"] += 1
        if not looker.cookie:
            return
        incidents, _ = self.world.shown(looker)
        everything = list(self.world.alerts.values())
        alert = everything[which % len(everything)]
        for text in (f"Alert {alert.word}", f"user-{alert.word}", f"run%20{alert.word}", f"pc-{alert.word}"):
            page = self.world.ask(looker, "GET", f"/incidents?filter={text}", browser=True)
            found = {int(each) for each in _ROW.findall(page.text)}
            assert found <= incidents
            assert looker.sees(alert) or not found, f"{looker.name} finds {found} by the hidden {text}"

    @rule(who=WHO, which=DRAW, what=st.integers(0, 5))
    def writes(self, who: int, which: int, what: int) -> None:
        """A change of an incident or an alert by anybody; what is written is a word of its own."""
        _totals["writes"] += 1
        looker, number, word = self.who(who), 1 + which % (2 + len(self.world.alerts)), self.world.word()
        self.world.later()
        method, path, body = (
            ("PATCH", f"/api/incidents/{number}", {"tags": [word], "comment": word}),
            ("PATCH", f"/api/incidents/{number}", {"status": "Resolved", "classification": "FalsePositive"}),
            ("POST", f"{GRAPH}/incidents/{number}/comments", {"comment": word}),
            ("PATCH", f"{GRAPH}/incidents/{number}", {"customTags": [word], "status": "active"}),
            ("POST", f"{GRAPH}/alerts_v2/tn{number}/comments", {"comment": word}),
            ("PATCH", f"{GRAPH}/alerts_v2/tn{number}", {"status": "resolved"}),
        )[what]
        answer = self.world.ask(looker, method, path, body)
        if answer.status_code < 300:
            self.world.told[looker.name].add(word)
            self.world.note_writing()

    @rule(
        who=WHO,
        verb=st.sampled_from(("merge", "unmerge", "split", "cut", "move")),
        numbers=st.lists(DRAW, min_size=3, max_size=3),
        known=st.booleans(),
    )
    def regroups(self, who: int, verb: str, numbers: Sequence[int], known: bool) -> None:
        """By anybody, with whatever incidents and alerts."""
        _totals["regroupings"] += 1
        looker = self.who(who)
        incidents, alerts = self.world.shown(looker)
        first, second, third = (1 + each % (1 + len(self.world.alerts)) for each in numbers)
        if known and alerts:  # what fits together, so that it is done at times
            third = sorted(alerts)[numbers[2] % len(alerts)]
            second = sorted(incidents)[numbers[1] % len(incidents)]
            husks = sorted(incidents & self.world.husks(looker.tenant))
            first = husks[numbers[0] % len(husks)] if verb == "unmerge" and husks else self.world.holder(looker, third)
        self.world.later()
        bodies: dict[str, dict[str, object]] = {
            "merge": {"incidentIds": [second]},
            "unmerge": {},
            "split": {"alertIds": [f"tn{third}"]},
            "cut": {"alertId": f"tn{third}"},
            "move": {"alertIds": [f"tn{third}"], "incidentId": second},
        }
        path = f"/api/incidents/{first}/{verb.replace('cut', 'split')}"
        answer = self.world.ask(looker, "POST", path, bodies[verb])
        needed = {first, *({second} if verb in ("merge", "move") else ())}
        seen = needed <= incidents and (verb in ("merge", "unmerge") or third in alerts)
        if answer.status_code < 300:
            assert seen, f"{looker.name} did {verb} with what is hidden"
            self.world.note_writing()
            _totals["regrouped"] += 1
        elif looker.incidents and not seen and looker.name != "reader":
            assert answer.status_code in (400, 404), (looker.name, path, answer.text)

    @rule(who=WHO)
    def looks_at_the_rest(self, who: int) -> None:
        """Pages without incidents, refused input, wrong methods and wrong tokens."""
        _totals["others"] += 1
        looker = self.who(who)
        for path in PORTAL:
            self.world.ask(looker, "GET", path)
        for method, path in OTHERS:
            self.world.ask(looker, method, path)


def sized(examples: int, steps: int, *, fixed: bool) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        phases=(Phase.generate,),
        deadline=None,
        derandomize=fixed,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


@pytest.mark.parametrize(("examples", "steps", "fixed"), [(6, 25, True), (6, 25, False)])
def test_no_answer_tells_of_what_is_hidden(examples: int, steps: int, fixed: bool) -> None:
    _totals.clear()
    run_state_machine_as_test(Isolation, settings=sized(examples, steps, fixed=fixed))
    print(f"isolation: {dict(_totals)}")
    assert _totals["requests"] > 1_000


@pytest.mark.nightly
@pytest.mark.timeout(1_800)
def test_no_answer_tells_of_what_is_hidden_for_long() -> None:
    _totals.clear()
    run_state_machine_as_test(Isolation, settings=sized(80, 60, fixed=False))
    print(f"isolation: {dict(_totals)}")
    assert _totals["regrouped"] > 5


class _CacheOfAnybody(Search):
    """Defective: what was finished for one is given to all who may see some of it, of whatever tenant."""

    def _finish(self, scope: Scope, rows: Sequence[IncidentRow], render: Render) -> list[bytes]:
        keys = [(0, row.incident_id, row.change) for row in rows]
        missing = [row for key, row in zip(keys, rows, strict=True) if key not in self._cache]
        for row, (header, alerts) in zip(missing, self._store.documents(scope, missing), strict=True):
            self._cache[0, row.incident_id, row.change] = render(row, header, alerts)
        return [self._cache[key] for key in keys]


class _ScopeIgnoredOnce(ReadStore):
    """Defective: the alerts of an incident are read without asking which of them are visible."""

    def alerts(self, scope: Scope, row: IncidentRow) -> list[bytes]:
        return super().alerts(Scope.everything_of(scope.tenant_id), row)


class _WalksOfAnybody(Walks):
    """Defective: a walk belongs to a list, not to who walks."""

    def begin(self, walker: Walker, *rest: Any, **more: Any) -> Walk:
        return super().begin(msgspec.structs.replace(walker, app_id=""), *rest, **more)

    def resume(self, walker: Walker, query: Query, options: Options, *, not_before: int) -> Walk:
        return super().resume(msgspec.structs.replace(walker, app_id=""), query, options, not_before=not_before)


def _plant_cache(service: Service) -> None:
    service.search = _CacheOfAnybody(service.reader)


def _plant_scope(service: Service) -> None:
    service.reader = _ScopeIgnoredOnce(open_reader(service.settings.data_dir / DATABASE_NAME))


def _plant_walks(service: Service) -> None:
    settings = service.settings
    service.walks = _WalksOfAnybody(load_walk_key(settings.data_dir), settings.superseded_minutes * MINUTE)


@pytest.mark.parametrize(
    ("plant", "words"),
    [(_plant_cache, "was told"), (_plant_scope, "was told"), (_plant_walks, "goes on with a link of")],
)
def test_control_a_planted_fault_is_found(plant: Callable[[Service], None], words: str) -> None:
    defective = type("Defective", (Isolation,), {"plant": staticmethod(plant)})
    _totals.clear()
    with pytest.raises(AssertionError, match=words) as found:
        run_state_machine_as_test(defective, settings=sized(25, 30, fixed=True))
    print(f"control: found after {_totals['requests']} requests: {str(found.value).splitlines()[0]}")
