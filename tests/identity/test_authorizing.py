"""Where a code may be sent: registered addresses, and free ports of the machine itself."""

from __future__ import annotations

import pytest

from tocsin.errors import InvalidInput
from tocsin.identity.authorizing import parse_redirect_uri
from tocsin.identity.credentials import new_user_code, parse_user_code


@pytest.mark.parametrize(
    "uri",
    ["https://a.example/back", "https://a.example:8443/back?x=1", "http://localhost", "http://127.0.0.1:99/x",
     "http://[::1]/", "msal7f9c://auth", "org.example.app:/back"],
)  # fmt: skip
def test_these_may_be_registered(uri: str) -> None:
    assert parse_redirect_uri(f" {uri} ") == uri


@pytest.mark.parametrize(
    "uri",
    ["", "x", "//a.example", "http://a.example", "http://localhost.evil.example", "https://", "https://a.example/#x",
     "https://u:p@a.example", "https://*.a.example", "javascript:alert(1)", "data:text/html,x", "file:///etc/passwd",
     "https://a.example/\nx", "https://a.example/ x", "https://a.example\\@evil.example", "https://a.example:x",
     "https://é.example", "https://a.example/;x", "https://a.example/" + "x" * 2000, "http://localhost@evil.example"],
)  # fmt: skip
def test_these_may_not(uri: str) -> None:
    with pytest.raises(InvalidInput):
        parse_redirect_uri(uri.strip(" ") or " ")


def test_a_short_code_is_read_however_it_is_typed() -> None:
    code = new_user_code()
    assert len(code) == 8
    assert code == parse_user_code(f" {code[:4].lower()}-{code[4:]}. ")
    assert new_user_code() != new_user_code()
