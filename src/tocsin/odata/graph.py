"""What the Graph form offers to `$filter` and `$orderby`, under Graph's names (`incidents-api.md` 1.7)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from tocsin.odata.expression import Field
from tocsin.odata.fields import Kind, Properties, Property, by_name
from tocsin.odata.options import Options

INCIDENTS_PAGE_MAX: Final = 50
ALERTS_PAGE_MAX: Final = 1_000
"""What the public clients ask for in earnest; one that asks for 2,000 follows the links."""

Members = Mapping[str, StrEnum]


def _time(name: str, field: Field) -> Property:
    return Property(name=name, field=field, kind=Kind.TIME, type_name="Edm.DateTimeOffset", orderable=True)


_INCIDENT_STATUSES_ELSEWHERE: Final = frozenset({"awaitingAction", "unknownFutureValue"})
_ALERT_STATUSES_ELSEWHERE: Final = frozenset({"unknown", "unknownFutureValue"})
"""libre-devops-helpers asks for all that is open, awaitingAction included, and takes 400 for a failure."""


def _enum(
    name: str,
    field: Field,
    type_name: str,
    members: Members,
    *,
    ordered: bool = False,
    elsewhere: frozenset[str] = frozenset(),
) -> Property:
    return Property(
        name=name,
        field=field,
        kind=Kind.ENUM,
        type_name=f"microsoft.graph.security.{type_name}",
        members=members,
        elsewhere=elsewhere,
        ordered=ordered,
    )


def incident_options(
    *, statuses: Members, severities: Members, classifications: Members, determinations: Members, others: frozenset[str]
) -> Options:
    """The incidents list. Members come under the dialect's spelling; `others` are names that filters may not use."""
    return _options(
        "incident",
        (
            _enum("status", Field.STATUS, "incidentStatus", statuses, elsewhere=_INCIDENT_STATUSES_ELSEWHERE),
            *_judgements(severities, classifications, determinations),
        ),
        others,
        frozenset({"$expand"}),
        INCIDENTS_PAGE_MAX,
    )


def alert_options(
    *,
    statuses: Members,
    severities: Members,
    classifications: Members,
    determinations: Members,
    service_sources: Members,
    others: frozenset[str],
) -> Options:
    """The alerts list, likewise. Graph has no `$expand` here; clients send it, and all it may name is there anyway."""
    return _options(
        "alert",
        (
            _enum("status", Field.STATUS, "alertStatus", statuses, elsewhere=_ALERT_STATUSES_ELSEWHERE),
            _enum("serviceSource", Field.SERVICE_SOURCE, "serviceSource", service_sources),
            *_judgements(severities, classifications, determinations),
        ),
        others,
        frozenset({"$expand"}),
        ALERTS_PAGE_MAX,
    )


def single_options(listed: Options) -> Options:
    """What single objects of a list take."""
    offered = listed.offered & {"$select", "$expand", "$format"}
    return Options(properties=listed.properties, offered=offered, top_max=listed.top_max, clamp_top=True)


def _judgements(severities: Members, classifications: Members, determinations: Members) -> tuple[Property, ...]:
    return (
        _enum("severity", Field.SEVERITY, "alertSeverity", severities, ordered=True),
        _enum("classification", Field.CLASSIFICATION, "alertClassification", classifications),
        _enum("determination", Field.DETERMINATION, "alertDetermination", determinations),
    )


def _options(
    type_name: str, own: tuple[Property, ...], others: frozenset[str], more: frozenset[str], top_max: int
) -> Options:
    declared = by_name(
        (
            _time("lastUpdateDateTime", Field.LAST_UPDATE),
            _time("createdDateTime", Field.CREATED),
            Property(name="assignedTo", field=Field.ASSIGNED_TO, kind=Kind.TEXT, type_name="Edm.String"),
            *own,
        )
    )
    return Options(
        properties=Properties(
            type_name=f"microsoft.graph.security.{type_name}",
            by_name=declared,
            tags="customTags" if "customTags" in others else "",
            unfilterable=others - declared.keys(),
        ),
        offered=frozenset(
            {"$filter", "$top", "$skip", "$orderby", "$count", "$select", "$format", "$skiptoken", "$deltatoken"}
        )
        | more,
        top_max=top_max,
        clamp_top=True,
    )
