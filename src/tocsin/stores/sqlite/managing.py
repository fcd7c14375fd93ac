"""Who may change what: asked of the writer's connection inside the transaction that changes it, so that nothing comes
between question and change (ADR 7). What a change is, is `triage`'s and `regroup`'s."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import apsw

from tocsin.access import Scope
from tocsin.errors import Forbidden, NotFound
from tocsin.stores.sqlite.sight import sight_of

_NO_RIGHT: Final = "Changing an incident needs manage rights on every workload that it has alerts of"
_NO_RIGHT_ON_ALERT: Final = "Changing an alert needs manage rights on its workload and on one of its devices"
_WORKLOADS: Final = """
SELECT DISTINCT workload.name FROM (
    SELECT alert_number FROM alert INDEXED BY alert_by_incident
    WHERE tenant_id = ?1 AND incident_id = ?2 AND superseded_by IS NULL
    UNION ALL SELECT alert_number FROM husk_alert WHERE tenant_id = ?1 AND incident_id = ?2
) AS own CROSS JOIN alert_device ON alert_device.tenant_id = ?1 AND alert_device.alert_number = own.alert_number
CROSS JOIN workload USING (workload_no)"""


def require_manage(connection: apsw.Connection, scope: Scope, incident_ids: Iterable[int]) -> None:
    """Raise NotFound for an incident that is not visible, then Forbidden unless every workload of each may be managed.

    The text names no workload: it may be one that is hidden. What nobody has is left to the change itself to find.
    """
    if _manages_everything(scope):
        return
    wanted = list(incident_ids)
    for incident_id in wanted:
        if not _sees_incident(connection, scope, incident_id):
            raise NotFound(f"Incident {incident_id} was not found")
    for incident_id in wanted:
        names = connection.execute(_WORKLOADS, (scope.tenant_id, incident_id)).fetchall()
        if not _manages_anything(scope) or not all(scope.manages(str(name)) for (name,) in names):
            raise Forbidden(_NO_RIGHT)


def require_manage_alert(connection: apsw.Connection, scope: Scope, alert_number: int, public_id: str) -> None:
    """Raise NotFound for an alert that is not visible, Forbidden for one that no grant with manage rights shows.

    `public_id` is what the message calls it.
    """
    if _manages_everything(scope):
        return
    if not _sees_alert(connection, scope, alert_number):
        raise NotFound(f"Alert {public_id} was not found")
    managing = Scope(scope.tenant_id, tuple([grant for grant in scope.grants if grant.may_manage]))
    if not _sees_alert(connection, managing, alert_number):
        raise Forbidden(_NO_RIGHT_ON_ALERT)


def _manages_everything(scope: Scope) -> bool:
    return any(grant.is_everything and grant.may_manage for grant in scope.grants)


def _manages_anything(scope: Scope) -> bool:
    return any(grant.may_manage for grant in scope.grants)


def _sees_incident(connection: apsw.Connection, scope: Scope, incident_id: int) -> bool:
    sight = sight_of(connection, scope)
    if sight is None:
        return True
    if not 0 < incident_id < 2**63:
        return False
    statement = f"SELECT {sight.of_incident('listed')} FROM incident AS listed WHERE tenant_id = ? AND incident_id = ?"  # noqa: S608
    return bool(connection.execute(statement, (scope.tenant_id, incident_id)).get)


def _sees_alert(connection: apsw.Connection, scope: Scope, alert_number: int) -> bool:
    sight = sight_of(connection, scope)
    if sight is None:
        return True
    if not 0 < alert_number < 2**63:
        return False
    return bool(connection.execute(f"SELECT {sight.of_alert('?')}", (alert_number,)).get)
