"""Signing in to the portal with an issuer of others: there with a state that only this browser has, and back.

Authorization code with PKCE (S256), `state` and `nonce`. What must be remembered between the two requests is in a
cookie that we sign, so that a stranger who begins many sign-ins fills no memory here. Who is signed in is the user with
the issuer and subject of the ID token. Signing out ends the session here; the one at the issuer is its own matter.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from tocsin.errors import InvalidInput, NotFound, Unauthenticated, Unavailable
from tocsin.identity.credentials import credentials
from tocsin.identity.fetching import Fetcher
from tocsin.identity.foreign import ForeignIssuer
from tocsin.identity.foreign_keys import Published
from tocsin.identity.foreign_secrets import read_issuer_secret
from tocsin.identity.foreign_tokens import peek, read_id_token, read_subject
from tocsin.identity.people import User
from tocsin.service import Service
from tocsin.stores.sqlite.foreign import follow_roles, record_roles
from tocsin.stores.sqlite.writing import WriteStore
from tocsin.ticks import MINUTE, SECOND
from tocsin.web.csrf import load_form_key
from tocsin.web.headers import PAGE
from tocsin.web.sign_in import SignIn, inner_path
from tocsin.witness import identify, refuse, remark

COOKIE: Final = "__Host-tocsin-elsewhere"
LIFE: Final = 10 * MINUTE
CALLBACK: Final = "/sign-in/back"
EXCHANGE_SECONDS_MAX: Final = 10.0
_COOKIE_MAX: Final = 4000
_NEXT_MAX: Final = 1500
_NOT_DONE: Final = "This sign-in did not work, or took too long. Go back to the sign-in page and try again."
_UNANSWERED: Final = "Signing in there does not work now. Try again in a few minutes, or sign in another way."
_NOBODY: Final = "You are known there, but not here. Ask your administrator to add you."

log = structlog.get_logger()


class ForeignFirst:
    """Before a request that carries a token of another issuer is answered, what verifying needs is brought along:
    routes verify at once, and asking an issuer takes time."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and any(name == b"authorization" for name, _ in scope["headers"]):
            try:
                token = credentials(scope["headers"])
            except Unauthenticated:
                token = ""  # the route will say so
            if token:
                await self._service.foreign.prepare(token, self._service.clock())
        await self._app(scope, receive, send)


class _Begun(msgspec.Struct, frozen=True):
    """A sign-in that this browser began. `expires` in ticks."""

    tenant_id: int
    issuer: str
    state: str
    nonce: str
    verifier: str
    path: str
    redirect_uri: str
    expires: int


