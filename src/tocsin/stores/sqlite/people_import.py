"""A file of groups, roles and users brought into the store: what it may say, and what changes for it.

It adds and changes what the file names and leaves the rest alone, so the same file again changes nothing. The caller
runs it in one transaction, and undoes that to learn what would change.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import msgspec

from tocsin.access import UNGROUPED
from tocsin.errors import InvalidInput, NotFound
from tocsin.exposure import DeviceGroup, DeviceRule, parse_rule
from tocsin.identity.people import (
    BUILT_IN_ROLES,
    Role,
    User,
    parse_foreign_subject,
    parse_label,
    parse_rights,
    parse_user_name,
    parse_workload,
)
from tocsin.stores.sqlite.groups import UNGROUPED_NAME, Groups
from tocsin.stores.sqlite.people import People


class GroupEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A device group: at least one condition. Groups stand in the order of their ranks."""

    name: str
    names: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    os: tuple[str, ...] = ()


class RoleEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A role. Without `workloads` or without `groups` it is over all of them; an empty list is none."""

    name: str
    rights: tuple[str, ...]
    workloads: tuple[str, ...] | None = None
    groups: tuple[str, ...] | None = None


class UserEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person. What is left out stays as it is; `roles` are all that the person holds from then on."""

    name: str
    display_name: str | None = None
    roles: tuple[str, ...] | None = None
    issuer: str | None = None
    subject: str | None = None
    disabled: bool | None = None


class PeopleFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    groups: tuple[GroupEntry, ...] = ()
    roles: tuple[RoleEntry, ...] = ()
    users: tuple[UserEntry, ...] = ()


class Imported(msgspec.Struct, frozen=True):
    """What changed, in sentences, and the names of new people who sign in with a password."""

    changes: tuple[str, ...]
    new_users: tuple[str, ...]


def read_people_file(values: object) -> PeopleFile:
    """The file's content of what its JSON or TOML says. Raises InvalidInput naming the entry and key."""
    try:
        document = msgspec.convert(values, PeopleFile)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"{error}; see docs/people.md for what the file may say") from None
    _refuse_twice("groups", [entry.name for entry in document.groups])
    _refuse_twice("roles", [entry.name for entry in document.roles])
    _refuse_twice("users", [entry.name for entry in document.users])
    return document


def _refuse_twice(kind: str, names: list[str]) -> None:
    seen: set[str] = set()
    for index, name in enumerate(names):
        if name.strip().casefold() in seen:
            raise InvalidInput(f"$.{kind}[{index}]: {name[:60]!r} stands twice in the file; name it once")
        seen.add(name.strip().casefold())


def import_people(
    people: People, groups: Groups, tenant_id: int, document: PeopleFile, *, hashes: Mapping[str, str], now: int
) -> Imported:
    """Bring the file in. `hashes` are those of first passwords by user name. Raises InvalidInput naming the entry."""
    changes = list(_groups(groups, tenant_id, document.groups))
    known = {UNGROUPED_NAME: UNGROUPED}
    known |= {group.name.casefold(): group.group_id for group in groups.device_groups(tenant_id)}
    for index, role_entry in enumerate(document.roles):
        with _at("roles", index, role_entry.name):
            changes += _role(people, tenant_id, role_entry, known)
    new: list[str] = []
    for index, user_entry in enumerate(document.users):
        with _at("users", index, user_entry.name):
            name = parse_user_name(user_entry.name)
            try:
                user = people.get_user(tenant_id, name)
            except NotFound:
                user = people.create_user(tenant_id, name, now=now, password_hash=hashes.get(name))
                changes.append(f"user {name}: new")
                if user_entry.issuer is None:
                    new.append(name)
            changes += _user(people, user, user_entry, now)
    return Imported(tuple(changes), tuple(new))


@contextmanager
def _at(kind: str, index: int, name: str) -> Iterator[None]:
    try:
        yield
    except (InvalidInput, NotFound) as error:
        raise InvalidInput(f"$.{kind}[{index}] ({name[:60]}): {error}; nothing was changed") from None


