"""Write docs/correlation/tuning.md from the knobs themselves. `--check` only says whether it is stale."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final, get_args, get_origin, get_type_hints

import msgspec

from tocsin.correlation.tuning import NAMES_MAX, PATTERN_MAX, PLAIN_LISTS, RULE_KINDS, RULES_MAX, Tuning
from tocsin.stores.sqlite.tuning import FRESH
from tocsin.ticks import SECOND

TARGET: Final = Path(__file__).parent.parent / "docs" / "correlation" / "tuning.md"
_HEAD: Final = f"""# Tuning

All that a tenant can set of its correlation, in one place. Made from the code by `scripts/write_tuning.py`.

`tocsin tuning` shows and changes it. Every version is kept with who, when and why; `tocsin tuning rollback` goes
back. A running server takes a new version up within {FRESH // SECOND} seconds of the next alerts. It holds for
alerts that come from then on: stored incidents stay as they are until that is asked for.

`tocsin correlate --dry-run` says beforehand what a tuning would have made of stored alerts: which incidents would
split, merge or exchange alerts, which ids would be kept, and why. It reads only. With the tuning that is in force
it says that nothing would change, unless that tuning is newer than the alerts. A dry run takes 250,000 alerts at
most; it holds them in memory. `--lead` shortens what warms the memory, and then small differences can be of the
shorter memory alone.

`tocsin correlate --apply` makes the changes that a dry run of the tuning in force shows. Each incident keeps its id
where it keeps most of its alerts; one that loses all of them becomes a husk that points on. Incidents that people
changed, commented or regrouped stay as they are unless `--include-handled` is given, and so does whatever a
suppression is part of. Each step is a transaction with lines in the change log (`retuned`), so a run that was stopped
is finished by running it again. Where a server runs on the data folder, it makes the changes itself: step by step,
with alerts coming in between, and it looks again before each. What people changed meanwhile, or what the machine merged
elsewhere, is left and told; running it again looks at that anew. New alerts stay where they went.

Patterns know `*` and `?` and no case. A pattern is at most {PATTERN_MAX} characters long and may not fit
everything. Lists of names hold at most {NAMES_MAX}, lists of rules {RULES_MAX}, each rule made of `field=value`
parts.
"""
_NOTES: Final = """
## What to know

- **Common** does not mean ignored. What is common weighs .1 (programs .05) instead of .3 to .85, whatever else the
  alerts share counts as before. It is also no reason to join by itself.
- **Never join** with `with_*` looks at what is kept of an incident: the first titles and findings, devices,
  accounts and sources, some dozens of each. An incident is "like that" when each given part fits something it has.
- **Always join** is strong evidence, not a command. It does not open a resolved incident, undo what a person took
  apart, or pass the cap on alerts.
- **Suppressed** alerts are accepted, stored, searchable and shown by the API, with status `Resolved` and
  classification `InformationalExpectedActivity`. Those of one rule within a day share an incident, which is
  resolved as well and tagged `suppressed`; the change log of the incident says the reason. They teach the
  correlation nothing, so they neither join nor make anything usual. When a person opens such an incident again it
  takes no more of them. Removing the rule, or its expiry, holds for alerts that come later.
- **Critical** changes no grouping, only the [priority](priority.md), and that at once and for stored incidents as well:
  the score is made when it is asked for. The higher of this and of the built-in meaning of device tags counts; `low`
  takes nothing away. An incident keeps 50 devices, 50 accounts and 16 tags, and what it keeps is looked at.
- **Closing as a false positive** needs no knob: see [priority](priority.md), feedback. Opening the incident again
  takes it back.
"""


def page() -> str:
    """The page's text."""
    return "\n".join([_HEAD, *_knobs(), *_rules()]) + _NOTES


def _knobs() -> Iterator[str]:
    yield "## Knobs\n"
    yield "| knob | default | meaning |\n|---|---|---|"
    for name, default, meta in _fields(Tuning):
        shown = "none" if isinstance(default, tuple) else "the server's" if name == "incident_alerts_max" else default
        form = "" if name in PLAIN_LISTS else " A list of rules, see below." if name in RULE_KINDS else _bounds(meta)
        yield f"| `{name.replace('_', '-')}` | {shown} | {meta.description}{form} |"
    yield ""


def _rules() -> Iterator[str]:
    for name, kind in RULE_KINDS.items():
        yield f"## {name.replace('_', '-')}\n"
        yield " ".join((kind.__doc__ or "").split()) + "\n"
        yield "| field | default | meaning |\n|---|---|---|"
        for field, default, meta in _fields(kind):
            shown = "needed" if default is msgspec.NODEFAULT else f"`{default}`" if default != "" else "not asked"
            yield f"| `{field}` | {shown} | {meta.description} |"
        yield ""


def _fields(kind: type[Any]) -> Iterator[tuple[str, Any, msgspec.Meta]]:
    hints = get_type_hints(kind, include_extras=True)
    for field in msgspec.structs.fields(kind):
        metas = [each for each in get_args(hints[field.name])[1:] if isinstance(each, msgspec.Meta)]
        assert get_origin(hints[field.name]) is Annotated
        yield field.name, field.default, metas[-1]


def _bounds(meta: msgspec.Meta) -> str:
    return f" From {meta.ge} to {meta.le}."


def main() -> int:
    """Write, or check."""
    if "--check" in sys.argv:
        return 0 if TARGET.read_text(encoding="utf-8") == page() else 1
    TARGET.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
