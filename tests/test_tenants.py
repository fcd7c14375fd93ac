"""Several tenants share one writer and its commits, and nothing else."""

from __future__ import annotations

import uuid
from pathlib import Path
from random import Random

import pytest

from house import Bench, HandClock, lines, native, shared_url
from tocsin.access import Scope
from tocsin.documents import decode_alert, decode_header
from tocsin.errors import NotFound
from tocsin.ingest import Delivery, LineResult, Result, read_delivery
from tocsin.model import IncidentStatus
from tocsin.senders import REGISTRY
from tocsin.stores.sqlite.registry import Registry
from tocsin.triage import IncidentChanges, update_incident


class Houses(Bench):
    """A bench with three tenants."""

    def open(self) -> None:
        super().open()
        registry = Registry(self.store.connection)
        for name in ("second", "third"):
            try:
                registry.get_tenant(name)
            except NotFound:
                registry.create_tenant(name, str(uuid.uuid4()), self.clock())
        self.tenants = [each.tenant_id for each in registry.list_tenants()]

    def delivery(self, tenant_id: int, *numbers: int) -> Delivery:
        """Alerts that would all be one incident, were they of one tenant."""
        alerts = [native(number, at=self.clock(), entities=shared_url("same")) for number in numbers]
        return read_delivery(REGISTRY["native"], tenant_id, lines(alerts), 1000)

    def story(self, tenant_id: int) -> list[tuple[int, IncidentStatus, int, list[str]]]:
        """What a tenant sees: incident, status, change, alerts."""
        scope = Scope.everything_of(tenant_id)
        return [
            (
                row.incident_id,
                row.status,
                row.change,
                [decode_alert(document).alert_id for document in self.reader.alerts(scope, row)],
            )
            for row in self.reader.find_incidents(scope, top=100)
        ]


@pytest.fixture
def houses(tmp_path: Path) -> Houses:
    return Houses(tmp_path, HandClock())


def told(results: list[LineResult]) -> list[tuple[Result, str | None, int | None]]:
    return [(each.result, each.alert_id, each.incident_id) for each in results]


def test_the_same_alerts_of_two_tenants_in_one_commit_are_each_tenants_own(houses: Houses) -> None:
    one, two, _ = houses.tenants
    answers = houses.committer.ingest(
        [houses.delivery(one, 1, 2), houses.delivery(two, 2, 3), houses.delivery(one, 2, 3), houses.delivery(two, 1)]
    )
    created, duplicate = Result.CREATED, Result.DUPLICATE
    assert told(answers[0]) == [(created, "tn1", 1), (created, "tn2", 1)]
    assert told(answers[1]) == [(created, "tn1", 1), (created, "tn2", 1)]
    assert told(answers[2]) == [(duplicate, "tn2", 1), (created, "tn3", 1)]
    assert told(answers[3]) == [(created, "tn3", 1)]
    for tenant in (one, two):
        assert houses.story(tenant) == [(1, IncidentStatus.ACTIVE, 1, ["tn1", "tn2", "tn3"])]


def test_what_one_tenant_has_stored_is_no_repeat_and_no_evidence_for_another(houses: Houses) -> None:
    one, two, three = houses.tenants
    houses.committer.ingest([houses.delivery(one, 1)])
    assert told(houses.committer.ingest([houses.delivery(two, 1)])[0]) == [(Result.CREATED, "tn1", 1)]
    assert houses.story(one) == houses.story(two) == [(1, IncidentStatus.ACTIVE, 1, ["tn1"])]
    assert houses.story(three) == []


def test_an_update_of_one_tenants_incident_leaves_the_others_of_that_number_alone(houses: Houses) -> None:
    one, two, _ = houses.tenants
    houses.committer.ingest([houses.delivery(tenant, 1) for tenant in houses.tenants])

    def resolve(tenant: int) -> None:
        changes = IncidentChanges(status=IncidentStatus.RESOLVED, comment=f"by {tenant}")
        houses.committer.run(
            lambda store: update_incident(
                store, tenant, 1, changes, actor="somebody", clock=houses.clock(), not_before=0
            )
        )

    resolve(two)
    assert [status for _, status, _, _ in houses.story(two)] == [IncidentStatus.RESOLVED]
    assert [status for _, status, _, _ in houses.story(one)] == [IncidentStatus.ACTIVE]
    # A resolved incident takes no alert: the next one joins where it is open, and opens one where it is not.
    answers = houses.committer.ingest([houses.delivery(one, 2), houses.delivery(two, 2)])
    assert [told(each)[0][2] for each in answers] == [1, 2]
    for tenant, comments in ((one, 0), (two, 1)):
        scope = Scope.everything_of(tenant)
        header = decode_header(houses.reader.header(houses.reader.get_incident(scope, 1)))
        assert len(header.comments) == comments


def test_tenants_whose_alerts_are_mixed_in_commits_end_as_if_each_had_been_alone(tmp_path: Path) -> None:
    """Also over a restart, and with the memories of all of them in one journal."""
    random = Random(11)
    plan = [[(random.randrange(3), random.randrange(40)) for _ in range(random.randrange(1, 9))] for _ in range(30)]
    stories = []
    for mixed in (True, False):
        (folder := tmp_path / str(mixed)).mkdir()
        houses = Houses(folder, HandClock())
        for turn, batch in enumerate(plan):
            deliveries = [
                read_delivery(
                    REGISTRY["native"],
                    houses.tenants[tenant],
                    lines([native(number, at=houses.clock(), entities=shared_url(f"u{number % 5}"))]),
                    10,
                )
                for tenant, number in (batch if mixed else sorted(batch, key=lambda each: each[0]))
            ]
            if mixed:
                houses.committer.ingest(deliveries)
            else:
                for tenant in houses.tenants:
                    houses.committer.ingest([each for each in deliveries if each.tenant_id == tenant])
            if turn == 15:
                houses.open()
            houses.later(600)
        stories.append([houses.story(tenant) for tenant in houses.tenants])
    assert stories[0] == stories[1]
    assert all(len(story) > 1 for story in stories[0])
