"""Which server a command talks to: the one of this machine and data folder, or one that is named."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import httpx2
import typer

from tocsin.config import Settings
from tocsin.errors import InvalidInput, Unavailable
from tocsin.local import find_server, read_local_key, require_server
from tocsin.shipping import Server

AUTHORITY: Final = Path("tls") / "ca.pem"
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")

UrlOption = Annotated[str, typer.Option("--url", help="Base URL of the server, where it is not the local one.")]
KeyOption = Annotated[
    str, typer.Option("--key", envvar="TOCSIN_INGEST_KEY", help="Ingest key; the local server's where none is given.")
]
CacertOption = Annotated[
    Path | None, typer.Option("--cacert", help="Certificate file to trust, e.g. the server's tls/ca.pem.")
]


def base_url(settings: Settings, url: str) -> str:
    """The server's base URL, checked. Raises InvalidInput."""
    if not url:
        return require_server(settings.data_dir).url
    try:
        parts = httpx2.URL(url)
    except httpx2.InvalidURL as error:
        raise InvalidInput(f"--url {url[:80]!r} is no URL: {error}") from None
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.host in _LOOPBACK):
        raise InvalidInput(f"--url must be like https://tocsin.example.org:8443, not {url[:80]!r}")
    return url.rstrip("/")


def authority_of(settings: Settings, url: str, cacert: Path | None) -> Path | None:
    """What to trust: as given, else the local authority where the server is local, else (None) the system's."""
    if cacert is not None or url:
        return cacert
    return settings.data_dir / AUTHORITY


def named_server(settings: Settings, url: str, key: str, cacert: Path | None) -> Server:
    """The server to send to. Raises InvalidInput when no server runs or no key is known."""
    address = base_url(settings, url)
    if url and not key:
        raise InvalidInput("--url needs --key (or TOCSIN_INGEST_KEY): an ingest key of that server")
    return Server(address, key or read_local_key(settings.data_dir), authority_of(settings, url, cacert))


def current_server(settings: Settings, url: str, key: str, cacert: Path | None) -> Server:
    """As `named_server`, but a local server that is down now is Unavailable: it may come back, elsewhere."""
    if not url and find_server(settings.data_dir) is None:
        raise Unavailable(f"no server is running on {settings.data_dir}")
    return named_server(settings, url, key, cacert)
