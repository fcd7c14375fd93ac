"""Users and roles: found exactly, granted by what they hold now, never widened by what is not there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tocsin.access import DELEGATED_PERMISSIONS, Grant, Permission
from tocsin.errors import InvalidInput, NotFound
from tocsin.identity.people import Right
from tocsin.stores.sqlite.connection import open_writer
from tocsin.stores.sqlite.people import People
from tocsin.stores.sqlite.registry import Registry

NOW = 17_000_000_000_000_000
ISSUER = "https://login.example.org/"


@pytest.fixture
def people(tmp_path: Path) -> Iterator[People]:
    connection = open_writer(tmp_path / "tocsin.db")
    Registry(connection).ensure_default_tenant(NOW)
    yield People(connection)
    connection.close()


def test_a_user_is_found_by_id_and_by_name_in_any_case_within_their_tenant(people: People) -> None:
    made = people.create_user(1, "Anna@Example.ORG", now=NOW)
    assert (made.name, made.display_name, made.password_hash) == ("anna@example.org", "anna@example.org", None)
    for reference in (made.user_id, made.user_id.upper(), "anna@example.org", " ANNA@example.org "):
        assert people.get_user(1, reference) == made
    for reference in ("anna", "", "%", "\ud800", made.user_id[:-1]):
        with pytest.raises(NotFound):
            people.get_user(1, reference)
    with pytest.raises(NotFound):
        people.get_user(2, made.user_id)


@pytest.mark.parametrize("name", ["", "a b", "@example.org", "é", "6d4f0b1e-0000-4000-8000-123456789abc", "a" * 65])
def test_a_name_that_could_be_taken_for_another_is_refused(people: People, name: str) -> None:
    with pytest.raises(InvalidInput, match="cannot be a user's name"):
        people.create_user(1, name, now=NOW)


def test_a_taken_name_is_refused_on_creating_and_on_renaming(people: People) -> None:
    people.create_user(1, "anna", now=NOW)
    ben = people.create_user(1, "ben", now=NOW)
    with pytest.raises(InvalidInput, match="already a user"):
        people.create_user(1, "ANNA", now=NOW)
    with pytest.raises(InvalidInput, match="another user"):
        people.rename_user(1, ben.user_id, "anna", "Ben")
    people.rename_user(1, ben.user_id, "benjamin", "Ben J")
    assert people.get_user(1, "benjamin").user_id == ben.user_id


def test_a_foreign_subject_is_found_to_the_character(people: People) -> None:
    made = people.create_user(1, "anna", now=NOW, issuer=ISSUER, subject="00u1")
    assert people.find_by_subject(1, ISSUER, "00u1") == made
    for issuer, subject in ((ISSUER, "00U1"), (ISSUER[:-1], "00u1"), (ISSUER, ""), (ISSUER, "\ud800")):
        assert people.find_by_subject(1, issuer, subject) is None
    assert people.find_by_subject(2, ISSUER, "00u1") is None
    with pytest.raises(InvalidInput):
        people.create_user(1, "other", now=NOW, issuer=ISSUER, subject="00u1")


@pytest.mark.parametrize(("issuer", "subject"), [(ISSUER, None), (None, "s"), ("http://plain.example", "s")])
def test_half_a_foreign_identity_is_refused(people: People, issuer: str | None, subject: str | None) -> None:
    with pytest.raises(InvalidInput):
        people.create_user(1, "anna", now=NOW, issuer=issuer, subject=subject)


def test_grants_rights_and_permissions_are_those_of_all_roles_held(people: People) -> None:
    anna = people.create_user(1, "anna", now=NOW).user_id
    assert people.grants_of(1, anna) == ()
    assert people.permissions_of(1, anna) == frozenset()
    mail = people.create_role(1, "Mail", [Right.READ], workloads=["Microsoft Defender for Office 365"])
    auditor = people.ensure_role(1, "auditor")
    people.set_roles(1, anna, [mail.role_id, auditor.role_id, 99])
    shown = Grant(workloads=frozenset({"microsoftdefenderforoffice365"}), device_groups=None, may_manage=False)
    assert people.grants_of(1, anna) == (shown,)
    assert people.rights_of(1, anna) == {Right.READ, Right.AUDIT}
    assert Permission.USER_READ in people.permissions_of(1, anna)
    assert Permission.USER_READ_WRITE not in people.permissions_of(1, anna)
    people.set_roles(1, anna, [people.ensure_role(1, "Security operator").role_id])
    assert people.permissions_of(1, anna) == DELEGATED_PERMISSIONS


def test_an_empty_list_shows_nothing_of_its_kind_and_is_not_taken_for_all(people: People) -> None:
    anna = people.create_user(1, "anna", now=NOW).user_id
    role = people.create_role(1, "Nothing", [Right.READ], workloads=[], device_groups=[])
    people.set_roles(1, anna, [role.role_id])
    assert people.grants_of(1, anna) == (Grant(workloads=frozenset(), device_groups=frozenset(), may_manage=False),)


def test_a_disabled_person_has_no_grants_and_is_signed_out(people: People) -> None:
    anna = people.create_user(1, "anna", now=NOW).user_id
    people.set_roles(1, anna, [people.ensure_role(1, "Security reader").role_id])
    people.disable_user(1, anna, NOW + 5)
    people.disable_user(1, anna, NOW + 9)
    kept = people.get_user(1, anna)
    assert (kept.disabled, kept.signed_out) == (NOW + 5, NOW + 9)
    assert people.grants_of(1, anna) == ()
    assert people.rights_of(1, anna) == frozenset()
    people.enable_user(1, anna)
    assert len(people.grants_of(1, anna)) == 1
    assert people.get_user(1, anna).signed_out == NOW + 9


def test_a_new_password_signs_out_and_a_renewed_hash_does_not(people: People) -> None:
    anna = people.create_user(1, "anna", now=NOW).user_id
    people.set_password(1, anna, "hash", NOW + 1)
    people.renew_hash(1, anna, "other")
    kept = people.get_user(1, anna)
    assert (kept.password_hash, kept.signed_out) == ("other", NOW + 1)


def test_a_deleted_role_or_person_leaves_no_holding_behind(people: People) -> None:
    anna = people.create_user(1, "anna", now=NOW).user_id
    first = people.create_role(1, "First", [Right.READ])
    people.set_roles(1, anna, [first.role_id])
    people.delete_role(1, first.role_id)
    people.create_role(1, "Second", [Right.MANAGE])
    assert people.grants_of(1, anna) == ()
    second = people.get_role(1, "second")
    people.set_roles(1, anna, [second.role_id])
    people.delete_user(1, anna)
    assert people.memberships(1) == []
    with pytest.raises(NotFound):
        people.delete_user(1, anna)
    with pytest.raises(NotFound):
        people.delete_role(1, 77)


def test_a_role_of_a_group_that_is_not_there_is_refused(people: People) -> None:
    with pytest.raises(InvalidInput, match="no device group with number 4"):
        people.create_role(1, "Servers", [Right.READ], device_groups=[0, 4])
    assert people.create_role(1, "Rest", [Right.READ], device_groups=[0]).device_groups == frozenset({0})


def test_roles_are_kept_apart_by_tenant(people: People) -> None:
    people.create_role(1, "Mail", [Right.READ])
    people.create_role(2, "Mail", [Right.AUDIT])
    assert people.get_role(2, "MAIL").rights == {Right.AUDIT}
    with pytest.raises(InvalidInput, match="already has a role"):
        people.create_role(1, "Mail", [Right.READ])
    with pytest.raises(NotFound):
        people.ensure_role(1, "Made up")
