"""`tocsin incidents merge | unmerge | split | move | evidence`: what people do to the grouping, and why it is so.

The verbs go through the running server: it alone writes alerts. Evidence is read directly, as the other views are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.text import Text
from rich.tree import Tree

from tocsin.cli.operator import CacertOption, TokenOption, UrlOption, post
from tocsin.cli.screen import counted, moment_of, plain, show, show_json, show_table
from tocsin.cli.session import DEFAULT, JsonOption, TenantOption, reading, settings_of
from tocsin.dialects.evidence import Evidence, Joined, MergedHere, evidence_of
from tocsin.documents import decode_alert, decode_header
from tocsin.errors import InvalidInput

DEPTH_MAX: Final = 8
"""Deeper joins stand beside their parent: a chain of a hundred alerts would be wider than any terminal."""

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The incident's number.")]
CommentOption = Annotated[str, typer.Option("--comment", "-m", help="Why; it is kept with the change.")]


class _Changed(msgspec.Struct, frozen=True, rename="camel"):
    incident_id: int
    incident_name: str
    status: str
    redirect_incident_id: int | None
    alerts: list[msgspec.Raw]


class _Answer(msgspec.Struct, frozen=True):
    value: list[_Changed]


def merge(
    context: typer.Context,
    *,
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Incidents that become part of another.")],
    into: Annotated[str, typer.Option("--into", metavar="ID", help="The incident that they become part of.")],
    comment: CommentOption = "",
    tenant: TenantOption = DEFAULT,
    url: UrlOption = "",
    token: TokenOption = "",
    cacert: CacertOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make incidents one. `tocsin incidents unmerge` undoes it, incident by incident.

    \b
    Example:
      tocsin incidents merge 18 21 --into 17 -m "same campaign"
    """
    body = {"incidentIds": [_incident(each) for each in ids]}
    done = _sent(context, tenant, f"{_incident(into)}/merge", _with(body, comment), (url, token, cacert))
    _print(done, as_json=as_json)


def unmerge(
    context: typer.Context,
    incident_id: Annotated[str, typer.Argument(metavar="ID", help="The incident that was merged into another.")],
    *,
    comment: CommentOption = "",
    tenant: TenantOption = DEFAULT,
    url: UrlOption = "",
    token: TokenOption = "",
    cacert: CacertOption = None,
    as_json: JsonOption = False,
) -> None:
    """Undo a merge: the incident comes back with what it had, and the machine does not merge the two again.

    \b
    Example:
      tocsin incidents unmerge 18
    """
    done = _sent(context, tenant, f"{_incident(incident_id)}/unmerge", _with({}, comment), (url, token, cacert))
    _print(done, as_json=as_json)


