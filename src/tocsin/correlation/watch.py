"""What a batch teaches about what is usual, and how it makes incidents more or less urgent.

A `Watch` works beside one `Correlator` over the same View: `seen` judges an alert before it is placed, `placed` adds
what it found to the incident that took it. Habits and unrest are kept as entity memories under keys of their own,
so a store keeps and forgets them as it does all others. Cutting the alerts into other batches changes nothing.
"""

from __future__ import annotations

from typing import Final

import msgspec

from tocsin import ticks
from tocsin.correlation.engine import Correlator, Placement
from tocsin.correlation.evidence import Evidence, key_of
from tocsin.correlation.habit import (
    ASSETS_KEY,
    INCIDENTS_KEY,
    TENANT_KEY,
    Habit,
    Surprise,
    asset_key,
    counted,
    observe,
    pair_key,
    routine_rate,
    rule_key,
)
from tocsin.correlation.memory import EntityMemory, View
from tocsin.correlation.signals import assets_of, new_assets, with_alert
from tocsin.correlation.unusual import Unrest, unusual_evidence
from tocsin.model import Alert

UNREST_KEY: Final = key_of("unrest", "tenant")
_THOUSANDTHS: Final = 1000


class Watch:
    """One tenant's habits during one batch. `moments` lets strange moments link what entities cannot (`unusual`)."""

    def __init__(self, view: View, correlator: Correlator, *, moments: bool) -> None:
        self._view = view
        self._correlator = correlator
        self._moments = moments
        self._habits: dict[int, Habit | None] = {}
        self._changed: dict[int, Habit] = {}
        self._unrest = _unrest_of(view.entity(UNREST_KEY))
        self._unrest_changed = False
        self._surprises: dict[int, Surprise] = {}

    def keys_of(self, evidence: tuple[Evidence, ...]) -> tuple[int, ...]:
        """The keys of the memories that an alert with this evidence needs, so that a store can load them at once."""
        rule = evidence[0].key
        assets = assets_of(evidence)
        own = [key for asset in assets for key in (pair_key(rule, asset), asset_key(asset))]
        return (TENANT_KEY, INCIDENTS_KEY, ASSETS_KEY, rule_key(rule), *own)

    def seen(self, alert: Alert, evidence: tuple[Evidence, ...]) -> tuple[Evidence, ...]:
        """Judge the alert by what is usual and remember it; gives the evidence to place it with."""
        observation = observe(self._find, evidence[0].key, assets_of(evidence), alert.first_activity)
        if observation.habits:
            self._changed |= observation.habits
            self._habits |= observation.habits
        self._surprises = observation.surprises
        self._correlator.routine = routine_rate(observation.surprises.values())
        unusual = unusual_evidence(evidence, observation.surprises.values()) if self._moments else None
        return evidence if unusual is None else (*evidence, unusual)

    def placed(self, alert: Alert, rule: int, placement: Placement) -> None:
        """Add what the alert last `seen` found to its incident. `rule` is the key of its first evidence."""
        facts = self._correlator.facts_of(placement.incident_id)
        signals, unrest = with_alert(facts.signals, alert, rule, self._surprises, self._unrest)
        if signals is not facts.signals:
            if new := new_assets(facts.signals, self._surprises):
                habits = counted(self._find, new, alert.first_activity)
                self._changed |= habits
                self._habits |= habits
            self._correlator.revise(msgspec.structs.replace(facts, signals=signals))
        if unrest is not self._unrest:
            self._unrest, self._unrest_changed = unrest, True

    @property
    def entities_changed(self) -> dict[int, EntityMemory]:
        """The memories that the store must write besides those of the Correlator."""
        changed = {key: _memory_of(habit) for key, habit in sorted(self._changed.items())}
        if self._unrest_changed:
            unrest = self._unrest
            level = round(unrest.bits * _THOUSANDTHS)
            changed[UNREST_KEY] = EntityMemory(last_seen=unrest.at, level=level, level_at=unrest.at)
        return changed

    def _find(self, key: int) -> Habit | None:
        if key not in self._habits:
            memory = self._view.entity(key)
            self._habits[key] = None if memory is None else Habit(memory.level / _THOUSANDTHS, memory.level_at)
        return self._habits[key]


def _memory_of(habit: Habit) -> EntityMemory:
    last_seen = habit.last_hour * ticks.HOUR
    return EntityMemory(last_seen=last_seen, level=round(habit.hours * _THOUSANDTHS), level_at=habit.last_hour)


def _unrest_of(memory: EntityMemory | None) -> Unrest:
    return Unrest() if memory is None else Unrest(memory.level / _THOUSANDTHS, memory.level_at)
