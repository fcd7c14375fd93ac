"""The audit log as rules: any manipulation older than the last checkpoint is found, and repeats fold."""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable

import msgspec
import pytest

from tocsin.audit import (
    ANONYMOUS_MAX,
    GENESIS,
    OTHERS,
    Action,
    Checkpoint,
    Deed,
    Folding,
    Kind,
    Outcome,
    Row,
    decode_record,
    encode_deed,
    redacted,
    seal_of,
    verify,
)
from tocsin.ticks import MINUTE, SECOND, parse_ticks

START = parse_ticks("2026-03-02T09:00:00Z")
SEEDS = (20260302, 7, secrets.randbits(32))
MANIPULATIONS_PER_SEED = 200


def deed(number: int = 0, **fields: object) -> Deed:
    """Something that an application did, `number` seconds after the start."""
    values = {
        "at": START + number * SECOND,
        "actor": "app:5f0b6a0e-1111-4222-8333-444444444444",
        "address": "192.0.2.7",
        "action": Action.READ,
        "target": f"GET /api/incidents/{number}",
        **fields,
    }
    return msgspec.convert(values, Deed)


def sealed(records: list[bytes], first: int = 1, previous: bytes = GENESIS) -> list[Row]:
    """A sound chain of these records."""
    rows = []
    for sequence, record in enumerate(records, first):
        previous = seal_of(previous, record)
        rows.append(Row(sequence, record, previous))
    return rows


def mark(row: Row, kind: Kind = Kind.CHECKPOINT) -> Checkpoint:
    return Checkpoint(kind=kind, sequence=row.sequence, seal=row.seal, at="2026-03-02T10:00:00.0000000Z", key="k")


LOG = sealed([encode_deed(deed(number)) for number in range(1, 61)])
MARKS = [mark(LOG[19]), mark(LOG[39]), mark(LOG[49])]
"""The last ten records are newer than the last checkpoint."""
WATCHED = 50


def edit(rows: list[Row], at: int, rng: random.Random) -> list[Row]:
    record = bytearray(rows[at].record)
    record[rng.randrange(len(record))] ^= 1 << rng.randrange(8)
    return [*rows[:at], msgspec.structs.replace(rows[at], record=bytes(record)), *rows[at + 1 :]]


def edit_seal(rows: list[Row], at: int, rng: random.Random) -> list[Row]:
    return [*rows[:at], msgspec.structs.replace(rows[at], seal=rng.randbytes(32)), *rows[at + 1 :]]


def delete(rows: list[Row], at: int, rng: random.Random) -> list[Row]:
    return rows[:at] + rows[at + rng.randint(1, 3) :]


def delete_and_number_anew(rows: list[Row], at: int, rng: random.Random) -> list[Row]:
    kept = rows[:at] + rows[at + rng.randint(1, 3) :]
    return [msgspec.structs.replace(row, sequence=number) for number, row in enumerate(kept, 1)]


def swap(rows: list[Row], at: int, rng: random.Random) -> list[Row]:
    other = rng.choice([each for each in range(len(rows)) if each != at])
    swapped = list(rows)
    swapped[at] = msgspec.structs.replace(rows[other], sequence=rows[at].sequence)
    swapped[other] = msgspec.structs.replace(rows[at], sequence=rows[other].sequence)
    return swapped


def insert(rows: list[Row], at: int, rng: random.Random) -> list[Row]:
    record = encode_deed(deed(rng.randrange(10_000)))
    previous = rows[at - 1].seal if at else GENESIS
    inserted = [*rows[:at], Row(0, record, seal_of(previous, record)), *rows[at:]]
    return [msgspec.structs.replace(row, sequence=number) for number, row in enumerate(inserted, 1)]


def cut_the_end(rows: list[Row], at: int, _rng: random.Random) -> list[Row]:
    return rows[:at]


def cut_the_beginning(rows: list[Row], at: int, _rng: random.Random) -> list[Row]:
    return rows[at + 1 :]


def cut_the_beginning_and_number_anew(rows: list[Row], at: int, _rng: random.Random) -> list[Row]:
    return [msgspec.structs.replace(row, sequence=number) for number, row in enumerate(rows[at + 1 :], 1)]


def seal_anew_after_an_edit(rows: list[Row], at: int, rng: random.Random) -> list[Row]:
    return sealed([row.record for row in edit(rows, at, rng)])


def seal_anew_after_a_deletion(rows: list[Row], at: int, rng: random.Random) -> list[Row]:
    return sealed([row.record for row in delete(rows, at, rng)])


def seal_anew_after_an_insertion(rows: list[Row], at: int, rng: random.Random) -> list[Row]:
    return sealed([row.record for row in insert(rows, at, rng)])


def end_otherwise(rows: list[Row], at: int, rng: random.Random) -> list[Row]:
    """Cut, and go on with other records that are sealed soundly."""
    others = [encode_deed(deed(rng.randrange(10_000))) for _ in rows[at:]]
    return sealed([row.record for row in rows[:at]] + others)


BREAKING: list[Callable[[list[Row], int, random.Random], list[Row]]] = [
    edit,
    edit_seal,
    delete,
    delete_and_number_anew,
    swap,
    insert,
    cut_the_beginning,
    cut_the_beginning_and_number_anew,
]
"""What breaks the chain itself."""
SEALED_ANEW = [
    cut_the_end,
    seal_anew_after_an_edit,
    seal_anew_after_a_deletion,
    seal_anew_after_an_insertion,
    end_otherwise,
]
"""What leaves a sound chain behind: only a checkpoint tells."""


