"""`tocsin user`: the people of a tenant, how they sign in and which roles they hold."""

from __future__ import annotations

from typing import Annotated

import typer

from tocsin import ticks
from tocsin.cli.people import Administration, GenerateOption, StdinOption, administering, ask_password, looking
from tocsin.cli.screen import moment, plain_lines, say, show_json, show_table
from tocsin.cli.session import DEFAULT, JsonOption, TenantOption
from tocsin.errors import InvalidInput
from tocsin.identity.people import Role, User, parse_foreign_subject, parse_user_name

users = typer.Typer(help="People: who signs in, and with which roles.", no_args_is_help=True)

UserArgument = Annotated[str, typer.Argument(metavar="USER", help="Name or id of the person.")]
DisplayOption = Annotated[str | None, typer.Option("--display-name", help="How people call them.")]
IssuerOption = Annotated[
    str | None, typer.Option("--issuer", help="Foreign issuer they sign in with, as its tokens have it in `iss`.")
]
SubjectOption = Annotated[str | None, typer.Option("--subject", help="Who they are there: `sub` of its tokens.")]


@users.command("create")
def create_user(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="User principal name, like anna@example.org.")],
    *,
    role: Annotated[
        list[str] | None, typer.Option("--role", help="A role to hold; may be given several times.")
    ] = None,
    display_name: DisplayOption = None,
    generate: GenerateOption = False,
    password_stdin: StdinOption = False,
    issuer: IssuerOption = None,
    subject: SubjectOption = None,
    tenant: TenantOption = DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Add a person. Without a role they see nothing.

    The password is asked for, read from stdin or made up; who signs in with a foreign issuer needs none. The roles
    `Security reader`, `Security operator` and `Auditor` are there in every tenant: naming one is enough.

    \b
    Examples:
      tocsin user create anna@example.org --role "Security operator"
      tocsin user create ben --role "Security reader" --generate
      tocsin user create eva --issuer https://login.example.org --subject 00u1
    """
    parse_user_name(name)
    foreign = parse_foreign_subject(issuer, subject)
    wanted = generate or password_stdin or foreign is None
    password_hash, made_up = ask_password(generate=generate, from_stdin=password_stdin) if wanted else (None, None)
    with administering(context, tenant) as opened:
        user = opened.people.create_user(
            opened.tenant_id,
            name,
            now=ticks.now(),
            display_name=display_name or "",
            password_hash=password_hash,
            issuer=issuer,
            subject=subject,
        )
        roles = [opened.people.ensure_role(opened.tenant_id, each) for each in role or ()]
        opened.people.set_roles(opened.tenant_id, user.user_id, [each.role_id for each in roles])
    held = ", ".join(sorted(each.name for each in roles))
    if as_json:
        show_json({**_view(user, roles), **({"password": made_up} if made_up else {})})
        return
    typer.echo(user.user_id)
    say(f"{user.name} {f'holds {held}' if held else 'holds no role and sees nothing; see `tocsin user roles`'}")
    _show_password(user, made_up)


@users.command("list")
def list_users(context: typer.Context, tenant: TenantOption = DEFAULT, as_json: JsonOption = False) -> None:
    """List the people of a tenant, by name."""
    with looking(context, tenant) as opened:
        found = opened.people.list_users(opened.tenant_id)
        held = _held(opened)
    if as_json:
        show_json([_view(user, held.get(user.user_id, [])) for user in found])
        return
    rows = [
        (
            *(user.user_id, user.name, user.display_name),
            ", ".join(role.name for role in held.get(user.user_id, [])),
            *(_signs_in(user), "" if user.disabled is None else moment(user.disabled)),
        )
        for user in found
    ]
    empty = "no people yet; add one with `tocsin user create NAME`"
    show_table(("ID", "NAME", "DISPLAY NAME", "ROLES", "SIGNS IN", "DISABLED"), rows, empty=empty, ids=2)


@users.command("show")
def show_user(
    context: typer.Context, user: UserArgument, tenant: TenantOption = DEFAULT, as_json: JsonOption = False
) -> None:
    """Show a person: how they sign in, their roles, and what those let them see."""
    with looking(context, tenant) as opened:
        found = opened.people.get_user(opened.tenant_id, user)
        roles, names = _held(opened).get(found.user_id, []), opened.group_names()
    if as_json:
        show_json(_view(found, roles))
        return
    typer.echo(f"{found.name} ({found.user_id})")
    lines = [
        ("display name", found.display_name),
        ("signs in", _signs_in(found)),
        ("created", moment(found.created)),
        ("disabled", "no" if found.disabled is None else f"since {moment(found.disabled)}"),
        *[("role", f"{role.name}: {described(role, names)}") for role in roles],
    ]
    for label, text in lines:
        typer.echo(plain_lines(f"{label:<14}{text}"))
    if not roles:
        say("holds no role and sees nothing; see `tocsin user roles`")


@users.command("roles")
def change_roles(
    context: typer.Context,
    user: UserArgument,
    *,
    add: Annotated[list[str] | None, typer.Option("--add", help="A role to hold from now on.")] = None,
    remove: Annotated[list[str] | None, typer.Option("--remove", help="A role to hold no more.")] = None,
    tenant: TenantOption = DEFAULT,
) -> None:
    """Print the roles of a person, after adding and removing some. A running server follows within a minute.

    \b
    Example:
      tocsin user roles anna@example.org --add "Security operator" --remove "Security reader"
    """
    if not add and not remove:
        with looking(context, tenant) as opened:
            roles = _held(opened).get(opened.people.get_user(opened.tenant_id, user).user_id, [])
    else:
        with administering(context, tenant) as opened:
            found = opened.people.get_user(opened.tenant_id, user)
            kept = {role.role_id for role in _held(opened).get(found.user_id, [])}
            kept |= {opened.people.ensure_role(opened.tenant_id, each).role_id for each in add or ()}
            kept -= {opened.people.get_role(opened.tenant_id, each).role_id for each in remove or ()}
            opened.people.set_roles(opened.tenant_id, found.user_id, kept)
            roles = _held(opened).get(found.user_id, [])
    for role in roles:
        typer.echo(role.name)
    if not roles:
        say("holds no role and sees nothing")


@users.command("change")
def change_user(
    context: typer.Context,
    user: UserArgument,
    *,
    name: Annotated[str | None, typer.Option("--name", help="Another user principal name; the id stays.")] = None,
    display_name: DisplayOption = None,
    issuer: IssuerOption = None,
    subject: SubjectOption = None,
    tenant: TenantOption = DEFAULT,
) -> None:
    """Change a person's names, or who they are with a foreign issuer (both empty: nobody)."""
    if name is None and display_name is None and issuer is None and subject is None:
        raise InvalidInput("nothing to change: give --name, --display-name, or --issuer and --subject")
    with administering(context, tenant) as opened:
        found = opened.people.get_user(opened.tenant_id, user)
        if name is not None or display_name is not None:
            opened.people.rename_user(
                opened.tenant_id, found.user_id, name or found.name, display_name or found.display_name
            )
        if issuer is not None or subject is not None:
            opened.people.set_foreign_identity(opened.tenant_id, found.user_id, issuer, subject)
        kept = opened.people.get_user(opened.tenant_id, found.user_id)
    say(f"{kept.name} ({kept.user_id}): {kept.display_name}, signs in: {_signs_in(kept)}")


