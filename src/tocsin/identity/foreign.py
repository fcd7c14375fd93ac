"""Issuers of others, as the operator describes them: whose tokens are taken, for what, and how their claims are read.

Pure. Key sets are `foreign_keys.py`, tokens `foreign_tokens.py`, who is behind them `foreign_callers.py`.
One issuer belongs to one tenant. No host is ever asked but the issuer's own and those named in `hosts`.
"""

from __future__ import annotations

import ipaddress
import re
import ssl
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from tocsin.access import APPLICATION_PERMISSIONS, DELEGATED_PERMISSIONS, Permission
from tocsin.errors import InvalidInput
from tocsin.identity.people import parse_foreign_subject

ALGORITHMS: Final = ("RS256", "PS256", "ES256")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}", re.ASCII)
_ENTRA: Final = re.compile(r"https://(?:login\.microsoftonline\.com|sts\.windows\.net)/([0-9a-f-]{36})/(?:v2\.0)?")
_TEXT_MAX: Final = 500
_TEXTS: Final = ("scp", "scope")
"""Claims that may be one text with spaces; every other must be a list."""


class Kind(StrEnum):
    """How a token of an application by itself is told from one of a person."""

    IDTYP = "idtyp"
    """`idtyp` says it; without it, `scp` is there for persons alone (Entra ID)."""
    SERVICE_ACCOUNT = "service-account"
    """The account is named after the client, and the client is named twice (Keycloak)."""
    SUBJECT = "subject"
    """`sub` is the client itself (RFC 9068 section 2.2)."""


class ForeignIssuer(msgspec.Struct, frozen=True, kw_only=True):
    """One issuer. Claims are named by paths (`claim_at`); what is not mapped gives nothing.

    `permissions` is the most that its applications may do, `clients` who may call with its tokens (`*`: all), `mapped`
    what a foreign value gives, beside our own names. `require` are claims that must have exactly these texts.
    `provision` makes a user of who is not known yet, with `roles`; `role_map` gives roles for values at `role_claims`.
    """

    tenant_id: int
    name: str
    issuer: str
    audiences: tuple[str, ...]
    title: str = ""
    algorithms: tuple[str, ...] = ALGORITHMS
    types: tuple[str, ...] = ("at+jwt",)
    kind: Kind = Kind.SUBJECT
    client_claims: tuple[str, ...] = ("azp", "client_id")
    subject_claim: str = "sub"
    application_claims: tuple[str, ...] = ("scope",)
    person_claims: tuple[str, ...] = ("scope",)
    name_claims: tuple[str, ...] = ("preferred_username", "email")
    display_claim: str = "name"
    permissions: frozenset[Permission] = frozenset()
    clients: tuple[str, ...] = ()
    mapped: Mapping[str, tuple[Permission, ...]] = {}
    require: Mapping[str, str] = {}
    provision: bool = False
    roles: tuple[str, ...] = ()
    role_claims: tuple[str, ...] = ()
    role_map: Mapping[str, str] = {}
    client_id: str = ""
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    hosts: tuple[str, ...] = ()
    authority: str = ""
    plain_loopback: bool = False

    @property
    def shown_name(self) -> str:
        """What the button on the sign-in page says."""
        return self.title or self.name

    def permits_client(self, client: str) -> bool:
        """Whether an application with this id may call."""
        return "*" in self.clients or client in self.clients

    def permissions_of(self, values: Iterable[str], *, person: bool) -> frozenset[Permission]:
        """What foreign values give: ours by their own names, others as mapped; never what is not for such a caller."""
        possible = DELEGATED_PERMISSIONS if person else APPLICATION_PERMISSIONS & self.permissions
        given: set[str] = set()
        for value in values:
            given.update(self.mapped.get(value, (value,)))
        return frozenset(permission for permission in possible if permission.value in given)

    def roles_of(self, claims: Mapping[str, Any]) -> frozenset[str]:
        """The names of our roles that a person's claims give, with those that everybody has."""
        found = {self.role_map[value] for value in values_at(claims, self.role_claims) if value in self.role_map}
        return frozenset((*self.roles, *found))

    def require_address(self, url: object) -> str:
        """An address that this issuer may have us ask. Raises InvalidInput."""
        if not isinstance(url, str) or not url.isprintable() or len(url) > _TEXT_MAX:
            raise InvalidInput(f"the issuer {self.name} names an address that is none")
        try:
            parts = urlsplit(url)
            host, _ = (parts.hostname or "").lower(), parts.port
        except ValueError:
            raise InvalidInput(f"the issuer {self.name} names an address that is none") from None
        own = urlsplit(self.issuer)
        if host != own.hostname and host not in self.hosts:
            raise InvalidInput(f"the issuer {self.name} points to the host {host!r}; name it with --host if it may")
        plain = parts.scheme == "http" and self.plain_loopback and is_loopback(host)
        if (parts.scheme != "https" and not plain) or parts.username is not None or parts.fragment:
            raise InvalidInput(f"the issuer {self.name} names an address that is not plain https: {url[:100]!r}")
        return url


PRESETS: Final[Mapping[str, Mapping[str, Any]]] = {
    "oidc": {},
    "entra": {
        "types": ("JWT", "at+jwt"),
        "algorithms": ("RS256",),
        "kind": Kind.IDTYP,
        "client_claims": ("azp", "appid"),
        "subject_claim": "oid",
        "application_claims": ("roles",),
        "person_claims": ("scp",),
        "name_claims": ("preferred_username", "upn"),
        "role_claims": ("roles",),
    },
    "keycloak": {
        "types": ("JWT", "at+jwt"),
        "kind": Kind.SERVICE_ACCOUNT,
        "client_claims": ("azp",),
        "application_claims": ("realm_access.roles",),
        "person_claims": ("scope",),
        "name_claims": ("preferred_username",),
        "role_claims": ("realm_access.roles",),
    },
}
"""What differs from the defaults for issuers that many have."""


