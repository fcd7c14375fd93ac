"""Signing keys are made once, kept private, and several may verify while the newest signs."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tocsin.errors import StoreError, Unauthenticated
from tocsin.identity.jwt import read_claims, sign_claims
from tocsin.identity.signing import add_signing_key, load_signing_keys

NOW = 17_000_000_000_000_000


def test_a_key_is_made_at_the_first_start_and_kept(tmp_path: Path) -> None:
    first = load_signing_keys(tmp_path, NOW)
    assert load_signing_keys(tmp_path, NOW + 1).kid == first.kid
    folder = tmp_path / "keys"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()] == [0o600]


def test_rights_given_to_others_are_taken_back(tmp_path: Path) -> None:
    load_signing_keys(tmp_path, NOW)
    folder = tmp_path / "keys"
    folder.chmod(0o755)
    (file,) = folder.iterdir()
    file.chmod(0o644)
    load_signing_keys(tmp_path, NOW)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_the_public_set_has_no_private_part(tmp_path: Path) -> None:
    keys = load_signing_keys(tmp_path, NOW)
    (shown,) = keys.jwks("https://tocsin.example/x/v2.0")["keys"]
    assert shown.keys() == {"kty", "use", "alg", "kid", "n", "e", "issuer"}
    assert (shown["kid"], shown["alg"], shown["use"]) == (keys.kid, "RS256", "sig")
    assert not any(key.is_private for key in keys.by_kid.values())


def test_after_a_rotation_the_new_key_signs_and_the_old_one_verifies_until_it_is_withdrawn(tmp_path: Path) -> None:
    old = load_signing_keys(tmp_path, NOW)
    old_token = sign_claims({"a": 1}, old)
    add_signing_key(tmp_path, NOW + 1)
    both = load_signing_keys(tmp_path, NOW + 2)
    assert both.kid != old.kid
    assert len(both.jwks("x")["keys"]) == 2
    assert read_claims(old_token, both) == {"a": 1}
    assert read_claims(sign_claims({"b": 2}, both), both) == {"b": 2}
    sorted((tmp_path / "keys").iterdir())[0].unlink()
    with pytest.raises(Unauthenticated, match="kid"):
        read_claims(old_token, load_signing_keys(tmp_path, NOW + 3))


@pytest.mark.parametrize(
    "content", [b"", b"nonsense", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
)
def test_a_damaged_key_is_named_and_left_alone(tmp_path: Path, content: bytes) -> None:
    load_signing_keys(tmp_path, NOW)
    (file,) = (tmp_path / "keys").iterdir()
    file.write_bytes(content)
    with pytest.raises(StoreError, match="damaged"):
        load_signing_keys(tmp_path, NOW)
    assert file.read_bytes() == content


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    load_signing_keys(tmp_path, NOW)
    with pytest.raises(StoreError, match="never overwritten"):
        add_signing_key(tmp_path, NOW)
