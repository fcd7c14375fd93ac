"""Users, roles and device groups from the command line, one by one and from a file."""

from __future__ import annotations

import io
import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from shell import Terminal, spawn, terminal_fixture  # noqa: F401  fixtures

from tocsin.exposure import DeviceFacts, encode_facts
from tocsin.identity.passwords import password_matches
from tocsin.model import Device
from tocsin.stores.sqlite.connection import open_side_writer
from tocsin.stores.sqlite.people import People
from tocsin.stores.sqlite.registry import Registry

PASSWORD = "several words do well"
FILE = """
[[groups]]
name = "Servers"
os = ["Windows Server*", "linux"]

[[groups]]
name = "Directors"
tags = ["vip"]

[[roles]]
name = "Server team"
rights = ["manage"]
groups = ["servers", "ungrouped"]

[[users]]
name = "anna@example.org"
display_name = "Anna A"
roles = ["Server team", "auditor"]

[[users]]
name = "eva"
issuer = "https://login.example.org"
subject = "00u1"
roles = []
"""


def _kept_hash(terminal: Terminal, name: str) -> str | None:
    connection = open_side_writer(terminal.data_dir / "tocsin.db")
    try:
        return People(connection).get_user(1, name).password_hash
    finally:
        connection.close()


def _add_devices(terminal: Terminal, *names: str) -> None:
    connection = open_side_writer(terminal.data_dir / "tocsin.db")
    for number, name in enumerate(names, 1):
        facts = encode_facts(DeviceFacts.of(Device(device_dns_name=name)))
        connection.execute("INSERT INTO device VALUES (1, ?, ?, 0, ?)", (number, f"{number:040x}", facts))
    connection.close()


def _people(terminal: Terminal, name: str = "people.toml", text: str = FILE) -> str:
    terminal.data_dir.mkdir(exist_ok=True)
    path = terminal.data_dir.parent / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_person_is_made_with_a_generated_password_that_is_shown_once(terminal: Terminal) -> None:
    made = terminal.run("user", "create", "Anna", "--role", "security OPERATOR", "--generate", "--json").json()
    assert (made["name"], made["roles"], made["hasPassword"]) == ("anna", ["Security operator"], True)
    assert password_matches(made["password"], _kept_hash(terminal, "anna"))
    assert made["password"] not in terminal.run("user", "list", "--json").out
    assert "manage, read over all workloads, all devices" in terminal.run("user", "show", made["userId"]).out


