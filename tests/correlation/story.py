"""Short hands for the tests of correlation: alerts in a line, and a tenant that takes them."""

from __future__ import annotations

import msgspec

from tocsin import ticks
from tocsin.correlation.engine import Correlator, Placement
from tocsin.correlation.guards import Limits
from tocsin.correlation.memory import EntityMemory, IncidentFacts, MemoryView
from tocsin.model import Alert, Device, Entity

START = ticks.parse_ticks("2024-05-06T08:00:00Z")


def alert(
    minute: float = 0.0,
    *,
    devices: tuple[str, ...] = (),
    entities: tuple[Entity, ...] = (),
    title: str = "Odd logon",
    category: str = "InitialAccess",
    source: str = "Sensor",
) -> Alert:
    at = START + round(minute * ticks.MINUTE)
    return Alert(
        identity=f"{title}@{minute}",
        provider_alert_id=f"{title}@{minute}",
        service_source=source,
        first_activity=at,
        last_activity=at,
        title=title,
        category=category,
        detector_id=title,
        devices=tuple(Device(device_dns_name=name) for name in devices),
        entities=entities,
    )


def user(name: str) -> Entity:
    return Entity(entity_type="User", account_name=name)


def url(text: str) -> Entity:
    return Entity(entity_type="Url", url=text)


def address(text: str) -> Entity:
    return Entity(entity_type="Ip", ip_address=text)


def process(unique: str) -> Entity:
    return Entity(entity_type="Process", process_unique_id=unique)


def mail(message_id: str) -> Entity:
    return Entity(entity_type="MailMessage", internet_message_id=message_id)


class Tenant:
    """A stored tenant: each `take` is one batch, and what it changed goes through msgpack as a store's would."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.view = MemoryView()
        self.limits = limits
        self.number = 0

    def take(self, *alerts: Alert) -> list[Placement]:
        correlator = Correlator(self.view, self.limits)
        placed = []
        for each in alerts:
            self.number += 1
            placed.append(correlator.place(each, self.number, self.number))
        for key, memory in correlator.entities_changed.items():
            self.view.entities[key] = msgspec.msgpack.decode(msgspec.msgpack.encode(memory), type=EntityMemory)
        for number, facts in correlator.incidents_changed.items():
            self.view.incidents[number] = msgspec.msgpack.decode(msgspec.msgpack.encode(facts), type=IncidentFacts)
        return placed

    def put(self, facts: IncidentFacts) -> None:
        """What an analyst's change does: replace the stored facts."""
        self.view.incidents[facts.incident_id] = facts

    def incident_of(self, placement: Placement) -> int:
        facts = self.view.incidents[placement.incident_id]
        while facts.redirect_to:
            facts = self.view.incidents[facts.redirect_to]
        return facts.incident_id