def _groups(groups: Groups, tenant_id: int, entries: tuple[GroupEntry, ...]) -> Iterator[str]:
    named = []
    for index, entry in enumerate(entries):
        with _at("groups", index, entry.name):
            label = parse_label(entry.name)
            rule = parse_rule(names=entry.names, tags=entry.tags, domains=entry.domains, os=entry.os)
            found = _find_group(groups, tenant_id, label)
            if found is None:
                found = groups.create_group(tenant_id, label, rule)
                yield f"group {label}: new"
            elif (found.name, found.rule) != (label, rule):
                groups.change_group(tenant_id, found.group_id, name=label, rule=rule)
                yield f"group {label}: {_difference(found.rule, rule) or 'spelled anew'}"
            named.append(found.group_id)
    for rank, group_id in enumerate(named, 1):
        order = groups.device_groups(tenant_id)
        if order[rank - 1].group_id != group_id:
            groups.rank_group(tenant_id, group_id, rank)
            yield f"group {next(each.name for each in order if each.group_id == group_id)}: rank {rank}"


def _find_group(groups: Groups, tenant_id: int, name: str) -> DeviceGroup | None:
    try:
        return groups.get_group(tenant_id, name)
    except NotFound:
        return None


def _difference(before: DeviceRule, after: DeviceRule) -> str:
    kinds = [kind for kind in DeviceRule.__struct_fields__ if getattr(before, kind) != getattr(after, kind)]
    return f"other {' and '.join(kinds)}" if kinds else ""


def _role(people: People, tenant_id: int, entry: RoleEntry, known: Mapping[str, int]) -> list[str]:
    label, rights = parse_label(entry.name), parse_rights(entry.rights)
    workloads = None if entry.workloads is None else frozenset(map(parse_workload, entry.workloads))
    group_ids: frozenset[int] | None = None
    if entry.groups is not None:
        unknown = [name for name in entry.groups if name.strip().casefold() not in known]
        if unknown:
            raise InvalidInput(f"there is no device group {unknown[0][:60]!r}; add it to the file, or correct the name")
        group_ids = frozenset(known[name.strip().casefold()] for name in entry.groups)
    try:
        found = people.get_role(tenant_id, label)
    except NotFound:
        people.create_role(tenant_id, label, rights, workloads=workloads, device_groups=group_ids)
        return [f"role {label}: new"]
    wanted = Role(
        tenant_id=tenant_id,
        role_id=found.role_id,
        name=label,
        rights=rights,
        workloads=workloads,
        device_groups=group_ids,
    )
    if wanted == found:
        return []
    people.change_role(wanted)
    kinds = ("name", "rights", "workloads", "device_groups")
    changed = [kind.replace("_", " ") for kind in kinds if getattr(wanted, kind) != getattr(found, kind)]
    return [f"role {label}: other {' and '.join(changed)}"]


def _user(people: People, user: User, entry: UserEntry, now: int) -> list[str]:
    changes = []
    if entry.display_name is not None and parse_label(entry.display_name) != user.display_name:
        people.rename_user(user.tenant_id, user.user_id, user.name, entry.display_name)
        changes.append(f"user {user.name}: display name {parse_label(entry.display_name)}")
    foreign = parse_foreign_subject(entry.issuer, entry.subject)
    if foreign is not None and foreign != (user.issuer, user.subject):
        people.set_foreign_identity(user.tenant_id, user.user_id, *foreign)
        changes.append(f"user {user.name}: is {foreign[1]} of {foreign[0]}")
    if entry.roles is not None:
        changes += _held(people, user, entry.roles)
    if entry.disabled is True and user.disabled is None:
        people.disable_user(user.tenant_id, user.user_id, now)
        changes.append(f"user {user.name}: disabled")
    if entry.disabled is False and user.disabled is not None:
        people.enable_user(user.tenant_id, user.user_id)
        changes.append(f"user {user.name}: enabled")
    return changes


def _held(people: People, user: User, names: tuple[str, ...]) -> list[str]:
    there = {role.name for role in people.list_roles(user.tenant_id)}
    wanted = {role.role_id: role.name for role in (people.ensure_role(user.tenant_id, name) for name in names)}
    changes = [f"role {role.name}: new" for role in BUILT_IN_ROLES if role.name in set(wanted.values()) - there]
    held = {role_id for user_id, role_id in people.memberships(user.tenant_id) if user_id == user.user_id}
    if held != set(wanted):
        people.set_roles(user.tenant_id, user.user_id, wanted)
        changes.append(f"user {user.name}: roles {', '.join(sorted(wanted.values())) or '(none)'}")
    return changes
