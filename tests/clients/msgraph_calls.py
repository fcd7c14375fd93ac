"""What a program over msgraph-sdk does: list, page to the end, get one, update one. Run by an interpreter that has it.

Arguments: base URL, tenant, application, secret, certificate authority. Prints one line of JSON.
"""
# mypy: ignore-errors

from __future__ import annotations

import asyncio
import json
import ssl
import sys

import httpx
from azure.identity.aio import ClientSecretCredential
from kiota_abstractions.base_request_configuration import RequestConfiguration
from kiota_authentication_azure.azure_identity_authentication_provider import AzureIdentityAuthenticationProvider
from msgraph import GraphRequestAdapter, GraphServiceClient
from msgraph.generated.models.o_data_errors.o_data_error import ODataError
from msgraph.generated.models.security.alert import Alert
from msgraph.generated.models.security.alert_classification import AlertClassification
from msgraph.generated.models.security.incident import Incident
from msgraph.generated.models.security.incident_status import IncidentStatus
from msgraph.generated.security.incidents.incidents_request_builder import IncidentsRequestBuilder
from msgraph_core import GraphClientFactory

Query = IncidentsRequestBuilder.IncidentsRequestBuilderGetQueryParameters


async def main(base: str, tenant: str, app: str, secret: str, ca: str) -> dict:
    """Make the calls; what they gave."""
    credential = ClientSecretCredential(tenant, app, secret, authority=base, connection_verify=ca)
    host = base.removeprefix("https://").partition(":")[0]
    provider = AzureIdentityAuthenticationProvider(
        credential, scopes=["https://graph.microsoft.com/.default"], allowed_hosts=[host]
    )
    transport = httpx.AsyncClient(verify=ssl.create_default_context(cafile=ca))
    client = GraphClientFactory.create_with_default_middleware(client=transport, host=f"{base}/")
    adapter = GraphRequestAdapter(provider, client)
    adapter.base_url = f"{base}/v1.0/"
    incidents = GraphServiceClient(request_adapter=adapter).security.incidents
    alerts = GraphServiceClient(request_adapter=adapter).security.alerts_v2
    query = Query(top=2, expand=["alerts"], filter="status eq 'active'", orderby=["createdDateTime asc"], count=True)
    page = await incidents.get(RequestConfiguration(query_parameters=query))
    told = {"count": page.odata_count, "pages": 1, "ids": [], "evidence": []}
    while True:
        for incident in page.value:
            told["ids"].append(incident.id)
            for alert in incident.alerts:
                told["evidence"] += [type(each).__name__ for each in alert.evidence]
                read = (
                    alert.status,
                    alert.severity,
                    alert.service_source,
                    alert.detection_source,
                    alert.classification,
                )
                assert None not in read, "an enumeration was not understood"
        if page.odata_next_link is None:
            break
        page = await incidents.with_url(page.odata_next_link).get()
        told["pages"] += 1
    one = await incidents.by_incident_id("1").get()
    told["one"] = [one.display_name, one.created_date_time.isoformat(), one.severity.value]
    changes = Incident(
        status=IncidentStatus.InProgress, classification=AlertClassification.TruePositive, custom_tags=["sdk"]
    )
    updated = await incidents.by_incident_id("1").patch(changes)
    told["updated"] = [updated.status.value, updated.classification.value, updated.custom_tags]
    first = (await alerts.get()).value[-1]
    told["alert"] = (await alerts.by_alert_id(first.id).patch(Alert(assigned_to="ann"))).assigned_to
    told["counted"] = await incidents.count.get()
    try:
        await incidents.by_incident_id("999").get()
    except ODataError as error:
        told["error"] = [error.response_status_code, error.error.code]
    await credential.close()
    return told


print(json.dumps(asyncio.run(main(*sys.argv[1:6]))))
