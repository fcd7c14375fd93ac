"""A world for proofs of isolation: who may see what (the model), what is hidden from whom, and scanning of answers.

Every alert carries a word of its own in its title, its entities and its device; so does every comment and tag. An
answer to a caller must hold no word, and no alert id, of anything that the model does not show to that caller.
"""

from __future__ import annotations

import re
from typing import Any, Final

import apsw
import msgspec

from callers import Callers, Role, bearer
from house import Client, HandClock, native, shared_url
from tocsin.access import Permission
from tocsin.identity.people import Right
from tocsin.stores.sqlite.connection import DATABASE_NAME, open_reader
from tocsin.ticks import SECOND

WORKLOADS: Final = ("one", "two")
_HELD: Final = "SELECT alert_number, incident_id FROM alert WHERE superseded_by IS NULL"
_LOST: Final = "SELECT alert_number, incident_id FROM husk_alert WHERE true"
_WORD: Final = re.compile(r"zq[0-9]+z")
_INCIDENT: Final = re.compile(r"incident ([0-9]+)", re.IGNORECASE)
_ID: Final = re.compile(r"\btn([0-9]+)\b")


class Placed(msgspec.Struct, frozen=True):
    """An alert as the model knows it; `near` None: it has no device."""

    tenant: int
    workload: str
    near: bool | None
    word: str


class Looker(msgspec.Struct, frozen=True, kw_only=True):
    """A caller as the model knows it. `shows` are (workloads or None, near ones only); a permission or none at all."""

    name: str
    tenant: int
    shows: tuple[tuple[frozenset[str] | None, bool], ...]
    token: str
    cookie: str = ""
    incidents: bool = True
    alerts: bool = True

    def sees(self, alert: Placed) -> bool:
        """The model."""
        if alert.tenant != self.tenant:
            return False
        return any(
            (workloads is None or alert.workload in workloads) and (not near_alone or alert.near is not False)
            for workloads, near_alone in self.shows
        )


