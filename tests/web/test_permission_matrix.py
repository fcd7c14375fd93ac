"""Every route and method, asked by every kind of caller, about things they see, see in part, and do not see.

What is expected stands in `permission_matrix.txt`, which is kept by hand: a route that is not in it fails the test, and
so does a status that is another. What was measured is printed in the same form.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from starlette.routing import Route

from callers import EVERYTHING, Callers, Role, bearer
from house import HandClock, native, running, shared_url
from tocsin.access import Permission
from tocsin.identity.people import Right
from tocsin.ticks import MINUTE

TABLE: Final = Path(__file__).with_name("permission_matrix.txt")
TARGETS: Final = ("visible", "partly", "hidden", "other")
NUMBERS: Final = dict(zip(TARGETS, (1, 2, 3, 9), strict=True))
LETTERS: Final = {200: "+", 302: ">", 303: ">", 400: "b", 401: "?", 403: "x", 404: "-", 409: "c", 422: "u"}
ABOUT: Final = ("{incident_id", "{alert_id", "{machine_id")
FORM: Final = {"content-type": "application/x-www-form-urlencoded"}
BODIES: Final[dict[str, object]] = {
    "PATCH /api/incidents/{incident_id}": {"tags": ["seen"]},
    "PATCH /v1.0/security/incidents/{incident_id}": {"customTags": ["seen"]},
    "POST /v1.0/security/incidents/{incident_id}/comments": {"comment": "seen"},
    "PATCH /v1.0/security/alerts_v2/{alert_id}": {"status": "inProgress"},
    "POST /v1.0/security/alerts_v2/{alert_id}/comments": {"comment": "seen"},
    "POST /ingest/{sender}": native(99),
}
"""Regrouping is asked for what makes no sense (400), so that no cell changes what the next one finds."""


class Matrix:
    """Tenant 1 has incidents 1 (workload one), 2 (one and two) and 3 (two); another tenant has nine, and so the numbers
    of these three as well."""

    def __init__(self, callers: Callers, clock: HandClock) -> None:
        self.callers, self.http = callers, callers.client.http
        other_key = callers.key(callers.other)
        own = self._ingest(
            callers.client.key,
            native(1, serviceSource="One", devices=[{"deviceDnsName": "pc1"}]),
            native(2, serviceSource="One", devices=[{"deviceDnsName": "pc2"}], entities=shared_url("a")),
            native(3, serviceSource="Two", devices=[{"deviceDnsName": "pc3"}]),
            native(4, serviceSource="Two", devices=[{"deviceDnsName": "pc4"}], entities=shared_url("a")),
        )
        theirs = self._ingest(
            other_key,
            *[native(each, serviceSource="One", devices=[{"deviceDnsName": f"other{each}"}]) for each in range(9)],
        )
        assert [each["incidentId"] for each in own] == [1, 2, 3, 2]
        assert theirs[8]["incidentId"] == 9
        self.columns = self._columns()
        self.alerts = dict(zip(TARGETS, (own[0], own[1], own[2], theirs[8]), strict=True))
        self.machines = self._machines()
        clock.at += MINUTE  # who was disabled is known to be

    def _ingest(self, key: str, *alerts: dict[str, Any]) -> list[dict[str, Any]]:
        results = []
        for each in alerts:
            answer = self.http.post("/ingest/native", content=msgspec.json.encode(each), headers=bearer(key))
            results += answer.json()["results"]
        return results

    def _columns(self) -> dict[str, dict[str, str]]:
        """The headers that each caller sends: a person's program and browser at once."""
        make, registry = self.callers, self.callers.registry

        def person(*roles: Role, scopes: str = EVERYTHING, disabled: bool = False) -> dict[str, str]:
            user = make.user(*roles)
            headers = {**bearer(make.user_token(user, scopes)), "cookie": make.cookie(user)}
            if disabled:
                make.people.disable_user(user.tenant_id, user.user_id, make.service.clock())
            return headers

        gone = make.application(make.tenant, "gone", Permission.READ_WRITE)
        gone_token = make.app_token(gone)
        registry.disable_application(gone.tenant_id, gone.app_id, make.service.clock())
        manage = Role(Right.MANAGE)
        return {
            "nobody": {},
            "reads": bearer(make.app(Permission.READ)),
            "writes": bearer(make.app(Permission.READ_WRITE)),
            "alerts": bearer(make.app(Permission.SECURITY_ALERT_READ_WRITE)),
            "key": bearer(make.client.key),
            "reader": person(Role(Right.READ)),
            "operator": person(manage),
            "partly": person(Role(Right.MANAGE, workloads=["one"])),
            "no role": person(),
            "auditor": person(Role(Right.AUDIT)),
            "small": person(manage, scopes="Incident.Read"),
            "other": bearer(make.app(Permission.READ_WRITE, tenant=make.other)),
            "gone app": bearer(gone_token),
            "gone user": person(manage, disabled=True),
        }

    def _machines(self) -> dict[str, str]:
        found = {}
        for caller in ("reads", "other"):
            listed = self.http.get("/api/machines", headers=self.columns[caller]).json()["value"]
            found.update({each["computerDnsName"]: each["id"] for each in listed})
        return dict(zip(TARGETS, (found["pc1"], found["pc2"], found["pc3"], found["other8"]), strict=True))

    def status(self, headers: dict[str, str], method: str, template: str, target: str) -> int:
        """What one cell answers."""
        alert_id = self.alerts[target]["alertId"]
        path = (
            template.replace("{incident_id}", str(NUMBERS[target]))
            .replace("{alert_id}", alert_id)
            .replace("{machine_id}", self.machines[target])
            .replace("{sender}", "native")
            .replace("{tenant}", self.callers.tenant.guid)
            .replace("{name}", "nothing.css")
        )
        body = {
            "merge": {"incidentIds": [NUMBERS[target]]},
            "split": {"alertId": alert_id},
            "move": {"alertIds": [alert_id], "incidentId": NUMBERS[target]},
        }.get(template.rpartition("/")[2], BODIES.get(f"{method} {template}"))
        content = b"" if body is None else msgspec.json.encode(body)
        more = FORM if "oauth2" in template or template in ("/sign-in", "/sign-out", "/device") else {}
        self.http.cookies.clear()  # what an answer before gave would make a browser of a program
        answer = self.http.request(method, path, content=content, headers={**headers, **more}, follow_redirects=False)
        return int(answer.status_code)

    def row(self, method: str, template: str) -> list[str]:
        """The letters of every caller; where a route is about something, one for each target."""
        targets = TARGETS if any(each in template for each in ABOUT) else TARGETS[:1]
        found = []
        for headers in self.columns.values():
            statuses = [self.status(headers, method, template, target) for target in targets]
            found.append("".join(LETTERS.get(status, f"({status})") for status in statuses))
        return found


