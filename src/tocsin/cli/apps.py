"""`tocsin app` and `tocsin key`: who may call. They write the store directly, also beside a running server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from tocsin import ticks
from tocsin.access import APPLICATION_PERMISSIONS, Permission
from tocsin.cli.screen import moment, say, show_json, show_table
from tocsin.cli.session import DEFAULT, JsonOption, TenantOption, managing, reading, settings_of, writing
from tocsin.errors import InvalidInput, NotFound
from tocsin.identity.assertions import parse_certificate
from tocsin.identity.authorizing import parse_redirect_uri
from tocsin.identity.credentials import hash_secret, new_ingest_key, new_secret
from tocsin.identity.people import Application, Tenant
from tocsin.stores.sqlite.connection import transaction
from tocsin.stores.sqlite.registry import Registry
from tocsin.stores.sqlite.sign_in import SignIns

apps = typer.Typer(help="Applications: clients that sign in with an id and a secret.", no_args_is_help=True)
certificates = typer.Typer(help="Certificates with which an application proves itself.", no_args_is_help=True)
apps.add_typer(certificates, name="certificate")
keys = typer.Typer(help="Ingest keys: long-lived keys that may only send alerts.", no_args_is_help=True)

AppArgument = Annotated[str, typer.Argument(metavar="APP", help="Id or name of the application.")]


@apps.command("create")
def create_app(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A name for people, unique in the tenant.")],
    *,
    permission: Annotated[
        list[Permission] | None,
        typer.Option(
            "--permission", "-p", help="What it may do in its own name; may be given several times.", metavar="NAME"
        ),
    ] = None,
    public: Annotated[
        bool, typer.Option("--public", help="It runs on people's machines: no secret, it acts for who signs in.")
    ] = False,
    redirect_uri: Annotated[
        list[str] | None,
        typer.Option("--redirect-uri", help="Where people who signed in are sent back to; several times if need be."),
    ] = None,
    tenant: TenantOption = DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Register an application and print its id and secret.

    The secret is shown this once: the store keeps only its hash. A public application has none: people sign in
    with it, and it may do what their roles permit. http://localhost stands for any port of the machine itself.

    \b
    Examples:
      tocsin app create siem --permission Incident.Read.All
      tocsin app create soar -p Incident.ReadWrite.All -p Alert.Ingest.All
      tocsin app create desktop --public --redirect-uri http://localhost
    """
    permissions = _permissions(permission or [], public=public, redirects=bool(redirect_uri))
    uris = [parse_redirect_uri(uri) for uri in redirect_uri or []]
    secret = "" if public else new_secret()
    with managing(settings_of(context)) as registry:
        owner = registry.get_tenant(tenant)
        app = registry.create_application(
            owner.tenant_id,
            name,
            permissions,
            secret_hash=hash_secret(secret) if secret else "",
            now=ticks.now(),
            is_public=public,
            redirect_uris=uris,
        )
    _show_secret(app, owner, secret, as_json=as_json)


@apps.command("list")
def list_apps(context: typer.Context, tenant: TenantOption = DEFAULT, as_json: JsonOption = False) -> None:
    """List the applications of a tenant, by name."""
    with reading(context, tenant) as store:
        found = store.registry.list_applications(store.tenant.tenant_id)
    if as_json:
        show_json([_app_view(app) for app in found])
        return
    rows = [
        (
            app.app_id,
            app.name,
            ", ".join(sorted(app.permissions)) or "(its users')",
            moment(app.created),
            _since(app.disabled),
        )
        for app in found
    ]
    show_table(
        ("ID", "NAME", "PERMISSIONS", "CREATED", "DISABLED"),
        rows,
        empty="no applications yet; make one with `tocsin app create NAME --permission Incident.Read.All`",
    )


@apps.command("disable")
def disable_app(context: typer.Context, app: AppArgument, tenant: TenantOption = DEFAULT) -> None:
    """Refuse an application from now on. A running server notices within a minute."""
    with managing(settings_of(context)) as registry:
        owner = registry.get_tenant(tenant)
        found = _find_app(registry, owner, app)
        registry.disable_application(owner.tenant_id, found.app_id, ticks.now())
    say(f"{found.name} ({found.app_id}) is disabled")


