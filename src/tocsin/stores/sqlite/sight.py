"""A scope as SQL: which alerts and incidents it shows, asked row by row or gathered from what it grants (ADR 7).

A scope that shows its whole tenant asks nothing. For any other, an alert is visible if some grant shows its workload
and it has no device, or one in a granted group; an incident version if it held a visible alert, or is a husk that lost
one. Texts hold numbers of the store alone, so that equal grants make equal statements.
"""

from __future__ import annotations

import array
from collections.abc import Iterable, Sequence
from typing import Any, Final

import apsw
import msgspec

from tocsin.access import Grant, Scope
from tocsin.model import IncidentStatus
from tocsin.stores.codes import encode_enum
from tocsin.stores.sqlite.exposure import NO_DEVICE

FEW: Final = 1_000
"""Up to so many visible alerts are gathered rather than looked for in the list."""
MANY: Final = 50_000
"""The same, where the newest of the list did not fill a page."""

_HUSK: Final = encode_enum(IncidentStatus.REDIRECTED)
_NO_DEVICE_GROUP: Final = -1
"""How `removed_exposure` says that an alert had no device."""


class _Part(msgspec.Struct, frozen=True):
    """A grant in numbers of the store; None for all."""

    workloads: tuple[int, ...] | None
    groups: tuple[int, ...] | None


class Sight(msgspec.Struct, frozen=True):
    """What a scope that is not the whole tenant shows of it. Without parts it shows nothing."""

    tenant_id: int
    parts: tuple[_Part, ...]

    def of_alert(self, number: str) -> str:
        """The condition that the alert with this number (an SQL expression) is visible."""
        return (
            f"EXISTS (SELECT 1 FROM alert_device AS seen WHERE seen.tenant_id = {self.tenant_id} "  # noqa: S608
            f"AND seen.alert_number = {number} AND {self._grants()})"
        )

    def of_incident(self, version: str) -> str:
        """The condition that this version of an incident (the name of its row) is visible."""
        return (
            f"(EXISTS (SELECT 1 FROM {self._own(version)} AND {self.of_alert('own.alert_number')}) "  # noqa: S608
            f"OR ({version}.status = {_HUSK} AND EXISTS (SELECT 1 FROM husk_alert AS lost "
            f"WHERE lost.tenant_id = {self.tenant_id} AND lost.incident_id = {version}.incident_id "
            f"AND {self.of_alert('lost.alert_number')})))"
        )

    def severity_of(self, version: str) -> str:
        """The severity of this version of an incident as the visible alerts alone have it, as its code."""
        return (
            f"coalesce((SELECT max(severity) FROM {self._own(version, _SEARCHED)} "  # noqa: S608
            f"AND {self.of_alert('own.alert_number')}), 0)"
        )

    def alert_count_of(self, version: str) -> str:
        """How many of the alerts of this version of an incident are visible."""
        own = self._own(version)
        return f"(SELECT count(*) FROM {own} AND {self.of_alert('own.alert_number')})"  # noqa: S608

    def of_removal(self, removal: str) -> str:
        """The condition that an incident which retention took (the name of its row) was visible when it went."""
        terms = " OR ".join([_removed_text(part) for part in self.parts]) or "0"
        return (
            f"EXISTS (SELECT 1 FROM removed_exposure AS seen WHERE seen.tenant_id = {self.tenant_id} "  # noqa: S608
            f"AND seen.change = {removal}.change AND ({terms}))"
        )

    def was_of_incident(self, version: str) -> str:
        """The condition that an alert which this incident lost after the change `?` is visible."""
        return (
            "EXISTS (SELECT 1 FROM alert AS own INDEXED BY alert_by_incident "  # noqa: S608
            f"WHERE own.tenant_id = {self.tenant_id} AND own.incident_id = {version}.incident_id "
            f"AND own.superseded_by > ? AND {self.of_alert('own.alert_number')})"
        )

    def _own(self, version: str, also: str = "") -> str:
        # A version's own change says which versions of alerts belong to it: every change of an alert is one of its
        # incident's too.
        return (
            f"alert AS own INDEXED BY alert_by_incident {also} WHERE own.tenant_id = {self.tenant_id} "
            f"AND own.incident_id = {version}.incident_id AND own.change <= {version}.change "
            f"AND (own.superseded_by IS NULL OR own.superseded_by > {version}.change)"
        )

    def _grants(self) -> str:
        return f"({' OR '.join([_part_text(part) for part in self.parts]) or '0'})"

    def gathered_alerts(self, connection: apsw.Connection, most: int) -> list[int] | None:
        """The numbers of all visible alerts, in no order; None where there are more than `most` (or were, with those
        that several grants or devices show)."""
        if not self.parts:
            return []
        text = " UNION ALL ".join([each for part in self.parts for each in self._sources(part)])
        found: list[Any] = connection.execute(f"SELECT * FROM ({text}) LIMIT ?", (most + 1,)).fetchall()  # noqa: S608
        return None if len(found) > most else list({number for (number,) in found})

    def _sources(self, part: _Part) -> Iterable[str]:
        """Statements that give the alerts of one grant through the indexes."""
        tenant = self.tenant_id
        workload = "" if part.workloads is None else f" AND seen.workload_no IN {_listed(part.workloads)}"
        if part.groups is None:
            yield (
                "SELECT seen.alert_number FROM device_workload AS pair "  # noqa: S608
                f"CROSS JOIN alert_device AS seen INDEXED BY alert_device_by_device ON seen.tenant_id = {tenant} "
                "AND seen.device_no = pair.device_no AND seen.workload_no = pair.workload_no "
                f"WHERE pair.tenant_id = {tenant} AND pair.workload_no IN {_listed(part.workloads or ())}"
            )
            return
        yield (
            "SELECT seen.alert_number FROM device AS member INDEXED BY device_by_group "  # noqa: S608
            f"CROSS JOIN alert_device AS seen INDEXED BY alert_device_by_device ON seen.tenant_id = {tenant} "
            f"AND seen.device_no = member.device_no{workload} "
            f"WHERE member.tenant_id = {tenant} AND member.group_id IN {_listed(part.groups)}"
        )
        yield (
            "SELECT seen.alert_number FROM alert_device AS seen INDEXED BY alert_device_by_device "  # noqa: S608
            f"WHERE seen.tenant_id = {tenant} AND seen.device_no = {NO_DEVICE}{workload}"
        )

    def incidents_with(
        self, connection: apsw.Connection, alerts: Sequence[int], as_of: int | None
    ) -> tuple[dict[int, list[int]], dict[int, list[int]]]:
        """The incidents that hold these alerts as of a change (None: now), and the husks that lost some of them, each
        with those alerts"""
        at = 2**62 if as_of is None else as_of
        holding: dict[int, list[int]] = {}
        lost: dict[int, list[int]] = {}
        rows: Any = connection.execute(
            "SELECT incident_id, value FROM carray(?1) CROSS JOIN alert AS own ON own.tenant_id = ?2 "
            "AND own.alert_number = value WHERE own.change <= ?3 AND (superseded_by IS NULL OR superseded_by > ?3)",
            (numbers(alerts), self.tenant_id, at),
        )
        for incident_id, number in rows:
            holding.setdefault(incident_id, []).append(number)
        rows = connection.execute(
            "SELECT lost.incident_id, value FROM carray(?1) CROSS JOIN husk_alert AS lost "
            "INDEXED BY husk_alert_by_number ON lost.tenant_id = ?2 AND lost.alert_number = value",
            (numbers(alerts), self.tenant_id),
        )
        for incident_id, number in rows:
            lost.setdefault(incident_id, []).append(number)
        return holding, lost

    def incidents_ever_with(self, connection: apsw.Connection, alerts: Sequence[int]) -> list[int]:
        """The incidents that hold or held these alerts, as far as versions are kept."""
        rows = connection.execute(
            "SELECT own.incident_id FROM carray(?1) CROSS JOIN alert AS own ON own.tenant_id = ?2 "
            "AND own.alert_number = value UNION SELECT lost.incident_id FROM carray(?1) CROSS JOIN husk_alert AS lost "
            "INDEXED BY husk_alert_by_number ON lost.tenant_id = ?2 AND lost.alert_number = value",
            (numbers(alerts), self.tenant_id),
        )
        return [incident_id for (incident_id,) in rows]


