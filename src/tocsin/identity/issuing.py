"""What the issuer's parts share: a request, a refusal in Entra ID's words, and which tenant a path names.

The error numbers are those that clients read (`tokens.md`, `clients.md`). Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import parse_qsl

import msgspec

from tocsin.errors import NotFound, TocsinError
from tocsin.identity.people import GUID, Application, Directory, Tenant

_DOMAIN: Final = re.compile(r"(?=.{1,253}\Z)[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})+", re.ASCII | re.IGNORECASE)
_ANY_TENANT: Final = ("common", "organizations")
_READ: Final = frozenset(
    (
        *("grant_type", "client_id", "client_secret", "client_assertion", "client_info", "resource", "scope"),
        *("code", "redirect_uri", "code_verifier", "refresh_token", "device_code", "token", "token_type_hint"),
    )
)
_FIELDS_MAX: Final = 100


class IssuerError(TocsinError):
    """A refusal of the issuer: HTTP status, OAuth `error`, the AADSTS number and its text."""

    def __init__(self, status: int, error: str, number: int, text: str, *, retry_after: int = 0) -> None:
        super().__init__(text)
        self.status = status
        self.error = error
        self.number = number
        self.retry_after = retry_after


class TokenRequest(msgspec.Struct, frozen=True):
    """One call of an endpoint. `form` has the parameters we read, each once; `version` is the endpoint's; `caller` the
    address that it came from."""

    tenant: str
    version: int
    form: Mapping[str, str]
    authorization: str
    base_url: str
    caller: str = ""


def missing(parameter: str) -> IssuerError:
    """A parameter that must be there."""
    text = f"The request body must contain the following parameter: '{parameter}'."
    return IssuerError(400, "invalid_request", 900144, text)


def malformed(reason: str) -> IssuerError:
    """A request that cannot be read."""
    return IssuerError(400, "invalid_request", 9002313, f"Invalid request. Request is malformed or invalid: {reason}.")


def invalid_grant(number: int, text: str) -> IssuerError:
    """A code or token that is not good (any more): the client must have the person sign in anew."""
    return IssuerError(400, "invalid_grant", number, text)


def too_many(what: str, wait_seconds: int) -> IssuerError:
    """Too many failures."""
    text = f"Too many {what}. You can send requests again in {wait_seconds} seconds."
    return IssuerError(429, "temporarily_unavailable", 90055, text, retry_after=wait_seconds)


def parse_form(body: bytes) -> dict[str, str]:
    """The parameters we know of a form, whatever Content-Type came with it; others are dropped, repeated ones refused.

    Raises IssuerError.
    """
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=_FIELDS_MAX, errors="strict")
    except ValueError:
        raise malformed("the body is not a form in UTF-8, percent-encoded") from None
    return once(pairs, _READ)


def once(pairs: Iterable[tuple[str, str]], names: frozenset[str]) -> dict[str, str]:
    """Those of the parameters that are named and not empty. Raises IssuerError where one stands twice."""
    known = [(name, value) for name, value in pairs if name in names]
    form = dict(known)
    if len(form) != len(known):
        raise malformed("a parameter stands twice")
    return {name: value for name, value in form.items() if value}


def resolve_tenant(directory: Directory, name: str) -> Tenant:
    """The tenant a path names: GUID, name, domain, or any word for "mine" where there is only one.

    Raises IssuerError 90002 (unknown) or 900023 (malformed).
    """
    if name.lower() in _ANY_TENANT:
        tenants = directory.list_tenants()
        if len(tenants) == 1:
            return tenants[0]
        raise _unknown_tenant(name, "This server has several tenants, so the path must name one of them.")
    try:
        return directory.get_tenant(name)
    except NotFound:
        pass
    if GUID.fullmatch(name.lower()) or _DOMAIN.fullmatch(name):
        raise _unknown_tenant(name, "Check that you have the tenant ID that `tocsin` printed.")
    text = f"Specified tenant identifier '{name[:80]}' is neither a valid DNS name, nor a valid external domain."
    raise IssuerError(400, "invalid_request", 900023, text)


def resolve_application(directory: Directory, tenant: Tenant, app_id: str) -> Application:
    """The application of a client id, disabled ones too. Raises IssuerError 700016."""
    try:
        return directory.get_application(tenant.tenant_id, app_id)
    except NotFound:
        text = (
            f"Application with identifier '{app_id[:80]}' was not found in the directory "
            f"'{tenant.name}'. This can happen if it has not been registered in this tenant."
        )
        raise IssuerError(400, "unauthorized_client", 700016, text) from None


def require_enabled(application: Application) -> Application:
    """Raises IssuerError 7000112."""
    if application.disabled is not None:
        text = f"Application '{application.app_id}'({application.name}) is disabled."
        raise IssuerError(400, "unauthorized_client", 7000112, text)
    return application


def _unknown_tenant(name: str, advice: str) -> IssuerError:
    return IssuerError(400, "invalid_request", 90002, f"Tenant '{name[:80]}' not found. {advice}")
