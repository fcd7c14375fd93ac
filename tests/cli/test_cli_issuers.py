"""`tocsin issuer`: an issuer is named, looked at, changed, checked and removed; its secret stays out of sight."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from shell import Terminal, free_port, terminal_fixture  # noqa: F401

from tocsin.identity.foreign_secrets import write_issuer_secret
from tocsin.stores.sqlite.connection import DATABASE_NAME, open_reader
from tocsin.stores.sqlite.foreign import ForeignIssuers

URL: Final = "https://kc.example.org/realms/soc"
TENANT: Final = "11111111-2222-4333-8444-555555555555"
SECRET: Final = "a-very-secret-secret"


def add(terminal: Terminal, *more: str, name: str = "kc", url: str = URL) -> None:
    done = terminal.run("issuer", "add", name, url, "--audience", "tocsin", "--client", "siem", *more)
    assert done.code == 0, done.err


def test_an_issuer_is_added_listed_shown_changed_and_removed(terminal: Terminal) -> None:
    add(terminal, "--preset", "keycloak", "-p", "Incident.Read.All", "--map", "a=b=Incident.Read.All")
    (listed,) = terminal.run("issuer", "list", "--json").json()
    assert (listed["name"], listed["issuer"], listed["kind"]) == ("kc", URL, "service-account")
    assert listed["mapped"] == {"a=b": ["Incident.Read.All"]}
    assert terminal.run("issuer", "change", "kc", "--client", "soar", "--client", "siem").code == 0
    shown = terminal.run("issuer", "show", "kc", "--json").json()
    assert shown["clients"] == ["soar", "siem"]
    assert shown["permissions"] == ["Incident.Read.All"], "what was not named stays"
    assert terminal.run("issuer", "change", "kc", "--client", "").code == 0
    assert terminal.run("issuer", "show", "kc", "--json").json()["clients"] == []
    assert terminal.run("issuer", "remove", "kc").code == 0
    assert terminal.run("issuer", "list", "--json").json() == []


def test_the_secret_is_in_a_private_file_and_nowhere_else(terminal: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "secret.txt"
    file.write_text(f"{SECRET}\n")
    add(terminal, "--client-id", "portal", "--client-secret-file", str(file))
    shown = terminal.run("issuer", "show", "kc", "--json")
    assert shown.json()["clientSecret"] is True
    assert SECRET not in shown.out + shown.err + terminal.run("audit", "list", "--json").out
    holding = [path for path in terminal.data_dir.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    (kept,) = holding
    assert kept.parent.name == "issuer-secrets"
    assert kept.stat().st_mode & 0o077 == 0
    assert terminal.run("issuer", "remove", "kc").code == 0
    assert not kept.exists()


def test_entra_requires_the_tenant_of_its_url(terminal: Terminal) -> None:
    add(terminal, "--preset", "entra", url=f"https://login.microsoftonline.com/{TENANT}/v2.0")
    assert terminal.run("issuer", "show", "kc", "--json").json()["require"] == {"tid": TENANT}
    refused = terminal.run(
        "issuer", "add", "x", "https://login.microsoftonline.com/common/v2.0", "--preset", "entra", "--audience", "a"
    )
    assert refused.code == 1
    assert "never `common`" in refused.err


@pytest.mark.parametrize(
    ("url", "more", "words"),
    [
        (URL, (), "--audience"),
        ("http://kc.example.org", ("--audience", "a"), "https"),
        ("http://127.0.0.1:8080", ("--audience", "a"), "--plain-loopback"),
        ("https://127.0.0.1:8443/default/v2.0", ("--audience", "a"), "built-in"),
        (URL, ("--audience", "a", "--client-id", "a"), "--client-id"),
        (URL, ("--audience", "a", "--map", "x=Nothing"), "no permission"),
        (URL, ("--audience", "a", "--map", "x"), "VALUE=OURS"),
        (URL, ("--audience", "a", "--role", "No such role"), "no role"),
        (URL, ("--audience", "a", "--preset", "okta"), "--preset"),
        (URL, ("--audience", "a", "--algorithm", "HS256"), "--algorithm"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_option_to_change(
    terminal: Terminal, url: str, more: tuple[str, ...], words: str
) -> None:
    add(terminal, name="first", url="https://first.example")
    done = terminal.run("issuer", "add", "kc", url, *more)
    assert done.code == 1
    assert words in done.err
    assert [each["name"] for each in terminal.run("issuer", "list", "--json").json()] == ["first"]


def test_an_issuer_belongs_to_one_tenant(terminal: Terminal) -> None:
    add(terminal)
    assert terminal.run("tenant", "create", "second").code == 0
    done = terminal.run("issuer", "add", "kc", URL, "--audience", "a", "--tenant", "second")
    assert done.code == 1
    assert "one tenant alone" in done.err
    assert terminal.run("issuer", "list", "--tenant", "second", "--json").json() == []


def test_an_issuer_that_does_not_answer_is_told_by_check(terminal: Terminal) -> None:
    add(terminal, "--plain-loopback", url=f"http://127.0.0.1:{free_port()}")
    done = terminal.run("issuer", "check", "kc")
    assert done.code == 1
    assert "cannot be asked" in done.err


def test_the_secret_of_one_issuer_is_not_that_of_another(terminal: Terminal) -> None:
    add(terminal)
    add(terminal, name="other", url="https://other.example")
    with_secret, without = ForeignIssuers(open_reader(terminal.data_dir / DATABASE_NAME)).list_all()
    write_issuer_secret(terminal.data_dir, with_secret, SECRET)
    names = {each.name: terminal.run("issuer", "show", each.name, "--json").json() for each in (with_secret, without)}
    assert [names[each.name]["clientSecret"] for each in (with_secret, without)] == [True, False]