_SEARCHED: Final = (
    "CROSS JOIN alert_search AS told ON told.tenant_id = own.tenant_id AND told.change = own.change "
    "AND told.alert_number = own.alert_number"
)


def sight_of(connection: apsw.Connection, scope: Scope) -> Sight | None:
    """The scope in numbers of the store; None where nothing is hidden from it."""
    if scope.whole_tenant:
        return None
    known: dict[Any, Any] = {}
    if any(grant.workloads is not None for grant in scope.grants):
        known = dict(connection.execute("SELECT name, workload_no FROM workload"))
    return Sight(scope.tenant_id, tuple(dict.fromkeys([_part(grant, known) for grant in scope.grants])))


def newest_alerts(connection: apsw.Connection, scope: Scope) -> tuple[str, Any]:
    """Where the current visible alerts of `?1`, a tenant, come from, with the condition; and the value of `?5`."""
    sight = sight_of(connection, scope)
    alerts = None if sight is None else sight.gathered_alerts(connection, MANY)
    if alerts is not None:
        text = "carray(?5) CROSS JOIN alert ON tenant_id = ?1 AND alert_number = value WHERE superseded_by IS NULL"
        return text, numbers(alerts)
    seen = "" if sight is None else f" AND {sight.of_alert('alert.alert_number')}"
    return f"alert WHERE tenant_id = ?1 AND superseded_by IS NULL AND ?5 IS NULL{seen}", None


def numbers(values: Sequence[int]) -> Any:
    """Numbers as a table for `carray(?)`. No number of ours is 0, which stands for none: no memory has no address."""
    return apsw.carray(array.array("q", values or (0,)))


def _part(grant: Grant, known: dict[str, int]) -> _Part:
    workloads = None if grant.workloads is None else tuple(sorted(known[e] for e in grant.workloads if e in known))
    return _Part(workloads, None if grant.device_groups is None else tuple(sorted(grant.device_groups)))


def _part_text(part: _Part) -> str:
    terms = ["1"] if part.workloads is None else [f"seen.workload_no IN {_listed(part.workloads)}"]
    if part.groups is not None:
        terms.append(
            f"(seen.device_no = {NO_DEVICE} OR (SELECT group_id FROM device WHERE device.tenant_id = seen.tenant_id "  # noqa: S608
            f"AND device.device_no = seen.device_no) IN {_listed(part.groups)})"
        )
    return f"({' AND '.join(terms)})"


def _removed_text(part: _Part) -> str:
    terms = ["1"] if part.workloads is None else [f"seen.workload_no IN {_listed(part.workloads)}"]
    if part.groups is not None:
        terms.append(f"seen.group_id IN {_listed((_NO_DEVICE_GROUP, *part.groups))}")
    return f"({' AND '.join(terms)})"


def _listed(values: Iterable[int]) -> str:
    return f"({','.join([str(int(each)) for each in values])})"
