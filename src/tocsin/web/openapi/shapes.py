"""The bodies of requests and answers as types. What is stored as JSON bytes is made from the model here once more, so
that a property added there is described without another word."""

from __future__ import annotations

from types import NoneType
from typing import Annotated, Any, Final, TypeAlias, get_args

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tocsin.dialects import defender_updates
from tocsin.dialects import graph_names as names
from tocsin.dialects.graph_objects import GraphAlert, GraphComment, GraphIncident
from tocsin.documents import AlertDocument, IncidentHeader
from tocsin.model import Device, Entity, IncidentStatus
from tocsin.regroup import ALERTS_MAX, SOURCES_MAX
from tocsin.triage import COMMENT_CHARACTERS_MAX, OWNER_CHARACTERS_MAX, TAG_CHARACTERS_MAX, TAGS_MAX

Time: TypeAlias = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]

PassedOver: TypeAlias = Annotated[Any, Meta(description="What OData clients add; it changes nothing.")]
_SHOWN: Final = r"\S"
Owner: TypeAlias = Annotated[str, Meta(pattern=r"^$|\S", max_length=OWNER_CHARACTERS_MAX)] | None
Remark: TypeAlias = Annotated[str, Meta(pattern=_SHOWN, max_length=COMMENT_CHARACTERS_MAX)]
Tags: TypeAlias = Annotated[
    list[Annotated[str, Meta(pattern=_SHOWN, max_length=TAG_CHARACTERS_MAX)]], Meta(max_length=TAGS_MAX)
]


def _one_of(*spelled: str) -> Meta:
    return Meta(extra_json_schema={"enum": list(dict.fromkeys(spelled))})


def _shown(name: str, struct: type[msgspec.Struct], doc: str, **other: Any) -> type[msgspec.Struct]:
    """The struct as its JSON is: times are texts, and `other` fields have other types."""
    fields: list[Any] = []
    for field in msgspec.structs.fields(struct):
        shown = other.get(field.name, field.type)
        if field.name == "first_seen" or field.name.endswith("_time"):
            shown = Time | None if NoneType in get_args(field.type) else Time
        optional = [] if field.required else [field.default if field.default is not msgspec.NODEFAULT else None]
        fields.append((field.name, shown, *optional))
    return msgspec.defstruct(name, fields, rename="camel", kw_only=True, frozen=True, namespace={"__doc__": doc})


ShownDevice: Final = _shown("Device", Device, "A machine that an alert is about.")
ShownEntity: Final = _shown(
    "Entity", Entity, "One thing that an alert is about; properties that are not known are absent."
)
ShownAlert: Final = _shown(
    "Alert",
    AlertDocument,
    "One alert of an incident.",
    devices=list[ShownDevice],  # type: ignore[valid-type]
    entities=list[ShownEntity],  # type: ignore[valid-type]
)
_HEADER: Final = _shown("Header", IncidentHeader, "")
Incident: Final = msgspec.defstruct(
    "Incident",
    [
        ("incident_id", int),
        ("incident_uri", str),
        *[
            (field.name, Time if field.name.endswith("_time") else field.type)
            for field in msgspec.structs.fields(_HEADER)
        ],
        ("alerts", list[ShownAlert]),  # type: ignore[valid-type]
    ],
    rename="camel",
    kw_only=True,
    frozen=True,
    namespace={"__doc__": "One incident. `alerts` is empty where it was merged into `redirectIncidentId`."},
)


class Failure(msgspec.Struct, frozen=True):
    """What went wrong; `target` is an id to quote."""

    code: str
    message: str
    target: str


class ErrorBody(msgspec.Struct, frozen=True):
    """The body of every failure of `/api` and `/ingest`."""

    error: Failure


class IncidentPage(msgspec.Struct, frozen=True):
    """A page of incidents."""

    context: str = msgspec.field(name="@odata.context")
    value: list[Incident]  # type: ignore[valid-type]
    next_link: str | UnsetType = msgspec.field(name="@odata.nextLink", default=UNSET)


