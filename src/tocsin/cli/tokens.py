"""`tocsin token`: an access token for scripts, asked of the server as any client would."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import httpx2
import msgspec
import typer

from tocsin.cli.remote import CacertOption, UrlOption, authority_of, base_url
from tocsin.cli.session import DEFAULT, TenantOption, settings_of
from tocsin.errors import InvalidInput, Unauthenticated, Unavailable
from tocsin.shipping import connect, error_text


class _Token(msgspec.Struct, frozen=True):
    access_token: str


def token(
    context: typer.Context,
    *,
    app: Annotated[str, typer.Option("--app", help="Id of the application.")],
    secret_stdin: Annotated[bool, typer.Option("--secret-stdin", help="Read the secret from standard input.")] = False,
    secret_env: Annotated[
        str, typer.Option("--secret-env", metavar="NAME", help="Read it from this environment variable.")
    ] = "",
    tenant: TenantOption = DEFAULT,
    url: UrlOption = "",
    cacert: CacertOption = None,
) -> None:
    """Print an access token and nothing else. The secret never stands on the command line, where others see it.

    \b
    Example:
      curl --cacert tocsin-data/tls/ca.pem https://localhost:8443/api/incidents \\
        -H "Authorization: Bearer $(tocsin token --app "$TOCSIN_APP_ID" --secret-env TOCSIN_APP_SECRET)"
    """
    settings = settings_of(context)
    secret = _secret(secret_env, from_stdin=secret_stdin)
    address = base_url(settings, url)
    form = {
        "grant_type": "client_credentials",
        "client_id": app,
        "client_secret": secret,
        "scope": f"{address}/.default",
    }
    if url:  # a name for it that the server knows, whatever the address is by which it is reached from here
        form["scope"] = "https://api.security.microsoft.com/.default"
    try:
        with connect(authority_of(settings, url, cacert)) as client:
            response = client.post(f"{address}/{tenant}/oauth2/v2.0/token", data=form)
    except httpx2.RequestError as error:
        raise Unavailable(f"{address} cannot be reached: {error}") from None
    if response.status_code != 200:
        raise Unauthenticated(error_text(response))
    try:
        typer.echo(msgspec.json.decode(response.content, type=_Token).access_token)
    except msgspec.DecodeError:
        raise InvalidInput(f"{address} gave no token; is this the address of a Tocsin?") from None


def _secret(variable: str, *, from_stdin: bool) -> str:
    if bool(variable) == from_stdin:
        raise InvalidInput("say where the secret is: --secret-env NAME or --secret-stdin")
    secret = sys.stdin.readline().strip() if from_stdin else os.environ.get(variable, "")
    if not secret:
        source = "standard input" if from_stdin else f"the environment variable {variable}"
        raise InvalidInput(f"{source} has no secret")
    return secret
