"""The secret with which our portal proves itself to an issuer of others: a private file for each issuer.

It must be sent as it is, so it cannot be kept as a hash. It is in no table, no log line and no copy of the store.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from tocsin.errors import InvalidInput
from tocsin.identity.foreign import ForeignIssuer
from tocsin.identity.keyfiles import make_private_folder, read_private, write_private

_FOLDER: Final = "issuer-secrets"
_SECRET_MAX: Final = 1000


def read_issuer_secret(data_dir: Path, issuer: ForeignIssuer) -> str:
    """The secret, or an empty text for a public client. Raises StoreError."""
    found = read_private(_path(data_dir, issuer))
    return "" if found is None else found.decode()


def write_issuer_secret(data_dir: Path, issuer: ForeignIssuer, secret: str) -> None:
    """Keep a secret in place of the one before; an empty text forgets it. Raises InvalidInput, StoreError."""
    path = _path(data_dir, issuer)
    if not secret:
        path.unlink(missing_ok=True)
        return
    if not secret.isascii() or not secret.isprintable() or len(secret) > _SECRET_MAX:
        raise InvalidInput(f"a client secret is one line of at most {_SECRET_MAX} characters of ASCII")
    make_private_folder(path.parent)
    write_private(path, secret.encode())


def _path(data_dir: Path, issuer: ForeignIssuer) -> Path:
    name = hashlib.sha256(f"{issuer.tenant_id} {issuer.issuer}".encode()).hexdigest()[:32]
    return data_dir / _FOLDER / name
