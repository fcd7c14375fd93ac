"""Device groups in the SQLite store, and the devices that follow when groups change.

Methods that write belong into a transaction of the caller's. A change of groups counts up `version`, by which a writer
knows that what it remembers of them is old, and lets the stored devices follow in steps: each is short, and where it
is stopped the next one goes on. Devices that are written meanwhile are grouped by the new rules already.
"""

from __future__ import annotations

from typing import Final

import apsw
import msgspec

from tocsin.errors import InvalidInput, NotFound
from tocsin.exposure import (
    GROUPS_MAX,
    DeviceFacts,
    DeviceGroup,
    DeviceRule,
    Grouping,
    decode_facts,
    decode_rule,
    encode_rule,
)
from tocsin.identity.people import parse_label

STEP_DEVICES: Final = 1_000
"""Devices of one step: some tens of milliseconds."""
UNGROUPED_NAME: Final = "ungrouped"

_GROUP: Final = "SELECT group_id, name, rank, rule FROM device_group WHERE tenant_id = ?"
_ids = msgspec.json.Decoder(list[int])


class GroupedDevice(msgspec.Struct, frozen=True):
    """A stored device and the group that it is in."""

    device_id: str
    group_id: int
    facts: DeviceFacts


class Groups:
    """Device groups over one connection."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def device_groups(self, tenant_id: int) -> tuple[DeviceGroup, ...]:
        """All groups of one tenant, the highest rank first."""
        rows = self._connection.execute(f"{_GROUP} ORDER BY rank", (tenant_id,))
        return tuple(_group(row) for row in rows)

    def version(self, tenant_id: int) -> int:
        """Counts the changes of a tenant's groups; 0 where it never had any. One look-up by key."""
        query = "SELECT version FROM device_group_state WHERE tenant_id = ?"
        row = self._connection.execute(query, (tenant_id,)).fetchone()
        return 0 if row is None else int(str(row[0]))

    def get_group(self, tenant_id: int, name: str) -> DeviceGroup:
        """By name, in any case. Raises NotFound."""
        wanted = name.strip().casefold()
        for group in self.device_groups(tenant_id):
            if group.name.casefold() == wanted:
                return group
        raise NotFound(f"this tenant has no device group {name[:60]!r}; see `tocsin group list`")

    def create_group(self, tenant_id: int, name: str, rule: DeviceRule, rank: int | None = None) -> DeviceGroup:
        """Add a group, at the end or at a rank, from where the others move down by one. Raises InvalidInput."""
        label = _parse_group_name(name)
        groups = self.device_groups(tenant_id)
        self._refuse_taken(groups, label)
        if len(groups) >= GROUPS_MAX:
            raise InvalidInput(f"a tenant may have {GROUPS_MAX} device groups")
        row = self._connection.execute(
            "INSERT INTO device_group_state (tenant_id, version, last_group) VALUES (?, 0, 1) "
            "ON CONFLICT (tenant_id) DO UPDATE SET last_group = last_group + 1 RETURNING last_group",
            (tenant_id,),
        ).fetchone()
        assert row is not None
        group_id = int(str(row[0]))
        self._connection.execute(
            "INSERT INTO device_group (tenant_id, group_id, name, rank, rule) VALUES (?, ?, ?, ?, ?)",
            (tenant_id, group_id, label, len(groups) + 1, encode_rule(rule)),
        )
        if rank is None:
            self._follow(tenant_id)
        else:
            self.rank_group(tenant_id, group_id, rank)
        return self.get_group(tenant_id, label)

    def change_group(self, tenant_id: int, group_id: int, *, name: str, rule: DeviceRule) -> None:
        """Replace name and rule; id and rank stay, so roles keep what they name. Raises InvalidInput, NotFound."""
        label = _parse_group_name(name)
        groups = self.device_groups(tenant_id)
        self._refuse_taken([group for group in groups if group.group_id != group_id], label)
        self._connection.execute(
            "UPDATE device_group SET name = ?, rule = ? WHERE tenant_id = ? AND group_id = ?",
            (label, encode_rule(rule), tenant_id, group_id),
        )
        self._require_change(group_id)
        self._follow(tenant_id)

    def rank_group(self, tenant_id: int, group_id: int, rank: int) -> None:
        """Move a group to this rank (1 is the highest); those between move by one. Raises InvalidInput, NotFound."""
        order = [group.group_id for group in self.device_groups(tenant_id)]
        if group_id not in order:
            raise NotFound(f"this tenant has no device group with number {group_id}")
        if not 1 <= rank <= len(order):
            raise InvalidInput(f"a rank is from 1, the highest, to {len(order)} here, not {rank}")
        order.remove(group_id)
        order.insert(rank - 1, group_id)
        self._order(tenant_id, order)
        self._follow(tenant_id)

    def delete_group(self, tenant_id: int, group_id: int) -> None:
        """Forget a group. Its devices go to the next group that matches; roles that name it name one less, and one
        that named no other shows no device any more. Raises NotFound."""
        self._connection.execute("DELETE FROM device_group WHERE tenant_id = ? AND group_id = ?", (tenant_id, group_id))
        self._require_change(group_id)
        self._order(tenant_id, [group.group_id for group in self.device_groups(tenant_id)])
        query = "SELECT role_id, device_groups FROM role WHERE tenant_id = ? AND device_groups IS NOT NULL"
        for role_id, text in self._connection.execute(query, (tenant_id,)).fetchall():
            named = _ids.decode(str(text))
            if group_id in named:
                # An empty list stays a list: NULL would be all groups.
                left = msgspec.json.encode([each for each in named if each != group_id]).decode()
                statement = "UPDATE role SET device_groups = ? WHERE tenant_id = ? AND role_id = ?"
                self._connection.execute(statement, (left, tenant_id, role_id))
        self._follow(tenant_id)

    def regroup_step(self, tenant_id: int, limit: int = STEP_DEVICES) -> bool:
        """Let so many stored devices follow the groups as they are now; whether all do. Nothing to do is cheap."""
        query = "SELECT regrouped FROM device_group_state WHERE tenant_id = ?"
        state = self._connection.execute(query, (tenant_id,)).fetchone()
        if state is None or state[0] is None:
            return True
        grouping = Grouping(self.device_groups(tenant_id))
        rows = self._connection.execute(
            "SELECT device_no, group_id, facts FROM device WHERE tenant_id = ? AND device_no > ? "
            "ORDER BY device_no LIMIT ?",
            (tenant_id, state[0], limit),
        ).fetchall()
        moved = []
        for device_no, group_id, facts in rows:
            belongs = grouping.group_of(decode_facts(str(facts)))
            if belongs != group_id:
                moved.append((belongs, tenant_id, device_no))
        statement = "UPDATE device SET group_id = ? WHERE tenant_id = ? AND device_no = ?"
        self._connection.executemany(statement, moved)
        reached = rows[-1][0] if len(rows) == limit else None
        self._connection.execute(
            "UPDATE device_group_state SET regrouped = ? WHERE tenant_id = ?", (reached, tenant_id)
        )
        return reached is None

    def unfinished(self) -> list[int]:
        """Tenants whose stored devices do not all follow their groups yet."""
        query = "SELECT tenant_id FROM device_group_state WHERE regrouped IS NOT NULL ORDER BY tenant_id"
        return [int(str(tenant_id)) for (tenant_id,) in self._connection.execute(query)]

    def catch_up(self) -> bool:
        """One step for a tenant whose stored devices do not all follow, as after a command that was killed; False when
        nothing is left to do."""
        waiting = self.unfinished()
        return bool(waiting) and (not self.regroup_step(waiting[0]) or len(waiting) > 1)

    def count_devices(self, tenant_id: int) -> dict[int, int]:
        """How many stored devices are in each group that has any, by group id; 0 is those without a group."""
        query = "SELECT group_id, count(*) FROM device WHERE tenant_id = ? AND device_no > 0 GROUP BY group_id"
        rows = self._connection.execute(query, (tenant_id,))
        return {int(str(group_id)): int(str(count)) for group_id, count in rows}

    def list_devices(self, tenant_id: int, group_id: int, limit: int) -> list[GroupedDevice]:
        """The first so many stored devices of a group, those seen first at the top."""
        rows = self._connection.execute(
            "SELECT device_id, group_id, facts FROM device WHERE tenant_id = ? AND group_id = ? AND device_no > 0 "
            "ORDER BY device_no LIMIT ?",
            (tenant_id, group_id, limit),
        )
        return [GroupedDevice(str(id_), int(str(group)), decode_facts(str(facts))) for id_, group, facts in rows]

    def find_device(self, tenant_id: int, device_id: str) -> GroupedDevice:
        """By its id, 40 hex digits. Raises NotFound."""
        row = self._connection.execute(
            "SELECT device_id, group_id, facts FROM device WHERE tenant_id = ? AND device_id = ? AND device_no > 0",
            (tenant_id, device_id.strip().lower().encode("utf-8", "replace").decode()),
        ).fetchone()
        if row is None:
            raise NotFound(f"no alert was about a device {device_id[:60]!r}")
        return GroupedDevice(str(row[0]), int(str(row[1])), decode_facts(str(row[2])))

    def _follow(self, tenant_id: int) -> None:
        self._connection.execute(
            "UPDATE device_group_state SET version = version + 1, regrouped = 0 WHERE tenant_id = ?", (tenant_id,)
        )

    def _order(self, tenant_id: int, order: list[int]) -> None:
        self._connection.executemany(
            "UPDATE device_group SET rank = ? WHERE tenant_id = ? AND group_id = ?",
            [(rank, tenant_id, group_id) for rank, group_id in enumerate(order, 1)],
        )

    def _refuse_taken(self, groups: tuple[DeviceGroup, ...] | list[DeviceGroup], label: str) -> None:
        if any(group.name.casefold() == label.casefold() for group in groups):
            raise InvalidInput(f"this tenant already has a device group {label!r}")

    def _require_change(self, group_id: int) -> None:
        if not self._connection.changes():
            raise NotFound(f"this tenant has no device group with number {group_id}")


def _parse_group_name(text: str) -> str:
    label = parse_label(text)
    if label.casefold() == UNGROUPED_NAME:
        raise InvalidInput(f"{UNGROUPED_NAME!r} is where devices are that no group matches; choose another name")
    return label


def _group(row: tuple[apsw.SQLiteValue, ...]) -> DeviceGroup:
    group_id, name, rank, rule = row
    return DeviceGroup(group_id=int(str(group_id)), name=str(name), rank=int(str(rank)), rule=decode_rule(str(rule)))
