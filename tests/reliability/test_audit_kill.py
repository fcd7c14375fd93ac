"""kill -9 of a server under load: no committed change lacks its record, the log verifies, and no secret is anywhere."""

from __future__ import annotations

import json
import secrets
import threading
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any, Final

import apsw
import httpx2
from running import ServerProcess

from house import lines, native
from tocsin.audit import Action, Outcome, Record, decode_record, verify
from tocsin.checkpoints import FILE, own_public_key, read_checkpoints
from tocsin.identity.passwords import hash_password
from tocsin.identity.people import Right
from tocsin.stores.sqlite import auditing
from tocsin.stores.sqlite.connection import DATABASE_NAME, open_reader, open_side_writer
from tocsin.stores.sqlite.people import People
from tocsin.stores.sqlite.registry import Registry
from tocsin.ticks import now
from tocsin.web.portal.session import mint_sign_in_code

INCIDENTS: Final = 40
WRITERS: Final = 3


def audited(data_dir: Path) -> list[Record]:
    """All records, after the log was found to be as it was written."""
    marks, wrong = read_checkpoints(data_dir / "audit" / FILE, [own_public_key(data_dir)])
    connection = open_reader(data_dir / DATABASE_NAME)
    rows = list(auditing.rows(connection))
    connection.close()
    assert marks
    assert [*wrong, *verify(rows, marks).findings] == []
    found = [decode_record(row.record) for row in rows]
    return [each for each in found if each is not None]


def changes_by_incident(data_dir: Path, actor: str) -> Counter[int]:
    """How often the change log says that this caller changed each incident."""
    connection = apsw.Connection(str(data_dir / DATABASE_NAME), flags=apsw.SQLITE_OPEN_READONLY)
    rows = connection.execute(
        "SELECT incident_id, count(*) FROM change_log WHERE actor LIKE ? GROUP BY 1", (f"%{actor}%",)
    ).fetchall()
    connection.close()
    return Counter({int(str(incident_id)): int(str(count)) for incident_id, count in rows})


def change_until_gone(server: ServerProcess, begun: threading.Event, answered: list[int], seed: int) -> None:
    """Tag incidents, each time differently, until nobody answers."""
    random = Random(seed)
    try:
        with server.reader() as http:
            for number in range(10**9):
                incident = random.randrange(1, INCIDENTS + 1)
                tags = [f"w{seed}-{number}"]
                answer = http.patch(f"/api/incidents/{incident}", json={"tags": tags})
                assert answer.status_code == 200, answer.text
                answered.append(incident)
                begun.set()
    except httpx2.TransportError:
        return


def test_three_kills_leave_no_change_without_its_record_and_a_log_that_verifies(tmp_path: Path) -> None:
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    random, answered = Random(seed), list[int]()
    with ServerProcess(tmp_path / "data") as server:
        server.start()
        with server.sensor() as http:
            assert http.post("/ingest/native", content=lines(native(n) for n in range(INCIDENTS))).status_code == 200
        server.stop()  # signs the log
        server.start()
        for _ in range(3):
            begun = threading.Event()
            writers = [
                threading.Thread(target=change_until_gone, args=(server, begun, answered, random.randrange(10**6)))
                for _ in range(WRITERS)
            ]
            for writer in writers:
                writer.start()
            assert begun.wait(60)
            threading.Event().wait(random.uniform(0.1, 0.5))
            server.kill()
            for writer in writers:
                writer.join()
            assert_recorded(server, answered)
            server.start()
        assert server.stop() == 0
        records = assert_recorded(server, answered)
    assert [each.detail for each in records if each.action is Action.SERVE][-1] == "stopped"
    print(f"{len(answered)} changes answered, {len(records)} records")


def assert_recorded(server: ServerProcess, answered: list[int]) -> list[Record]:
    """As many records of changes as changes, incident by incident, and none of what was answered is missing."""
    records = audited(server.data_dir)
    recorded = Counter(
        int(each.target.rpartition("/")[2])
        for each in records
        if each.action is Action.CHANGE and each.outcome is Outcome.DONE
    )
    made = changes_by_incident(server.data_dir, server.who.app_id)
    assert recorded == made
    assert not Counter(answered) - recorded
    return records


class Person:
    """Somebody who signs in, and everything secret that goes over the wire for them and for programs."""

    def __init__(self, server: ServerProcess) -> None:
        self.server, self.secrets, self.answers = server, list[str](), list[str]()

    def know(self, *found: str) -> str:
        self.secrets += found
        return found[0]

    def ask(self, http: httpx2.Client, method: str, path: str, **options: Any) -> httpx2.Response:
        """A request whose answer may hold no secret when it is a refusal."""
        answer = http.request(method, path, **options)
        if answer.status_code >= 400:
            self.answers.append(answer.text)
        return answer


