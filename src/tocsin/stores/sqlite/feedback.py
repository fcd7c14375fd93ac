"""What people said that makes incidents more or less urgent: what they closed as benign, finding by finding, and
what their tuning calls critical. Scores are made when they are asked for, so both hold at once.

A closing counts while it stands: an incident that is opened again, judged anew, merged away or removed by retention
says nothing any more. What a closing is worth is `correlation.priority`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import apsw
import msgspec

from tocsin.access import Scope
from tocsin.correlation.memory import IncidentFacts
from tocsin.correlation.priority import BENIGN_MAX, Priority, Stake, priority_of
from tocsin.model import Classification, IncidentStatus
from tocsin.stores.sqlite.sight import sight_of
from tocsin.stores.sqlite.tuning import NewestTunings

BENIGN: Final = frozenset({Classification.FALSE_POSITIVE, Classification.INFORMATIONAL_EXPECTED_ACTIVITY})


def is_closed_as_benign(facts: IncidentFacts) -> bool:
    """Whether a person closed the incident and judged that nothing bad had happened."""
    closed = facts.status == IncidentStatus.RESOLVED and not facts.redirect_to
    return closed and facts.classification in BENIGN


def learn(connection: apsw.Connection, tenant_id: int, changed: Sequence[IncidentFacts]) -> int:
    """Note what these incidents say now, in the open transaction; how many findings count that did not before."""
    learnt = 0
    for facts in changed:
        told = {(each.rule, each.asset) for each in facts.signals.findings} if is_closed_as_benign(facts) else set()
        known = set(
            connection.execute(
                "SELECT rule, asset FROM benign WHERE tenant_id = ? AND incident_id = ?", (tenant_id, facts.incident_id)
            )
        )
        for statement, findings in (
            ("DELETE FROM benign WHERE tenant_id = ? AND incident_id = ? AND rule = ? AND asset = ?", known - told),
            ("INSERT INTO benign (tenant_id, incident_id, rule, asset) VALUES (?, ?, ?, ?)", told - known),
        ):
            connection.executemany(statement, [(tenant_id, facts.incident_id, *each) for each in findings])
        learnt += len(told - known)
    return learnt


class Feedback:
    """Reads of it, over the connection of a ReadStore. One thread at a time."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._tunings = NewestTunings(connection)

    def priority(self, scope: Scope, facts: IncidentFacts) -> Priority | None:
        """The priority of an incident to whose facts the caller has a right, with what people said of its like and
        of its assets."""
        return priority_of(facts, self.benign(scope, facts), self._stake(scope, facts))

    def _stake(self, scope: Scope, facts: IncidentFacts) -> Stake | None:
        tuned = None if scope.is_empty else self._tunings.get(scope.tenant_id)
        stake = None if tuned is None else tuned.stake(facts)
        # An incident may hold devices that this caller may not see: the tier counts, the name is not said.
        return stake if stake is None or scope.whole_tenant else msgspec.structs.replace(stake, asset="")

    def benign(self, scope: Scope, facts: IncidentFacts) -> dict[tuple[int, int], int]:
        """How often each finding of this incident was closed as benign in other visible incidents, at most BENIGN_MAX
        times."""
        findings = facts.signals.findings
        if scope.is_empty or not findings or not self._has_any(scope.tenant_id):
            return {}
        sight = sight_of(self._connection, scope)
        seen = ""
        if sight is not None:
            seen = (
                "AND EXISTS (SELECT 1 FROM incident AS listed WHERE listed.tenant_id = ?1 "  # noqa: S608
                f"AND listed.incident_id = benign.incident_id AND {sight.of_incident('listed')}) "
            )
        rows = self._connection.execute(
            "SELECT key, (SELECT count(*) FROM (SELECT 1 FROM benign INDEXED BY benign_by_finding WHERE tenant_id = ?1 "  # noqa: S608
            "AND rule = json_extract(value, '$[0]') AND asset = json_extract(value, '$[1]') AND incident_id <> ?2 "
            f"{seen}LIMIT ?3)) FROM json_each(?4)",
            (
                scope.tenant_id,
                facts.incident_id,
                BENIGN_MAX,
                msgspec.json.encode([(each.rule, each.asset) for each in findings]).decode(),
            ),
        )
        counted = {int(index): int(times) for index, times in rows}
        return {(each.rule, each.asset): counted[index] for index, each in enumerate(findings) if counted[index]}

    def _has_any(self, tenant_id: int) -> bool:
        row = self._connection.execute("SELECT 1 FROM benign WHERE tenant_id = ? LIMIT 1", (tenant_id,)).fetchone()
        return row is not None
