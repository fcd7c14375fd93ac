"""Sending to a running server: files, growing files, what was refused, and tokens to read it back."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from shell import Background, Terminal, online_fixture, serve, served_fixture, spawn, terminal_fixture  # noqa: F401  fixtures

from house import lines, native
from tocsin.local import SERVER_FILE, find_server
from tocsin.stores.sqlite.connection import DATABASE_NAME, open_reader


def alerts(first: int, count: int) -> list[dict[str, Any]]:
    return [native(number) for number in range(first, first + count)]


def stored(data_dir: Path, prefix: str) -> list[str]:
    """Identities of the stored alerts that begin so, each as often as it is there."""
    connection = open_reader(data_dir / DATABASE_NAME)
    query = "SELECT identity FROM alert WHERE superseded_by IS NULL AND identity LIKE ? ORDER BY alert_number"
    found = [str(row[0]) for row in connection.execute(query, (f"%{prefix}%",))]
    connection.close()
    return found


def test_a_file_is_sent_once_and_repeats_are_recognised(online: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "alerts.jsonl"
    file.write_bytes(lines(alerts(1000, 250)))
    first = online.run("ingest", "--sender", "native", str(file), "--batch", "100", "--json")
    assert first.json() == {"created": 250, "duplicate": 0, "refused": 0, "skipped": 0, "refusedLines": []}
    again = online.run("ingest", "--sender", "native", str(file))
    assert (again.code, again.out) == (0, "created 0, duplicate 250, refused 0, skipped 0\n")


def test_packed_files_arrays_and_standard_input_are_taken(online: Terminal, tmp_path: Path) -> None:
    packed, array = tmp_path / "a.gz", tmp_path / "b.json"
    packed.write_bytes(gzip.compress(lines(alerts(2000, 3))))
    array.write_text(json.dumps(alerts(2003, 2), indent=2))
    assert online.run("ingest", "-s", "native", str(packed), str(array), "--json").json()["created"] == 5
    ran = spawn(online.data_dir, "ingest", "-s", "native", "-", stdin=lines(alerts(2005, 1)))
    assert (ran.code, ran.out) == (0, "created 1, duplicate 0, refused 0, skipped 0\n")


def test_refused_lines_are_shown_with_their_line_and_exit_code_3(online: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "alerts.jsonl"
    file.write_bytes(lines(alerts(3000, 2)) + b'\n\n{"title": "no time"}\n[broken\n' + lines(alerts(3002, 1)))
    ran = online.run("ingest", "-s", "native", str(file), "--batch", "2")
    assert (ran.code, ran.out) == (3, "created 3, duplicate 0, refused 2, skipped 0\n")
    assert "line 4 refused" in ran.err
    assert "line 5 refused" in ran.err


def test_only_the_first_refused_lines_are_shown(online: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "alerts.jsonl"
    file.write_bytes(b'{"title": 1}\n' * 25)
    ran = online.run("ingest", "-s", "native", str(file))
    assert ran.err.count(" refused: ") == 20
    assert len([each for each in online.run("refused", "list", "--json").json() if each["body"] == '{"title": 1}']) == 1
    assert "and 5 more" in ran.err


def test_refused_input_is_listed_and_retried_until_all_had_their_turn(online: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "alerts.jsonl"
    file.write_bytes(b"\n".join(b'{"title": "retried %d"}' % number for number in range(3)))
    online.run("ingest", "-s", "native", str(file))
    before = online.run("refused", "list", "--json", "--top", "1000").json()
    assert {'{"title": "retried 1"}'} <= {each["body"] for each in before}
    one = online.run("refused", "retry", str(before[0]["refusedId"]))
    assert (one.code, one.out) == (3, "created 0, duplicate 0, refused 1, skipped 0\n")
    everything = online.run("refused", "retry", "--all")
    assert everything.out == f"created 0, duplicate 0, refused {len(before)}, skipped 0\n"
    after = online.run("refused", "list", "--json", "--top", "1000").json()
    assert sorted(each["body"] for each in after) == sorted(each["body"] for each in before)
    assert online.run("refused", "retry", "1").code == 1
    assert online.run("refused", "retry").code == 1


def eve(count: int) -> bytes:
    """So many alerts as Suricata writes them."""
    return b"".join(
        b'{"timestamp":"2026-03-02T09:00:00.%06d+0000","flow_id":%d,"event_type":"alert","src_ip":"10.0.0.1",'
        b'"src_port":4000,"dest_ip":"10.0.0.2","dest_port":80,"proto":"TCP","alert":{"action":"allowed","gid":1,'
        b'"signature_id":2001,"rev":1,"signature":"Invented","category":"Misc activity","severity":2}}\n'
        % (number, number)
        for number in range(count)
    )


def test_a_file_of_another_sender_is_noticed_and_can_be_read_as_that_ones(online: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "eve.json"
    file.write_bytes(eve(300))
    online.run("refused", "delete", "--all", "--yes")
    ran = online.run("ingest", "-s", "wazuh", str(file))
    assert (ran.code, ran.out) == (1, "created 0, duplicate 0, refused 100, skipped 0\n")
    assert "look like those of --sender suricata" in ran.err
    assert len(online.run("refused", "list", "--top", "1000", "--json").json()) == 100
    going = online.run("ingest", "-s", "wazuh", str(file), "--keep-going")
    assert (going.code, going.out) == (3, "created 0, duplicate 0, refused 300, skipped 0\n")
    kept = online.run("refused", "list", "--top", "1000", "--json").json()
    assert len(kept) == 300  # those of the first time were not kept again
    again = online.run("refused", "retry", "--all", "--from", "wazuh", "--sender", "suricata")
    assert (again.code, again.out) == (0, "created 300, duplicate 0, refused 0, skipped 0\n")
    assert online.run("refused", "list", "--json").json() == []


def test_refused_inputs_are_deleted_when_that_is_meant(online: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "alerts.jsonl"
    file.write_bytes(b"".join(b'{"title": "thrown away %d"}\n' % number for number in range(3)))
    online.run("refused", "delete", "--all", "--yes")
    online.run("ingest", "-s", "native", str(file))
    ids = [str(each["refusedId"]) for each in online.run("refused", "list", "--json").json()]
    assert "--yes" in online.run("refused", "delete", ids[0]).err
    assert online.run("refused", "delete", "--sender", "wazuh", "--yes").out == "deleted 0\n"
    assert online.run("refused", "delete", ids[0], "--yes").out == "deleted 1\n"
    assert online.run("refused", "delete", ids[0], "--yes").code == 1
    assert online.run("refused", "delete", "--sender", "native", "--yes").out == "deleted 2\n"
    assert online.run("refused", "delete", "--yes").code == 1


def test_what_was_taken_before_the_end_of_patience_is_told(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    server = serve(data_dir)
    file = tmp_path / "alerts.jsonl"
    file.write_bytes(lines(alerts(1, 150)))
    os.mkfifo(tmp_path / "pipe")
    sending = Background(
        "--data-dir", str(data_dir), "ingest", "-s", "native", str(file), str(tmp_path / "pipe"), "--patience", "0"
    )
    with (tmp_path / "pipe").open("wb") as pipe:
        while len(stored(data_dir, "p")) < 150:
            pass
        server.stop()
        pipe.write(lines(alerts(151, 1)))
    sending.until("created 150, duplicate 0, refused 0, skipped 0")
    sending.until("did not take this")
    assert sending.process.wait() == 1
    sending.stop()


def test_what_was_acknowledged_before_ctrl_c_is_told(served: Path, tmp_path: Path) -> None:
    file = tmp_path / "alerts.jsonl"
    file.write_bytes(lines([native(0, providerAlertId=f"interrupted-{number}") for number in range(120)]))
    os.mkfifo(tmp_path / "pipe")
    sending = Background("--data-dir", str(served), "ingest", "-s", "native", str(file), str(tmp_path / "pipe"))
    with (tmp_path / "pipe").open("wb"):  # open at both ends: the first file has been sent and answered for
        assert sending.stop(signal.SIGINT) == 130
    assert "created 120, duplicate 0, refused 0, skipped 0" in sending.lines


def test_what_cannot_work_is_said_in_one_line(online: Terminal, tmp_path: Path) -> None:
    for arguments, words in (
        (("-s", "nobody", "x"), "there are native"),
        (("-s", "native", str(tmp_path / "absent")), "cannot be read"),
        (("-s", "native", "-", "--follow"), "--follow needs files"),
        (("-s", "native", "x", "--url", "https://localhost:1"), "--url needs --key"),
        (("-s", "native", "x", "--url", "http://tocsin.example.org", "--key", "k"), "--url must be like https://"),
        (("-s", "native", str(tmp_path), "--follow"), "cannot be read"),
    ):
        ran = online.run("ingest", *arguments)
        assert (ran.code, ran.err.count("\n")) == (1, 1), ran.err
        assert words in ran.err


def test_without_a_server_the_way_to_start_one_is_said(terminal: Terminal, tmp_path: Path) -> None:
    ran = terminal.run("ingest", "-s", "native", str(tmp_path / "x"))
    assert ran.code == 1
    assert f"tocsin --data-dir {terminal.data_dir} serve" in ran.err


def test_a_remote_server_is_named_with_its_key_and_certificate(online: Terminal, tmp_path: Path) -> None:
    server = find_server(online.data_dir)
    assert server is not None
    key = online.run("key", "create", "far away", "--json").json()["key"]
    file = tmp_path / "alerts.jsonl"
    file.write_bytes(lines(alerts(4000, 1)))
    elsewhere = ["--data-dir", str(tmp_path / "elsewhere"), "ingest", "-s", "native", str(file), "--url", server.url]
    certificate = ["--cacert", str(online.data_dir / "tls" / "ca.pem")]
    assert online.run(*elsewhere, "--key", key, *certificate, "--json").json()["created"] == 1
    assert "does not take this key" in online.run(*elsewhere, "--key", f"{key[:-1]}x", *certificate).err
    assert "--cacert" in online.run(*elsewhere, "--key", key).err


def test_a_token_is_printed_alone_and_the_secret_stays_off_the_command_line(
    online: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = online.run("app", "create", "siem", "-p", "Incident.Read.All", "--json").json()
    monkeypatch.setenv("SIEM_SECRET", made["secret"])
    ran = online.run("token", "--app", made["appId"], "--secret-env", "SIEM_SECRET")
    assert ran.code == 0
    assert ran.out.count(".") == 2
    piped = spawn(
        online.data_dir, "token", "--app", made["appId"], "--secret-stdin", stdin=made["secret"].encode() + b"\n"
    )
    assert piped.out.count(".") == 2
    wrong = spawn(online.data_dir, "token", "--app", made["appId"], "--secret-stdin", stdin=b"wrong\n")
    assert (wrong.code, wrong.out) == (1, "")
    assert "AADSTS7000215" in wrong.err
    assert online.run("token", "--app", made["appId"]).code == 1


class Following:
    """A log with a writer, and a follower that can be killed."""

    def __init__(self, data_dir: Path, folder: Path, name: str) -> None:
        self.path = folder / f"{name}.json"
        self._data_dir, self._name, self._written = data_dir, name, 0
        self.process: Background | None = None

    def start(self) -> None:
        arguments = ["--data-dir", str(self._data_dir), "ingest", "-s", "native", "--batch", "20", "--follow"]
        self.process = Background(*arguments, str(self.path))

    def end(self, number: int) -> int:
        assert self.process is not None
        return self.process.stop(number)

    def write(self, count: int) -> None:
        """Append alerts; their identities go on counting."""
        found = [native(0, providerAlertId=f"{self._name}-{self._written + each:05}") for each in range(count)]
        self._written += count
        with self.path.open("ab") as file:
            file.write(lines(found) + b"\n")

    def rename(self, number: int = 1) -> None:
        self.path.rename(self.path.with_name(f"{self.path.name}.{number}"))

    def copy_and_cut(self) -> None:
        self.path.with_name(f"{self.path.name}.1").write_bytes(self.path.read_bytes())
        os.truncate(self.path, 0)

    def arrived(self, count: int) -> None:
        """Wait until that many are stored. The test's own time limit is the end of patience."""
        assert self.process is not None
        while len(stored(self._data_dir, self._name)) < count:
            with suppress(subprocess.TimeoutExpired):
                raise AssertionError(f"the follower ended with {self.process.process.wait(0.05)}")

    def everything_once(self) -> bool:
        found = stored(self._data_dir, self._name)
        return len(found) == self._written == len(set(found))


