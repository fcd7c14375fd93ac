"""Who may look at the portal: one-time codes, sessions, tenants; and the headers that every answer carries."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from http.cookies import SimpleCookie
from importlib import resources
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from house import Client, HandClock, native, running
from tocsin.app import asgi
from tocsin.config import Settings
from tocsin.errors import Unauthenticated
from tocsin.ingest import read_delivery
from tocsin.senders import REGISTRY
from tocsin.service import Service
from tocsin.ticks import DAY, HOUR, MINUTE, SECOND
from tocsin.web.csrf import FIELD
from tocsin.web.portal.session import COOKIE, mint_sign_in_code, use_sign_in_code
from visitor import Tree, page, sign_in

PAGES = ("/", "/incidents", "/incidents/1", "/incidents/999", "/incidents/x", "/incidents?severity=bad")


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def client(tmp_path: Path, clock: HandClock) -> Iterator[Client]:
    with running(tmp_path, clock) as running_client:
        running_client.ingest(native(1, title="Seen by members alone"))
        yield running_client


def minted(client: Client) -> str:
    return mint_sign_in_code(client.service.settings.data_dir, client.tenant.tenant_id, client.service.clock())


def test_without_a_session_every_page_says_the_same_and_nothing_of_what_is_there(client: Client) -> None:
    for path in PAGES:
        answer = client.http.get(path, headers={"authorization": f"Bearer {client.token}"})
        assert answer.status_code == 200
        assert answer.url.path == "/sign-in"
        assert "tocsin portal" in answer.text
        assert "members alone" not in answer.text
        there = client.http.get(path, follow_redirects=False)
        assert (there.status_code, there.text) == (303, "")


def test_a_link_opens_a_session_once(client: Client) -> None:
    code = minted(client)
    first = client.http.get(f"/sign-in?code={code}", follow_redirects=False)
    assert (first.status_code, first.headers["location"]) == (303, "/incidents")
    assert "Seen by members alone" in client.http.get("/incidents").text
    client.http.cookies.clear()
    second = client.http.get(f"/sign-in?code={code}", follow_redirects=False)
    assert second.status_code == 401
    assert "set-cookie" not in second.headers


def test_the_cookie_is_the_hosts_own_and_unreadable_for_scripts(client: Client) -> None:
    answer = client.http.get(f"/sign-in?code={minted(client)}", follow_redirects=False)
    cookie = SimpleCookie(answer.headers["set-cookie"])[COOKIE]
    assert COOKIE.startswith("__Host-")
    assert (cookie["path"], cookie["domain"], cookie["samesite"], cookie["max-age"]) == ("/", "", "lax", "43200")
    assert cookie["secure"]
    assert cookie["httponly"]
    assert len(cookie.value) == 64


def test_a_preview_that_asks_for_the_head_leaves_the_code_usable(client: Client) -> None:
    code = minted(client)
    assert client.http.head(f"/sign-in?code={code}").status_code == 200
    assert client.http.get(f"/sign-in?code={code}").status_code == 200


def test_a_code_that_was_never_minted_is_refused(client: Client) -> None:
    minted(client)
    for code in ("", "0" * 64, "../tocsin.db", "é", "a" * 10_000):
        assert client.http.get("/sign-in", params={"code": code}).status_code == 401


def signed_in(client: Client) -> bool:
    return client.http.get("/incidents", follow_redirects=False).status_code == 200


def test_a_code_ends_after_ten_minutes_and_a_session_after_twelve_hours_or_four_idle(
    client: Client, clock: HandClock
) -> None:
    code = minted(client)
    clock.at += 10 * MINUTE
    assert client.http.get(f"/sign-in?code={code}").status_code == 401
    code = minted(client)
    clock.at += 10 * MINUTE - 1
    assert client.http.get(f"/sign-in?code={code}").status_code == 200
    opened = clock.at
    for _ in range(4):
        clock.at += 4 * HOUR - 1 if clock.at + 4 * HOUR < opened + 12 * HOUR else opened + 12 * HOUR - 1 - clock.at
        assert signed_in(client)
    assert clock.at == opened + 12 * HOUR - 1
    clock.at += 1
    assert not signed_in(client)
    sign_in(client)
    clock.at += 4 * HOUR
    assert not signed_in(client)


def test_a_session_outlives_a_restart(tmp_path: Path, clock: HandClock) -> None:
    with running(tmp_path, clock) as before:
        sign_in(before)
        cookie = before.http.cookies[COOKIE]
    service = Service(Settings(data_dir=tmp_path), clock, lambda: None)
    try:
        with TestClient(asgi(service), base_url=service.names.base_url, follow_redirects=False) as http:
            assert http.get("/incidents").status_code == 303
            http.cookies.set(COOKIE, cookie)
            assert http.get("/incidents").status_code == 200
    finally:
        service.close()


def test_signing_out_ends_the_session_and_takes_a_form_of_our_own(client: Client) -> None:
    sign_in(client)
    cookie = client.http.cookies[COOKIE]
    (field,) = [each for each in page(client, "/incidents").all("input") if each.get("name") == FIELD]
    own = {"origin": "https://127.0.0.1:8443"}
    for data, headers in (
        ({FIELD: ""}, own),
        ({FIELD: "x"}, own),
        ({FIELD: field["value"] or ""}, {"origin": "https://evil.example"}),
    ):
        assert client.http.post("/sign-out", data=data, headers=headers).status_code == 403
        assert signed_in(client)
    answer = client.http.post("/sign-out", data={FIELD: field["value"] or ""}, headers=own)
    assert "You are signed out" in answer.text
    assert COOKIE not in client.http.cookies
    client.http.cookies.set(COOKIE, cookie)
    assert not signed_in(client)


def test_a_session_id_that_was_made_up_is_refused(client: Client) -> None:
    made_up = {"cookie": f"{COOKIE}={'0' * 64}"}
    assert client.http.get("/incidents", headers=made_up, follow_redirects=False).status_code == 303


def test_incidents_of_another_tenant_are_not_found(client: Client) -> None:
    other = client.registry.create_tenant("other.example", str(uuid.uuid4()), client.service.clock())
    body = b'{"providerAlertId":"o1","title":"Theirs","serviceSource":"T","firstActivity":"2026-03-02T09:00:00Z"}'
    client.service.writer.submit(read_delivery(REGISTRY["native"], other.tenant_id, body, 10)).result(30)
    sign_in(client)
    assert "Theirs" not in page(client, "/incidents").text
    assert "Theirs" not in page(client, "/incidents/1").text
    assert "Theirs" not in page(client, f"/incidents/1?tid={other.guid}", 404).text
    assert "members alone" not in page(client, f"/incidents/1?tid={other.guid}", 404).text
    client.http.cookies.clear()
    sign_in(client, other.tenant_id)
    assert "Theirs" in page(client, f"/incidents/1?tid={other.guid}").text
    assert "members alone" not in page(client, "/incidents").text


def test_what_is_past_retention_is_not_found(client: Client, clock: HandClock) -> None:
    clock.at += 180 * DAY + SECOND
    sign_in(client)
    assert "All quiet" in page(client, "/incidents").text
    page(client, "/incidents/1", 404)


def test_the_address_in_incident_uri_leads_to_the_incident(client: Client) -> None:
    sign_in(client)
    uri = client.get("/api/incidents/1").json()["incidentUri"]
    assert "Seen by members alone" in page(client, uri).text


@pytest.mark.parametrize("signed_in", [False, True])
def test_every_page_forbids_scripts_frames_sniffing_and_referrers_to_others(client: Client, signed_in: bool) -> None:
    if signed_in:
        sign_in(client)
    for path in ("/", "/incidents", "/incidents/1", "/incidents/9", "/sign-in", "/static/none"):
        headers = client.http.get(path, follow_redirects=False).headers
        policy = dict(part.strip().partition(" ")[::2] for part in headers["content-security-policy"].split(";"))
        assert policy == {
            "default-src": "'none'",
            "style-src": "'self'",
            "img-src": "'self'",
            "form-action": "'self'",
            "base-uri": "'none'",
            "frame-ancestors": "'none'",
        }
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cache-control"] == "no-store"


def test_static_files_are_kept_for_ever(client: Client) -> None:
    answer = client.http.get("/static/portal.css")
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_https_is_demanded_for_a_public_name_and_not_for_the_machine_itself(tmp_path: Path) -> None:
    with running(tmp_path, HandClock(), public_url="https://tocsin.example.org") as client:
        public = client.http.get("/incidents", headers={"host": "tocsin.example.org"})
        local = client.http.get("/incidents", headers={"host": "localhost:8443"})
        assert public.headers["strict-transport-security"] == "max-age=31536000"
        assert "strict-transport-security" not in local.headers


def test_pages_fit_their_policy_and_ask_nobody_else(client: Client) -> None:
    sign_in(client)
    for path in ("/incidents", "/incidents/1", "/incidents/77"):
        tree = Tree(client.http.get(path).text)
        assert not tree.all("script")
        assert not tree.all("style")
        for tag, attributes in tree.elements:
            assert not [name for name in attributes if name == "style" or name.startswith("on")], (tag, attributes)
            for name in ("href", "src", "action"):
                assert (attributes.get(name) or "/").startswith(("/", "#", "?")), (tag, attributes)
        assert all(client.http.get(link["href"] or "").status_code == 200 for link in tree.all("link"))


def test_nothing_can_be_changed(client: Client) -> None:
    sign_in(client)
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        for path in ("/", "/incidents", "/incidents/1"):
            ours = {"sec-fetch-site": "same-origin"}
            assert client.http.request(method, path, headers=ours).status_code == 405
            assert client.http.request(method, path).status_code == 403, "not sent by a page of ours"


def test_codes_lie_in_a_private_folder_as_hashes_and_are_swept(tmp_path: Path) -> None:
    old = mint_sign_in_code(tmp_path, 1, 0)
    (tmp_path / "portal-codes").chmod(0o755)
    new = mint_sign_in_code(tmp_path, 2, 10 * MINUTE)
    (kept,) = (tmp_path / "portal-codes").iterdir()
    assert (tmp_path / "portal-codes").stat().st_mode & 0o777 == 0o700
    assert kept.stat().st_mode & 0o777 == 0o600
    assert kept.name not in (old, new)
    assert new not in kept.read_text()
    assert use_sign_in_code(tmp_path, new, 10 * MINUTE) == 2
    assert list((tmp_path / "portal-codes").iterdir()) == []


def test_a_damaged_code_file_opens_nothing(tmp_path: Path) -> None:
    code = mint_sign_in_code(tmp_path, 1, 0)
    (kept,) = (tmp_path / "portal-codes").iterdir()
    kept.write_text("{")
    with pytest.raises(Unauthenticated):
        use_sign_in_code(tmp_path, code, 0)


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", [0, 1])
def test_texts_can_be_read_on_their_grounds_in_light_and_in_dark(scheme: int) -> None:
    style = (resources.files("tocsin.web.portal") / "static" / "portal.css").read_text()
    colours = dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{6})", style.split("prefers-color-scheme: dark")[scheme]))
    texts = ("ink", "ink-2", "quiet", "accent", "high", "medium", "low", "informational", "unspecified", "brand")
    for text in texts:
        for ground in ("surface", "raised"):
            lighter, darker = sorted((_luminance(colours[text]), _luminance(colours[ground])), reverse=True)
            assert (lighter + 0.05) / (darker + 0.05) >= 4.5, (text, ground)
