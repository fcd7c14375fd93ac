"""Signing keys are made once, kept private, and several may verify while the newest signs."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tocsin.errors import InvalidInput, NotFound, StoreError, Unauthenticated, Unavailable
from tocsin.identity.jwt import read_claims, sign_claims
from tocsin.identity.signing import (
    KeyRing,
    add_signing_key,
    list_signing_keys,
    load_signing_keys,
    rotate_signing_key,
    withdraw_signing_key,
)
from tocsin.ticks import MINUTE, SECOND

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


def test_a_running_server_follows_a_rotation_and_lets_the_old_key_go_once_its_tokens_have_ended(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path, 60, NOW)
    old = ring.at(NOW)
    made = rotate_signing_key(tmp_path, 60, NOW + SECOND)
    assert ring.at(NOW + 14 * SECOND).kid == old.kid
    both = ring.at(NOW + 15 * SECOND)
    assert (both.kid, set(both.by_kid)) == (made.kid, {old.kid, made.kid})
    end = NOW + SECOND + 63 * MINUTE
    assert set(ring.at(end - 1).by_kid) == {old.kid, made.kid}
    assert set(ring.at(end + 15 * SECOND).by_kid) == {made.kid}
    assert [record.verifies_until for record in list_signing_keys(tmp_path, 60)] == [None, end]
    rotate_signing_key(tmp_path, 60, end)
    assert old.kid not in [record.kid for record in list_signing_keys(tmp_path, 60)]


def test_a_withdrawn_key_verifies_nothing_within_seconds_and_is_replaced_where_it_signed(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path, 60, NOW)
    old = ring.at(NOW)
    token = sign_claims({"a": 1}, old)
    withdraw_signing_key(tmp_path, old.kid[:8], NOW + SECOND)
    fresh = ring.at(NOW + 16 * SECOND)
    assert set(fresh.by_kid) == {fresh.kid}
    with pytest.raises(Unauthenticated):
        read_claims(token, fresh)
    with pytest.raises(NotFound):
        withdraw_signing_key(tmp_path, old.kid, NOW + SECOND)
    with pytest.raises(InvalidInput):
        withdraw_signing_key(tmp_path, "", NOW + SECOND)


def test_a_damaged_newcomer_does_not_stop_a_running_server(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path, 60, NOW)
    old = ring.at(NOW)
    (tmp_path / "keys" / f"signing-{NOW + 5:020}.pem").write_bytes(b"nonsense")
    assert ring.at(NOW + MINUTE).kid == old.kid
    for path in (tmp_path / "keys").iterdir():
        path.unlink()
    with pytest.raises(Unavailable):
        ring.at(NOW + 2 * MINUTE)