def split(
    context: typer.Context,
    incident_id: IdArgument,
    alerts: Annotated[
        list[str] | None, typer.Argument(metavar="[ALERT]...", help="Alerts to take out, as they are.")
    ] = None,
    *,
    at: Annotated[str, typer.Option("--at", metavar="ALERT", help="Cut the reason by which this alert joined.")] = "",
    comment: CommentOption = "",
    tenant: TenantOption = DEFAULT,
    url: UrlOption = "",
    token: TokenOption = "",
    cacert: CacertOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a part of an incident an incident of its own. With --at, all that hangs on that alert goes with it.

    \b
    Examples:
      tocsin incidents split 17 --at su1042
      tocsin incidents split 17 su1042 su1050
    """
    if bool(alerts) == bool(at):
        raise InvalidInput("give the alerts to take out, or --at ALERT")
    body = {"alertId": at} if at else {"alertIds": alerts}
    done = _sent(context, tenant, f"{_incident(incident_id)}/split", _with(body, comment), (url, token, cacert))
    _print(done, as_json=as_json)


def move(
    context: typer.Context,
    incident_id: IdArgument,
    alerts: Annotated[list[str], typer.Argument(metavar="ALERT...", help="Alerts of that incident.")],
    *,
    to: Annotated[str, typer.Option("--to", metavar="ID", help="Where they go: an incident, or `new`.")],
    comment: CommentOption = "",
    tenant: TenantOption = DEFAULT,
    url: UrlOption = "",
    token: TokenOption = "",
    cacert: CacertOption = None,
    as_json: JsonOption = False,
) -> None:
    """Move alerts of one incident to another, or to a new one.

    \b
    Examples:
      tocsin incidents move 17 su1042 --to 18
      tocsin incidents move 17 su1042 su1050 --to new
    """
    body = {"alertIds": alerts, "incidentId": None if to == "new" else _incident(to)}
    done = _sent(context, tenant, f"{_incident(incident_id)}/move", _with(body, comment), (url, token, cacert))
    _print(done, as_json=as_json)


def evidence(
    context: typer.Context,
    incident_id: IdArgument,
    *,
    top: Annotated[int, typer.Option(min=1, help="Show at most so many alerts of the tree.")] = 500,
    tenant: TenantOption = DEFAULT,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as the API gives it.")] = False,
) -> None:
    """Show why an incident is as it is: which alert joined by which, merges, what was kept apart, what people did.

    \b
    Example:
      tocsin incidents evidence 17
    """
    with reading(context, tenant) as opened, opened.store.snapshot():
        row = opened.store.get_incident(opened.scope, _incident(incident_id), not_before=opened.not_before)
        told = evidence_of(
            row.incident_id,
            decode_header(opened.store.header(row)),
            [decode_alert(each) for each in opened.store.alerts(opened.scope, row)],
            opened.store.find_links(opened.scope, row),
            opened.store.find_log(opened.scope, row),
        )
    if as_json:
        show_json(msgspec.to_builtins(told))
        return
    show(_tree(told, top))
    rows = [(moment_of(each.time), each.actor, each.text, each.reason or "") for each in told.deeds]
    if rows:
        show_table(("AT (UTC)", "WHO", "WHAT", "WHY"), rows, empty="")
    for each in told.kept_apart:
        show(plain(f"{moment_of(each.time)}  {each.text}", "dim"))


def _tree(told: Evidence, top: int) -> Tree:
    title = f"Incident {told.incident_id}: {counted(told.alert_count, 'alert')}"
    into = "" if told.redirect_incident_id is None else f", merged into incident {told.redirect_incident_id}"
    tree = Tree(plain(title + into, "bold"))
    branches: dict[str, tuple[Tree, int]] = {}
    for each in told.value[:top]:
        parent, depth = branches.get(each.parent_alert_id or "", (tree, 0))
        branch = parent.add(_line(each))
        branch.children.extend([Tree(_merge_line(merge)) for merge in each.merges])
        branches[each.alert_id] = (branch, depth + 1) if depth < DEPTH_MAX else (parent, depth)
    if len(told.value) > top:
        tree.add(f"and {len(told.value) - top} more; --top shows them")
    return tree


def _line(alert: Joined) -> Text:
    line = Text.assemble((f"{alert.alert_id}  ", "bold"), f"{moment_of(alert.first_activity)}  ")
    line.append(plain(alert.title)).append("\n").append(plain(alert.text, "dim"))
    if alert.parent_alert_id is not None:
        line.append(f", with {alert.parent_alert_id}", style="dim")
    elif alert.is_cut:
        line.append(", with an alert that is in another incident now", style="dim")
    return line


def _merge_line(merge: MergedHere) -> Text:
    return plain(merge.text + (f", with {merge.with_alert_id}" if merge.with_alert_id else ""), "dim")


def _sent(
    context: typer.Context, tenant: str, path: str, body: dict[str, Any], target: tuple[str, str, Path | None]
) -> bytes:
    return post(settings_of(context), tenant, f"/api/incidents/{path}", body, target)


def _print(content: bytes, *, as_json: bool) -> None:
    if as_json:
        show_json(msgspec.json.decode(content)["value"])
        return
    try:
        changed = msgspec.json.decode(content, type=_Answer).value
    except msgspec.DecodeError:
        raise InvalidInput("the answer is not Tocsin's; is this the address of one?") from None
    rows = [
        (
            str(each.incident_id),
            each.status if each.redirect_incident_id is None else f"merged into {each.redirect_incident_id}",
            str(len(each.alerts)),
            each.incident_name,
        )
        for each in changed
    ]
    show_table(("ID", "STATUS", "ALERTS", "NAME"), rows, empty="nothing changed")


def _with(body: dict[str, Any], comment: str) -> dict[str, Any]:
    return {**body, "comment": comment} if comment else body


def _incident(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise InvalidInput(f"{text[:40]!r} is not an incident's number; see `tocsin incidents list`")
    return int(text)
