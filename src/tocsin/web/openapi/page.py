"""`/openapi.json` and `/docs`. The page is made here, in one piece: no script, no font, no request to anywhere."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tocsin import __version__
from tocsin.identity.names import ServiceNames
from tocsin.web.openapi.document import build

_STYLE: Final = """
:root{color-scheme:light dark;--line:#8884;--soft:#8881}
body{font:16px/1.5 system-ui,sans-serif;max-width:62rem;margin:0 auto;padding:1.5rem}
h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2.5rem;border-bottom:1px solid var(--line)}
details{border:1px solid var(--line);border-radius:.4rem;margin:.5rem 0;padding:.5rem .8rem}
summary{cursor:pointer}summary b{display:inline-block;min-width:4rem}
code,pre{font:.875rem/1.45 ui-monospace,monospace}pre{overflow:auto;background:var(--soft);padding:.7rem}
table{border-collapse:collapse;width:100%;margin:.6rem 0}
td,th{text-align:left;vertical-align:top;padding:.25rem .6rem .25rem 0;border-bottom:1px solid var(--line)}
.path{overflow-wrap:anywhere}
"""
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
PAGE_HEADERS: Final = {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
}


def openapi_routes(names: ServiceNames) -> list[Route]:
    """Both routes; nobody needs to sign in to read what the source says anyway."""
    made: dict[str, bytes] = {}

    def document(request: Request) -> bytes:
        base_url = names.base_for(request.headers.get("host", ""))
        if base_url not in made:
            made[base_url] = msgspec.json.encode(build(base_url, __version__))
        return made[base_url]

    async def openapi(request: Request) -> Response:
        return Response(document(request), media_type="application/json")

    async def docs(request: Request) -> Response:
        return Response(page(msgspec.json.decode(document(request))), headers=PAGE_HEADERS)

    return [Route("/openapi.json", openapi, methods=["GET"]), Route("/docs", docs, methods=["GET"])]


def page(document: dict[str, Any]) -> bytes:
    """The document as one page of HTML."""
    info = document["info"]
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(info['title'])}: the interface</title><style>{_STYLE}</style></head><body>",
        f"<h1>{escape(info['title'])} {escape(info['version'])}: the interface</h1>",
        f'<p>{_marked(info["description"])} The same for programs: <a href="openapi.json">openapi.json</a>.</p>',
    ]
    for tag in document["tags"]:
        parts.append(f"<h2>{escape(tag['name'])}</h2>")
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                if tag["name"] in operation["tags"]:
                    parts.append(_operation(method, path, operation))
    parts.append("<h2>Bodies</h2>")
    for name, schema in sorted(document["components"]["schemas"].items()):
        parts.append(_schema(name, schema))
    parts.append("</body></html>")
    return "".join(parts).encode()


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(each['name'])}</code></td><td>{escape(each['in'])}</td>"
        f"<td>{escape(_kind(each['schema']))}</td><td>{escape(each.get('description', ''))}</td></tr>"
        for each in operation.get("parameters", [])
    )
    answers = "".join(
        f"<tr><td>{escape(status)}</td><td>{escape(answer['description'])}</td><td>{_kinds(answer)}</td></tr>"
        for status, answer in operation["responses"].items()
    )
    body = f"<p>Body: {_kinds(operation['requestBody'])}</p>" if "requestBody" in operation else ""
    needs = f"<p>{escape(operation['description'])}</p>" if "description" in operation else ""
    table = f"<table><tr><th>Parameter</th><th>In</th><th>Type</th><th></th></tr>{rows}</table>" if rows else ""
    return (
        f'<details><summary><b>{method.upper()}</b> <code class="path">{escape(path)}</code> '
        f"{escape(operation['summary'])}</summary>{needs}{table}{body}"
        f"<table><tr><th>Status</th><th>Meaning</th><th>Body</th></tr>{answers}</table></details>"
    )


def _kinds(holder: dict[str, Any]) -> str:
    return " or ".join(_linked(content["schema"]) for content in holder["content"].values())


def _linked(schema: dict[str, Any]) -> str:
    name = schema.get("$ref", "").rpartition("/")[2]
    return f'<a href="#{escape(name)}">{escape(name)}</a>' if name else escape(_kind(schema))


def _kind(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "anyOf" in schema:
        return " or ".join(_kind(each) for each in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    if "enum" in schema:
        return ", ".join(str(each) for each in schema["enum"])
    return str(schema.get("format") or schema.get("type") or "anything")


def _schema(name: str, schema: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(field)}</code></td><td>{escape(_kind(of))}</td></tr>"
        for field, of in schema.get("properties", {}).items()
    )
    values = "" if rows else f"<p>{escape(_kind(schema))}</p>"
    table = f"<table>{rows}</table>" if rows else values
    about = escape(schema.get("description", ""))
    return f'<details id="{escape(name)}"><summary><b>{escape(name)}</b> {about}</summary>{table}</details>'


def _marked(text: str) -> str:
    """Text with `code` in it."""
    return "".join(
        f"<code>{escape(part)}</code>" if at % 2 else escape(part) for at, part in enumerate(text.split("`"))
    )
