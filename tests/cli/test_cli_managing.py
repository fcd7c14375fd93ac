"""Who may call and how long things are kept: commands that write the store beside a server or without one."""

from __future__ import annotations

from pathlib import Path

import pytest
from shell import Terminal, terminal_fixture  # noqa: F401  fixtures

from house import START, Bench, HandClock, native
from tocsin import ticks
from tocsin.identity.authority import ensure_tls


def test_without_arguments_the_help_is_shown_and_names_the_exit_codes(terminal: Terminal) -> None:
    ran = terminal.run("--help")
    assert ran.code == 0
    assert "Exit codes" in ran.out


@pytest.mark.parametrize("arguments", [["nonsense"], ["app", "create"], ["incidents", "list", "--top", "many"]])
def test_wrong_usage_is_exit_code_2(terminal: Terminal, arguments: list[str]) -> None:
    assert terminal.run(*arguments).code == 2


def test_a_failure_is_one_line_and_exit_code_1(terminal: Terminal) -> None:
    ran = terminal.run("incidents", "list")
    assert (ran.code, ran.out, ran.err.count("\n")) == (1, "", 1)
    assert "there is no store" in ran.err


def test_the_data_folder_may_be_named_after_the_command(terminal: Terminal, tmp_path: Path) -> None:
    terminal.run("key", "create", "sensor", "--data-dir", str(tmp_path / "other"))
    assert (tmp_path / "other" / "tocsin.db").exists()


def test_an_application_is_made_in_a_new_store_and_its_secret_shown_once(terminal: Terminal) -> None:
    ran = terminal.run("app", "create", "siem", "--permission", "Incident.Read.All")
    names = [line.split("=")[0] for line in ran.out.splitlines()]
    assert names == ["export TOCSIN_TENANT_ID", "export TOCSIN_APP_ID", "export TOCSIN_APP_SECRET"]
    secret = ran.out.split("TOCSIN_APP_SECRET=")[1].strip()
    assert secret not in terminal.run("app", "list", "--json").out
    assert terminal.run("app", "list", "--json").json()[0]["permissions"] == ["Incident.Read.All"]


def test_an_unknown_permission_is_wrong_usage(terminal: Terminal) -> None:
    assert terminal.run("app", "create", "siem", "--permission", "Everything").code == 2


def test_an_application_is_rotated_and_disabled_by_name_or_id(terminal: Terminal) -> None:
    made = terminal.run("app", "create", "soar", "-p", "Incident.ReadWrite.All", "--json").json()
    rotated = terminal.run("app", "rotate", "soar", "--json").json()
    assert rotated["appId"] == made["appId"]
    assert rotated["secret"] != made["secret"]
    assert terminal.run("app", "disable", made["appId"]).code == 0
    assert terminal.run("app", "list", "--json").json()[0]["disabled"] is not None
    assert terminal.run("app", "disable", "nobody").code == 1


def test_an_ingest_key_is_shown_once_and_disabled_by_its_id(terminal: Terminal) -> None:
    made = terminal.run("key", "create", "suricata edge", "--json").json()
    assert made["key"].startswith(f"tocsin_{made['keyId']}_")
    assert terminal.run("key", "disable", made["keyId"]).code == 0
    listed = terminal.run("key", "list")
    assert made["keyId"] in listed.out
    assert made["key"] not in listed.out


def test_tenants_are_kept_apart(terminal: Terminal) -> None:
    guid = terminal.run("tenant", "create", "example.org").out.strip()
    terminal.run("key", "create", "theirs", "--tenant", "example.org")
    assert terminal.run("key", "list", "--json").json() == []
    assert [each["name"] for each in terminal.run("key", "list", "--tenant", guid, "--json").json()] == ["theirs"]
    assert [each["name"] for each in terminal.run("tenant", "list", "--json").json()] == ["default", "example.org"]


def test_lists_are_tables_of_full_width_without_colours(terminal: Terminal) -> None:
    made = terminal.run(
        "app", "create", "x" * 100, "-p", "Incident.Read.All", "-p", "Alert.Ingest.All", "--json"
    ).json()
    listed = terminal.run("app", "list").out
    assert len(listed.splitlines()) == 2
    assert made["appId"] in listed
    assert "x" * 100 in listed
    assert "\x1b" not in listed


