"""What a follower says of itself: changes at once, and otherwise a line a minute."""

from __future__ import annotations

import pytest

from tocsin.alertfiles import Record
from tocsin.cli.following import Status
from tocsin.cli.wrong_sender import Suspicion, likely_sender
from tocsin.shipping import Outcome, RefusedLine, Waiting


class Seconds:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


def test_a_tally_is_said_once_a_minute_and_only_when_there_is_more(capsys: pytest.CaptureFixture[str]) -> None:
    clock, total = Seconds(), Outcome()
    status = Status(total, clock)
    for second in range(0, 300, 10):
        clock.at = second
        total.created += second < 100
        status.tally()
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "so far: created 7, duplicate 0, refused 0, skipped 0",
        "so far: created 10, duplicate 0, refused 0, skipped 0",
    ]


def test_a_wait_is_said_when_its_reason_is_new_and_once_a_minute(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Seconds()
    status = Status(Outcome(), clock)
    for second in range(0, 90, 10):
        clock.at = second
        status.waiting(Waiting("busy", 10))
    status.waiting(Waiting("gone", 10))
    status.back(100)
    status.waiting(Waiting("gone", 1))
    said = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[-1] for line in said] == [
        "busy",
        "busy",
        "gone",
        "the server takes alerts again, after 100 s",
        "gone",
    ]


def refusals(count: int, *, others: int = 0) -> tuple[list[Record], Outcome]:
    records = [Record(number, b"{}") for number in range(count + others)]
    lines = [RefusedLine(number, "is bad") for number in range(count)]
    return records, Outcome(skipped=others, refused=count, refused_lines=lines)


def test_a_hundred_refusals_with_nothing_beside_them_are_suspicious() -> None:
    suspicion = Suspicion("native")
    assert not suspicion.arises(*refusals(99))
    assert suspicion.arises(*refusals(1))


def test_one_record_that_was_taken_allays_it_for_good() -> None:
    suspicion = Suspicion("native")
    assert not suspicion.arises(*refusals(99, others=1))
    assert not suspicion.arises(*refusals(500))


def test_no_sender_is_named_for_what_nobody_reads() -> None:
    assert likely_sender([b"{}", b'{"a": 1}'], but="native") is None
    assert likely_sender([], but="native") is None
