"""Sessions, sign-ins under way, refresh tokens, used assertions and certificates in the SQLite store.

Methods that write belong into a transaction of the caller's: the writer's, or `transaction` at the command line.
Why they are kept as hashes: `identity/sign_in.py`.
"""

from __future__ import annotations

from typing import Final

import apsw
import msgspec

from tocsin.errors import InvalidInput, NotFound
from tocsin.identity.assertions import Certificate, parse_certificate
from tocsin.identity.sign_in import (
    REFRESH_IDLE,
    SESSION_LIFE,
    Family,
    Pending,
    Session,
    Wanted,
)
from tocsin.ticks import DAY

SESSIONS_MAX: Final = 10_000
CERTIFICATES_MAX: Final = 20

_PENDING: Final = msgspec.json.Decoder(Pending)
_FAMILY: Final = "SELECT family, tenant_id, user_id, app_id, asked, token_hash, opened, used FROM refresh_family"


class SignIns:
    """`identity.sign_in.SignInStore` over one connection."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def find_session(self, session_hash: str) -> Session | None:
        """The session, ended by age or not."""
        query = "SELECT tenant_id, user_id, opened, used FROM browser_session WHERE session_hash = ?"
        row = self._connection.execute(query, (session_hash,)).fetchone()
        return None if row is None else msgspec.convert(dict(zip(Session.__struct_fields__, row, strict=True)), Session)

    def open_session(self, session_hash: str, session: Session) -> None:
        """Keep a session, and forget those that ended; of too many the oldest."""
        self._connection.execute("DELETE FROM browser_session WHERE opened <= ?", (session.opened - SESSION_LIFE,))
        self._connection.execute(
            "DELETE FROM browser_session WHERE session_hash IN "
            "(SELECT session_hash FROM browser_session ORDER BY opened DESC LIMIT -1 OFFSET ?)",
            (SESSIONS_MAX - 1,),
        )
        self._connection.execute(
            "INSERT INTO browser_session (session_hash, tenant_id, user_id, opened, used) VALUES (?, ?, ?, ?, ?)",
            (session_hash, session.tenant_id, session.user_id, session.opened, session.used),
        )

    def note_session(self, session_hash: str, now: int) -> None:
        """Note that it was used."""
        self._connection.execute("UPDATE browser_session SET used = ? WHERE session_hash = ?", (now, session_hash))

    def end_session(self, session_hash: str) -> None:
        """Forget it."""
        self._connection.execute("DELETE FROM browser_session WHERE session_hash = ?", (session_hash,))

    def keep_pending(self, code_hash: str, pending: Pending, user_code: str | None = None) -> None:
        """Keep or replace a sign-in under way; a `user_code` that was set stays."""
        self._connection.execute(
            "INSERT INTO pending_sign_in (code_hash, tenant_id, user_code, document, expires) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (code_hash) DO UPDATE SET document = excluded.document",
            (code_hash, pending.tenant_id, user_code, msgspec.json.encode(pending).decode(), pending.expires),
        )

    def find_pending(self, code_hash: str) -> Pending | None:
        """By its code, expired or not."""
        query = "SELECT document FROM pending_sign_in WHERE code_hash = ?"
        row = self._connection.execute(query, (code_hash,)).fetchone()
        return None if row is None else _PENDING.decode(str(row[0]))

    def find_by_user_code(self, tenant_id: int, user_code: str) -> tuple[str, Pending] | None:
        """(hash of the code, sign-in) by what a person typed, expired or not."""
        query = "SELECT code_hash, document FROM pending_sign_in WHERE user_code = ? AND tenant_id = ?"
        row = self._connection.execute(query, (user_code, tenant_id)).fetchone()
        return None if row is None else (str(row[0]), _PENDING.decode(str(row[1])))

    def take_pending(self, code_hash: str) -> Pending | None:
        """By its code, and it is gone."""
        query = "DELETE FROM pending_sign_in WHERE code_hash = ? RETURNING document"
        row = self._connection.execute(query, (code_hash,)).fetchone()
        return None if row is None else _PENDING.decode(str(row[0]))

    def sweep_pending(self, now: int) -> None:
        """Forget what expired a day ago."""
        self._connection.execute("DELETE FROM pending_sign_in WHERE expires <= ?", (now - DAY,))

    def find_family(self, family: str) -> Family | None:
        """By its id, ended by age or not."""
        row = self._connection.execute(f"{_FAMILY} WHERE family = ?", (family,)).fetchone()
        if row is None:
            return None
        values = dict[str, object](zip(Family.__struct_fields__, row, strict=True))
        values["asked"] = msgspec.json.decode(str(values["asked"]), type=Wanted)
        return msgspec.convert(values, Family)

    def keep_family(self, family: Family) -> None:
        """Keep or replace a family, and forget those that ended by idleness."""
        self._connection.execute("DELETE FROM refresh_family WHERE used <= ?", (family.used - REFRESH_IDLE,))
        self._connection.execute(
            "INSERT OR REPLACE INTO refresh_family "
            "(family, tenant_id, user_id, app_id, asked, token_hash, opened, used) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(family.family, family.tenant_id, family.user_id, family.app_id),
                *(msgspec.json.encode(family.asked).decode(), family.token_hash, family.opened, family.used),
            ),
        )

    def end_family(self, family: str) -> None:
        """Void its tokens."""
        self._connection.execute("DELETE FROM refresh_family WHERE family = ?", (family,))

    def use_assertion(self, fingerprint: str, expires: int, now: int) -> bool:
        """Whether this is its first use; ones that expired are forgotten."""
        self._connection.execute("DELETE FROM used_assertion WHERE expires <= ?", (now,))
        self._connection.execute(
            "INSERT OR IGNORE INTO used_assertion (assertion_hash, expires) VALUES (?, ?)", (fingerprint, expires)
        )
        return self._connection.changes() == 1

    def list_certificates(self, tenant_id: int, app_id: str) -> list[Certificate]:
        """The certificates of an application, oldest first."""
        query = (
            "SELECT certificate FROM application_certificate WHERE tenant_id = ? AND app_id = ? "
            "ORDER BY created, thumbprint"
        )
        rows = self._connection.execute(query, (tenant_id, app_id))
        return [parse_certificate(der) for (der,) in rows if isinstance(der, bytes)]

    def add_certificate(self, tenant_id: int, app_id: str, certificate: Certificate, now: int) -> None:
        """Register it; once more is no change. Raises InvalidInput when there are too many."""
        if len(self.list_certificates(tenant_id, app_id)) >= CERTIFICATES_MAX:
            raise InvalidInput(f"an application has at most {CERTIFICATES_MAX} certificates; remove one first")
        self._connection.execute(
            "INSERT OR IGNORE INTO application_certificate (tenant_id, app_id, thumbprint, certificate, created) "
            "VALUES (?, ?, ?, ?, ?)",
            (tenant_id, app_id, certificate.thumbprint, certificate.der, now),
        )

    def remove_certificate(self, tenant_id: int, app_id: str, thumbprint: str) -> None:
        """By its whole thumbprint. Raises NotFound."""
        self._connection.execute(
            "DELETE FROM application_certificate WHERE tenant_id = ? AND app_id = ? AND thumbprint = ?",
            (tenant_id, app_id, thumbprint.strip().lower().replace(":", "")),
        )
        if not self._connection.changes():
            raise NotFound(f"this application has no certificate {thumbprint[:80]!r}")
