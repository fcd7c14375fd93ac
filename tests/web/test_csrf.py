"""Forms that only our own pages can send."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response

from tocsin.config import Settings
from tocsin.errors import Forbidden, InvalidInput, TooLarge
from tocsin.identity.names import service_names
from tocsin.web.csrf import FIELD, FORM_BYTES_MAX, FORM_COOKIE, Forms, load_form_key, require_own_origin

NAMES = service_names(Settings(public_url="https://tocsin.example.org/soc"))
FORM = "application/x-www-form-urlencoded"


def posted(body: bytes, **headers: str) -> Request:
    """A POST as ASGI gives it."""
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return Request({"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": raw}, receive)


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "same-origin"},
        {"origin": "https://tocsin.example.org"},
        {"origin": "https://LOCALHOST:8443"},
        {"sec-fetch-site": "same-origin", "origin": "null"},
    ],
)
def test_a_post_of_our_own_page_passes(headers: dict[str, str]) -> None:
    require_own_origin("POST", headers, NAMES)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "null"},
        {"origin": "https://evil.example"},
        {"origin": "https://tocsin.example.org.evil.example"},
        {"origin": "http://tocsin.example.org"},
        {"origin": "https://localhost:8444"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site", "origin": "https://tocsin.example.org"},
        {"sec-fetch-site": "none"},
        {"referer": "https://tocsin.example.org/incidents"},
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_request_that_may_change_something_from_anywhere_else_is_refused(
    method: str, headers: dict[str, str]
) -> None:
    with pytest.raises(Forbidden):
        require_own_origin(method, headers, NAMES)


def test_reading_may_come_from_anywhere() -> None:
    require_own_origin("GET", {"sec-fetch-site": "cross-site"}, NAMES)


def test_a_token_is_good_for_its_own_browser_alone() -> None:
    forms = Forms(b"k" * 32, NAMES)
    forms.check("session-one", forms.token("session-one"))
    for binding, token in (
        ("session-two", forms.token("session-one")),
        ("session-one", ""),
        ("session-one", "ä" * 64),
        ("", forms.token("")),
        ("session-one", Forms(b"o" * 32, NAMES).token("session-one")),
    ):
        with pytest.raises(Forbidden):
            forms.check(binding, token)


def test_a_form_is_read_with_its_token_and_own_origin() -> None:
    forms = Forms(b"k" * 32, NAMES)
    body = f"name=a%20b&note=&{FIELD}={forms.token('mine')}".encode()
    fields = asyncio.run(forms.read(posted(body, sec_fetch_site="same-origin", content_type=FORM), "mine"))
    assert fields == {"name": "a b", "note": ""}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"sec_fetch_site": "cross-site"}, Forbidden),
        ({"content_type": "text/plain"}, InvalidInput),
        ({"content_type": "multipart/form-data; boundary=x"}, InvalidInput),
    ],
)
def test_a_form_that_comes_otherwise_is_refused(change: dict[str, str], expected: type[Exception]) -> None:
    forms = Forms(b"k" * 32, NAMES)
    body = f"{FIELD}={forms.token('mine')}".encode()
    headers = {"sec_fetch_site": "same-origin", "content_type": FORM, **change}
    with pytest.raises(expected):
        asyncio.run(forms.read(posted(body, **headers), "mine"))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"name=a", Forbidden),
        (b"%FF=1", InvalidInput),
        (b"&".join([b"a=1"] * 300), InvalidInput),
        (b"a" * (FORM_BYTES_MAX + 1), TooLarge),
    ],
)
def test_a_form_without_token_or_out_of_bounds_is_refused(body: bytes, expected: type[Exception]) -> None:
    forms = Forms(b"k" * 32, NAMES)
    with pytest.raises(expected):
        asyncio.run(forms.read(posted(body, sec_fetch_site="same-origin", content_type=FORM), "mine"))


def test_before_sign_in_the_form_is_bound_to_a_cookie_that_only_this_server_sets() -> None:
    forms = Forms(b"k" * 32, NAMES)
    binding, token = forms.before_sign_in(posted(b""))
    forms.check(binding, token)
    response = Response()
    forms.bind(response, binding)
    cookie = response.headers["set-cookie"]
    assert cookie.startswith(f"{FORM_COOKIE}={binding};")
    assert {"HttpOnly", "Secure", "SameSite=lax", "Path=/"} <= {part.strip() for part in cookie.split(";")}
    again = posted(b"", cookie=f"{FORM_COOKIE}={binding}")
    assert forms.before_sign_in(again) == (binding, token), "a second tab does not spoil the first"


def test_the_key_of_forms_is_kept_privately(tmp_path: Path) -> None:
    key = load_form_key(tmp_path)
    assert load_form_key(tmp_path) == key
    assert (tmp_path / "keys" / "forms.key").stat().st_mode & 0o777 == 0o600
