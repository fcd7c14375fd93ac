"""The name of an incident, made of what its alerts say. Same facts, same name."""

from __future__ import annotations

import re
from typing import Final

from tocsin.correlation.memory import FACTS_MAX, IncidentFacts

TITLE_MAX: Final = 250
_CATEGORIES_NAMED_MAX: Final = 3
_WORD: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")


def incident_title(facts: IncidentFacts) -> str:
    """The automatic name, in the patterns of `incidents-api.md` section 6.3.

    One alert gives its title alone; several of one title say on how many devices or for how many users;
    several titles of one category are "<Category> incident"; several categories are "Multi-stage incident".
    """
    title = facts.titles[0].strip() if facts.titles else ""
    if facts.alert_count <= 1 and title:
        return title[:TITLE_MAX]
    extent = _extent(facts)
    if len(facts.titles) == 1 and title:
        return title[: TITLE_MAX - len(extent)] + extent
    if len(facts.categories) <= 1:
        category = category_words(facts.categories[0]) if facts.categories else "Security"
        return f"{category} incident{extent}{_reporters(facts)}"[:TITLE_MAX]
    named = [category_words(category) for category in facts.categories[:_CATEGORIES_NAMED_MAX]]
    unnamed = len(facts.categories) - len(named)
    if unnamed:
        named.append(f"{unnamed} more")
    stages = ", ".join(named[:-1]) + " and " + named[-1]
    return f"Multi-stage incident: {stages}{extent}{_reporters(facts)}"[:TITLE_MAX]


def _extent(facts: IncidentFacts) -> str:
    if facts.devices:
        return f" on {_counted(facts.devices, 'device')}"
    return f" involving {_counted(facts.users, 'user')}" if facts.users else ""


def _reporters(facts: IncidentFacts) -> str:
    return f", reported by {_counted(facts.sources, 'source')}" if len(facts.sources) > 1 else ""


def _counted(things: tuple[str, ...], noun: str) -> str:
    if len(things) == 1:
        return f"one {noun}"
    return f"{'more than ' if len(things) >= FACTS_MAX else ''}{len(things)} {noun}s"


def category_words(category: str) -> str:
    """`InitialAccess` is `Initial access`."""
    return _WORD.sub(" ", category).capitalize()
