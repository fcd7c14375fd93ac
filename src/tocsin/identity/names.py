"""What this service is called: its base URLs, the names in its certificate, the audiences of its tokens.

One server is reached by several names (`localhost`, `127.0.0.1`, the public one). Sign-in libraries demand that
the issuer is on the same origin as the discovery document they read (`tokens.md`), so each name is an issuer of
its own with the same keys. The names are a fixed set made from the settings; a Host header only selects one.
Pure.
"""

from __future__ import annotations

import ipaddress
from typing import Final
from urllib.parse import urlsplit

import msgspec

from tocsin.config import Settings
from tocsin.errors import InvalidInput

LOOPBACK_HOSTS: Final = ("localhost", "127.0.0.1", "::1")
RESOURCES: Final = (
    "https://api.security.microsoft.com",
    "https://security.microsoft.com/mtp",
    "https://api.securitycenter.microsoft.com",
    "https://api.securitycenter.windows.com",
    "https://securitycenter.onmicrosoft.com/windowsatpservice",
    "https://graph.microsoft.com",
)
"""Names under which clients ask for this API (`tokens.md`; `incidents-api.md` section 5), beside our own URL."""

_WILDCARDS: Final = ("", "0.0.0.0", "::")  # noqa: S104 - recognised, not bound


class ServiceNames(msgspec.Struct, frozen=True):
    """`base_url` has no slash at its end; `bases` gives the base URL for each Host header we know."""

    base_url: str
    bases: dict[str, str]
    certificate_hosts: tuple[str, ...]

    def base_for(self, host: str) -> str:
        """The base URL under which a caller with this Host header reaches us; the main one for an unknown host."""
        return self.bases.get(host.strip().lower().removesuffix(":443"), self.base_url)

    def audiences(self) -> frozenset[str]:
        """Every text that `aud` may be, `resource` may ask for, and `scope` may have before `/.default`."""
        names = (*RESOURCES, *self.bases.values())
        return frozenset(names) | {f"{name}/" for name in names}


def service_names(settings: Settings, port: int | None = None) -> ServiceNames:
    """Derive the names from the settings. `port` is the one really listened on, where the setting is 0.

    Raises InvalidInput when `public_url` is not an https URL.
    """
    listen_port = settings.listen_port if port is None else port
    listen_host = "localhost" if settings.listen_host in _WILDCARDS else settings.listen_host.lower()
    hosts = [listen_host, *LOOPBACK_HOSTS]
    netlocs = [_netloc(host, listen_port) for host in hosts]
    bases = {netloc: f"https://{netloc}" for netloc in netlocs}
    base_url = bases[netlocs[0]]
    if settings.public_url:
        public_host, netloc, base_url = _parse_public_url(settings.public_url)
        bases[netloc] = base_url
        hosts.append(public_host)
    return ServiceNames(base_url, bases, tuple(dict.fromkeys(hosts)))


def _netloc(host: str, port: int | None) -> str:
    shown = f"[{host}]" if ":" in host else host
    return shown if port in (None, 443) else f"{shown}:{port}"


def _parse_public_url(text: str) -> tuple[str, str, str]:
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
        if host and ":" in host:
            ipaddress.IPv6Address(host)
    except ValueError as error:
        raise InvalidInput(f"the setting public_url is not a URL: {error}") from None
    if parts.scheme != "https" or not host or parts.query or parts.fragment or parts.username is not None:
        raise InvalidInput(
            f"the setting public_url must be like https://tocsin.example.org, not {text[:80]!r} "
            "(sign-in libraries refuse plain http)"
        )
    netloc = _netloc(host, port)
    return host, netloc, f"https://{netloc}{parts.path.rstrip('/')}"
