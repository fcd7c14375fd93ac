"""The built-in issuer's token endpoint as rules: who asks, for what, and what Entra ID would answer.

Takes a form and gives an answer or raises IssuerError; HTTP is `web/oauth.py`. The error numbers are those that
clients read (`tokens.md`, `clients.md`). A further grant is one more entry in `Issuer._grants`.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, unquote_plus

import msgspec

from tocsin.errors import NotFound, TocsinError
from tocsin.identity.credentials import secret_matches
from tocsin.identity.failures import FailureLimit
from tocsin.identity.names import ServiceNames
from tocsin.identity.people import GUID, Application, Directory, Tenant
from tocsin.identity.tokens import Tokens

_DOMAIN: Final = re.compile(r"(?=.{1,253}\Z)[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})+", re.ASCII | re.IGNORECASE)
_ANY_TENANT: Final = ("common", "organizations")
_SIGN_IN_SCOPES: Final = frozenset({"openid", "profile", "email", "offline_access"})
_READ: Final = frozenset({"grant_type", "client_id", "client_secret", "client_assertion", "resource", "scope"})
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
    """One call of a token endpoint. `form` has the parameters we read, each once; `version` is the endpoint's."""

    tenant: str
    version: int
    form: Mapping[str, str]
    authorization: str
    base_url: str


class _Claimed(msgspec.Struct, frozen=True):
    app_id: str
    secrets: tuple[str, ...]


def parse_form(body: bytes) -> dict[str, str]:
    """The parameters we know of a form, whatever Content-Type came with it; others are dropped, repeated ones refused.

    Raises IssuerError.
    """
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=_FIELDS_MAX, errors="strict")
    except ValueError:
        raise _malformed("the body is not a form in UTF-8, percent-encoded") from None
    known = [(name, value) for name, value in pairs if name in _READ]
    form = dict(known)
    if len(form) != len(known):
        raise _malformed("a parameter stands twice")
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


class Issuer:
    """Answers token requests for all tenants of one server."""

    def __init__(self, directory: Directory, tokens: Tokens, names: ServiceNames) -> None:
        self._directory = directory
        self._tokens = tokens
        self._audiences = names.audiences()
        self._failures = FailureLimit()
        self._grants: dict[str, Callable[[TokenRequest, Tenant, int], dict[str, Any]]] = {
            "client_credentials": self._client_credentials,
        }

    def answer(self, request: TokenRequest, now: int) -> dict[str, Any]:
        """The JSON object of a success; numbers are numbers, since one client refuses texts. Raises IssuerError."""
        tenant = resolve_tenant(self._directory, request.tenant)
        grant_type = request.form.get("grant_type")
        if grant_type is None:
            raise _missing("grant_type")
        grant = self._grants.get(grant_type)
        if grant is None:
            text = f"The app requested an unsupported grant type '{grant_type[:80]}'."
            raise IssuerError(400, "unsupported_grant_type", 70003, text)
        return grant(request, tenant, now)

    def _client_credentials(self, request: TokenRequest, tenant: Tenant, now: int) -> dict[str, Any]:
        application = self._authenticate(request, tenant, now)
        audience = self._requested_audience(request, tenant)
        token = self._tokens.issue(
            tenant, application, audience=audience, base_url=request.base_url, version=request.version, now=now
        )
        # One second less than the truth, as Entra has it: a client that waits this long is never too late.
        life = token.expires - token.not_before - 1
        answer: dict[str, Any] = {"token_type": "Bearer", "expires_in": life, "ext_expires_in": life}
        if request.version == 1:
            answer |= {"expires_on": token.expires, "not_before": token.not_before, "resource": audience}
        return answer | {"access_token": token.text}

    def _authenticate(self, request: TokenRequest, tenant: Tenant, now: int) -> Application:
        claimed = _claimed_identity(request)
        try:
            application = self._directory.get_application(tenant.tenant_id, claimed.app_id)
        except NotFound:
            text = (
                f"Application with identifier '{claimed.app_id[:80]}' was not found in the directory "
                f"'{tenant.name}'. This can happen if it has not been registered in this tenant."
            )
            raise IssuerError(400, "unauthorized_client", 700016, text) from None
        if any(secret_matches(secret, application.secret_hash) for secret in claimed.secrets):
            return _require_enabled(application)
        self._count_failure(application, now)
        text = f"Invalid client secret provided for app '{application.app_id}'. Send the secret's value."
        raise IssuerError(401, "invalid_client", 7000215, text)

    def _count_failure(self, application: Application, now: int) -> None:
        # Only wrong secrets are ever refused here. A right one passes even now: 256 bits are not guessed, and
        # otherwise anybody who knows an application's id could keep its owner out.
        wait_seconds = self._failures.count((application.tenant_id, application.app_id), now)
        if wait_seconds:
            text = (
                f"Too many wrong secrets for this application. You can send requests again in {wait_seconds} seconds."
            )
            raise IssuerError(429, "temporarily_unavailable", 90055, text, retry_after=wait_seconds)

    def _requested_audience(self, request: TokenRequest, tenant: Tenant) -> str:
        resource, scope = request.form.get("resource"), request.form.get("scope")
        if scope is not None and (request.version == 2 or resource is None):
            resource = _resource_of_scope(scope)
        if resource is None:
            raise _missing("resource" if request.version == 1 else "scope")
        if resource not in self._audiences:
            text = (
                f"The resource principal named {resource[:120]} was not found in the tenant named {tenant.name}. "
                "Ask for https://api.security.microsoft.com or for this server's own URL."
            )
            raise IssuerError(400, "invalid_resource", 500011, text)
        return resource


