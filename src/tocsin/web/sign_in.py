"""The pages where people sign in and out, and where they type the code of another device.

Passwords are checked in threads, a few at once, and a guess at nobody's takes as long as one at somebody's. What
a person who signed in is let into is decided elsewhere: the portal, or `web/authorize.py`, to which `next` leads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tocsin.errors import InvalidInput, NotFound, TocsinError, Unauthenticated, Unavailable
from tocsin.identity.authorizing import Target, find_target
from tocsin.identity.credentials import parse_user_code
from tocsin.identity.failures import FailureLimit
from tocsin.identity.foreign import ForeignIssuer
from tocsin.identity.issuing import IssuerError, resolve_tenant
from tocsin.identity.lookup import FreshCache, Lookup
from tocsin.identity.passwords import hash_password, needs_rehash, password_matches
from tocsin.identity.people import Tenant, User
from tocsin.identity.sign_in import Pending, SignInStore
from tocsin.service import Service
from tocsin.stores.sqlite.people import People
from tocsin.ticks import MINUTE
from tocsin.web.answers import asked_at
from tocsin.web.csrf import FIELD, Forms, load_form_key
from tocsin.web.headers import PAGE
from tocsin.web.portal.rendering import INTERNAL, LINK_USED, Rendering
from tocsin.web.portal.session import (
    COOKIE,
    HOLDER_OF_A_LINK,
    Sessions,
    Visitor,
    give_cookie,
    take_cookie,
    use_sign_in_code,
)
from tocsin.witness import identify, refuse

HOME: Final = "/incidents"
CHECKS_AT_ONCE: Final = 2
CHECKS_WAITING_MAX: Final = 32
WINDOW: Final = 5 * MINUTE
NAME_AND_ADDRESS_MAX: Final = 10
NAME_MAX: Final = 100
"""Wrong passwords for a name within WINDOW from everywhere; an attacker on one address cannot keep the owner out."""

_WRONG: Final = "The name or the password is not right."

log = structlog.get_logger()
_Handler = Callable[[Request], Awaitable[Response]]


class SignIn:
    """What the pages share: the sessions, the forms, and the checks of passwords."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.lookup = Lookup(service.registry, service.people, FreshCache(1024))
        self.sessions = Sessions(service.keeper, self.lookup)
        self.forms = Forms(load_form_key(service.settings.data_dir), service.names)
        self.rendering = Rendering(service.names)
        self._checking = asyncio.Semaphore(CHECKS_AT_ONCE)
        self._waiting = 0
        self._by_address = FailureLimit(failures_max=NAME_AND_ADDRESS_MAX, window=WINDOW)
        self._by_name = FailureLimit(failures_max=NAME_MAX, window=WINDOW)
        self._codes = FailureLimit(failures_max=NAME_AND_ADDRESS_MAX, window=WINDOW)

    def routes(self) -> list[Route]:
        """Sign-in, sign-out and the page for other devices."""
        return [
            Route("/sign-in", self.answering(self.show), methods=["GET"]),
            Route("/sign-in", self.answering(self.receive), methods=["POST"]),
            Route("/sign-out", self.answering(self.leaving), methods=["GET"]),
            Route("/sign-out", self.answering(self.leave), methods=["POST"]),
            Route("/device", self.answering(self.ask_code), methods=["GET"]),
            Route("/device", self.answering(self.take_code), methods=["POST"]),
        ]

    def answering(self, handler: _Handler) -> _Handler:
        """Wrap a page's handler so that it never raises."""

        async def answer(request: Request) -> Response:
            try:
                return await handler(request)
            except IssuerError as error:
                title = "This sign-in cannot go on"
                return self.rendering.message(request, error.status, title, f"AADSTS{error.number}: {error}")
            except TocsinError as error:
                return self.rendering.failure(request, error)
            except Exception as error:  # the outermost edge: no text of a defect leaves the process
                log.error("page_failed", path=asked_at(request), exc_info=error)
                return self.rendering.message(request, 500, "This page could not be made", INTERNAL)

        return answer

    async def show(self, request: Request) -> Response:
        """The form; or a session, for the code of a one-time link."""
        code = request.query_params.get("code")
        if code is None:
            return self._form(request, dict(request.query_params))
        # Previews of links send HEAD: it uses nothing up.
        if request.method == "HEAD":
            return self.rendering.message(request, 200, "Sign in", "Open this link in a browser.")
        now = self.service.clock()
        try:
            tenant_id = use_sign_in_code(self.service.settings.data_dir, code, now)
        except Unauthenticated as error:
            log.info("sign_in_refused", reason=str(error))
            return self.rendering.message(request, 401, "This sign-in link does not work", LINK_USED)
        identify(self.service.tenant(tenant_id).guid, HOLDER_OF_A_LINK)
        return await self.opened(request, tenant_id, None, HOME)

    async def receive(self, request: Request) -> Response:
        """Name and password. Whatever is wrong with them, the answer is the same."""
        binding, _ = self.forms.before_sign_in(request)
        fields = await self.forms.read(request, binding)
        tenant = self._tenant(fields)
        user = None if tenant is None else await self._checked(request, tenant, fields)
        if tenant is None or user is None:
            refuse("wrong name or password")
            return self._form(request, fields, _WRONG, 401)
        identify(tenant.guid, f"user:{user.user_id}", user.name)
        return await self.opened(request, tenant.tenant_id, user.user_id, inner_path(fields.get("next", "")))

    async def opened(self, request: Request, tenant_id: int, user_id: str | None, path: str) -> Response:
        """A session of its own for every sign-in: an id from before must not become worth more."""
        await self.sessions.end(request)
        session_id = await self.sessions.open(tenant_id, user_id, self.service.clock())
        response = self.rendering.redirect(request, path)
        give_cookie(response, session_id)
        return response

    def _form(self, request: Request, fields: dict[str, str], problem: str = "", status: int = 200) -> Response:
        path = inner_path(fields.get("next", ""))
        target = self.target_of(path)
        binding, token = self.forms.before_sign_in(request)
        hint = fields.get("name", "") or (target.form.get("login_hint", "") if target else "")
        response = self.rendering.page(
            request,
            "sign_in.html",
            status,
            tenant=None,
            problem=problem,
            field=FIELD,
            token=token,
            next=path,
            name=hint[:320],
            organisation=fields.get("organisation", "")[:253],
            asks_organisation=self._tenant_named(path) is None and len(self.service.registry.list_tenants()) > 1,
            application=target.application.name if target else "",
            issuers=self._issuers(fields),
            organisation_id=self._organisation_id(fields),
        )
        self.forms.bind(response, binding)
        if target is not None:
            leading_to(response, target.origin)
        return response

    def _issuers(self, fields: dict[str, str]) -> list[ForeignIssuer]:
        """Where else people of the organisation that is meant may sign in."""
        tenant = self._tenant(fields)
        if tenant is None:
            return []
        return [each for each in self.service.foreign_issuers.list_of(tenant.tenant_id) if each.client_id]

    def _organisation_id(self, fields: dict[str, str]) -> str:
        tenant = self._tenant(fields)
        return "" if tenant is None else tenant.guid

    def target_of(self, path: str) -> Target | None:
        """The application that a sign-in leads back to, where it does."""
        parts = urlsplit(path)
        pieces = parts.path.strip("/").split("/")
        if len(pieces) < 3 or pieces[1] != "oauth2" or pieces[-1] != "authorize":
            return None
        try:
            version = 2 if pieces[2] == "v2.0" else 1
            return find_target(self.service.registry, pieces[0], version, parse_qsl(parts.query))
        except IssuerError:
            return None

    def _tenant_named(self, path: str) -> Tenant | None:
        target = self.target_of(path)
        return None if target is None else target.tenant

    def _tenant(self, fields: dict[str, str]) -> Tenant | None:
        named = self._tenant_named(inner_path(fields.get("next", "")))
        if named is not None:
            return named
        try:
            return resolve_tenant(self.service.registry, fields.get("organisation", "").strip() or "organizations")
        except IssuerError:
            return None

    async def _checked(self, request: Request, tenant: Tenant, fields: dict[str, str]) -> User | None:
        name, now = fields.get("name", "").strip().lower()[:320], self.service.clock()
        address = request.client.host if request.client else ""
        keys = ((self._by_address, (tenant.tenant_id, f"{name} {address}")), (self._by_name, (tenant.tenant_id, name)))
        wait_seconds = max(limit.wait_seconds(key, now) for limit, key in keys)
        if wait_seconds:
            minutes = -(-wait_seconds // 60)
            raise InvalidInput(f"Too many wrong passwords for this name. Wait {minutes} minutes, then try again.")
        try:
            user = self.service.people.get_user(tenant.tenant_id, name) if name else None
        except NotFound:
            user = None
        password = fields.get("password", "")
        right = await self._matches(password, None if user is None else user.password_hash)
        if user is None or not right or user.disabled is not None:
            for limit, key in keys:
                limit.count(key, now)
            return None
        await self._renew(user, password)
        return user

    async def _matches(self, password: str, password_hash: str | None) -> bool:
        if self._waiting >= CHECKS_WAITING_MAX:
            raise Unavailable("too many people are signing in at once", 5)
        self._waiting += 1
        try:
            async with self._checking:
                return await run_in_threadpool(password_matches, password, password_hash)
        finally:
            self._waiting -= 1

    async def _renew(self, user: User, password: str) -> None:
        if user.password_hash is None or not needs_rehash(user.password_hash):
            return
        try:
            fresh = await run_in_threadpool(hash_password, password)
        except InvalidInput:
            return  # it is shorter than new ones may be; it goes on being good
        await asyncio.wrap_future(
            self.service.writer.perform(
                lambda store: People(store.connection).renew_hash(user.tenant_id, user.user_id, fresh)
            )
        )

    async def leaving(self, request: Request) -> Response:
        """Whether to sign out; or that nobody is signed in."""
        try:
            visitor = await self.sessions.visitor(request, self.service.clock())
        except Unauthenticated:
            return self.rendering.message(request, 200, "You are signed out", "Close this window, or sign in again.")
        token = self.forms.token(request.cookies.get(COOKIE, ""))
        return self.rendering.page(request, "sign_out.html", tenant=None, field=FIELD, token=token, person=visitor.name)

    async def leave(self, request: Request) -> Response:
        """Sign out."""
        await self.forms.read(request, request.cookies.get(COOKIE, ""))
        try:
            visitor = await self.sessions.visitor(request, self.service.clock())
            identify(self.service.tenant(visitor.session.tenant_id).guid, visitor.actor)
        except Unauthenticated:
            pass  # it ended by itself meanwhile
        await self.sessions.end(request)
        response = self.rendering.redirect(request, "/sign-out")
        take_cookie(response)
        return response

    async def person(self, request: Request) -> Visitor | None:
        """The person who is signed in with this browser; nobody for the operator, who has no account."""
        try:
            visitor = await self.sessions.visitor(request, self.service.clock())
        except Unauthenticated:
            return None
        if visitor.standing is not None:
            guid = self.service.tenant(visitor.session.tenant_id).guid
            identify(guid, f"user:{visitor.standing.user.user_id}", visitor.standing.user.name)
        return visitor if visitor.standing is not None else None

    def to_sign_in(self, request: Request, path: str) -> Response:
        """Send the browser to the form, which leads back to `path`."""
        return self.rendering.redirect(request, f"/sign-in?{urlencode({'next': path})}")

    async def ask_code(self, request: Request) -> Response:
        """Where a person types the code that another device shows."""
        if await self.person(request) is None:
            return self.to_sign_in(request, "/device")
        return self._device(request)

    async def take_code(self, request: Request) -> Response:
        """What was typed: first the application's name is shown, then the person says yes or no."""
        visitor = await self.person(request)
        if visitor is None or visitor.standing is None:
            return self.to_sign_in(request, "/device")
        fields = await self.forms.read(request, request.cookies.get(COOKIE, ""))
        user, now = visitor.standing.user, self.service.clock()
        key = (user.tenant_id, user.user_id)
        if self._codes.wait_seconds(key, now):
            raise InvalidInput("Too many wrong codes. Wait five minutes, then try again.")
        code = parse_user_code(fields.get("user_code", ""))
        found = self.service.keeper.reading.find_by_user_code(user.tenant_id, code)
        if found is None or not _is_waiting(found[1], now):
            self._codes.count(key, now)
            refuse("wrong user code")
            return self._device(request, problem="This code is not right, or no longer. Ask the device for a new one.")
        code_hash, pending = found
        application = self.service.registry.get_application(user.tenant_id, pending.app_id)
        decision = fields.get("decision", "")
        if decision not in ("yes", "no"):
            return self._device(request, code=code, application=application.name)
        await self.service.keeper.change(lambda store: _decide(store, code_hash, user.user_id, decision == "yes"))
        told = f"You are signed in to {application.name} on the other device. You can close this window."
        if decision == "no":
            told = f"{application.name} was not signed in. You can close this window."
        return self.rendering.message(request, 200, "Done", told)

    def _device(self, request: Request, *, problem: str = "", code: str = "", application: str = "") -> Response:
        token = self.forms.token(request.cookies.get(COOKIE, ""))
        return self.rendering.page(
            request,
            "device.html",
            400 if problem else 200,
            tenant=None,
            problem=problem,
            field=FIELD,
            token=token,
            code=code,
            application=application,
        )


def leading_to(response: Response, origin: str) -> None:
    """Let the form of a page lead to an application: browsers hold redirects after a form to its policy too."""
    policy = PAGE["content-security-policy"].replace("form-action 'self'", f"form-action 'self' {origin}")
    response.headers["content-security-policy"] = policy


def inner_path(path: str) -> str:
    """A path of our own to go on to; anything else is the queue."""
    plain = path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
    return path if plain else HOME


def _is_waiting(pending: Pending, now: int) -> bool:
    return now < pending.expires and pending.user_id is None and not pending.declined


def _decide(store: SignInStore, code_hash: str, user_id: str, approved: bool) -> None:
    pending = store.find_pending(code_hash)
    if pending is not None and pending.user_id is None and not pending.declined:
        store.keep_pending(code_hash, pending.decided(user_id if approved else None))
