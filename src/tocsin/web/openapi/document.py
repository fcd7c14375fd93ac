"""The OpenAPI 3.1 document, made from the table of operations and the schemas of their types."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from tocsin.access import APPLICATION_PERMISSIONS, DELEGATED_PERMISSIONS
from tocsin.dialects.graph_objects import GraphIncident
from tocsin.web.openapi import shapes
from tocsin.web.openapi.operations import OPERATIONS, Operation, Parameter

_TEMPLATE: Final = "#/components/schemas/{name}"
_PLACES: Final = re.compile(r"\{(\w+)\}")
_PATH: Final[dict[str, Parameter]] = {
    "version": Parameter("version", {"type": "string", "enum": ["v1.0", "beta"]}, "path", "Both are the same here."),
    "incident_id": Parameter("incident_id", {"type": "integer", "minimum": 0}, "path", "Number of the incident."),
    "alert_id": Parameter("alert_id", {"type": "string"}, "path", "Id of the alert, two letters and a number."),
    "machine_id": Parameter("machine_id", {"type": "string"}, "path", "Id of the machine, as devices have it."),
    "tenant": Parameter("tenant", {"type": "string"}, "path", "GUID, name or domain of the tenant; or common."),
}
_MEANINGS: Final = {
    200: "Done.",
    400: "The request is wrong; the message says where.",
    401: "The token is missing, invalid or expired.",
    403: "The caller lacks a permission, which the message names.",
    404: "It is not there, past retention, or not visible to the caller.",
    405: "The collection cannot be changed.",
    409: "It was merged into another incident, which the message names.",
    410: "The feed's position is too old; begin anew.",
    413: "The body is too large.",
    422: "Every line was refused.",
    429: "Too many calls; Retry-After says how many seconds to wait.",
    500: "A defect; its cause is in the service's log.",
    503: "Not now; Retry-After says when to ask again.",
    507: "The disk is full; nothing was kept.",
}


def build(base_url: str, version: str) -> dict[str, Any]:
    """The document for a server that is reached at `base_url`."""
    types = list(dict.fromkeys([*_types(), GraphIncident, shapes.GraphRemoved]))
    refs, components = msgspec.json.schema_components(types, ref_template=_TEMPLATE)
    schema_of = dict(zip(types, refs, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, schema_of)
    changes = components["GraphChanges"]["properties"]["value"]
    changes["items"] = {"anyOf": [schema_of[GraphIncident], schema_of[shapes.GraphRemoved]]}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tocsin",
            "version": version,
            "summary": "Alerts in, explained incidents out.",
            "description": (
                "Incidents and alerts are spoken in two dialects over the same store: `/api/incidents` and Graph's "
                "`security`. Graph's paths are also answered with a doubled slash before `security`. Queries are "
                "OData's; names of options may be written with `%24` for `$`."
            ),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": base_url}],
        "tags": [{"name": name} for name in dict.fromkeys(operation.tag for operation in OPERATIONS)],
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": _schemes()},
    }


def _schemes() -> dict[str, Any]:
    roles = {name: f"The application permission {name}." for name in sorted(APPLICATION_PERMISSIONS)}
    scopes = {name: f"The delegated permission {name}." for name in sorted(DELEGATED_PERMISSIONS)}
    flow = "/common/oauth2/v2.0"
    return {
        "application": {
            "type": "oauth2",
            "description": "An application signs in with its id and secret; one permission of those named suffices.",
            "flows": {"clientCredentials": {"tokenUrl": f"{flow}/token", "scopes": roles}},
        },
        "person": {
            "type": "oauth2",
            "description": "An application acts for a person who signed in; one permission of those named suffices.",
            "flows": {
                "authorizationCode": {
                    "authorizationUrl": f"{flow}/authorize",
                    "tokenUrl": f"{flow}/token",
                    "refreshUrl": f"{flow}/token",
                    "scopes": scopes,
                }
            },
        },
        "ingestKey": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "tocsin_<key id>_<secret>",
            "description": "A long-lived key that may only send alerts.",
        },
    }


def _types() -> Iterator[Any]:
    for operation in OPERATIONS:
        for body in (operation.body, *operation.answers.values()):
            yield from _types_in(body)


def _types_in(body: Any) -> Iterator[Any]:
    if isinstance(body, type):
        yield body
    elif isinstance(body, dict):
        for part in body.values():
            yield from _types_in(part)


def _schema(body: Any, schema_of: dict[Any, dict[str, Any]]) -> Any:
    if isinstance(body, type):
        return schema_of[body]
    if isinstance(body, dict):
        return {name: _schema(part, schema_of) for name, part in body.items()}
    return body


def _operation(operation: Operation, schema_of: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "tags": [operation.tag],
        "summary": operation.summary,
        "operationId": _operation_id(operation),
        "responses": {
            str(status): {
                "description": _MEANINGS[status],
                "content": {
                    operation.media if status == 200 else "application/json": {"schema": _schema(body, schema_of)}
                },
                **({"headers": _WAIT} if status in (429, 503) else {}),
            }
            for status, body in sorted(operation.answers.items())
        },
    }
    parameters = [_PATH[name] for name in _PLACES.findall(operation.path) if name in _PATH] + [*operation.parameters]
    if parameters:
        made["parameters"] = [_parameter(each) for each in parameters]
    if operation.body is not None:
        content = {operation.body_media: {"schema": _schema(operation.body, schema_of)}}
        made["requestBody"] = {"required": operation.body_required, "content": content}
    if operation.permissions is not None:
        made["description"] = f"Needs one of: {', '.join(operation.permissions)}."
        # Each alone suffices, so each is a requirement of its own.
        kinds = (("application", APPLICATION_PERMISSIONS), ("person", DELEGATED_PERMISSIONS))
        made["security"] = [
            *({kind: [each.value]} for kind, held in kinds for each in operation.permissions if each in held),
            *({name: []} for name in operation.security if name != "application"),
        ]
    else:
        made["security"] = []
    return made


_WAIT: Final = {"Retry-After": {"description": "Whole seconds.", "schema": {"type": "integer", "minimum": 1}}}


def _parameter(parameter: Parameter) -> dict[str, Any]:
    made: dict[str, Any] = {"name": parameter.name, "in": parameter.place, "schema": parameter.schema}
    if parameter.place == "path":
        made["required"] = True
    if parameter.description:
        made["description"] = parameter.description
    return made


def _operation_id(operation: Operation) -> str:
    words = re.sub(r"[^A-Za-z0-9]+", "_", operation.path.replace("()", "_call")).strip("_")
    return f"{operation.method.lower()}_{words}"
