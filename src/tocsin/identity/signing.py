"""The keys with which the built-in issuer signs, in `<data_dir>/keys/`, and their public set.

One file for each key, `signing-<made, ticks>.pem`. The newest signs. An older one verifies until the last token that
it can have signed has ended. A key whose file is removed verifies nothing. A running server follows within 15 seconds
(`KeyRing`), and writes nothing here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec
import structlog
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc.jwk import RSAKey

from tocsin.errors import InvalidInput, NotFound, StoreError, Unavailable
from tocsin.identity.keyfiles import make_private_folder, read_private, write_private
from tocsin.ticks import MINUTE, SECOND

KEY_BITS: Final = 2048
FOLLOW_TICKS: Final = 15 * SECOND
_OVERLAP: Final = 3 * MINUTE  # until every server signs with the new key, and for clocks that differ

log = structlog.get_logger()


class SigningKeys(msgspec.Struct, frozen=True):
    """`by_kid` has the public half of every key, `signer` the private one of the newest."""

    kid: str
    signer: RSAKey
    by_kid: Mapping[str, RSAKey]

    def at(self, now: int) -> SigningKeys:
        """These keys: a set that never changes is a KeySource too."""
        del now
        return self

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


class KeySource(Protocol):
    """Where the keys in force are asked for."""

    def at(self, now: int) -> SigningKeys:
        """Those that sign and verify at a time, in ticks. Raises Unavailable where there are none."""


class KeyRecord(msgspec.Struct, frozen=True):
    """One key on the disk. `made` in ticks; `verifies_until` in ticks, or None for the one that signs."""

    path: Path
    kid: str
    made: int
    verifies_until: int | None


class KeyRing:
    """The keys of a data folder as they change under a running server. Tokens live `token_minutes`."""

    def __init__(self, data_dir: Path, token_minutes: int, now: int) -> None:
        self._folder, self._overlap = data_dir / "keys", token_minutes * MINUTE + _OVERLAP
        load_signing_keys(data_dir, now)
        self._read: dict[Path, RSAKey] = {}
        self._current, self._since = self._look(now), now

    def at(self, now: int) -> SigningKeys:
        """The keys in force, as the folder had them at most 15 seconds ago. Raises Unavailable."""
        if not self._since <= now < self._since + FOLLOW_TICKS:
            self._current, self._since = self._look(now), now
        return self._current

    def _look(self, now: int) -> SigningKeys:
        paths = _key_files(self._folder)
        self._read = {path: key for path in paths if (key := self._key(path)) is not None}
        good = [record for record in _records(self._read, self._overlap) if (record.verifies_until or now + 1) > now]
        if not good:
            raise Unavailable("there is no signing key; make one with `tocsin signing-key rotate`", 15)
        by_kid = {each.kid: RSAKey.import_key(self._read[each.path].public_key) for each in good}
        return SigningKeys(good[0].kid, self._read[good[0].path], by_kid)

    def _key(self, path: Path) -> RSAKey | None:
        if path in self._read:
            return self._read[path]
        try:
            return _read_key(path)
        except StoreError as error:
            # The others must go on; a start of the server refuses such a folder.
            log.error("signing_key_unreadable", reason=str(error))
            return None


def list_signing_keys(data_dir: Path, token_minutes: int) -> list[KeyRecord]:
    """The keys of a data folder, newest first. Raises StoreError."""
    read = {path: _read_key(path) for path in _key_files(data_dir / "keys")}
    return _records(read, token_minutes * MINUTE + _OVERLAP)


def rotate_signing_key(data_dir: Path, token_minutes: int, now: int) -> KeyRecord:
    """Make a key that signs from now on, and remove those whose last token has ended. Raises StoreError."""
    add_signing_key(data_dir, now)
    records = list_signing_keys(data_dir, token_minutes)
    for record in records:
        if record.verifies_until is not None and record.verifies_until <= now:
            record.path.unlink(missing_ok=True)
    return records[0]


def withdraw_signing_key(data_dir: Path, kid: str, now: int) -> None:
    """Remove a key: all tokens that it signed are void. One that signs is replaced first.

    `kid` may be shortened to the 8 characters or more that no other has. Raises NotFound, InvalidInput, StoreError.
    """
    found = [record for record in list_signing_keys(data_dir, 0) if record.kid.startswith(kid)]
    if not found:
        raise NotFound(f"there is no signing key {kid[:60]!r}; see `tocsin signing-key list`")
    if len(kid) < 8 or len(found) > 1:
        raise InvalidInput(f"{kid!r} is too short to mean one key; give all of it")
    if found[0].verifies_until is None:
        add_signing_key(data_dir, now)
    found[0].path.unlink(missing_ok=True)


def _records(read: Mapping[Path, RSAKey], overlap: int) -> list[KeyRecord]:
    """Newest first, as `read` is."""
    records: list[KeyRecord] = []
    for path, key in read.items():
        until = records[-1].made + overlap if records else None
        records.append(KeyRecord(path, key.thumbprint(), int(path.stem.removeprefix("signing-")), until))
    return records


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
    named = (path for path in folder.glob("signing-*.pem") if path.stem.removeprefix("signing-").isdecimal())
    return sorted(named, reverse=True)


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
