"""Forms that only our own pages can send: where a request comes from, and the token that a form carries.

Two walls, each enough by itself. A browser says where a request comes from (`Sec-Fetch-Site`, else `Origin`), which no
page of another site can change; and a form carries a token made of something that only this browser has: its session
cookie, or before there is one the cookie FORM_COOKIE. Programs are not affected: they send no cookies.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request
from starlette.responses import Response

from tocsin.errors import Forbidden, InvalidInput
from tocsin.identity.keyfiles import make_private_folder, read_private, write_private
from tocsin.identity.names import ServiceNames
from tocsin.web.bodies import read_body

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
FORM_COOKIE: Final = "__Host-tocsin-form"
"""Binds the forms that are shown before anybody signed in. `__Host-`: no neighbour on a sibling name can set it."""
FIELD: Final = "csrf"
FORM_BYTES_MAX: Final = 64 * 1024
FIELDS_MAX: Final = 200
_KEY_BYTES: Final = 32
_FORM: Final = "application/x-www-form-urlencoded"
_REFUSED: Final = "The form did not come from a page of this server. Load the page again and send it from there."


def load_form_key(data_dir: Path) -> bytes:
    """The key of the tokens, made where there is none: a form outlives a restart. Raises StoreError."""
    folder = data_dir / "keys"
    make_private_folder(folder)
    found = read_private(folder / "forms.key")
    if found is None or len(found) != _KEY_BYTES:
        found = secrets.token_bytes(_KEY_BYTES)
        write_private(folder / "forms.key", found)
    return found


def require_own_origin(method: str, headers: Mapping[str, str], names: ServiceNames) -> None:
    """Raise Forbidden unless a request that may change something was sent by a page of this server.

    Of a page with `Referrer-Policy: no-referrer` browsers post with `Origin: null`; pages with forms say `same-origin`.
    """
    if method in SAFE_METHODS:
        return
    site = headers.get("sec-fetch-site")
    if site is not None:
        if site != "same-origin":
            raise Forbidden(_REFUSED)
        return
    if headers.get("origin", "").lower() not in _origins(names):
        raise Forbidden(_REFUSED)


def _origins(names: ServiceNames) -> set[str]:
    return {f"https://{urlsplit(base).netloc}".lower() for base in names.bases.values()}


class Forms:
    """Makes and checks the tokens of forms. `binding` is a secret that this browser alone sends: a session's id."""

    def __init__(self, key: bytes, names: ServiceNames) -> None:
        self._key, self._names = key, names

    def token(self, binding: str) -> str:
        """What a form of this browser carries, in the hidden field FIELD."""
        return hmac.new(self._key, b"form\0" + binding.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()

    def check(self, binding: str, token: str) -> None:
        """Raise Forbidden unless the token was made for this binding."""
        made = self.token(binding).encode()
        if not binding or not hmac.compare_digest(made, token.encode("utf-8", "surrogatepass")):
            raise Forbidden(_REFUSED)

    def before_sign_in(self, request: Request) -> tuple[str, str]:
        """(binding, token) for a form that is shown before there is a session; hand the binding to `bind`."""
        binding = request.cookies.get(FORM_COOKIE, "")
        if len(binding) != 2 * _KEY_BYTES:
            binding = secrets.token_hex(_KEY_BYTES)
        return binding, self.token(binding)

    def bind(self, response: Response, binding: str) -> None:
        """Give the browser the cookie that the form of this answer is bound to."""
        # Lax: a sign-in page is often come to from another site, and must still know the browser that it showed.
        response.set_cookie(FORM_COOKIE, binding, path="/", secure=True, httponly=True, samesite="lax")

    async def read(self, request: Request, binding: str) -> dict[str, str]:
        """The fields of a form that this server's page sent from this browser; of a repeated field the last.

        Raises Forbidden where it was not, InvalidInput and TooLarge for what is no form or too much of one.
        """
        require_own_origin(request.method, request.headers, self._names)
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
            raise InvalidInput(f"a form must be sent as {_FORM}")
        body = await read_body(request, FORM_BYTES_MAX)
        try:
            pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=FIELDS_MAX, errors="strict")
        except ValueError:
            raise InvalidInput("the form is not UTF-8, percent-encoded, of at most 200 fields") from None
        fields = dict(pairs)
        self.check(binding, fields.pop(FIELD, ""))
        return fields
