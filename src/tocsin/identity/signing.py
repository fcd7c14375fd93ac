"""The keys with which the built-in issuer signs, in `<data_dir>/keys/`, and their public set.

One file for each key, `signing-<made, ticks>.pem`. The newest signs, all verify: to rotate, add a key and, once the
tokens of the old one have run out, remove the old file. A removed file means its tokens are refused after a restart.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc.jwk import RSAKey

from tocsin.errors import StoreError
from tocsin.identity.keyfiles import make_private_folder, read_private, write_private

KEY_BITS: Final = 2048


class SigningKeys(msgspec.Struct, frozen=True):
    """`by_kid` has the public half of every key, `signer` the private one of the newest."""

    kid: str
    signer: RSAKey
    by_kid: Mapping[str, RSAKey]

    def jwks(self, issuer: str) -> dict[str, list[dict[str, Any]]]:
        """The public keys as RFC 7517 has them, each with the `issuer` that may use it, as Entra writes it."""
        return {
            "keys": [
                {
                    "kty": "RSA",
                    "use": "sig",
                    "alg": "RS256",
                    "kid": kid,
                    **{part: key.as_dict(private=False)[part] for part in ("n", "e")},
                    "issuer": issuer,
                }
                for kid, key in self.by_kid.items()
            ]
        }


def load_signing_keys(data_dir: Path, now: int) -> SigningKeys:
    """Read the keys, newest first, and make one where there is none. `now` in ticks. Raises StoreError."""
    folder = data_dir / "keys"
    make_private_folder(folder)
    if not _key_files(folder):
        add_signing_key(data_dir, now)
    keys = [_read_key(path) for path in _key_files(folder)]
    by_kid = {key.thumbprint(): RSAKey.import_key(key.public_key) for key in keys}
    return SigningKeys(keys[0].thumbprint(), keys[0], by_kid)


def add_signing_key(data_dir: Path, now: int) -> None:
    """Make a key that signs from the next `load_signing_keys` on. Raises StoreError."""
    folder = data_dir / "keys"
    make_private_folder(folder)
    path = folder / f"signing-{now:020}.pem"
    if path.exists():
        raise StoreError(f"{path} is already there; a key is never overwritten")
    private = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    write_private(
        path,
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    )


def _key_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("signing-*.pem"), reverse=True)


def _read_key(path: Path) -> RSAKey:
    try:
        key = serialization.load_pem_private_key(read_private(path) or b"", None)
    except (ValueError, TypeError) as error:
        raise StoreError(
            f"{path} is damaged ({error}); restore it, or remove it: tokens it signed are then refused"
        ) from None
    if not isinstance(key, rsa.RSAPrivateKey) or key.key_size < KEY_BITS:
        raise StoreError(f"{path} is not an RSA key of {KEY_BITS} bits or more; remove it")
    return RSAKey.import_key(key)