@pytest.fixture
def matrix(tmp_path: Path) -> Iterator[Matrix]:
    clock = HandClock()
    with running(tmp_path, clock, quota_per_minute=10**6, quota_get_per_minute=10**6, quota_per_hour=10**6) as client:
        callers = Callers(client)
        yield Matrix(callers, clock)
        callers.close()


def routes(matrix: Matrix) -> Iterator[tuple[str, str]]:
    """(method, path) of everything that the application offers."""
    app: Any = matrix.http.app
    for route in app.routes:
        assert isinstance(route, Route)
        path = route.path.replace("{root:graph}", "v1.0/security").replace(":item}", "}")
        for method in sorted((route.methods or set()) - {"HEAD"}):
            yield method, path


def written() -> tuple[list[str], dict[str, list[str]]]:
    """The names of the callers, and the rows of the table."""
    lines = [each for each in TABLE.read_text(encoding="utf-8").splitlines() if each.strip() and each[0] != "#"]
    cells = [[each.strip() for each in line.split("|")] for line in lines]
    return cells[0][1:], {" ".join(row[0].split()): row[1:] for row in cells[1:]}


def test_every_caller_is_answered_as_the_table_says(matrix: Matrix) -> None:
    measured = {f"{method} {path}": matrix.row(method, path) for method, path in routes(matrix)}
    head = ["", *matrix.columns]
    shown = [head, *[[name, *cells] for name, cells in measured.items()]]
    widths = [max(len(row[at]) for row in shown) for at in range(len(head))]
    table = [" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in shown]
    print("\n".join(table))
    names, expected = written()
    assert names == list(matrix.columns)
    assert sorted(expected) == sorted(measured), "a route without a row, or a row without a route"
    wrong = [
        f"{name}, {caller}: the table says {should}, the answer is {is_}"
        for name, cells in measured.items()
        for caller, should, is_ in zip(names, expected[name], cells, strict=True)
        if should != is_
    ]
    assert not wrong, "\n".join(wrong)