@apps.command("rotate")
def rotate_app(
    context: typer.Context, app: AppArgument, tenant: TenantOption = DEFAULT, as_json: JsonOption = False
) -> None:
    """Give an application a new secret. The old one stops at once; tokens already given out live on until they end."""
    secret = new_secret()
    with managing(settings_of(context)) as registry:
        owner = registry.get_tenant(tenant)
        found = _find_app(registry, owner, app)
        if found.is_public:
            raise InvalidInput(f"{found.name} is public and has no secret")
        registry.rotate_secret(owner.tenant_id, found.app_id, hash_secret(secret))
    _show_secret(found, owner, secret, as_json=as_json)


@certificates.command("add")
def add_certificate(
    context: typer.Context,
    app: AppArgument,
    file: Annotated[Path, typer.Argument(help="The certificate, in PEM or DER; never its private key.")],
    tenant: TenantOption = DEFAULT,
) -> None:
    """Let an application prove itself with a certificate's key instead of its secret. RSA of 2048 bits, or P-256.

    \b
    Examples:
      openssl req -x509 -newkey rsa:2048 -nodes -days 365 -subj /CN=soar -keyout soar.key -out soar.pem
      tocsin app certificate add soar soar.pem
    """
    try:
        certificate = parse_certificate(file.read_bytes())
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read: {error.strerror}") from None
    now = ticks.now()
    with _certifying(context, tenant, app) as (found, store):
        if found.is_public:
            raise InvalidInput(f"{found.name} is a public application: it proves itself with nothing, people sign in")
        store.add_certificate(found.tenant_id, found.app_id, certificate, now)
    typer.echo(certificate.thumbprint)
    end = moment(certificate.ends)
    say(
        f"{found.name} may sign in with {certificate.subject} until {end}."
        if certificate.ends > now
        else f"Ended {end}!"
    )


@certificates.command("list")
def list_certificates(
    context: typer.Context, app: AppArgument, tenant: TenantOption = DEFAULT, as_json: JsonOption = False
) -> None:
    """List the certificates of an application, oldest first."""
    with _certifying(context, tenant, app) as (found, store):
        held = store.list_certificates(found.tenant_id, found.app_id)
    if as_json:
        show_json(
            [
                {"thumbprint": each.thumbprint, "subject": each.subject, "ends": ticks.format_ticks(each.ends)}
                for each in held
            ]
        )
        return
    rows = [(each.thumbprint, each.subject, moment(each.ends)) for each in held]
    show_table(("SHA-256", "SUBJECT", "ENDS"), rows, empty="no certificates; add one with `tocsin app certificate add`")


@certificates.command("remove")
def remove_certificate(
    context: typer.Context,
    app: AppArgument,
    thumbprint: Annotated[str, typer.Argument(help="SHA-256 of the certificate, as `list` shows it.")],
    tenant: TenantOption = DEFAULT,
) -> None:
    """Take a certificate from an application: it opens nothing any more, at once."""
    with _certifying(context, tenant, app) as (found, store):
        store.remove_certificate(found.tenant_id, found.app_id, thumbprint)
    say(f"{found.name} cannot sign in with this certificate any more")


