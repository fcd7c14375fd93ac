"""Passwords are hashed slowly, compared without telling who exists, and bounded in length."""

from __future__ import annotations

import pytest
from argon2 import PasswordHasher

from tocsin.errors import InvalidInput
from tocsin.identity.passwords import (
    LENGTH_MAX,
    hash_password,
    needs_rehash,
    new_password,
    parse_password,
    password_matches,
)

GOOD = "correct horse battery"


def test_a_password_matches_its_own_hash_and_no_other() -> None:
    kept = hash_password(GOOD)
    assert kept.startswith("$argon2id$")
    assert GOOD not in kept
    assert password_matches(GOOD, kept)
    assert not password_matches(GOOD + " ", kept)
    assert hash_password(GOOD) != kept


def test_the_same_letters_match_however_the_keyboard_composes_them() -> None:
    assert password_matches("Cafe\u0301 au lait 12", hash_password("Caf\u00e9 au lait 12"))


def test_nobody_has_a_password_and_a_damaged_hash_matches_nothing() -> None:
    assert not password_matches(GOOD, None)
    assert not password_matches(GOOD, "$argon2id$damaged")
    assert not password_matches("\ud800" * 12, None)


def test_the_longest_password_is_compared_whole_and_a_longer_one_never_matches() -> None:
    longest = "a" * LENGTH_MAX
    kept = hash_password(longest)
    assert password_matches(longest, kept)
    assert not password_matches(longest + "a", kept)
    assert not password_matches(longest + "a" * 1_000_000, kept)


@pytest.mark.parametrize("text", ["", "eleven char", "x" * (LENGTH_MAX + 1), "twelve chars\n", "twelve chars\ud800"])
def test_too_short_too_long_or_unprintable_is_refused_without_telling_the_text(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_password(text)
    assert not text or text not in str(refused.value)


def test_a_hash_of_weaker_parameters_is_to_be_made_anew() -> None:
    assert needs_rehash(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(GOOD))
    assert not needs_rehash(hash_password(GOOD))


def test_generated_passwords_are_good_and_differ() -> None:
    assert parse_password(new_password()) != parse_password(new_password())
