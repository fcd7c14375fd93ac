"""One incident told to a person: facts, alerts with the reason each is here, merges, and the change log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from tocsin.cli.screen import counted, moment, moment_of, plain, plain_lines, severity_text
from tocsin.cli.session import Reading
from tocsin.correlation.engine import Link, Merge
from tocsin.correlation.explain import explain
from tocsin.correlation.priority import Priority
from tocsin.dialects import defender
from tocsin.documents import AlertDocument, IncidentHeader, decode_alert, decode_header
from tocsin.identity.people import Tenant
from tocsin.involved import machines_of, names_by_id, people_of
from tocsin.model import IncidentStatus
from tocsin.narrative import narrate
from tocsin.senders import REGISTRY
from tocsin.stores.sqlite.reading import IncidentRow, LogRow

Links = Mapping[int, Sequence[Link | Merge]]
_SENSORS: Final = {sender.prefix: sender.title for sender in REGISTRY.values()}


class Shown(msgspec.Struct, frozen=True):
    """An incident read in full."""

    row: IncidentRow
    header: IncidentHeader
    raw_header: bytes
    urgency: Priority | None
    alerts: tuple[AlertDocument, ...]
    raw_alerts: tuple[bytes, ...]

    def devices(self) -> list[str]:
        """Names of its devices, each once, in the order in which they came."""
        return machines_of(self.alerts)

    def users(self) -> list[str]:
        """Names of its accounts, each once, in the order in which they came."""
        return people_of(self.alerts)

    def first_activity(self) -> str:
        """The earliest activity of its alerts, as text."""
        return min(alert.first_activity for alert in self.alerts)


def load_incident(reading: Reading, row: IncidentRow) -> Shown:
    """Read the documents of a row."""
    raw_header, raw_alerts = reading.store.header(row), reading.store.alerts(reading.scope, row)
    alerts = tuple(decode_alert(raw) for raw in raw_alerts)
    urgency = reading.feedback.priority(reading.scope, reading.store.facts(row))
    return Shown(row, decode_header(raw_header), raw_header, urgency, alerts, tuple(raw_alerts))


def incident_view(found: Shown, tenant: Tenant, url: str, links: Links | None) -> dict[str, Any]:
    """The incident as the API gives it; with links, each alert has its reasons under `why` besides."""
    uri = defender.incident_uri(url, tenant.guid, found.row.incident_id)
    view: dict[str, Any] = msgspec.json.decode(
        defender.incident_object(found.row.incident_id, uri, found.raw_header, found.raw_alerts)
    )
    if links is not None:
        names = names_by_id(found.alerts)
        for alert in view["alerts"]:
            alert["why"] = [explain(edge, names) for edge in links.get(_number(alert["alertId"]), ())]
    return view


def tell(found: Shown, links: Links | None, log: Sequence[LogRow]) -> Iterator[RenderableType]:
    """Everything worth printing, part by part. Without links no reasons are given."""
    yield _facts(found)
    told = narrate(found.alerts)
    if told is not None:
        yield ""
        yield Text(plain_lines(told.text))
    if found.alerts:
        yield ""
        yield _alert_tree(found, links)
    if log:
        yield ""
        yield _log_table(log)


def _facts(found: Shown) -> Table:
    header = found.header
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row(f"Incident {found.row.incident_id}", plain(header.incident_name, "bold"))
    table.add_row("Severity", severity_text(found.row.severity))
    if found.urgency is not None:
        table.add_row("Priority", f"{found.urgency.score} of 100 ({found.urgency.band})")
        for term in found.urgency.terms:
            table.add_row("", plain(f"{term.points:+.1f} {term.text}", "dim"))
    table.add_row("Status", _status(header))
    table.add_row("Verdict", f"{header.classification.value}, {header.determination.value}")
    table.add_row("Assigned to", plain(header.assigned_to or "nobody"))
    table.add_row("Created", f"{moment_of(header.created_time)} UTC")
    table.add_row("Last update", f"{header.last_update_time} (change {found.row.change})")
    for name, values in (("Tags", header.tags), ("Devices", found.devices()), ("Users", found.users())):
        if values:
            table.add_row(name, plain(", ".join(values)))
    for comment in header.comments:
        table.add_row("Comment", plain(f"{moment_of(comment.created_time)} {comment.created_by}: {comment.comment}"))
    return table


def _status(header: IncidentHeader) -> str:
    if header.status is IncidentStatus.REDIRECTED:
        return f"Redirected: merged into incident {header.redirect_incident_id}"
    return header.status.value


def _alert_tree(found: Shown, links: Links | None) -> Tree:
    public_ids = {_number(alert.alert_id): alert.alert_id for alert in found.alerts}
    names = names_by_id(found.alerts)
    order = ", in the order in which they came" if len(found.alerts) > 1 else ""
    tree = Tree(Text(counted(len(found.alerts), "alert") + order, style="bold"))
    for alert in found.alerts:
        number = _number(alert.alert_id)
        sensor = _SENSORS.get(alert.alert_id[:2], alert.service_source)
        line = Text.assemble(
            (f"{alert.alert_id}  ", "bold"), f"{moment_of(alert.first_activity)}  ", severity_text(alert.severity)
        )
        branch = tree.add(line.append("  ").append(plain(sensor, "dim")).append("  ").append(plain(alert.title)))
        if links is None:
            continue
        edges = links.get(number, ())
        if not any(isinstance(edge, Link) for edge in edges):
            branch.add(Text("opened an incident: nothing before it was near enough", style="dim"))
        for edge in edges:
            branch.add(_reason(edge, public_ids, names))
    return tree


def _reason(edge: Link | Merge, public_ids: Mapping[int, str], names: Mapping[str, str]) -> Text:
    earlier = public_ids.get(edge.earlier_alert_number, f"alert {edge.earlier_alert_number}")
    return plain(f"{explain(edge, names)}, with {earlier}")


def _log_table(log: Sequence[LogRow]) -> Table:
    table = Table(box=None, pad_edge=False, title="Changes", title_justify="left", title_style="bold")
    for heading in ("CHANGE", "AT (UTC)", "WHO", "WHAT", "DETAIL"):
        table.add_column(heading, overflow="fold", header_style="bold")
    for entry in log:
        detail = msgspec.json.decode(entry.detail) if entry.detail else {}
        cells = (str(entry.change), moment(entry.at), entry.actor, entry.action, _detail(detail))
        table.add_row(*[plain(cell) for cell in cells])
    return table


def _detail(detail: object) -> str:
    """`{"alerts": [4, 5], "status": {"from": "A", "to": "B"}}` as `alerts 4 5; status A → B`."""
    if not isinstance(detail, dict):
        return str(detail)
    return "; ".join([f"{name} {_value(value)}" for name, value in detail.items()])


def _value(value: object) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value))
    if isinstance(value, dict) and value.keys() == {"from", "to"}:
        before, after = ["nothing" if value[end] in (None, []) else _value(value[end]) for end in ("from", "to")]
        return f"{before} → {after}"
    return str(value)


def _number(alert_id: str) -> int:
    return int(alert_id[2:])
