"""The built-in issuer over HTTP: token endpoints, discovery documents and key sets, at Entra ID's own paths.

What is asked and answered is decided in `identity/issuer.py`; here are reading, bodies and headers. Nothing that
was sent as a secret, and no token, reaches the log.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from tocsin.audit import redacted
from tocsin.identity.issuer import DEVICE_GRANT, Issuer
from tocsin.identity.issuing import IssuerError, TokenRequest, parse_form, resolve_tenant
from tocsin.identity.names import ServiceNames
from tocsin.identity.people import GUID, Directory
from tocsin.identity.signing import KeySource
from tocsin.identity.tokens import issuer_of
from tocsin.ticks import format_ticks

BODY_BYTES_MAX: Final = 64 * 1024

_LOG: Final = structlog.get_logger()
_NO_TENANT: Final = (90002, 900023)
_SAFE_NAME: Final = re.compile(r"[A-Za-z0-9.-]{1,253}", re.ASCII)
_NEVER_KEPT: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}

_Endpoint = Callable[[Request], Awaitable[Response]]
_Answer = Callable[[Request], Awaitable[dict[str, Any]]]


class OAuthDeps(msgspec.Struct, frozen=True, kw_only=True):
    """What the routes need. `clock` gives ticks."""

    issuer: Issuer
    directory: Directory
    keys: KeySource
    names: ServiceNames
    clock: Callable[[], int]


def oauth_routes(deps: OAuthDeps) -> list[Route]:
    """The routes of the issuer, for every tenant of this server."""

    def route(path: str, answer: _Answer, method: str = "GET") -> Route:
        return Route(path, _endpoint(deps, answer), methods=[method])

    return [
        route("/{tenant}/oauth2/token", _token(deps, 1), "POST"),
        route("/{tenant}/oauth2/v2.0/token", _token(deps, 2), "POST"),
        route("/{tenant}/oauth2/devicecode", _device(deps, 1), "POST"),
        route("/{tenant}/oauth2/v2.0/devicecode", _device(deps, 2), "POST"),
        route("/{tenant}/oauth2/revoke", _revoke(deps, 1), "POST"),
        route("/{tenant}/oauth2/v2.0/revoke", _revoke(deps, 2), "POST"),
        route("/common/discovery/instance", _instance(deps)),
        route("/{tenant}/.well-known/openid-configuration", _configuration(deps, 1)),
        route("/{tenant}/v2.0/.well-known/openid-configuration", _configuration(deps, 2)),
        route("/{tenant}/discovery/keys", _key_set(deps, 1)),
        route("/{tenant}/discovery/v2.0/keys", _key_set(deps, 2)),
    ]


def _endpoint(deps: OAuthDeps, answer: _Answer) -> _Endpoint:
    async def endpoint(request: Request) -> Response:
        try:
            content = await answer(request)
        except IssuerError as error:
            return _refusal(request, error, deps.clock())
        headers = _NEVER_KEPT if request.method == "POST" else {}
        return Response(msgspec.json.encode(content), media_type="application/json", headers=headers)

    return endpoint


def _refusal(request: Request, error: IssuerError, now: int) -> Response:
    trace_id, correlation_id = str(uuid.uuid4()), _correlation_id(request)
    timestamp = format_ticks(now)[:19].replace("T", " ") + "Z"
    tenant = request.path_params.get("tenant", "")
    _LOG.info(
        "sign-in refused",
        number=error.number,
        # What names no tenant of ours may be anything, also a secret in the wrong place.
        tenant="(none of ours)" if error.number in _NO_TENANT else tenant,
        trace_id=trace_id,
        correlation_id=correlation_id,
    )
    content = {
        "error": error.error,
        "error_description": f"AADSTS{error.number}: {redacted(str(error))} Trace ID: {trace_id} "
        f"Correlation ID: {correlation_id} Timestamp: {timestamp}",
        "error_codes": [error.number],
        "timestamp": timestamp,
        "trace_id": trace_id,
        "correlation_id": correlation_id,
    }
    headers = dict(_NEVER_KEPT)
    if error.retry_after:
        headers["Retry-After"] = str(error.retry_after)
    return Response(msgspec.json.encode(content), error.status, headers, media_type="application/json")


def _correlation_id(request: Request) -> str:
    sent = request.headers.get("client-request-id", "").lower()
    return sent if GUID.fullmatch(sent) else str(uuid.uuid4())


def _base_url(deps: OAuthDeps, request: Request) -> str:
    return deps.names.base_for(request.headers.get("host", ""))


async def _request(deps: OAuthDeps, request: Request, version: int) -> TokenRequest:
    body = await _read_body(request)
    return TokenRequest(
        tenant=request.path_params["tenant"],
        version=version,
        form=parse_form(body),
        authorization=request.headers.get("authorization", ""),
        base_url=_base_url(deps, request),
        caller=request.client.host if request.client else "",
    )


def _token(deps: OAuthDeps, version: int) -> _Answer:
    async def answer(request: Request) -> dict[str, Any]:
        return await deps.issuer.answer(await _request(deps, request, version), deps.clock())

    return answer


def _device(deps: OAuthDeps, version: int) -> _Answer:
    async def answer(request: Request) -> dict[str, Any]:
        return await deps.issuer.start_device(await _request(deps, request, version), deps.clock())

    return answer


def _revoke(deps: OAuthDeps, version: int) -> _Answer:
    async def answer(request: Request) -> dict[str, Any]:
        await deps.issuer.revoke(await _request(deps, request, version), deps.clock())
        return {}

    return answer


async def _read_body(request: Request) -> bytes:
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > BODY_BYTES_MAX:
                text = f"Invalid request. The request body is larger than {BODY_BYTES_MAX} bytes."
                raise IssuerError(413, "invalid_request", 9002313, text)
    except ClientDisconnect:
        raise IssuerError(400, "invalid_request", 9002313, "Invalid request. The request body ended early.") from None
    return bytes(body)


def _configuration(deps: OAuthDeps, version: int) -> _Answer:
    async def answer(request: Request) -> dict[str, Any]:
        tenant = resolve_tenant(deps.directory, request.path_params["tenant"])
        base_url = _base_url(deps, request)
        home = f"{base_url}/{tenant.guid}"
        flow = f"{home}/oauth2/v2.0" if version == 2 else f"{home}/oauth2"
        return {
            "issuer": issuer_of(base_url, tenant.guid, version),
            "authorization_endpoint": f"{flow}/authorize",
            "token_endpoint": f"{flow}/token",
            "jwks_uri": f"{home}/discovery/v2.0/keys" if version == 2 else f"{home}/discovery/keys",
            "device_authorization_endpoint": f"{flow}/devicecode",
            "revocation_endpoint": f"{flow}/revoke",
            "end_session_endpoint": f"{flow}/logout",
            "token_endpoint_auth_methods_supported": [
                *("client_secret_post", "client_secret_basic", "private_key_jwt", "none"),
            ],
            "token_endpoint_auth_signing_alg_values_supported": ["RS256", "PS256", "ES256"],
            "grant_types_supported": ["client_credentials", "authorization_code", "refresh_token", DEVICE_GRANT],
            "response_types_supported": ["code"],
            "response_modes_supported": ["query", "fragment", "form_post"],
            "code_challenge_methods_supported": ["S256"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": ["openid", "profile", "offline_access"],
            "claims_supported": [
                *("aud", "exp", "iat", "iss", "name", "nbf", "nonce", "oid", "sub", "tid", "ver"),
                *(("preferred_username",) if version == 2 else ("unique_name", "upn")),
            ],
            "request_parameter_supported": False,
            "request_uri_parameter_supported": False,
            "claims_parameter_supported": False,
        }

    return answer


def _key_set(deps: OAuthDeps, version: int) -> _Answer:
    async def answer(request: Request) -> dict[str, Any]:
        tenant = resolve_tenant(deps.directory, request.path_params["tenant"])
        return deps.keys.at(deps.clock()).jwks(issuer_of(_base_url(deps, request), tenant.guid, version))

    return answer


def _instance(deps: OAuthDeps) -> _Answer:
    async def answer(request: Request) -> dict[str, Any]:
        asked = request.query_params.get("authorization_endpoint", "")
        base_url = _base_url(deps, request)
        tenant_name = _tenant_of_endpoint(asked, base_url)
        host = urlsplit(base_url).netloc
        return {
            "tenant_discovery_endpoint": f"{base_url}/{tenant_name}/v2.0/.well-known/openid-configuration",
            "api-version": "1.1",
            "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
        }

    return answer


def _tenant_of_endpoint(endpoint: str, base_url: str) -> str:
    # MSAL Python leaves the port out of this URL, so only the host can be compared.
    try:
        asked, own = urlsplit(endpoint), urlsplit(base_url)
        ours = asked.scheme == "https" and asked.hostname == own.hostname and asked.port in (None, own.port)
    except ValueError:
        ours = False
    tenant_name = asked.path.removeprefix(own.path).split("/")[1] if ours and asked.path.startswith("/") else ""
    if not _SAFE_NAME.fullmatch(tenant_name):
        text = "Unknown or invalid instance: authorization_endpoint must be one of this server."
        raise IssuerError(400, "invalid_instance", 50049, text)
    return tenant_name
