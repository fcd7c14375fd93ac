"""The client's address and scheme: the connection's own, or what a proxy forwards that was named as trusted.

Anybody can send X-Forwarded-For. It is believed only from the proxies of the setting `trusted_proxies`, read from the
right, where the nearest proxy writes, and only up to the first address that is not one of them. Pure.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from tocsin.errors import InvalidInput

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_HOPS_MAX: Final = 50
_PAIR: Final = re.compile(r'\s*(for|proto)\s*=\s*(?:"([^"]*)"|([^\s;,"]*))\s*', re.IGNORECASE | re.ASCII)


class Client(msgspec.Struct, frozen=True):
    """Where a request comes from. `scheme` is the one between client and outermost proxy: `https` or `http`."""

    address: str
    scheme: str


class Proxies(msgspec.Struct, frozen=True):
    """Which peers are believed, and which header they write: `x-forwarded-for` or `forwarded`."""

    networks: tuple[Network, ...]
    header: str

    def client_of(self, peer: str, headers: Iterable[tuple[bytes, bytes]]) -> Client:
        """The client of a request from its raw headers; what is forged or unreadable is left out.

        An address behind a trusted proxy that is no address (`unknown`, a hidden name) gives the proxy's own.
        """
        address = _address(peer)
        if not self.networks or address is None or not self._trusts(address):
            return Client(_shown(address, peer), "https")
        raw = list(headers)
        if self.header == "forwarded":
            hops = [_pairs(element) for element in _elements(raw, b"forwarded")]
            chain, schemes = [hop.get("for", "") for hop in hops], [hop.get("proto", "") for hop in hops]
        else:
            chain, schemes = _elements(raw, b"x-forwarded-for"), _elements(raw, b"x-forwarded-proto")
        found, passed = self._outermost(address, chain)
        return Client(str(found), _scheme(schemes, passed))

    def _outermost(self, peer: Address, chain: Sequence[str]) -> tuple[Address, int]:
        """The first address from the right that is no trusted proxy, and how many elements were passed to get there."""
        found = peer
        for passed, text in enumerate(reversed(chain[-_HOPS_MAX:]), 1):
            address = _address(_without_port(text))
            if address is None:
                return found, passed - 1
            found = address
            if not self._trusts(address):
                return found, passed
        return found, min(len(chain), _HOPS_MAX)

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self.networks)


def read_proxies(setting: str, header: str) -> Proxies:
    """Read `trusted_proxies` and `trusted_proxy_header`. Raises InvalidInput naming the entry that is none."""
    networks = []
    for entry in setting.split(","):
        if not entry.strip():
            continue
        try:
            networks.append(ipaddress.ip_network(entry.strip(), strict=False))
        except ValueError:
            raise InvalidInput(
                f"the setting trusted_proxies has {entry.strip()[:60]!r}, which is no address and no network "
                "like 10.0.0.0/8"
            ) from None
    return Proxies(tuple(networks), header)


def _scheme(schemes: Sequence[str], passed: int) -> str:
    """What the proxy says that the client spoke to; one that appends writes as many of these as addresses."""
    at = len(schemes) - max(passed, 1)
    said = schemes[max(at, 0)].strip().lower() if schemes else "https"
    return "http" if said == "http" else "https"


def _elements(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> list[str]:
    joined = b",".join(value for key, value in headers if key == name)
    return [part.strip() for part in joined.decode("latin-1").split(",")] if joined else []


def _pairs(element: str) -> dict[str, str]:
    return {found[1].lower(): found[2] if found[2] is not None else found[3] for found in _PAIR.finditer(element)}


def _without_port(text: str) -> str:
    """`192.0.2.1:4711` and `[2001:db8::1]:4711` without their ports."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    host, colon, _ = text.rpartition(":")
    return host if colon and ":" not in host else text


def _address(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _shown(address: Address | None, peer: str) -> str:
    return peer[:60] if address is None else str(address)