def test_a_password_is_read_from_stdin_and_never_taken_as_an_argument(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{PASSWORD}\nmore"))
    assert terminal.run("user", "create", "anna", "--password-stdin").code == 0
    assert password_matches(PASSWORD, _kept_hash(terminal, "anna"))
    assert terminal.run("user", "create", "ben", "--password", PASSWORD).code == 2


def test_without_a_terminal_the_ways_to_give_a_password_are_named(terminal: Terminal) -> None:
    terminal.run("key", "create", "k")
    ran = spawn(terminal.data_dir, "user", "create", "anna")
    assert ran.code == 1
    assert "--generate, or --password-stdin" in ran.err
    assert terminal.run("user", "list", "--json").json() == []


@pytest.mark.parametrize("given", ["short\n", "\n", ""])
def test_a_short_password_changes_nothing(terminal: Terminal, monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    terminal.run("key", "create", "k")
    monkeypatch.setattr("sys.stdin", io.StringIO(given))
    ran = terminal.run("user", "create", "anna", "--password-stdin")
    assert (ran.code, "at least 12 characters" in ran.err) == (1, True)
    assert terminal.run("user", "list", "--json").json() == []


def test_a_wrong_role_leaves_no_half_made_person(terminal: Terminal) -> None:
    ran = terminal.run("user", "create", "anna", "--role", "Nobody knows", "--generate")
    assert (ran.code, ran.out) == (1, "")
    assert terminal.run("user", "list", "--json").json() == []


def test_people_are_disabled_enabled_renamed_and_deleted(terminal: Terminal) -> None:
    made = terminal.run("user", "create", "anna", "--generate", "--json").json()
    assert terminal.run("user", "disable", "anna").code == 0
    assert terminal.run("user", "list", "--json").json()[0]["disabled"] is not None
    assert terminal.run("user", "enable", "anna").code == 0
    assert terminal.run("user", "change", "anna", "--name", "anna.b", "--display-name", "Anna B").code == 0
    kept = terminal.run("user", "show", "anna.b", "--json").json()
    assert (kept["userId"], kept["displayName"], kept["disabled"]) == (made["userId"], "Anna B", None)
    assert terminal.run("user", "delete", made["userId"]).code == 0
    assert terminal.run("user", "delete", made["userId"]).code == 1


def test_a_new_password_replaces_the_old_one(terminal: Terminal) -> None:
    first = terminal.run("user", "create", "anna", "--generate", "--json").json()["password"]
    ran = terminal.run("user", "password", "anna", "--generate")
    second = ran.out.strip().split("\t")[1]
    assert "signed out everywhere" in ran.err
    assert password_matches(second, _kept_hash(terminal, "anna"))
    assert not password_matches(first, _kept_hash(terminal, "anna"))


def test_who_signs_in_elsewhere_needs_no_password(terminal: Terminal) -> None:
    assert terminal.run("user", "create", "eva", "--issuer", "https://login.example.org", "--subject", "s").code == 0
    assert "s of https://login.example.org" in terminal.run("user", "show", "eva").out
    assert terminal.run("user", "create", "ida", "--issuer", "https://login.example.org").code == 1


def test_roles_are_added_and_removed(terminal: Terminal) -> None:
    terminal.run("user", "create", "anna", "--generate", "--role", "Security reader")
    assert "sees nothing" not in terminal.run("user", "roles", "anna").err
    ran = terminal.run("user", "roles", "anna", "--add", "Auditor", "--remove", "Security reader")
    assert ran.out.split() == ["Auditor"]
    terminal.run("role", "delete", "auditor")
    assert "sees nothing" in terminal.run("user", "roles", "anna").err


def test_a_role_says_what_it_gives_and_keeps_its_holders_under_another_name(terminal: Terminal) -> None:
    terminal.run("group", "create", "Servers", "--name", "srv*")
    made = terminal.run("role", "create", "Team", "-r", "manage", "--group", "servers", "--workload", "Office 365")
    assert "manage over workloads office365, devices of Servers" in made.err
    terminal.run("user", "create", "anna", "--generate", "--role", "team")
    changed = terminal.run("role", "change", "Team", "--name", "Crew", "--all-workloads", "--group", "ungrouped")
    assert "Crew: manage over all workloads, devices of ungrouped" in changed.err
    (role,) = terminal.run("role", "list", "--json").json()
    assert role == {
        "name": "Crew",
        "rights": ["manage"],
        "workloads": None,
        "groups": ["ungrouped"],
        "holders": 1,
    }


def test_a_role_over_a_group_that_is_not_there_is_refused(terminal: Terminal) -> None:
    ran = terminal.run("role", "create", "Team", "-r", "read", "--group", "Servers")
    assert (ran.code, "no device group 'Servers'" in ran.err) == (1, True)
    assert terminal.run("role", "create", "Team").code == 2
    assert terminal.run("role", "list", "--json").json() == []


def test_devices_follow_their_groups_and_a_role_of_a_deleted_group_shows_none(terminal: Terminal) -> None:
    terminal.run("key", "create", "k")
    _add_devices(terminal, "srv1.corp.example", "srv2.dmz.example", "lap1.corp.example")
    assert "2 known devices" in terminal.run("group", "create", "Servers", "--name", "srv*").err
    assert "1 known device" in terminal.run("group", "create", "Dmz", "--domain", "dmz.example", "--rank", "1").err
    terminal.run("role", "create", "Team", "-r", "read", "--group", "Dmz")
    shown = terminal.run("group", "show", "dmz", "--json").json()
    assert [each["name"] for each in shown["devices"]] == ["srv2.dmz.example"]
    assert "taken out of Team" in terminal.run("group", "delete", "dmz").err
    listed = terminal.run("group", "list", "--json").json()
    assert ([each["devices"] for each in listed["groups"]], listed["ungroupedDevices"]) == ([2], 1)
    assert terminal.run("role", "list", "--json").json()[0]["groups"] == []
    assert "devices of (none)" in terminal.run("role", "list").out


def test_a_group_keeps_its_roles_under_another_name_and_its_rule_is_replaced_whole(terminal: Terminal) -> None:
    terminal.run("group", "create", "Servers", "--name", "srv*", "--tag", "x")
    terminal.run("role", "create", "Team", "-r", "read", "--group", "Servers")
    terminal.run("group", "change", "Servers", "--new-name", "Machines", "--os", "Linux")
    (group,) = terminal.run("group", "list", "--json").json()["groups"]
    assert (group["name"], group["names"], group["tags"], group["os"]) == ("Machines", [], [], ["linux"])
    assert terminal.run("role", "list", "--json").json()[0]["groups"] == ["Machines"]
    assert terminal.run("group", "change", "Machines").code == 1


def test_it_is_told_which_group_a_device_would_be_in_and_why(terminal: Terminal) -> None:
    terminal.run("group", "create", "Servers", "--os", "linux", "--name", "srv*")
    terminal.run("group", "create", "Vip", "--tag", "vip")
    _add_devices(terminal, "srv1.corp.example")
    ran = terminal.run("group", "test", "--name", "lap1.corp.example", "--os", "Linux", "--tag", "VIP")
    assert ran.out.splitlines()[0] == "Vip"
    assert "os meets linux; name is not srv*" in ran.out
    assert terminal.run("group", "test", "--device", f"{1:040x}").out.splitlines()[0] == "ungrouped"
    assert terminal.run("group", "test").code == 1


def test_a_file_is_announced_then_brought_in_and_the_same_again_changes_nothing(terminal: Terminal) -> None:
    file = _people(terminal)
    tried = terminal.run("people", "import", file, "--dry-run")
    assert (tried.code, "would change: group Servers: new" in tried.err) == (0, True)
    assert terminal.run("user", "list", "--json").json() == []
    done = terminal.run("people", "import", file, "--yes", "--generate", "--json").json()
    assert list(done["passwords"]) == ["anna@example.org"]
    assert password_matches(done["passwords"]["anna@example.org"], _kept_hash(terminal, "anna@example.org"))
    people = {each["name"]: each for each in terminal.run("user", "list", "--json").json()}
    assert people["anna@example.org"]["roles"] == ["Auditor", "Server team"]
    assert (people["eva"]["subject"], people["eva"]["hasPassword"]) == ("00u1", False)
    groups = terminal.run("group", "list", "--json").json()["groups"]
    assert [each["name"] for each in groups] == ["Servers", "Directors"]
    again = terminal.run("people", "import", file, "--yes")
    assert (again.code, again.err.strip()) == (0, "nothing to change")


def test_a_changed_file_says_what_changes_and_leaves_alone_what_it_does_not_name(terminal: Terminal) -> None:
    terminal.run("people", "import", _people(terminal), "--yes")
    terminal.run("group", "create", "Kept", "--tag", "kept", "--rank", "1")
    document: dict[str, Any] = {
        "groups": [{"name": "Directors", "tags": ["vip", "board"]}, {"name": "servers", "os": ["linux"]}],
        "roles": [{"name": "Server team", "rights": ["read"]}],
        "users": [{"name": "ANNA@example.org", "roles": ["Security reader"], "disabled": True}],
    }
    file = _people(terminal, "people.json", json.dumps(document))
    ran = terminal.run("people", "import", file, "--yes")
    assert ran.err.splitlines() == [
        "group Directors: other tags",
        "group servers: other os",
        "group Directors: rank 1",
        "group servers: rank 2",
        "role Server team: other rights and device groups",
        "role Security reader: new",
        "user anna@example.org: roles Security reader",
        "user anna@example.org: disabled",
        "8 changes made",
    ]
    groups = terminal.run("group", "list", "--json").json()["groups"]
    assert [each["name"] for each in groups] == ["Directors", "servers", "Kept"]
    assert terminal.run("user", "show", "anna@example.org", "--json").json()["displayName"] == "Anna A"
    assert terminal.run("people", "import", file, "--yes").err.strip() == "nothing to change"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[users]]\nname = x\n", "line 2"),
        ('[[users]]\nnam = "x"', "$.users[0]"),
        ('[[roles]]\nname = "r"\nrights = ["fly"]', "$.roles[0] (r): 'fly' is no right; there are read, manage, audit"),
        ('[[roles]]\nname = "r"\nrights = []', "at least one right"),
        ('[[roles]]\nname = "r"\nrights = ["read"]\ngroups = ["g"]', "there is no device group 'g'"),
        ('[[users]]\nname = "u"\nroles = ["r"]', "$.users[0] (u): this tenant has no role 'r'"),
        ('[[users]]\nname = "u"\n[[users]]\nname = "U"', "$.users[1]: 'U' stands twice"),
        ('[[groups]]\nname = "g"', "$.groups[0] (g): a device group needs a condition"),
        ('[[users]]\nname = "u v"', "$.users[0] (u v): 'u v' cannot be a user's name"),
        ('[[users]]\nname = "u"\nsubject = "s"', "an issuer and a subject"),
        ("users = 3", "$.users"),
    ],
)
def test_a_wrong_file_names_the_place_and_changes_nothing(terminal: Terminal, text: str, words: str) -> None:
    terminal.run("key", "create", "k")
    good = '\n[[groups]]\nname = "First"\nnames = ["a"]\n'
    ran = terminal.run("people", "import", _people(terminal, text=text + good), "--yes")
    assert (ran.code, words in ran.err) == (1, True), ran.err
    assert terminal.run("group", "list", "--json").json()["groups"] == []
    assert terminal.run("user", "list", "--json").json() == []


