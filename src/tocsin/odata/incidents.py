"""What `/api/incidents` offers to `$filter` and `$orderby`, and under which names (`incidents-api.md` 1.4, 2.1)."""

from __future__ import annotations

from typing import Final

from tocsin.model import Classification, Determination, IncidentStatus, Severity
from tocsin.odata.expression import Field
from tocsin.odata.fields import Kind, Properties, Property, by_name, spelled
from tocsin.odata.options import Options

_TIME: Final = "Edm.DateTimeOffset"

INCIDENT_PROPERTIES: Final = Properties(
    type_name="tocsin.Incident",
    by_name=by_name(
        (
            Property(name="lastUpdateTime", field=Field.LAST_UPDATE, kind=Kind.TIME, type_name=_TIME, orderable=True),
            Property(name="createdTime", field=Field.CREATED, kind=Kind.TIME, type_name=_TIME, orderable=True),
            Property(
                name="status",
                field=Field.STATUS,
                kind=Kind.ENUM,
                type_name="tocsin.IncidentStatus",
                members=spelled(IncidentStatus),
                ordered=False,
            ),
            Property(
                name="severity",
                field=Field.SEVERITY,
                kind=Kind.ENUM,
                type_name="tocsin.Severity",
                members=spelled(Severity),
            ),
            Property(
                name="classification",
                field=Field.CLASSIFICATION,
                kind=Kind.ENUM,
                type_name="tocsin.Classification",
                members=spelled(Classification),
                ordered=False,
            ),
            Property(
                name="determination",
                field=Field.DETERMINATION,
                kind=Kind.ENUM,
                type_name="tocsin.Determination",
                members=spelled(Determination),
                ordered=False,
            ),
            Property(name="assignedTo", field=Field.ASSIGNED_TO, kind=Kind.TEXT, type_name="Edm.String"),
            Property(name="incidentId", field=Field.INCIDENT_ID, kind=Kind.NUMBER, type_name="Edm.Int64"),
        )
    ),
    tags="tags",
    unfilterable=frozenset(
        {"incidentUri", "redirectIncidentId", "incidentName", "tags", "comments", "alerts", "entities"}
    ),
)

# clients.md: XSOAR relies on 400 for $top=101; Tracecat sends $orderby.
INCIDENT_OPTIONS: Final = Options(
    properties=INCIDENT_PROPERTIES,
    offered=frozenset({"$filter", "$top", "$skip", "$orderby", "$skiptoken"}),
    top_max=100,
    clamp_top=False,
)
