"""What new alerts are about, kept in the terms that exposure is granted in: their workload and their devices (ADR 7).

Written with the alert, inside the same transaction; what is deleted goes by triggers of the schema. How it becomes
sight is `sight.py`'s, which group a device is in `tocsin.exposure`'s.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import apsw
import msgspec

from tocsin.access import workload_of
from tocsin.documents import device_id
from tocsin.exposure import DeviceFacts, Grouping, decode_facts, encode_facts
from tocsin.model import Alert, Device
from tocsin.stores.sqlite.groups import Groups

NO_DEVICE: Final = 0
REMEMBERED_MAX: Final = 50_000
"""Devices, and pairs of a device and a workload, that the writer need not look up."""

_Told = tuple[str, str, tuple[str, ...]]
"""What an alert says of a device that groups ask about: name, system, tags."""


class _Known(msgspec.Struct):
    """A stored device as the writer remembers it; `told` is what the last alert said of it."""

    device_no: int
    facts: DeviceFacts
    told: _Told | None


class Exposures:
    """The writer's half. What it remembers is dropped by a rollback, and after deletions."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection, self._groups = connection, Groups(connection)
        self._workloads: dict[str, int] = {}
        self._devices: dict[tuple[int, str], _Known] = {}
        self._pairs: set[tuple[int, int, int]] = set()
        self._groupings: dict[int, tuple[int, Grouping]] = {}

    def forget(self) -> None:
        """Drop what is remembered of rows that may not be there any more."""
        self._workloads.clear()
        self._devices.clear()
        self._pairs.clear()

    def write(self, tenant_id: int, tenant_guid: str, alerts: Iterable[tuple[int, Alert]]) -> None:
        """Keep what these alerts, each with its number, are about. An alert that moves stays what it is about."""
        rows: list[tuple[int, int, int, int]] = []
        pairs: set[tuple[int, int, int]] = set()
        for number, alert in alerts:
            workload = self._workload(workload_of(alert.service_source))
            about = {self._device(tenant_id, tenant_guid, each) for each in alert.devices} or {NO_DEVICE}
            for device_no in about:
                rows.append((tenant_id, number, device_no, workload))
                pair = (tenant_id, workload, device_no)
                if pair not in self._pairs:
                    pairs.add(pair)
        self._connection.executemany(
            "INSERT INTO alert_device (tenant_id, alert_number, device_no, workload_no) VALUES (?, ?, ?, ?)", rows
        )
        if pairs:
            self._connection.executemany("INSERT OR IGNORE INTO device_workload VALUES (?, ?, ?)", list(pairs))
            if len(self._pairs) > REMEMBERED_MAX:
                self._pairs.clear()
            self._pairs |= pairs

    def _workload(self, name: str) -> int:
        found = self._workloads.get(name)
        if found is None:
            self._connection.execute("INSERT OR IGNORE INTO workload (name) VALUES (?)", (name,))
            found = int(self._connection.execute("SELECT workload_no FROM workload WHERE name = ?", (name,)).get)
            if len(self._workloads) >= REMEMBERED_MAX:
                self._workloads.clear()
            self._workloads[name] = found
        return found

    def _device(self, tenant_id: int, tenant_guid: str, device: Device) -> int:
        key = (tenant_id, device.mdatp_device_id.lower() or f"/{device.device_dns_name.lower()}")
        told = (device.device_dns_name, device.os_platform, device.tags)
        known = self._devices.get(key)
        if known is not None and known.told == told:
            return known.device_no
        own_id = key[1] if device.mdatp_device_id else device_id(tenant_guid, device.device_dns_name)
        known = known or self._stored(tenant_id, own_id)
        facts = DeviceFacts.of(device)
        if known is None:
            known = _Known(self._insert(tenant_id, own_id, facts), facts, told)
        else:
            known.told, facts = told, facts.over(known.facts)
            if facts != known.facts:
                known.facts = facts
                self._connection.execute(
                    "UPDATE device SET group_id = ?, facts = ? WHERE tenant_id = ? AND device_no = ?",
                    (self._grouping(tenant_id).group_of(facts), encode_facts(facts), tenant_id, known.device_no),
                )
        if len(self._devices) >= REMEMBERED_MAX:
            self._devices.clear()
        self._devices[key] = known
        return known.device_no

    def _stored(self, tenant_id: int, own_id: str) -> _Known | None:
        row = self._connection.execute(
            "SELECT device_no, facts FROM device WHERE tenant_id = ? AND device_id = ?", (tenant_id, own_id)
        ).fetchone()
        return None if row is None else _Known(int(str(row[0])), decode_facts(str(row[1])), None)

    def _insert(self, tenant_id: int, own_id: str, facts: DeviceFacts) -> int:
        return int(
            self._connection.execute(
                "INSERT INTO device (tenant_id, device_no, device_id, group_id, facts) SELECT ?1, "
                "coalesce((SELECT max(device_no) FROM device WHERE tenant_id = ?1), 0) + 1, ?2, ?3, ?4 "
                "RETURNING device_no",
                (tenant_id, own_id, self._grouping(tenant_id).group_of(facts), encode_facts(facts)),
            ).get
        )

    def _grouping(self, tenant_id: int) -> Grouping:
        version = self._groups.version(tenant_id)
        found = self._groupings.get(tenant_id)
        if found is None or found[0] != version:
            found = self._groupings[tenant_id] = (version, Grouping(self._groups.device_groups(tenant_id)))
        return found[1]
