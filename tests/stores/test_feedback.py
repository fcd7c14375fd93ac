"""What is closed as benign makes the same finding less urgent elsewhere, for as long as the closing stands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from house import START, Client, HandClock, native, running
from tocsin.access import Grant, Permission, Scope
from tocsin.correlation.tuning import NO_TUNING, Tuning, with_setting
from tocsin.stores.sqlite.connection import DATABASE_NAME, open_side_writer, transaction
from tocsin.stores.sqlite.tuning import Tunings
from tocsin.ticks import DAY

FALSE_POSITIVE = {"status": "Resolved", "classification": "FalsePositive"}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with running(tmp_path, HandClock()) as made:
        made.token = made.token_for("triage", Permission.READ_WRITE)
        yield made


def scope_of(client: Client) -> Scope:
    return Scope.everything_of(client.tenant.tenant_id)


def sighting(client: Client, number: int, *, host: str = "ws-7", rule: str = "noisy") -> int:
    """An alert days after the one before, so that it opens an incident of its own."""
    at = START + (number - 10) * 3 * DAY
    fields = {"detectorId": rule, "title": f"Rule {rule}", "severity": "High", "devices": [{"deviceDnsName": host}]}
    answer = client.ingest(native(number, at=at, **fields)).json()
    return int(answer["results"][0]["incidentId"])


def score(client: Client, incident_id: int) -> int:
    return int(client.get(f"/v1.0/security/incidents/{incident_id}").json()["priorityScore"])


def change(client: Client, incident_id: int, **changes: str) -> None:
    headers = {"authorization": f"Bearer {client.token}"}
    answer = client.http.patch(f"/api/incidents/{incident_id}", headers=headers, json=changes)
    assert answer.status_code == 200, answer.text


def test_each_closing_halves_what_the_same_finding_adds_and_reopening_restores_it(client: Client) -> None:
    first, second, third = (sighting(client, number) for number in (1, 2, 3))
    unheard = score(client, third)
    change(client, first, **FALSE_POSITIVE)
    once = score(client, third)
    change(client, second, status="Resolved", classification="InformationalExpectedActivity")
    twice = score(client, third)
    assert unheard > once > twice
    change(client, second, status="Active")
    assert score(client, third) == once
    change(client, first, classification="TruePositive")
    assert score(client, third) == unheard


def test_only_the_same_rule_on_the_same_asset_is_less_urgent(client: Client) -> None:
    closed, elsewhere = sighting(client, 1), sighting(client, 2, host="ws-8")
    another = sighting(client, 3, rule="other")
    before = score(client, closed), score(client, elsewhere), score(client, another)
    change(client, closed, **FALSE_POSITIVE)
    assert (score(client, closed), score(client, elsewhere), score(client, another)) == before


def test_a_judgement_without_closing_and_a_closing_as_true_teach_nothing(client: Client) -> None:
    first, second = sighting(client, 1), sighting(client, 2)
    before = score(client, second)
    change(client, first, classification="FalsePositive")
    assert score(client, second) == before
    change(client, first, status="Resolved", classification="TruePositive")
    assert score(client, second) == before


def test_the_log_says_how_many_findings_a_closing_lowers(client: Client) -> None:
    first = sighting(client, 1)
    change(client, first, **FALSE_POSITIVE)
    reader = client.service.reader
    row = reader.get_incident(scope_of(client), first)
    assert '"benignFindings":1' in reader.find_log(scope_of(client), row)[-1].detail


def test_another_tenant_learns_nothing(client: Client) -> None:
    first = sighting(client, 1)
    facts = client.service.reader.facts(client.service.reader.get_incident(scope_of(client), first))
    change(client, sighting(client, 2), **FALSE_POSITIVE)
    assert sum(client.service.feedback.benign(scope_of(client), facts).values()) == 1
    foreign = Scope.everything_of(client.tenant.tenant_id + 1)
    assert client.service.feedback.benign(foreign, facts) == {}


def put(client: Client, tuning: Tuning, after: int) -> None:
    """Set a tuning as a command does, beside the running server."""
    connection = open_side_writer(client.service.settings.data_dir / DATABASE_NAME)
    with transaction(connection):
        tenant_id = client.tenant.tenant_id
        Tunings(connection).write(tenant_id, tuning, after=after, actor="ann", reason="a test", at=START)
    connection.close()


def test_a_change_of_criticality_holds_at_once_and_for_stored_incidents(client: Client) -> None:
    here, elsewhere = sighting(client, 1), sighting(client, 2, host="ws-8")
    before, other = score(client, here), score(client, elsewhere)
    put(client, with_setting(NO_TUNING, "critical+=device=ws-7;tier=high"), 0)
    high = score(client, here)
    put(client, with_setting(NO_TUNING, "critical+=device=ws-7;tier=critical"), 1)
    assert score(client, here) > high > before
    assert score(client, elsewhere) == other
    put(client, NO_TUNING, 2)
    assert score(client, here) == before


def test_the_critical_asset_is_named_only_to_those_who_see_everything(client: Client) -> None:
    incident_id = sighting(client, 1)
    put(client, with_setting(NO_TUNING, "critical+=device=ws-7;tier=critical"), 0)
    whole = scope_of(client)
    facts = client.service.reader.facts(client.service.reader.get_incident(whole, incident_id))
    partly = Scope(whole.tenant_id, (Grant(workloads=frozenset({"Custom"}), device_groups=None, may_manage=False),))
    texts = []
    for scope in (whole, partly):
        made = client.service.feedback.priority(scope, facts)
        assert made is not None
        texts += [term.text for term in made.terms if term.name == "criticality"]
    assert texts == ["device ws-7 of criticality 3 of 3", "an asset of criticality 3 of 3"]