@users.command("password")
def change_password(
    context: typer.Context,
    user: UserArgument,
    *,
    generate: GenerateOption = False,
    password_stdin: StdinOption = False,
    tenant: TenantOption = DEFAULT,
) -> None:
    """Give a person a new password. Whatever is signed in with the old one ends.

    \b
    Examples:
      tocsin user password anna@example.org
      tocsin user password anna@example.org --generate
    """
    with looking(context, tenant) as looked:
        found = looked.people.get_user(looked.tenant_id, user)
    password_hash, made_up = ask_password(generate=generate, from_stdin=password_stdin)
    with administering(context, tenant) as opened:
        opened.people.set_password(opened.tenant_id, found.user_id, password_hash, ticks.now())
    say(f"{found.name} has a new password, and is signed out everywhere")
    _show_password(found, made_up)


@users.command("disable")
def disable_user(context: typer.Context, user: UserArgument, tenant: TenantOption = DEFAULT) -> None:
    """Refuse a person from now on, and end what is signed in. A running server notices within a minute."""
    with administering(context, tenant) as opened:
        found = opened.people.get_user(opened.tenant_id, user)
        opened.people.disable_user(opened.tenant_id, found.user_id, ticks.now())
    say(f"{found.name} ({found.user_id}) is disabled")


@users.command("enable")
def enable_user(context: typer.Context, user: UserArgument, tenant: TenantOption = DEFAULT) -> None:
    """Let a disabled person sign in again."""
    with administering(context, tenant) as opened:
        found = opened.people.get_user(opened.tenant_id, user)
        opened.people.enable_user(opened.tenant_id, found.user_id)
    say(f"{found.name} ({found.user_id}) may sign in")


@users.command("delete")
def delete_user(context: typer.Context, user: UserArgument, tenant: TenantOption = DEFAULT) -> None:
    """Forget a person, with their roles and sessions. What they did stays recorded under their name."""
    with administering(context, tenant) as opened:
        found = opened.people.get_user(opened.tenant_id, user)
        opened.people.delete_user(opened.tenant_id, found.user_id)
    say(f"{found.name} ({found.user_id}) is deleted")


def described(role: Role, group_names: dict[int, str]) -> str:
    """What a role gives, in words."""
    rights = ", ".join(sorted(role.rights)) or "nothing"
    workloads = "all workloads" if role.workloads is None else f"workloads {_listed(role.workloads)}"
    if role.device_groups is None:
        return f"{rights} over {workloads}, all devices"
    named = {group_names.get(group_id, f"group {group_id}") for group_id in role.device_groups}
    return f"{rights} over {workloads}, devices of {_listed(named)}"


def _listed(names: frozenset[str] | set[str]) -> str:
    return ", ".join(sorted(names)) or "(none)"


def _held(opened: Administration) -> dict[str, list[Role]]:
    """The roles of each person who holds any, by user id; of disabled people too."""
    roles = {role.role_id: role for role in opened.people.list_roles(opened.tenant_id)}
    held: dict[str, list[Role]] = {}
    for user_id, role_id in opened.people.memberships(opened.tenant_id):
        held.setdefault(user_id, []).append(roles[role_id])
    return {user_id: sorted(found, key=lambda role: role.name) for user_id, found in held.items()}


def _signs_in(user: User) -> str:
    ways = ["password"] if user.password_hash is not None else []
    ways += [f"{user.subject} of {user.issuer}"] if user.issuer is not None else []
    return ", ".join(ways) or "not yet: no password"


def _show_password(user: User, made_up: str | None) -> None:
    if made_up is not None:
        typer.echo(f"{user.name}\t{made_up}")
        say("The password is shown this once.")


def _view(user: User, roles: list[Role]) -> dict[str, object]:
    return {
        "userId": user.user_id,
        "name": user.name,
        "displayName": user.display_name,
        "roles": sorted(role.name for role in roles),
        "hasPassword": user.password_hash is not None,
        "issuer": user.issuer,
        "subject": user.subject,
        "created": ticks.format_ticks(user.created),
        "disabled": None if user.disabled is None else ticks.format_ticks(user.disabled),
    }