def add_person(data_dir: Path, password: str) -> None:
    connection = open_side_writer(data_dir / DATABASE_NAME)
    tenant, people = Registry(connection).list_tenants()[0], People(connection)
    user = people.create_user(tenant.tenant_id, "ann@corp.example", now=now(), password_hash=hash_password(password))
    role = people.create_role(tenant.tenant_id, "all", (Right.READ,))
    people.set_roles(tenant.tenant_id, user.user_id, [role.role_id])
    connection.close()


def misplaced(person: Person, http: httpx2.Client, secret: str) -> None:
    """A secret in every wrong place: header, query, path and body of what is open, known, unknown or broken."""
    bearer = {"authorization": f"Bearer {secret}"}
    for path in ("/api/incidents", "/v1.0/security/incidents", "/ingest/refused", "/incidents", "/nothing"):
        person.ask(http, "GET", path, headers=bearer)
        person.ask(http, "GET", path, params={"access_token": secret, "$filter": f"title eq '{secret}'"})
        person.ask(http, "GET", path, headers={"cookie": f"__Host-tocsin={secret}", "x-api-key": secret})
        person.ask(http, "GET", f"{path}/{secret}", headers=bearer)
    person.ask(http, "POST", f"/ingest/{secret}", content=secret, headers=bearer)
    person.ask(http, "POST", "/ingest/native", content=f'{{"title": "{secret}"', headers=bearer)
    person.ask(http, "PATCH", "/api/incidents/1", json={secret: secret}, headers=bearer)
    person.ask(http, "POST", f"/api/incidents/{secret}/merge", json={"incidentIds": secret}, headers=bearer)
    for form in (
        {"client_id": secret, "client_secret": secret, "grant_type": "client_credentials", "scope": secret},
        {"client_id": person.server.who.app_id, "client_secret": secret, "grant_type": secret},
        {"client_id": person.server.who.app_id, "grant_type": "refresh_token", "refresh_token": secret},
        {"client_id": person.server.who.app_id, "grant_type": "authorization_code", "code": secret},
        {"client_assertion": secret, "client_assertion_type": secret, "grant_type": "client_credentials"},
    ):
        person.ask(http, "POST", f"/{person.server.who.tenant_guid}/oauth2/v2.0/token", data=form)
        person.ask(http, "POST", f"/{secret}/oauth2/v2.0/token", data=form)
    person.ask(http, "GET", "/sign-in", params={"code": secret})


# The server of these tests leaves out the wall behind all others, `logs.py`, which cuts out what looks like a secret.
def test_no_secret_right_or_wrong_is_in_a_log_the_audit_log_a_checkpoint_or_a_refusal(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data", quota_get_per_minute=1_000_000) as server:
        person, forms = Person(server), list[str]()
        password, wrong = person.know(secrets.token_urlsafe(24)), person.know(secrets.token_urlsafe(24))
        add_person(server.data_dir, password)
        server.start()
        token = person.know(server.token())
        person.know(token.rpartition(".")[2], server.who.secret, server.who.ingest_key)
        code = person.know(mint_sign_in_code(server.data_dir, 1, now()))
        with server.client() as http:
            assert person.ask(http, "GET", "/sign-in", params={"code": code}).status_code == 303
            person.know(http.cookies["__Host-tocsin"])
        with server.client() as http:
            for given in (wrong, password):
                form = http.get("/sign-in").text
                field = form.split('name="csrf" value="', 1)[1].partition('"')[0]
                forms.append(person.know(field))
                person.ask(
                    http,
                    "POST",
                    "/sign-in",
                    data={"csrf": field, "name": "ann@corp.example", "password": given},
                    headers={"origin": server.url},
                )
            person.know(http.cookies["__Host-tocsin"])
        with server.client() as http:
            for secret in (token, server.who.secret, server.who.ingest_key, code, password):
                misplaced(person, http, secret)
            for made_up in (
                "f" * 64,
                "tocsin_" + "0" * 16 + "_" + "e" * 64,
                "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.c2ln",
            ):
                misplaced(person, http, person.know(made_up))
        assert server.stop() == 0
        records = audited(server.data_dir)
        written = {
            "the server's log": (server.data_dir / "server.log").read_text(),
            "the audit log": "\n".join(json.dumps([str(getattr(r, f)) for f in r.__struct_fields__]) for r in records),
            "the checkpoints": (server.data_dir / "audit" / FILE).read_text(),
            "an answer that refuses": "\n".join(person.answers),
        }
    assert len(person.answers) > 100
    assert "caller_refused" in written["the server's log"]
    found = [(where, secret) for where, text in written.items() for secret in person.secrets if secret in text]
    # A password has no form to know it by: a refusal says back to its sender what it put into a filter. And the form
    # that is shown again after a wrong password has its token.
    said_back = {("an answer that refuses", each) for each in (password, *forms)}
    assert [each for each in found if each not in said_back] == []
    done = Counter((each.action, each.outcome) for each in records)
    assert done[Action.SIGN_IN, Outcome.DONE] >= 3, "the token, the link and the password"
    assert done[Action.SIGN_IN, Outcome.REFUSED] >= 1
