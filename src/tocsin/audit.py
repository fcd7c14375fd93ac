"""The audit log as rules: what a record says, how records are sealed into a chain, how repeats fold, what verifying is.

A seal is SHA-256 over the seal before and the record's bytes, so that no record can be changed, taken out, put in or
moved without every later seal changing. Who can write all later seals anew is found by a checkpoint: a signed copy of
one seal that was kept elsewhere (ADR 8). Pure: storing is `stores/sqlite/auditing.py`, keys and files `checkpoints.py`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final

import msgspec

from tocsin.ticks import MINUTE, format_ticks

GENESIS: Final = bytes(32)
"""The seal before the first record."""
TEXT_MAX: Final = 300
FOLD_TICKS: Final = MINUTE
OPEN_MAX: Final = 10_000
ANONYMOUS_MAX: Final = 200
"""Distinct deeds of nobody in particular that are told apart in a minute: a stranger must not fill the disk."""
OTHERS: Final = "(others)"

# Our keys, JSON Web Tokens, and 64 hex digits as secrets, session ids and codes have them (`identity/credentials.py`).
_SECRETS: Final = re.compile(
    r"tocsin_[0-9a-f]{16}_[0-9a-f]+|eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){0,4}|(?<![0-9A-Za-z])[0-9a-fA-F]{64}(?![0-9A-Za-z])"
)


class Action(StrEnum):
    """What kind of deed it was."""

    READ = "read"
    CHANGE = "change"
    EXPORT = "export"
    SIGN_IN = "sign-in"
    SIGN_OUT = "sign-out"
    INGEST = "ingest"
    ADMINISTER = "administer"
    SERVE = "serve"


class Outcome(StrEnum):
    """`refused`: the caller was not known or not allowed. `failed`: it was wrong, too much, or did not work."""

    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"


class Deed(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that somebody did or tried. `at` in ticks; `until` is when the last of `count` equal deeds was.

    `actor` is `app:<GUID>`, `key:<public half>`, `user:<GUID>`, `operator:<user name of the system>`, or empty for
    nobody known; `name` is how it was called then. `tenant` is a GUID or empty. `address` is the client's.
    """

    at: int
    tenant: str = ""
    actor: str = ""
    name: str = ""
    address: str = ""
    action: Action
    target: str
    outcome: Outcome = Outcome.DONE
    detail: str = ""
    count: int = 1
    until: int = 0


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A deed as it is written: times as text. Keys that are at their default are left out."""

    at: str
    tenant: str = ""
    actor: str = ""
    name: str = ""
    address: str = ""
    action: Action
    target: str
    outcome: Outcome = Outcome.DONE
    detail: str = ""
    count: int = 1
    until: str = ""


_encoder: Final = msgspec.json.Encoder()
_decoder: Final = msgspec.json.Decoder(Record)


def redacted(text: str) -> str:
    """The text without what has the form of a secret of ours: tokens, keys, session ids, one-time codes."""
    return _SECRETS.sub("(redacted)", text)


def encode_deed(deed: Deed) -> bytes:
    """The bytes that are stored and hashed: JSON in UTF-8, keys in the order of Record, long texts cut."""
    return _encoder.encode(
        Record(
            at=format_ticks(deed.at),
            tenant=deed.tenant,
            actor=_kept(deed.actor),
            name=_kept(deed.name),
            address=_kept(deed.address),
            action=deed.action,
            target=_kept(deed.target),
            outcome=deed.outcome,
            detail=_kept(deed.detail),
            count=deed.count,
            until=format_ticks(deed.until) if deed.until else "",
        )
    )


def _kept(text: str) -> str:
    cut = text if len(text) <= TEXT_MAX else f"{text[: TEXT_MAX - 1]}…"
    return redacted(cut.encode("utf-8", "replace").decode())


def described(changes: msgspec.Struct) -> str:
    """What a change asks for, for the record of it; of free text (`comment`) only how long it is."""
    parts = []
    for name in changes.__struct_fields__:
        value = getattr(changes, name)
        if value is msgspec.UNSET or (name == "comment" and not value):
            continue
        shown = f"({len(value)} characters)" if name == "comment" else _word(value)
        parts.append(f"{name}={shown}")
    return " ".join(parts)


def _word(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def decode_record(record: bytes) -> Record | None:
    """What a stored record says, or None where it is none (any more)."""
    try:
        return _decoder.decode(record)
    except (msgspec.DecodeError, RecursionError):
        return None


def seal_of(previous: bytes, record: bytes) -> bytes:
    """The seal of a record that follows the one with seal `previous` (32 bytes)."""
    return hashlib.sha256(previous + record).digest()


class Folding:
    """Folds equal deeds: the first is written at once, those of the next minute are counted into one more.

    Equal means the same actor doing the same to the same target from the same address with the same outcome; the
    details of the first stand for all. Bounded: the windows that were opened first leave first.
    """

    def __init__(self, open_max: int = OPEN_MAX, anonymous_max: int = ANONYMOUS_MAX) -> None:
        self._open_max, self._anonymous_max = open_max, anonymous_max
        self._open: dict[tuple[str, ...], tuple[Deed, int, int]] = {}
        self._anonymous = 0

    def note(self, deed: Deed) -> list[Deed]:
        """Take a deed; gives what is to be written now."""
        deed, key = self._keyed(deed)
        found = self._open.get(key)
        if found is not None and found[0].at <= deed.at < found[0].at + FOLD_TICKS:
            self._open[key] = (found[0], found[1] + deed.count, deed.at)
            return []
        written = [] if found is None else self._end(key)
        while len(self._open) >= self._open_max:
            written += self._end(next(iter(self._open)))
        self._open[key] = (deed, 0, deed.at)
        self._anonymous += not deed.actor
        return [*written, deed]

    def sweep(self, now: int) -> list[Deed]:
        """The counts of the windows that have ended by `now`, or that a clock set back left in the future."""
        ended = [key for key, (first, _, _) in self._open.items() if not first.at <= now < first.at + FOLD_TICKS]
        return [deed for key in ended for deed in self._end(key)]

    def close(self) -> list[Deed]:
        """The counts of all windows, which are ended."""
        return [deed for key in list(self._open) for deed in self._end(key)]

    def _keyed(self, deed: Deed) -> tuple[Deed, tuple[str, ...]]:
        key = _key(deed)
        if not deed.actor and self._anonymous >= self._anonymous_max and key not in self._open:
            deed = msgspec.structs.replace(deed, tenant="", address=OTHERS, target=OTHERS, detail="")
            key = _key(deed)
        return deed, key

    def _end(self, key: tuple[str, ...]) -> list[Deed]:
        first, count, last = self._open.pop(key)
        self._anonymous -= not first.actor
        return [msgspec.structs.replace(first, at=first.at, count=count, until=last)] if count else []


def _key(deed: Deed) -> tuple[str, ...]:
    return (deed.tenant, deed.actor, deed.address, deed.action, deed.target, deed.outcome)


class Row(msgspec.Struct, frozen=True):
    """A record as stored: `sequence` is dense from 1."""

    sequence: int
    record: bytes
    seal: bytes


class Kind(StrEnum):
    """`checkpoint` says what the log was at its end; `pruned` that everything up to there was removed on purpose."""

    CHECKPOINT = "checkpoint"
    PRUNED = "pruned"


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A seal kept elsewhere. `seal` and `signature` in base64, `at` in the API's form, `key` names the signing key."""

    kind: Kind
    sequence: int
    seal: bytes
    at: str
    key: str
    signature: bytes = b""

    def signed_bytes(self) -> bytes:
        """What the signature is over."""
        return b"tocsin audit 1\0" + _encoder.encode(msgspec.structs.replace(self, signature=b""))


