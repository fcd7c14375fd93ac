"""`tocsin role`: rights over workloads and device groups."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer

from tocsin.cli.people import Administration, administering, looking
from tocsin.cli.screen import counted, say, show_json, show_table
from tocsin.cli.session import DEFAULT, JsonOption, TenantOption
from tocsin.cli.users import described
from tocsin.errors import InvalidInput
from tocsin.identity.people import BUILT_IN_ROLES, Right, Role, parse_workload

roles = typer.Typer(help="Roles: what their holders may see and change.", no_args_is_help=True)

RoleArgument = Annotated[str, typer.Argument(metavar="ROLE", help="Name of the role, in any case.")]
WorkloadOption = Annotated[
    list[str] | None,
    typer.Option("--workload", help="A service source it is limited to, e.g. MicrosoftDefenderForEndpoint."),
]
GroupOption = Annotated[
    list[str] | None,
    typer.Option("--group", help="A device group it is limited to, or `ungrouped`; may be given several times."),
]


@roles.command("create")
def create_role(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A name for people, unique in the tenant.")],
    *,
    right: Annotated[list[Right], typer.Option("--right", "-r", help="What holders may do; `manage` includes `read`.")],
    workload: WorkloadOption = None,
    group: GroupOption = None,
    tenant: TenantOption = DEFAULT,
) -> None:
    """Add a role. Without --workload it is over all workloads, without --group over all devices.

    Alerts without any device are seen by workload alone.

    \b
    Examples:
      tocsin role create "Server team" --right manage --group Servers
      tocsin role create "Mail" -r read --workload MicrosoftDefenderForOffice365
    """
    with administering(context, tenant) as opened:
        group_ids = None if group is None else {opened.group_id(each) for each in group}
        role = opened.people.create_role(
            opened.tenant_id, name, right, workloads=workload or None, device_groups=group_ids or None
        )
        told = described(role, opened.group_names())
    say(f"{role.name}: {told}")


@roles.command("list")
def list_roles(context: typer.Context, tenant: TenantOption = DEFAULT, as_json: JsonOption = False) -> None:
    """List the roles of a tenant, by name. Built-in ones that nobody was given yet are not there yet."""
    with looking(context, tenant) as opened:
        found, names = opened.people.list_roles(opened.tenant_id), opened.group_names()
        holders = _holders(opened)
    if as_json:
        show_json([_view(role, names, holders.get(role.role_id, 0)) for role in found])
        return
    rows = [(role.name, described(role, names), str(holders.get(role.role_id, 0))) for role in found]
    there = ", ".join(f"`{role.name}`" for role in BUILT_IN_ROLES)
    show_table(("NAME", "GIVES", "HOLDERS"), rows, empty=f"no roles yet; {there} are made when they are first given")


@roles.command("change")
def change_role(
    context: typer.Context,
    role: RoleArgument,
    *,
    name: Annotated[str | None, typer.Option("--name", help="Another name; holders keep it.")] = None,
    right: Annotated[list[Right] | None, typer.Option("--right", "-r", help="The rights, in place of those.")] = None,
    workload: WorkloadOption = None,
    all_workloads: Annotated[bool, typer.Option("--all-workloads", help="Limit it to no workloads.")] = False,
    group: GroupOption = None,
    all_groups: Annotated[bool, typer.Option("--all-groups", help="Limit it to no device groups.")] = False,
    tenant: TenantOption = DEFAULT,
) -> None:
    """Change a role; what is given replaces what was. A running server follows within a minute.

    \b
    Example:
      tocsin role change "Server team" --group Servers --group ungrouped
    """
    if (workload and all_workloads) or (group and all_groups):
        raise InvalidInput("give --workload or --all-workloads, and --group or --all-groups, not both")
    with administering(context, tenant) as opened:
        kept = opened.people.get_role(opened.tenant_id, role)
        if name is not None:
            kept = msgspec.structs.replace(kept, name=name)
        if right:
            kept = msgspec.structs.replace(kept, rights=frozenset(right))
        if workload or all_workloads:
            workloads = frozenset(map(parse_workload, workload)) if workload else None
            kept = msgspec.structs.replace(kept, workloads=workloads)
        if group or all_groups:
            group_ids = frozenset(map(opened.group_id, group)) if group else None
            kept = msgspec.structs.replace(kept, device_groups=group_ids)
        opened.people.change_role(kept)
        told = described(kept, opened.group_names())
    say(f"{kept.name}: {told}")


@roles.command("delete")
def delete_role(context: typer.Context, role: RoleArgument, tenant: TenantOption = DEFAULT) -> None:
    """Take a role from everybody and forget it."""
    with administering(context, tenant) as opened:
        found = opened.people.get_role(opened.tenant_id, role)
        held = _holders(opened).get(found.role_id, 0)
        opened.people.delete_role(opened.tenant_id, found.role_id)
    say(f"{found.name} is deleted; {counted(held, 'holder')} lost it")


def _holders(opened: Administration) -> dict[int, int]:
    """How many people hold each role that anybody holds."""
    counts: dict[int, int] = {}
    for _, role_id in opened.people.memberships(opened.tenant_id):
        counts[role_id] = counts.get(role_id, 0) + 1
    return counts


def _view(role: Role, names: dict[int, str], holders: int) -> dict[str, object]:
    groups = role.device_groups
    return {
        "name": role.name,
        "rights": sorted(role.rights),
        "workloads": None if role.workloads is None else sorted(role.workloads),
        "groups": None if groups is None else sorted(names.get(each, f"group {each}") for each in groups),
        "holders": holders,
    }
