"""Noticing that a file is another sender's than was said, before all of it is kept as refused input."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final

from tocsin.alertfiles import Record
from tocsin.errors import Refused
from tocsin.senders import REGISTRY
from tocsin.shipping import Outcome

REFUSED_ALONE_MAX: Final = 100
"""So many refusals with nothing else beside them are a mistake about the whole file."""
_TRIED_MAX: Final = 20


class Suspicion:
    """Watches what becomes of the first records, until one of them was taken."""

    def __init__(self, sender: str) -> None:
        self._sender, self._refused, self._allayed = sender, 0, False
        self._bodies: list[bytes] = []

    def arises(self, records: Sequence[Record], outcome: Outcome) -> bool:
        """Whether, with these records, nothing but refusals was heard for too long."""
        self._allayed = self._allayed or outcome.alerts > outcome.refused
        if self._allayed:
            return False
        self._refused += outcome.refused
        refused = {each.line for each in outcome.refused_lines}
        bodies = (record.body for record in records if record.line in refused)
        self._bodies += islice(bodies, _TRIED_MAX - len(self._bodies))
        return self._refused >= REFUSED_ALONE_MAX

    def told(self) -> str:
        """What was noticed, and which sender they are rather of."""
        likely = likely_sender(self._bodies, but=self._sender)
        rather = f"they look like those of --sender {likely}." if likely else "is --sender right?"
        return f"all of the first {self._refused} alerts were refused; {rather}"


def likely_sender(bodies: Iterable[bytes], *, but: str) -> str | None:
    """The sender that reads most of these, and more than half; None where there is none."""
    tried = list(bodies)
    best, most = None, len(tried) / 2
    for name in REGISTRY:
        read = sum(_reads(name, body) for body in tried) if name != but else 0
        if read > most:
            best, most = name, read
    return best


def _reads(name: str, body: bytes) -> float:
    """1 for an alert; a little less for what the sender knows as none, since a careless one would know anything so."""
    try:
        return 1 if REGISTRY[name].normalise(body) is not None else 0.9
    except Refused:
        return 0