def test_a_file_is_not_brought_in_unasked(terminal: Terminal) -> None:
    file = _people(terminal)
    terminal.run("key", "create", "k")
    ran = spawn(terminal.data_dir, "people", "import", file)
    assert (ran.code, "give --yes" in ran.err) == (1, True)
    assert terminal.run("user", "list", "--json").json() == []
    assert terminal.run("people", "import", _people(terminal, "people.yaml")).code == 1
    assert terminal.run("people", "import", "absent.toml").code == 1


def test_people_of_other_tenants_are_not_touched(terminal: Terminal, tmp_path: Path) -> None:
    terminal.run("tenant", "create", "example.org")
    terminal.run("user", "create", "anna", "--generate", "--tenant", "example.org")
    terminal.run("group", "create", "G", "--name", "*", "--tenant", "example.org")
    assert terminal.run("user", "list", "--json").json() == []
    assert terminal.run("group", "list", "--json").json()["groups"] == []
    connection = open_side_writer(terminal.data_dir / "tocsin.db")
    assert len(Registry(connection).list_tenants()) == 2
    connection.close()


def test_the_page_about_people_shows_commands_and_a_file_that_work(terminal: Terminal) -> None:
    page = (Path(__file__).parents[2] / "docs" / "people.md").read_text(encoding="utf-8")
    shown = [line for line in page.splitlines() if line.startswith(("tocsin group", "tocsin role"))]
    for line in sorted(shown):
        assert terminal.run(*shlex.split(line)[1:]).code == 0, line
    assert len(shown) >= 5
    file = page.split("```toml\n")[1].split("```")[0]
    assert terminal.run("people", "import", _people(terminal, text=file), "--yes").code == 0
    (eva,) = [each for each in terminal.run("user", "list", "--json").json() if each["name"] == "eva"]
    assert eva["disabled"] is not None


def test_what_a_command_did_is_in_the_audit_log_once_and_without_the_password(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal.run("key", "create", "k")
    _add_devices(terminal, *(f"srv{number}" for number in range(2_500)))
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{PASSWORD}\n"))
    terminal.run("user", "create", "anna", "--password-stdin")
    terminal.run("group", "create", "Servers", "--name", "srv*")
    connection = open_side_writer(terminal.data_dir / "tocsin.db")
    records = [bytes(record).decode() for (record,) in connection.execute("SELECT record FROM audit ORDER BY sequence")]
    devices = connection.execute("SELECT count(*) FROM device WHERE group_id = 1").get
    connection.close()
    assert devices == 2_500
    assert len(records) == 3, "one for each command, however many steps the devices took"
    assert not any(PASSWORD in record for record in records)
