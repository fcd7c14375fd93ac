"""What correlation remembers between batches, and the window through which it sees what is stored.

All of it is bounded whatever the history: at most `POSTINGS_MAX` postings and two spreads per entity, and
collections of at most `FACTS_MAX` texts per incident. Knows nothing of where it is kept.
"""

from __future__ import annotations

from typing import Final, Protocol

import msgspec

from tocsin.correlation.signals import Signals
from tocsin.model import Classification, Determination, IncidentStatus

POSTINGS_MAX: Final = 8
SPREAD_MAX: Final = 64
SAMPLE_MAX: Final = 63
MARKS: Final = 1 << 32
"""Marks are evenly spread numbers below this."""
FACTS_MAX: Final = 50
TITLES_MAX: Final = 5
APART_MAX: Final = 500

FULL: Final[tuple[int, ...]] = (-1,)
"""A spread that reached `SPREAD_MAX`: its marks are forgotten, only "many" is known."""


def number_of(sample: tuple[int, ...]) -> float:
    """About how many marks there are, of which `sample` is the `SAMPLE_MAX` least: right within an eighth."""
    return float(len(sample)) if len(sample) < SAMPLE_MAX else (SAMPLE_MAX - 1) * MARKS / (sample[-1] + 1)


class Posting(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An entity was last seen in this incident at `at` (ticks of event time), in the alert of this number."""

    incident_id: int
    at: int
    alert_number: int


class EntityMemory(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is known of one entity of one tenant; one stored row per (tenant, key).

    `postings` are in rising order of (at, incident). `devices` and `incidents` are spreads: sorted distinct
    marks, or FULL; of the tenant itself, `devices` is a sample of its assets (`number_of`). `last_seen` is the latest
    event time in ticks, for retention. `level` (thousandths) as of `level_at` is a decaying number that `watch` keeps
    under keys of its own: hours of a habit, or bits of unrest.
    """

    postings: tuple[Posting, ...] = ()
    devices: tuple[int, ...] = ()
    incidents: tuple[int, ...] = ()
    last_seen: int = 0
    level: int = 0
    level_at: int = 0


class IncidentFacts(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What rules and the name need of an incident; stored with each version of it. Times are ticks.

    `entity_count` counts an entity once for each alert that names it when the incident did not have that
    entity's posting yet, so it may overstate. A husk has `redirect_to` other than 0 and no alerts.
    `severity` is `Severity.rank`. Unset classification and determination may be None, Unknown or NotAvailable.
    `signals` are what the priority is made of. `apart` are incidents that a person took from this one (ADR 6).
    """

    incident_id: int
    alert_count: int = 0
    entity_count: int = 0
    first_activity: int = 0
    last_activity: int = 0
    severity: int = 0
    status: IncidentStatus = IncidentStatus.ACTIVE
    assigned_to: str | None = None
    classification: Classification | None = None
    determination: Determination | None = None
    redirect_to: int = 0
    categories: tuple[str, ...] = ()
    tactics: tuple[str, ...] = ()
    techniques: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    titles: tuple[str, ...] = ()
    signals: Signals = Signals()
    apart: tuple[int, ...] = ()


class View(Protocol):
    """A read-only window on what is stored for one tenant. Absent things are None."""

    def entity(self, key: int) -> EntityMemory | None:
        """The memory of the entity with this key (signed 64 bits)."""

    def incident(self, incident_id: int) -> IncidentFacts | None:
        """The facts of this incident, husks included."""


class MemoryView:
    """A View over two dictionaries: for tests, benchmarks and dry runs. `absorb` stores what a batch changed."""

    def __init__(self) -> None:
        self.entities: dict[int, EntityMemory] = {}
        self.incidents: dict[int, IncidentFacts] = {}

    def entity(self, key: int) -> EntityMemory | None:
        """See View."""
        return self.entities.get(key)

    def incident(self, incident_id: int) -> IncidentFacts | None:
        """See View."""
        return self.incidents.get(incident_id)

    def absorb(self, entities: dict[int, EntityMemory], incidents: dict[int, IncidentFacts]) -> None:
        """Keep what a Correlator changed."""
        self.entities.update(entities)
        self.incidents.update(incidents)
