"""The TLS material is made at the first start, kept, renewed when due, and never written over when damaged."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509

from tocsin.errors import StoreError
from tocsin.identity.authority import AUTHORITY_DAYS, RENEW_DAYS, SERVER_DAYS, ensure_tls
from tocsin.ticks import DAY

NOW = 17_000_000_000_000_000
HOSTS = ("127.0.0.1", "localhost", "tocsin.example")


def _names(path: Path) -> set[str]:
    certificate = x509.load_pem_x509_certificates(path.read_bytes())[0]
    named = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(name.value) for name in named}


def test_the_first_start_makes_private_files_and_the_second_keeps_them(tmp_path: Path) -> None:
    files = ensure_tls(tmp_path, HOSTS, NOW)
    folder = tmp_path / "tls"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert before.keys() == {"ca.pem", "ca-key.pem", "server.pem"}
    assert b"PRIVATE" not in files.authority.read_bytes()
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    ensure_tls(tmp_path, HOSTS, NOW + DAY)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_the_certificate_has_loopback_and_the_given_hosts(tmp_path: Path) -> None:
    assert _names(ensure_tls(tmp_path, HOSTS, NOW).server) == {"localhost", "127.0.0.1", "::1", "tocsin.example"}


@pytest.mark.parametrize(
    ("hosts", "later"),
    [(("other.example",), 0), (HOSTS, (SERVER_DAYS - RENEW_DAYS + 1) * DAY), (HOSTS, -2 * DAY)],
    ids=["names changed", "near its end", "clock before its begin"],
)
def test_the_server_certificate_is_renewed_and_the_authority_kept(
    tmp_path: Path, hosts: tuple[str, ...], later: int
) -> None:
    files = ensure_tls(tmp_path, HOSTS, NOW)
    server, authority = files.server.read_bytes(), files.authority.read_bytes()
    ensure_tls(tmp_path, hosts, NOW + later)
    assert files.server.read_bytes() != server
    assert files.authority.read_bytes() == authority
    assert _names(files.server) >= set(hosts)


def test_a_server_certificate_of_another_authority_is_replaced(tmp_path: Path) -> None:
    files = ensure_tls(tmp_path / "a", HOSTS, NOW)
    foreign = ensure_tls(tmp_path / "b", HOSTS, NOW).server.read_bytes()
    files.server.write_bytes(foreign)
    ensure_tls(tmp_path / "a", HOSTS, NOW)
    assert files.server.read_bytes() != foreign


@pytest.mark.parametrize("name", ["ca-key.pem", "server.pem"])
def test_a_key_beside_another_certificate_is_damage(tmp_path: Path, name: str) -> None:
    ensure_tls(tmp_path / "a", HOSTS, NOW)
    ensure_tls(tmp_path / "b", HOSTS, NOW)
    path, other = tmp_path / "a" / "tls" / name, tmp_path / "b" / "tls" / name
    end = b"-----END PRIVATE KEY-----\n"
    path.write_bytes(other.read_bytes().partition(end)[0] + end + path.read_bytes().partition(end)[2])
    with pytest.raises(StoreError, match="do not belong together"):
        ensure_tls(tmp_path / "a", HOSTS, NOW)


def test_a_lost_public_copy_is_written_again(tmp_path: Path) -> None:
    files = ensure_tls(tmp_path, HOSTS, NOW)
    content = files.authority.read_bytes()
    files.authority.unlink()
    ensure_tls(tmp_path, HOSTS, NOW)
    assert files.authority.read_bytes() == content


@pytest.mark.parametrize("name", ["ca-key.pem", "server.pem", "ca.pem"])
@pytest.mark.parametrize("damage", [lambda c: b"", lambda c: b"x" + c[9:], lambda c: c[: len(c) // 3]])
def test_a_damaged_file_is_named_and_left_alone(tmp_path: Path, name: str, damage: Callable[[bytes], bytes]) -> None:
    ensure_tls(tmp_path, HOSTS, NOW)
    path = tmp_path / "tls" / name
    damaged = damage(path.read_bytes())
    path.write_bytes(damaged)
    with pytest.raises(StoreError, match=name):
        ensure_tls(tmp_path, HOSTS, NOW)
    assert path.read_bytes() == damaged


def test_a_lost_authority_key_is_not_replaced_behind_the_back_of_those_who_trust_it(tmp_path: Path) -> None:
    ensure_tls(tmp_path, HOSTS, NOW)
    (tmp_path / "tls" / "ca-key.pem").unlink()
    with pytest.raises(StoreError, match="put it back"):
        ensure_tls(tmp_path, HOSTS, NOW)


def test_an_expired_authority_is_said_plainly(tmp_path: Path) -> None:
    ensure_tls(tmp_path, HOSTS, NOW)
    with pytest.raises(StoreError, match="expired"):
        ensure_tls(tmp_path, HOSTS, NOW + (AUTHORITY_DAYS + 1) * DAY)


def test_a_folder_that_cannot_be_made_is_said_plainly(tmp_path: Path) -> None:
    (tmp_path / "tls").write_text("a file where the folder should be")
    with pytest.raises(StoreError, match="private"):
        ensure_tls(tmp_path, HOSTS, NOW)
