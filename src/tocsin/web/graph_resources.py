"""What the Graph form offers for each resource: the query options of `odata`, in the spelling of the dialect."""

from __future__ import annotations

from typing import Final

from tocsin.dialects import graph_names as names
from tocsin.dialects.graph_objects import ALERT_NAMES, INCIDENT_NAMES
from tocsin.odata.graph import alert_options, incident_options
from tocsin.odata.shaping import Shapes

INCIDENT_OPTIONS: Final = incident_options(
    statuses=names.members_of(names.INCIDENT_STATUSES),
    severities=names.members_of(names.SEVERITIES),
    classifications=names.members_of(names.CLASSIFICATIONS),
    determinations=names.members_of(names.DETERMINATIONS),
    others=frozenset(INCIDENT_NAMES),
)
ALERT_OPTIONS: Final = alert_options(
    statuses=names.members_of(names.ALERT_STATUSES),
    severities=names.members_of(names.SEVERITIES),
    classifications=names.members_of(names.CLASSIFICATIONS),
    determinations=names.members_of(names.DETERMINATIONS),
    service_sources=names.members_of(names.SERVICE_SOURCES),
    others=frozenset(ALERT_NAMES),
)

_ALERT: Final = frozenset(ALERT_NAMES)
# Comments and evidence are always there; clients that expand them get what they ask for.
ALERT_SHAPES: Final = Shapes(properties=_ALERT, expandable={"comments": frozenset(), "evidence": frozenset()})
INCIDENT_SHAPES: Final = Shapes(
    properties=frozenset(INCIDENT_NAMES), expandable={"alerts": _ALERT, "comments": frozenset()}
)
