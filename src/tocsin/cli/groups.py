"""`tocsin group`: device groups, their rules and ranks, and which devices are in them."""

from __future__ import annotations

from typing import Annotated

import typer

from tocsin.access import UNGROUPED
from tocsin.cli.people import administering, looking
from tocsin.cli.screen import counted, say, show_json, show_table
from tocsin.cli.session import DEFAULT, JsonOption, TenantOption
from tocsin.errors import InvalidInput
from tocsin.exposure import DeviceFacts, DeviceGroup, DeviceRule, Finding, findings, group_of, parse_rule
from tocsin.model import Device
from tocsin.stores.sqlite.groups import UNGROUPED_NAME

groups = typer.Typer(help="Device groups: which devices belong together for roles.", no_args_is_help=True)

GroupArgument = Annotated[str, typer.Argument(metavar="GROUP", help="Name of the group, in any case.")]
NamesOption = Annotated[
    list[str] | None, typer.Option("--name", help="Device names, with or without domain; * and ? are wild.")
]
TagsOption = Annotated[list[str] | None, typer.Option("--tag", help="A tag of the device.")]
DomainsOption = Annotated[list[str] | None, typer.Option("--domain", help="A domain, and all below it.")]
OsOption = Annotated[list[str] | None, typer.Option("--os", help="An operating system; * and ? are wild.")]


@groups.command("create")
def create_group(
    context: typer.Context,
    group: Annotated[str, typer.Argument(help="A name for people, unique in the tenant.")],
    *,
    name: NamesOption = None,
    tag: TagsOption = None,
    domain: DomainsOption = None,
    os: OsOption = None,
    rank: Annotated[int | None, typer.Option("--rank", help="1 is the highest; without it the lowest.")] = None,
    tenant: TenantOption = DEFAULT,
) -> None:
    """Add a group. Its devices meet every kind of condition that is given, each by one of its values.

    Options may be given several times. A device belongs to the highest group that it meets.

    \b
    Examples:
      tocsin group create Servers --os "Windows Server*" --os linux --domain corp.example.org
      tocsin group create Directors --tag vip --rank 1
    """
    rule = parse_rule(names=name or (), tags=tag or (), domains=domain or (), os=os or ())
    with administering(context, tenant) as opened:
        made = opened.groups.create_group(opened.tenant_id, group, rule, rank)
    _tell(context, tenant, made.group_id)


@groups.command("list")
def list_groups(context: typer.Context, tenant: TenantOption = DEFAULT, as_json: JsonOption = False) -> None:
    """List the groups of a tenant, the highest rank first, with the devices that are in each."""
    with looking(context, tenant) as opened:
        found, counts = opened.groups.device_groups(opened.tenant_id), opened.groups.count_devices(opened.tenant_id)
    if as_json:
        rows_of = [_view(group, counts.get(group.group_id, 0)) for group in found]
        show_json({"groups": rows_of, "ungroupedDevices": counts.get(UNGROUPED, 0)})
        return
    rows = [(str(group.rank), group.name, _words(group.rule), str(counts.get(group.group_id, 0))) for group in found]
    rows.append(("", UNGROUPED_NAME, "whatever meets none of these", str(counts.get(UNGROUPED, 0))))
    show_table(("RANK", "NAME", "RULE", "DEVICES"), rows, empty="")


@groups.command("change")
def change_group(
    context: typer.Context,
    group: GroupArgument,
    *,
    new_name: Annotated[str | None, typer.Option("--new-name", help="Another name; roles keep it.")] = None,
    name: NamesOption = None,
    tag: TagsOption = None,
    domain: DomainsOption = None,
    os: OsOption = None,
    tenant: TenantOption = DEFAULT,
) -> None:
    """Change a group's name, or its rule: conditions that are given replace all those that were.

    \b
    Example:
      tocsin group change Servers --name "srv*" --tag server
    """
    has_rule = bool(name or tag or domain or os)
    if not has_rule and new_name is None:
        raise InvalidInput("nothing to change: give --new-name, or the whole rule with --name, --tag, --domain, --os")
    with administering(context, tenant) as opened:
        found = opened.groups.get_group(opened.tenant_id, group)
        rule = found.rule
        if has_rule:
            rule = parse_rule(names=name or (), tags=tag or (), domains=domain or (), os=os or ())
        opened.groups.change_group(opened.tenant_id, found.group_id, name=new_name or found.name, rule=rule)
    _tell(context, tenant, found.group_id)


@groups.command("rank")
def rank_group(
    context: typer.Context,
    group: GroupArgument,
    rank: Annotated[int, typer.Argument(help="1 is the highest.")],
    tenant: TenantOption = DEFAULT,
) -> None:
    """Move a group to another rank; those between move by one."""
    with administering(context, tenant) as opened:
        found = opened.groups.get_group(opened.tenant_id, group)
        opened.groups.rank_group(opened.tenant_id, found.group_id, rank)
    _tell(context, tenant, found.group_id)