def test_retention_is_set_for_a_tenant_and_back_to_the_default(terminal: Terminal) -> None:
    terminal.run("key", "create", "k")
    assert terminal.run("retention", "show", "--json").json()["retentionDays"] == 180
    ran = terminal.run("retention", "set", "30")
    assert (ran.code, "no incident went past that by this" in ran.err) == (0, True)
    assert terminal.run("retention", "show", "--json").json() | {"keptSince": ""} == {
        "tenant": "default",
        "retentionDays": 30,
        "own": True,
        "keptSince": "",
        "incidents": 0,
    }
    terminal.run("retention", "set", "default")
    assert not terminal.run("retention", "show", "--json").json()["own"]
    assert terminal.run("retention", "set", "soon").code == 1


def test_retention_that_would_delete_incidents_must_be_meant(terminal: Terminal) -> None:
    terminal.data_dir.mkdir()
    Bench(terminal.data_dir, HandClock(ticks.now() - 40 * ticks.DAY)).ingest(native(1, at=START))
    ran = terminal.run("retention", "set", "30")
    assert ran.code == 1
    assert "1 incident of default would be past that now" in ran.err
    assert len(terminal.run("incidents", "list", "--json").json()) == 1
    ran = terminal.run("retention", "set", "30", "--yes")
    assert (ran.code, "1 incident went past that by this" in ran.err) == (0, True)
    assert terminal.run("incidents", "list", "--json").json() == []


def test_a_data_folder_that_cannot_be_made_is_said_in_one_line(tmp_path: Path, terminal: Terminal) -> None:
    (tmp_path / "file").write_text("in the way")
    for arguments in (["serve"], ["key", "create", "k"]):
        ran = terminal.run("--data-dir", str(tmp_path / "file" / "data"), *arguments)
        assert (ran.code, ran.out) == (1, "")
        assert "cannot be made" in ran.err.splitlines()[-1], ran.err
        assert "Traceback" not in ran.err


def test_a_public_application_has_no_secret_and_says_where_codes_may_go(terminal: Terminal) -> None:
    made = terminal.run("app", "create", "desktop", "--public", "--redirect-uri", "http://localhost", "--json").json()
    assert (made["public"], made["redirectUris"], made["permissions"]) == (True, ["http://localhost"], [])
    assert "secret" not in made
    for wrong in ("http://evil.example", "javascript:x", "https://a.example/#x", "https://*.example"):
        assert terminal.run("app", "create", "other", "--public", "--redirect-uri", wrong).code == 1
    assert terminal.run("app", "create", "other", "--public", "-p", "Incident.Read.All").code == 1
    assert terminal.run("app", "create", "other", "-p", "Incident.Read").code == 1
    assert terminal.run("app", "rotate", "desktop").code == 1


def test_certificates_are_added_listed_and_removed(terminal: Terminal, tmp_path: Path) -> None:
    terminal.run("app", "create", "soar", "-p", "Incident.Read.All")
    ensure_tls(tmp_path / "made", ["soar.example"], ticks.now())
    file = tmp_path / "made" / "tls" / "ca.pem"
    thumbprint = terminal.run("app", "certificate", "add", "soar", str(file)).out.strip()
    (listed,) = terminal.run("app", "certificate", "list", "soar", "--json").json()
    assert listed["thumbprint"] == thumbprint
    assert terminal.run("app", "certificate", "remove", "soar", thumbprint[:20]).code == 1
    assert terminal.run("app", "certificate", "remove", "soar", thumbprint.upper()).code == 0
    assert terminal.run("app", "certificate", "list", "soar", "--json").json() == []
    assert terminal.run("app", "certificate", "add", "soar", str(tmp_path / "none")).code == 1
    terminal.run("app", "create", "desktop", "--public", "--redirect-uri", "http://localhost")
    refused = terminal.run("app", "certificate", "add", "desktop", str(file))
    assert (refused.code, "public application" in refused.err) == (1, True)


def test_signing_keys_are_rotated_listed_and_withdrawn(terminal: Terminal) -> None:
    first = terminal.run("signing-key", "rotate").out.strip()
    second = terminal.run("signing-key", "rotate").out.strip()
    listed = terminal.run("signing-key", "list", "--json").json()
    assert [each["key"] for each in listed] == [second, first]
    assert [each["verifiesUntil"] is None for each in listed] == [True, False]
    assert terminal.run("signing-key", "withdraw", "--", second).code == 0
    left = [each["key"] for each in terminal.run("signing-key", "list", "--json").json()]
    assert first in left
    assert second not in left
    assert len(left) == 2
    assert terminal.run("signing-key", "withdraw", "nothing-of-it").code == 1
