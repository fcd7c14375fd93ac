"""Changing something needs rights on all of it, and what may not be seen is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from house import Bench, HandClock, native, shared_url
from tocsin.access import Grant, Scope
from tocsin.errors import Forbidden, NotFound
from tocsin.stores.sqlite.managing import require_manage, require_manage_alert

TOGETHER = shared_url("one")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Incident 1: alerts 1 of `one` on pc1 and 2 of `hidden`. Incident 2: alert 3 of `one` on pc2."""
    made = Bench(tmp_path, HandClock())
    made.ingest(
        native(1, serviceSource="One", entities=TOGETHER, devices=[{"deviceDnsName": "pc1"}]),
        native(2, serviceSource="Hidden", entities=TOGETHER),
        native(3, serviceSource="One", devices=[{"deviceDnsName": "pc2"}]),
    )
    made.store.connection.execute("UPDATE device SET group_id = device_no")
    return made


def grant(*workloads: str, groups: set[int] | None = None, manage: bool = True) -> Grant:
    return Grant(
        workloads=frozenset(workloads) if workloads else None,
        device_groups=None if groups is None else frozenset(groups),
        may_manage=manage,
    )


def scope(*grants: Grant) -> Scope:
    return Scope(1, grants)


def test_an_incident_is_managed_by_who_manages_every_workload_in_it(bench: Bench) -> None:
    ask = bench.store.connection
    require_manage(ask, Scope.everything_of(1), [1, 2])
    require_manage(ask, scope(grant("one", "hidden")), [1, 2])
    require_manage(ask, scope(grant("one"), grant("hidden")), [1])
    require_manage(ask, scope(grant("one")), [2])
    with pytest.raises(Forbidden) as refused:
        require_manage(ask, scope(grant("one")), [1])
    assert "hidden" not in str(refused.value).lower()
    with pytest.raises(Forbidden):
        require_manage(ask, scope(grant("one", "hidden", manage=False)), [1])
    with pytest.raises(Forbidden):
        require_manage(ask, scope(grant(manage=False)), [1])


def test_what_may_not_be_seen_is_not_found_before_anything_is_forbidden(bench: Bench) -> None:
    ask = bench.store.connection
    with pytest.raises(NotFound):
        require_manage(ask, scope(grant("hidden")), [2])
    with pytest.raises(NotFound):
        require_manage(ask, scope(grant("one", groups={2})), [1])
    with pytest.raises(NotFound):
        require_manage(ask, scope(grant("hidden", manage=False)), [1, 2])
    with pytest.raises(NotFound):
        require_manage(ask, Scope.nothing_of(1), [1])
    with pytest.raises(NotFound):
        require_manage(ask, scope(grant("one")), [99])


def test_an_alert_is_managed_by_a_grant_that_shows_it(bench: Bench) -> None:
    ask = bench.store.connection
    require_manage_alert(ask, Scope.everything_of(1), 1, "tn1")
    require_manage_alert(ask, scope(grant("one", groups={1})), 1, "tn1")
    with pytest.raises(Forbidden):
        require_manage_alert(ask, scope(grant("one", manage=False), grant("one", groups={2})), 1, "tn1")
    with pytest.raises(NotFound):
        require_manage_alert(ask, scope(grant("one", groups={2})), 1, "tn1")
    with pytest.raises(NotFound):
        require_manage_alert(ask, scope(grant("one")), 2, "tn2")