def test_an_untouched_log_is_sound() -> None:
    verdict = verify(LOG, MARKS)
    assert (verdict.findings, verdict.records, verdict.last, verdict.watched_to) == ((), 60, 60, 50)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_manipulation_older_than_the_last_checkpoint_is_found(seed: int) -> None:
    print(f"seed {seed}")
    rng, kinds = random.Random(seed), BREAKING + SEALED_ANEW
    for number in range(MANIPULATIONS_PER_SEED):
        manipulate, at = kinds[number % len(kinds)], rng.randrange(WATCHED)
        manipulated = manipulate(LOG, at, rng)
        if manipulated == LOG:
            continue
        assert verify(manipulated, MARKS).findings, f"{manipulate.__name__} at {at}, seed {seed}"


@pytest.mark.parametrize("manipulate", SEALED_ANEW)
def test_without_checkpoints_a_chain_that_was_cut_or_sealed_anew_looks_sound(
    manipulate: Callable[[list[Row], int, random.Random], list[Row]],
) -> None:
    """The control: this is what the checkpoints are for."""
    manipulated = manipulate(LOG, 30, random.Random(1))
    assert not verify(manipulated, []).findings
    assert verify(manipulated, MARKS).findings


@pytest.mark.parametrize("manipulate", BREAKING)
def test_without_checkpoints_what_breaks_the_chain_is_found_all_the_same(
    manipulate: Callable[[list[Row], int, random.Random], list[Row]],
) -> None:
    assert verify(manipulate(LOG, 30, random.Random(1)), []).findings


def test_a_cut_newer_than_the_last_checkpoint_cannot_show() -> None:
    """What is promised ends there, and the verdict says where."""
    verdict = verify(LOG[:55], MARKS)
    assert (verdict.findings, verdict.watched_to) == ((), 50)


def test_an_emptied_log_is_found() -> None:
    (finding,) = verify([], MARKS).findings
    assert "1 to 50 are missing" in finding.problem


def test_findings_are_bounded() -> None:
    broken = [msgspec.structs.replace(row, seal=b"x" * 32) for row in LOG * 5]
    assert len(verify(broken, []).findings) <= 101


def test_what_was_pruned_with_a_signed_note_is_not_missing() -> None:
    note = mark(LOG[24], Kind.PRUNED)
    assert not verify(LOG[25:], [*MARKS, note]).findings
    assert verify(LOG[26:], [*MARKS, note]).findings, "one more than the note says"
    assert not verify(LOG, [*MARKS, note]).findings, "noted, and then not removed: a crash between the two"
    assert not verify([], [mark(LOG[59], Kind.PRUNED)]).findings
    assert verify(LOG[25:], [*MARKS, mark(LOG[24])]).findings, "a checkpoint is no permission to remove"


def test_a_record_says_what_was_done_and_no_more_than_fits() -> None:
    record = decode_record(encode_deed(deed(3, detail="x" * 1000, name="lone \ud800 surrogate", count=4)))
    assert record is not None
    assert (record.at, record.action, record.count) == ("2026-03-02T09:00:03.0000000Z", Action.READ, 4)
    assert len(record.detail) == 300
    assert decode_record(b"{") is None
    assert decode_record(b"[" * 100_000) is None


@pytest.mark.parametrize(
    "secret",
    [
        "tocsin_0123456789abcdef_" + "ab" * 32,
        "ab" * 32,
        "eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJhIn0.c2lnbmF0dXJl",
        "eyJhbGciOiJSUzI1NiJ9",
    ],
)
def test_what_looks_like_a_secret_is_not_kept(secret: str) -> None:
    assert secret not in redacted(f"title eq '{secret}' and {secret}")
    assert secret.encode() not in encode_deed(deed(detail=f"code={secret}", target=f"GET /x/{secret}", name=secret))


def test_ordinary_text_is_kept() -> None:
    for text in (
        "status eq 'Active'",
        "5f0b6a0e-1111-4222-8333-444444444444",
        "da39a3ee5e6b4b0d3255bfef95601890afd80709",
    ):
        assert redacted(text) == text


def test_a_poller_leaves_two_records_a_minute() -> None:
    folding, written = Folding(), []
    for number in range(3000):
        written += folding.note(deed(at=START + number * SECOND // 50, target="GET /api/incidents"))
    written += folding.sweep(START + MINUTE)
    assert [(each.count, each.until) for each in written] == [(1, 0), (2999, START + 2999 * SECOND // 50)]


def test_the_first_of_equal_deeds_is_written_at_once_and_others_apart() -> None:
    folding = Folding()
    assert folding.note(deed(1)) == [deed(1)]
    other = deed(1, address="192.0.2.8")
    refused = deed(1, outcome=Outcome.REFUSED)
    assert folding.note(other) == [other]
    assert folding.note(refused) == [refused]
    assert folding.note(deed(1)) == []
    assert [each.count for each in folding.close()] == [1]
    assert folding.close() == []


def test_a_clock_set_back_ends_a_window() -> None:
    folding = Folding()
    folding.note(deed(at=START))
    folding.note(deed(at=START))
    assert [each.count for each in folding.sweep(START - MINUTE)] == [1]


def test_open_windows_are_bounded_and_nothing_counted_is_lost() -> None:
    folding, written = Folding(open_max=10), []
    for number in range(100):
        written += folding.note(deed(number, at=START))
        written += folding.note(deed(number, at=START))
    assert sum(each.count for each in [*written, *folding.close()]) == 200


def test_strangers_with_many_addresses_become_others() -> None:
    folding, written = Folding(), []
    for number in range(10 * ANONYMOUS_MAX):
        written += folding.note(deed(at=START, actor="", address=f"2001:db8::{number:x}", outcome=Outcome.REFUSED))
    written += folding.close()
    assert len(written) <= ANONYMOUS_MAX + 2
    assert sum(each.count for each in written) == 10 * ANONYMOUS_MAX
    assert written[-1].address == OTHERS