@groups.command("delete")
def delete_group(context: typer.Context, group: GroupArgument, tenant: TenantOption = DEFAULT) -> None:
    """Forget a group. Its devices go to the next group that they meet, and roles name one group less.

    A role that named no other group shows no devices any more.
    """
    with administering(context, tenant) as opened:
        found = opened.groups.get_group(opened.tenant_id, group)
        named = [
            role.name
            for role in opened.people.list_roles(opened.tenant_id)
            if role.device_groups is not None and found.group_id in role.device_groups
        ]
        opened.groups.delete_group(opened.tenant_id, found.group_id)
    roles = ", ".join(named)
    say(f"{found.name} is deleted{f'; it was taken out of {roles}' if roles else ''}")


@groups.command("show")
def show_group(
    context: typer.Context,
    group: Annotated[str, typer.Argument(metavar="GROUP", help="Name of the group, or `ungrouped`.")],
    *,
    top: Annotated[int, typer.Option("--top", min=1, max=100_000, help="Devices to list at most.")] = 100,
    tenant: TenantOption = DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Show the devices that are in a group."""
    with looking(context, tenant) as opened:
        group_id = opened.group_id(group)
        devices = opened.groups.list_devices(opened.tenant_id, group_id, top)
        count = opened.groups.count_devices(opened.tenant_id).get(group_id, 0)
    if as_json:
        show_json({"devices": [{"deviceId": each.device_id, **_facts_view(each.facts)} for each in devices]})
        return
    rows = [(each.device_id, each.facts.name, each.facts.os, ", ".join(each.facts.tags)) for each in devices]
    show_table(("DEVICE ID", "NAME", "OS", "TAGS"), rows, empty="no devices")
    if len(devices) < count:
        say(f"{len(devices):,} of {counted(count, 'device')}; give --top for more")


@groups.command("test")
def try_device(
    context: typer.Context,
    *,
    name: Annotated[str, typer.Option("--name", help="Name of a device, with its domain.")] = "",
    tag: TagsOption = None,
    os: Annotated[str, typer.Option("--os", help="Its operating system.")] = "",
    device: Annotated[str, typer.Option("--device", help="Id of a device that alerts were about.")] = "",
    tenant: TenantOption = DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Say which group a device would be in, and why. Changes nothing.

    \b
    Examples:
      tocsin group test --name web01.corp.example.org --os linux --tag pci
      tocsin group test --device 0a1b2c3d4e5f60718293a4b5c6d7e8f901234567
    """
    if bool(device) == bool(name or tag or os):
        raise InvalidInput("give --device, or what a device is like with --name, --tag and --os")
    with looking(context, tenant) as opened:
        found = opened.groups.device_groups(opened.tenant_id)
        if device:
            facts = opened.groups.find_device(opened.tenant_id, device).facts
        else:
            facts = DeviceFacts.of(Device(device_dns_name=name, os_platform=os, tags=tuple(tag or ())))
    has_it = group_of(facts, found)
    named = next((group.name for group in found if group.group_id == has_it), UNGROUPED_NAME)
    asked = [(group, findings(group.rule, facts)) for group in found]
    if as_json:
        show_json(
            {
                "group": named,
                "facts": _facts_view(facts),
                "asked": [{"group": group.name, "conditions": list(map(_finding_view, met))} for group, met in asked],
            }
        )
        return
    typer.echo(named)
    rows = [(str(group.rank), group.name, "; ".join(map(_finding_words, met))) for group, met in asked]
    show_table(("RANK", "GROUP", "WHY"), rows, empty="there are no groups yet; see `tocsin group create`")


def _tell(context: typer.Context, tenant: str, group_id: int) -> None:
    """How a group is after a change and after its devices followed."""
    with looking(context, tenant) as opened:
        found = next(each for each in opened.groups.device_groups(opened.tenant_id) if each.group_id == group_id)
        count = opened.groups.count_devices(opened.tenant_id).get(group_id, 0)
    say(f"{found.name}, rank {found.rank}: {_words(found.rule)}; {counted(count, 'known device')}")


def _words(rule: DeviceRule) -> str:
    kinds = (("name", rule.names), ("tag", rule.tags), ("domain", rule.domains), ("os", rule.os))
    return " and ".join(f"{kind} {' or '.join(values)}" for kind, values in kinds if values) or "matches nothing"


def _finding_words(finding: Finding) -> str:
    if finding.met_by is not None:
        return f"{finding.kind} meets {finding.met_by}"
    return f"{finding.kind} is not {' or '.join(finding.wanted)}"


def _finding_view(finding: Finding) -> dict[str, object]:
    return {"kind": finding.kind, "wanted": finding.wanted, "metBy": finding.met_by}


def _view(group: DeviceGroup, devices: int) -> dict[str, object]:
    rule = group.rule
    return {
        **{"rank": group.rank, "name": group.name, "devices": devices},
        **{"names": rule.names, "tags": rule.tags, "domains": rule.domains, "os": rule.os},
    }


def _facts_view(facts: DeviceFacts) -> dict[str, object]:
    return {"name": facts.name, "domain": facts.domain, "os": facts.os, "tags": facts.tags}
