"""Whom the server knows the operator of this machine as, when a command changes incidents over the API.

An application named LOCAL_NAME, one for each tenant, made when it is first needed. Its secret is in a file of the data
folder that this user alone can read: who may read that may write the store as well.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import httpx2
import msgspec
import typer

from tocsin import ticks
from tocsin.access import Permission
from tocsin.cli.remote import CacertOption, UrlOption, authority_of, base_url
from tocsin.cli.session import managing
from tocsin.config import Settings
from tocsin.errors import Forbidden, InvalidChange, InvalidInput, NotFound, Unauthenticated, Unavailable
from tocsin.identity.credentials import hash_secret, new_secret
from tocsin.identity.keyfiles import read_private, write_private
from tocsin.identity.people import Tenant
from tocsin.shipping import connect, error_text

LOCAL_NAME: Final = "local operator"
_FILE: Final = "local-application-{}.json"
_AUDIENCE: Final = "https://api.security.microsoft.com/.default"

TokenOption = Annotated[
    str, typer.Option("--token", envvar="TOCSIN_TOKEN", help="Access token, for a server that --url names.")
]

__all__ = ["CacertOption", "TokenOption", "UrlOption", "post"]


class _Application(msgspec.Struct, frozen=True):
    app_id: str
    secret: str


class _Token(msgspec.Struct, frozen=True):
    access_token: str


def post(
    settings: Settings, tenant: str, path: str, body: dict[str, Any], target: tuple[str, str, Path | None]
) -> bytes:
    """Send a change to the server and give its answer. `target` is --url, --token and --cacert as given.

    Raises InvalidInput, NotFound, Forbidden, Unauthenticated, Unavailable, in the server's own words.
    """
    url, token, cacert = target
    if url and not token:
        raise InvalidInput("--url needs --token (or TOCSIN_TOKEN): an access token that may change incidents")
    address = base_url(settings, url)
    try:
        with connect(authority_of(settings, url, cacert)) as client:
            bearer = token or _own_token(settings, tenant, client, address)
            headers = {"authorization": f"Bearer {bearer}", "content-type": "application/json"}
            response = client.post(f"{address}{path}", content=msgspec.json.encode(body), headers=headers)
    except httpx2.RequestError as error:
        raise Unavailable(f"{address} cannot be reached: {error}") from None
    if response.status_code != 200:
        raise _failure(response.status_code)(error_text(response))
    return response.content


def _failure(status: int) -> type[Exception]:
    known = {401: Unauthenticated, 403: Forbidden, 404: NotFound, 400: InvalidChange, 503: Unavailable}
    return known.get(status, InvalidInput)


def _own_token(settings: Settings, tenant: str, client: httpx2.Client, address: str) -> str:
    with managing(settings) as registry:
        found = registry.get_tenant(tenant)
    kept = read_private(settings.data_dir / _FILE.format(found.guid))
    own = _made(settings, found) if kept is None else msgspec.json.decode(kept, type=_Application)
    response = _asked(client, address, found, own)
    if response.status_code != 200 and kept is not None:  # the file may be of another store: once more with a new one
        response = _asked(client, address, found, _made(settings, found))
    if response.status_code != 200:
        raise Unauthenticated(f"the server does not take the application {LOCAL_NAME!r}: {error_text(response)}")
    return msgspec.json.decode(response.content, type=_Token).access_token


def _asked(client: httpx2.Client, address: str, tenant: Tenant, own: _Application) -> httpx2.Response:
    form = {
        "grant_type": "client_credentials",
        "client_id": own.app_id,
        "client_secret": own.secret,
        "scope": _AUDIENCE,
    }
    return client.post(f"{address}/{tenant.guid}/oauth2/v2.0/token", data=form)


def _made(settings: Settings, tenant: Tenant) -> _Application:
    """A new secret of the application, or the application where there is none. One that was disabled stays so."""
    secret = new_secret()
    with managing(settings) as registry:
        known = [each for each in registry.list_applications(tenant.tenant_id) if each.name == LOCAL_NAME]
        if known:
            registry.rotate_secret(tenant.tenant_id, known[0].app_id, hash_secret(secret))
            own = _Application(known[0].app_id, secret)
        else:
            made = registry.create_application(
                tenant.tenant_id,
                LOCAL_NAME,
                [Permission.READ_WRITE],
                secret_hash=hash_secret(secret),
                now=ticks.now(),
            )
            own = _Application(made.app_id, secret)
    write_private(settings.data_dir / _FILE.format(tenant.guid), msgspec.json.encode(own))
    return own
