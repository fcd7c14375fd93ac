"""What the Graph form offers for each resource: the query options of `odata`, in the spelling of the dialect."""

from __future__ import annotations

from typing import Final

import msgspec

from tocsin.dialects import graph
from tocsin.dialects import graph_names as names
from tocsin.dialects.graph_objects import ALERT_NAMES, INCIDENT_NAMES
from tocsin.odata.graph import alert_options, incident_options, single_options
from tocsin.odata.options import Options
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
ONE_INCIDENT_OPTIONS: Final = single_options(INCIDENT_OPTIONS)
ONE_ALERT_OPTIONS: Final = single_options(ALERT_OPTIONS)

_ALERT: Final = frozenset(ALERT_NAMES)
# Comments and evidence are always there; clients that expand them get what they ask for.
ALERT_SHAPES: Final = Shapes(properties=_ALERT, expandable={"comments": frozenset(), "evidence": frozenset()})
INCIDENT_SHAPES: Final = Shapes(
    properties=frozenset(INCIDENT_NAMES), expandable={"alerts": _ALERT, "comments": frozenset()}
)


class Offer(msgspec.Struct, frozen=True):
    """What a list takes, what it can show, and how many rows a page has without `$top`."""

    options: Options
    shapes: Shapes
    page: int


INCIDENTS: Final = Offer(INCIDENT_OPTIONS, INCIDENT_SHAPES, graph.INCIDENTS_PAGE)
ALERTS: Final = Offer(ALERT_OPTIONS, ALERT_SHAPES, graph.ALERTS_PAGE)
