"""Where a request comes from: forwarding headers are believed from named proxies alone."""

from __future__ import annotations

import pytest

from tocsin.errors import InvalidInput
from tocsin.web.proxies import Client, read_proxies

PROXY, OTHER_PROXY, CLIENT, FORGED = "10.0.0.1", "10.0.0.2", "192.0.2.7", "203.0.113.9"


def client(
    peer: str, *headers: tuple[str, str], trusted: str = "10.0.0.0/24", header: str = "x-forwarded-for"
) -> Client:
    raw = [(name.encode(), value.encode()) for name, value in headers]
    return read_proxies(trusted, header).client_of(peer, raw)


@pytest.mark.parametrize("trusted", ["", "10.0.0.0/24"])
def test_a_stranger_is_who_connects_whatever_is_forwarded(trusted: str) -> None:
    forged = [("x-forwarded-for", FORGED), ("forwarded", f"for={FORGED}"), ("x-forwarded-proto", "http")]
    assert client(CLIENT, *forged, trusted=trusted) == Client(CLIENT, "https")


def test_by_default_no_proxy_is_trusted() -> None:
    assert client(PROXY, ("x-forwarded-for", FORGED), trusted="") == Client(PROXY, "https")


@pytest.mark.parametrize(
    ("forwarded", "expected"),
    [
        (CLIENT, CLIENT),
        (f"{FORGED}, {CLIENT}", CLIENT),
        (f"{FORGED}, {CLIENT}, {OTHER_PROXY}", CLIENT),
        (f"{PROXY}, {FORGED}, {CLIENT}", CLIENT),
        (f"{CLIENT}:4711", CLIENT),
        ("[2001:db8::7]:4711", "2001:db8::7"),
        ("2001:db8::7", "2001:db8::7"),
        ("::ffff:192.0.2.7", CLIENT),
        (f"{FORGED}, unknown", PROXY),
        (f"{FORGED}, nonsense, {OTHER_PROXY}", OTHER_PROXY),
        ("", PROXY),
        (",,,", PROXY),
        (f"{OTHER_PROXY}", OTHER_PROXY),
    ],
)
def test_behind_a_trusted_proxy_it_is_the_nearest_address_that_is_none(forwarded: str, expected: str) -> None:
    assert client(PROXY, ("x-forwarded-for", forwarded)).address == expected


def test_several_headers_are_read_as_one_in_their_order() -> None:
    assert client(PROXY, ("x-forwarded-for", FORGED), ("x-forwarded-for", CLIENT)).address == CLIENT


def test_the_header_that_the_proxy_does_not_write_is_ignored() -> None:
    both = [("x-forwarded-for", FORGED), ("forwarded", f'for="{CLIENT}";proto=https')]
    assert client(PROXY, *both, header="forwarded").address == CLIENT
    assert client(PROXY, ("forwarded", f"for={FORGED}")).address == PROXY


@pytest.mark.parametrize(
    ("forwarded", "expected"),
    [
        (f"for={CLIENT};proto=http;by=10.0.0.1", Client(CLIENT, "http")),
        (f"for={FORGED};proto=http, for={CLIENT};proto=https", Client(CLIENT, "https")),
        ('For="[2001:db8::7]:4711"', Client("2001:db8::7", "https")),
        ("for=_hidden", Client(PROXY, "https")),
        ("for=;;=;for", Client(PROXY, "https")),
    ],
)
def test_the_standard_header_is_read_as_well(forwarded: str, expected: Client) -> None:
    assert client(PROXY, ("forwarded", forwarded), header="forwarded") == expected


def test_the_scheme_is_the_one_that_the_nearest_proxy_says() -> None:
    said = [("x-forwarded-for", f"{FORGED}, {CLIENT}"), ("x-forwarded-proto", "https, http")]
    assert client(PROXY, *said).scheme == "http"
    assert client(PROXY, ("x-forwarded-for", CLIENT), ("x-forwarded-proto", "javascript")).scheme == "https"


def test_an_endless_chain_costs_no_more_than_a_bounded_one() -> None:
    assert client(PROXY, ("x-forwarded-for", f"{FORGED}," + f"{OTHER_PROXY}," * 10_000)).address in (OTHER_PROXY, PROXY)


@pytest.mark.parametrize("setting", ["10.0.0.0/33", "proxy.example", "10.0.0.1, everybody"])
def test_what_is_no_network_is_told_at_the_start(setting: str) -> None:
    with pytest.raises(InvalidInput, match="trusted_proxies"):
        read_proxies(setting, "x-forwarded-for")
