"""The organisation hangs together: nobody twice, every machine with its own name and address in the plan."""

from __future__ import annotations

from tocsin.demo.attacks_endpoint import INSTALLER_SHA256
from tocsin.demo.organisation import BYSTANDERS, PEOPLE, SERVERS, person
from tocsin.demo.sensors.suricata import recording


def test_people_and_machines_are_as_many_as_the_plan_says() -> None:
    desks = [one.desk for one in PEOPLE if one.workstation]
    assert 70 <= len(PEOPLE) <= 90
    assert 50 <= len(desks) <= 65
    assert 12 <= len(SERVERS) <= 15
    assert len(BYSTANDERS) >= 35


def test_nobody_and_nothing_is_there_twice() -> None:
    hosts = [*SERVERS.values(), *(one.desk for one in PEOPLE if one.workstation)]
    for values in (
        [one.account for one in PEOPLE],
        [one.sid for one in PEOPLE],
        [one.directory_id for one in PEOPLE],
        [host.name for host in hosts],
        [host.address for host in hosts],
        [host.agent for host in hosts],
    ):
        assert len(set(values)) == len(values)


def test_accounts_are_plain_letters_of_the_name() -> None:
    assert person("tomasz.zielinski").name == "Tomasz Zieliński"
    assert person("elif.aydin").name == "Elif Aydın"
    assert all(one.account.replace(".", "").replace("-", "").isascii() for one in PEOPLE)


def test_the_installer_of_the_story_is_the_file_that_was_recorded() -> None:
    assert any(INSTALLER_SHA256 in text for _, text in recording()["installer-download"])
