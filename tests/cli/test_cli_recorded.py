"""Every command that manages something leaves a record of who, which command and which arguments, and no secret."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from shell import Terminal, online_fixture, served_fixture, spawn, terminal_fixture  # noqa: F401

from certified import certify
from tocsin.cli.program import program

PASSWORD = "Correct-Horse-9-Battery"
MANAGING: list[tuple[str, str]] = [
    ("tenant create acme.example", "name=acme.example"),
    ("app create siem -p Incident.Read.All", "name=siem permission=Incident.Read.All"),
    ("app rotate siem", "app=siem"),
    ("app certificate add siem FOLDER/siem.pem", "app=siem"),
    ("app certificate remove siem THUMBPRINT", "app=siem"),
    ("app disable siem", "app=siem"),
    ("key create edge", "name=edge"),
    ("key disable KEY", "key=KEY"),
    ("signing-key rotate", ""),
    ("group create Servers --os linux", "Servers"),
    ("group create Directors --tag vip", "Directors"),
    ("group change Servers --tag server", "tag=server"),
    ("group rank Servers 2", "rank=2"),
    ("role create Mail -r read --workload Office", "workload=Office"),
    ("role change Mail --name Post", "Post"),
    ("user create anna@example.org --role Post --password-stdin", "name=anna@example.org"),
    ("user roles anna@example.org --remove Post", "remove=Post"),
    ("user change anna@example.org --display-name Anna", "display_name=Anna"),
    ("user password anna@example.org --generate", "user=anna@example.org"),
    ("user disable anna@example.org", "user=anna@example.org"),
    ("user enable anna@example.org", "user=anna@example.org"),
    ("user delete anna@example.org", "user=anna@example.org"),
    ("role delete Post", "role=Post"),
    ("group delete Directors", "Directors"),
    ("people import FOLDER/people.toml --yes --generate", "people.toml"),
    ("tuning set join-score 0.6 --reason loose", "knob=join-score"),
    ("tuning add common-accounts svc-backup", "svc-backup"),
    ("tuning remove common-accounts svc-backup", "svc-backup"),
    ("tuning import FOLDER/tuning.json", "tuning.json"),
    ("tuning rollback 1", "version=1"),
    ("retention set 365", "days=365"),
    (
        "issuer add kc https://kc.example.org/realms/soc --audience tocsin --client siem "
        "--client-id portal --client-secret-file FOLDER/foreign.secret",
        "client=siem client_id=portal",
    ),
    ("issuer change kc --client soar", "client=soar"),
    ("issuer remove kc", "kc"),
]
ELSEWHERE = {
    "serve": "the server records that it began and ended",
    "demo": "it serves, and loads samples before that",
    "ingest": "the server records the delivery",
    "refused retry": "the server records it",
    "incidents merge": "the server records it",
    "incidents unmerge": "the server records it",
    "incidents split": "the server records it",
    "incidents move": "the server records it",
    "token": "the server records who got a token",
    "correlate": "tests/cli/test_cli_tuning.py",
    "portal": "below, beside a server",
    "refused delete": "below, beside a server",
    "signing-key withdraw": "below",
    "audit export": "tests/cli/test_cli_audit.py",
}
READING = re.compile(r"(.* )?(list|show|history|export|evidence|test|verify|check)")


def commands_of(group: Any, path: str = "") -> list[str]:
    """Every command that can be typed."""
    found = []
    for each in group.registered_commands:
        name = each.name or each.callback.__name__.replace("_", "-")
        found.append(f"{path}{name}")
    for each in group.registered_groups:
        found += commands_of(each.typer_instance, f"{path}{each.name} ")
    return found


def newest(terminal: Terminal) -> tuple[int, dict[str, Any]]:
    """(how many records there are, the last)."""
    found = terminal.run("audit", "list", "--json", "--top", "1000").json()
    return len(found), found[-1]


def test_every_command_of_the_program_is_looked_at_here() -> None:
    typed = {command for command in commands_of(program) if not READING.fullmatch(command)}
    here = {each for each in typed if any(line.startswith(f"{each} ") or line == each for line, _ in MANAGING)}
    assert typed - here - set(ELSEWHERE) == set()


def test_every_managing_command_leaves_a_record_and_none_a_secret(
    terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "siem.pem").write_bytes(certify(ec.generate_private_key(ec.SECP256R1()), begins=0, days=36_000))
    (tmp_path / "people.toml").write_text('[[users]]\nname = "ben@example.org"\n')
    (tmp_path / "tuning.json").write_text("{}")
    (tmp_path / "foreign.secret").write_text(f"{PASSWORD}\n")
    known, secrets, count = {"FOLDER": str(tmp_path)}, [PASSWORD], 0
    terminal.run("tuning", "set", "join-score", "0.7", "--reason", "r")
    for line, expected in MANAGING:
        words = [_filled(word, known) for word in line.split()]
        monkeypatch.setattr(sys, "stdin", io.StringIO(f"{PASSWORD}\n"))
        ran = terminal.run(*words)
        assert ran.code == 0, (line, ran.err)
        if line.startswith("key create"):
            (known["KEY"],) = re.findall(r"tocsin_([0-9a-f]{16})_", ran.out)
        if line.startswith("app certificate add"):
            known["THUMBPRINT"] = terminal.run("app", "certificate", "list", "siem", "--json").json()[0]["thumbprint"]
        if "create" in line or "rotate" in line or "password" in line or "import" in line:
            secrets += re.findall(r"[0-9a-f]{64}|tocsin_\S+|(?<=: )\S{16,}|(?<=password ).\S+", ran.out)
        before, (count, record) = count, newest(terminal)
        assert count > before, line
        assert record["actor"].startswith("operator:")
        command = next(each for each in commands_of(program) if line.startswith(f"{each} ") or line == each)
        assert (record["action"], record["target"]) == ("administer", f"tocsin {command}")
        assert all(word in record.get("detail", "") for word in _filled(expected, known).split()), line
    assert len(secrets) > 3
    assert_nowhere(terminal.data_dir, secrets)
    assert terminal.run("audit", "verify").code == 0


def _filled(text: str, known: dict[str, str]) -> str:
    for name, value in known.items():
        text = text.replace(name, value)
    return text


def assert_nowhere(data_dir: Path, secrets: list[str]) -> None:
    written = spawn(data_dir, "audit", "export").out + (data_dir / "audit" / "checkpoints.jsonl").read_text()
    assert [each for each in secrets if each in written] == []


@pytest.mark.parametrize(
    ("arguments", "target", "expected"),
    [
        (("app", "create", "siem", "-p", "Incident.Read.All"), "tocsin app create", "name=siem"),
        (("user", "create", "a@b.example", "--generate"), "tocsin user create", "name=a@b.example"),
        (("tuning", "set", "join-score", "0.6"), "tocsin tuning set", "value=0.6"),
    ],
)
def test_a_command_in_a_process_of_its_own_is_recorded(
    terminal: Terminal, arguments: tuple[str, ...], target: str, expected: str
) -> None:
    ran = spawn(terminal.data_dir, *arguments)
    assert ran.code == 0, ran.err
    records = [json.loads(line) for line in spawn(terminal.data_dir, "audit", "export").out.splitlines()]
    assert [each["target"] for each in records] == [target, "tocsin audit export"]
    assert expected in records[0]["detail"]
    assert_nowhere(terminal.data_dir, re.findall(r"[0-9a-f]{64}|(?<=password ).\S+", ran.out))


def test_a_withdrawn_signing_key_is_recorded(terminal: Terminal) -> None:
    kid = terminal.run("signing-key", "rotate").out.strip()
    terminal.run("signing-key", "rotate")
    assert terminal.run("signing-key", "withdraw", kid).code == 0
    _, record = newest(terminal)
    assert record["target"] == "tocsin signing-key withdraw"
    assert kid in record["detail"]


def test_a_link_that_signs_in_and_refused_input_that_is_thrown_away_are_recorded(
    online: Terminal, tmp_path: Path
) -> None:
    link = online.run("portal").out.strip()
    assert newest(online)[1]["target"] == "tocsin portal"
    assert_nowhere(online.data_dir, [link.rpartition("=")[2]])
    (tmp_path / "none.json").write_text('{"no": "alert"}')
    online.run("ingest", "--sender", "native", str(tmp_path / "none.json"))
    assert online.run("refused", "delete", "--all", "--yes").out == "deleted 1\n"
    found = online.run("audit", "list", "--actor", "operator", "--json").json()
    assert (found[-1]["target"], found[-1]["detail"]) == ("tocsin refused delete", "every=True yes=True tenant=default")


def test_a_command_that_fails_midway_leaves_neither_change_nor_record(terminal: Terminal) -> None:
    terminal.run("app", "create", "siem", "-p", "Incident.Read.All")
    before = newest(terminal)
    assert terminal.run("user", "create", "a@b.example", "--generate", "--role", "No such role").code == 1
    assert newest(terminal) == before
    assert terminal.run("user", "list", "--json").json() == []