def _resource_of_scope(scope: str) -> str:
    asked = [part for part in scope.split() if part not in _SIGN_IN_SCOPES]
    if len(asked) > 1:
        text = "Provided value for the input parameter scope is not valid because it contains more than one resource."
        raise IssuerError(400, "invalid_scope", 28000, text)
    if not asked or not asked[0].endswith("/.default"):
        text = (
            f"The provided value for scope {scope[:120]} is not valid. Client credential flows must have a scope value "
            "with /.default suffixed to the resource identifier (application ID URI)."
        )
        raise IssuerError(400, "invalid_scope", 1002012, text)
    return asked[0].removesuffix("/.default")


def _claimed_identity(request: TokenRequest) -> _Claimed:
    form = request.form
    if "client_secret" not in form and "client_assertion" not in form:
        # Anything but Basic is ignored: one client sends an old or empty bearer token along (`clients.md`).
        scheme, _, value = request.authorization.partition(" ")
        if scheme.lower() == "basic":
            return _parse_basic(value, form.get("client_id"))
    if "client_id" not in form:
        raise _missing("client_id")
    if "client_secret" in form:
        return _Claimed(form["client_id"], (form["client_secret"],))
    if "client_assertion" in form:
        text = "Client assertions are not supported by this issuer; sign in with a client secret."
        raise IssuerError(401, "invalid_client", 700027, text)
    text = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."
    raise IssuerError(401, "invalid_client", 7000218, text)


def _parse_basic(value: str, client_id: str | None) -> _Claimed:
    try:
        user, colon, password = base64.b64decode(value.strip(), validate=True).decode("utf-8").partition(":")
    except ValueError:
        colon = ""
    if not colon:
        raise _malformed("the Basic credentials are not base64 of id:secret")
    # RFC 6749 2.3.1 says form-encoded; many clients send them raw. The id is a GUID, the same either way.
    app_id = unquote_plus(user)
    if client_id is not None and client_id.lower() != app_id.lower():
        raise _malformed("client_id and the Basic credentials name two applications")
    return _Claimed(app_id, (unquote_plus(password), password))


def _require_enabled(application: Application) -> Application:
    if application.disabled is not None:
        text = f"Application '{application.app_id}'({application.name}) is disabled."
        raise IssuerError(400, "unauthorized_client", 7000112, text)
    return application


def _missing(parameter: str) -> IssuerError:
    text = f"The request body must contain the following parameter: '{parameter}'."
    return IssuerError(400, "invalid_request", 900144, text)


def _malformed(reason: str) -> IssuerError:
    return IssuerError(400, "invalid_request", 9002313, f"Invalid request. Request is malformed or invalid: {reason}.")


def _unknown_tenant(name: str, advice: str) -> IssuerError:
    return IssuerError(400, "invalid_request", 90002, f"Tenant '{name[:80]}' not found. {advice}")