def claim_at(claims: Mapping[str, Any], path: str) -> Any:
    """The claim at a path: a name, names with dots between, or with a slash before each (then a name may have dots).
    None where there is none."""
    if path in claims:
        return claims[path]
    parts = path.split("/")[1:] if path.startswith("/") else path.split(".")
    found: Any = claims
    for part in parts:
        if not isinstance(found, dict):
            return None
        found = found.get(part)
    return found


def values_at(claims: Mapping[str, Any], paths: Iterable[str]) -> frozenset[str]:
    """All texts at these paths. Raises InvalidInput for a value that is no list of texts; `scp` and `scope` may be one
    text with spaces."""
    found: set[str] = set()
    for path in paths:
        value = claim_at(claims, path)
        if value is None:
            continue
        if isinstance(value, str) and re.split(r"[./]", path)[-1] in _TEXTS:
            value = value.split(" ")
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise InvalidInput(f"the claim {path} is not a list of texts")
        found.update(value)
    return frozenset(found)


def is_loopback(host: str) -> bool:
    """Whether a host of a URL is this very machine."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def checked(issuer: ForeignIssuer, own_bases: Iterable[str] = ()) -> ForeignIssuer:
    """The issuer, if it makes sense. Raises InvalidInput saying what does not, and which option says it."""
    if not _NAME.fullmatch(issuer.name):
        raise InvalidInput(f"the name {issuer.name[:40]!r} must be of small letters, digits and dashes, at most 40")
    _check_url(issuer, own_bases)
    if not issuer.audiences:
        raise InvalidInput("--audience is needed: without it a token for anybody else would do")
    if issuer.client_id and issuer.client_id in issuer.audiences:
        raise InvalidInput("an audience must not be --client-id: ID tokens are for that, and are no access tokens")
    unknown = set(issuer.algorithms) - set(ALGORITHMS)
    if unknown or not issuer.algorithms:
        raise InvalidInput(f"--algorithm is one of {', '.join(ALGORITHMS)}")
    if issuer.permissions - APPLICATION_PERMISSIONS:
        raise InvalidInput(f"--permission is one of {', '.join(sorted(APPLICATION_PERMISSIONS))}")
    if bool(issuer.role_map) and not issuer.role_claims:
        raise InvalidInput("--map-role needs --role-claim: where the values stand")
    texts = _texts(msgspec.to_builtins(issuer))
    if any(len(text) > _TEXT_MAX or not text.isprintable() for text in texts if text != issuer.authority):
        raise InvalidInput(f"a value is longer than {_TEXT_MAX} characters, or has some that cannot be printed")
    if issuer.authority:
        _check_authority(issuer.authority)
    return issuer


def _check_url(issuer: ForeignIssuer, own_bases: Iterable[str]) -> None:
    url = issuer.issuer
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise InvalidInput(f"{url[:100]!r} is not a URL") from None
    if parts.scheme == "http" and is_loopback(host) and not issuer.plain_loopback:
        raise InvalidInput("an issuer without TLS on this machine must be allowed with --plain-loopback")
    if not host or parts.query or parts.fragment or parts.username is not None or "\\" in url or " " in url:
        raise InvalidInput("--issuer is an https URL without query, as `iss` of its tokens has it")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise InvalidInput("--issuer must begin with https://")
    parse_foreign_subject(url, "x")
    if any(url.startswith(f"{base}/") or url == base for base in own_bases):
        raise InvalidInput("this is the built-in issuer of this very server")


def _check_authority(pem: str) -> None:
    try:
        ssl.create_default_context(cadata=pem)
    except (ssl.SSLError, ValueError):
        raise InvalidInput("--ca is not a file of certificates in PEM") from None


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for pair in value.items() for part in pair for text in _texts(part)]
    return [text for each in value for text in _texts(each)] if isinstance(value, list | tuple) else []


def preset(kind: str, issuer: str) -> dict[str, Any]:
    """The values that go with a preset for this issuer. Raises InvalidInput."""
    if kind not in PRESETS:
        raise InvalidInput(f"--preset is one of {', '.join(PRESETS)}")
    values = dict(PRESETS[kind])
    if kind == "entra":
        found = _ENTRA.fullmatch(issuer)
        if found is None:
            raise InvalidInput(
                "the issuer of Entra ID is https://login.microsoftonline.com/<tenant id>/v2.0, or "
                "https://sts.windows.net/<tenant id>/ for tokens of version 1; never `common`"
            )
        values |= {"require": {"tid": found[1]}, "hosts": ("login.microsoftonline.com", "login.windows.net")}
    return values


def parse_pairs(texts: Iterable[str], read: Callable[[str], str] = str) -> dict[str, list[str]]:
    """`foreign=ours` pairs by what is foreign; the last `=` divides. Raises InvalidInput."""
    found: dict[str, list[str]] = {}
    for text in texts:
        foreign, divider, ours = text.rpartition("=")
        if not divider or not foreign or not ours:
            raise InvalidInput(f"{text[:80]!r} must be like VALUE=OURS")
        found.setdefault(foreign, []).append(read(ours))
    return found