@pytest.mark.timeout(60)
def test_a_followed_file_arrives_once_through_both_rotations(served: Path, tmp_path: Path) -> None:
    log = Following(served, tmp_path, "rotating")
    log.start()
    log.write(30)
    log.arrived(30)
    log.write(30)
    log.rename()
    log.write(30)
    log.arrived(90)
    log.write(5)
    log.copy_and_cut()
    log.write(30)
    log.arrived(125)
    assert log.end(signal.SIGINT) == 0
    assert log.everything_once()
    assert log.process is not None
    assert "created 125, duplicate 0" in log.process.lines[-1]
    assert any("rotated by renaming" in line for line in log.process.lines)
    assert any("rotated by copying" in line for line in log.process.lines)


@pytest.mark.timeout(60)
def test_a_follower_that_is_killed_goes_on_without_loss_or_repeats(served: Path, tmp_path: Path) -> None:
    log = Following(served, tmp_path, "killed")
    log.write(2000)
    log.start()
    log.arrived(100)
    assert log.end(signal.SIGKILL) == -signal.SIGKILL
    log.write(100)
    log.rename()
    log.write(100)
    log.start()
    log.arrived(2200)
    log.end(signal.SIGINT)
    assert log.everything_once()


@pytest.mark.timeout(60)
def test_two_followers_of_one_file_are_not_let_at_it(served: Path, tmp_path: Path, online: Terminal) -> None:
    log = Following(served, tmp_path, "contended")
    log.write(1)
    log.start()
    log.arrived(1)
    assert "already being followed" in online.run("ingest", "-s", "native", "--follow", str(log.path)).err
    log.end(signal.SIGINT)


@pytest.mark.timeout(60)
def test_a_follower_outlives_its_server_and_finds_the_next_one(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    server = serve(data_dir)
    log = Following(data_dir, tmp_path, "patient")
    log.write(10)
    log.start()
    log.arrived(10)
    server.stop(signal.SIGKILL)
    assert (data_dir / SERVER_FILE).exists()  # it could not take back its word
    log.write(10)
    assert log.process is not None
    log.process.until("no server is running")
    server = serve(data_dir)  # on another port
    log.arrived(20)
    log.process.until("the server takes alerts again")
    log.end(signal.SIGINT)
    server.stop()
    assert log.everything_once()
