"""Secrets are random and kept as hashes; a request has exactly one credential."""

from __future__ import annotations

import pytest

from tocsin.errors import Unauthenticated
from tocsin.identity.credentials import (
    CREDENTIAL_BYTES_MAX,
    credentials,
    hash_secret,
    new_ingest_key,
    new_secret,
    parse_ingest_key,
    secret_matches,
)


def test_a_secret_has_256_bits_and_matches_only_its_own_hash() -> None:
    secret, other = new_secret(), new_secret()
    assert len(bytes.fromhex(secret)) == 32
    assert secret_matches(secret, hash_secret(secret))
    assert not secret_matches(other, hash_secret(secret))
    assert not secret_matches(hash_secret(secret), hash_secret(secret))
    assert not secret_matches("", hash_secret(secret))
    assert not secret_matches("\ud800", hash_secret(secret))


def test_the_text_of_an_ingest_key_is_read_back() -> None:
    key = new_ingest_key()
    key_id, secret = parse_ingest_key(key.text)
    assert key_id == key.key_id
    assert secret_matches(secret, key.key_hash)
    assert secret not in key.key_id + key.key_hash


@pytest.mark.parametrize(
    "change", [str.upper, lambda t: t + "0", lambda t: t[:-1], lambda t: t + "\n", lambda t: t[7:]]
)
def test_a_text_that_is_not_quite_an_ingest_key_is_refused(change: object) -> None:
    text = new_ingest_key().text
    parse_ingest_key(text)
    assert callable(change)
    with pytest.raises(Unauthenticated):
        parse_ingest_key(change(text))


@pytest.mark.parametrize("value", [b"Bearer a.b.c", b"bearer a.b.c", b"BEARER   a.b.c", b"a.b.c"])
def test_a_token_is_found_with_and_without_bearer(value: bytes) -> None:
    assert credentials([(b"host", b"x"), (b"authorization", value)]) == "a.b.c"


@pytest.mark.parametrize(
    "values",
    [
        [],
        [b"Bearer a.b.c", b"Bearer a.b.c"],
        [b"Bearer a.b.c", b""],
        [b""],
        [b"Bearer"],
        [b"Bearer "],
        [b"Basic a.b.c"],
        [b"Bearer a.b.c, Bearer a.b.c"],
        [b"Bearer a. b.c"],
        [b"Bearer\ta.b.c"],
        [b"Bearer a.b.c\n"],
        [b" a.b.c"],
        [b"Bearer \xe9"],
        [b"Bearer " + b"a" * (CREDENTIAL_BYTES_MAX + 1)],
        [b"a" * 1_000_000],
    ],
)
def test_absent_doubled_foreign_or_huge_authorization_is_refused(values: list[bytes]) -> None:
    with pytest.raises(Unauthenticated):
        credentials([(b"authorization", value) for value in values])