class World:
    """A running service with two tenants, callers of many kinds, and everything that was put into it."""

    def __init__(self, client: Client) -> None:
        self.client, self.http, self.callers = client, client.http, Callers(client)
        self.tenants = {1: self.callers.tenant, 2: self.callers.other}
        self.keys = {1: client.key, 2: self.callers.key(self.callers.other)}
        self.group = self.callers.group("near", "pc*")
        self.alerts: dict[tuple[int, int], Placed] = {}
        self.told: dict[str, set[str]] = {}
        self.words, self.requests, self.scanned = 0, 0, 0
        self._reading: apsw.Connection = open_reader(client.service.settings.data_dir / DATABASE_NAME)
        self.lookers = self._lookers()

    def _lookers(self) -> list[Looker]:
        rw, everything = Permission.READ_WRITE, ((None, False),)
        other = self.tenants[2]
        found = [
            Looker(
                name="desk", tenant=1, shows=everything, token=self.callers.app(rw), cookie=self.callers.cookie(None)
            ),
            Looker(
                name="alerts alone",
                tenant=1,
                shows=everything,
                token=self.callers.app(Permission.SECURITY_ALERT_READ_WRITE),
                incidents=False,
            ),
            Looker(name="key", tenant=1, shows=(), token=self.keys[1], incidents=False, alerts=False),
            Looker(
                name="other desk",
                tenant=2,
                shows=everything,
                token=self.callers.app(rw, tenant=other),
                cookie=self.callers.cookie(None, other),
            ),
        ]
        one, two = frozenset({"one"}), frozenset({"two"})
        for name, tenant, roles, shows in (
            ("one", 1, [Role(Right.MANAGE, workloads=one)], ((one, False),)),
            ("near", 1, [Role(Right.MANAGE, groups=[self.group])], ((None, True),)),
            (
                "near one, all two",
                1,
                [Role(Right.MANAGE, workloads=one, groups=[self.group]), Role(Right.READ, workloads=two)],
                ((one, True), (two, False)),
            ),
            ("reader", 1, [Role(Right.READ)], everything),
            ("nobody", 1, [], ()),
            ("other two", 2, [Role(Right.MANAGE, workloads=two)], ((two, False),)),
        ):
            user = self.callers.user(*roles, tenant=self.tenants[tenant])
            known = bool(roles)
            found.append(
                Looker(
                    name=name,
                    tenant=tenant,
                    shows=shows,
                    token=self.callers.user_token(user),
                    cookie=self.callers.cookie(user),
                    incidents=known,
                    alerts=known,
                )
            )
        self.told = {each.name: set() for each in found}
        return found

    def close(self) -> None:
        """Let the connections go."""
        self._reading.close()
        self.callers.close()

    def word(self) -> str:
        """A new word that nothing else has."""
        self.words += 1
        return f"zq{self.words}z"

    def later(self) -> None:
        clock = self.client.service.clock
        assert isinstance(clock, HandClock)
        clock.at += SECOND

    def ingest(self, tenant: int, workload: str, near: bool | None, tie: str, severity: str) -> None:
        """An alert, tied to others by a name that says nothing."""
        self.later()
        word = self.word()
        host = {True: f"pc-{word}", False: f"far-{word}", None: ""}[near]
        alert = native(
            self.words,
            title=f"Alert {word}",
            severity=severity,
            serviceSource=workload.capitalize(),
            detectorId=f"rule-{word}",
            devices=[{"deviceDnsName": host}] if host else [],
            entities=[
                *(shared_url(tie) if tie else []),
                {"entityType": "User", "accountName": f"user-{word}"},
                {"entityType": "Process", "processCommandLine": f"run {word}"},
            ],
        )
        answer = self.http.post("/ingest/native", content=msgspec.json.encode(alert), headers=bearer(self.keys[tenant]))
        (result,) = answer.json()["results"]
        self.alerts[tenant, int(result["alertId"][2:])] = Placed(tenant, workload, near, word)

    def shown(self, looker: Looker) -> tuple[set[int], set[int]]:
        """(incidents, alerts) that the model shows, as of now."""
        own = {
            number for (tenant, number), each in self.alerts.items() if tenant == looker.tenant and looker.sees(each)
        }
        held = self._rows(_HELD, looker.tenant)
        lost = self._rows(_LOST, looker.tenant)
        live = {incident for _, incident in held}
        found = {incident for number, incident in held if number in own}
        return found | {incident for number, incident in lost if number in own and incident not in live}, own

    def holder(self, looker: Looker, alert: int) -> int:
        """The incident that holds an alert of the looker's tenant."""
        return dict(self._rows(_HELD, looker.tenant))[alert]

    def husks(self, tenant: int) -> set[int]:
        """Incidents that hold nothing any more; the browser's queue leaves them out."""
        held = {each for _, each in self._rows(_HELD, tenant)}
        return {each for _, each in self._rows(_LOST, tenant)} - held

    def _rows(self, query: str, tenant: int) -> list[tuple[int, int]]:
        tenant_id = self.tenants[tenant].tenant_id
        return [
            (int(str(a)), int(str(b))) for a, b in self._reading.execute(f"{query} AND tenant_id = ?", (tenant_id,))
        ]

    def note_writing(self) -> None:
        """What is written on an incident is told to everybody who sees any of it at that moment (ADR 7)."""
        for tenant, desk in ((1, self.lookers[0]), (2, self.lookers[3])):
            whole = self.http.get("/v1.0/security/incidents?$expand=alerts&$top=50", headers=bearer(desk.token)).json()[
                "value"
            ]
            for looker in self.lookers:
                if looker.tenant == tenant:
                    seen, own = self.shown(looker)
                    known = self.told[looker.name]
                    for incident in whole:
                        if int(incident["id"]) in seen:
                            written = [incident["comments"], incident["customTags"]]
                            written += [each["comments"] for each in incident["alerts"] if int(each["id"][2:]) in own]
                            known.update(_WORD.findall(str(written)))

    def ask(
        self, looker: Looker, method: str, path: str, body: object = None, *, browser: bool = False, **more: str
    ) -> Any:
        """Ask as somebody, and scan what comes back."""
        headers = {"cookie": looker.cookie} if browser else bearer(looker.token)
        content = None if body is None else msgspec.json.encode(body)
        answer = self.http.request(method, path, content=content, headers={**headers, **more}, follow_redirects=False)
        self.requests += 1
        self._scan(looker, f"{method} {path} {body}", answer)
        return answer

    def _scan(self, looker: Looker, asked: str, answer: Any) -> None:
        text = f"{answer.text}\n{dict(answer.headers)}"
        self.scanned += len(text)
        visible = {each.word for each in self.alerts.values() if looker.sees(each)}
        known = visible | self.told[looker.name] | set(_WORD.findall(asked))
        leaked = set(_WORD.findall(text)) - known
        assert not leaked, f"{looker.name} was told {leaked} by {asked}"
        own = {
            number for (tenant, number), each in self.alerts.items() if tenant == looker.tenant and looker.sees(each)
        }
        ids = {int(each) for each in _ID.findall(text)} - own - {int(each) for each in _ID.findall(asked)}
        assert not ids, f"{looker.name} was told alert ids {ids} by {asked}"
        if answer.status_code >= 400:
            named = {int(each) for each in _INCIDENT.findall(text)} - {
                int(each) for each in re.findall("[0-9]+", asked)
            }
            hidden = named - self.shown(looker)[0]
            assert not hidden, f"{looker.name} was told incidents {hidden} by {asked}"
        stranger = self.tenants[3 - looker.tenant]
        assert stranger.guid not in text, f"{looker.name} was told another tenant by {asked}"
        assert answer.status_code < 500, f"{answer.status_code} to {looker.name} by {asked}: {answer.text[:500]}"
