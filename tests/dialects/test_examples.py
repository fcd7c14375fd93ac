"""Every documented answer, made again from equivalent alerts and changes, field by field.

Each table names all that differs and why; what it does not name is equal: keys, their order, types and values.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from likeness import Difference, differences, example

from house import Client, HandClock, native, running, shared_url
from tocsin.access import Permission
from tocsin.identity.credentials import hash_secret, new_secret
from tocsin.ticks import parse_ticks

Table = Mapping[Difference, str]

NUMBERS = "the number is the tenant's own, counted from 1"
ADDRESS = "the address is this server's"
STAMP = "the original's stamps are made apart by milliseconds; here the moment of the commit stamps all that it changes"
AUTHOR = "an application is named with its id, since names are not unique over time"
OLD_PAGE = "the page's examples are from before this key, which captured answers have"
CAPITALS = "Graph's page has capitals; its schema and its captures do not"
SENSOR = "native alerts have no property for it"
SDK = "a property that the SDK has and the page's example leaves out"

CONTEXT: Table = {("@odata.context", "value"): ADDRESS}
ALERT: Table = {
    ("alerts[].alertId", "value"): "two letters of the sender, then the tenant's own alert number",
    ("alerts[].incidentId", "value"): NUMBERS,
    ("alerts[].lastUpdatedTime", "value"): STAMP,
}
INCIDENT: Table = {("incidentId", "value"): NUMBERS, **ALERT}
OLD: Table = {("alerts[].providerAlertId", "more"): OLD_PAGE, ("incidentUri", "more"): OLD_PAGE}


def listed(table: Table) -> Table:
    """The table of an incident, for a list of them."""
    return {(f"value[].{where}", what): reason for (where, what), reason in table.items()}


LIST: Table = {
    **CONTEXT,
    **listed(
        {
            **INCIDENT,
            **OLD,
            ("incidentName", "value"): "an incident of one alert has its title, without the count of what it is on",
            ("lastUpdateTime", "value"): STAMP,
            ("alerts[].detectorId", "more"): OLD_PAGE,
            **{
                (f"alerts[].devices[].{name}", "more"): OLD_PAGE
                for name in ("tags", "defenderAvStatus", "onboardingStatus", "vmMetadata")
            },
            ("alerts[].entities[].*", "null left out"): "entities are sparse, as all captured answers have them",
            ("alerts[].entities[].entityType", "value"): "Mailbox, where the page has MailBox and captures have both",
        }
    ),
}
LISTS: Mapping[str, Table] = {
    "docs-list-incidents-2020-09": {**LIST, ("value[].comments", "more"): OLD_PAGE},
    "docs-list-incidents-2026-08": {**LIST, ("value[].comments[].createdBy", "value"): AUTHOR},
}
CAPTURED: Table = {
    **CONTEXT,
    **INCIDENT,
    ("incidentUri", "value"): ADDRESS,
    ("incidentName", "value"): "an incident of one alert has its title, without the count of what it involves",
    ("lastUpdateTime", "value"): STAMP,
}
UPDATED: Table = {
    **CONTEXT,
    **INCIDENT,
    **OLD,
    ("incidentName", "value"): "a machine is called a device, as everywhere in answers",
    ("alerts[].resolvedTime", "value"): "an alert that comes resolved was resolved, for us, when it came",
    ("alerts[].devices[].rbacGroupId", "more"): "the documents have it; the capture leaves it out beside a null name",
}
MERGED: Table = {
    ("incidentId", "value"): NUMBERS,
    ("redirectIncidentId", "value"): NUMBERS,
    ("incidentUri", "more"): OLD_PAGE,
    ("@odata.context", "more"): "captured as an item of a list",
    ("lastUpdateTime", "value"): "stamps are unique: the incident that survives has the one before",
    ("entities", "missing"): "an incident has no entities of its own in any document or other capture",
}
CHANGED: Table = {
    ("", "order"): "the page's answer is abridged and puts status first, where whole answers have it later",
    ("comments[].createdBy", "value"): AUTHOR,
}
FAILED: Table = {
    ("error.message", "value"): "names what is wrong, and what there is instead of the page's machine",
    ("error.target", "value"): "an id of this very answer",
}
THROTTLED: Table = {
    ("error.message", "value"): "goes on with the seconds to wait, which one client reads there",
    ("error.target", "value"): "an id of this very answer",
}
TOKEN: Table = {
    ("access_token", "value"): "the example has a place-holder",
    ("ext_expires_in", "value"): "as Entra ID answers today",
}
GRAPH_OWN: Table = {
    ("id", "value"): NUMBERS,
    ("tenantId", "value"): "the tenant's own",
    ("incidentWebUrl", "value"): ADDRESS,
    ("@odata.type", "missing"): "left out at the top, as metadata=minimal says: the context names the type",
    ("systemTags", "length"): "the original's own services set them",
}
GRAPH_INCIDENT: Table = {
    ("@odata.context", "more"): "the page's answer is abridged",
    ("@odata.deltaLink", "more"): "the change feed, an extension",
    **listed(GRAPH_OWN),
    ("value[]", "order"): "the order of the SDK's properties; the page's two examples have two others",
    **{(f"value[].{name}", "value"): CAPITALS for name in ("classification", "determination", "severity", "status")},
    ("value[].lastUpdateDateTime", "value"): "the example was changed last before its last comment",
    ("value[].description", "type"): "written by the original's own services; null",
    ("value[].comments[].createdBy", "value"): AUTHOR,
    ("value[].comments[].createdByDisplayName", "more"): "the SDK's name for the same, beside the page's",
    ("value[].comments[].createdDateTime", "more"): "the SDK's name for the same, beside the page's",
    **{(f"value[].{name}", "more"): SDK for name in ("lastModifiedBy", "priorityScore", "resolvingComment", "summary")},
}
GRAPH_UPDATE: Table = {("classification", "value"): CAPITALS, ("determination", "value"): CAPITALS}
IMAGES = ("fileDetails", "imageFile", "parentProcessImageFile")
EVIDENCE: Table = {
    ("", "order"): "what all kinds share comes first, as in the SDK; each kind of the page's example mixes otherwise",
    ("detailedRoles", "length"): SENSOR,
    ("roles", "length"): SENSOR,
    ("detectionStatus", "type"): SENSOR,
    ("ipInterfaces", "length"): SENSOR,
    ("userAccount.displayName", "value"): "the name of the account, where the sender gives no other",
    **{(name, "more"): SDK for name in ("dnsDomain", "hostName", "ntDomain", "lastIpAddress", "lastExternalIpAddress")},
    **{(f"{image}.{name}", "type"): SENSOR for image in IMAGES for name in ("filePublisher", "fileSize")},
    **{(f"{image}.md5", "more"): SDK for image in IMAGES},
}
GRAPH_ALERT: Table = {
    ("@odata.context", "more"): "the page's answer is abridged",
    **listed(GRAPH_OWN),
    ("value[].alertWebUrl", "value"): ADDRESS,
    ("value[].incidentId", "value"): NUMBERS,
    **{
        (f"value[].{name}", "more"): SDK
        for name in ("additionalData", "alertPolicyId", "investigationState", "productName", "recommendedActions")
    },
    **{(f"value[].evidence[].{where}".removesuffix("."), what): reason for (where, what), reason in EVIDENCE.items()},
}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with running(tmp_path, HandClock(parse_ticks("2020-01-01T00:00:00Z"))) as found:
        yield found


def at(client: Client, time: str) -> None:
    clock = client.service.clock
    assert isinstance(clock, HandClock)
    clock.at = parse_ticks(time)


def send(client: Client, incident: dict[str, Any]) -> None:
    """The alerts of a documented incident, as a sensor would send them when the incident was made."""
    at(client, incident["createdTime"])
    alerts = [{"providerAlertId": f"p{number}", **alert} for number, alert in enumerate(incident["alerts"])]
    answer = client.ingest(*alerts)
    assert answer.status_code == 200, answer.text


def get(client: Client, path: str) -> Any:
    """Signed in anew: the clock moves by months."""
    token = client.token_for(f"reader {client.service.clock()}", Permission.READ)
    answer = client.http.get(path, headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 200, answer.text
    return answer.json()


def patch(client: Client, path: str, body: dict[str, Any], by: str = "secop") -> Any:
    token = client.token_for(by, Permission.READ_WRITE)
    answer = client.http.patch(path, json=body, headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 200, answer.text
    return answer.json()


def alike(documented: Any, ours: Any, table: Table) -> None:
    found = differences(documented, ours)
    assert found == table.keys()


@pytest.mark.parametrize("name", ["docs-list-incidents-2020-09", "docs-list-incidents-2026-08"])
def test_the_documented_list_is_answered(client: Client, name: str) -> None:
    documented = example(name)
    for incident in reversed(documented["value"]):
        send(client, incident)
    for incident in documented["value"]:
        for comment in incident.get("comments", ()):
            at(client, comment["createdTime"])
            patch(client, "/api/incidents/3", {"comment": comment["comment"]}, by=comment["createdBy"])
    alike(documented, get(client, "/api/incidents"), LISTS[name])


def test_the_captured_incident_is_answered(client: Client) -> None:
    documented = example("real-get-incident-437-2023")
    send(client, documented)
    alike(documented, get(client, "/api/incidents/1"), CAPTURED)


def test_the_answer_to_a_captured_update_is_answered(client: Client) -> None:
    documented = example("xsoar-incident_update_response")
    send(client, documented)
    at(client, documented["lastUpdateTime"])
    changes = {name: documented[name] for name in ("assignedTo", "tags")}
    alike(documented, patch(client, "/api/incidents/1", changes), UPDATED)


def test_an_empty_list_is_answered(client: Client) -> None:
    alike(example("xsoar-list-empty"), get(client, "/api/incidents"), CONTEXT)


def test_a_merged_incident_is_answered(client: Client) -> None:
    documented = example("xsoar-redirected-incident")
    at(client, "2021-03-21T15:00:00Z")
    client.ingest(native(1, entities=shared_url("a")))
    at(client, documented["createdTime"])
    client.ingest(native(2, entities=shared_url("b"), title=documented["incidentName"]))
    patch(client, "/api/incidents/2", {"assignedTo": documented["assignedTo"]})
    at(client, documented["lastUpdateTime"])
    client.ingest(native(3, entities=shared_url("a") + shared_url("b")))
    alike(documented, get(client, "/api/incidents/2"), MERGED)


def test_the_documented_update_is_answered(client: Client) -> None:
    request, documented = example("docs-update-request-2024-04"), example("docs-update-response-2021-07-partial")
    at(client, "2021-05-01T00:00:00Z")
    client.ingest(native(1))
    for comment in documented["comments"][:-1]:
        at(client, comment["createdTime"])
        patch(client, "/api/incidents/1", {"comment": comment["comment"]}, by=comment["createdBy"])
    last = documented["comments"][-1]
    at(client, last["createdTime"])
    answer = patch(client, "/api/incidents/1", {**request, "comment": last["comment"]}, by=last["createdBy"])
    alike(documented, {name: answer[name] for name in answer if name in documented}, CHANGED)


def test_the_documented_errors_are_answered(client: Client) -> None:
    token = client.token_for("writer", Permission.READ_WRITE)
    client.ingest(native(1))
    headers = {"authorization": f"Bearer {token}"}
    wrong = client.http.patch("/api/incidents/1", json={"status": "Nothing"}, headers=headers)
    assert wrong.status_code == 400
    alike(example("docs-error-InvalidRequestBody"), wrong.json(), FAILED)
    missing = client.get("/api/incidents/123123123")
    assert missing.status_code == 404
    alike(example("docs-error-ResourceNotFound"), missing.json(), FAILED)


def test_the_reported_429_is_answered(tmp_path: Path) -> None:
    documented = example("issue-error-429-per-minute")
    with running(tmp_path, HandClock(), quota_per_minute=45) as client:
        answers = [client.get("/api/incidents") for _ in range(46)]
    assert [answer.status_code for answer in answers] == [200] * 45 + [429]
    alike(documented, answers[-1].json(), THROTTLED)
    assert answers[-1].json()["error"]["message"].startswith(documented["error"]["message"])


def test_the_documented_token_is_answered(client: Client) -> None:
    secret, app_id, now = new_secret(), str(uuid.uuid4()), client.service.clock()
    kept = hash_secret(secret)
    client.registry.create_application(
        client.tenant.tenant_id, "asker", (Permission.READ,), secret_hash=kept, now=now, app_id=app_id
    )
    form = {"grant_type": "client_credentials", "client_id": app_id, "client_secret": secret}
    scope = "https://api.security.microsoft.com/.default"
    answer = client.http.post(f"/{client.tenant.guid}/oauth2/v2.0/token", data={**form, "scope": scope})
    alike(example("docs-token-response-shape"), answer.json(), TOKEN)


def test_graphs_documented_incident_is_answered(client: Client) -> None:
    documented = example("graph-list-incidents")
    incident = documented["value"][0]
    at(client, incident["createdDateTime"])
    client.ingest(native(1, title=incident["displayName"], severity=incident["severity"]))
    for comment in incident["comments"]:
        at(client, comment["createdTime"])
        patch(client, "/api/incidents/1", {"comment": comment["comment"]}, by=comment["createdBy"])
    names = ("status", "assignedTo", "classification", "determination", "customTags")
    patch(client, "/v1.0/security/incidents/1", {name: incident[name] for name in names})
    alike(documented, get(client, "/v1.0/security/incidents"), GRAPH_INCIDENT)


def test_graphs_documented_update_is_taken(client: Client) -> None:
    changes = example("graph-update-incident-request")
    client.ingest(native(1))
    answer = patch(client, "/v1.0/security/incidents/1", changes)
    alike(changes, {name: answer[name] for name in answer if name in changes}, GRAPH_UPDATE)


def test_graphs_documented_alert_is_answered(client: Client) -> None:
    documented = example("graph-list-alerts_v2")
    alert = documented["value"][0]
    at(client, alert["lastUpdateDateTime"])
    client.ingest(sent_by_a_sensor(alert))
    alike(documented, get(client, "/v1.0/security/alerts_v2"), GRAPH_ALERT)


def sent_by_a_sensor(alert: dict[str, Any]) -> dict[str, Any]:
    """Graph's alert in the words of the native sender."""
    same = ("providerAlertId", "status", "severity", "serviceSource", "detectionSource", "detectorId", "title")
    also = ("description", "category", "assignedTo", "threatFamilyName", "mitreTechniques")
    device, file, process, registry = alert["evidence"]
    return {
        **{name: alert[name] for name in (*same, *also)},
        "creationTime": alert["createdDateTime"],
        "firstActivity": alert["firstActivityDateTime"],
        "lastActivity": alert["lastActivityDateTime"],
        "devices": [{**device, "mdatpDeviceId": device["mdeDeviceId"], "firstSeen": device["firstSeenDateTime"]}],
        "entities": [
            {"entityType": "File", **judged(file), **file["fileDetails"], "deviceId": file["mdeDeviceId"]},
            {
                "entityType": "Process",
                **judged(process),
                **{name: process[name] for name in ("processId", "parentProcessId", "processCommandLine")},
                "processCreationTime": process["processCreationDateTime"],
                "parentProcessCreationTime": process["parentProcessCreationDateTime"],
                **process["imageFile"],
                "imageFileName": process["imageFile"]["fileName"],
                "parentProcessFileName": process["parentProcessImageFile"]["fileName"],
                "parentProcessFilePath": process["parentProcessImageFile"]["filePath"],
                **{name: process["userAccount"][name] for name in ("accountName", "domainName", "userSid")},
                "deviceId": process["mdeDeviceId"],
            },
            {"entityType": "Registry", **judged(registry), **registry},
        ],
    }


def judged(evidence: dict[str, Any]) -> dict[str, Any]:
    return {name: evidence[name] for name in ("verdict", "remediationStatus")} | {
        "evidenceCreationTime": evidence["createdDateTime"]
    }
