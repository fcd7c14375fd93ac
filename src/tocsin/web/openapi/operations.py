"""The table of all routes: method, path, what it is for, what it takes, what it answers, who may call it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from tocsin.access import READ_ALERTS, READ_INCIDENTS, WRITE_ALERTS, WRITE_INCIDENTS, Permission
from tocsin.dialects.evidence import Evidence
from tocsin.dialects.graph import GraphError
from tocsin.dialects.graph_objects import GraphAlert, GraphIncident
from tocsin.dialects.machines import Machine, MachineAlertPage, MachinePage
from tocsin.odata import machines
from tocsin.retuning import Applied, Plan
from tocsin.senders import REGISTRY
from tocsin.web.health import Health
from tocsin.web.intake import Receipt, RefusedView, Retry
from tocsin.web.openapi import shapes

JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"
GRAPH: Final = "/{version}/security"

_ANY: Final[dict[str, Any]] = {"type": "object"}


class Parameter(msgspec.Struct, frozen=True):
    """A parameter of the query, the path or a header."""

    name: str
    schema: dict[str, Any]
    place: str = "query"
    description: str = ""


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One route. `answers` maps each status to its body: a type, a schema, or None for none.

    `permissions` None is for everybody; `security` names the schemes of `document.py`.
    """

    method: str
    path: str
    tag: str
    summary: str
    permissions: tuple[Permission, ...] | None = None
    security: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    body: type | dict[str, Any] | None = None
    body_media: str = JSON
    body_required: bool = True
    answers: Mapping[int, Any]
    media: str = JSON


def _query(name: str, kind: str, description: str, **more: Any) -> Parameter:
    return Parameter(name, {"type": kind, **more}, description=description)


_TOP: Final = {"minimum": 0, "maximum": 2**31 - 1}
_LIST: Final = (
    _query("$filter", "string", "Comparisons of properties, joined by and, or, not.", minLength=1),
    _query("$orderby", "string", "One of the two times, then asc or desc.", minLength=1),
    _query("$skip", "integer", "How many to leave out.", **_TOP),
)
_DEFENDER_LIST: Final = (*_LIST, _query("$top", "integer", "How many, at most 100.", minimum=0, maximum=100))
_SELECT: Final = _query("$select", "string", "Names of properties, separated by commas.", minLength=1)
_EXPAND: Final = _query(
    "$expand", "string", "alerts, for incidents; comments; evidence, for alerts.", minLength=1, examples=["comments"]
)
_MACHINE_PAGE: Final = (
    _query("$top", "integer", "How many.", minimum=0, maximum=machines.PAGE_MAX),
    _query("$skip", "integer", "How many to leave out.", **_TOP),
)
_FORMAT: Final = _query("$format", "string", "Always json.", enum=["json", "application/json"])
_SHAPE: Final = (_SELECT, _EXPAND, _FORMAT)
_GRAPH_LIST: Final = (
    *_LIST,
    _query("$top", "integer", "How many to a page; cut to the greatest page.", **_TOP),
    _query("$count", "boolean", "Whether to say how many match."),
    _query("$skiptoken", "string", "Where a walk goes on: part of @odata.nextLink."),
    *_SHAPE,
)
_DELTA_TOKEN: Final = _query(
    "$deltatoken", "string", "Where a change feed goes on: part of @odata.deltaLink; or latest."
)
_PREFER: Final = Parameter(
    "Prefer", {"type": "string"}, "header", "include-unknown-enum-members and odata.maxpagesize=N."
)

ERRORS: Final = (400, 401, 403, 429, 500, 503)


def _failing(kind: type, *statuses: int) -> dict[int, Any]:
    return dict.fromkeys(sorted({*ERRORS, *statuses}), kind)


def _defender(method: str, path: str, summary: str, answer: Any, *statuses: int, **more: Any) -> Operation:
    answers = {200: answer, **_failing(shapes.ErrorBody, *statuses)}
    tag = "Machines" if path.startswith("/api/machines") else "Incidents"
    return Operation(
        method=method, path=path, tag=tag, summary=summary, answers=answers, security=("application",), **more
    )


_CHANGING: Final = (404, 413, 507)


def _graph(method: str, path: str, summary: str, answer: Any, *statuses: int, **more: Any) -> Operation:
    more.setdefault("permissions", READ_INCIDENTS)
    more["parameters"] = (*more.get("parameters", ()), _PREFER)
    answers = {200: answer, **_failing(GraphError, 404, *statuses)}  # 404 also of a version that is not there
    return Operation(
        method=method,
        path=GRAPH + path,
        tag="Graph: alerts" if "alerts_v2" in path else "Graph: incidents",
        summary=summary,
        answers=answers,
        security=("application",),
        **more,
    )


_SENDER: Final = Parameter("sender", {"type": "string", "enum": sorted(REGISTRY)}, "path", "Who wrote the alerts.")


