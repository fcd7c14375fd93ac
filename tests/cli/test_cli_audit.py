"""`tocsin audit`: what commands did is on record, and a log that was tampered with is told from one that was not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import apsw
import pytest
from shell import Terminal, spawn, terminal_fixture  # noqa: F401

from tocsin.audit import GENESIS, seal_of
from tocsin.stores.sqlite.connection import DATABASE_NAME


def tamper(terminal: Terminal, *statements: str) -> None:
    """Write into the file as somebody would who wants it not to show."""
    connection = apsw.Connection(str(terminal.data_dir / DATABASE_NAME))
    connection.execute("DROP TRIGGER audit_is_not_edited; DROP TRIGGER audit_is_not_deleted")
    for statement in statements:
        connection.execute(statement)
    connection.close()


@pytest.fixture(name="managed")
def managed_fixture(terminal: Terminal) -> Terminal:
    """A terminal on whose store five commands changed something."""
    terminal.run("app", "create", "siem", "--permission", "Incident.Read.All").json  # noqa: B018
    for number in range(4):
        assert terminal.run("tenant", "create", f"t{number}.example").code == 0
    return terminal


def test_a_command_that_changes_something_leaves_a_record_of_who_and_what(managed: Terminal) -> None:
    secret = managed.run("app", "create", "soar", "-p", "Incident.Read.All", "--json").json()["secret"]
    found = managed.run("audit", "list", "--json").json()
    (made,) = [each for each in found if "soar" in each.get("detail", "")]
    assert made["actor"].startswith("operator:")
    assert (made["action"], made["target"]) == ("administer", "tocsin app create")
    assert "permission=Incident.Read.All" in made["detail"]
    assert made["tenant"]
    assert secret not in json.dumps(found)


def test_a_command_that_changes_nothing_leaves_none(managed: Terminal) -> None:
    before = len(managed.run("audit", "list", "--json").json())
    assert managed.run("tenant", "create", "t1.example").code == 1
    assert managed.run("tenant", "list").code == 0
    assert len(managed.run("audit", "list", "--json").json()) == before


def test_records_are_found_by_time_actor_and_action(managed: Terminal) -> None:
    assert managed.run("audit", "list", "--action", "read", "--json").json() == []
    assert managed.run("audit", "list", "--until", "2020-01-01", "--json").json() == []
    assert len(managed.run("audit", "list", "--actor", "OPERATOR", "--since", "2020-01-01", "--json").json()) == 5
    assert len(managed.run("audit", "list", "--top", "2", "--json").json()) == 2
    assert "not a time" in managed.run("audit", "list", "--since", "yesterday").err


def test_an_export_is_itself_on_record(managed: Terminal) -> None:
    ran = spawn(managed.data_dir, "audit", "export")
    exported = [json.loads(line) for line in ran.out.splitlines()]
    assert [each["sequence"] for each in exported] == [1, 2, 3, 4, 5, 6]
    assert (exported[-1]["action"], exported[-1]["target"]) == ("export", "tocsin audit export")


def test_an_untouched_log_verifies(managed: Terminal) -> None:
    ran = managed.run("audit", "verify")
    assert ran.code == 0, ran.out
    assert "5 records, all as they were written; 0 newer" in ran.err


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET record = replace(record, 't1.example', 't9.example') WHERE sequence = 3",
        "UPDATE audit SET record = CAST(replace(record, 't1.example', 't9.example') AS BLOB) WHERE sequence = 3",
        "DELETE FROM audit WHERE sequence = 2",
        "DELETE FROM audit WHERE sequence > 3",
        "DELETE FROM audit WHERE sequence < 3",
        "DELETE FROM audit",
        "INSERT INTO audit_pruned SELECT 1, sequence, seal FROM audit WHERE sequence = 2; "
        "DELETE FROM audit WHERE sequence <= 2",
    ],
)
def test_a_log_that_was_tampered_with_does_not_verify(managed: Terminal, statement: str) -> None:
    try:
        tamper(managed, statement)
    except apsw.ConstraintError:
        return  # the table is STRICT: text where bytes belong is not even taken
    ran = managed.run("audit", "verify")
    assert ran.code == 1
    assert "record" in ran.out


def test_a_log_that_was_sealed_anew_verifies_only_where_its_checkpoints_went_too(managed: Terminal) -> None:
    connection = apsw.Connection(str(managed.data_dir / DATABASE_NAME))
    seal, statements = GENESIS, []
    for sequence, kept in connection.execute("SELECT sequence, record FROM audit ORDER BY sequence").fetchall():
        assert isinstance(kept, bytes)
        record = kept.replace(b"t1.example", b"t9.example")
        seal = seal_of(seal, record)
        statements.append(
            f"UPDATE audit SET record = x'{record.hex()}', seal = x'{seal.hex()}' WHERE sequence = {sequence}"
        )
    connection.close()
    tamper(managed, *statements)
    assert "written anew" in managed.run("audit", "verify").out


def test_checkpoints_and_key_may_come_from_elsewhere(managed: Terminal, tmp_path: Path) -> None:
    elsewhere = tmp_path / "loghost"
    shutil.copytree(managed.data_dir / "audit", elsewhere)
    given = ("--checkpoints", str(elsewhere / "checkpoints.jsonl"), "--public-key", str(elsewhere / "audit.pub"))
    assert managed.run("audit", "verify", *given).code == 0
    (managed.data_dir / "keys" / "audit.key").unlink()
    (managed.data_dir / "audit" / "checkpoints.jsonl").unlink()
    managed.run("tenant", "create", "late.example")
    assert managed.run("audit", "verify").code == 0, "who owns the folder can make a new key and new checkpoints"
    assert managed.run("audit", "verify", *given).code == 0
    tamper(managed, "DELETE FROM audit WHERE sequence > 3")
    assert managed.run("audit", "verify", *given).code == 1, "and is found with the copies of before"


def test_checkpoints_that_the_key_did_not_sign_are_findings_and_none_is_no_all_clear(managed: Terminal) -> None:
    path = managed.data_dir / "audit" / "checkpoints.jsonl"
    lines = path.read_bytes().splitlines()
    forged = json.loads(lines[0])
    forged["sequence"] = 2
    path.write_bytes(b"\n".join([json.dumps(forged).encode(), *lines[1:], b'{"kind":"check']))
    ran = managed.run("audit", "verify")
    assert ran.code == 1
    assert "not signed" in ran.out
    path.write_bytes(b"")
    ran = managed.run("audit", "verify")
    assert ran.code == 1
    assert "no checkpoint" in ran.err


def test_a_crash_in_the_middle_of_a_checkpoint_spoils_neither_it_nor_the_next(managed: Terminal) -> None:
    path = managed.data_dir / "audit" / "checkpoints.jsonl"
    with path.open("ab") as file:
        file.write(b'{"kind":"checkpoint","sequ')
    assert managed.run("audit", "verify").code == 0
    managed.run("tenant", "create", "late.example")
    assert path.read_bytes().splitlines()[-1].startswith(b'{"kind":"checkpoint"')
    ran = managed.run("audit", "verify")
    assert ran.code == 0
    assert "; 0 newer" in ran.err
