"""An incident as who sees only some of its alerts is shown it: name, severity and facts made from those. Pure.

What people decided and wrote is the incident's own, and so are its times (ADR 7). How urgent it is nobody is told who
does not see all of it: that is summed over every alert.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from tocsin.correlation.facts import with_alert
from tocsin.correlation.memory import IncidentFacts
from tocsin.correlation.title import incident_title
from tocsin.documents import IncidentHeader, decode_rest, stamp_of
from tocsin.model import Alert, Device, Entity, IncidentStatus, Severity

_SEVERITIES: Final = tuple(Severity)


class _Machine(msgspec.Struct, frozen=True, rename="camel"):
    device_dns_name: str = ""


class _Account(msgspec.Struct, frozen=True, rename="camel"):
    account_name: str | None = None
    user_principal_name: str | None = None


class _Told(msgspec.Struct, frozen=True, rename="camel"):
    """What facts are made of, out of a stored alert."""

    service_source: str
    title: str
    category: str
    severity: Severity
    first_activity: str
    last_activity: str
    mitre_techniques: tuple[str, ...]
    devices: tuple[_Machine, ...]
    entities: tuple[_Account, ...]


_told_decoder = msgspec.json.Decoder(_Told)


def exposed_facts(whole: IncidentFacts, alerts: Iterable[tuple[bytes, bytes]]) -> IncidentFacts:
    """The facts that these alerts make, as (document, rest) in the order in which they came, with what people decided.

    A husk's are what the alerts that it lost had made of it: it has none, and its severity says nothing.
    """
    facts = _folded(whole.incident_id, [_alert_of(document, decode_rest(rest).tactics) for document, rest in alerts])
    return msgspec.structs.replace(
        facts,
        alert_count=0 if whole.redirect_to else facts.alert_count,
        status=whole.status,
        assigned_to=whole.assigned_to,
        classification=whole.classification,
        determination=whole.determination,
        redirect_to=whole.redirect_to,
    )


def exposed_header(whole: IncidentHeader, alerts: Iterable[bytes]) -> IncidentHeader:
    """The header with the name and the severity that these alert documents give, in the order in which they came."""
    facts = _folded(0, [_alert_of(document, ()) for document in alerts])
    husk = whole.status is IncidentStatus.REDIRECTED
    return msgspec.structs.replace(
        whole,
        incident_name=incident_title(facts),
        severity=Severity.UNSPECIFIED if husk else _SEVERITIES[facts.severity],
    )


def exposed_detail(action: str, detail: dict[str, object], shown: Sequence[int]) -> dict[str, object] | None:
    """What a line of the change log says to who sees these alerts alone; None where it says nothing then.

    Other incidents are not named, and what was counted over all alerts is left out.
    """
    if action == "updated":
        kept = {name: value for name, value in detail.items() if name not in ("alerts", "benignFindings")}
        return {**kept, **_seen(detail.get("alerts"), shown)}
    if action == "alert-updated":
        # What it did to the incident as a whole may be because of the others.
        own = {name: value for name, value in detail.items() if not name.startswith("incident.")}
        return own if detail.get("alert") in shown else None
    if action == "redirected":
        return {"into": detail["into"]} if "into" in detail else {}
    return _seen(detail.get("alerts"), shown) or None


def _folded(incident_id: int, alerts: Sequence[Alert]) -> IncidentFacts:
    facts = IncidentFacts(
        incident_id,
        first_activity=min([each.first_activity for each in alerts], default=0),
        last_activity=max([each.last_activity for each in alerts], default=0),
    )
    for each in alerts:
        facts = with_alert(facts, each, 0)
    return facts


def _seen(alerts: object, shown: Sequence[int]) -> dict[str, object]:
    known = set(shown)
    seen = [each for each in alerts if each in known] if isinstance(alerts, list) else []
    return {"alerts": seen} if seen else {}


def _alert_of(document: bytes, tactics: tuple[str, ...]) -> Alert:
    told = _told_decoder.decode(document)
    return Alert(
        identity="",
        provider_alert_id="",
        service_source=told.service_source,
        first_activity=stamp_of(told.first_activity),
        last_activity=stamp_of(told.last_activity),
        title=told.title,
        category=told.category,
        severity=told.severity,
        tactics=tactics,
        mitre_techniques=told.mitre_techniques,
        devices=tuple([Device(device_dns_name=each.device_dns_name) for each in told.devices]),
        entities=tuple(
            [
                Entity(entity_type="", account_name=each.account_name, user_principal_name=each.user_principal_name)
                for each in told.entities
            ]
        ),
    )
