"""Who may look: one-time sign-in codes, and the sessions that they open.

There are no accounts yet, so the right to look is the right to write into the data folder: whoever can mint a code
there owns the store anyway. A code is one private file, named after the SHA-256 of the code, which the server takes
away when it is used; taking a file away succeeds once, whoever else tries. Sessions live in this process's memory.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import msgspec

from tocsin.errors import StoreError, Unauthenticated
from tocsin.identity.credentials import hash_secret, new_secret
from tocsin.identity.keyfiles import make_private_folder, read_private, write_private
from tocsin.ticks import HOUR, MINUTE

CODE_LIFE: Final = 10 * MINUTE
SESSION_LIFE: Final = 12 * HOUR
SESSIONS_MAX: Final = 1_000
COOKIE: Final = "__Host-tocsin"

_FOLDER: Final = "portal-codes"
_CODE: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_REFUSED: Final = "the sign-in code is unknown, used or expired"


class _CodeFile(msgspec.Struct, frozen=True):
    """What a code opens. `expires` in ticks."""

    tenant_id: int
    expires: int


_code_decoder = msgspec.json.Decoder(_CodeFile)


def mint_sign_in_code(data_dir: Path, tenant_id: int, now: int) -> str:
    """A code that opens one session of this tenant within ten minutes of `now` (ticks). Raises StoreError.

    It belongs into a link `https://<server>/sign-in?code=<code>`. Needs no running server.
    """
    folder = data_dir / _FOLDER
    make_private_folder(folder)
    _sweep(folder, now)
    code = new_secret()
    write_private(folder / hash_secret(code), msgspec.json.encode(_CodeFile(tenant_id, now + CODE_LIFE)))
    return code


def use_sign_in_code(data_dir: Path, code: str, now: int) -> int:
    """The tenant that a code opens; the code is gone afterwards, good or not. Raises Unauthenticated, StoreError."""
    if not _CODE.fullmatch(code):
        raise Unauthenticated("the sign-in code does not have the form of one")
    path = data_dir / _FOLDER / hash_secret(code)
    content = read_private(path)
    if content is None or not _take(path):
        raise Unauthenticated(_REFUSED)
    kept = _read(content)
    if kept is None or now >= kept.expires:
        raise Unauthenticated(_REFUSED)
    return kept.tenant_id


def _take(path: Path) -> bool:
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StoreError(f"{path} cannot be removed, so the code was not accepted: {error.strerror}") from error
    return True


def _read(content: bytes) -> _CodeFile | None:
    try:
        return _code_decoder.decode(content)
    except msgspec.DecodeError:
        return None


def _sweep(folder: Path, now: int) -> None:
    """Forget codes that nobody used in time."""
    for path in folder.iterdir():
        content = read_private(path) if _CODE.fullmatch(path.name) else None
        if content is not None and ((kept := _read(content)) is None or now >= kept.expires):
            path.unlink(missing_ok=True)


class Sessions:
    """Open sessions by the hash of their id, the oldest leaving first when there are too many."""

    def __init__(self) -> None:
        self._open: dict[str, tuple[int, int]] = {}

    def open(self, tenant_id: int, now: int) -> str:
        """The id of a new session, for the cookie. `now` in ticks."""
        while len(self._open) >= SESSIONS_MAX:
            del self._open[next(iter(self._open))]
        session_id = new_secret()
        self._open[hash_secret(session_id)] = (tenant_id, now + SESSION_LIFE)
        return session_id

    def tenant_of(self, session_id: str, now: int) -> int:
        """The tenant that a session looks at. Raises Unauthenticated for an unknown, absent or ended one."""
        key = hash_secret(session_id)
        found = self._open.get(key)
        if found is None:
            raise Unauthenticated("there is no such session")
        if now >= found[1]:
            del self._open[key]
            raise Unauthenticated("the session has ended")
        return found[0]
