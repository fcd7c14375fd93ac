"""Microsoft's own SDK, unmodified, over https: signing in, listing, paging to the end, one, updates, an error."""

from __future__ import annotations

import json
from pathlib import Path

from installed import PYTHON, ServerProcess, needs_python_clients, run

from house import lines, native

CALLS = Path(__file__).with_name("msgraph_calls.py")

ENTITIES = [
    {"entityType": "User", "accountName": "ann", "verdict": "Malicious", "remediationStatus": "Active"},
    {"entityType": "Ip", "ipAddress": "203.0.113.7"},
    {"entityType": "Url", "url": "https://a.example/x"},
    {"entityType": "File", "fileName": "a.exe", "sha1": "a" * 40},
    {"entityType": "Process", "processId": 7, "processCreationTime": "2026-03-02T08:00:00.1234567Z"},
    {"entityType": "Mailbox", "mailboxAddress": "ann@x.example"},
    {"entityType": "MailMessage", "sender": "b@x.example", "deliveryAction": "Delivered"},
    {"entityType": "MailCluster", "clusterBy": "Subject", "emailCount": 3},
    {"entityType": "SecurityGroup", "securityGroupId": "g1"},
    {"entityType": "Registry", "registryKey": "Run"},
    {"entityType": "Registry", "registryKey": "Run", "registryValue": "x"},
    {"entityType": "CloudApplication", "applicationId": "11161", "applicationName": "mail"},
    {"entityType": "OAuthApplication", "applicationId": "x-y"},
    {"entityType": "AzureResource", "azureResourceId": "/subscriptions/1/providers/Microsoft.Compute/disks/d"},
    {"entityType": "CloudLogonSession", "cloudSessionId": "s1", "accountName": "ann"},
    {"entityType": "CloudLogonRequest", "cloudRequestId": "r1"},
    {"entityType": "LogonSession", "logonSessionId": "0x1"},
    {"entityType": "DomainName", "domainName": "bad.example"},
    {"entityType": "Malware", "malwareName": "Emo"},
    {"entityType": "Service", "serviceName": "svc"},
]
EVIDENCE = """
DeviceEvidence UserEvidence IpEvidence UrlEvidence FileEvidence ProcessEvidence MailboxEvidence AnalyzedMessageEvidence
MailClusterEvidence SecurityGroupEvidence RegistryKeyEvidence RegistryValueEvidence CloudApplicationEvidence
OauthApplicationEvidence AzureResourceEvidence CloudLogonSessionEvidence CloudLogonRequestEvidence
HostLogonSessionEvidence DnsEvidence MalwareEvidence AlertEvidence
"""


@needs_python_clients
def test_the_sdk_signs_in_and_understands_every_answer(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        server.start()
        whole = native(1, entities=ENTITIES, devices=[{"deviceDnsName": "pc1.corp.example", "healthStatus": "Active"}])
        with server.sensor() as sensor:
            others = [native(number) for number in range(2, 6)]
            assert sensor.post("/ingest/native", content=lines([whole, *others])).status_code == 200
        who, ca = server.who, server.data_dir / "tls" / "ca.pem"
        done = run(PYTHON, CALLS, server.url, who.tenant_guid, who.app_id, who.secret, ca)
    assert done.returncode == 0, done.stderr[-4000:]
    told = json.loads(done.stdout)
    assert told.pop("evidence") == EVIDENCE.split()
    assert told.pop("one")[0] == "Alert 1"
    assert told == {
        "count": 5,
        "pages": 3,
        "ids": ["1", "2", "3", "4", "5"],
        "updated": ["inProgress", "truePositive", ["sdk"]],
        "alert": "ann",
        "counted": 5,
        "error": [404, "ResourceNotFound"],
    }
