"""The built-in issuer's token endpoint as rules: who asks, for what, and what Entra ID would answer.

Takes a form and gives an answer or raises IssuerError; HTTP is `web/oauth.py`, the pages where people sign in are
`web/sign_in.py`. A further grant is one more entry in `Issuer._grants`. The grant of a person's password to a client
is left out on purpose: passwords are typed on our own page and nowhere else.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

from tocsin.access import DELEGATED_PERMISSIONS
from tocsin.errors import NotFound
from tocsin.identity.asking import BARE_RESOURCE, SIGN_IN_SCOPES, application_audience, person_wanted
from tocsin.identity.clients import Client, Clients
from tocsin.identity.credentials import base64url, hash_secret, new_secret, new_user_code
from tocsin.identity.failures import FailureLimit
from tocsin.identity.issuing import (
    IssuerError,
    TokenRequest,
    invalid_grant,
    missing,
    require_enabled,
    resolve_application,
    resolve_tenant,
    too_many,
)
from tocsin.identity.lookup import Persons
from tocsin.identity.names import ServiceNames
from tocsin.identity.people import Directory, Tenant, User
from tocsin.identity.sign_in import DEVICE_INTERVAL_SECONDS, DEVICE_LIFE, Family, Keeper, Pending, SignInStore, Wanted
from tocsin.identity.tokens import IssuedToken, Tokens
from tocsin.ticks import SECOND

DEVICES_PER_MINUTE: Final = 60
DEVICE_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
_REFRESH_TOKEN: Final = re.compile(r"([0-9a-f]{32})\.([0-9a-f]{64})", re.ASCII)
_VERIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}", re.ASCII)


class _Asked(msgspec.Struct, frozen=True):
    """A token request together with what is known of it."""

    request: TokenRequest
    tenant: Tenant
    client: Client
    now: int


class Issuer:
    """Answers token requests for all tenants of one server."""

    def __init__(
        self,
        directory: Directory,
        persons: Persons,
        tokens: Tokens,
        names: ServiceNames,
        keeper: Keeper,
        *,
        told: Callable[[str, str, str], None] = lambda _tenant_guid, _actor, _name: None,
    ) -> None:
        """`told` hears for whom a token is made, as the audit log names them."""
        self._told = told
        self._directory, self._persons, self._tokens, self._keeper = directory, persons, tokens, keeper
        self._audiences = names.audiences()
        self._clients = Clients(directory, names, keeper)
        self._failures = FailureLimit()
        self._begun = FailureLimit(failures_max=DEVICES_PER_MINUTE)
        self._grants: dict[str, Callable[[TokenRequest, Tenant, int], Awaitable[dict[str, Any]]]] = {
            "client_credentials": self._client_credentials,
            "authorization_code": self._authorization_code,
            "refresh_token": self._refresh_token,
            "device_code": self._device_code,
            DEVICE_GRANT: self._device_code,
            "password": self._password,
        }

    async def answer(self, request: TokenRequest, now: int) -> dict[str, Any]:
        """The JSON object of a success; numbers are numbers, since one client refuses texts. Raises IssuerError."""
        tenant = resolve_tenant(self._directory, request.tenant)
        grant_type = request.form.get("grant_type")
        if grant_type is None:
            raise missing("grant_type")
        grant = self._grants.get(grant_type)
        if grant is None:
            text = f"The app requested an unsupported grant type '{grant_type[:80]}'."
            raise IssuerError(400, "unsupported_grant_type", 70003, text)
        return await grant(request, tenant, now)

    async def revoke(self, request: TokenRequest, now: int) -> None:
        """Void the family of a refresh token; a token that is none is no error (RFC 7009). Raises IssuerError."""
        tenant = resolve_tenant(self._directory, request.tenant)
        client = await self._clients.authenticate(request, tenant, now, public_allowed=True)
        found = _REFRESH_TOKEN.fullmatch(request.form.get("token", ""))
        if found is None:
            return

        def end(store: SignInStore) -> None:
            family = store.find_family(found[1])
            if family is not None and family.app_id == client.application.app_id:
                store.end_family(family.family)

        await self._keeper.change(end)

    async def start_device(self, request: TokenRequest, now: int) -> dict[str, Any]:
        """A sign-in on another device (RFC 8628): both codes, and where to type the short one. Raises IssuerError."""
        tenant = resolve_tenant(self._directory, request.tenant)
        if "client_id" not in request.form:
            raise missing("client_id")
        application = require_enabled(resolve_application(self._directory, tenant, request.form["client_id"]))
        wanted = person_wanted(request.form, request.version, tenant, self._audiences)
        if wanted is None:
            raise missing("resource" if request.version == 1 else "scope")
        wait_seconds = self._begun.count((0, request.caller), now)
        if wait_seconds:
            raise too_many("sign-ins begun from this address", wait_seconds)
        device_code, user_code = new_secret(), new_user_code()
        pending = Pending(
            tenant_id=tenant.tenant_id, app_id=application.app_id, wanted=wanted, expires=now + DEVICE_LIFE
        )

        def keep(store: SignInStore) -> None:
            store.sweep_pending(now)
            store.keep_pending(hash_secret(device_code), pending, user_code)

        await self._keeper.change(keep)
        address, shown = f"{request.base_url}/device", f"{user_code[:4]}-{user_code[4:]}"
        return {
            "user_code": shown,
            "device_code": device_code,
            "verification_uri" if request.version == 2 else "verification_url": address,
            "expires_in": DEVICE_LIFE // SECOND,
            "interval": DEVICE_INTERVAL_SECONDS,
            "message": f"To sign in, use a web browser to open the page {address} and enter the code {shown}.",
        }

    async def _password(self, request: TokenRequest, tenant: Tenant, now: int) -> dict[str, Any]:
        text = (
            "The app requested an unsupported grant type 'password'. People sign in on this server's own page: use an "
            "authorization code with PKCE, or a device code."
        )
        raise IssuerError(400, "unsupported_grant_type", 70003, text)

    async def _client_credentials(self, request: TokenRequest, tenant: Tenant, now: int) -> dict[str, Any]:
        client = await self._clients.authenticate(request, tenant, now)
        audience = application_audience(request.form, request.version, tenant, self._audiences)
        await self._clients.use_once(client, audience, now)
        self._told(tenant.guid, f"app:{client.application.app_id}", client.application.name)
        token = self._tokens.issue(
            tenant,
            client.application,
            audience=audience,
            base_url=request.base_url,
            version=request.version,
            now=now,
            proof=client.proof,
        )
        return _answer(token, request.version, audience)

    async def _authorization_code(self, request: TokenRequest, tenant: Tenant, now: int) -> dict[str, Any]:
        asked = await self._ask(request, tenant, now)
        code = request.form.get("code")
        if code is None:
            raise missing("code")
        family = _family_of(code)

        def take(store: SignInStore) -> Pending | None:
            pending = store.take_pending(hash_secret(code))
            if pending is None:
                # Whoever sends a code again may have stolen it, or was robbed of it (RFC 6749, 4.1.2).
                store.end_family(family)
            return pending

        pending = await self._keeper.change(take)
        if pending is None or pending.user_id is None:
            self._count_failure(asked)
            raise invalid_grant(70000, "The provided authorization code is unknown, or was already redeemed.")
        self._check_code(asked, pending)
        user = self._user(tenant, pending.user_id)
        wanted = self._narrowed(asked, pending.wanted)
        return await self._answer_person(asked, user, wanted, pending.nonce, self._family(asked, pending, family))

    def _check_code(self, asked: _Asked, pending: Pending) -> None:
        form = asked.request.form
        self._check_party(asked, pending)
        if asked.now >= pending.expires:
            raise invalid_grant(70008, "The provided authorization code has expired.")
        if form.get("redirect_uri") != pending.redirect_uri:
            text = "The redirect URI is not the one that the authorization code was sent to."
            raise invalid_grant(500112, text)
        verifier = form.get("code_verifier", "")
        if not pending.challenge and not verifier:
            return
        made = base64url(hashlib.sha256(verifier.encode("utf-8", "surrogatepass")).digest())
        if not _VERIFIER.fullmatch(verifier) or not hmac.compare_digest(made, pending.challenge):
            text = "The Code_Verifier does not match the code_challenge supplied in the authorization request."
            raise invalid_grant(501481, text)

    async def _device_code(self, request: TokenRequest, tenant: Tenant, now: int) -> dict[str, Any]:
        asked = await self._ask(request, tenant, now)
        code = request.form.get("device_code") or request.form.get("code")
        if code is None:
            raise missing("device_code")
        code_hash = hash_secret(code)
        pending = self._keeper.reading.find_pending(code_hash)
        if pending is None:
            self._count_failure(asked)
            raise invalid_grant(70000, "The provided device code is unknown, or was already redeemed.")
        self._check_party(asked, pending)
        if now >= pending.expires:
            raise IssuerError(400, "expired_token", 70020, "The device code has expired. Ask for a new one.")
        if pending.declined:
            raise IssuerError(400, "authorization_declined", 70022, "The person declined to sign in.")
        if pending.user_id is None:
            await self._keep_waiting(code_hash, pending, now)
        taken = await self._keeper.change(lambda store: store.take_pending(code_hash))
        if taken is None or taken.user_id is None:
            raise invalid_grant(70000, "The provided device code was already redeemed.")
        user = self._user(tenant, taken.user_id)
        wanted = self._narrowed(asked, taken.wanted)
        return await self._answer_person(asked, user, wanted, "", self._family(asked, taken, _family_of(code)))

    async def _keep_waiting(self, code_hash: str, pending: Pending, now: int) -> None:
        hasty = now < pending.polled + pending.interval * SECOND - SECOND // 2
        interval = pending.interval + 5 if hasty else pending.interval

        def note(store: SignInStore) -> None:
            # The person may have approved since: then this poll must not undo it.
            found = store.find_pending(code_hash)
            if found is not None:
                store.keep_pending(code_hash, msgspec.structs.replace(found, polled=now, interval=interval))

        await self._keeper.change(note)
        if hasty:
            text = f"The device asks too often. Wait {interval} seconds between requests."
            raise IssuerError(400, "slow_down", 90055, text)
        text = "OAuth 2.0 device flow error. Authorization is pending. Continue polling."
        raise IssuerError(400, "authorization_pending", 70016, text)

    async def _refresh_token(self, request: TokenRequest, tenant: Tenant, now: int) -> dict[str, Any]:
        asked = await self._ask(request, tenant, now)
        text = request.form.get("refresh_token")
        if text is None:
            raise missing("refresh_token")
        found = _REFRESH_TOKEN.fullmatch(text)
        wanted = person_wanted(request.form, request.version, tenant, self._audiences)
        family = None if found is None else await self._find_family(asked, found[1], hash_secret(text))
        if family is None:
            self._count_failure(asked)
            raise _refresh_refused()
        user = self._user(tenant, family.user_id)
        if family.opened < user.signed_out:
            await self._keeper.change(lambda store: store.end_family(family.family))
            raise invalid_grant(50173, "The provided grant has expired: the person was signed out. Sign in again.")
        narrowed = family.asked if wanted is None else wanted.within(family.asked)
        kept = msgspec.structs.replace(narrowed, offline=True)
        return await self._answer_person(asked, user, kept, "", family)

    async def _find_family(self, asked: _Asked, family_id: str, token_hash: str) -> Family | None:
        """The family whose newest token was sent. Of an older one the family is ended: it was stolen, or is lost."""
        family = self._keeper.reading.find_family(family_id)
        if family is None or not family.is_open(asked.now):
            return None
        if (family.tenant_id, family.app_id) != (asked.tenant.tenant_id, asked.client.application.app_id):
            return None
        if not hmac.compare_digest(family.token_hash, token_hash):
            await self._keeper.change(lambda store: store.end_family(family_id))
            return None
        return family

    async def _ask(self, request: TokenRequest, tenant: Tenant, now: int) -> _Asked:
        client = await self._clients.authenticate(request, tenant, now, public_allowed=True)
        return _Asked(request, tenant, client, now)

    def _check_party(self, asked: _Asked, pending: Pending) -> None:
        if pending.tenant_id != asked.tenant.tenant_id or pending.app_id != asked.client.application.app_id:
            raise invalid_grant(70000, "The provided code was given to another application.")

    def _narrowed(self, asked: _Asked, wanted: Wanted) -> Wanted:
        again = person_wanted(asked.request.form, asked.request.version, asked.tenant, self._audiences)
        return wanted if again is None else again.within(wanted)

    def _family(self, asked: _Asked, pending: Pending, family: str) -> Family:
        return Family(
            family=family,
            tenant_id=pending.tenant_id,
            user_id=pending.user_id or "",
            app_id=pending.app_id,
            asked=pending.wanted,
            token_hash="",
            opened=asked.now,
            used=asked.now,
        )

    def _user(self, tenant: Tenant, user_id: str) -> User:
        try:
            user = self._persons.get_user(tenant.tenant_id, user_id)
        except NotFound:
            raise invalid_grant(50034, "The user account does not exist in this tenant any more.") from None
        if user.disabled is not None:
            raise invalid_grant(50057, "The user account is disabled.")
        return user

    async def _answer_person(
        self, asked: _Asked, user: User, wanted: Wanted, nonce: str, family: Family
    ) -> dict[str, Any]:
        request, tenant, application = asked.request, asked.tenant, asked.client.application
        self._told(tenant.guid, f"user:{user.user_id} app:{application.app_id}", user.name)
        scopes = self._scopes(tenant, user, wanted)
        token = self._tokens.issue_delegated(
            tenant,
            asked.client,
            user,
            " ".join(scopes),
            audience=wanted.audience,
            base_url=request.base_url,
            version=request.version,
            now=asked.now,
        )
        answer = _answer(token, request.version, wanted.audience)
        answer["scope"] = " ".join(scopes if request.version == 1 else _spelled(scopes, wanted))
        if wanted.openid:
            answer["id_token"] = self._tokens.issue_id_token(
                tenant,
                application.app_id,
                user,
                nonce=nonce,
                base_url=request.base_url,
                version=request.version,
                now=asked.now,
            ).text
        if request.form.get("client_info") == "1":
            told = msgspec.json.encode({"uid": user.user_id, "utid": tenant.guid})
            answer["client_info"] = base64url(told)
        if wanted.offline:
            answer["refresh_token"] = await self._next_token(family, asked.now)
        return answer

    async def _next_token(self, family: Family, now: int) -> str:
        """The next token of a family. Of two uses of one token at once only the first gets it: the other ends it."""
        text = f"{family.family}.{new_secret()}"
        fresh = msgspec.structs.replace(family, token_hash=hash_secret(text), used=now)

        def rotate(store: SignInStore) -> bool:
            found = store.find_family(family.family)
            if (found.token_hash if found else "") != family.token_hash:
                store.end_family(family.family)
                return False
            store.keep_family(fresh)
            return True

        if not await self._keeper.change(rotate):
            raise _refresh_refused()
        return text

    def _scopes(self, tenant: Tenant, user: User, wanted: Wanted) -> list[str]:
        held = self._persons.permissions_of(tenant.tenant_id, user.user_id) & DELEGATED_PERMISSIONS
        granted = sorted(permission for permission in held if wanted.names is None or permission in wanted.names)
        if granted:
            return [str(permission) for permission in granted]
        if wanted.openid and wanted.names == frozenset():
            return ["openid", "profile"]
        text = f"The roles of {user.name} permit nothing of what the application asks for. Ask your administrator."
        raise invalid_grant(65001, text)

    def _count_failure(self, asked: _Asked) -> None:
        key = (asked.tenant.tenant_id, f"{asked.client.application.app_id} {asked.request.caller}")
        wait_seconds = self._failures.count(key, asked.now)
        if wait_seconds:
            raise too_many("wrong codes or tokens for this application", wait_seconds)


def _refresh_refused() -> IssuerError:
    return invalid_grant(700082, "The refresh token is unknown, has expired, or was revoked.")


def _spelled(scopes: list[str], wanted: Wanted) -> list[str]:
    """Granted scopes as the original spells them, since clients look for what they asked for in what they were given:
    the resource before each, `.default` again, and names that were asked for without a resource as they are."""
    if wanted.names is None:
        return [*(f"{wanted.audience}/{scope}" for scope in scopes), f"{wanted.audience}/.default"]
    if wanted.audience == BARE_RESOURCE:
        return [*scopes, *(f"{wanted.audience}/{scope}" for scope in scopes if scope not in SIGN_IN_SCOPES)]
    return [scope if scope in SIGN_IN_SCOPES else f"{wanted.audience}/{scope}" for scope in scopes]


def _family_of(code: str) -> str:
    """The id of the family that a code begins: it can be told from the code alone when that comes again."""
    return hash_secret(f"family {code}")[:32]


def _answer(token: IssuedToken, version: int, audience: str) -> dict[str, Any]:
    # One second less than the truth, as Entra has it: a client that waits this long is never too late.
    life = token.expires - token.not_before - 1
    answer: dict[str, Any] = {"token_type": "Bearer", "expires_in": life, "ext_expires_in": life}
    if version == 1:
        answer |= {"expires_on": token.expires, "not_before": token.not_before, "resource": audience}
    return answer | {"access_token": token.text}
