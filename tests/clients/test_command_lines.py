"""libre-devops-helpers and check-msdefender, unmodified: command line tools with the original's host names built in.

Neither has a verb that changes an incident. check-msdefender reads one incident at a time; what it lists are
machines, and the alerts and incidents of one of them, which it finds by its name.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from installed import BIN, ServerProcess, cloud_names, needs_python_clients, run

from house import lines, native

PROCESS = {"entityType": "Process", "processId": 7, "parentProcessId": 3, "fileName": "a.exe", "sha1": "a" * 40}


class Tools:
    """The two tools, signed in as the same application."""

    def __init__(self, server: ServerProcess, folder: Path, environment: dict[str, str]) -> None:
        self.who = server.who
        self._environment: dict[str, Any] = {**environment, "HOME": str(folder)}
        self._profile, self._ini = folder / "config.toml", folder / "check.ini"
        self._profile.write_text(
            '[microsoft]\ndefault_profile = "here"\n[microsoft.profiles.here]\nauth = "client-secret"\n'
            f'tenant_id = "{self.who.tenant_guid}"\nclient_id = "{self.who.app_id}"\n'
        )
        self._ini.write_text(
            f"[auth]\ntenant_id = {self.who.tenant_guid}\nclient_id = {self.who.app_id}\n"
            f"client_secret = {self.who.secret}\n"
        )

    def ldo(self, *arguments: str, secret: str | None = None) -> subprocess.CompletedProcess[str]:
        """`ldo xdr incidents ...`."""
        return run(
            *(BIN / "ldo", "--config", self._profile, "xdr", "incidents", *arguments),
            **self._environment,
            AZURE_CLIENT_SECRET=secret or self.who.secret,
        )

    def listed(self, *arguments: str) -> Any:
        """The same, answered as JSON."""
        done = self.ldo(*arguments, "-o", "json")
        assert done.returncode == 0, done.stderr[-4000:]
        return json.loads(done.stdout)

    def check(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`check_msdefender ...`."""
        return run(BIN / "check_msdefender", command, "-c", self._ini, *arguments, **self._environment)


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tools]:
    folder = tmp_path_factory.mktemp("tools")
    store, names = folder / "store", folder / "names"
    store.mkdir()
    names.mkdir()
    with ServerProcess(store, public_url="https://graph.microsoft.com") as server:
        server.start()
        device = {"deviceDnsName": "pc1.corp.example", "osPlatform": "Windows11", "onboardingStatus": "Onboarded"}
        whole = native(1, severity="High", serviceSource="MicrosoftSentinel", devices=[device], entities=[PROCESS])
        with server.sensor() as sensor:
            alerts = [whole, *(native(number) for number in range(2, 121))]
            assert sensor.post("/ingest/native", content=lines(alerts)).status_code == 200
        with cloud_names(server, names) as environment:
            yield Tools(server, folder, dict(environment))


@needs_python_clients
def test_libre_devops_lists_to_the_end_of_all_pages(tools: Tools) -> None:
    found = tools.listed("list")
    assert sorted(int(each["id"]) for each in found) == list(range(1, 121))
    assert all(len(each["alerts"]) == 1 for each in found)


@needs_python_clients
def test_libre_devops_asks_for_all_that_is_open_and_severe(tools: Tools) -> None:
    assert [each["id"] for each in tools.listed("top", "--updated", "--severity", "high")] == ["1"]


@needs_python_clients
def test_libre_devops_counts(tools: Tools) -> None:
    counted = tools.listed("summary")
    assert counted["by_severity"] == {"high": 1, "medium": 119}
    assert counted["by_status"] == {"active": 120}


@needs_python_clients
def test_libre_devops_gets_one_and_knows_what_is_not_there(tools: Tools) -> None:
    one = tools.listed("show", "1")
    assert (one["displayName"], one["severity"]) == ("Alert 1", "high")
    table = tools.ldo("show", "1")
    assert "pc1.corp.example" in table.stdout
    assert "no incident 999" in tools.ldo("show", "999").stderr


@needs_python_clients
def test_libre_devops_understands_a_wrong_secret(tools: Tools) -> None:
    refused = tools.ldo("list", secret="wrong")
    assert refused.returncode == 1
    assert "AADSTS7000215" in refused.stderr
    assert "the client secret is wrong or expired" in refused.stderr


@needs_python_clients
def test_check_msdefender_gets_one_with_its_evidence(tools: Tools) -> None:
    done = tools.check("incident-detail", "1", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["source"] == "graph"
    assert told["incident"]["displayName"] == "Alert 1"
    evidence = told["alerts"][0]["evidence"]
    assert [each["entityType"] for each in evidence] == ["Device", "Process"]
    assert (evidence[1]["fileName"], evidence[1]["parentProcessId"]) == ("a.exe", 3)


@needs_python_clients
@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("machines",), 0, "pc1.corp.example (Windows11)"),
        (("alerts", "-d", "pc1.corp.example"), 2, "Alert 1 (New high)"),
        (("alerts", "-d", "pc1.corp.example", "-W", "5", "-C", "9"), 0, "Alert 1 (New high)"),
        (("incidents", "-d", "pc1.corp.example"), 2, "Incident 1 - 1 alert(s) (high): Alert 1"),
        (("incidents", "-d", "pc9.corp.example"), 3, "Machine not found with DNS name: pc9.corp.example"),
        (("detail", "-d", "pc1.corp.example", "-W", "0", "-C", "0"), 0, "OS Platform: Windows11"),
        (("onboarding", "-d", "pc1.corp.example"), 0, "Fully onboarded"),
        (("lastseen", "-d", "pc1.corp.example", "-W", "99999", "-C", "99999"), 0, "pc1.corp.example - Last seen"),
    ],
)
def test_check_msdefender_finds_a_machine_with_its_alerts_and_incidents(
    tools: Tools, arguments: tuple[str, ...], code: int, told: str
) -> None:
    done = tools.check(*arguments)
    assert told in done.stdout, done.stdout + done.stderr
    assert done.returncode == code, done.stdout + done.stderr


@needs_python_clients
def test_check_msdefender_shows_the_machines_of_an_incident(tools: Tools) -> None:
    told = json.loads(tools.check("incident-detail", "1", "--json").stdout)
    (machine,) = told["machines"].values()
    assert (machine["computerDnsName"], machine["osPlatform"]) == ("pc1.corp.example", "Windows11")


@needs_python_clients
@pytest.mark.parametrize("arguments", [("vulnerabilities", "-d", "pc1.corp.example"), ("incident-detail", "999")])
def test_check_msdefender_says_plainly_what_is_not_there(tools: Tools, arguments: tuple[str, ...]) -> None:
    done = tools.check(*arguments)
    assert done.returncode == 3
    assert "404 Not Found" in done.stdout + done.stderr