class IncidentUpdate(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """What to change; what is absent stays. `comment` is appended, `tags` is the whole new list."""

    status: Annotated[str, _one_of(*defender_updates.STATUSES)] | UnsetType = UNSET
    assigned_to: Owner | UnsetType = UNSET
    classification: Annotated[str, _one_of(*defender_updates.CLASSIFICATIONS)] | UnsetType = UNSET
    determination: Annotated[str, _one_of(*defender_updates.DETERMINATIONS)] | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET
    comment: Remark | UnsetType = UNSET


IncidentId: TypeAlias = Annotated[int, Meta(ge=1)]
AlertIds: TypeAlias = Annotated[list[str], Meta(min_length=1, max_length=ALERTS_MAX)]


class Merging(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Which incidents become part of the one in the path."""

    incident_ids: Annotated[list[IncidentId], Meta(min_length=1, max_length=SOURCES_MAX)]
    comment: Remark | UnsetType = UNSET


class Unmerge(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Nothing but a remark, for the incident that comes back."""

    comment: Remark | UnsetType = UNSET


class Splitting(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """One of the two: `alertId` cuts the reason by which that alert joined, `alertIds` are taken as they are."""

    alert_id: str | UnsetType = UNSET
    alert_ids: AlertIds | UnsetType = UNSET
    comment: Remark | UnsetType = UNSET


class Moving(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Alerts of the incident in the path, and where they go; null is a new incident."""

    alert_ids: AlertIds
    incident_id: IncidentId | None
    comment: Remark | UnsetType = UNSET


_CLASSIFICATIONS: Final = _one_of(*names.CLASSIFICATIONS.values())
_DETERMINATIONS: Final = _one_of(*names.DETERMINATIONS.values())
_STATUSES: Final = _one_of(
    *[name for status, name in names.INCIDENT_STATUSES.items() if status is not IncidentStatus.REDIRECTED]
)


class GraphIncidentUpdate(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """What to change; what is absent stays. `customTags` is the whole new list, `resolvingComment` is appended."""

    odata_type: PassedOver | UnsetType = msgspec.field(name="@odata.type", default=UNSET)
    status: Annotated[str, _STATUSES] | UnsetType = UNSET
    assigned_to: Owner | UnsetType = UNSET
    classification: Annotated[str, _CLASSIFICATIONS] | UnsetType = UNSET
    determination: Annotated[str, _DETERMINATIONS] | UnsetType = UNSET
    custom_tags: Tags | UnsetType = UNSET
    resolving_comment: Remark | UnsetType = UNSET


class GraphAlertUpdate(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """What to change; what is absent stays."""

    odata_type: PassedOver | UnsetType = msgspec.field(name="@odata.type", default=UNSET)
    status: Annotated[str, _one_of(*names.ALERT_STATUSES.values())] | UnsetType = UNSET
    assigned_to: Owner | UnsetType = UNSET
    classification: Annotated[str, _CLASSIFICATIONS] | UnsetType = UNSET
    determination: Annotated[str, _DETERMINATIONS] | UnsetType = UNSET


class GraphNewComment(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A remark to append."""

    comment: Remark
    odata_type: PassedOver | UnsetType = msgspec.field(name="@odata.type", default=UNSET)


class GraphIncidentPage(msgspec.Struct, frozen=True):
    """A page of incidents; at the end of a walk `@odata.deltaLink` tells what changes from then on."""

    context: str = msgspec.field(name="@odata.context")
    value: list[GraphIncident]
    count: int | UnsetType = msgspec.field(name="@odata.count", default=UNSET)
    next_link: str | UnsetType = msgspec.field(name="@odata.nextLink", default=UNSET)
    delta_link: str | UnsetType = msgspec.field(name="@odata.deltaLink", default=UNSET)


class Removal(msgspec.Struct, frozen=True):
    """Why an incident is gone from what was asked for."""

    reason: str


class GraphRemoved(msgspec.Struct, frozen=True):
    """An incident that is gone from the list that is followed."""

    id: str
    removal: Removal = msgspec.field(name="@removed")


class GraphChanges(msgspec.Struct, frozen=True):
    """What changed, in order: each incident once, as it is now."""

    context: str = msgspec.field(name="@odata.context")
    value: list[Annotated[Any, Meta(title="GraphIncident or GraphRemoved")]]
    next_link: str | UnsetType = msgspec.field(name="@odata.nextLink", default=UNSET)
    delta_link: str | UnsetType = msgspec.field(name="@odata.deltaLink", default=UNSET)


class GraphAlertPage(msgspec.Struct, frozen=True):
    """A page of alerts."""

    context: str = msgspec.field(name="@odata.context")
    value: list[GraphAlert]
    count: int | UnsetType = msgspec.field(name="@odata.count", default=UNSET)
    next_link: str | UnsetType = msgspec.field(name="@odata.nextLink", default=UNSET)


class GraphComments(msgspec.Struct, frozen=True):
    """All remarks, oldest first."""

    context: str = msgspec.field(name="@odata.context")
    value: list[GraphComment]


class TokenForm(msgspec.Struct, frozen=True):
    """What an application sends for a token; a secret may stand in HTTP Basic. Version 1 asks with `resource`, 2 with
    `scope`."""

    grant_type: Annotated[str, _one_of("client_credentials", "authorization_code", "refresh_token", "device_code")]
    client_id: str | UnsetType = UNSET
    client_secret: str | UnsetType = UNSET
    client_assertion: str | UnsetType = UNSET
    resource: str | UnsetType = UNSET
    scope: str | UnsetType = UNSET
    code: str | UnsetType = UNSET
    redirect_uri: str | UnsetType = UNSET
    code_verifier: str | UnsetType = UNSET
    device_code: str | UnsetType = UNSET
    refresh_token: str | UnsetType = UNSET


class TokenAnswer(msgspec.Struct, frozen=True):
    """An access token; seconds are numbers in version 2 and texts in version 1."""

    token_type: str
    access_token: str
    expires_in: int | str
    ext_expires_in: int | str
    scope: str | UnsetType = UNSET
    refresh_token: str | UnsetType = UNSET
    id_token: str | UnsetType = UNSET


class TokenRefusal(msgspec.Struct, frozen=True):
    """The issuer's failure, as Entra ID words it."""

    error: str
    error_description: str
    error_codes: list[int]
    timestamp: str
    trace_id: str
    correlation_id: str
