"""No secret and no token is in any log, in the audit log or in the answer to a failure, wherever it was sent."""

from __future__ import annotations

import base64
import re
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
from shell import PROGRAM, free_port, spawn

from tocsin.identity.credentials import new_ingest_key, new_secret
from tocsin.local import find_server

PASSWORD = "correct-horse-battery-staple-77"
WRONG_PASSWORD = "Wr0ng-horse-battery-staple-99"
FORM_TOKEN = re.compile(r'name="csrf" value="([0-9a-f]{64})"')


class Victim(msgspec.Struct, frozen=True):
    """A running server, a browser or program at it, and every answer that was a failure."""

    server: subprocess.Popen[str]
    log: Path
    data_dir: Path
    http: httpx2.Client
    failures: list[str]
    tenant: str
    app_id: str
    secret: str
    key: str

    def send(self, method: str, path: str, **more: Any) -> httpx2.Response:
        """Send something and keep the answer if it is a failure."""
        if "incidents" not in path and "sign" not in path:
            self.http.cookies.clear()  # programs have none
        answer = self.http.request(method, path, **more)
        if answer.status_code >= 400:
            self.failures.append(f"{answer.headers}\n{answer.text}")
        return answer

    def token(self) -> str:
        form = {"grant_type": "client_credentials", "client_id": self.app_id, "client_secret": self.secret}
        scope = {"scope": "https://api.security.microsoft.com/.default"}
        answer = self.send("POST", f"/{self.tenant}/oauth2/v2.0/token", data={**form, **scope})
        return str(answer.json()["access_token"])

    def everywhere(self, wrong: str) -> None:
        """Send a text in every place where a secret may come by mistake."""
        basic = base64.b64encode(f"{self.app_id}:{wrong}".encode()).decode()
        for authorization in (f"Bearer {wrong}", wrong, f"Basic {basic}", f"Bearer {wrong} {wrong}"):
            self.send("GET", "/api/incidents", headers={"authorization": authorization})
            self.send("GET", "/v1.0/security/incidents", headers={"authorization": authorization})
            self.send("POST", "/ingest/native", headers={"authorization": authorization}, content=b"{}")
            self.send("POST", f"/{self.tenant}/oauth2/v2.0/token", headers={"authorization": authorization})
        bearer = {"authorization": f"Bearer {self.token()}"}
        for path in (f"/{wrong}", f"/api/incidents/{wrong}", f"/v1.0/security/alerts_v2/{wrong}", f"/ingest/{wrong}"):
            for headers in ({}, bearer):
                self.send("GET", path, headers=headers)
                self.send("POST", path, headers=headers, content=wrong.encode())
                self.send("PATCH", path, headers=headers, json={"status": wrong, wrong: wrong})
        for query in ("access_token", "code", "client_secret", "$skiptoken", "$top", "$filter", "$expand"):
            for path in ("/api/incidents", "/v1.0/security/incidents", "/sign-in", "/incidents", "/api/machines"):
                self.send("GET", path, headers=bearer, params={query: wrong})
                self.send("GET", path, params={query: wrong})
        for path in (f"/{self.tenant}/oauth2/v2.0/token", f"/{wrong}/oauth2/token", "/common/oauth2/v2.0/token"):
            for grant in ("client_credentials", "refresh_token", "authorization_code", wrong):
                given = {"grant_type": grant, "client_id": self.app_id, "client_secret": wrong, "scope": wrong}
                self.send("POST", path, data={**given, "refresh_token": wrong, "code": wrong, "resource": wrong})
                self.send("POST", path, params=given)
        self.send("GET", "/incidents", headers={"cookie": f"__Host-tocsin={wrong}"})
        self.send("POST", "/sign-out", headers={"cookie": f"__Host-tocsin={wrong}"}, data={"csrf": wrong})

    def sign_in(self, password: str) -> httpx2.Response:
        """Type a name and a password into the form."""
        field = FORM_TOKEN.search(self.http.get("/sign-in").text)
        assert field is not None
        form = {"csrf": field[1], "name": "ann@corp.example", "password": password}
        return self.send("POST", "/sign-in", data=form, headers={"sec-fetch-site": "same-origin"})


@pytest.fixture(name="victim")
def victim_fixture(tmp_path: Path) -> Iterator[Victim]:
    data_dir, log = tmp_path / "data", tmp_path / "log"
    command = [PROGRAM, "--data-dir", str(data_dir), "serve", "--port", str(free_port())]
    with log.open("w") as errors:
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
    assert server.stdout is not None
    assert any("a link to the incident queue" in line for line in server.stdout)
    app = spawn(data_dir, "app", "create", "siem", "-p", "Incident.ReadWrite.All", "--json").json()
    key = spawn(data_dir, "key", "create", "edge", "--json").json()
    made = spawn(data_dir, "user", "create", "ann@corp.example", "--password-stdin", stdin=f"{PASSWORD}\n".encode())
    assert made.code == 0, made.err
    found = find_server(data_dir)
    assert found is not None
    context = ssl.create_default_context(cafile=str(data_dir / "tls" / "ca.pem"))
    with httpx2.Client(base_url=found.url, verify=context, trust_env=False, timeout=60) as http:
        yield Victim(server, log, data_dir, http, [], app["tenantId"], app["appId"], app["secret"], key["key"])
    server.terminate()
    server.stdout.close()
    server.wait()


def test_what_was_sent_as_a_secret_is_found_nowhere(victim: Victim) -> None:
    link = spawn(victim.data_dir, "portal").out.strip()
    code, token = link.rpartition("code=")[2], victim.token()
    assert victim.http.get(f"/sign-in?code={code}").status_code in (200, 303)
    session = victim.http.cookies.get("__Host-tocsin")
    assert session
    victim.send("GET", f"/sign-in?code={code}")
    assert victim.sign_in(WRONG_PASSWORD).status_code == 401
    assert victim.sign_in(PASSWORD).status_code in (200, 303)
    person = victim.http.cookies.get("__Host-tocsin")
    assert person
    victim.http.cookies.clear()
    ours = [victim.secret, victim.key, token, code, session, person]
    wrong = [new_secret(), new_ingest_key().text, f"{token[:-6]}AAAAAA"]
    for each in [*wrong, victim.secret, victim.key]:
        victim.everywhere(each)
    victim.http.cookies.clear()
    victim.everywhere(WRONG_PASSWORD)

    victim.server.terminate()
    victim.server.wait()
    exported = spawn(victim.data_dir, "audit", "export").out
    logs = victim.log.read_text()
    checkpoints = (victim.data_dir / "audit" / "checkpoints.jsonl").read_text()
    assert "caller_refused" in logs
    assert '"sign-in"' in exported
    assert '"refused"' in exported
    for each in [*ours, *wrong, PASSWORD, WRONG_PASSWORD]:
        for where, content in (("logs", logs), ("audit log", exported), ("checkpoints", checkpoints)):
            assert each not in content, f"{each!r} is in the {where}: {_around(each, content)}"
        signature = each.rpartition(".")[2]
        assert signature == each or signature not in logs + exported, "not even the end of a token"
    told_back = "\n".join(victim.failures)
    assert len(victim.failures) > 100
    for each in [*ours, *wrong]:
        assert each not in told_back, f"{each!r} was said back: {_around(each, told_back)}"
    assert spawn(victim.data_dir, "audit", "verify").code == 0


def _around(text: str, content: str) -> str:
    at = content.index(text)
    return content[max(0, at - 200) : at + 200]
