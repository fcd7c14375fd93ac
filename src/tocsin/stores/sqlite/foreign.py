"""Issuers of others in the SQLite store, and the users that are made of their people.

Methods that write belong into a transaction of the caller's, as with `people.py`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import apsw
import msgspec

from tocsin.access import Permission
from tocsin.audit import Action, Deed
from tocsin.errors import InvalidInput, NotFound
from tocsin.identity.foreign import ForeignIssuer, claim_at
from tocsin.identity.people import User, parse_label, parse_user_name
from tocsin.stores.sqlite import auditing
from tocsin.stores.sqlite.people import People

_ALL = "SELECT document FROM foreign_issuer"


class ForeignIssuers:
    """Whose tokens are taken, over one connection. Times are ticks."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._people = People(connection)

    def add(self, issuer: ForeignIssuer, now: int) -> None:
        """Keep a new issuer. Raises InvalidInput when its name or URL is taken."""
        values = (issuer.tenant_id, issuer.name, issuer.issuer, msgspec.json.encode(issuer).decode(), now)
        try:
            self._connection.execute("INSERT INTO foreign_issuer VALUES (?, ?, ?, ?, ?)", values)
        except apsw.ConstraintError:
            raise InvalidInput(
                f"there is already an issuer named {issuer.name!r}, or one with this URL, perhaps of another tenant: "
                "an issuer is for one tenant alone"
            ) from None

    def replace(self, issuer: ForeignIssuer) -> None:
        """Keep an issuer anew, under the same name and URL. Raises NotFound."""
        self._connection.execute(
            "UPDATE foreign_issuer SET document = ? WHERE tenant_id = ? AND name = ? AND issuer = ?",
            (msgspec.json.encode(issuer).decode(), issuer.tenant_id, issuer.name, issuer.issuer),
        )
        self._require_change(issuer.name)

    def remove(self, tenant_id: int, name: str) -> None:
        """Take its tokens no more. Its people stay users. Raises NotFound."""
        self._connection.execute("DELETE FROM foreign_issuer WHERE tenant_id = ? AND name = ?", (tenant_id, name))
        self._require_change(name)

    def get(self, tenant_id: int, name: str) -> ForeignIssuer:
        """By its name. Raises NotFound."""
        wanted = (tenant_id, name.strip().lower().encode("utf-8", "replace").decode())
        row = self._connection.execute(f"{_ALL} WHERE tenant_id = ? AND name = ?", wanted).fetchone()
        if row is None:
            raise NotFound(f"this tenant has no issuer {name[:60]!r}; see `tocsin issuer list`")
        return _issuer(row[0])

    def list_of(self, tenant_id: int) -> list[ForeignIssuer]:
        """Those of one tenant, by name."""
        rows = self._connection.execute(f"{_ALL} WHERE tenant_id = ? ORDER BY name", (tenant_id,))
        return [_issuer(document) for (document,) in rows]

    def list_all(self) -> list[ForeignIssuer]:
        """Those of all tenants."""
        return [_issuer(document) for (document,) in self._connection.execute(_ALL)]

    def find_by_subject(self, tenant_id: int, issuer: str, subject: str) -> User | None:
        """Who this is, disabled or not."""
        return self._people.find_by_subject(tenant_id, issuer, subject)

    def _require_change(self, name: str) -> None:
        if not self._connection.changes():
            raise NotFound(f"this tenant has no issuer {name[:60]!r}; see `tocsin issuer list`")


def provision(
    connection: apsw.Connection, issuer: ForeignIssuer, subject: str, claims: Mapping[str, Any], now: int
) -> User:
    """The user who is this subject, made where there is none, with the roles that the issuer's people have.

    Never somebody who is there already under the same name. Raises InvalidInput, NotFound for a role that is gone.
    """
    people = People(connection)
    user = people.find_by_subject(issuer.tenant_id, issuer.issuer, subject)
    if user is not None:
        return user
    shown = _text_of(claims, issuer.display_claim)
    for name in (*(_text_of(claims, claim) for claim in issuer.name_claims), _name_for(issuer, subject)):
        if _is_free(people, issuer.tenant_id, name):
            break
    user = people.create_user(
        issuer.tenant_id, name, now=now, display_name=_label(shown, name), issuer=issuer.issuer, subject=subject
    )
    follow_roles(connection, issuer, user, claims)
    _record(connection, issuer, f"made user {user.user_id}", now)
    return user


def follow_roles(connection: apsw.Connection, issuer: ForeignIssuer, user: User, claims: Mapping[str, Any]) -> bool:
    """Give a person the roles that the issuer's claims say, and no others; whether that changed anything.

    Raises InvalidInput, NotFound for a role that is gone.
    """
    people = People(connection)
    wanted = {people.ensure_role(issuer.tenant_id, name).role_id for name in issuer.roles_of(claims)}
    held = {role_id for user_id, role_id in people.memberships(issuer.tenant_id) if user_id == user.user_id}
    if wanted == held:
        return False
    people.set_roles(issuer.tenant_id, user.user_id, wanted)
    return True


def record_roles(connection: apsw.Connection, issuer: ForeignIssuer, user: User, now: int) -> None:
    """Put into the audit log that a person's roles followed their issuer."""
    _record(connection, issuer, f"changed the roles of user {user.user_id}", now)


def _record(connection: apsw.Connection, issuer: ForeignIssuer, detail: str, now: int) -> None:
    row = connection.execute("SELECT guid FROM tenant WHERE tenant_id = ?", (issuer.tenant_id,)).fetchone()
    deed = Deed(
        at=now,
        tenant="" if row is None else str(row[0]),
        actor="service",
        action=Action.ADMINISTER,
        target=f"issuer {issuer.name}",
        detail=detail,
    )
    auditing.append(connection, [deed])


def _is_free(people: People, tenant_id: int, name: str) -> bool:
    try:
        people.get_user(tenant_id, parse_user_name(name))
    except InvalidInput:
        return False
    except NotFound:
        return True
    return False


def _name_for(issuer: ForeignIssuer, subject: str) -> str:
    return f"{issuer.name}.{hashlib.sha256(f'{issuer.issuer} {subject}'.encode()).hexdigest()[:16]}"


def _text_of(claims: Mapping[str, Any], path: str) -> str:
    value = claim_at(claims, path)
    return value if isinstance(value, str) else ""


def _label(text: str, name: str) -> str:
    try:
        return parse_label(text)
    except InvalidInput:
        return parse_label(name[:100])


def _issuer(document: object) -> ForeignIssuer:
    values = msgspec.json.decode(str(document))
    # A name that this version does not know gives nothing, rather than making the issuer unreadable.
    known = frozenset(Permission)
    values["permissions"] = [name for name in values["permissions"] if name in known]
    values["mapped"] = {
        foreign: [name for name in names if name in known] for foreign, names in values["mapped"].items()
    }
    return msgspec.convert(values, ForeignIssuer)
