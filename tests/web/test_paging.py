"""Pages of `/api/incidents`: links for who asks for them, `$skip` for who does not, both of one moment."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from house import Client, HandClock, native, running
from tocsin.access import Permission
from tocsin.app import asgi
from tocsin.config import Settings
from tocsin.service import Service
from tocsin.ticks import MINUTE, SECOND

INCIDENTS = 250


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with running(
        tmp_path_factory.mktemp("paging"), HandClock(), quota_per_minute=100_000, quota_per_hour=100_000
    ) as it:
        it.ingest(*[native(number) for number in range(INCIDENTS)])
        yield it


def ids(answer: Any) -> list[int]:
    assert answer.status_code == 200, answer.text
    return [incident["incidentId"] for incident in answer.json()["value"]]


def link(answer: Any) -> str | None:
    found = answer.json().get("@odata.nextLink")
    assert found is None or isinstance(found, str)
    return found


def change(client: Client, incident_id: int) -> None:
    """Comment on an incident: it becomes the newest."""
    assert isinstance(client.service.clock, HandClock)
    client.service.clock.at += SECOND
    token = client.token_for(f"desk {client.service.clock.at}", Permission.READ_WRITE)
    answer = client.http.patch(
        f"/api/incidents/{incident_id}", json={"comment": "x"}, headers={"authorization": f"Bearer {token}"}
    )
    assert answer.status_code == 200


def newest_first(client: Client) -> list[int]:
    found: list[int] = []
    for skip in range(0, INCIDENTS, 100):
        found += ids(client.get(f"/api/incidents?$top=100&$skip={skip}"))
    return found


def test_links_lead_through_the_whole_list_while_it_moves(client: Client) -> None:
    expected = newest_first(client)
    answer = client.get("/api/incidents")
    got, following = ids(answer), link(answer)
    pages = 1
    while following:
        assert following.startswith(f"{client.service.names.base_url}/api/incidents?$skiptoken=")
        assert len(following) < 2000
        change(client, expected[-pages])
        answer = client.get(following.removeprefix(client.service.names.base_url))
        got, following, pages = got + ids(answer), link(answer), pages + 1
    assert got == expected
    assert pages == 3


def test_skips_read_the_moment_of_their_first_page(client: Client) -> None:
    expected = newest_first(client)
    got: list[int] = []
    for skip in range(0, INCIDENTS + 100, 100):
        got += ids(client.get(f"/api/incidents?$top=100&$skip={skip}"))
        change(client, expected[-1 - skip // 100])
    assert got == expected
    assert newest_first(client) != expected


def test_an_old_pin_gives_way_to_the_newest_state(client: Client) -> None:
    client.get("/api/incidents?$top=100")
    oldest = newest_first(client)[-1]
    change(client, oldest)
    assert isinstance(client.service.clock, HandClock)
    client.service.clock.at += 10 * MINUTE
    assert ids(client.get(f"/api/incidents?$skip={INCIDENTS - 1}")) != [oldest]


@pytest.mark.parametrize(
    ("query", "prefer", "expected"),
    [
        ("", "", (100, True, None)),
        ("$skip=20", "", (100, True, None)),
        ("$skip=200", "", (50, False, None)),
        ("$top=100", "", (100, False, None)),
        ("$top=0", "", (0, False, None)),
        ("$top=7", "odata.maxpagesize=3", (3, True, "odata.maxpagesize=3")),
        ("$top=3", "odata.maxpagesize=3", (3, False, "odata.maxpagesize=3")),
        ("", "odata.maxpagesize=40", (40, True, "odata.maxpagesize=40")),
        ("", "respond-async, maxpagesize=40", (40, True, "odata.maxpagesize=40")),
        ("", "odata.maxpagesize=5000", (100, True, "odata.maxpagesize=100")),
        ("", "odata.maxpagesize=0", (100, True, None)),
        ("", "odata.maxpagesize=many", (100, True, None)),
    ],
)
def test_a_link_is_there_where_it_is_wanted_and_more_follows(
    client: Client, query: str, prefer: str, expected: tuple[int, bool, str | None]
) -> None:
    answer = client.get(f"/api/incidents?{query}", **({"prefer": prefer} if prefer else {}))
    found = len(ids(answer)), link(answer) is not None, answer.headers.get("preference-applied")
    assert found == expected


def test_top_runs_down_over_the_pages_of_a_preference(client: Client) -> None:
    answer = client.get("/api/incidents?$top=7", prefer="odata.maxpagesize=3")
    got = [ids(answer)]
    while following := link(answer):
        answer = client.get(following.removeprefix(client.service.names.base_url))
        got.append(ids(answer))
    assert [len(page) for page in got] == [3, 3, 1]
    assert [each for page in got for each in page] == newest_first(client)[:7]


def test_the_link_is_on_the_name_that_was_called(client: Client) -> None:
    for base in client.service.names.bases.values():
        answer = client.get("/api/incidents", host=base.removeprefix("https://"))
        assert (link(answer) or "").startswith(f"{base}/api/incidents?")
    assert (link(client.get("/api/incidents", host="evil.example")) or "").startswith(client.service.names.base_url)


def test_a_link_of_another_caller_or_changed_is_400_and_says_so(client: Client) -> None:
    following = (link(client.get("/api/incidents")) or "").removeprefix(client.service.names.base_url)
    for path, said in ((following[:-4] + "AAAA", "was not made by this service"), (following, "another application")):
        other = client.token_for(f"other {said}", Permission.READ)
        token = client.token if "made" in said else other
        answer = client.http.get(path, headers={"authorization": f"Bearer {token}"})
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == "ODataError"
        assert said in answer.json()["error"]["message"]


def test_links_outlive_a_restart(tmp_path: Path) -> None:
    clock = HandClock()
    with running(tmp_path, clock) as client:
        client.ingest(*[native(number) for number in range(150)])
        answer = client.get("/api/incidents?$filter=status eq 'Active'")
        expected = newest_first(client)
        following = (link(answer) or "").removeprefix(client.service.names.base_url)
        change(client, expected[-1])
        token = client.token
    service = Service(Settings(data_dir=tmp_path), clock, lambda: None)
    with TestClient(asgi(service), base_url=service.names.base_url) as http:
        assert ids(http.get(following, headers={"authorization": f"Bearer {token}"})) == expected[100:]
    service.close()
