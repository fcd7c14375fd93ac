"""What a client asks a token for: `resource` of version 1 and `scope` of version 2, read. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from tocsin.identity.issuing import IssuerError, missing
from tocsin.identity.people import Tenant
from tocsin.identity.sign_in import Wanted

SIGN_IN_SCOPES: Final = frozenset({"openid", "profile", "email", "offline_access"})
_EVERYTHING: Final = ".default"
BARE_RESOURCE: Final = "https://graph.microsoft.com"
"""What a permission without a resource before it belongs to, as in the original."""


def application_audience(form: Mapping[str, str], version: int, tenant: Tenant, audiences: Collection[str]) -> str:
    """The resource that an application asks for in its own name. Raises IssuerError."""
    resource, scope = form.get("resource"), form.get("scope")
    if scope is not None and (version == 2 or resource is None):
        resource = _resource_of_scope(scope)
    if resource is None:
        raise missing("resource" if version == 1 else "scope")
    return _known(resource, tenant, audiences)


def person_wanted(form: Mapping[str, str], version: int, tenant: Tenant, audiences: Collection[str]) -> Wanted | None:
    """What an application asks for in a person's name; None where it says nothing. Raises IssuerError.

    In version 1 a resource is all of it, with an id token and a refresh token, whatever the scope says.
    """
    resource, scope = form.get("resource"), form.get("scope")
    if version == 1 and resource is not None:
        return Wanted(audience=_known(resource, tenant, audiences), names=None, openid=True, offline=True)
    if scope is None:
        return None
    parts = [part for part in scope.split() if part not in SIGN_IN_SCOPES]
    asked = [_split(part) for part in parts]
    resources = {resource for resource, _ in asked} or {BARE_RESOURCE}
    if len(resources) > 1:
        text = "Provided value for the input parameter scope is not valid because it contains more than one resource."
        raise IssuerError(400, "invalid_scope", 28000, text)
    names = frozenset(name for _, name in asked)
    signing_in = SIGN_IN_SCOPES.intersection(scope.split())
    return Wanted(
        audience=_known(resources.pop(), tenant, audiences),
        names=None if _EVERYTHING in names else names,
        openid="openid" in signing_in,
        offline="offline_access" in signing_in,
    )


def _split(part: str) -> tuple[str, str]:
    resource, slash, name = part.rpartition("/")
    return (resource, name) if slash else (BARE_RESOURCE, name)


def _known(resource: str, tenant: Tenant, audiences: Collection[str]) -> str:
    if resource not in audiences:
        text = (
            f"The resource principal named {resource[:120]} was not found in the tenant named {tenant.name}. "
            "Ask for https://api.security.microsoft.com or for this server's own URL."
        )
        raise IssuerError(400, "invalid_resource", 500011, text)
    return resource


def _resource_of_scope(scope: str) -> str:
    asked = [part for part in scope.split() if part not in SIGN_IN_SCOPES]
    if len(asked) > 1:
        text = "Provided value for the input parameter scope is not valid because it contains more than one resource."
        raise IssuerError(400, "invalid_scope", 28000, text)
    if not asked or not asked[0].endswith("/.default"):
        text = (
            f"The provided value for scope {scope[:120]} is not valid. Client credential flows must have a scope value "
            "with /.default suffixed to the resource identifier (application ID URI)."
        )
        raise IssuerError(400, "invalid_scope", 1002012, text)
    return asked[0].removesuffix("/.default")
