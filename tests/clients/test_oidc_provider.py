"""`oidc-provider` from npm, certified and unmodified: its tokens at the API, its people in the portal."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx2
import pytest
from installed import NODE_MODULES, needs_npm_clients
from running import free_port

from house import Client, HandClock, native, running
from tocsin import ticks
from tocsin.access import Permission
from tocsin.identity.foreign import PRESETS, ForeignIssuer, checked
from tocsin.identity.foreign_secrets import write_issuer_secret
from tocsin.stores.sqlite import auditing
from tocsin.stores.sqlite.connection import DATABASE_NAME, open_side_writer
from tocsin.stores.sqlite.foreign import ForeignIssuers
from tocsin.stores.sqlite.people import People
from tocsin.ticks import DAY, HOUR, MINUTE, SECOND
from visitor import Tree, page

SCRIPT: Final = Path(__file__).with_name("oidc_provider.js")
AUDIENCE: Final = "https://api.security.microsoft.com"
OTHERS: Final = "https://other.example"
BACK: Final = "https://127.0.0.1:8443/sign-in/back"

pytestmark = needs_npm_clients


class Provider:
    """The provider as a process of its own."""

    def __init__(self) -> None:
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        self._process = subprocess.Popen(
            ["node", str(SCRIPT), str(port), BACK, AUDIENCE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={"NODE_PATH": str(NODE_MODULES), "PATH": "/usr/local/bin:/usr/bin:/bin"},
        )
        self.kid = self._line()["kid"]
        self.http = httpx2.Client(base_url=self.url, trust_env=False)

    def _line(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def say(self, word: str) -> Any:
        """Have it start anew with a new key of an algorithm, be `gone`, or say what it `served`."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        return self._line()

    def token(self, client: str = "siem", scope: str = "Incident.Read.All", resource: str = AUDIENCE) -> str:
        form = {"grant_type": "client_credentials", "scope": scope, "resource": resource}
        answer = self.http.post("/token", data=form, auth=(client, f"{client}-secret"))
        assert answer.status_code == 200, answer.text
        token = answer.json()["access_token"]
        assert isinstance(token, str)
        return token

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as started:
        yield started


class World:
    """A server with three alerts that takes tokens of the provider."""

    def __init__(self, client: Client, clock: HandClock, provider: Provider, **changes: Any) -> None:
        self.client, self.clock, self.http, self.provider = client, clock, client.http, provider
        self.connection = connection = open_side_writer(client.service.settings.data_dir / DATABASE_NAME)
        self.people, self.issuers = People(connection), ForeignIssuers(connection)
        values: dict[str, Any] = {
            "tenant_id": client.tenant.tenant_id,
            "name": "corp",
            "title": "Corp login",
            "issuer": provider.url,
            "audiences": (AUDIENCE,),
            "permissions": frozenset({Permission.READ}),
            "clients": ("siem",),
            "client_id": "portal",
            "plain_loopback": True,
        }
        self.issuer = checked(ForeignIssuer(**{**PRESETS["oidc"], **values, **changes}))
        self.issuers.add(self.issuer, clock())
        write_issuer_secret(client.service.settings.data_dir, self.issuer, "portal-secret")
        client.ingest(*(native(number) for number in range(1, 4)))

    def ask(self, token: str, path: str = "/api/incidents") -> Any:
        return self.http.get(path, headers={"authorization": f"Bearer {token}"})

    def fetched(self) -> int:
        return int(self.provider.say("served").get("/jwks", 0))

    def sign_in(self, login: str) -> Any:
        """Go the whole way with a browser: our page, the provider's two forms, and back; gives the last answer."""
        (link,) = [link for link in page(self.client, "/sign-in").links() if "/sign-in/with/" in link]
        answer = self.http.get(link, follow_redirects=False)
        assert answer.status_code == 303, answer.text
        address = answer.headers["location"]
        with httpx2.Client(trust_env=False, follow_redirects=False) as browser:
            while urlsplit(address).netloc == urlsplit(self.provider.url).netloc:
                shown = browser.get(address)
                if shown.is_redirect:
                    address = urljoin(address, shown.headers["location"])
                    continue
                tree = Tree(shown.text)
                (form,) = tree.all("form")
                hidden = {each["name"] or "": each["value"] or "" for each in tree.all("input") if each.get("value")}
                sent = browser.post(
                    urljoin(address, form["action"] or ""), data={**hidden, "login": login, "password": "any"}
                )
                address = urljoin(address, sent.headers["location"])
        assert address.startswith(BACK)
        self.back = address
        return self.http.get(address, follow_redirects=False)


@pytest.fixture
def clock() -> HandClock:
    return HandClock(ticks.now() // SECOND * SECOND)


@pytest.fixture
def world(tmp_path: Path, clock: HandClock, provider: Provider) -> Iterator[World]:
    with running(tmp_path, clock) as client:
        yield World(client, clock, provider)


def test_an_application_reads_incidents_with_a_token_of_the_provider(world: World) -> None:
    answer = world.ask(world.provider.token())
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["value"]) == 3
    assert world.ask(world.provider.token(), "/v1.0/security/incidents").status_code == 200


