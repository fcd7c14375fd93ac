"""`tocsin incidents`: what the store has, read directly, whether a server runs or not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import msgspec
import typer

from tocsin.cli.regrouping import evidence, merge, move, split, unmerge
from tocsin.cli.screen import moment_of, severity_text, show, show_json, show_table
from tocsin.cli.session import DEFAULT, JsonOption, TenantOption, reading
from tocsin.cli.story import Shown, incident_view, load_incident, tell
from tocsin.errors import InvalidInput
from tocsin.local import local_url
from tocsin.odata import INCIDENT_PROPERTIES, parse_filter

incidents = typer.Typer(
    help="Incidents: list them, see why they are as they are, and regroup them.", no_args_is_help=True
)
for verb in (evidence, merge, unmerge, split, move):
    incidents.command()(verb)

_HEADINGS = (
    "ID",
    "SEVERITY",
    "PRIORITY",
    "STATUS",
    "NAME",
    "ALERTS",
    "DEVICES",
    "USERS",
    "FIRST ACTIVITY",
    "LAST UPDATE",
)
_NAMES_SHOWN = 2


@incidents.command("list")
def list_incidents(
    context: typer.Context,
    *,
    top: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, the newest change first.")] = 20,
    skip: Annotated[int, typer.Option(min=0, help="Leave out so many before them.")] = 0,
    odata_filter: Annotated[
        str, typer.Option("--filter", metavar="ODATA", help="The API's own $filter, e.g. severity eq 'High'.")
    ] = "",
    tenant: TenantOption = DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """List incidents, the newest change first.

    \b
    Examples:
      tocsin incidents list --top 5
      tocsin incidents list --filter "severity eq 'High' and status eq 'Active'"
      tocsin incidents list --filter "lastUpdateTime ge 2026-06-01T00:00:00Z" --json
    """
    expression = parse_filter(odata_filter, INCIDENT_PROPERTIES) if odata_filter else None
    with reading(context, tenant) as open_store, open_store.store.snapshot():
        rows = open_store.store.find_incidents(
            open_store.scope, expression=expression, top=top, skip=skip, not_before=open_store.not_before
        )
        found = [load_incident(open_store, row) for row in rows]
    if as_json:
        show_json([_summary(each) for each in found])
        return
    show_table(_HEADINGS, [_row(each) for each in found], empty="no incidents match")


@incidents.command("show")
def show_incident(
    context: typer.Context,
    incident_id: Annotated[str, typer.Argument(metavar="ID", help="The incident's number.")],
    why: Annotated[bool, typer.Option("--why/--no-why", help="Say of each alert why it is in this incident.")] = True,
    tenant: TenantOption = DEFAULT,
    as_json: Annotated[bool, typer.Option("--json", help="Print the incident as the API gives it.")] = False,
) -> None:
    """Show one incident: its facts, its alerts in the order they came, what was merged into it, and its log.

    Each reason ends with a score from 0 to 1: the weights (+.70) of what is shared, put together so that each takes
    its part of the doubt that is left. From .5 on an alert joins, from .7 on incidents merge;
    docs/correlation/reading-reasons.md says more.

    \b
    Examples:
      tocsin incidents show 17
      tocsin incidents show 17 --no-why
      tocsin incidents show 17 --json
    """
    if not incident_id.isascii() or not incident_id.isdigit() or len(incident_id) > 18:
        raise InvalidInput(f"{incident_id[:40]!r} is not an incident's number; see `tocsin incidents list`")
    with reading(context, tenant) as open_store, open_store.store.snapshot():
        row = open_store.store.get_incident(open_store.scope, int(incident_id), not_before=open_store.not_before)
        found = load_incident(open_store, row)
        links = open_store.store.find_links(open_store.scope, row)
        log = open_store.store.find_log(open_store.scope, row)
    if as_json:
        show_json(incident_view(found, open_store.tenant, local_url(open_store.settings), links if why else None))
        return
    for part in tell(found, links if why else None, log):
        show(part)


def _row(found: Shown) -> tuple[Any, ...]:
    header = found.header
    return (
        str(found.row.incident_id),
        severity_text(found.row.severity),
        "" if found.urgency is None else str(found.urgency.score),
        found.row.status.value,
        header.incident_name,
        str(found.row.alert_count),
        _few(found.devices()),
        _few(found.users()),
        moment_of(found.first_activity()) if found.alerts else "",
        moment_of(header.last_update_time),
    )


def _summary(found: Shown) -> dict[str, Any]:
    header = msgspec.to_builtins(found.header)
    return {
        "incidentId": found.row.incident_id,
        **header,
        "priorityScore": None if found.urgency is None else found.urgency.score,
        "alertCount": found.row.alert_count,
        "devices": found.devices(),
        "users": found.users(),
        "firstActivity": found.first_activity() if found.alerts else None,
    }


def _few(names: Iterable[str]) -> str:
    every = list(names)
    rest = len(every) - _NAMES_SHOWN
    return ", ".join(every[:_NAMES_SHOWN]) + (f" +{rest}" if rest > 0 else "")
