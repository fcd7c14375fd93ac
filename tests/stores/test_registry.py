"""The registry keeps tenants, applications and ingest keys, and refuses in words what cannot be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from tocsin.access import Permission
from tocsin.errors import InvalidInput, NotFound, Unavailable
from tocsin.stores.sqlite.connection import open_side_writer, open_writer
from tocsin.stores.sqlite.registry import Registry

GUID = "11111111-2222-4333-8444-555555555555"
OTHER_GUID = "99999999-2222-4333-8444-555555555555"
NOW = 17_000_000_000_000_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tocsin.db"


@pytest.fixture
def registry(path: Path) -> Iterator[Registry]:
    connection = open_writer(path)
    yield Registry(connection)
    connection.close()


def test_a_tenant_is_found_by_guid_and_by_name_in_any_case(registry: Registry) -> None:
    made = registry.create_tenant("Example.ORG", GUID.upper(), NOW)
    assert (made.guid, made.name, made.retention_days, made.created) == (GUID, "example.org", None, NOW)
    for reference in (GUID, GUID.upper(), "example.org", "EXAMPLE.org"):
        assert registry.get_tenant(reference) == made


@pytest.mark.parametrize("reference", ["", "example", "example.org.", "%", "' OR 1=1 --", "\ud800", GUID[:-1]])
def test_what_is_not_exactly_a_tenant_is_not_found(registry: Registry, reference: str) -> None:
    registry.create_tenant("example.org", GUID, NOW)
    with pytest.raises(NotFound):
        registry.get_tenant(reference)


@pytest.mark.parametrize(("name", "guid"), [("example.org", OTHER_GUID), ("EXAMPLE.ORG", OTHER_GUID), ("other", GUID)])
def test_a_taken_name_or_guid_is_refused(registry: Registry, name: str, guid: str) -> None:
    registry.create_tenant("example.org", GUID, NOW)
    with pytest.raises(InvalidInput, match="already a tenant"):
        registry.create_tenant(name, guid, NOW)
    assert len(registry.list_tenants()) == 1


@pytest.mark.parametrize("name", ["", " ", "common", "Organizations", "a/b", "-a", "a b", "é", OTHER_GUID, "a" * 254])
def test_a_name_that_could_not_stand_in_a_path_is_refused(registry: Registry, name: str) -> None:
    with pytest.raises(InvalidInput, match="cannot be a tenant's name"):
        registry.create_tenant(name, GUID, NOW)


def test_a_malformed_guid_is_refused(registry: Registry) -> None:
    with pytest.raises(InvalidInput, match="not a GUID"):
        registry.create_tenant("example", "11111111", NOW)


def test_the_default_tenant_is_made_once_with_a_random_guid(registry: Registry, tmp_path: Path) -> None:
    first = registry.ensure_default_tenant(NOW)
    assert registry.ensure_default_tenant(NOW + 1) == first
    assert first.name == "default"
    elsewhere = open_writer(tmp_path / "other.db")
    assert Registry(elsewhere).ensure_default_tenant(NOW).guid != first.guid
    elsewhere.close()


def test_retention_is_set_and_taken_back(registry: Registry) -> None:
    tenant = registry.create_tenant("example", GUID, NOW)
    registry.set_retention(tenant.tenant_id, 30)
    assert registry.get_tenant("example").retention_days == 30
    registry.set_retention(tenant.tenant_id, None)
    assert registry.get_tenant("example").retention_days is None
    with pytest.raises(InvalidInput, match="at least 1 day"):
        registry.set_retention(tenant.tenant_id, 0)
    with pytest.raises(NotFound):
        registry.set_retention(tenant.tenant_id + 1, 30)


def test_an_application_lives_in_one_tenant_only(registry: Registry) -> None:
    one = registry.create_tenant("one", GUID, NOW)
    two = registry.create_tenant("two", OTHER_GUID, NOW)
    made = registry.create_application(one.tenant_id, " SIEM ", [Permission.READ], secret_hash="aa", now=NOW)
    assert (made.name, made.permissions, made.disabled) == ("SIEM", frozenset({Permission.READ}), None)
    assert registry.get_application(one.tenant_id, made.app_id.upper()) == made
    with pytest.raises(NotFound):
        registry.get_application(two.tenant_id, made.app_id)
    assert registry.list_applications(two.tenant_id) == []
    with pytest.raises(NotFound):
        registry.disable_application(two.tenant_id, made.app_id, NOW)
    with pytest.raises(NotFound):
        registry.rotate_secret(two.tenant_id, made.app_id, "bb")
    with pytest.raises(NotFound):
        registry.set_permissions(two.tenant_id, made.app_id, [])
    assert registry.list_applications(one.tenant_id) == [made]


def test_applications_are_listed_by_name(registry: Registry) -> None:
    tenant = registry.create_tenant("one", GUID, NOW)
    for name in ("b", "a", "c"):
        registry.create_application(tenant.tenant_id, name, [], secret_hash="aa", now=NOW)
    assert [found.name for found in registry.list_applications(tenant.tenant_id)] == ["a", "b", "c"]


def test_a_second_application_of_the_same_name_or_id_is_refused(registry: Registry) -> None:
    tenant = registry.create_tenant("one", GUID, NOW)
    registry.create_application(tenant.tenant_id, "SIEM", [], secret_hash="aa", now=NOW, app_id=OTHER_GUID)
    for name, app_id in (("SIEM", None), ("other", OTHER_GUID)):
        with pytest.raises(InvalidInput, match="already has an application"):
            registry.create_application(tenant.tenant_id, name, [], secret_hash="aa", now=NOW, app_id=app_id)


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "a" * 101])
def test_an_application_needs_a_readable_name(registry: Registry, name: str) -> None:
    tenant = registry.create_tenant("one", GUID, NOW)
    with pytest.raises(InvalidInput, match="printable"):
        registry.create_application(tenant.tenant_id, name, [], secret_hash="aa", now=NOW)


def test_applications_and_keys_of_no_tenant_are_refused(registry: Registry) -> None:
    with pytest.raises(NotFound, match="no tenant"):
        registry.create_application(7, "SIEM", [], secret_hash="aa", now=NOW)
    with pytest.raises(NotFound, match="no tenant"):
        registry.create_ingest_key(7, "sensor", key_id="k", key_hash="aa", now=NOW)


def test_disabling_keeps_the_first_time_and_rotating_changes_the_secret_only(registry: Registry) -> None:
    tenant = registry.create_tenant("one", GUID, NOW)
    made = registry.create_application(tenant.tenant_id, "SIEM", [Permission.READ], secret_hash="aa", now=NOW)
    registry.rotate_secret(tenant.tenant_id, made.app_id, "bb")
    registry.set_permissions(tenant.tenant_id, made.app_id, [Permission.INGEST])
    registry.disable_application(tenant.tenant_id, made.app_id, NOW + 5)
    registry.disable_application(tenant.tenant_id, made.app_id, NOW + 9)
    changed = registry.get_application(tenant.tenant_id, made.app_id)
    assert (changed.secret_hash, changed.permissions, changed.disabled) == (
        "bb",
        frozenset({Permission.INGEST}),
        NOW + 5,
    )
    assert (changed.name, changed.created) == (made.name, made.created)


def test_a_permission_this_version_does_not_know_gives_nothing(registry: Registry, path: Path) -> None:
    tenant = registry.create_tenant("one", GUID, NOW)
    made = registry.create_application(tenant.tenant_id, "SIEM", [Permission.READ], secret_hash="aa", now=NOW)
    connection = open_side_writer(path)
    connection.execute("""UPDATE application SET permissions = '["Everything.All","Incident.Read.All"]'""")
    connection.close()
    assert registry.get_application(tenant.tenant_id, made.app_id).permissions == {Permission.READ}


def test_an_ingest_key_is_kept_listed_and_disabled(registry: Registry) -> None:
    tenant = registry.create_tenant("one", GUID, NOW)
    made = registry.create_ingest_key(tenant.tenant_id, "sensor", key_id="k1", key_hash="aa", now=NOW)
    registry.create_ingest_key(tenant.tenant_id, "sensor", key_id="k2", key_hash="bb", now=NOW + 1)
    assert registry.get_ingest_key("k1") == made
    assert [key.key_id for key in registry.list_ingest_keys(tenant.tenant_id)] == ["k1", "k2"]
    with pytest.raises(NotFound):
        registry.disable_ingest_key(tenant.tenant_id + 1, "k1", NOW)
    registry.disable_ingest_key(tenant.tenant_id, "k1", NOW + 2)
    assert registry.get_ingest_key("k1").disabled == NOW + 2
    with pytest.raises(InvalidInput, match="already an ingest key"):
        registry.create_ingest_key(tenant.tenant_id, "again", key_id="k1", key_hash="cc", now=NOW)
    with pytest.raises(NotFound):
        registry.get_ingest_key("k3")


def test_a_change_made_beside_a_running_server_is_seen_by_it(registry: Registry, path: Path) -> None:
    tenant = registry.create_tenant("one", GUID, NOW)
    connection = open_side_writer(path)
    beside = Registry(connection)
    assert registry.list_applications(tenant.tenant_id) == []
    made = beside.create_application(tenant.tenant_id, "SIEM", [], secret_hash="aa", now=NOW)
    connection.close()
    assert registry.list_applications(tenant.tenant_id) == [made]


def test_a_store_that_stays_locked_is_unavailable_and_nothing_changes(registry: Registry, path: Path) -> None:
    tenant = registry.create_tenant("one", GUID, NOW)
    connection = open_side_writer(path)
    connection.set_busy_timeout(0)
    locker = apsw.Connection(str(path))
    locker.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="try again"):
        Registry(connection).set_retention(tenant.tenant_id, 9)
    locker.execute("ROLLBACK")
    locker.close()
    connection.close()
    assert registry.get_tenant("one").retention_days is None