def test_what_the_token_does_not_say_or_the_issuer_is_not_allowed_is_not_given(world: World) -> None:
    assert world.ask(world.provider.token(scope="api.read")).status_code == 403
    read = world.provider.token()
    denied = world.http.patch(
        "/api/incidents/1", json={"status": "Active"}, headers={"authorization": f"Bearer {read}"}
    )
    assert denied.status_code == 403


def test_a_client_that_was_not_named_and_a_token_for_another_audience_are_refused(world: World) -> None:
    assert world.ask(world.provider.token("stranger")).status_code == 401
    assert world.ask(world.provider.token(resource=OTHERS)).status_code == 401
    assert world.ask(world.provider.token()).status_code == 200


def test_a_foreign_value_is_mapped_to_our_permission(tmp_path: Path, clock: HandClock, provider: Provider) -> None:
    with running(tmp_path, clock) as client:
        world = World(client, clock, provider, mapped={"api.read": (Permission.READ,)})
        assert world.ask(provider.token(scope="api.read")).status_code == 200


def test_a_rotated_key_is_followed_after_the_five_minutes_that_a_fetch_must_wait(world: World) -> None:
    assert world.ask(world.provider.token()).status_code == 200
    world.provider.say("ES256")
    fresh = world.provider.token()
    for _ in range(5):
        assert world.ask(fresh).status_code == 401
    assert world.fetched() == 1
    world.clock.at += 5 * MINUTE
    assert world.ask(fresh).status_code == 200
    assert world.fetched() == 2


def test_while_the_provider_is_gone_its_keys_serve_for_a_day_and_then_the_answer_is_not_now(world: World) -> None:
    token = world.provider.token()
    assert world.ask(token).status_code == 200
    assert world.provider.say("gone") == {"gone": True}
    world.clock.at += 50 * MINUTE
    assert world.ask(token).status_code == 200
    world.clock.at += DAY - 50 * MINUTE - SECOND
    assert world.ask(token).status_code == 401, "the token ended long ago, and the keys can still tell"
    world.clock.at += SECOND
    answer = world.ask(token)
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert world.client.get("/api/incidents").status_code in (200, 401), "the built-in issuer does not depend on it"


def test_a_person_signs_in_to_the_portal_and_out_again(world: World) -> None:
    user = world.people.create_user(
        world.client.tenant.tenant_id, "eva", now=world.clock() - HOUR, issuer=world.provider.url, subject="eva-7"
    )
    role = world.people.ensure_role(user.tenant_id, "Security reader")
    world.people.set_roles(user.tenant_id, user.user_id, [role.role_id])
    assert "Corp login" in page(world.client, "/sign-in").text
    answer = world.sign_in("eva-7")
    assert (answer.status_code, answer.headers["location"]) == (303, "/incidents")
    assert "Alert 1" in page(world.client, "/incidents").text
    records = [row.record.decode() for row in auditing.rows(world.connection)]
    assert any(user.user_id in each and "with the issuer corp" in each for each in records)
    assert not any(
        "portal-secret" in each or parse_qs(urlsplit(world.back).query)["code"][0] in each for each in records
    )
    form = page(world.client, "/sign-out")
    fields = {each["name"] or "": each["value"] or "" for each in form.all("input")}
    world.http.post("/sign-out", data=fields, headers={"origin": "https://127.0.0.1:8443"})
    assert world.http.get("/incidents", follow_redirects=False).status_code != 200


def test_the_way_back_works_once_and_in_the_browser_that_went(world: World) -> None:
    world.people.create_user(
        world.client.tenant.tenant_id, "eva", now=world.clock(), issuer=world.provider.url, subject="eva-7"
    )
    assert world.sign_in("eva-7").status_code == 303
    assert world.http.get(world.back, follow_redirects=False).status_code == 401
    assert world.http.get("/sign-in/back?code=c&state=s", follow_redirects=False).status_code == 401


def test_when_the_provider_is_gone_the_page_says_so_and_passwords_go_on(world: World) -> None:
    world.provider.say("gone")
    (link,) = [link for link in page(world.client, "/sign-in").links() if "/sign-in/with/" in link]
    assert "does not answer" in page(world.client, link, 503).text


def test_whom_only_the_provider_knows_is_not_let_in(world: World) -> None:
    answer = world.sign_in("mallory")
    assert answer.status_code == 401
    assert "not here" in answer.text
    assert world.people.list_users(world.client.tenant.tenant_id) == []


def test_where_the_operator_wants_it_users_are_made_with_roles_of_their_claims(
    tmp_path: Path, clock: HandClock, provider: Provider
) -> None:
    with running(tmp_path, clock) as client:
        world = World(
            client,
            clock,
            provider,
            provision=True,
            role_claims=("groups",),
            role_map={"soc": "Security reader"},
        )
        world.people.create_user(client.tenant.tenant_id, "ann@corp.example", now=clock())
        assert world.sign_in("ann").status_code == 303
        assert "Alert 1" in page(client, "/incidents").text
        made = world.people.find_by_subject(client.tenant.tenant_id, provider.url, "ann")
        assert made is not None
        assert made.display_name == "Name of ann"
        assert made.name != "ann@corp.example", "the account that has this name is somebody else's"
        assert [role.name for role in world.people.roles_of(made.tenant_id, made.user_id)] == ["Security reader"]
