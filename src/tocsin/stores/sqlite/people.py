"""Users and roles in the SQLite store. Device groups are next door (`groups.py`).

Methods that write belong into a transaction of the caller's: the writer's, or `transaction` at the command line.
Passwords arrive hashed; the clear text never comes here.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Final

import apsw
import msgspec

from tocsin.access import Grant, Permission
from tocsin.errors import InvalidInput, NotFound
from tocsin.identity.people import (
    BUILT_IN_ROLES,
    Right,
    Role,
    User,
    parse_foreign_subject,
    parse_label,
    parse_user_name,
    parse_workload,
    permissions_for,
)

_USER: Final = (
    "SELECT tenant_id, user_id, name, display_name, password_hash, issuer, subject, created, disabled, signed_out "
    "FROM user WHERE tenant_id = ?1"
)
_ROLE: Final = "SELECT tenant_id, role_id, name, rights, workloads, device_groups FROM role WHERE tenant_id = ?1"
_HELD: Final = " ".join(
    (
        _ROLE,
        "AND role_id IN (SELECT role_id FROM role_member AS member JOIN user USING (tenant_id, user_id)",
        "WHERE member.tenant_id = ?1 AND member.user_id = ?2 AND user.disabled IS NULL) ORDER BY name",
    )
)


class People:
    """Users and roles over one connection. Times are ticks."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    # --- users ---

    def create_user(
        self,
        tenant_id: int,
        name: str,
        *,
        now: int,
        display_name: str = "",
        password_hash: str | None = None,
        issuer: str | None = None,
        subject: str | None = None,
        user_id: str | None = None,
    ) -> User:
        """Add a person, who may see nothing yet. Raises InvalidInput when the name or foreign identity is taken."""
        kept_name = parse_user_name(name)
        foreign = parse_foreign_subject(issuer, subject) or (None, None)
        kept_id = user_id or str(uuid.uuid4())
        shown = parse_label(display_name or kept_name)
        try:
            self._connection.execute(
                "INSERT INTO user (tenant_id, user_id, name, display_name, password_hash, issuer, subject, created) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (tenant_id, kept_id, kept_name, shown, password_hash, *foreign, now),
            )
        except apsw.ConstraintError:
            raise InvalidInput(f"there is already a user {kept_name!r}, or one with this foreign identity") from None
        return self.get_user(tenant_id, kept_id)

    def get_user(self, tenant_id: int, reference: str) -> User:
        """By GUID or name, in any case; disabled ones too. Raises NotFound."""
        wanted = _storable(reference.strip().lower())
        row = self._connection.execute(f"{_USER} AND (user_id = ?2 OR name = ?2)", (tenant_id, wanted)).fetchone()
        if row is None:
            raise NotFound(f"this tenant has no user {reference[:60]!r}; see `tocsin user list`")
        return _user(row)

    def find_by_subject(self, tenant_id: int, issuer: str, subject: str) -> User | None:
        """Who this is at a foreign issuer, to the character; disabled ones too."""
        wanted = (tenant_id, _storable(issuer), _storable(subject))
        row = self._connection.execute(f"{_USER} AND issuer = ?2 AND subject = ?3", wanted).fetchone()
        return None if row is None else _user(row)

    def list_users(self, tenant_id: int) -> list[User]:
        """All users of one tenant, by name."""
        return [_user(row) for row in self._connection.execute(f"{_USER} ORDER BY name", (tenant_id,))]

    def rename_user(self, tenant_id: int, user_id: str, name: str, display_name: str) -> None:
        """Give a person another name; the id stays. Raises InvalidInput, NotFound."""
        values = {"name": parse_user_name(name), "display_name": parse_label(display_name)}
        self._change_user(tenant_id, user_id, values)

    def set_foreign_identity(self, tenant_id: int, user_id: str, issuer: str | None, subject: str | None) -> None:
        """Whom a person is elsewhere, or None twice. Raises InvalidInput, NotFound."""
        foreign = parse_foreign_subject(issuer, subject) or (None, None)
        self._change_user(tenant_id, user_id, {"issuer": foreign[0], "subject": foreign[1]})

    def set_password(self, tenant_id: int, user_id: str, password_hash: str | None, now: int) -> None:
        """Replace the password, and end what was signed in with the one before. Raises NotFound."""
        self._change_user(tenant_id, user_id, {"password_hash": password_hash, "signed_out": now})

    def renew_hash(self, tenant_id: int, user_id: str, password_hash: str) -> None:
        """The same password hashed anew: nobody is signed out. Raises NotFound."""
        self._change_user(tenant_id, user_id, {"password_hash": password_hash})

    def sign_out(self, tenant_id: int, user_id: str, now: int) -> None:
        """Void a person's sessions and tokens of before. Raises NotFound."""
        self._change_user(tenant_id, user_id, {"signed_out": now})

    def disable_user(self, tenant_id: int, user_id: str, now: int) -> None:
        """Refuse a person from now on, and void what is signed in. Raises NotFound."""
        since = self.get_user(tenant_id, user_id).disabled
        self._change_user(tenant_id, user_id, {"disabled": now if since is None else since, "signed_out": now})

    def enable_user(self, tenant_id: int, user_id: str) -> None:
        """Let a person in again; they sign in anew. Raises NotFound."""
        self._change_user(tenant_id, user_id, {"disabled": None})

    def delete_user(self, tenant_id: int, user_id: str) -> None:
        """Forget a person, with roles, sessions and tokens; what they did keeps their name. Raises NotFound."""
        for table in ("role_member", "browser_session", "refresh_family"):
            self._connection.execute(
                f"DELETE FROM {table} WHERE tenant_id = ? AND user_id = ?",  # noqa: S608 - ours
                (tenant_id, user_id),
            )
        self._connection.execute("DELETE FROM user WHERE tenant_id = ? AND user_id = ?", (tenant_id, user_id))
        self._require_change(f"user {user_id!r}")

    def _change_user(self, tenant_id: int, user_id: str, values: Mapping[str, str | int | None]) -> None:
        assignments = ", ".join(f"{column} = ?" for column in values)
        statement = f"UPDATE user SET {assignments} WHERE tenant_id = ? AND user_id = ?"  # noqa: S608 - ours
        try:
            self._connection.execute(statement, (*values.values(), tenant_id, user_id))
        except apsw.ConstraintError:
            raise InvalidInput("another user of this tenant has this name or foreign identity") from None
        self._require_change(f"user {user_id!r}")

    # --- roles ---

    def create_role(
        self,
        tenant_id: int,
        name: str,
        rights: Iterable[Right],
        *,
        workloads: Iterable[str] | None = None,
        device_groups: Iterable[int] | None = None,
    ) -> Role:
        """Add a role; None stands for all workloads or groups. Raises InvalidInput when the name is taken or a group
        is not there."""
        label = parse_label(name)
        groups = self._known_groups(tenant_id, device_groups)
        try:
            row = self._connection.execute(
                "INSERT INTO role (tenant_id, role_id, name, rights, workloads, device_groups) "
                "SELECT ?1, coalesce(max(role_id), 0) + 1, ?2, ?3, ?4, ?5 FROM role WHERE tenant_id = ?1 "
                "RETURNING role_id",
                (tenant_id, label, _list_text(rights), _workloads_text(workloads), groups),
            ).fetchone()
        except apsw.ConstraintError:
            raise InvalidInput(f"this tenant already has a role {label!r}") from None
        assert row is not None
        return self._role_by(tenant_id, "role_id", int(str(row[0])))

    def get_role(self, tenant_id: int, name: str) -> Role:
        """By name, in any case. Raises NotFound."""
        wanted = name.strip().casefold()
        for role in self.list_roles(tenant_id):
            if role.name.casefold() == wanted:
                return role
        raise NotFound(f"this tenant has no role {name[:60]!r}; see `tocsin role list`")

    def ensure_role(self, tenant_id: int, name: str) -> Role:
        """By name; a built-in one is made where it is missing. Raises NotFound for another that is not there."""
        wanted = name.strip().casefold()
        built_in = next((each for each in BUILT_IN_ROLES if each.name.casefold() == wanted), None)
        try:
            return self.get_role(tenant_id, name)
        except NotFound:
            if built_in is None:
                raise
        return self.create_role(tenant_id, built_in.name, built_in.rights)

    def list_roles(self, tenant_id: int) -> list[Role]:
        """All roles of one tenant, by name."""
        return [_role(row) for row in self._connection.execute(f"{_ROLE} ORDER BY name", (tenant_id,))]

    def change_role(self, role: Role) -> None:
        """Keep a role as it is given, under its id. Raises InvalidInput when the name is taken or a group is not
        there, NotFound."""
        try:
            self._connection.execute(
                "UPDATE role SET name = ?, rights = ?, workloads = ?, device_groups = ? "
                "WHERE tenant_id = ? AND role_id = ?",
                (
                    *(parse_label(role.name), _list_text(role.rights), _workloads_text(role.workloads)),
                    *(self._known_groups(role.tenant_id, role.device_groups), role.tenant_id, role.role_id),
                ),
            )
        except apsw.ConstraintError:
            raise InvalidInput(f"this tenant already has a role {role.name!r}") from None
        self._require_change(f"role {role.name!r}")

    def delete_role(self, tenant_id: int, role_id: int) -> None:
        """Take a role from everybody and forget it. Raises NotFound."""
        self._connection.execute("DELETE FROM role_member WHERE tenant_id = ? AND role_id = ?", (tenant_id, role_id))
        self._connection.execute("DELETE FROM role WHERE tenant_id = ? AND role_id = ?", (tenant_id, role_id))
        self._require_change(f"role {role_id}")

    # --- who holds what ---

    def set_roles(self, tenant_id: int, user_id: str, role_ids: Iterable[int]) -> None:
        """The roles a person holds from now on; ids that are not roles are not kept."""
        self._connection.execute("DELETE FROM role_member WHERE tenant_id = ? AND user_id = ?", (tenant_id, user_id))
        self._connection.executemany(
            "INSERT INTO role_member (tenant_id, user_id, role_id) "
            "SELECT tenant_id, ?2, role_id FROM role WHERE tenant_id = ?1 AND role_id = ?3",
            [(tenant_id, user_id, role_id) for role_id in sorted(set(role_ids))],
        )

    def memberships(self, tenant_id: int) -> list[tuple[str, int]]:
        """(user id, role id) of every holding, of disabled people too."""
        query = "SELECT user_id, role_id FROM role_member WHERE tenant_id = ? ORDER BY user_id, role_id"
        return [(str(user_id), int(str(role_id))) for user_id, role_id in self._connection.execute(query, (tenant_id,))]

    def roles_of(self, tenant_id: int, user_id: str) -> list[Role]:
        """What a person holds and may use, by name; none for a disabled person or nobody."""
        return [_role(row) for row in self._connection.execute(_HELD, (tenant_id, _storable(user_id)))]

    def grants_of(self, tenant_id: int, user_id: str) -> tuple[Grant, ...]:
        """What a person's roles show: one grant for each role that shows incidents."""
        return tuple(role.grant for role in self.roles_of(tenant_id, user_id) if role.grant is not None)

    def rights_of(self, tenant_id: int, user_id: str) -> frozenset[Right]:
        """All rights of all roles a person holds."""
        return frozenset(right for role in self.roles_of(tenant_id, user_id) for right in role.rights)

    def permissions_of(self, tenant_id: int, user_id: str) -> frozenset[Permission]:
        """What an application may at most be allowed to do in this person's name."""
        return permissions_for(self.rights_of(tenant_id, user_id))

    def _role_by(self, tenant_id: int, column: str, value: int) -> Role:
        row = self._connection.execute(f"{_ROLE} AND {column} = ?2", (tenant_id, value)).fetchone()
        assert row is not None
        return _role(row)

    def _known_groups(self, tenant_id: int, group_ids: Iterable[int] | None) -> str | None:
        if group_ids is None:
            return None
        wanted = set(group_ids)
        rows = self._connection.execute("SELECT group_id FROM device_group WHERE tenant_id = ?", (tenant_id,))
        missing = wanted - {int(str(group_id)) for (group_id,) in rows} - {0}
        if missing:
            raise InvalidInput(f"this tenant has no device group with number {min(missing)}; see `tocsin group list`")
        return msgspec.json.encode(sorted(wanted)).decode()

    def _require_change(self, what: str) -> None:
        if not self._connection.changes():
            raise NotFound(f"this tenant has no {what}")


def _storable(text: str) -> str:
    # A lone surrogate cannot be bound as UTF-8, and nothing that is stored has one.
    return text.encode("utf-8", "replace").decode()


def _list_text(values: Iterable[str]) -> str:
    return msgspec.json.encode(sorted(set(values))).decode()


def _workloads_text(workloads: Iterable[str] | None) -> str | None:
    return None if workloads is None else _list_text(parse_workload(each) for each in workloads)


def _user(row: tuple[apsw.SQLiteValue, ...]) -> User:
    return msgspec.convert(dict(zip(User.__struct_fields__, row, strict=True)), User)


def _role(row: tuple[apsw.SQLiteValue, ...]) -> Role:
    values = dict[str, object](zip(Role.__struct_fields__, row, strict=True))
    held = msgspec.json.decode(str(values["rights"]), type=list[str])
    # A right that this version does not know gives nothing, rather than making the role unreadable.
    values["rights"] = [right for right in held if right in frozenset(Right)]
    for limited, kind in (("workloads", frozenset[str]), ("device_groups", frozenset[int])):
        text = values[limited]
        values[limited] = None if text is None else msgspec.json.decode(str(text), type=kind)
    return msgspec.convert(values, Role)
