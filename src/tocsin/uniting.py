"""What people wrote and decided, when incidents become one, and when that is undone: headers alone, no alerts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from tocsin.documents import CommentDocument, IncidentHeader
from tocsin.model import Classification, Determination, IncidentStatus

_DECISIONS: Final = ("status", "assigned_to", "classification", "determination")


def united(target: IncidentHeader, sources: Sequence[IncidentHeader]) -> IncidentHeader:
    """The target's header with what people wrote on the sources, and their decisions where it has none."""
    every = (target, *sources)
    in_progress = any(each.status is IncidentStatus.IN_PROGRESS for each in sources)
    comments = [comment for each in every for comment in each.comments]
    judged = [each.classification for each in every if each.classification is not Classification.UNKNOWN]
    found = [each.determination for each in every if each.determination is not Determination.NOT_AVAILABLE]
    started = in_progress and target.status is IncidentStatus.ACTIVE
    return msgspec.structs.replace(
        target,
        status=IncidentStatus.IN_PROGRESS if started else target.status,
        assigned_to=next((each.assigned_to for each in every if each.assigned_to), target.assigned_to),
        classification=judged[0] if judged else Classification.UNKNOWN,
        determination=found[0] if found else Determination.NOT_AVAILABLE,
        tags=tuple(dict.fromkeys([tag for each in every for tag in each.tags])),
        comments=tuple(sorted(comments, key=lambda each: each.created_time)),
    )


def without(now: IncidentHeader, source: IncidentHeader, before: IncidentHeader) -> IncidentHeader:
    """The header without what the source brought to it when it was as `before`. What people set since stays.

    A decision goes back if the merge set it and it is still as set: one that the target had already was not brought.
    """
    after = united(before, [source])
    brought = {
        name: getattr(before, name)
        for name in _DECISIONS
        if getattr(after, name) != getattr(before, name) and getattr(now, name) == getattr(after, name)
    }
    return msgspec.structs.replace(
        now,
        **brought,
        tags=tuple([tag for tag in now.tags if tag not in source.tags or tag in before.tags]),
        comments=_subtracted(now.comments, source.comments, before.comments),
    )


def _subtracted(
    now: Iterable[CommentDocument], source: Iterable[CommentDocument], before: Iterable[CommentDocument]
) -> tuple[CommentDocument, ...]:
    """Each comment of the source goes once; an equal one of the target's own stays."""
    going, left = list(source), []
    own = list(before)
    for comment in now:
        if comment in own:
            own.remove(comment)
        elif comment in going:
            going.remove(comment)
            continue
        left.append(comment)
    return tuple(left)
