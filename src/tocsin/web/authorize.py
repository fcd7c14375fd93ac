"""The authorization endpoint over HTTP, and signing out as clients ask for it.

Who may ask for what is `identity/authorizing.py`. A person who is signed in with this browser is sent back at once,
with a code; anybody else goes to the sign-in page first.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from tocsin.identity.authorizing import Demand, Target, find_target, read_demand
from tocsin.identity.credentials import hash_secret, new_secret
from tocsin.identity.issuing import IssuerError
from tocsin.identity.sign_in import SignInStore
from tocsin.web.headers import PAGE
from tocsin.web.sign_in import SignIn, leading_to

_SHOW_THE_FORM: Final = frozenset({"login", "select_account", "consent", "create", "admin_consent"})
_SEND: Final = "document.forms[0].submit()"
"""The one script there is: it sends the form of `response_mode=form_post`, which else has a button."""
_SEND_HASH: Final = base64.b64encode(hashlib.sha256(_SEND.encode()).digest()).decode()


class Authorize:
    """The routes by which clients send browsers here."""

    def __init__(self, sign_in: SignIn) -> None:
        self._sign_in, self._service = sign_in, sign_in.service
        self._audiences = sign_in.service.names.audiences()

    def routes(self) -> list[Route]:
        """Authorization and sign-out, version 1 and 2."""
        answering = self._sign_in.answering
        return [
            Route("/{tenant}/oauth2/authorize", answering(self._asked(1)), methods=["GET"]),
            Route("/{tenant}/oauth2/v2.0/authorize", answering(self._asked(2)), methods=["GET"]),
            Route("/{tenant}/oauth2/logout", answering(self.leaving), methods=["GET"]),
            Route("/{tenant}/oauth2/v2.0/logout", answering(self.leaving), methods=["GET"]),
        ]

    def _asked(self, version: int) -> Callable[[Request], Awaitable[Response]]:
        async def asked(request: Request) -> Response:
            pairs = parse_qsl(request.url.query, keep_blank_values=True)
            target = find_target(self._service.registry, request.path_params["tenant"], version, pairs)
            try:
                return await self._answer(request, target, read_demand(target, self._audiences))
            except IssuerError as error:
                told = {"error": error.error, "error_description": f"AADSTS{error.number}: {error}"}
                return self._send(request, target, told)

        return asked

    async def _answer(self, request: Request, target: Target, demand: Demand) -> Response:
        prompts = demand.prompt.split()
        visitor = await self._sign_in.person(request)
        standing = visitor.standing if visitor is not None else None
        if standing is None or standing.user.tenant_id != target.tenant.tenant_id:
            if "none" in prompts:
                raise IssuerError(400, "login_required", 50058, "Nobody is signed in with this browser.")
            return self._to_sign_in(request)
        if not _SHOW_THE_FORM.isdisjoint(prompts):
            return self._to_sign_in(request)
        now, code = self._service.clock(), new_secret()
        pending = demand.pending(target, standing.user.user_id, now)

        def keep(store: SignInStore) -> None:
            store.sweep_pending(now)
            store.keep_pending(hash_secret(code), pending)

        await self._service.keeper.change(keep)
        return self._send(request, target, {"code": code})

    def _to_sign_in(self, request: Request) -> Response:
        # Who has just signed in was asked as the client wished; asking again would never end.
        pairs = [(name, value) for name, value in request.query_params.multi_items() if name != "prompt"]
        return self._sign_in.to_sign_in(request, f"{request.url.path}?{urlencode(pairs)}")

    def _send(self, request: Request, target: Target, parameters: dict[str, str]) -> Response:
        if target.mode != "form_post":
            return RedirectResponse(target.location(parameters), 302, PAGE)
        response = self._sign_in.rendering.page(
            request,
            "form_post.html",
            tenant=None,
            address=target.redirect_uri,
            parameters=target.answer(parameters),
            application=target.application.name,
            script=_SEND,
        )
        leading_to(response, target.origin)
        response.headers["content-security-policy"] += f"; script-src 'sha256-{_SEND_HASH}'"
        return response

    async def leaving(self, request: Request) -> Response:
        """Clients send a person here to sign out; the person says so themselves on the page."""
        return self._sign_in.rendering.redirect(request, "/sign-out")
