"""The service has a fixed set of names, and a Host header only chooses among them."""

from __future__ import annotations

import pytest

from tocsin.config import Settings
from tocsin.errors import InvalidInput
from tocsin.identity.names import service_names


@pytest.mark.parametrize(
    ("settings", "port", "base_url"),
    [
        (Settings(), None, "https://127.0.0.1:8443"),
        (Settings(listen_port=0), 51000, "https://127.0.0.1:51000"),
        (Settings(listen_port=443, listen_host="Tocsin.Example"), None, "https://tocsin.example"),
        (Settings(listen_host="0.0.0.0"), None, "https://localhost:8443"),
        (Settings(listen_host="::1"), None, "https://[::1]:8443"),
        (Settings(public_url="https://Tocsin.Example.org/"), None, "https://tocsin.example.org"),
        (Settings(public_url="https://tocsin.example.org:443/soc/"), None, "https://tocsin.example.org/soc"),
        (Settings(public_url="https://tocsin.example.org:9443"), None, "https://tocsin.example.org:9443"),
    ],
)
def test_the_base_url_comes_from_the_settings(settings: Settings, port: int | None, base_url: str) -> None:
    assert service_names(settings, port).base_url == base_url


@pytest.mark.parametrize(
    "public_url",
    ["http://a.example", "a.example", "https://", "https://a.example:x", "https://a.example?q", "https://u@a.example",
     "https://[::1", "https://a.example:99999"],
)  # fmt: skip
def test_a_public_url_that_clients_could_not_use_is_refused(public_url: str) -> None:
    with pytest.raises(InvalidInput, match="public_url"):
        service_names(Settings(public_url=public_url))


@pytest.mark.parametrize(
    ("host", "base_url"),
    [
        ("localhost:8443", "https://localhost:8443"),
        ("LOCALHOST:8443", "https://localhost:8443"),
        ("127.0.0.1:8443", "https://127.0.0.1:8443"),
        ("[::1]:8443", "https://[::1]:8443"),
        ("tocsin.example", "https://tocsin.example"),
        ("tocsin.example:443", "https://tocsin.example"),
        ("localhost", "https://tocsin.example"),
        ("localhost:8443.evil.example", "https://tocsin.example"),
        ("evil.example", "https://tocsin.example"),
        ("", "https://tocsin.example"),
    ],
)
def test_a_known_host_gets_its_own_base_and_an_unknown_one_the_main_base(host: str, base_url: str) -> None:
    assert service_names(Settings(public_url="https://tocsin.example")).base_for(host) == base_url


def test_the_port_443_may_be_said_or_left_out() -> None:
    names = service_names(Settings(public_url="https://tocsin.example", listen_port=443))
    assert names.base_for("localhost:443") == names.base_for("localhost") == "https://localhost"


def test_audiences_are_the_aliases_and_our_own_urls_with_and_without_slash() -> None:
    audiences = service_names(Settings(public_url="https://tocsin.example")).audiences()
    for name in (
        "https://api.security.microsoft.com",
        "https://security.microsoft.com/mtp",
        "https://api.securitycenter.microsoft.com",
        "https://api.securitycenter.windows.com",
        "https://graph.microsoft.com",
        "https://tocsin.example",
        "https://localhost:8443",
    ):
        assert {name, f"{name}/"} <= audiences


def test_the_certificate_names_every_host_once() -> None:
    names = service_names(Settings(listen_host="10.0.0.7", public_url="https://tocsin.example"))
    assert names.certificate_hosts == ("10.0.0.7", "localhost", "127.0.0.1", "::1", "tocsin.example")
