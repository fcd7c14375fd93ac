"""`tocsin correlate`: what another tuning would have made of the alerts that are stored. Reads only."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from tocsin import ticks
from tocsin.cli.screen import counted, moment, plain, say, show, show_json
from tocsin.cli.session import DEFAULT, JsonOption, TenantOption, settings_of
from tocsin.cli.tuning import newest_version, tuning_of_file
from tocsin.comparing import Change, Comparison, Group, Kind, compare
from tocsin.correlation.guards import Limits
from tocsin.correlation.tuning import with_setting
from tocsin.errors import InvalidInput
from tocsin.history import History
from tocsin.rehearsal import rehearse
from tocsin.stores.sqlite.connection import DATABASE_NAME, open_reader
from tocsin.stores.sqlite.registry import Registry

_SPANS: Final = {"m": ticks.MINUTE, "h": ticks.HOUR, "d": ticks.DAY, "w": 7 * ticks.DAY}
_SAID_EVERY: Final = 10_000
_TAKEN_SHOWN: Final = 5


def correlate(
    context: typer.Context,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")] = False,
    since: Annotated[
        str, typer.Option(metavar="SPAN|TIME", help="Place alerts anew that came since: 7d, 12h, or a time.")
    ] = "7d",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KNOB=VALUE", help="Change a knob for this run: k=v, k+=v or k-=v; repeatable."),
    ] = None,
    tuning_file: Annotated[
        Path | None, typer.Option("--tuning", metavar="FILE", help="Try this tuning instead of the one in force.")
    ] = None,
    lead: Annotated[
        str, typer.Option(metavar="SPAN", help="Alerts of so long before warm the memory; else all that are stored.")
    ] = "",
    top: Annotated[int, typer.Option(min=0, max=10_000, help="Show at most so many changes, the largest first.")] = 20,
    tenant: TenantOption = DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Place stored alerts anew under another tuning and show which incidents would split, merge or change.

    Nothing is written. Alerts come again in their order, after the earlier ones have warmed the memory; what people
    decided and regrouped meanwhile is done again at its place. Without --set and --tuning, the tuning in force is
    tried: it shows what would differ had it been in force from the beginning.

    \b
    Examples:
      tocsin correlate --dry-run --since 7d --set join-score=0.6
      tocsin correlate --dry-run --since 24h --set 'common-accounts+=svc-*'
      tocsin correlate --dry-run --set "never-join+=rule=Port scan*;by=address" --json
      tocsin correlate --dry-run --tuning proposal.json
    """
    if not dry_run:
        raise InvalidInput("give --dry-run: stored incidents are not placed anew; `tocsin tuning` sets what comes")
    now = ticks.now()
    begin, span = moment_since(since, now), _span(lead) if lead else None
    wanted = newest_version(context, tenant).tuning if tuning_file is None else tuning_of_file(tuning_file)
    for each in settings or ():
        wanted = with_setting(wanted, each)
    configured = settings_of(context)
    connection = open_reader(configured.data_dir / DATABASE_NAME)
    started = time.monotonic()
    try:
        history = History(connection, Registry(connection).get_tenant(tenant).tenant_id)
        limits = Limits(incident_alerts_max=configured.incident_alerts_max)
        found = compare(rehearse(history, wanted, limits, since=begin, lead=span, on_progress=_progress))
    finally:
        connection.close()
    if as_json:
        show_json({"since": ticks.format_ticks(begin), **msgspec.to_builtins(found)})
        return
    _tell(found, begin, top)
    say(f"nothing was changed; it took {time.monotonic() - started:.1f} s")


def moment_since(text: str, now: int) -> int:
    """The moment that `7d` before now, or a time, means, in ticks. Raises InvalidInput."""
    if re.fullmatch(r"\d{1,5}[mhdw]", text.strip().lower()):
        return max(0, now - _span(text))
    try:
        return ticks.parse_ticks(text)
    except ValueError:
        raise InvalidInput(f"--since takes a span like 7d or 12h, or a time, not {text[:40]!r}") from None


def _span(text: str) -> int:
    found = re.fullmatch(r"(\d{1,5})([mhdw])", text.strip().lower())
    if found is None:
        raise InvalidInput(f"a span is a number and m, h, d or w, such as 7d; not {text[:40]!r}")
    return int(found[1]) * _SPANS[found[2]]


def _progress(alerts: int) -> None:
    if alerts % _SAID_EVERY == 0 and sys.stderr.isatty():
        say(f"{alerts:,} alerts placed")


def _tell(found: Comparison, begin: int, top: int) -> None:
    show(
        plain(
            f"{counted(found.alerts_replayed, 'alert')} since {moment(begin)} UTC placed anew, "
            f"{found.alerts_warming:,} earlier ones followed to warm the memory"
        )
    )
    kinds = [(kind, sum(change.kind is kind for change in found.changes)) for kind in Kind]
    words = ", ".join([f"{count:,} {kind.value}" for kind, count in kinds if count]) or "none"
    show(
        plain(
            f"{counted(found.incidents_before, 'incident')} now, {found.incidents_after:,} then; "
            f"{found.incidents_unchanged:,} unchanged; changes: {words}"
        )
    )
    if found.alerts_suppressed:
        show(plain(f"{counted(found.alerts_suppressed, 'alert')} would be suppressed"))
    for change in found.changes[:top]:
        for line in _lines(change):
            show(plain(line))
    if len(found.changes) > top:
        say(f"{len(found.changes) - top:,} more changes; --top shows more, --json all")


def _lines(change: Change) -> list[str]:
    before = ", ".join([f"{incident} ({counted(size, 'alert')})" for incident, size in change.before.items()])
    worked = "; people worked on it" if change.handled else ""
    lines = ["", f"{change.kind.value}: incident {before}{worked}"]
    lines += [f"  becomes {_group(each)}" for each in change.after]
    return [*lines, *[f"  because {each}" for each in change.reasons]]


def _group(group: Group) -> str:
    name = f"incident {group.incident_id}" if group.incident_id else "a new incident"
    taken = [f"{count:,} of {incident}" for incident, count in list(group.taken.items())[:_TAKEN_SHOWN]]
    more = "" if len(group.taken) <= _TAKEN_SHOWN else " and others"
    return f"{name} with {counted(group.alert_count, 'alert')}: {', '.join(taken)}{more}"
