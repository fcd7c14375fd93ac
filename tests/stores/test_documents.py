"""Documents read together are those read one by one, whatever moment the list is of."""

from __future__ import annotations

from pathlib import Path

from house import Bench, HandClock, native, shared_url
from tocsin.access import Scope


def test_documents_of_a_page_are_those_of_each_row_at_every_moment(tmp_path: Path) -> None:
    bench = Bench(tmp_path, HandClock())
    for number in range(40):
        bench.later(1)
        names = [str(number % 7)] + ([str((number + 1) % 7)] if number in (20, 30) else [])
        bench.ingest(native(number, at=bench.clock.at, entities=[each for name in names for each in shared_url(name)]))
    newest = bench.reader.last_change(bench.scope)
    assert newest > 40
    for moment in range(1, newest + 1):
        rows = bench.reader.find_incidents(bench.scope, top=100, as_of=moment)
        one_by_one = [(bench.reader.header(row), bench.reader.alerts(bench.scope, row)) for row in rows]
        assert bench.reader.documents(bench.scope, rows) == one_by_one
        assert sum(len(alerts) for _, alerts in one_by_one) == sum(row.alert_count for row in rows)


def test_an_empty_scope_is_given_no_alerts(tmp_path: Path) -> None:
    bench = Bench(tmp_path, HandClock())
    bench.ingest(native(1))
    rows = bench.reader.find_incidents(bench.scope, top=1)
    assert [alerts for _, alerts in bench.reader.documents(Scope.nothing_of(bench.tenant.tenant_id), rows)] == [[]]
    assert bench.reader.documents(bench.scope, []) == []
