"""`tocsin correlate`: what another tuning would have made of the alerts that are stored; on request it is made so."""

from __future__ import annotations

import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from tocsin import ticks
from tocsin.cli.operator import post
from tocsin.cli.screen import counted, moment, plain, say, show, show_json
from tocsin.cli.session import DEFAULT, JsonOption, TenantOption, command_deed, settings_of, writing
from tocsin.cli.tuning import newest_version, tuning_of_file
from tocsin.comparing import Change, Comparison, Group, Kind, compare
from tocsin.correlation.guards import Limits
from tocsin.correlation.tuning import Tuning, with_setting
from tocsin.documents import stamp_of
from tocsin.errors import InvalidInput
from tocsin.history import History
from tocsin.local import find_server
from tocsin.membership import By
from tocsin.rehearsal import rehearse
from tocsin.retention import cutoff
from tocsin.retuning import CHANGES_MAX, Applied, Plan, applicable, apply_step, planned, steps_of
from tocsin.stores.sqlite.connection import DATABASE_NAME, WriterLock, open_reader, transaction
from tocsin.stores.sqlite.registry import Registry
from tocsin.stores.sqlite.writing import WriteStore

_SPANS: Final = {"m": ticks.MINUTE, "h": ticks.HOUR, "d": ticks.DAY, "w": 7 * ticks.DAY}
_SAID_EVERY: Final = 10_000
_TAKEN_SHOWN: Final = 5
_REASONS_SHOWN: Final = 10


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
    apply: Annotated[
        bool, typer.Option("--apply", help="Make the changes, through the running server if there is one.")
    ] = False,
    include_handled: Annotated[
        bool, typer.Option("--include-handled", help="With --apply: also incidents that people worked on.")
    ] = False,
    top: Annotated[int, typer.Option(min=0, max=10_000, help="Show at most so many changes, the largest first.")] = 20,
    tenant: TenantOption = DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Place stored alerts anew under another tuning and show which incidents would split, merge or change.

    With --dry-run nothing is written. With --apply the changes are made: ids are kept where they can be, incidents
    that lose their alerts point to where these went, and incidents that people worked on stay as they are. It applies
    the tuning in force, so put a proposal in force first. Suppressions hold for later alerts only.

    Alerts come again in their order, after the earlier ones have warmed the memory; what people decided and
    regrouped meanwhile is done again at its place. Without --set and --tuning, the tuning in force is
    tried: it shows what would differ had it been in force from the beginning.

    \b
    Examples:
      tocsin correlate --dry-run --since 7d --set join-score=0.6
      tocsin correlate --dry-run --since 24h --set 'common-accounts+=svc-*'
      tocsin correlate --dry-run --set "never-join+=rule=Port scan*;by=address" --json
      tocsin correlate --dry-run --tuning proposal.json
      tocsin correlate --apply --since 7d
    """
    if dry_run == apply:
        raise InvalidInput("give --dry-run to see what would change, or --apply to change it")
    if apply and (settings or tuning_file is not None):
        raise InvalidInput("--apply takes the tuning in force; set it first (tocsin tuning set, add or import)")
    begin, span = moment_since(since, ticks.now()), _span(lead) if lead else None
    wanted = newest_version(context, tenant).tuning if tuning_file is None else tuning_of_file(tuning_file)
    for each in settings or ():
        wanted = with_setting(wanted, each)
    started = time.monotonic()
    online = apply and find_server(settings_of(context).data_dir) is not None
    with _locked(context) if apply and not online else nullcontext():
        found, seen = _compared(context, tenant, wanted, begin=begin, lead=span)
        if online:
            _ask(context, tenant, found, seen, include_handled=include_handled)
        elif apply:
            _apply(context, tenant, found, include_handled=include_handled)
    if as_json:
        show_json({"since": ticks.format_ticks(begin), **msgspec.to_builtins(found)})
        return
    _tell(found, begin, top)
    say(f"{'' if apply else 'nothing was changed; '}it took {time.monotonic() - started:.1f} s")


@contextmanager
def _locked(context: typer.Context) -> Iterator[None]:
    """Hold the writer's lock of the data folder. Raises StoreError where a server has it."""
    lock = WriterLock(settings_of(context).data_dir)
    try:
        yield
    finally:
        lock.release()


class _Seen(msgspec.Struct, frozen=True):
    """What a dry run saw: the last change, and which incident held each alert."""

    last_change: int
    held_by: dict[int, int]


def _compared(
    context: typer.Context, tenant: str, wanted: Tuning, *, begin: int, lead: int | None
) -> tuple[Comparison, _Seen]:
    """What this tuning would make of what is stored."""
    settings = settings_of(context)
    connection = open_reader(settings.data_dir / DATABASE_NAME)
    try:
        history = History(connection, Registry(connection).get_tenant(tenant).tenant_id)
        limits = Limits(incident_alerts_max=settings.incident_alerts_max)
        grouping = rehearse(history, wanted, limits, since=begin, lead=lead, on_progress=_progress)
        return compare(grouping), _Seen(history.last_change, grouping.before)
    finally:
        connection.close()


def _ask(context: typer.Context, tenant: str, found: Comparison, seen: _Seen, *, include_handled: bool) -> None:
    """Let the running server make the changes: it alone writes alerts, and looks at each again before it is made."""
    settings, version = settings_of(context), newest_version(context, tenant).version
    wanted = applicable(found.changes, include_handled=include_handled)
    done, refused = 0, Counter[str]()
    for start in range(0, len(wanted), CHANGES_MAX):
        moves = [planned(each, seen.held_by) for each in wanted[start : start + CHANGES_MAX]]
        plan = Plan(version, seen.last_change, moves, include_handled)
        raw = post(settings, tenant, "/api/correlation/retune", msgspec.to_builtins(plan), ("", "", None))
        left = msgspec.json.decode(raw, type=Applied).left
        refused.update([each.reason for each in left])
        done += len(moves) - len(left)
    for reason, count in refused.most_common(_REASONS_SHOWN):
        say(f"left as it is ({counted(count, 'change')}): {reason}")
    _say_done(done, len(found.changes) - done)


def _say_done(done: int, left: int) -> None:
    why = "worked on by people, suppressed, past retention, or changed meanwhile"
    say(f"{counted(done, 'change')} made, {left} left as they are ({why})")


def _apply(context: typer.Context, tenant: str, found: Comparison, *, include_handled: bool) -> None:
    """Make the changes step by step, each a transaction of its own. The writer's lock must be held."""
    settings, version = settings_of(context), newest_version(context, tenant).version
    wanted = applicable(found.changes, include_handled=include_handled)
    done = 0
    with writing(settings) as connection:
        owner = Registry(connection).get_tenant(tenant)
        store, actor = WriteStore(connection), command_deed(connection).actor
        not_before = cutoff(ticks.now(), owner.retention_days or settings.retention_days)
        for change in wanted:
            if any(_is_past(store, owner.tenant_id, each, not_before) for each in change.before):
                continue
            for step in steps_of(change):
                by = By(actor=actor, clock=ticks.now(), not_before=not_before)
                with transaction(connection):
                    apply_step(store, owner.tenant_id, step, version=version, by=by)
                store.entities.committed()
            done += 1
    _say_done(done, len(found.changes) - done)


def _is_past(store: WriteStore, tenant_id: int, incident_id: int, not_before: int) -> bool:
    live = store.live(tenant_id, incident_id)
    return live is None or stamp_of(live.header.last_update_time) < not_before


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
