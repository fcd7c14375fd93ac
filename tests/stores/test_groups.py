"""Groups keep their ids, devices follow every change in steps, and no role is widened by a group that goes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from tocsin.errors import InvalidInput, NotFound
from tocsin.exposure import DeviceFacts, encode_facts, parse_rule
from tocsin.identity.people import Right
from tocsin.model import Device
from tocsin.stores.sqlite.connection import open_writer
from tocsin.stores.sqlite.groups import Groups
from tocsin.stores.sqlite.people import People

DEVICES = ("web01.dmz.example", "web02.corp.example", "db01.corp.example", "lap7")


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[apsw.Connection]:
    """A store that knows some devices, none of them in a group."""
    opened = open_writer(tmp_path / "tocsin.db")
    for number, name in enumerate(DEVICES, 1):
        facts = encode_facts(DeviceFacts.of(Device(device_dns_name=name)))
        opened.execute("INSERT INTO device VALUES (1, ?, ?, 0, ?)", (number, f"{number:040x}", facts))
    yield opened
    opened.close()


@pytest.fixture
def groups(connection: apsw.Connection) -> Groups:
    return Groups(connection)


def _settled(groups: Groups) -> dict[str, int]:
    """The group of each device, after all follow; three at a time."""
    while not groups.regroup_step(1, 2):
        pass
    found = [
        each
        for group_id in (0, *(group.group_id for group in groups.device_groups(1)))
        for each in groups.list_devices(1, group_id, 100)
    ]
    return {each.facts.name: each.group_id for each in found}


def test_devices_follow_when_groups_come_change_swap_ranks_and_go(groups: Groups) -> None:
    web = groups.create_group(1, "Web", parse_rule(names=["web*"])).group_id
    corp = groups.create_group(1, "Corp", parse_rule(domains=["corp.example"])).group_id
    assert list(_settled(groups).values()) == [0, web, web, corp]
    assert _settled(groups) == dict(zip(DEVICES, (web, web, corp, 0), strict=True))
    groups.rank_group(1, corp, 1)
    assert _settled(groups) == dict(zip(DEVICES, (web, corp, corp, 0), strict=True))
    groups.change_group(1, web, name="Laptops", rule=parse_rule(names=["lap*"]))
    assert _settled(groups) == dict(zip(DEVICES, (0, corp, corp, web), strict=True))
    groups.delete_group(1, corp)
    assert _settled(groups) == dict(zip(DEVICES, (0, 0, 0, web), strict=True))
    assert groups.count_devices(1) == {0: 3, web: 1}


def test_a_walk_of_the_devices_goes_on_where_it_was_stopped_and_begins_anew_after_another_change(
    groups: Groups,
) -> None:
    web = groups.create_group(1, "Web", parse_rule(names=["web*"])).group_id
    assert not groups.regroup_step(1, 3)
    assert groups.unfinished() == [1]
    corp = groups.create_group(1, "Corp", parse_rule(domains=["corp.example"]), rank=1).group_id
    assert not groups.regroup_step(1, 3)
    assert groups.regroup_step(1, 3)
    assert groups.regroup_step(1, 3), "nothing left to do"
    assert groups.unfinished() == []
    assert _settled(groups) == dict(zip(DEVICES, (web, corp, corp, 0), strict=True))


def test_every_change_of_groups_counts_up_the_version_of_its_tenant_alone(groups: Groups) -> None:
    assert groups.version(1) == 0
    versions = [groups.version(1)]
    web = groups.create_group(1, "Web", parse_rule(names=["web*"]))
    versions.append(groups.version(1))
    groups.change_group(1, web.group_id, name="Web2", rule=web.rule)
    versions.append(groups.version(1))
    groups.rank_group(1, web.group_id, 1)
    versions.append(groups.version(1))
    groups.delete_group(1, web.group_id)
    versions.append(groups.version(1))
    assert versions == sorted(set(versions))
    assert groups.version(2) == 0


def test_a_role_that_named_only_a_deleted_group_shows_no_device_and_never_all(
    groups: Groups, connection: apsw.Connection
) -> None:
    people = People(connection)
    web = groups.create_group(1, "Web", parse_rule(names=["web*"])).group_id
    corp = groups.create_group(1, "Corp", parse_rule(domains=["corp.example"])).group_id
    people.create_role(1, "Web only", [Right.READ], device_groups=[web])
    people.create_role(1, "Both", [Right.READ], device_groups=[web, corp, 0])
    people.create_role(1, "All", [Right.READ])
    anna = people.create_user(1, "anna", now=1).user_id
    people.set_roles(1, anna, [people.get_role(1, "Web only").role_id])
    groups.delete_group(1, web)
    assert {role.name: role.device_groups for role in people.list_roles(1)} == {
        "All": None,
        "Both": frozenset({0, corp}),
        "Web only": frozenset(),
    }
    (grant,) = people.grants_of(1, anna)
    assert grant.device_groups == frozenset()


def test_the_id_of_a_deleted_group_is_never_given_again(groups: Groups) -> None:
    first = groups.create_group(1, "First", parse_rule(names=["a"])).group_id
    groups.delete_group(1, first)
    assert groups.create_group(1, "Second", parse_rule(names=["a"])).group_id > first


def test_ranks_stay_dense_and_names_are_taken_in_any_case(groups: Groups) -> None:
    for name in ("A", "B", "C"):
        groups.create_group(1, name, parse_rule(names=[name]))
    groups.create_group(1, "Top", parse_rule(names=["top"]), rank=1)
    assert [(group.rank, group.name) for group in groups.device_groups(1)] == [(1, "Top"), (2, "A"), (3, "B"), (4, "C")]
    groups.delete_group(1, groups.get_group(1, "a").group_id)
    assert [(group.rank, group.name) for group in groups.device_groups(1)] == [(1, "Top"), (2, "B"), (3, "C")]
    for name in ("TOP", "Ungrouped", " "):
        with pytest.raises(InvalidInput):
            groups.create_group(1, name, parse_rule(names=["x"]))
    with pytest.raises(InvalidInput, match="from 1, the highest, to 3"):
        groups.rank_group(1, groups.get_group(1, "B").group_id, 4)


def test_what_is_not_there_is_not_found_and_other_tenants_have_their_own(groups: Groups) -> None:
    groups.create_group(2, "Theirs", parse_rule(names=["*"]))
    while not groups.regroup_step(2):
        pass
    assert set(_settled(groups).values()) == {0}
    with pytest.raises(NotFound):
        groups.get_group(1, "Theirs")
    with pytest.raises(NotFound):
        groups.delete_group(1, 1)
    with pytest.raises(NotFound):
        groups.rank_group(1, 1, 1)
    with pytest.raises(NotFound):
        groups.find_device(1, "\ud800")
    assert groups.find_device(1, f"{1:040x}").facts.host == "web01"


def test_what_a_killed_command_left_undone_is_caught_up_for_every_tenant(groups: Groups) -> None:
    assert not groups.catch_up()
    web = groups.create_group(1, "Web", parse_rule(names=["web*"])).group_id
    groups.create_group(2, "Theirs", parse_rule(names=["*"]))
    groups.create_group(3, "Others", parse_rule(names=["*"]))
    rounds = 1
    while groups.catch_up():
        rounds += 1
    assert rounds == 3
    assert groups.unfinished() == []
    assert groups.count_devices(1) == {0: 2, web: 2}
