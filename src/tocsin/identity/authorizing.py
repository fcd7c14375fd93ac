"""The authorization endpoint as rules (RFC 6749 4.1, PKCE): who asks a person to sign in, and where the code goes.

Nothing is ever sent to an address that the application did not register: what is wrong with the client or its redirect
URI is told to the person (`find_target`), everything else to the client (`read_demand`). HTTP is `web/authorize.py`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Final
from urllib.parse import urlencode, urlsplit

import msgspec

from tocsin.errors import InvalidInput
from tocsin.identity.asking import person_wanted
from tocsin.identity.issuing import (
    IssuerError,
    missing,
    once,
    require_enabled,
    resolve_application,
    resolve_tenant,
)
from tocsin.identity.names import LOOPBACK_HOSTS
from tocsin.identity.people import Application, Directory, Tenant
from tocsin.identity.sign_in import CODE_LIFE, Pending, Wanted

_READ: Final = frozenset(
    (
        *("client_id", "redirect_uri", "response_type", "response_mode", "scope", "resource", "state", "nonce"),
        *("prompt", "login_hint", "code_challenge", "code_challenge_method"),
    )
)
_MODES: Final = ("query", "fragment", "form_post")
_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]{1,99}", re.ASCII)
_SCRIPTS: Final = frozenset({"javascript", "data", "vbscript", "file", "blob", "about", "ws", "wss", "view-source"})
_NONCE_MAX: Final = 1024
URI_MAX: Final = 2000


class Target(msgspec.Struct, frozen=True):
    """Where the answer goes. `state` comes back as it was sent."""

    tenant: Tenant
    application: Application
    redirect_uri: str
    mode: str
    state: str
    form: dict[str, str]
    version: int

    def answer(self, parameters: dict[str, str]) -> dict[str, str]:
        """The parameters that go back."""
        return {**parameters, **({"state": self.state} if self.state else {})}

    def location(self, parameters: dict[str, str]) -> str:
        """Where to send the browser for an answer in the query or the fragment."""
        text = urlencode(self.answer(parameters))
        if self.mode == "fragment":
            return f"{self.redirect_uri}#{text}"
        return f"{self.redirect_uri}{'&' if '?' in self.redirect_uri else '?'}{text}"

    @property
    def origin(self) -> str:
        """What a content security policy calls the place that the answer goes to."""
        parts = urlsplit(self.redirect_uri)
        return f"{parts.scheme}://{parts.netloc}" if parts.scheme in ("http", "https") else f"{parts.scheme}:"


class Demand(msgspec.Struct, frozen=True):
    """What a client wants of a person, and how it binds the code to itself."""

    wanted: Wanted
    challenge: str
    nonce: str
    prompt: str
    login_hint: str

    def pending(self, target: Target, user_id: str, now: int) -> Pending:
        """The sign-in that an authorization code stands for."""
        return Pending(
            tenant_id=target.tenant.tenant_id,
            app_id=target.application.app_id,
            wanted=self.wanted,
            expires=now + CODE_LIFE,
            user_id=user_id,
            redirect_uri=target.redirect_uri,
            challenge=self.challenge,
            nonce=self.nonce,
        )


def find_target(directory: Directory, tenant_name: str, version: int, pairs: Iterable[tuple[str, str]]) -> Target:
    """The application and the address that the answer goes to. Raises IssuerError, which is for the person's eyes."""
    form = once(pairs, _READ)
    tenant = resolve_tenant(directory, tenant_name)
    if "client_id" not in form:
        raise missing("client_id")
    application = require_enabled(resolve_application(directory, tenant, form["client_id"]))
    uri = form.get("redirect_uri", "")
    if not uri and len(application.redirect_uris) == 1:
        uri = application.redirect_uris[0]
    if not any(_matches(uri, registered) for registered in application.redirect_uris):
        text = (
            f"The redirect URI specified in the request does not match the redirect URIs configured for the "
            f"application '{application.app_id}'."
        )
        raise IssuerError(400, "invalid_request", 50011, text)
    mode = form.get("response_mode", "query")
    return Target(tenant, application, uri, mode if mode in _MODES else "query", form.get("state", ""), form, version)


def read_demand(target: Target, audiences: Collection[str]) -> Demand:
    """What is asked for. Raises IssuerError, which goes to the client."""
    form = target.form
    if form.get("response_type") != "code":
        raise IssuerError(400, "unsupported_response_type", 700054, "This issuer answers response_type 'code' alone.")
    if form.get("response_mode", "query") not in _MODES:
        raise IssuerError(400, "invalid_request", 901002, f"The response_mode must be one of {', '.join(_MODES)}.")
    challenge = form.get("code_challenge", "")
    if challenge and (form.get("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(challenge)):
        text = "The code_challenge must be that of code_challenge_method S256: 43 characters of base64url."
        raise IssuerError(400, "invalid_request", 501491, text)
    if not challenge and target.application.is_public:
        text = "Proof Key for Code Exchange is required: send code_challenge with code_challenge_method S256."
        raise IssuerError(400, "invalid_request", 9002325, text)
    wanted = person_wanted(form, target.version, target.tenant, audiences)
    if wanted is None:
        raise missing("resource" if target.version == 1 else "scope")
    nonce = form.get("nonce", "")
    if len(nonce) > _NONCE_MAX:
        raise IssuerError(400, "invalid_request", 9002313, f"The nonce is longer than {_NONCE_MAX} characters.")
    return Demand(wanted, challenge, nonce, form.get("prompt", ""), form.get("login_hint", "")[:320])


def parse_redirect_uri(text: str) -> str:
    """A redirect URI that may be registered: https, http on the machine itself, or a scheme of a program's own.

    Raises InvalidInput.
    """
    uri = text.strip()
    try:
        parts = urlsplit(uri)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise InvalidInput(f"{text[:80]!r} is not a URI: {error}") from None
    plain = uri.isascii() and uri.isprintable() and not set(uri) & set(" \\\"'<>*;,") and len(uri) <= URI_MAX
    if not plain or "#" in uri or parts.username is not None or not _SCHEME.fullmatch(parts.scheme):
        raise InvalidInput(f"{text[:80]!r} cannot be a redirect URI: no fragment, no user, no wildcard, plain ASCII")
    if parts.scheme in _SCRIPTS or (parts.scheme == "http" and host not in LOOPBACK_HOSTS):
        raise InvalidInput(f"{text[:80]!r} cannot be a redirect URI: use https, or http://localhost for programs")
    if parts.scheme in ("http", "https") and not host:
        raise InvalidInput(f"{text[:80]!r} cannot be a redirect URI: it has no host")
    return uri


def _matches(uri: str, registered: str) -> bool:
    """To the character; for http on the machine itself with any port, since programs take a free one (RFC 8252 7.3)."""
    if uri == registered:
        return True
    try:
        asked, own = urlsplit(uri), urlsplit(registered)
        if own.scheme != "http" or own.hostname not in LOOPBACK_HOSTS or parse_redirect_uri(uri) != uri:
            return False
    except (ValueError, InvalidInput):
        return False
    return (asked.scheme, asked.hostname, asked.path.rstrip("/"), asked.query) == (
        own.scheme,
        own.hostname,
        own.path.rstrip("/"),
        own.query,
    )
