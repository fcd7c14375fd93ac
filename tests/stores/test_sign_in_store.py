"""What signing in remembers: for as long as it is good, bounded, and never the thing itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import apsw
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from certified import certify
from tocsin.errors import InvalidInput, NotFound
from tocsin.identity.assertions import parse_certificate
from tocsin.identity.sign_in import REFRESH_IDLE, SESSION_LIFE, Family, Pending, Session, Wanted
from tocsin.stores.sqlite.connection import open_writer
from tocsin.stores.sqlite.sign_in import CERTIFICATES_MAX, SESSIONS_MAX, SignIns
from tocsin.ticks import DAY, MINUTE, SECOND

NOW = 1_700_000_000 * SECOND
WANTED = Wanted(audience="https://a.example", names=frozenset({"Incident.Read"}), openid=True, offline=False)
SESSION = Session(tenant_id=1, user_id="u", opened=NOW, used=NOW)
PENDING = Pending(tenant_id=1, app_id="a", wanted=WANTED, expires=NOW + MINUTE)
FAMILY = Family(family="f", tenant_id=1, user_id="u", app_id="a", asked=WANTED, token_hash="h", opened=NOW, used=NOW)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[apsw.Connection]:
    opened = open_writer(tmp_path / "tocsin.db")
    yield opened
    opened.close()


@pytest.fixture
def store(connection: apsw.Connection) -> SignIns:
    return SignIns(connection)


def test_a_session_is_found_noted_and_ended(store: SignIns) -> None:
    operator = msgspec.structs.replace(SESSION, user_id=None)
    store.open_session("one", SESSION)
    store.open_session("two", operator)
    store.note_session("one", NOW + MINUTE)
    assert store.find_session("one") == msgspec.structs.replace(SESSION, used=NOW + MINUTE)
    assert store.find_session("two") == operator
    store.end_session("one")
    assert store.find_session("one") is None


def test_sessions_that_ended_are_forgotten_and_of_too_many_the_oldest(
    store: SignIns, connection: apsw.Connection
) -> None:
    store.open_session("old", SESSION)
    store.open_session("new", msgspec.structs.replace(SESSION, opened=NOW + SESSION_LIFE))
    assert store.find_session("old") is None
    connection.execute("BEGIN")
    connection.executemany(
        "INSERT INTO browser_session (session_hash, tenant_id, opened, used) VALUES (?, 1, ?, ?)",
        ((f"s{number}", NOW + SESSION_LIFE + number, 0) for number in range(1, SESSIONS_MAX)),
    )
    connection.execute("COMMIT")
    store.open_session("last", msgspec.structs.replace(SESSION, opened=NOW + SESSION_LIFE + SESSIONS_MAX))
    assert store.find_session("new") is None
    assert store.find_session("s1") is not None
    assert connection.execute("SELECT count(*) FROM browser_session").get == SESSIONS_MAX


def test_a_sign_in_under_way_is_taken_once_and_keeps_its_short_code_when_it_changes(store: SignIns) -> None:
    store.keep_pending("c", PENDING, "BCDF")
    approved = PENDING.decided("u")
    store.keep_pending("c", approved)
    assert store.find_by_user_code(1, "BCDF") == ("c", approved)
    assert store.find_by_user_code(2, "BCDF") is None
    assert store.take_pending("c") == approved
    assert store.take_pending("c") is None


def test_a_sign_in_is_remembered_for_a_day_after_it_expired(store: SignIns) -> None:
    store.keep_pending("c", PENDING)
    store.sweep_pending(PENDING.expires + DAY - 1)
    assert store.find_pending("c") == PENDING
    store.sweep_pending(PENDING.expires + DAY)
    assert store.find_pending("c") is None


def test_a_family_is_replaced_ended_and_forgotten(store: SignIns) -> None:
    store.keep_family(FAMILY)
    later = msgspec.structs.replace(FAMILY, token_hash="i", used=NOW + DAY)
    store.keep_family(later)
    assert store.find_family("f") == later
    store.keep_family(msgspec.structs.replace(FAMILY, family="g", used=later.used + REFRESH_IDLE))
    assert store.find_family("f") is None
    store.end_family("g")
    assert store.find_family("g") is None


def test_an_assertion_is_used_once_until_it_would_have_ended(store: SignIns) -> None:
    assert store.use_assertion("x", NOW + MINUTE, NOW)
    assert not store.use_assertion("x", NOW + MINUTE, NOW + MINUTE - 1)
    assert store.use_assertion("x", NOW + 2 * MINUTE, NOW + MINUTE)


def test_certificates_are_of_one_application_and_bounded(store: SignIns) -> None:
    made = [parse_certificate(certify(ec.generate_private_key(ec.SECP256R1()))) for _ in range(CERTIFICATES_MAX + 1)]
    for at, certificate in enumerate(made[:-1]):
        store.add_certificate(1, "a", certificate, NOW + at)
    assert store.list_certificates(1, "a") == made[:-1]
    assert store.list_certificates(2, "a") == []
    with pytest.raises(InvalidInput):
        store.add_certificate(1, "a", made[-1], NOW)
    with pytest.raises(NotFound):
        store.remove_certificate(2, "a", made[0].thumbprint)
    store.remove_certificate(1, "a", made[0].thumbprint)
    assert store.list_certificates(1, "a") == made[1:-1]


@pytest.mark.parametrize(
    ("asked", "before", "both"),
    [
        (None, None, None), (None, {"x"}, {"x"}), ({"x"}, None, {"x"}), ({"x", "y"}, {"y"}, {"y"}),
        ({"x"}, {"y"}, set()),
    ],
)  # fmt: skip
def test_what_is_asked_later_is_within_what_was_asked_before(
    asked: set[str] | None, before: set[str] | None, both: set[str] | None
) -> None:
    def wanted(names: set[str] | None) -> Wanted:
        return msgspec.structs.replace(WANTED, names=None if names is None else frozenset(names))

    assert wanted(asked).within(wanted(before)) == wanted(both)
