"""`/api/machines`: machines read off the alerts that name them, and the alerts of one of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from house import START, Client, HandClock, native, running
from tocsin.access import Permission, Scope
from tocsin.stores.sqlite.connection import DATABASE_NAME, open_reader
from tocsin.stores.sqlite.machines import alerts_on_devices
from tocsin.ticks import DAY, HOUR, format_ticks

GIVEN = "ab" * 20
OTHER = {"deviceDnsName": "files.corp.example"}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with running(tmp_path, HandClock()) as found:
        yield found


def named(name: str, **more: Any) -> dict[str, Any]:
    return {"deviceDnsName": name, **more}


def value(answer: Any) -> list[Any]:
    assert answer.status_code == 200, answer.text
    found = answer.json()["value"]
    assert isinstance(found, list)
    return found


def names(answer: Any) -> list[str]:
    return [each["computerDnsName"] for each in value(answer)]


def test_each_device_is_one_machine_by_name_whatever_number_of_alerts_name_it(client: Client) -> None:
    client.ingest(native(1, devices=[named("pc2")]), native(2, devices=[named("pc1"), named("pc2")]), native(3))
    answer = client.get("/api/machines")
    assert names(answer) == ["pc1", "pc2"]
    assert answer.json()["@odata.context"] == f"{client.service.names.base_url}/api/$metadata#Machines"
    assert all(re.fullmatch("[0-9a-f]{40}", each["id"]) for each in value(answer))
    assert answer.headers["ratelimit-limit"] == "50"


def test_a_machine_is_as_its_newest_alert_shows_it_and_seen_as_long_as_any_does(client: Client) -> None:
    old = named("pc1", mdatpDeviceId=GIVEN, osPlatform="Windows10", firstSeen="2024-05-06T07:08:09Z")
    new = named("pc1.corp.example", mdatpDeviceId=GIVEN, osPlatform="Windows11", rbacGroupName="Desks", tags=["vip"])
    client.ingest(native(1, at=START + HOUR, devices=[old]))
    client.ingest(native(2, at=START, devices=[new]))
    machine = client.get(f"/api/machines/{GIVEN}").json()
    assert machine["@odata.context"].endswith("#Machines/$entity")
    assert (machine["id"], machine["computerDnsName"]) == (GIVEN, "pc1.corp.example")
    assert machine["osPlatform"] == "Windows11"
    assert (machine["rbacGroupName"], machine["machineTags"]) == ("Desks", ["vip"])
    assert machine["lastSeen"] == format_ticks(START + HOUR)
    assert machine["firstSeen"] == "2024-05-06T07:08:09.0000000Z"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("$filter=computerDnsName eq 'pc1.corp.example'", ["pc1.corp.example"]),
        ("$filter=computerDnsName eq 'pc1'", []),
        ("$filter=startswith(computerDnsName,'pc')", ["pc1.corp.example", "pc2.corp.example"]),
        ("$filter=computerDnsName ne 'pc1.corp.example'&$top=1", ["files.corp.example"]),
        ("$skip=1&$top=1", ["pc1.corp.example"]),
        ("$top=0", []),
    ],
)
def test_machines_are_asked_for_by_name_and_in_parts(client: Client, query: str, found: list[str]) -> None:
    client.ingest(native(1, devices=[named("pc2.corp.example"), named("pc1.corp.example")]), native(2, devices=[OTHER]))
    assert names(client.get(f"/api/machines?{query}")) == found


def test_what_is_selected_is_shown_and_the_id(client: Client) -> None:
    client.ingest(native(1, devices=[OTHER]))
    assert list(value(client.get("/api/machines?$select=id"))[0]) == ["id"]
    assert list(value(client.get("/api/machines?$select=osPlatform"))[0]) == ["id", "osPlatform"]


@pytest.mark.parametrize(
    "path",
    [
        "/api/machines?$filter=healthStatus eq 'Active'",
        "/api/machines?$filter=status eq 'New'",
        "/api/machines?$filter=computerDnsName",
        "/api/machines?$orderby=id",
        "/api/machines?$top=10001",
        "/api/machines?$select=colour",
        f"/api/machines/{GIVEN}?$expand=alerts",
        f"/api/machines/{GIVEN}/alerts?$expand=evidence",
    ],
)
def test_what_cannot_be_answered_is_refused_by_name(client: Client, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "ODataError")


def test_alerts_of_a_machine_are_its_own_newest_first(client: Client) -> None:
    device = named("pc1.corp.example", mdatpDeviceId=GIVEN)
    client.ingest(native(1, devices=[device]), native(2, devices=[OTHER]), native(3, devices=[OTHER, device]))
    alerts = value(client.get(f"/api/machines/{GIVEN}/alerts"))
    assert [each["id"] for each in alerts] == ["tn3", "tn1"]
    first = alerts[0]
    shown = client.get(f"/api/incidents/{first['incidentId']}").json()["alerts"]
    stored = next(each for each in shown if each["alertId"] == "tn3")
    assert (first["machineId"], first["computerDnsName"]) == (GIVEN, "pc1.corp.example")
    assert (first["title"], first["severity"], first["status"]) == ("Alert 3", "Medium", "New")
    assert first["alertCreationTime"] == stored["creationTime"]
    assert first["lastUpdateTime"] == stored["lastUpdatedTime"]
    assert first["aadTenantId"] == client.tenant.guid
    assert [each["id"] for each in value(client.get(f"/api/machines/{GIVEN}/alerts?$skip=1&$top=1"))] == ["tn1"]


@pytest.mark.parametrize("path", [f"/api/machines/{GIVEN}", f"/api/machines/{GIVEN}/alerts", '/api/machines/a"b'])
def test_a_machine_that_no_alert_names_is_not_found(client: Client, path: str) -> None:
    # The id stands in a text of the alert, where it is not a device.
    client.ingest(native(1, title=f'"mdatpDeviceId":"{GIVEN}"', devices=[OTHER]))
    answer = client.get(path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "ResourceNotFound")


def test_a_machine_goes_with_its_last_alert_past_retention(client: Client) -> None:
    client.ingest(native(1, devices=[OTHER]))
    (machine,) = value(client.get("/api/machines"))
    clock = client.service.clock
    assert isinstance(clock, HandClock)
    clock.at += (client.service.settings.retention_days + 1) * DAY
    client.token = client.token_for("later", Permission.READ)
    assert value(client.get("/api/machines")) == []
    assert client.get(f"/api/machines/{machine['id']}").status_code == 404


def test_who_may_not_read_incidents_sees_no_machines(client: Client) -> None:
    assert client.http.get("/api/machines").status_code == 401
    for permission in (Permission.INGEST, Permission.SECURITY_ALERT_READ):
        token = client.token_for(permission.value, permission)
        for path in ("/api/machines", f"/api/machines/{GIVEN}", f"/api/machines/{GIVEN}/alerts"):
            answer = client.http.get(path, headers={"authorization": f"Bearer {token}"})
            assert answer.status_code == 403


def test_only_the_newest_alerts_of_the_own_tenant_are_looked_at(client: Client) -> None:
    client.ingest(*[native(number, devices=[named(f"pc{number}")]) for number in range(1, 6)])
    connection = open_reader(client.service.settings.data_dir / DATABASE_NAME)
    tenant_id = client.tenant.tenant_id

    def look(scope: Scope) -> list[bytes]:
        return alerts_on_devices(connection, scope, holding=b'"deviceDnsName":', not_before=0, looked_at=2)

    found = look(Scope.everything_of(tenant_id))
    assert [re.findall(b"pc[0-9]", each)[0] for each in found] == [b"pc5", b"pc4"]
    assert look(Scope.nothing_of(tenant_id)) == look(Scope.everything_of(tenant_id + 1)) == []
    connection.close()
