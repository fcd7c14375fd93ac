"""The queue: what a row shows, filters, pages, merged incidents, the counts above."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from house import START, Client, HandClock, native, running, shared_url
from tocsin.access import Permission
from tocsin.errors import InvalidInput
from tocsin.ticks import DAY, HOUR, SECOND, format_ticks
from tocsin.web.csrf import FIELD
from tocsin.web.portal.asking import PAGE, Asked, FilterError, read_asked, read_filter
from tocsin.web.portal.text import moment
from visitor import Tree, devices, page, sign_in, two_that_merge, users


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def client(tmp_path: Path, clock: HandClock) -> Iterator[Client]:
    with running(tmp_path, clock) as running_client:
        sign_in(running_client)
        yield running_client


def names(tree: Tree) -> list[str]:
    """Numbers of the incidents listed, in order."""
    found = [re.fullmatch(r"/incidents/(\d+)", link) for link in tree.links()]
    return [match[1] for match in found if match]


def test_a_row_tells_severity_name_status_counts_and_times(client: Client, clock: HandClock) -> None:
    hosts, accounts = devices("a.example", "b.example", "c.example"), users("ann", "bob", "cem", "dee")
    client.ingest(native(1, title="Odd logon", severity="High", devices=hosts, entities=accounts))
    clock.at += 3 * HOUR
    tree = page(client, "/incidents")
    told = " ".join(tree.text.split())
    for expected in ("High", "Odd logon", "#1", "Active", "a.example", "b.example", "+1 more", "ann", "bob", "+2 more"):
        assert expected in told, expected
    assert "c.example" not in told
    times = [time for time in tree.all("time") if time["title"] == "2026-03-02 09:00:00 UTC"]
    assert len(times) == 2
    assert "3 h ago" in told


def test_a_row_shows_the_priority_with_its_terms(client: Client) -> None:
    client.ingest(native(1, title="Odd logon", severity="High", devices=devices("a.example", "b.example")))
    for path in ("/incidents", "/incidents/1"):
        (number,) = [span for span in page(client, path).all("span") if "urgency" in (span.get("class") or "")]
        assert number["class"] == "urgency medium"
        assert number["title"] == (
            "Priority 19 of 100: +2.0 one rule, by severity and how usual each is here; +0.5 2 devices"
        )


def test_the_newest_change_comes_first(client: Client, clock: HandClock) -> None:
    client.ingest(native(1, entities=shared_url("a")))
    client.ingest(native(2))
    assert names(page(client, "/incidents")) == ["2", "1"]
    clock.at += SECOND
    client.ingest(native(3, entities=shared_url("a"), at=clock.at))
    assert names(page(client, "/incidents")) == ["1", "2"]


NARROWED: tuple[tuple[str, list[str]], ...] = (
    ("severity=High", ["3"]),
    ("severity=High&severity=Low", ["3", "1"]),
    ("status=Active", ["3", "2", "1"]),
    ("status=Resolved", []),
    ("$filter=severity+ge+'Medium'", ["3", "2"]),
    ("%24filter=severity%20ge%20%27Medium%27%20and%20incidentId%20lt%203", ["2"]),
    ("severity=Low&$filter=severity+ge+'Medium'", []),
    ("$filter=2", ["2"]),
    ("$filter=%232", ["2"]),
    ("$filter=", ["3", "2", "1"]),
    ("$filter=assignedTo+eq+'a%26b'", []),
)


def test_the_most_urgent_comes_first_where_that_is_asked_for(tmp_path: Path, clock: HandClock) -> None:
    with running(tmp_path / "other", clock) as client:
        for number, severity in enumerate(("Low", "High", "Informational", "Medium", "High"), 1):
            hosts = devices(*[f"{number}-{each}.example" for each in range(number)])
            client.ingest(native(number, title=f"Finding {number}", severity=severity, devices=hosts))
        headers = {"authorization": f"Bearer {client.token_for('triage', Permission.READ_WRITE)}"}
        answer = client.http.patch("/api/incidents/5", headers=headers, json={"status": "Resolved"})
        assert answer.status_code == 200
        sign_in(client)
        assert names(page(client, "/incidents")) == ["5", "4", "3", "2", "1"]
        tree = page(client, "/incidents?order=priority")
        assert names(tree) == ["2", "4", "3", "1"]
        assert names(page(client, "/incidents?order=priority&status=Resolved")) == ["5"]
        assert any("order=priority" in link and "severity=High" in link for link in tree.links())
        assert client.http.get("/incidents?order=size").status_code == 400


def test_chips_and_filter_narrow_the_list(client: Client) -> None:
    for number, severity in enumerate(("Low", "Medium", "High"), 1):
        client.ingest(native(number, severity=severity))
    for query, expected in NARROWED:
        assert names(page(client, f"/incidents?{query}")) == expected, query


def test_a_chip_switches_itself_and_keeps_the_others(client: Client) -> None:
    tree = page(client, "/incidents?severity=High&status=Active&$filter=incidentId+gt+0")
    assert "/incidents?status=Active&%24filter=incidentId+gt+0" in tree.links()
    assert "/incidents?severity=High&severity=Low&status=Active&%24filter=incidentId+gt+0" in tree.links()
    chosen = [link["href"] for link in tree.all("a") if link.get("aria-current") == "true"]
    assert len(chosen) == 2
    hidden = {(field["name"], field["value"]) for field in tree.all("input") if field.get("type") == "hidden"}
    hidden = {each for each in hidden if each[0] != FIELD}
    assert hidden == {("severity", "High"), ("status", "Active")}


def test_a_filter_that_is_wrong_is_told_with_its_place_and_kept(client: Client) -> None:
    client.ingest(native(1))
    answer = client.http.get("/incidents", params={"$filter": "severity == '<b>'"})
    assert answer.status_code == 400
    tree = Tree(answer.text)
    assert "at position 9" in tree.text
    assert "severity == '<b>'\n         ^" in tree.text
    assert not tree.all("b")
    (field,) = [field for field in tree.all("input") if field.get("type") == "search"]
    assert (field["value"], field["aria-invalid"]) == ("severity == '<b>'", "true")
    assert names(tree) == []


WORDS: tuple[tuple[str, list[str]], ...] = (
    ("odd", ["1"]),
    ("ODD logon", ["1"]),
    ("logon odd", ["1"]),
    ("odd mail", []),
    ("pc-7", ["1"]),
    ("PC-7.example.org", ["1"]),
    ("ada", ["2"]),
    ("203.0.113.9", ["2"]),
    ("https://Lure.example/landing", ["3"]),
    ("lure.example", ["3"]),
    ("zz.example", []),
    ("NORTH\\ada", ["2"]),
)


def test_words_and_addresses_find_incidents_by_what_they_are_about(client: Client) -> None:
    client.ingest(native(1, title="Odd logon", devices=devices("pc-7.example.org")))
    account = {"entityType": "User", "accountName": "NORTH\\ada"}
    client.ingest(native(2, title="Mail", entities=[account, {"entityType": "Ip", "ipAddress": "203.0.113.9"}]))
    client.ingest(native(3, title="Link", entities=shared_url("lure")))
    for text, expected in WORDS:
        tree = Tree(client.http.get("/incidents", params={"$filter": text}).text)
        assert names(tree) == expected, text
        assert "Looked for" in tree.text
    assert names(Tree(client.http.get("/incidents", params={"$filter": "odd", "severity": "Low"}).text)) == []


def test_a_value_without_quotes_gets_a_hint(client: Client) -> None:
    for text, hint in (("severity eq High", "'High'"), ("severity ge 'Low' and status eq Active", "'Active'")):
        answer = client.http.get("/incidents", params={"$filter": text})
        assert answer.status_code == 400
        assert f"Put text in quotes: {hint}." in Tree(answer.text).text


def test_a_time_long_ago_is_told_as_a_date() -> None:
    assert moment(START, START + 90 * DAY).distance == "90 d ago"
    assert moment(START, START + 91 * DAY).distance == "2026-03-02"


def test_a_text_that_breaks_lines_gets_no_caret() -> None:
    found = read_filter("severity\n== 3")
    assert isinstance(found, FilterError)
    assert found.caret == ""


def test_an_address_that_none_of_our_links_has_is_refused(client: Client) -> None:
    long = "9" * 30
    for query in ("severity=Awful", "status=Redirected", "older=x", "newer=-1", "skip=1", f"older={long}"):
        assert "odd" in page(client, f"/incidents?{query}", 400).text, query


def test_pages_turn_both_ways_and_do_not_move_while_incidents_arrive(client: Client) -> None:
    client.ingest(*[native(number) for number in range(1, 2 * PAGE + 11)])
    first = page(client, "/incidents")
    assert names(first) == [str(number) for number in range(2 * PAGE + 10, PAGE + 10, -1)]
    second = page(client, _link(first, "older"))
    client.ingest(native(900))
    assert names(second) == names(page(client, _link(first, "older")))
    assert names(second) == [str(number) for number in range(PAGE + 10, 10, -1)]
    last = page(client, _link(second, "older"))
    assert names(last) == [str(number) for number in range(10, 0, -1)]
    assert not [link for link in last.links() if "older=" in link]
    assert names(page(client, _link(last, "newer"))) == names(second)
    back = page(client, _link(second, "newer"))
    assert names(back) == names(first)
    assert names(page(client, _link(back, "newer"))) == [str(2 * PAGE + 11)]


def _link(tree: Tree, direction: str) -> str:
    (found,) = [link for link in tree.links() if f"{direction}=" in link]
    return found


def test_turning_keeps_the_filter(client: Client) -> None:
    client.ingest(*[native(number, severity="Low" if number % 2 else "High") for number in range(1, 2 * PAGE + 11)])
    second = page(client, _link(page(client, "/incidents?severity=High"), "older"))
    assert names(second) == [str(number) for number in range(10, 0, -2)]


def test_merged_incidents_are_hidden_until_asked_for(client: Client, clock: HandClock) -> None:
    two_that_merge(client, clock)
    hidden = page(client, "/incidents")
    assert names(hidden) == ["1"]
    assert "/incidents?merged=1" in hidden.links()
    shown = page(client, "/incidents?merged=1")
    assert sorted(names(shown)) == ["1", "1", "2"]
    assert "merged into" in shown.text
    assert sorted(set(names(page(client, "/incidents?merged=1&status=Active")))) == ["1", "2"]


def test_the_strip_counts_what_is_open_and_what_was_opened_each_day(client: Client, clock: HandClock) -> None:
    two_that_merge(client, clock)
    clock.at = START + 2 * DAY
    client.ingest(native(4, severity="High"), native(5, severity="Low"))
    sign_in(client)
    tree = page(client, "/incidents")
    told = " ".join(tree.text.split())
    assert "5 alerts in 3 incidents" in told
    for expected in ("High1 open", "Medium1 open", "Low1 open", "Informational0 open"):
        assert expected in told.replace(" open", " open"), expected
    assert "Monday 02 March: 1 incident (1 medium)" in told
    assert "Wednesday 04 March: 2 incidents (1 high, 1 low)" in told
    assert "Tuesday 03 March: 0 incidents" in told


def test_counts_are_half_a_minute_old_at_most(client: Client, clock: HandClock) -> None:
    assert "0 alerts in 0 incidents" in " ".join(page(client, "/incidents").text.split())
    client.ingest(native(1))
    assert "0 alerts" in page(client, "/incidents").text
    clock.at += 30 * SECOND
    assert "1 alert in 1 incident" in " ".join(page(client, "/incidents").text.split())


def test_an_empty_queue_says_whether_nothing_is_there_or_nothing_matches(client: Client) -> None:
    assert "All quiet" in page(client, "/incidents").text
    assert "No incident matches" in page(client, "/incidents?severity=High").text


def test_addresses_are_read_back_as_they_were_made() -> None:
    asked = read_asked([("severity", "Low"), ("severity", "High"), ("merged", "1"), ("$filter", "a&b=c d")])
    assert asked.address(older=7) == "?severity=High&severity=Low&merged=1&%24filter=a%26b%3Dc+d&older=7"
    assert asked.address(older=7, newer=0) == asked.address(older=7)
    assert Asked().address() == ""
    with pytest.raises(InvalidInput):
        read_asked([("$top", "3")])


def test_a_hostile_incident_shows_its_text_and_nothing_else(client: Client) -> None:
    fields: dict[str, Any] = {
        "title": "<script>alert(1)</script> \u202egnp.exe",
        "serviceSource": "<img src=x onerror=alert(1)>",
        "devices": devices("\u2066<b>host</b>"),
        "entities": users('"><svg onload=alert(1)>'),
    }
    client.ingest(native(1, firstActivity=format_ticks(START), **fields))
    answer = client.http.get("/incidents")
    tree = Tree(answer.text)
    assert tree.unbalanced == []
    assert not tree.all("script")
    assert not tree.all("img")
    assert "<script>alert(1)</script> U+202Egnp.exe" in tree.text
    assert not re.search("[\u202a-\u202e\u2066-\u2069]", answer.text)
