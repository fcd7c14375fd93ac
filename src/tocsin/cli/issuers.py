"""`tocsin issuer`: issuers of others whose tokens are taken, and with which people sign in to the portal."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer

from tocsin import ticks
from tocsin.access import Permission
from tocsin.cli.people import administering, looking
from tocsin.cli.screen import plain_lines, say, show_json, show_table
from tocsin.cli.session import DEFAULT, JsonOption, TenantOption
from tocsin.config import Settings
from tocsin.errors import InvalidInput
from tocsin.identity.fetching import Fetcher
from tocsin.identity.foreign import ForeignIssuer, checked, parse_pairs, preset
from tocsin.identity.foreign_keys import discovery_of, fetch
from tocsin.identity.foreign_secrets import read_issuer_secret, write_issuer_secret
from tocsin.identity.names import service_names
from tocsin.stores.sqlite.people import People

issuers = typer.Typer(help="Issuers of others: Entra ID, Keycloak, any OpenID provider.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the issuer, as `issuer list` has it.")]
Texts = list[str] | None

TitleOption = Annotated[str | None, typer.Option("--title", help="What the button on the sign-in page says.")]
AudienceOption = Annotated[Texts, typer.Option("--audience", help="`aud` that its access tokens must have.")]
AlgorithmOption = Annotated[Texts, typer.Option("--algorithm", help="Of RS256, PS256, ES256.")]
TypeOption = Annotated[Texts, typer.Option("--typ", help="`typ` that the header of an access token may have.")]
ClientOption = Annotated[
    Texts, typer.Option("--client", help="Application that may call, by its id there; `*` for all.")
]
PermissionOption = Annotated[
    list[Permission] | None,
    typer.Option("--permission", "-p", metavar="NAME", help="What its applications may do at most."),
]
AppClaimOption = Annotated[
    Texts, typer.Option("--app-claim", help="Where an application's permissions stand, like realm_access.roles.")
]
PersonClaimOption = Annotated[Texts, typer.Option("--person-claim", help="Where those stand that a person lends.")]
MapOption = Annotated[
    Texts, typer.Option("--map", metavar="VALUE=PERMISSION", help="What a foreign value gives, of our permissions.")
]
SubjectOption = Annotated[str | None, typer.Option("--subject-claim", help="Who a person is: sub, or oid.")]
ClientClaimOption = Annotated[Texts, typer.Option("--client-claim", help="Which application it is: azp, appid.")]
RequireOption = Annotated[
    Texts, typer.Option("--require", metavar="CLAIM=TEXT", help="A claim that every token must have, like tid.")
]
ProvisionOption = Annotated[
    bool | None,
    typer.Option("--provision/--no-provision", help="Make a user of each person who comes; else only known ones."),
]
RoleOption = Annotated[Texts, typer.Option("--role", help="A role of users that are made.")]
RoleClaimOption = Annotated[Texts, typer.Option("--role-claim", help="Where the values for --map-role stand.")]
MapRoleOption = Annotated[
    Texts, typer.Option("--map-role", metavar="VALUE=ROLE", help="A role for who has this value, at each sign-in.")
]
NameClaimOption = Annotated[Texts, typer.Option("--name-claim", help="What a user that is made is called.")]
PortalOption = Annotated[
    str | None, typer.Option("--client-id", help="Our own id there, for the portal; empty: no sign-in.")
]
ScopeOption = Annotated[Texts, typer.Option("--scope", help="What the portal asks for.")]
SecretOption = Annotated[
    Path | None, typer.Option("--client-secret-file", help="File with our secret there; - reads stdin.")
]
HostOption = Annotated[Texts, typer.Option("--host", help="Another host that it may point to for keys and sign-in.")]
CaOption = Annotated[Path | None, typer.Option("--ca", help="Certificates to trust for it instead of the system's.")]
PlainOption = Annotated[
    bool | None, typer.Option("--plain-loopback", help="Let an issuer on this machine go without TLS.")
]

_LISTS: Final = {
    "audience": "audiences",
    "algorithm": "algorithms",
    "typ": "types",
    "client": "clients",
    "permission": "permissions",
    "app_claim": "application_claims",
    "person_claim": "person_claims",
    "client_claim": "client_claims",
    "role": "roles",
    "role_claim": "role_claims",
    "name_claim": "name_claims",
    "scope": "scopes",
    "host": "hosts",
}
_SINGLE: Final = ("title", "subject_claim", "provision", "client_id", "plain_loopback")


@issuers.command("add")
def add_issuer(  # noqa: PLR0917 - one option each
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A short name: small letters, digits, dashes.")],
    issuer: Annotated[str, typer.Argument(metavar="URL", help="Its issuer URL, to the character as `iss` has it.")],
    kind: Annotated[str, typer.Option("--preset", help="entra, keycloak or oidc: what is usual there.")] = "oidc",
    title: TitleOption = None,
    audience: AudienceOption = None,
    client: ClientOption = None,
    permission: PermissionOption = None,
    app_claim: AppClaimOption = None,
    person_claim: PersonClaimOption = None,
    map: MapOption = None,
    require: RequireOption = None,
    algorithm: AlgorithmOption = None,
    typ: TypeOption = None,
    client_claim: ClientClaimOption = None,
    subject_claim: SubjectOption = None,
    provision: ProvisionOption = None,
    role: RoleOption = None,
    role_claim: RoleClaimOption = None,
    map_role: MapRoleOption = None,
    name_claim: NameClaimOption = None,
    client_id: PortalOption = None,
    client_secret_file: SecretOption = None,
    scope: ScopeOption = None,
    host: HostOption = None,
    ca: CaOption = None,
    plain_loopback: PlainOption = None,
    tenant: TenantOption = DEFAULT,
) -> None:
    """Take tokens of an issuer, for one tenant. A running server follows within a minute.

    Options that end in a value may be given several times. Nothing is asked of the issuer yet: see `issuer check`.

    \b
    Examples:
      tocsin issuer add corp https://login.microsoftonline.com/TENANT-ID/v2.0 --preset entra \\
        --audience api://tocsin --client CLIENT-ID -p Incident.Read.All
      tocsin issuer add corp https://kc.example.org/realms/soc --preset keycloak --audience tocsin \\
        --client siem -p Incident.Read.All --map incident-reader=Incident.Read.All
    """
    values = _values(context.params)
    secret = _read_secret(client_secret_file)
    with administering(context, tenant) as opened:
        base = {**preset(kind, issuer), "tenant_id": opened.tenant_id, "name": name, "issuer": issuer, "audiences": ()}
        values["require"] = {**base.pop("require", {}), **values.get("require", {})}
        values["hosts"] = (*base.pop("hosts", ()), *values.get("hosts", ()))
        made = _checked(ForeignIssuer(**{**base, **values}), opened.settings, opened.people)
        opened.issuers.add(made, ticks.now())
        write_issuer_secret(opened.settings.data_dir, made, secret or "")
    say(f"tokens of {made.issuer} are taken for {opened.tenant.name}; try it with `tocsin issuer check {made.name}`")
    if made.client_id:
        base_url = service_names(opened.settings).base_url
        say(f"register this address for people to come back to: {base_url}/sign-in/back")


@issuers.command("change")
def change_issuer(  # noqa: PLR0917 - one option each
    context: typer.Context,
    name: NameArgument,
    title: TitleOption = None,
    audience: AudienceOption = None,
    client: ClientOption = None,
    permission: PermissionOption = None,
    app_claim: AppClaimOption = None,
    person_claim: PersonClaimOption = None,
    map: MapOption = None,
    require: RequireOption = None,
    algorithm: AlgorithmOption = None,
    typ: TypeOption = None,
    client_claim: ClientClaimOption = None,
    subject_claim: SubjectOption = None,
    provision: ProvisionOption = None,
    role: RoleOption = None,
    role_claim: RoleClaimOption = None,
    map_role: MapRoleOption = None,
    name_claim: NameClaimOption = None,
    client_id: PortalOption = None,
    client_secret_file: SecretOption = None,
    scope: ScopeOption = None,
    host: HostOption = None,
    ca: CaOption = None,
    plain_loopback: PlainOption = None,
    tenant: TenantOption = DEFAULT,
) -> None:
    """Change an issuer: what is given takes the place of what was, everything else stays; an empty value clears a list.

    \b
    Example:
      tocsin issuer change corp --client siem --client soar
    """
    values, secret = _values(context.params), _read_secret(client_secret_file)
    if not values and secret is None:
        raise InvalidInput("nothing to change; see `tocsin issuer change --help`")
    with administering(context, tenant) as opened:
        kept = opened.issuers.get(opened.tenant_id, name)
        made = _checked(msgspec.structs.replace(kept, **values), opened.settings, opened.people)
        opened.issuers.replace(made)
        if secret is not None:
            write_issuer_secret(opened.settings.data_dir, made, secret)
    say(f"{made.name} is changed; a running server follows within a minute")


@issuers.command("list")
def list_issuers(context: typer.Context, tenant: TenantOption = DEFAULT, as_json: JsonOption = False) -> None:
    """List the issuers of a tenant, by name."""
    with looking(context, tenant) as opened:
        found = opened.issuers.list_of(opened.tenant_id)
    if as_json:
        show_json([_view(each) for each in found])
        return
    rows = [
        (each.name, each.issuer, ", ".join(each.audiences), ", ".join(each.clients), "yes" if each.client_id else "no")
        for each in found
    ]
    empty = "no issuers yet; add one with `tocsin issuer add`"
    show_table(("NAME", "ISSUER", "AUDIENCES", "CLIENTS", "PORTAL"), rows, empty=empty)


@issuers.command("show")
def show_issuer(
    context: typer.Context, name: NameArgument, tenant: TenantOption = DEFAULT, as_json: JsonOption = False
) -> None:
    """Show all that is set for an issuer; of the secret only whether there is one."""
    with looking(context, tenant) as opened:
        found = opened.issuers.get(opened.tenant_id, name)
        secret = bool(read_issuer_secret(opened.settings.data_dir, found))
    view = {**_view(found), "clientSecret": secret}
    if as_json:
        show_json(view)
        return
    for label, value in view.items():
        typer.echo(plain_lines(f"{label:<20}{_words(value)}"))


@issuers.command("remove")
def remove_issuer(context: typer.Context, name: NameArgument, tenant: TenantOption = DEFAULT) -> None:
    """Take no more tokens of an issuer, and let nobody sign in with it. Its people stay users, without a way in.

    Sessions that are open stay so until they end: `tocsin user disable` ends those of a person.
    """
    with administering(context, tenant) as opened:
        found = opened.issuers.get(opened.tenant_id, name)
        opened.issuers.remove(opened.tenant_id, found.name)
        write_issuer_secret(opened.settings.data_dir, found, "")
    say(f"tokens of {found.issuer} are refused from now on; a running server follows within a minute")


@issuers.command("check")
def check_issuer(context: typer.Context, name: NameArgument, tenant: TenantOption = DEFAULT) -> None:
    """Ask an issuer for its discovery document and keys, as the server would, and say what came."""
    with looking(context, tenant) as opened:
        found = opened.issuers.get(opened.tenant_id, name)
    published = asyncio.run(fetch(Fetcher(), found, ticks.now()))
    typer.echo(f"{discovery_of(found)} is of this issuer")
    for kid, key in published.keys.items():
        usable = [each for each in found.algorithms if key.fits(each)]
        typer.echo(plain_lines(f"key {kid[:60]}: {', '.join(usable) or 'for none of the algorithms that are taken'}"))
    if found.client_id and not (published.authorization_endpoint and published.token_endpoint):
        raise InvalidInput("people cannot sign in: the issuer names no endpoints for it that may be used")


def _values(given: dict[str, Any]) -> dict[str, Any]:
    """The fields that options were given for."""
    values: dict[str, Any] = {name: given[name] for name in _SINGLE if given.get(name) is not None}
    for option, field in _LISTS.items():
        if given.get(option):
            values[field] = tuple(dict.fromkeys(each for each in given[option] if each))
    if "permissions" in values:
        values["permissions"] = frozenset(values["permissions"])
    if given.get("map"):
        pairs = parse_pairs(filter(None, given["map"]))
        values["mapped"] = {foreign: tuple(map(_permission, ours)) for foreign, ours in pairs.items()}
    for option, field in (("require", "require"), ("map_role", "role_map")):
        if given.get(option):
            values[field] = {each: ours[-1] for each, ours in parse_pairs(filter(None, given[option])).items()}
    if given.get("ca") is not None:
        values["authority"] = _read(given["ca"])
    return values


def _checked(issuer: ForeignIssuer, settings: Settings, people: People) -> ForeignIssuer:
    checked(issuer, service_names(settings).bases.values())
    for role in {*issuer.roles, *issuer.role_map.values()}:
        people.ensure_role(issuer.tenant_id, role)
    return issuer


def _permission(text: str) -> Permission:
    try:
        return Permission(text)
    except ValueError:
        raise InvalidInput(f"{text[:60]!r} is no permission; there are {', '.join(Permission)}") from None


def _read_secret(path: Path | None) -> str | None:
    if path is None:
        return None
    return (sys.stdin.readline() if str(path) == "-" else _read(path)).strip()


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")[: 256 * 1024]
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read: {error}") from None


def _view(issuer: ForeignIssuer) -> dict[str, Any]:
    view: dict[str, Any] = msgspec.to_builtins(issuer)
    del view["tenant_id"]
    view["permissions"] = sorted(view["permissions"])
    view["authority"] = bool(issuer.authority)
    return view


def _words(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}={_words(each)}" for key, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)