class Finding(msgspec.Struct, frozen=True):
    """Something that is not as it was written, at or after this record."""

    sequence: int
    problem: str


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What verifying found. Records behind `watched_to` are newer than the last checkpoint: a cut there cannot show."""

    findings: tuple[Finding, ...]
    records: int
    last: int
    watched_to: int


FINDINGS_MAX: Final = 100


def verify(rows: Iterable[Row], checkpoints: Sequence[Checkpoint]) -> Verdict:
    """Compare records, in order of sequence, with each other and with checkpoints whose signatures are good.

    Finds every edit, deletion, insertion, swap and truncation up to the last checkpoint. Without any checkpoint it
    finds what breaks the chain, and neither a cut at the end nor a chain that was sealed anew. The first 100 are told.
    """
    marks: dict[int, list[Checkpoint]] = {}
    for each in checkpoints:
        marks.setdefault(each.sequence, []).append(each)
    findings: list[Finding] = []
    count, last, previous = 0, 0, GENESIS
    for row in rows:
        if not count and row.sequence != 1:
            last, previous = _begin(row, marks, findings)
        if row.sequence != last + 1:
            findings.append(Finding(last + 1, f"records {last + 1} to {row.sequence - 1} are missing"))
        if seal_of(previous, row.record) != row.seal:
            findings.append(Finding(row.sequence, "it was changed or moved, or one before it was taken away"))
        findings += _differences(row.sequence, row.seal, marks)
        count, last, previous = count + 1, row.sequence, row.seal
        if len(findings) >= FINDINGS_MAX:
            return Verdict(findings=tuple(findings), records=count, last=last, watched_to=0)
    watched = max(marks, default=0)
    pruned = max((each.sequence for each in checkpoints if each.kind is Kind.PRUNED), default=0)
    if watched > max(last, 0 if count else pruned):
        newest = marks[watched][0]
        findings.append(Finding(last + 1, f"records {last + 1} to {watched} are missing: they were there {newest.at}"))
    return Verdict(findings=tuple(findings), records=count, last=last, watched_to=min(watched, last))


def _begin(row: Row, marks: dict[int, list[Checkpoint]], findings: list[Finding]) -> tuple[int, bytes]:
    """(sequence, seal) before the first record that is there: what is missing before it must have been pruned."""
    before = row.sequence - 1
    pruned = [each for each in marks.get(before, []) if each.kind is Kind.PRUNED]
    if not pruned:
        findings.append(Finding(1, f"records 1 to {before} are missing, and no signed note says that they were pruned"))
        return before, GENESIS
    return before, pruned[0].seal


def _differences(sequence: int, seal: bytes, marks: dict[int, list[Checkpoint]]) -> list[Finding]:
    return [
        Finding(sequence, f"the log was written anew: its checkpoint of {each.at} has another seal")
        for each in marks.get(sequence, [])
        if each.seal != seal
    ]
