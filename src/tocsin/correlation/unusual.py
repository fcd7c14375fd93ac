"""Unusual things at one moment: evidence where entities cannot link, and how restless a tenant is just now.

In a tenant that is watched for a day, what a rule never did before is rare enough that two such things at one
moment are seldom strangers. How seldom is measured: the key's own rate of incidents fades it (`decay`). What a
moment joins lowers that rate, so a chain could feed itself: a short half-life ends it after three minutes of calm.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import exp2
from typing import Final

import msgspec

from tocsin import ticks
from tocsin.correlation.evidence import Evidence, key_of
from tocsin.correlation.habit import Surprise
from tocsin.correlation.kinds import DEVICE, HOST_IP, MOMENT, ODD, PRIVATE_IP, RULE, SEQUEL, STRANGE

WATCHED_HOURS_MIN: Final = 24
STRANGE_SHARE: Final = 0.6
ODD_SHARE: Final = 0.3
ANYWHERE_SHARE: Final = 0.4
UNREST_HALF_LIFE: Final = 20 * ticks.MINUTE

_HOSTS_ONLY: Final = (RULE, MOMENT, DEVICE, HOST_IP, PRIVATE_IP, SEQUEL)
_KEY: Final = key_of("unusual", "tenant")


class Unrest(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A decaying sum of surprise in bits, as of `at` (ticks)."""

    bits: float = 0.0
    at: int = 0

    def level(self, at: int) -> float:
        """What is left at `at`; an earlier time sees it undecayed."""
        return self.bits * exp2(-max(0, at - self.at) / UNREST_HALF_LIFE)

    def stirred(self, at: int, bits: float) -> Unrest:
        """With this much more surprise."""
        if bits <= 0.0:
            return self
        late = exp2(-max(0, self.at - at) / UNREST_HALF_LIFE)
        return Unrest(round(self.level(at) + bits * late, 3), max(self.at, at))

    def joined(self, other: Unrest) -> Unrest:
        """Both together."""
        at = max(self.at, other.at)
        return Unrest(round(self.level(at) + other.level(at), 3), at)


def is_strange(surprise: Surprise) -> bool:
    """Whether it is nearly unseen, in a tenant that is watched long enough to say so."""
    return surprise.known_hours >= WATCHED_HOURS_MIN and surprise.share >= STRANGE_SHARE


def unusual_evidence(evidence: Sequence[Evidence], surprises: Iterable[Surprise]) -> Evidence | None:
    """The evidence of a strange moment, by the most surprising asset; None where it is usual or nothing is known yet.

    Only for alerts that name nothing but hosts, of rules that are rare wherever they fire: in an organisation of
    hundreds of devices a common rule meets a new device all the time. Both kinds share one key: an odd thing joins
    a strange story, a little less readily than a strange one.
    """
    if any(each.kind not in _HOSTS_ONLY for each in evidence):
        return None
    share = max([each.share for each in surprises if _tells(each)], default=0.0)
    if share < ODD_SHARE:
        return None
    return Evidence(_KEY, STRANGE if share >= STRANGE_SHARE else ODD, "rare alerts", _KEY)


def _tells(surprise: Surprise) -> bool:
    return surprise.known_hours >= WATCHED_HOURS_MIN and surprise.anywhere >= ANYWHERE_SHARE
