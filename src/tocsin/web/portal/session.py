"""Who looks: one-time links, and the sessions of browsers that somebody signed in with.

The right to make a link is the right to write into the data folder: whoever can mint a code there owns the store
anyway. A code is one private file, named after the SHA-256 of the code, which the server takes away when it is used;
taking a file away succeeds once, whoever else tries. Sessions are kept by the store, so a restart ends none.
"""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from tocsin.access import APPLICATION_PERMISSIONS, Principal
from tocsin.errors import NotFound, StoreError, Unauthenticated, Unavailable
from tocsin.identity.credentials import hash_secret, new_secret
from tocsin.identity.keyfiles import make_private_folder, read_private, write_private
from tocsin.identity.lookup import Lookup, Standing
from tocsin.identity.sign_in import SESSION_LIFE, SESSION_NOTE, Keeper, Session
from tocsin.ticks import MINUTE, SECOND

CODE_LIFE: Final = 10 * MINUTE
COOKIE: Final = "__Host-tocsin"
PORTAL: Final = "portal"
"""What stands for the portal where an application's id stands for others."""
HOLDER_OF_A_LINK: Final = "operator:(sign-in link)"
"""There is no account behind a link: who made it owns the data folder."""

_FOLDER: Final = "portal-codes"
_CODE: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_REFUSED: Final = "the sign-in code is unknown, used or expired"


class _CodeFile(msgspec.Struct, frozen=True):
    """What a code opens. `expires` in ticks."""

    tenant_id: int
    expires: int


_code_decoder = msgspec.json.Decoder(_CodeFile)


def mint_sign_in_code(data_dir: Path, tenant_id: int, now: int) -> str:
    """A code that opens one session of this tenant within ten minutes of `now` (ticks). Raises StoreError.

    It belongs into a link `https://<server>/sign-in?code=<code>`. Needs no running server.
    """
    folder = data_dir / _FOLDER
    make_private_folder(folder)
    _sweep(folder, now)
    code = new_secret()
    write_private(folder / hash_secret(code), msgspec.json.encode(_CodeFile(tenant_id, now + CODE_LIFE)))
    return code


def use_sign_in_code(data_dir: Path, code: str, now: int) -> int:
    """The tenant that a code opens; the code is gone afterwards, good or not. Raises Unauthenticated, StoreError."""
    if not _CODE.fullmatch(code):
        raise Unauthenticated("the sign-in code does not have the form of one")
    path = data_dir / _FOLDER / hash_secret(code)
    content = read_private(path)
    if content is None or not _take(path):
        raise Unauthenticated(_REFUSED)
    kept = _read(content)
    if kept is None or now >= kept.expires:
        raise Unauthenticated(_REFUSED)
    return kept.tenant_id


def _take(path: Path) -> bool:
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StoreError(f"{path} cannot be removed, so the code was not accepted: {error.strerror}") from error
    return True


def _read(content: bytes) -> _CodeFile | None:
    try:
        return _code_decoder.decode(content)
    except msgspec.DecodeError:
        return None


def _sweep(folder: Path, now: int) -> None:
    """Forget codes that nobody used in time."""
    for path in folder.iterdir():
        content = read_private(path) if _CODE.fullmatch(path.name) else None
        if content is not None and ((kept := _read(content)) is None or now >= kept.expires):
            path.unlink(missing_ok=True)


class Visitor(msgspec.Struct, frozen=True):
    """Who a browser's session belongs to. `standing` None is the operator, who came by a one-time link."""

    session: Session
    standing: Standing | None

    @property
    def name(self) -> str:
        """Who it is, for people to read."""
        return "operator" if self.standing is None else self.standing.user.display_name

    @property
    def actor(self) -> str:
        """Who it is, as the audit log has it."""
        return HOLDER_OF_A_LINK if self.standing is None else f"user:{self.standing.user.user_id} app:portal"

    @property
    def principal(self) -> Principal:
        """As what they act: the operator may do everything in the tenant, a person what their roles permit."""
        tenant_id = self.session.tenant_id
        if self.standing is None:
            return Principal(tenant_id, PORTAL, self.name, APPLICATION_PERMISSIONS)
        user, held = self.standing.user, self.standing.permissions
        return Principal(tenant_id, PORTAL, user.name, held, user_id=user.user_id, grants=self.standing.grants)


class Sessions:
    """The sessions of browsers, for the portal and for single sign-on at the issuer: one cookie for both."""

    def __init__(self, keeper: Keeper, lookup: Lookup) -> None:
        self._keeper, self._lookup = keeper, lookup

    async def open(self, tenant_id: int, user_id: str | None, now: int) -> str:
        """The id of a new session, for the cookie. `now` in ticks. Raises Unavailable."""
        session_id = new_secret()
        session = Session(tenant_id=tenant_id, user_id=user_id, opened=now, used=now)
        await self._keeper.change(lambda store: store.open_session(hash_secret(session_id), session))
        return session_id

    async def visitor(self, request: Request, now: int) -> Visitor:
        """Whose browser this is. Raises Unauthenticated where nobody is signed in, or may be any more."""
        key = hash_secret(request.cookies.get(COOKIE, ""))
        session = self._keeper.reading.find_session(key)
        if session is None or not session.is_open(now):
            raise Unauthenticated("there is no such session, or it has ended")
        standing = None if session.user_id is None else self._standing(session, session.user_id, now)
        if now >= session.used + SESSION_NOTE:
            # With a full disk reads go on: then the session ends somewhat early.
            with suppress(Unavailable):
                await self._keeper.change(lambda store: store.note_session(key, now))
        return Visitor(session, standing)

    def _standing(self, session: Session, user_id: str, now: int) -> Standing:
        try:
            standing = self._lookup.get_standing(session.tenant_id, user_id, now)
        except NotFound:
            raise Unauthenticated("the session's user is gone") from None
        if standing.user.disabled is not None or session.opened < standing.user.signed_out:
            raise Unauthenticated("the session's user is disabled, or was signed out everywhere")
        return standing

    async def end(self, request: Request) -> None:
        """Forget this browser's session, if it has one."""
        key = hash_secret(request.cookies.get(COOKIE, ""))
        if self._keeper.reading.find_session(key) is not None:
            await self._keeper.change(lambda store: store.end_session(key))


def give_cookie(response: Response, session_id: str) -> None:
    """Have the browser keep its session, out of reach of scripts."""
    # Lax and not Strict: incidentUri is followed from other sites, and forms carry a token of their own.
    life = SESSION_LIFE // SECOND
    response.set_cookie(COOKIE, session_id, max_age=life, path="/", secure=True, httponly=True, samesite="lax")


def take_cookie(response: Response) -> None:
    """Have the browser forget its session."""
    response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="lax")