class ForeignSignIn:
    """The two pages: there, and back."""

    def __init__(self, sign_in: SignIn) -> None:
        self._sign_in, self._service = sign_in, sign_in.service
        self._key = load_form_key(self._service.settings.data_dir)
        self._fetcher = Fetcher(EXCHANGE_SECONDS_MAX)

    def routes(self) -> list[Route]:
        """`/sign-in/with/{name}` and `/sign-in/back`."""
        return [
            Route("/sign-in/with/{name}", self._sign_in.answering(self.leave), methods=["GET"]),
            Route(CALLBACK, self._sign_in.answering(self.back), methods=["GET"]),
        ]

    async def leave(self, request: Request) -> Response:
        """Send the browser to the issuer."""
        issuer = self._named(request)
        now = self._service.clock()
        await self._service.foreign_keys.refresh(issuer, None, now)
        try:
            published = self._service.foreign_keys.published(issuer, now)
        except Unavailable as error:
            return self._unanswered(request, error)
        if not published.authorization_endpoint or not published.token_endpoint:
            return self._unanswered(request, Unavailable(f"the issuer {issuer.name} offers no sign-in"))
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        path = inner_path(request.query_params.get("next", ""))
        base = self._service.names.base_for(request.headers.get("host", ""))
        begun = _Begun(
            *(issuer.tenant_id, issuer.name, state, nonce, verifier),
            *(path if len(path) <= _NEXT_MAX else inner_path(""), base + CALLBACK, now + LIFE),
        )
        asked = {
            "response_type": "code",
            "client_id": issuer.client_id,
            "redirect_uri": begun.redirect_uri,
            "scope": " ".join(issuer.scopes),
            "state": state,
            "nonce": nonce,
            "code_challenge": _b64(hashlib.sha256(verifier.encode()).digest()),
            "code_challenge_method": "S256",
        }
        divider = "&" if "?" in published.authorization_endpoint else "?"
        response = RedirectResponse(f"{published.authorization_endpoint}{divider}{urlencode(asked)}", 303, PAGE)
        life = LIFE // SECOND
        # Lax: the way back is a link from another site, and must still know the browser that went there.
        response.set_cookie(
            COOKIE, self._sealed(begun), max_age=life, path="/", secure=True, httponly=True, samesite="lax"
        )
        return response

    async def back(self, request: Request) -> Response:
        """The issuer's answer. Whatever is wrong with it, the page says the same; the log says more."""
        try:
            begun = self._opened(request)
            identify(self._service.tenant(begun.tenant_id).guid, "")
            issuer = self._service.foreign_issuers.get(begun.tenant_id, begun.issuer)
            try:
                claims = await self._claims(request, begun, issuer)
            except Unavailable as error:
                return self._unanswered(request, error)
            user = await self._user(issuer, claims)
        except (Unauthenticated, NotFound, InvalidInput) as error:
            log.info("foreign_sign_in_refused", reason=str(error))
            refuse("sign-in with another issuer")
            unknown = isinstance(error, _Unknown)
            response = self._sign_in.rendering.message(
                request, 401, "You are not signed in", _NOBODY if unknown else _NOT_DONE
            )
        else:
            tenant = self._service.tenant(issuer.tenant_id)
            identify(tenant.guid, f"user:{user.user_id}", user.name)
            remark(f"with the issuer {issuer.name}")
            response = await self._sign_in.opened(request, issuer.tenant_id, user.user_id, begun.path)
        response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="lax")
        return response

    def _unanswered(self, request: Request, error: Unavailable) -> Response:
        log.warning("issuer_not_asked", reason=str(error))
        return self._sign_in.rendering.message(request, 503, "The other side does not answer", _UNANSWERED)

    def _named(self, request: Request) -> ForeignIssuer:
        organisation = self._service.registry.get_tenant(request.query_params.get("organisation", ""))
        issuer = self._service.foreign_issuers.get(organisation.tenant_id, request.path_params["name"])
        if not issuer.client_id:
            raise InvalidInput("people do not sign in with this issuer")
        return issuer

    async def _claims(self, request: Request, begun: _Begun, issuer: ForeignIssuer) -> dict[str, Any]:
        answer = dict(request.query_params)
        if not hmac.compare_digest(answer.get("state", "").encode(), begun.state.encode()):
            raise Unauthenticated("the state is not that of this browser")
        # RFC 9207: with several issuers, an answer of one must not be taken for that of another.
        if answer.get("iss", issuer.issuer) != issuer.issuer:
            raise Unauthenticated("the answer is from another issuer")
        code = answer.get("code", "")
        if "error" in answer or not code:
            raise Unauthenticated(f"the issuer {issuer.name} said: {ascii(answer.get('error', ''))[:100]}")
        now = self._service.clock()
        published = self._service.foreign_keys.published(issuer, now)
        token = await self._exchanged(issuer, published, begun, code)
        kid = peek(token)[1]
        await self._service.foreign_keys.refresh(issuer, kid if isinstance(kid, str) else None, now)
        keys = self._service.foreign_keys.published(issuer, now).keys
        return read_id_token(token, issuer, keys, begun.nonce, now // SECOND)

    async def _exchanged(self, issuer: ForeignIssuer, published: Published, begun: _Begun, code: str) -> str:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": begun.redirect_uri,
            "code_verifier": begun.verifier,
            "client_id": issuer.client_id,
        }
        secret = read_issuer_secret(self._service.settings.data_dir, issuer)
        basic = None
        if secret and published.sends_secret_in_body:
            form["client_secret"] = secret
        elif secret:
            # RFC 6749 2.3.1: both are form-encoded before they are joined.
            basic = (quote(issuer.client_id, safe=""), quote(secret, safe=""))
        status, answer = await self._fetcher.post(issuer, published.token_endpoint, form, basic)
        token = answer.get("id_token")
        if status != 200 or not isinstance(token, str):
            raise Unauthenticated(f"the issuer {issuer.name} gave no ID token: {ascii(answer.get('error'))[:100]}")
        return token

    async def _user(self, issuer: ForeignIssuer, claims: Mapping[str, Any]) -> User:
        try:
            user = await self._service.foreign.user_of(issuer, read_subject(claims, issuer), claims)
        except Unauthenticated as error:
            raise _Unknown(str(error)) from None
        if user.disabled is not None:
            raise Unauthenticated(f"user {user.user_id} is disabled")
        if issuer.role_map:
            await self._follow(issuer, user, claims)
        return user

    async def _follow(self, issuer: ForeignIssuer, user: User, claims: Mapping[str, Any]) -> None:
        now = self._service.clock()

        def change(store: WriteStore) -> None:
            if follow_roles(store.connection, issuer, user, claims):
                record_roles(store.connection, issuer, user, now)

        await asyncio.wrap_future(self._service.writer.perform(change))

    def _sealed(self, begun: _Begun) -> str:
        content = msgspec.json.encode(begun)
        return f"{_b64(content)}.{_b64(self._seal(content))}"

    def _opened(self, request: Request) -> _Begun:
        text = request.cookies.get(COOKIE, "")[:_COOKIE_MAX]
        try:
            content, seal = (base64.urlsafe_b64decode(part + "==") for part in text.split("."))
        except ValueError:
            raise Unauthenticated("this browser began no sign-in") from None
        if not hmac.compare_digest(seal, self._seal(content)):
            raise Unauthenticated("this browser began no sign-in")
        begun = msgspec.json.decode(content, type=_Begun)
        if not begun.expires - LIFE <= self._service.clock() < begun.expires:
            raise Unauthenticated("the sign-in took too long")
        return begun

    def _seal(self, content: bytes) -> bytes:
        return hmac.new(self._key, b"elsewhere\0" + content, hashlib.sha256).digest()


class _Unknown(Unauthenticated):
    """The issuer knows the person, we do not."""


def _b64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
