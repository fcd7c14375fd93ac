"""How an application proves itself at the issuer: a secret, an assertion, or nothing where it is public."""

from __future__ import annotations

import base64
from typing import Final
from urllib.parse import unquote_plus

import msgspec

from tocsin.errors import Unauthenticated
from tocsin.identity.assertions import Assertion, ExpiredAssertion, check_assertion
from tocsin.identity.credentials import hash_secret, secret_matches
from tocsin.identity.failures import FailureLimit
from tocsin.identity.issuing import (
    IssuerError,
    TokenRequest,
    malformed,
    missing,
    require_enabled,
    resolve_application,
    too_many,
)
from tocsin.identity.names import ServiceNames
from tocsin.identity.people import Application, Directory, Tenant
from tocsin.identity.sign_in import Keeper

BY_NOTHING: Final = "0"
BY_SECRET: Final = "1"  # noqa: S105 - how it was proven, as `azpacr` has it
BY_CERTIFICATE: Final = "2"


class Client(msgspec.Struct, frozen=True):
    """An application that proved itself, and how: the value of `appidacr` and `azpacr`."""

    application: Application
    proof: str
    assertion: Assertion | None = None


class _Claimed(msgspec.Struct, frozen=True):
    app_id: str
    secrets: tuple[str, ...] = ()
    assertion: str = ""


class Clients:
    """Authenticates applications, and slows down who guesses."""

    def __init__(self, directory: Directory, names: ServiceNames, keeper: Keeper) -> None:
        self._directory, self._keeper = directory, keeper
        self._bases = tuple(dict.fromkeys((names.base_url, *names.bases.values())))
        self._failures = FailureLimit()

    async def authenticate(
        self, request: TokenRequest, tenant: Tenant, now: int, *, public_allowed: bool = False
    ) -> Client:
        """The application behind a request. Raises IssuerError."""
        claimed = _claimed_identity(request)
        application = resolve_application(self._directory, tenant, claimed.app_id)
        if not claimed.secrets and not claimed.assertion:
            if not (public_allowed and application.is_public):
                text = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."
                raise IssuerError(401, "invalid_client", 7000218, text)
            return Client(require_enabled(application), BY_NOTHING)
        if application.is_public:
            text = "Client is public so neither 'client_assertion' nor 'client_secret' should be presented."
            raise IssuerError(401, "invalid_client", 700025, text)
        if claimed.assertion:
            assertion = self._check_assertion(request, tenant, application, claimed.assertion, now)
            return Client(require_enabled(application), BY_CERTIFICATE, assertion)
        if any(secret_matches(secret, application.secret_hash) for secret in claimed.secrets):
            return Client(require_enabled(application), BY_SECRET)
        self._count_failure(application, now)
        text = f"Invalid client secret provided for app '{application.app_id}'. Send the secret's value."
        raise IssuerError(401, "invalid_client", 7000215, text)

    async def use_once(self, client: Client, audience: str, now: int) -> None:
        """Let an assertion open a resource once. Raises IssuerError the second time.

        Not once in all: MSAL keeps an assertion for as long as it lives and sends it for every resource it is asked
        for. Codes and refresh tokens are good once themselves, so beside them it is not counted.
        """
        if client.assertion is None:
            return
        fingerprint, expires = hash_secret(f"{client.assertion.fingerprint} {audience}"), client.assertion.expires
        if not await self._keeper.change(lambda store: store.use_assertion(fingerprint, expires, now)):
            app_id = client.application.app_id
            words = f"Client assertion for app '{app_id}' was used before: its jti must be new each time."
            raise IssuerError(401, "invalid_client", 700027, words)

    def _check_assertion(
        self, request: TokenRequest, tenant: Tenant, application: Application, text: str, now: int
    ) -> Assertion:
        path = "oauth2/v2.0/token" if request.version == 2 else "oauth2/token"
        audiences = {f"{base}/{name}/{path}" for base in self._bases for name in (request.tenant, tenant.guid)}
        certificates = self._keeper.reading.list_certificates(tenant.tenant_id, application.app_id)
        try:
            return check_assertion(
                text, app_id=application.app_id, audiences=audiences, certificates=certificates, now=now
            )
        except Unauthenticated as error:
            self._count_failure(application, now)
            number = 700024 if isinstance(error, ExpiredAssertion) else 700027
            words = f"Client assertion failed validation for app '{application.app_id}': {error}."
            raise IssuerError(401, "invalid_client", number, words) from None

    def _count_failure(self, application: Application, now: int) -> None:
        # Only wrong secrets are ever refused here. A right one passes even now: 256 bits are not guessed, and
        # otherwise anybody who knows an application's id could keep its owner out.
        wait_seconds = self._failures.count((application.tenant_id, application.app_id), now)
        if wait_seconds:
            raise too_many("wrong secrets for this application", wait_seconds)


def _claimed_identity(request: TokenRequest) -> _Claimed:
    form = request.form
    if "client_secret" not in form and "client_assertion" not in form:
        # Anything but Basic is ignored: one client sends an old or empty bearer token along (`clients.md`).
        scheme, _, value = request.authorization.partition(" ")
        if scheme.lower() == "basic":
            return _parse_basic(value, form.get("client_id"))
    if "client_id" not in form:
        raise missing("client_id")
    if "client_secret" in form and "client_assertion" in form:
        raise malformed("a secret and an assertion stand beside each other")
    if "client_secret" in form:
        return _Claimed(form["client_id"], (form["client_secret"],))
    return _Claimed(form["client_id"], assertion=form.get("client_assertion", ""))


def _parse_basic(value: str, client_id: str | None) -> _Claimed:
    try:
        user, colon, password = base64.b64decode(value.strip(), validate=True).decode("utf-8").partition(":")
    except ValueError:
        colon = ""
    if not colon:
        raise malformed("the Basic credentials are not base64 of id:secret")
    # RFC 6749 2.3.1 says form-encoded; many clients send them raw. The id is a GUID, the same either way.
    app_id = unquote_plus(user)
    if client_id is not None and client_id.lower() != app_id.lower():
        raise malformed("client_id and the Basic credentials name two applications")
    return _Claimed(app_id, (unquote_plus(password), password))
