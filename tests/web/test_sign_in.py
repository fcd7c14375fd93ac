"""People sign in on our own page; applications get codes, and act for people within what their roles permit."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from starlette.testclient import TestClient

from house import Client, HandClock, native, running
from tocsin.access import Permission
from tocsin.identity.credentials import hash_secret
from tocsin.identity.passwords import hash_password
from tocsin.identity.people import Application, Right, User
from tocsin.stores.sqlite.connection import DATABASE_NAME, open_reader, open_side_writer
from tocsin.stores.sqlite.people import People
from tocsin.ticks import DAY, MINUTE, SECOND
from tocsin.web.csrf import FIELD
from tocsin.web.portal.session import COOKIE
from visitor import Tree, page, sign_in

PASSWORD: Final = "a fine long password"
RESOURCE: Final = "https://api.security.microsoft.com"
GRAPH: Final = "https://graph.microsoft.com"
VERIFIER: Final = "v" * 50
CHALLENGE: Final = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
CALLBACK: Final = "http://localhost:51234"
OWN: Final = {"origin": "https://127.0.0.1:8443"}
HASH: Final = hash_password(PASSWORD)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


class World:
    """A running server with Ann, who reads, Bob without a role, a public program and one with a secret."""

    def __init__(self, client: Client, clock: HandClock) -> None:
        self.client, self.clock, self.http = client, clock, client.http
        self.programs = TestClient(client.http.app, base_url=client.service.names.base_url)
        self.people = People(open_side_writer(client.service.settings.data_dir / DATABASE_NAME))
        self.tenant_id, self.guid = client.tenant.tenant_id, client.tenant.guid
        self.ann, self.bob = self.add("ann@corp.example"), self.add("bob@corp.example")
        self.give(self.ann, Right.READ)
        self.program = self.register("desktop", is_public=True, redirect_uris=["http://localhost"])
        self.site = self.register("site", secret="s3", redirect_uris=["https://site.example/back"])

    def add(self, name: str) -> User:
        return self.people.create_user(
            self.tenant_id, name, now=self.clock(), password_hash=HASH, display_name=name.partition("@")[0].title()
        )

    def give(self, user: User, *rights: Right, workloads: list[str] | None = None) -> None:
        name = f"role {len(self.people.list_roles(self.tenant_id))}"
        role = self.people.create_role(self.tenant_id, name, rights, workloads=workloads)
        self.people.set_roles(self.tenant_id, user.user_id, [role.role_id])

    def register(self, name: str, secret: str = "", **more: Any) -> Application:
        return self.client.registry.create_application(
            self.tenant_id, name, [], secret_hash=hash_secret(secret) if secret else "", now=self.clock(), **more
        )

    def type_in(self, path: str = "/sign-in", *, name: str = "ann@corp.example", password: str = PASSWORD) -> Any:
        """Fill in the sign-in form that a path leads to."""
        shown = self.http.get(path)
        assert shown.url.path == "/sign-in", shown.text
        fields = {
            each["name"] or "": each["value"] or "" for each in Tree(shown.text).all("input") if each.get("value")
        }
        data = {**fields, "name": name, "password": password}
        return self.http.post("/sign-in", data=data, headers=OWN, follow_redirects=False)

    def ask(self, version: int = 2, /, **changes: str | None) -> str:
        asked = {
            "client_id": self.program.app_id,
            "response_type": "code",
            "redirect_uri": CALLBACK,
            "scope": f"{RESOURCE}/.default openid profile offline_access",
            "state": "a b&c",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            **changes,
        }
        kept = {name: value for name, value in asked.items() if value is not None}
        path = "oauth2/v2.0/authorize" if version == 2 else "oauth2/authorize"
        return f"/{self.guid}/{path}?{urlencode(kept)}"

    def sent_back(self, path: str) -> dict[str, str]:
        """What comes to the redirect URI, of somebody who is signed in."""
        answer = self.http.get(path, follow_redirects=False)
        assert answer.status_code == 302, answer.text
        assert answer.headers["location"].startswith(CALLBACK)
        return dict(parse_qsl(urlsplit(answer.headers["location"]).query))

    def code(self, **changes: str | None) -> str:
        if COOKIE not in self.http.cookies:
            assert self.type_in().status_code == 303
        return self.sent_back(self.ask(**changes))["code"]

    def token(self, version: int = 2, /, **changes: str | None) -> Any:
        form = {
            "client_id": self.program.app_id,
            "grant_type": "authorization_code",
            "redirect_uri": CALLBACK,
            "code_verifier": VERIFIER,
            "client_info": "1",
            **changes,
        }
        kept = {name: value for name, value in form.items() if value is not None}
        path = "oauth2/v2.0/token" if version == 2 else "oauth2/token"
        return self.programs.post(f"/{self.guid}/{path}", data=kept)

    def refresh(self, text: str, **changes: str | None) -> Any:
        kept = {"grant_type": "refresh_token", "refresh_token": text, "redirect_uri": None, "code_verifier": None}
        return self.token(**{**kept, **changes})

    def signed_in(self) -> bool:
        return self.http.get("/incidents", follow_redirects=False).status_code == 200


@pytest.fixture
def world(tmp_path: Path, clock: HandClock) -> Iterator[World]:
    with running(tmp_path, clock) as client:
        client.ingest(native(1, title="Seen", serviceSource="Test"))
        yield World(client, clock)


def claims(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return found


def refused(answer: Any, error: str, number: int, status: int = 400) -> None:
    assert (answer.status_code, answer.json()["error"], answer.json()["error_codes"]) == (status, error, [number])


def incidents(world: World, token: str, path: str = "/api/incidents") -> Any:
    return world.http.get(path, headers={"authorization": f"Bearer {token}"})


def test_a_person_signs_in_to_the_portal_and_sees_what_their_roles_show(world: World) -> None:
    answer = world.type_in("/incidents?severity=high")
    assert (answer.status_code, answer.headers["location"]) == (303, "/incidents?severity=high")
    shown = page(world.client, "/incidents").text
    assert "Seen" in shown
    assert "Ann" in shown
    world.give(world.ann, Right.READ, workloads=["other"])
    world.clock.at += 31 * SECOND
    assert "Seen" not in page(world.client, "/incidents").text
    page(world.client, "/incidents/1", 404)


@pytest.mark.parametrize(
    ("name", "password"),
    [("ann@corp.example", "wrong"), ("nobody@corp.example", PASSWORD), ("", PASSWORD), ("ann@corp.example", ""),
     ("ann@corp.example", "x" * 50_000), ("\x00", "\x00")],
)  # fmt: skip
def test_whatever_is_wrong_the_answer_is_the_same_and_opens_nothing(world: World, name: str, password: str) -> None:
    answer = world.type_in(name=name, password=password)
    assert answer.status_code == 401
    assert "The name or the password is not right." in answer.text
    assert COOKIE not in answer.cookies
    assert password not in answer.text or len(password) < 2
    assert not world.signed_in()


def test_a_disabled_person_is_refused_as_if_unknown_and_an_open_session_ends_within_a_minute(world: World) -> None:
    assert world.type_in().status_code == 303
    assert world.signed_in()
    world.clock.at += SECOND
    world.people.disable_user(world.tenant_id, world.ann.user_id, world.clock())
    world.clock.at += 31 * SECOND
    assert not world.signed_in()
    assert world.type_in().status_code == 401


def test_the_form_counts_only_from_our_own_page_and_the_browser_it_was_shown_to(world: World) -> None:
    shown = Tree(world.http.get("/sign-in").text)
    (token,) = [each["value"] or "" for each in shown.all("input") if each.get("name") == FIELD]
    data = {"name": "ann@corp.example", "password": PASSWORD, FIELD: token}
    for headers in ({"origin": "https://evil.example"}, {}, {"sec-fetch-site": "cross-site", **OWN}):
        assert world.http.post("/sign-in", data=data, headers=headers).status_code == 403
    assert world.http.post("/sign-in", data={**data, FIELD: ""}, headers=OWN).status_code == 403
    world.http.cookies.clear()
    assert world.http.post("/sign-in", data=data, headers=OWN).status_code == 403


@pytest.mark.parametrize(
    "path", ["https://evil.example", "//evil.example", "/\\evil.example", "incidents", "/\n/x", ""]
)
def test_a_sign_in_leads_to_our_own_pages_alone(world: World, path: str) -> None:
    answer = world.type_in(f"/sign-in?{urlencode({'next': path})}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/incidents")


def test_many_wrong_passwords_from_one_address_are_told_to_wait_and_the_right_one_is_not_tried(
    world: World,
) -> None:
    for _ in range(10):
        assert world.type_in(password="wrong").status_code == 401
    assert "Too many wrong passwords" in world.type_in().text
    assert world.type_in(name="bob@corp.example").status_code == 303
    world.http.cookies.clear()
    world.clock.at += 5 * MINUTE
    assert world.type_in().status_code == 303


def test_a_new_session_has_an_id_of_its_own_and_the_one_before_is_void(world: World) -> None:
    world.type_in()
    first = world.http.cookies[COOKIE]
    world.type_in(name="bob@corp.example")
    assert world.http.cookies[COOKIE] != first
    world.http.cookies.clear()
    world.http.cookies.set(COOKIE, first)
    assert not world.signed_in()


def test_a_page_to_sign_in_on_names_the_application_and_may_lead_only_there(world: World) -> None:
    answer = world.http.get(world.ask())
    assert "desktop" in answer.text
    assert "form-action 'self' http://localhost:51234;" in answer.headers["content-security-policy"]
    assert not Tree(answer.text).all("script")
    assert "form-action 'self';" in world.http.get("/sign-in").headers["content-security-policy"]


@pytest.mark.parametrize("version", [1, 2])
def test_a_code_becomes_tokens_that_work_on_both_dialects(world: World, version: int) -> None:
    asked = {} if version == 2 else {"scope": None, "resource": RESOURCE}
    assert world.type_in(world.ask(version, nonce="n1", **asked)).status_code == 303
    told = world.sent_back(world.ask(version, nonce="n1", **asked))
    assert told["state"] == "a b&c"
    answer = world.token(version, code=told["code"]).json()
    access = claims(answer["access_token"])
    assert (access["aud"], access["oid"], access["sub"]) == (RESOURCE, world.ann.user_id, world.ann.user_id)
    assert access["scp"] == "Incident.Read SecurityAlert.Read.All SecurityIncident.Read.All"
    assert "roles" not in access
    identity = claims(answer["id_token"])
    assert (identity["aud"], identity["nonce"], identity["name"]) == (world.program.app_id, "n1", "Ann")
    client_info = json.loads(base64.urlsafe_b64decode(answer["client_info"] + "=="))
    assert client_info == {"uid": world.ann.user_id, "utid": world.guid}
    named = "azp" if version == 2 else "appid"
    assert (access[named], access[f"{named}acr"]) == (world.program.app_id, "0")
    assert incidents(world, answer["access_token"]).json()["value"][0]["incidentName"]
    assert incidents(world, answer["access_token"], "/v1.0/security/incidents").status_code == 200
    change = world.http.patch(
        "/api/incidents/1", json={"status": "Resolved"}, headers={"authorization": f"Bearer {answer['access_token']}"}
    )
    assert change.status_code == 403
    for wrong in (answer["id_token"], answer["refresh_token"]):
        assert incidents(world, wrong).status_code == 401


def test_a_token_gives_no_more_than_was_asked_for_and_no_more_than_the_roles_permit(world: World) -> None:
    world.give(world.ann, Right.MANAGE)
    one = world.token(code=world.code(scope=f"{RESOURCE}/Incident.Read openid")).json()
    assert claims(one["access_token"])["scp"] == "Incident.Read"
    assert one["scope"] == f"{RESOURCE}/Incident.Read"
    assert "refresh_token" not in one
    bare = world.token(code=world.code(scope="SecurityIncident.ReadWrite.All User.Read")).json()
    assert (claims(bare["access_token"])["aud"], claims(bare["access_token"])["scp"]) == (
        GRAPH, "SecurityIncident.ReadWrite.All",
    )  # fmt: skip
    assert "id_token" not in bare
    refused(world.token(code=world.code(scope=f"{RESOURCE}/Incident.Read.All")), "invalid_grant", 65001)
    world.http.cookies.clear()
    assert world.type_in(name="bob@corp.example").status_code == 303
    refused(world.token(code=world.code()), "invalid_grant", 65001)


def test_what_a_role_loses_is_lost_on_a_live_token_within_a_minute(world: World) -> None:
    token = world.token(code=world.code()).json()["access_token"]
    assert len(incidents(world, token).json()["value"]) == 1
    world.give(world.ann, Right.READ, workloads=["other"])
    world.clock.at += 31 * SECOND
    assert incidents(world, token).json()["value"] == []
    world.people.set_roles(world.tenant_id, world.ann.user_id, [])
    world.clock.at += 31 * SECOND
    assert incidents(world, token).status_code == 403
    world.people.disable_user(world.tenant_id, world.ann.user_id, world.clock())
    world.clock.at += 31 * SECOND
    assert incidents(world, token).status_code == 401


def test_signing_a_person_out_everywhere_voids_tokens_and_sessions(world: World) -> None:
    answer = world.token(code=world.code()).json()
    world.clock.at += 2 * SECOND
    world.people.sign_out(world.tenant_id, world.ann.user_id, world.clock())
    world.clock.at += 31 * SECOND
    assert incidents(world, answer["access_token"]).status_code == 401
    refused(world.refresh(answer["refresh_token"]), "invalid_grant", 50173)
    assert not world.signed_in()


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        ({"code": "0" * 64}, 70000), ({"code_verifier": "w" * 50}, 501481), ({"code_verifier": None}, 501481),
        ({"redirect_uri": "http://localhost:51235"}, 500112), ({"redirect_uri": None}, 500112),
        ({"code_verifier": "v" * 42}, 501481), ({"code_verifier": "v" * 49 + "é"}, 501481),
    ],
)  # fmt: skip
def test_a_code_is_bound_to_what_it_was_asked_with(world: World, changes: dict[str, str | None], number: int) -> None:
    assert world.token(code=world.code()).status_code == 200
    refused(world.token(**{"code": world.code(), **changes}), "invalid_grant", number)


def test_a_code_is_good_once_for_ten_minutes_and_its_second_use_voids_what_the_first_gave(world: World) -> None:
    code = world.code()
    first = world.token(code=code).json()
    refused(world.token(code=code), "invalid_grant", 70000)
    refused(world.refresh(first["refresh_token"]), "invalid_grant", 700082)
    late = world.code()
    world.clock.at += 10 * MINUTE
    refused(world.token(code=late), "invalid_grant", 70008)


def test_a_code_of_one_application_is_nothing_to_another(world: World) -> None:
    other = world.register("other", is_public=True, redirect_uris=["http://localhost"])
    refused(world.token(code=world.code(), client_id=other.app_id), "invalid_grant", 70000)


def test_an_application_with_a_secret_must_prove_itself_for_a_code(world: World) -> None:
    assert world.type_in().status_code == 303
    back = {"client_id": world.site.app_id, "redirect_uri": "https://site.example/back", "code_challenge": None}
    for secret, status in ((None, 401), ("wrong", 401), ("s3", 200)):
        answer = world.http.get(world.ask(**back, code_challenge_method=None), follow_redirects=False)
        code = dict(parse_qsl(urlsplit(answer.headers["location"]).query))["code"]
        form = {"client_id": world.site.app_id, "redirect_uri": back["redirect_uri"], "code_verifier": None}
        token = world.token(code=code, client_secret=secret, **form)
        assert token.status_code == status, token.text
    assert claims(token.json()["access_token"])["azpacr"] == "1"


@pytest.mark.parametrize(
    "changes",
    [
        {"redirect_uri": "https://evil.example"}, {"redirect_uri": "http://localhost:51234/x"}, {"client_id": None},
        {"redirect_uri": "http://127.0.0.1:51234"}, {"redirect_uri": "http://localhost:1@evil.example"},
        {"redirect_uri": "http://localhost.evil.example"}, {"redirect_uri": "https://localhost:51234"},
        {"redirect_uri": "javascript:alert(1)"}, {"client_id": "77777777-2222-4333-8444-555555555555"},
        {"redirect_uri": "http://localhost:x"}, {"redirect_uri": "http://localhost:51234/?a=b"},
    ],
)  # fmt: skip
def test_nothing_is_sent_to_an_address_that_was_not_registered(world: World, changes: dict[str, str | None]) -> None:
    world.type_in()
    answer = world.http.get(world.ask(**changes), follow_redirects=False)
    assert answer.status_code == 400
    assert "location" not in answer.headers
    assert "AADSTS" in answer.text


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_challenge": None}, "invalid_request"), ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"), ({"code_challenge": "short"}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"), ({"scope": None}, "invalid_request"),
        ({"scope": "https://x.example/.default"}, "invalid_resource"), ({"response_mode": "x"}, "invalid_request"),
    ],
)  # fmt: skip
def test_what_else_is_wrong_the_application_is_told(world: World, changes: dict[str, str | None], error: str) -> None:
    told = world.sent_back(world.ask(**changes))
    assert (told["error"], told["state"]) == (error, "a b&c")
    assert "code" not in told


def test_prompts_are_heeded(world: World) -> None:
    assert world.sent_back(world.ask(prompt="none"))["error"] == "login_required"
    world.type_in()
    assert "code" in world.sent_back(world.ask(prompt="none"))
    for prompt in ("login", "select_account"):
        answer = world.type_in(world.ask(prompt=prompt))
        assert "code" in world.sent_back(answer.headers["location"])


def test_the_answer_may_come_in_the_fragment_or_as_a_form(world: World) -> None:
    world.type_in()
    fragment = world.http.get(world.ask(response_mode="fragment"), follow_redirects=False).headers["location"]
    assert urlsplit(fragment).fragment.startswith("code=")
    assert not urlsplit(fragment).query
    answer = world.http.get(world.ask(response_mode="form_post"))
    tree = Tree(answer.text)
    (form,) = [each for each in tree.all("form") if each.get("action") == CALLBACK]
    assert form["method"] == "post"
    assert {"code", "state"} <= {each.get("name") for each in tree.all("input")}
    script = answer.text.split("<script>")[1].split("</script>")[0]
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{allowed}'" in answer.headers["content-security-policy"]


def test_the_operator_by_a_link_is_nobody_that_a_token_could_be_made_for(world: World) -> None:
    sign_in(world.client)
    assert world.signed_in()
    assert world.http.get(world.ask()).url.path == "/sign-in"
    assert world.http.get("/device").url.path == "/sign-in"


def test_refresh_tokens_rotate_and_an_old_one_that_comes_again_ends_the_family(world: World) -> None:
    first = world.token(code=world.code()).json()["refresh_token"]
    second = world.refresh(first).json()
    assert claims(second["access_token"])["scp"]
    third = world.refresh(second["refresh_token"], scope=f"{GRAPH}/.default").json()
    assert claims(third["access_token"])["aud"] == GRAPH
    refused(world.refresh(first), "invalid_grant", 700082)
    refused(world.refresh(third["refresh_token"]), "invalid_grant", 700082)


def test_a_refresh_token_asks_for_no_more_than_the_person_signed_in_for(world: World) -> None:
    text = world.token(code=world.code(scope=f"{RESOURCE}/Incident.Read offline_access")).json()["refresh_token"]
    more = world.refresh(text, scope=f"{RESOURCE}/SecurityIncident.Read.All")
    refused(more, "invalid_grant", 65001)
    again = world.refresh(text, scope=f"{RESOURCE}/.default").json()
    assert claims(again["access_token"])["scp"] == "Incident.Read"


def test_a_refresh_token_ends_unused_after_two_weeks_and_is_nothing_to_another_application(world: World) -> None:
    text = world.token(code=world.code()).json()["refresh_token"]
    other = world.register("other", is_public=True)
    refused(world.refresh(text, client_id=other.app_id), "invalid_grant", 700082)
    world.clock.at += 14 * DAY - 1
    later = world.refresh(text).json()["refresh_token"]
    world.clock.at += 14 * DAY
    refused(world.refresh(later), "invalid_grant", 700082)


def test_a_revoked_refresh_token_is_void_and_revoking_nothing_is_no_error(world: World) -> None:
    text = world.token(code=world.code()).json()["refresh_token"]
    path = f"/{world.guid}/oauth2/v2.0/revoke"
    other = world.register("other", is_public=True)
    for client_id, token in ((other.app_id, text), (world.program.app_id, "x")):
        assert world.programs.post(path, data={"client_id": client_id, "token": token}).status_code == 200
    text = world.refresh(text).json()["refresh_token"]
    assert world.programs.post(path, data={"client_id": world.program.app_id, "token": text}).status_code == 200
    refused(world.refresh(text), "invalid_grant", 700082)


def start(world: World, version: int = 2) -> dict[str, Any]:
    path = "oauth2/v2.0/devicecode" if version == 2 else "oauth2/devicecode"
    asked = {"scope": f"{RESOURCE}/.default offline_access"} if version == 2 else {"resource": RESOURCE}
    answer = world.programs.post(f"/{world.guid}/{path}", data={"client_id": world.program.app_id, **asked})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def type_code(world: World, code: str, decision: str = "") -> Any:
    (token,) = [
        each["value"] or "" for each in Tree(world.http.get("/device").text).all("input") if each.get("name") == FIELD
    ]
    return world.http.post("/device", data={FIELD: token, "user_code": code, "decision": decision}, headers=OWN)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("grant", ["device_code", "urn:ietf:params:oauth:grant-type:device_code"])
@pytest.mark.parametrize("field", ["device_code", "code"])
def test_a_device_signs_in_with_a_code_that_a_person_types(world: World, version: int, grant: str, field: str) -> None:
    begun = start(world, version)
    poll = {"grant_type": grant, field: begun["device_code"], "redirect_uri": None, "code_verifier": None}
    refused(world.token(version, **poll), "authorization_pending", 70016)
    assert begun["verification_uri" if version == 2 else "verification_url"] == "https://127.0.0.1:8443/device"
    world.type_in("/device")
    asked = type_code(world, begun["user_code"].lower().replace("-", " "))
    assert "desktop" in asked.text
    world.clock.at += 5 * SECOND
    refused(world.token(version, **poll), "authorization_pending", 70016)
    assert "You are signed in to desktop" in type_code(world, begun["user_code"], "yes").text
    answer = world.token(version, **poll).json()
    assert incidents(world, answer["access_token"]).status_code == 200
    assert answer["refresh_token"]
    refused(world.token(version, **poll), "invalid_grant", 70000)


def test_a_device_that_asks_too_often_is_slowed_down_and_one_that_waits_too_long_has_expired(world: World) -> None:
    begun = start(world)
    poll = {"grant_type": "device_code", "device_code": begun["device_code"]}
    refused(world.token(**poll), "authorization_pending", 70016)
    refused(world.token(**poll), "slow_down", 90055)
    world.clock.at += 10 * SECOND
    refused(world.token(**poll), "authorization_pending", 70016)
    world.clock.at += 15 * MINUTE
    refused(world.token(**poll), "expired_token", 70020)
    world.type_in("/device")
    assert "not right" in type_code(world, begun["user_code"], "yes").text


def test_a_person_may_say_no(world: World) -> None:
    begun = start(world)
    world.type_in("/device")
    type_code(world, begun["user_code"], "no")
    refused(world.token(grant_type="device_code", code=begun["device_code"]), "authorization_declined", 70022)
    assert "not right" in type_code(world, begun["user_code"], "yes").text


def test_many_wrong_user_codes_are_told_to_wait(world: World) -> None:
    begun = start(world)
    world.type_in("/device")
    for _ in range(10):
        assert "not right" in type_code(world, "BBBB-BBBB").text
    assert "Too many wrong codes" in type_code(world, begun["user_code"], "yes").text


def test_passwords_are_not_taken_from_applications(world: World) -> None:
    answer = world.token(grant_type="password", username="ann@corp.example", password=PASSWORD)
    refused(answer, "unsupported_grant_type", 70003)


def test_a_public_application_has_no_secret_to_send_and_none_of_its_own_name_to_act_in(world: World) -> None:
    refused(world.token(code=world.code(), client_secret="x"), "invalid_client", 700025, 401)
    own = world.token(grant_type="client_credentials", scope=f"{RESOURCE}/.default")
    refused(own, "invalid_client", 7000218, 401)


def test_a_disabled_application_gets_nothing_for_anybody(world: World) -> None:
    answer = world.token(code=world.code()).json()
    code = world.code()
    world.client.registry.disable_application(world.tenant_id, world.program.app_id, world.clock())
    world.clock.at += 31 * SECOND
    assert incidents(world, answer["access_token"]).status_code == 401
    refused(world.token(code=code), "unauthorized_client", 7000112)
    refused(world.refresh(answer["refresh_token"]), "unauthorized_client", 7000112)
    assert world.http.get(world.ask(), follow_redirects=False).status_code == 400


def test_several_organisations_are_told_apart_on_the_page(world: World) -> None:
    assert not [each for each in Tree(world.http.get("/sign-in").text).all("input") if each["name"] == "organisation"]
    other = world.client.registry.create_tenant("other.example", "77777777-2222-4333-8444-555555555555", world.clock())
    world.people.create_user(other.tenant_id, "ann@corp.example", now=world.clock(), password_hash=HASH)
    shown = Tree(world.http.get("/sign-in").text)
    assert [each for each in shown.all("input") if each["name"] == "organisation"]
    assert world.type_in().status_code == 401
    answer = world.type_in("/sign-in?organisation=other.example")
    assert answer.status_code == 303
    assert "Seen" not in page(world.client, "/incidents").text


def test_discovery_says_where_all_of_this_is(world: World, clock: HandClock) -> None:
    document = world.http.get(f"/{world.guid}/v2.0/.well-known/openid-configuration").json()
    assert isinstance(world.http, TestClient)
    for name, method, status in (
        ("authorization_endpoint", "GET", 400), ("device_authorization_endpoint", "POST", 400),
        ("revocation_endpoint", "POST", 400), ("end_session_endpoint", "GET", 200), ("token_endpoint", "POST", 400),
    ):  # fmt: skip
        assert world.http.request(method, urlsplit(document[name]).path).status_code == status, name
    assert "private_key_jwt" in document["token_endpoint_auth_methods_supported"]
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert Permission.READ not in document["scopes_supported"]


def test_the_audit_log_names_who_signed_in_and_got_a_token_and_never_what_opens_anything(world: World) -> None:
    code = world.code()
    answer = world.token(code=code).json()
    world.type_in(password="a-wrong-password")
    waiting = world.client.service.witness.flush(world.client.service.writer)
    if waiting is not None:
        waiting.result(30)
    connection = open_reader(world.client.service.settings.data_dir / DATABASE_NAME)
    said = b"\n".join(bytes(str(record), "utf-8") for (record,) in connection.execute("SELECT record FROM audit"))
    assert f"user:{world.ann.user_id} app:{world.program.app_id}".encode() in said
    assert b"wrong name or password" in said
    for hidden in (PASSWORD, "a-wrong-password", code, answer["access_token"], answer["refresh_token"]):
        assert hidden.encode() not in said