@keys.command("create")
def create_key(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="What the key is for, e.g. the name of a sensor.")],
    tenant: TenantOption = DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Make an ingest key and print it, this once.

    \b
    Example:
      tocsin key create suricata-edge
    """
    key = new_ingest_key()
    with managing(settings_of(context)) as registry:
        owner = registry.get_tenant(tenant)
        kept = registry.create_ingest_key(
            owner.tenant_id, name, key_id=key.key_id, key_hash=key.key_hash, now=ticks.now()
        )
    if as_json:
        show_json({"keyId": kept.key_id, "name": kept.name, "tenantId": owner.guid, "key": key.text})
        return
    typer.echo(f"export TOCSIN_INGEST_KEY={key.text}")
    say(f"Key {kept.key_id} ({kept.name}) may send alerts to tenant {owner.name}. It is shown this once.")
    say("Send with `tocsin ingest`, or with curl: POST /ingest/SENDER, header `Authorization: Bearer KEY`.")


@keys.command("list")
def list_keys(context: typer.Context, tenant: TenantOption = DEFAULT, as_json: JsonOption = False) -> None:
    """List the ingest keys of a tenant, oldest first."""
    with reading(context, tenant) as store:
        found = store.registry.list_ingest_keys(store.tenant.tenant_id)
    if as_json:
        views = [
            {
                "keyId": key.key_id,
                "name": key.name,
                "created": ticks.format_ticks(key.created),
                "disabled": _time(key.disabled),
            }
            for key in found
        ]
        show_json(views)
        return
    rows = [(key.key_id, key.name, moment(key.created), _since(key.disabled)) for key in found]
    empty = "no ingest keys yet; make one with `tocsin key create NAME`"
    show_table(("ID", "NAME", "CREATED", "DISABLED"), rows, empty=empty)


@keys.command("disable")
def disable_key(
    context: typer.Context,
    key: Annotated[str, typer.Argument(metavar="KEY-ID", help="Id of the key: the part after `tocsin_`.")],
    tenant: TenantOption = DEFAULT,
) -> None:
    """Refuse an ingest key from now on. A running server notices within a minute."""
    with managing(settings_of(context)) as registry:
        registry.disable_ingest_key(registry.get_tenant(tenant).tenant_id, key, ticks.now())
    say(f"key {key} is disabled")


@contextmanager
def _certifying(context: typer.Context, tenant: str, app: str) -> Iterator[tuple[Application, SignIns]]:
    """An application and the store of certificates, for one change."""
    with writing(settings_of(context)) as connection:
        registry = Registry(connection)
        found = _find_app(registry, registry.get_tenant(tenant), app)
        with transaction(connection):
            yield found, SignIns(connection)


def _permissions(asked: list[Permission], *, public: bool, redirects: bool) -> list[Permission]:
    if public and asked:
        raise InvalidInput("a public application acts for people and has no permissions of its own; leave --permission")
    if not asked and not public and not redirects:
        raise InvalidInput("say what it may do: --permission Incident.Read.All, or --public for one that people use")
    for permission in asked:
        if permission not in APPLICATION_PERMISSIONS:
            raise InvalidInput(
                f"{permission} is for people; an application may have {', '.join(sorted(APPLICATION_PERMISSIONS))}"
            )
    return asked


def _find_app(registry: Registry, tenant: Tenant, reference: str) -> Application:
    found = [
        app
        for app in registry.list_applications(tenant.tenant_id)
        if reference.strip() == app.name or reference.strip().lower() == app.app_id
    ]
    if not found:
        raise NotFound(f"tenant {tenant.name} has no application {reference[:60]!r}; see `tocsin app list`")
    return found[0]


def _show_secret(app: Application, tenant: Tenant, secret: str, *, as_json: bool) -> None:
    if as_json:
        show_json({**_app_view(app), "tenantId": tenant.guid, **({"secret": secret} if secret else {})})
        return
    typer.echo(f"export TOCSIN_TENANT_ID={tenant.guid}")
    typer.echo(f"export TOCSIN_APP_ID={app.app_id}")
    if not secret:
        say(f"Application {app.name} is public: it has no secret, and may do what the roles of its users permit.")
        return
    typer.echo(f"export TOCSIN_APP_SECRET={secret}")
    say(f"Application {app.name} may use {', '.join(sorted(app.permissions))}. The secret is shown this once.")
    say('Get a token with `tocsin token --app "$TOCSIN_APP_ID" --secret-env TOCSIN_APP_SECRET`.')


def _app_view(app: Application) -> dict[str, object]:
    return {
        "appId": app.app_id,
        "name": app.name,
        "permissions": sorted(app.permissions),
        "public": app.is_public,
        "redirectUris": list(app.redirect_uris),
        "created": ticks.format_ticks(app.created),
        "disabled": _time(app.disabled),
    }


def _time(value: int | None) -> str | None:
    return None if value is None else ticks.format_ticks(value)


def _since(value: int | None) -> str:
    return "" if value is None else moment(value)
