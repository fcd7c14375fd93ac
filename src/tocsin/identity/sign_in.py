"""What signing in is made of: sessions of browsers, sign-ins that are under way, families of refresh tokens.

Nouns and the port through which they are kept. Whatever opens something (a code, a token, a session's id) is kept as
its SHA-256 alone. Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol, TypeVar

import msgspec

from tocsin.identity.assertions import Certificate
from tocsin.ticks import DAY, HOUR, MINUTE

CODE_LIFE: Final = 10 * MINUTE
DEVICE_LIFE: Final = 15 * MINUTE
DEVICE_INTERVAL_SECONDS: Final = 5
SESSION_IDLE: Final = 4 * HOUR
SESSION_LIFE: Final = 12 * HOUR
SESSION_NOTE: Final = 5 * MINUTE
"""How exactly it is known when a session was used last."""
REFRESH_IDLE: Final = 14 * DAY
REFRESH_LIFE: Final = 90 * DAY

T = TypeVar("T")


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What a client asks for in a person's name. `names` are permissions, known or not; None asks for all there are."""

    audience: str
    names: frozenset[str] | None
    openid: bool
    offline: bool

    def within(self, other: Wanted) -> Wanted:
        """This, but no more than was asked for before."""
        both = [names for names in (self.names, other.names) if names is not None]
        names = frozenset.intersection(*both) if both else None
        return msgspec.structs.replace(
            self, names=names, openid=self.openid and other.openid, offline=self.offline and other.offline
        )


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """A sign-in under way for an application. Times are ticks.

    With an authorization code the person is known; with a device code from when they approved, unless they `declined`.
    `challenge` is that of PKCE, S256; `polled` when the device asked last, at best every `interval` seconds.
    """

    tenant_id: int
    app_id: str
    wanted: Wanted
    expires: int
    user_id: str | None = None
    redirect_uri: str = ""
    challenge: str = ""
    nonce: str = ""
    declined: bool = False
    polled: int = 0
    interval: int = DEVICE_INTERVAL_SECONDS

    def decided(self, user_id: str | None) -> Pending:
        """Approved by a person, or declined."""
        return msgspec.structs.replace(self, user_id=user_id, declined=user_id is None)


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A browser that somebody signed in with. `user_id` None is the operator, who came by a one-time link."""

    tenant_id: int
    user_id: str | None
    opened: int
    used: int

    def is_open(self, now: int) -> bool:
        """Whether it has ended neither by age nor by idleness."""
        return self.opened <= now + MINUTE and now < min(self.opened + SESSION_LIFE, self.used + SESSION_IDLE)


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """The refresh tokens that follow from one sign-in. Of them only the newest, `token_hash`, is good."""

    family: str
    tenant_id: int
    user_id: str
    app_id: str
    asked: Wanted
    token_hash: str
    opened: int
    used: int

    def is_open(self, now: int) -> bool:
        """Whether it has ended neither by age nor by idleness."""
        return now < min(self.opened + REFRESH_LIFE, self.used + REFRESH_IDLE)


class SignInStore(Protocol):
    """Keeps all of this. Hashes are those of `credentials.hash_secret`; `now` is in ticks."""

    def find_session(self, session_hash: str) -> Session | None:
        """The session, ended by age or not."""

    def open_session(self, session_hash: str, session: Session) -> None:
        """Keep a session, and forget those that ended."""

    def note_session(self, session_hash: str, now: int) -> None:
        """Note that it was used."""

    def end_session(self, session_hash: str) -> None:
        """Forget it."""

    def keep_pending(self, code_hash: str, pending: Pending, user_code: str | None = None) -> None:
        """Keep or replace a sign-in under way; `user_code` is what a person types, set once."""

    def find_pending(self, code_hash: str) -> Pending | None:
        """By its code, expired or not."""

    def find_by_user_code(self, tenant_id: int, user_code: str) -> tuple[str, Pending] | None:
        """(hash of the code, sign-in) by what a person typed, expired or not."""

    def take_pending(self, code_hash: str) -> Pending | None:
        """The same, and it is gone."""

    def sweep_pending(self, now: int) -> None:
        """Forget what expired a day ago: until then clients are told that it did."""

    def find_family(self, family: str) -> Family | None:
        """By its id, ended by age or not."""

    def keep_family(self, family: Family) -> None:
        """Keep or replace a family, and forget those that ended."""

    def end_family(self, family: str) -> None:
        """Void its tokens."""

    def use_assertion(self, fingerprint: str, expires: int, now: int) -> bool:
        """Whether this is its first use; ones that expired are forgotten."""

    def list_certificates(self, tenant_id: int, app_id: str) -> list[Certificate]:
        """The certificates of an application, oldest first."""


class Keeper(Protocol):
    """The store as the issuer has it: reads at once, changes each in a transaction of its own."""

    @property
    def reading(self) -> SignInStore:
        """For methods that only read."""

    async def change(self, work: Callable[[SignInStore], T]) -> T:
        """Run work in one transaction; an error undoes it. It must not wait for anything. Raises Unavailable."""
