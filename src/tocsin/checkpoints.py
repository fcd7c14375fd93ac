"""Checkpoints of the audit log: the key that signs them, and the file outside the database that keeps them.

One JSON object a line in `checkpoints.jsonl`, beside `audit.pub`; the private key is `<data_dir>/keys/audit.key`. What
a checkpoint means is `audit.py`'s.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from tocsin.audit import Checkpoint, Finding, Kind
from tocsin.config import Settings
from tocsin.errors import InvalidInput, StoreError
from tocsin.identity.keyfiles import make_private_folder, read_private, write_private
from tocsin.ticks import format_ticks

FILE: Final = "checkpoints.jsonl"
PUBLIC: Final = "audit.pub"
_decoder: Final = msgspec.json.Decoder(Checkpoint)
_RAW: Final = serialization.Encoding.Raw, serialization.PublicFormat.Raw


def checkpoint_folder(settings: Settings) -> Path:
    """Where checkpoints are written: the setting, or `audit` in the data folder."""
    return Path(settings.audit_checkpoint_dir) if settings.audit_checkpoint_dir else settings.data_dir / "audit"


class Checkpoints:
    """Signs seals and keeps them. Making one makes key and folder where they are missing. Raises StoreError."""

    def __init__(self, settings: Settings) -> None:
        self.folder = checkpoint_folder(settings)
        self._key = _load_key(settings.data_dir)
        self._name = key_name(self._key.public_key())
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise StoreError(f"the folder of checkpoints {self.folder} cannot be made: {error.strerror}") from error
        public = self._key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        if read_public(self.folder / PUBLIC) != public:
            write_private(self.folder / PUBLIC, public, 0o644)

    def write(self, sequence: int, seal: bytes, now: int, kind: Kind = Kind.CHECKPOINT) -> Checkpoint:
        """Sign this position and put it behind the others, on the disk when this returns. Raises StoreError."""
        unsigned = Checkpoint(kind=kind, sequence=sequence, seal=seal, at=format_ticks(now), key=self._name)
        made = msgspec.structs.replace(unsigned, signature=self._key.sign(unsigned.signed_bytes()))
        _append(self.folder / FILE, msgspec.json.encode(made))
        return made


def _append(path: Path, line: bytes) -> None:
    """Several processes append: each under a lock, and never onto a line that a crash left unfinished."""
    try:
        with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            size = file.seek(0, os.SEEK_END)
            if size:
                file.seek(size - 1)
                line = line if file.read(1) == b"\n" else b"\n" + line
            file.write(line + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise StoreError(f"the checkpoint cannot be written to {path}: {error.strerror}") from error


def key_name(key: Ed25519PublicKey) -> str:
    """The first 16 hex digits of SHA-256 over the raw public key."""
    return hashlib.sha256(key.public_bytes(*_RAW)).hexdigest()[:16]


def read_checkpoints(path: Path, keys: Sequence[Ed25519PublicKey]) -> tuple[list[Checkpoint], list[Finding]]:
    """The checkpoints of a file whose signatures one of the keys made, and a finding for each that none of them made.

    Lines of a JSON log, where they hold a checkpoint's keys among others, are read as well. Other lines are passed
    over: a crash leaves an unfinished one, and a line that was spoiled says no less than one that was taken out: the
    next checkpoint covers all before it. Raises InvalidInput where there is no such file.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}") from None
    found: list[Checkpoint] = []
    findings: list[Finding] = []
    for number, line in enumerate(content.split(b"\n"), 1):
        each = _decoded(line)
        if each is None:
            continue
        if _is_signed(each, keys):
            found.append(each)
        else:
            findings.append(Finding(each.sequence, f"line {number} of {path.name} is not signed by the key given"))
    return found, findings


def _decoded(line: bytes) -> Checkpoint | None:
    try:
        return _decoder.decode(line)
    except (msgspec.DecodeError, RecursionError):
        return None


def _is_signed(checkpoint: Checkpoint, keys: Iterable[Ed25519PublicKey]) -> bool:
    for key in keys:
        try:
            key.verify(checkpoint.signature, checkpoint.signed_bytes())
        except InvalidSignature:
            continue
        return True
    return False


def read_public(path: Path) -> bytes | None:
    """The text of a public key, or None where there is no such file. Raises StoreError."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}") from error


def load_public_key(path: Path) -> Ed25519PublicKey:
    """A public key in PEM. Raises InvalidInput."""
    content = read_public(path)
    if content is None:
        raise InvalidInput(f"there is no public key at {path}")
    try:
        key = serialization.load_pem_public_key(content)
    except (ValueError, TypeError) as error:
        raise InvalidInput(f"{path} is not a public key in PEM: {error}") from None
    if not isinstance(key, Ed25519PublicKey):
        raise InvalidInput(f"{path} is not an Ed25519 public key")
    return key


def own_public_key(data_dir: Path) -> Ed25519PublicKey:
    """The public half of this folder's signing key. Raises InvalidInput where there is none."""
    if read_private(data_dir / "keys" / "audit.key") is None:
        raise InvalidInput(f"there is no keys/audit.key in {data_dir}; give the public key with --public-key")
    return _load_key(data_dir).public_key()


def _load_key(data_dir: Path) -> Ed25519PrivateKey:
    folder = data_dir / "keys"
    make_private_folder(folder)
    path = folder / "audit.key"
    content = read_private(path)
    if content is None:
        made = Ed25519PrivateKey.generate()
        write_private(
            path,
            made.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
        )
        return made
    try:
        key = serialization.load_pem_private_key(content, None)
    except (ValueError, TypeError) as error:
        raise StoreError(f"{path} is damaged ({error}); restore it, or move it away with its checkpoints") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise StoreError(f"{path} is not an Ed25519 key; restore the right one")
    return key