def _ingest(method: str, path: str, summary: str, answers: Mapping[int, Any], **more: Any) -> Operation:
    statuses = (400, 401, 403, 404, 413, 500, 503, 507)
    return Operation(
        method=method,
        path=path,
        tag="Ingest",
        summary=summary,
        permissions=(Permission.INGEST,),
        security=("application", "ingestKey"),
        answers={**dict.fromkeys(statuses, shapes.ErrorBody), **answers},
        **more,
    )


def _issuer(method: str, path: str, summary: str, answer: Any = _ANY, **more: Any) -> Operation:
    answers = {200: answer, **dict.fromkeys((400, 401, 413, 429, 500), shapes.TokenRefusal)}
    return Operation(method=method, path=path, tag="Sign-in", summary=summary, answers=answers, **more)


_TOKEN: Final = {"body": shapes.TokenForm, "body_media": FORM}
_FORM: Final = {"body": _ANY, "body_media": FORM}
_REFUSED: Final = {
    "type": "object",
    "required": ["value"],
    "properties": {"value": {"type": "array", "items": RefusedView}},
}

OPERATIONS: Final = (
    _defender(
        "GET",
        "/api/incidents",
        "List incidents, newest change first",
        shapes.IncidentPage,
        parameters=(*_DEFENDER_LIST, Parameter("Prefer", {"type": "string"}, "header", "odata.maxpagesize=N.")),
        permissions=READ_INCIDENTS,
    ),
    _defender(
        "PATCH",
        "/api/incidents",
        "The same as GET, without a body: an example of the original's page is printed so",
        shapes.IncidentPage,
        405,
        parameters=_DEFENDER_LIST,
        permissions=READ_INCIDENTS,
    ),
    _defender(
        "GET",
        "/api/incidents/{incident_id}",
        "Get one incident with its alerts",
        shapes.Incident,
        404,
        permissions=READ_INCIDENTS,
    ),
    _defender(
        "PATCH",
        "/api/incidents/{incident_id}",
        "Change an incident",
        shapes.Incident,
        *_CHANGING,
        permissions=WRITE_INCIDENTS,
        body=shapes.IncidentUpdate,
    ),
    *(
        _defender(
            "POST",
            f"/api/incidents/{{incident_id}}/{name}",
            summary,
            shapes.IncidentPage,
            *_CHANGING,
            permissions=WRITE_INCIDENTS,
            body=body,
            body_required=body is not shapes.Unmerge,
        )
        for name, summary, body in (
            ("merge", "Merge incidents into this one; answers all that changed", shapes.Merging),
            ("unmerge", "Undo the merge of this one into another; answers both", shapes.Unmerge),
            ("split", "Cut alerts off into an incident of their own; answers both", shapes.Splitting),
            ("move", "Move alerts of this one to another or a new one; answers all that changed", shapes.Moving),
        )
    ),
    _defender(
        "POST",
        "/api/correlation/retune",
        "Make changes that a dry run of the tuning in force showed; answers those that were left, and why",
        Applied,
        *_CHANGING,
        permissions=WRITE_INCIDENTS,
        body=Plan,
    ),
    _defender(
        "GET",
        "/api/incidents/{incident_id}/evidence",
        "Why the alerts of an incident are together: joins as a tree, merges, what people did",
        Evidence,
        404,
        parameters=_MACHINE_PAGE[:2],
        permissions=READ_INCIDENTS,
    ),
    _defender(
        "GET",
        "/api/machines",
        "List the machines that the newest alerts name",
        MachinePage,
        parameters=(_query("$filter", "string", "On id and computerDnsName.", minLength=1), *_MACHINE_PAGE, _SELECT),
        permissions=READ_INCIDENTS,
    ),
    _defender(
        "GET",
        "/api/machines/{machine_id}",
        "Get one machine",
        Machine,
        404,
        parameters=(_SELECT,),
        permissions=READ_INCIDENTS,
    ),
    _defender(
        "GET",
        "/api/machines/{machine_id}/alerts",
        "List the alerts of a machine, newest first",
        MachineAlertPage,
        404,
        parameters=_MACHINE_PAGE,
        permissions=READ_INCIDENTS,
    ),
    _graph("GET", "/incidents", "List incidents", shapes.GraphIncidentPage, parameters=_GRAPH_LIST),
    _graph(
        "GET",
        "/incidents/$count",
        "How many incidents match",
        {"type": "integer"},
        parameters=_GRAPH_LIST,
        media="text/plain",
    ),
    _graph(
        "GET",
        "/incidents/delta",
        "What changed: all incidents first, then what @odata.deltaLink asks for",
        shapes.GraphChanges,
        410,
        parameters=(*_GRAPH_LIST, _DELTA_TOKEN),
    ),
    _graph("GET", "/incidents/delta()", "The same", shapes.GraphChanges, 410, parameters=(*_GRAPH_LIST, _DELTA_TOKEN)),
    _graph("GET", "/incidents/{incident_id}", "Get one incident", GraphIncident, parameters=_SHAPE),
    _graph(
        "PATCH",
        "/incidents/{incident_id}",
        "Change an incident",
        GraphIncident,
        409,
        *_CHANGING,
        parameters=_SHAPE,
        body=shapes.GraphIncidentUpdate,
        permissions=WRITE_INCIDENTS,
    ),
    _graph(
        "GET",
        "/incidents/{incident_id}/alerts",
        "List an incident's alerts",
        shapes.GraphAlertPage,
        parameters=_SHAPE,
    ),
    _graph("GET", "/incidents/{incident_id}/comments", "List the remarks on an incident", shapes.GraphComments),
    _graph(
        "POST",
        "/incidents/{incident_id}/comments",
        "Remark on an incident",
        shapes.GraphComments,
        409,
        *_CHANGING,
        body=shapes.GraphNewComment,
        permissions=WRITE_INCIDENTS,
    ),
    _graph("GET", "/alerts_v2", "List alerts", shapes.GraphAlertPage, parameters=_GRAPH_LIST, permissions=READ_ALERTS),
    _graph(
        "GET",
        "/alerts_v2/$count",
        "How many alerts match",
        {"type": "integer"},
        parameters=_GRAPH_LIST,
        media="text/plain",
        permissions=READ_ALERTS,
    ),
    _graph("GET", "/alerts_v2/{alert_id}", "Get one alert", GraphAlert, parameters=_SHAPE, permissions=READ_ALERTS),
    _graph(
        "PATCH",
        "/alerts_v2/{alert_id}",
        "Change an alert",
        GraphAlert,
        409,
        *_CHANGING,
        parameters=_SHAPE,
        body=shapes.GraphAlertUpdate,
        permissions=WRITE_ALERTS,
    ),
    _graph(
        "GET",
        "/alerts_v2/{alert_id}/comments",
        "List the remarks on an alert",
        shapes.GraphComments,
        permissions=READ_ALERTS,
    ),
    _graph(
        "POST",
        "/alerts_v2/{alert_id}/comments",
        "Remark on an alert",
        shapes.GraphComments,
        409,
        *_CHANGING,
        body=shapes.GraphNewComment,
        permissions=WRITE_ALERTS,
    ),
    _ingest(
        "POST",
        "/ingest/{sender}",
        "Send alerts: one JSON value, a list, or one value a line; plain or gzip",
        {200: Receipt, 422: Receipt},
        parameters=(_SENDER,),
        body={},
        body_required=False,
    ),
    _ingest(
        "GET",
        "/ingest/refused",
        "List inputs that could not be read",
        {200: _REFUSED},
        parameters=(_query("above", "integer", "Only ids above this one.", minimum=0),),
    ),
    _ingest(
        "POST",
        "/ingest/refused/retry",
        "Read refused inputs anew",
        {200: Receipt, 422: Receipt},
        body=Retry,
        body_required=False,
    ),
    _issuer("POST", "/{tenant}/oauth2/token", "Get a token (version 1)", shapes.TokenAnswer, **_TOKEN),
    _issuer("POST", "/{tenant}/oauth2/v2.0/token", "Get a token (version 2)", shapes.TokenAnswer, **_TOKEN),
    _issuer("POST", "/{tenant}/oauth2/devicecode", "Begin a sign-in on another device (version 1)", **_FORM),
    _issuer("POST", "/{tenant}/oauth2/v2.0/devicecode", "Begin a sign-in on another device (version 2)", **_FORM),
    _issuer("POST", "/{tenant}/oauth2/revoke", "Void a refresh token (version 1)", **_FORM),
    _issuer("POST", "/{tenant}/oauth2/v2.0/revoke", "Void a refresh token (version 2)", **_FORM),
    _issuer(
        "GET",
        "/common/discovery/instance",
        "Which issuer this is, as sign-in libraries ask",
        parameters=(_query("authorization_endpoint", "string", "The issuer's address."),),
    ),
    _issuer("GET", "/{tenant}/.well-known/openid-configuration", "The issuer's description (version 1)"),
    _issuer("GET", "/{tenant}/v2.0/.well-known/openid-configuration", "The issuer's description (version 2)"),
    _issuer("GET", "/{tenant}/discovery/keys", "The public keys (version 1)"),
    _issuer("GET", "/{tenant}/discovery/v2.0/keys", "The public keys (version 2)"),
    Operation(
        method="GET",
        path="/healthz",
        tag="Health",
        summary="Whether the server can do its work",
        answers={200: Health, 503: Health},
    ),
    Operation(
        method="GET",
        path="/openapi.json",
        tag="This description",
        summary="All routes, as OpenAPI",
        answers={200: _ANY},
    ),
    Operation(
        method="GET",
        path="/docs",
        tag="This description",
        summary="All routes, for people",
        answers={200: {"type": "string"}},
        media="text/html",
    ),
)
