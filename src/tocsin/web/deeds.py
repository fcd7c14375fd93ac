"""What each route is to the audit log: which kind of deed a request is, and how its target is written down."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from tocsin.audit import Action, Outcome

_OPEN: Final = re.compile(r"/healthz|/docs|/openapi\.json|/static/.*|/favicon.*|.*/discovery/.*|.*/\.well-known/.*")
"""Shows nothing that is not public: no record."""
_RULES: Final = tuple(
    (methods, re.compile(pattern), action)
    for methods, pattern, action in (
        ("POST", r".*/oauth2/(v2\.0/)?(token|devicecode)", Action.SIGN_IN),
        ("GET POST", r".*/oauth2/(v2\.0/)?(authorize|deviceauth)", Action.SIGN_IN),
        ("GET POST", r"/(sign-in(/.*)?|device)", Action.SIGN_IN),
        ("GET POST", r".*/(sign-out|oauth2/(v2\.0/)?(logout|revoke))", Action.SIGN_OUT),
        ("POST", r"/ingest/.*", Action.INGEST),
        # Without a body it is a list, with one it is refused (`web/api.py`).
        ("PATCH", r"/api/incidents", Action.READ),
        ("GET POST", r".*/export(/.*)?|.*/exports?(\..*)?", Action.EXPORT),
        ("GET HEAD", r".*", Action.READ),
        ("POST PUT PATCH DELETE", r".*", Action.CHANGE),
    )
)
_SAFE: Final = re.compile(r"[A-Za-z0-9_.$()\-]{1,40}", re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]{1,19}", re.ASCII)
_OPTIONS: Final = ("$filter", "$search", "$top", "$skip", "$orderby", "$expand", "$select", "$count", "$skiptoken")
_VALUE_MAX: Final = 200


@lru_cache(maxsize=1024)
def action_of(method: str, template: str) -> Action | None:
    """What a request to a route is; None for what leaves no record, and for methods that nothing offers."""
    if _OPEN.fullmatch(template):
        return None
    for methods, pattern, action in _RULES:
        if method in methods.split() and pattern.fullmatch(template):
            return action
    return None


def target_of(method: str, template: str, path: str, parameters: Mapping[str, Any], outcome: Outcome | None) -> str:
    """Method and path of a request by somebody known; the route's pattern where its parts might be no ids: of what was
    done an id may be any short word, of what failed only a number, of what was refused (or by nobody: None) nothing.

    What strangers put into a path is not written down: it may be anything, and may be a secret in the wrong place.
    """
    ids = {Outcome.DONE: _SAFE, Outcome.FAILED: _NUMBER}.get(outcome) if outcome is not None else None
    given = [str(value) for name, value in parameters.items() if name != "root"]
    plain = ids is not None and all(ids.fullmatch(value) for value in given)
    return f"{method} {path if plain else template}"


def asked_for(query: Mapping[str, str]) -> str:
    """The query options of the API, as far as a record has room; other parameters are never written down."""
    return " ".join(f"{name}={query[name][:_VALUE_MAX]}" for name in _OPTIONS if name in query and name != "$skiptoken")
