"""What does a page cost who sees a part, beside who sees all? Ratios of median processor times, without a network.

usage: python benchmarks/exposure.py [--incidents 200000] [--repeats 15] [--folder somewhere]

Every incident has an alert on one of 10,000 devices, each tenth a second one on another. `one_in_10000` may see one
device, `one_in_100` a hundred, `half` five thousand; `rare_workload` every ten-thousandth alert by its workload; `old`
the older half alone. A page is made whole, from the statement to the bytes, without the cache of finished incidents.
Prints one JSON object. With --folder the store is kept there and used again.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from house import Bench, HandClock
from tocsin.access import Grant, Scope
from tocsin.correlation.facts import first_facts, with_alert
from tocsin.dialects import defender
from tocsin.documents import IncidentHeader, encode_alert
from tocsin.model import Alert, Device, Entity, Severity
from tocsin.odata import INCIDENT_OPTIONS, parse_options
from tocsin.search import Search
from tocsin.stores.sqlite.alerts import AlertStore
from tocsin.stores.sqlite.connection import open_reader
from tocsin.stores.sqlite.reading import ReadStore
from tocsin.stores.sqlite.writing import LiveIncident, NewAlert
from tocsin.ticks import SECOND, format_ticks
from tocsin.walks import Walk, Walker

DEVICES: Final = 10_000
PAGE: Final = 100
BATCH: Final = 2_000
_SEVERITIES: Final = tuple(Severity)
# device number below -> group
GROUPS: Final = ((1, 1), (100, 2), (5_000, 3), (DEVICES, 4))
SCOPES: Final[dict[str, tuple[Grant, ...]]] = {
    "half": (Grant(workloads=None, device_groups=frozenset({1, 2, 3}), may_manage=False),),
    "one_in_100": (Grant(workloads=None, device_groups=frozenset({1, 2}), may_manage=False),),
    "one_in_10000": (Grant(workloads=None, device_groups=frozenset({1}), may_manage=False),),
    "rare_workload": (Grant(workloads=frozenset({"rare"}), device_groups=None, may_manage=False),),
    "old": (Grant(workloads=frozenset({"older"}), device_groups=None, may_manage=False),),
}


def fill(bench: Bench, incidents: int) -> None:
    """Write the incidents past the correlation, which would take most of the time and is not what is asked."""
    store, tenant = bench.store, bench.tenant
    number = 0
    for start in range(0, incidents, BATCH):
        store.begin()
        counters = store.counters(tenant.tenant_id)
        alerts: list[NewAlert] = []
        about: list[tuple[int, Alert]] = []
        versions = []
        for index in range(start, min(start + BATCH, incidents)):
            counters.last_incident += 1
            change, stamp = counters.next_change(bench.clock.at + index * SECOND // 50)
            facts = None
            for nth in range(2 if index // 7 % 10 == 0 else 1):
                number += 1
                alert = _alert(number, index, nth, incidents, stamp)
                document, rest = encode_alert(
                    alert, public_id=f"tn{number}", incident_id=index + 1, tenant_guid=tenant.guid, stamp=stamp
                )
                alerts.append(NewAlert(number, change, index + 1, "native", alert.identity, document, rest))
                about.append((number, alert))
                facts = first_facts(index + 1, alert, 2) if facts is None else with_alert(facts, alert, 1)
            assert facts is not None
            header = IncidentHeader(
                incident_name=f"Incident {index}",
                created_time=format_ticks(stamp),
                last_update_time=format_ticks(stamp),
                severity=_SEVERITIES[facts.severity],
            )
            versions.append((LiveIncident(index + 1, change, stamp, header, facts), 0, stamp))
        store.write_alerts(tenant.tenant_id, alerts)
        store.exposures.write(tenant.tenant_id, tenant.guid, about)
        store.write_versions(tenant.tenant_id, versions)
        counters.last_alert = number
        store.save_counters(counters)
        store.commit()
        store.checkpoint(1, 1)
    for below, group in reversed(GROUPS):
        statement = "UPDATE device SET group_id = ? WHERE CAST(substr(json_extract(facts, '$.name'), 2) AS INTEGER) < ?"
        store.connection.execute(statement, (group, below))


def _alert(number: int, index: int, nth: int, incidents: int, stamp: int) -> Alert:
    device = (index * 7_919 + nth * 4_999) % DEVICES
    source = "Rare" if number % 10_000 == 77 else "Older" if index < incidents // 2 else "Newer"
    return Alert(
        identity=f"i{number}",
        provider_alert_id=f"p{number}",
        service_source=source,
        first_activity=stamp,
        last_activity=stamp,
        title=f"Suspicious process {index % 50}",
        category="Execution",
        severity=_SEVERITIES[1 + index % 4],
        devices=(Device(device_dns_name=f"d{device}"),),
        entities=(
            Entity(entity_type="User", account_name=f"u{index % 3_000}", domain_name="corp"),
            Entity(entity_type="Process", file_name="tool.exe", process_command_line="tool.exe --do " + "x" * 200),
        ),
    )


def measured(bench: Bench, repeats: int) -> dict[str, Any]:
    """Processor time in ms for who sees all, and the ratios of the others to it, for each kind of question."""
    store = ReadStore(open_reader(bench.path))
    alerts = AlertStore(store._connection)
    search = Search(store, cache_bytes_max=0)
    high = parse_options(b"$filter=severity eq 'High'", INCIDENT_OPTIONS)
    plain = parse_options(b"", INCIDENT_OPTIONS)
    tenant_id = bench.tenant.tenant_id
    scopes = {"all": Scope.everything_of(tenant_id)} | {n: Scope(tenant_id, g) for n, g in SCOPES.items()}

    def page(scope: Scope, query: Any, skip: int) -> Callable[[], object]:
        walk = Walk(
            walker=Walker(tenant_id, "x", "x"), query=query, options_text=b"", not_before=0, page_size=PAGE, skip=skip
        )
        return lambda: search.walk(
            scope, lambda row, header, raw: defender.incident_object(row.incident_id, "u", header, raw), walk
        )

    result: dict[str, Any] = {"visible": {n: store.count_incidents(s) for n, s in scopes.items()}}
    asked_for: dict[str, Callable[[Scope], Callable[[], object]]] = {
        "page": lambda scope: page(scope, plain, 0),
        "rows": lambda scope: lambda: store.find_incidents(scope, top=PAGE + 1),
        "page_of_high": lambda scope: page(scope, high, 0),
        "page_after_50": lambda scope: page(scope, plain, 50),
        "count": lambda scope: lambda: store.count_incidents(scope),
        "alerts": lambda scope: lambda: alerts.find_alerts(scope, top=PAGE),
    }
    for kind, asked in asked_for.items():
        taken = {name: _median(asked(scope), repeats) for name, scope in scopes.items()}
        result[kind] = {
            "all_ms": round(taken["all"] * 1000, 3),
            **{name: round(value / taken["all"], 2) for name, value in taken.items() if name != "all"},
        }
    return result


def _median(work: Callable[[], object], repeats: int) -> float:
    taken = []
    for _ in range(repeats + 1):
        begun = time.thread_time()
        work()
        taken.append(time.thread_time() - begun)
        if sum(taken) > 20:
            break
    return statistics.median(taken[1:] or taken)


def main() -> None:
    """Print the figures as JSON."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--incidents", type=int, default=200_000)
    options.add_argument("--repeats", type=int, default=15)
    options.add_argument("--folder", type=Path)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(chosen.folder or Path(folder), HandClock())
        if bench.reader.count_incidents(bench.scope) < chosen.incidents:
            fill(bench, chosen.incidents)
        print(json.dumps({"incidents": chosen.incidents, **measured(bench, chosen.repeats)}, indent=2))


if __name__ == "__main__":
    main()
