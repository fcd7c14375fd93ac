"""How the portal's answers are made: templates, and the pages for failures."""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import Any, Final
from urllib.parse import urlsplit

import jinja2
import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from tocsin.audit import redacted
from tocsin.errors import Forbidden, InvalidInput, NotFound, TocsinError, Unauthenticated, Unavailable
from tocsin.identity.names import ServiceNames
from tocsin.web.answers import asked_at
from tocsin.web.headers import PAGE
from tocsin.web.portal import text

HOW_TO_SIGN_IN: Final = (
    "Pages are open to whoever owns the data folder. On that machine run `tocsin portal`: it prints a sign-in link "
    "that works once, within ten minutes. Open it in this browser."
)
LINK_USED: Final = (
    "A link works once, within ten minutes of being made. On the machine that owns the data folder run "
    "`tocsin portal` to get a new one."
)
NO_INCIDENT: Final = (
    "It may be past retention, belong to another organisation, or never have been. The queue shows all that there are."
)
INTERNAL: Final = "Something went wrong here, and it is written to the log. Load the page again in a moment."

_HTML: Final = "text/html; charset=utf-8"
_STATIC: Final = {"portal.css": "text/css; charset=utf-8", "icon.svg": "image/svg+xml"}
_FOREVER: Final = "public, max-age=31536000, immutable"

log = structlog.get_logger()


class Shown(msgspec.Struct, frozen=True):
    """Who is signed in, as every page shows it, and the token of the form that signs out (`request.state.visitor`)."""

    name: str
    token: str


class Rendering:
    """Makes every answer of the portal."""

    def __init__(self, names: ServiceNames) -> None:
        self._names = names
        self._static = {name: (resources.files(__package__) / "static" / name).read_bytes() for name in _STATIC}
        self._templates = _environment()
        self._templates.globals["style_version"] = hashlib.sha256(self._static["portal.css"]).hexdigest()[:12]

    def page(self, request: Request, template: str, status: int = 200, **values: Any) -> Response:
        """A page, with who is signed in at its top.

        Templates escape everything; what no text can hold (a lone surrogate) becomes a question mark.
        """
        root = urlsplit(self._base(request)).path
        visitor = getattr(request.state, "visitor", None)
        filled = self._templates.get_template(template).render(root=root, visitor=visitor, **values)
        page = filled.encode("utf-8", "replace")
        return Response(page, status, {**PAGE, "content-type": _HTML})

    def message(self, request: Request, status: int, title: str, message: str) -> Response:
        """A page that says one thing; what stands between backquotes in `message` is shown as code."""
        return self.page(
            request, "message.html", status, tenant=None, title=title, message=redacted(message), code=status
        )

    def failure(self, request: Request, error: TocsinError) -> Response:
        """The page for an expected failure."""
        match error:
            case Unauthenticated():
                return self.message(request, 401, "Sign in to look at incidents", HOW_TO_SIGN_IN)
            case Forbidden():
                return self.message(request, 403, "This was not done", str(error))
            case NotFound():
                return self.message(request, 404, "There is no such incident", NO_INCIDENT)
            case InvalidInput():
                return self.message(request, 400, "This address asks for something odd", str(error))
            case Unavailable():
                return self.message(request, 503, "Not now", "The store is busy. Load the page again in a moment.")
        log.warning("page_refused", path=asked_at(request), reason=str(error))
        return self.message(request, 500, "This page could not be made", INTERNAL)

    def redirect(self, request: Request, path: str) -> Response:
        """Send the visitor to another page of ours."""
        return RedirectResponse(urlsplit(self._base(request)).path + path, 303, PAGE)

    def static(self, request: Request, name: str) -> Response:
        """A style sheet or picture. Raises NotFound."""
        if name not in self._static:
            raise NotFound("there is no such static file")
        headers = {"cache-control": _FOREVER, "content-type": _STATIC[name]}
        return Response(self._static[name], headers=headers)

    def _base(self, request: Request) -> str:
        return self._names.base_for(request.headers.get("host", ""))


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tocsin.web.portal"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(visible=text.visible, plain=text.plain, words=text.words)
    environment.globals.update(counted=text.counted)
    return environment
