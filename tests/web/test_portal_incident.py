"""One incident's page: timeline, reasons, things involved, drawing, history; husks; and texts of attackers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from house import START, Client, HandClock, native, running, shared_url
from tocsin.model import Severity
from tocsin.ticks import HOUR, MINUTE, SECOND
from tocsin.web.portal.graph import ALERTS_MAX, SIDE_MAX, Told, draw
from tocsin.web.portal.story import ALERTS_PAGE
from tocsin.web.portal.things import ADDRESSES, DEVICES, Thing
from visitor import Tree, devices, page, sign_in, two_that_merge, users

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'; DROP TABLE alert; --",
    "javascript:alert(1)",
    "\u202egnp.exe",
    "zero\u200bwidth \ufeff\u2028line",
    "{{ 7 * 7 }}{% raw %}",
    "</title></svg><style>*{}</style>",
    "long" * 4_000,
    "\x1b[31mred\x07",
)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def client(tmp_path: Path, clock: HandClock) -> Iterator[Client]:
    with running(tmp_path, clock) as running_client:
        sign_in(running_client)
        yield running_client


def told(tree: Tree) -> str:
    return " ".join(tree.text.split())


def test_the_timeline_tells_alerts_in_order_of_what_happened_with_their_reasons(
    client: Client, clock: HandClock
) -> None:
    client.ingest(native(1, title="Later", at=START, entities=shared_url("a")))
    clock.at += 5 * SECOND
    client.ingest(native(2, title="Earlier", at=START - 5 * MINUTE, severity="High", entities=shared_url("a")))
    text = told(page(client, "/incidents/1"))
    assert text.index("tn2 Earlier") < text.index("tn1 Later")
    assert "Opened this incident." in text
    assert re.search(
        r"Joined: same url https://a\.example/landing seen 5 min apart \(\+\.\d\d, shared indicator\)", text
    )
    assert "with tn1" in text
    assert "5 min later" in text


def test_a_reason_links_to_the_alert_it_names(client: Client, clock: HandClock) -> None:
    client.ingest(native(1, entities=shared_url("a")))
    clock.at += SECOND
    client.ingest(native(2, at=clock.at, entities=shared_url("a")))
    tree = page(client, "/incidents/1")
    assert "#a1" in tree.links()
    assert {"a1", "a2"} <= {item["id"] for item in tree.all("li") if item.get("id")}


def test_a_merge_says_which_incident_came_in_and_why(client: Client, clock: HandClock) -> None:
    two_that_merge(client, clock)
    text = told(page(client, "/incidents/1"))
    assert "Merged 2 into 1: same url https://two.example/landing" in text
    assert "Opened an incident of its own, which was later merged into this one." in text
    assert "which merged incident 2 into this one" in text


def test_a_husk_says_where_it_went(client: Client, clock: HandClock) -> None:
    two_that_merge(client, clock)
    tree = page(client, "/incidents/2")
    assert "This incident was merged" in tree.text
    assert "Younger" in tree.text
    assert "/incidents/1" in tree.links()
    assert "Merged into incident 1" in tree.text
    assert "Why: merged 2 into 1: same url https://" in told(tree)


def test_what_is_not_there_is_not_found(client: Client) -> None:
    client.ingest(native(1))
    for number in ("2", "0", "-1", "x", "9" * 18, "9" * 40, "%F0%9D%9F%8F"):
        assert "/incidents" in page(client, f"/incidents/{number}", 404).links(), number


def test_what_is_involved_is_counted_by_group(client: Client, clock: HandClock) -> None:
    shared = shared_url("a")
    client.ingest(native(1, devices=devices("a.example"), entities=[*shared, *users("ann")]))
    clock.at += SECOND
    client.ingest(native(2, at=clock.at, devices=devices("A.example"), entities=[*shared, *users("bob")]))
    text = told(page(client, "/incidents/1"))
    assert re.search(r"Devices 1 a\.example 2 Users 2 ", text)


def test_command_lines_techniques_and_tactics_are_shown(client: Client) -> None:
    process = {"entityType": "Process", "fileName": "sh", "processCommandLine": "curl example | sh"}
    client.ingest(native(1, entities=[process], mitreTechniques=["T1059.004"], tactics=["execution"]))
    text = told(page(client, "/incidents/1"))
    assert "curl example | sh" in text
    assert "T1059.004" in text
    assert "Execution (seen)" in text


def test_repetitions_are_folded_and_none_is_lost(client: Client, clock: HandClock) -> None:
    for number in range(1, 8):
        clock.at += MINUTE
        client.ingest(native(number, title="Beacon", at=clock.at, entities=shared_url("a")))
    tree = page(client, "/incidents/1")
    assert "6 more of the same over 6 min" in told(tree)
    assert {f"a{number}" for number in range(1, 8)} <= {item.get("id") for item in tree.all("li")}


def test_repetitions_with_others_between_them_are_folded_too(client: Client, clock: HandClock) -> None:
    titles = ("Beacon", "Scan", "Beacon", "Drop", "Beacon", "Beacon", "Scan")
    for number, title in enumerate(titles, 1):
        clock.at += MINUTE
        client.ingest(native(number, title=title, at=clock.at, entities=shared_url("a")))
    tree = page(client, "/incidents/1")
    assert "3 more of the same over 5 min" in told(tree)
    shown = [item["id"] for item in tree.all("li") if (item.get("id") or "").startswith("a")]
    assert shown == ["a1", "a3", "a5", "a6", "a2", "a4", "a7"]


def test_a_long_timeline_has_pages_and_reasons_reach_across_them(client: Client) -> None:
    shared = shared_url("a")
    client.ingest(
        *[native(n, title=f"Alert {n}", at=START + n * SECOND, entities=shared) for n in range(1, ALERTS_PAGE + 3)]
    )
    first, second = page(client, "/incidents/1"), page(client, "/incidents/1?page=2")
    assert "page 1 of 2" in first.text
    assert f"?page=1#a{ALERTS_PAGE}" in second.links()
    assert len([item for item in first.all("li") if (item.get("id") or "").startswith("a")]) == ALERTS_PAGE
    assert len([item for item in second.all("li") if (item.get("id") or "").startswith("a")]) == 2
    assert "page 2 of 2" in page(client, "/incidents/1?page=99").text
    page(client, "/incidents/1?page=x", 400)


def test_texts_of_attackers_are_shown_and_do_nothing(client: Client, clock: HandClock) -> None:
    for number, text in enumerate(HOSTILE, 1):
        client.ingest(hostile(2 * number, text, clock.at))
        clock.at += SECOND
        client.ingest(hostile(2 * number + 1, text, clock.at))
        clock.at += HOUR
        harmless(client, f"/incidents/{number}")
    harmless(client, "/incidents")


def hostile(number: int, text: str, at: int) -> dict[str, Any]:
    """A text in every place of an alert that a page shows."""
    entities = [
        {"entityType": "Url", "url": text},
        {"entityType": "File", "fileName": text, "filePath": text},
        {"entityType": "Process", "fileName": text, "processCommandLine": text},
        {"entityType": "MailMessage", "subject": text, "sender": text, "recipient": text},
        {"entityType": text[:60], "accountName": text},
        *users(text),
        *shared_url(f"h{number // 2}"),
    ]
    fields = {"title": text, "description": text, "serviceSource": text, "category": text, "detectorId": text}
    return native(number, at=at, devices=devices(text[:200]), entities=entities, **fields)


def harmless(client: Client, path: str) -> None:
    """The page has no element, attribute or link that is not ours, and no character that cannot be seen."""
    answer = client.http.get(path)
    assert answer.status_code == 200, answer.text[:500]
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200b\ufeff\u2028\x1b\x07]", answer.text)
    tree = Tree(answer.text)
    assert tree.unbalanced == []
    assert not tree.all("script") + tree.all("img") + tree.all("style")
    assert all(link.startswith(("/", "#", "?")) for link in tree.links()), tree.links()
    assert not [name for _, attributes in tree.elements for name in attributes if name.startswith("on")]
    assert len(answer.content) < 300_000


def test_hidden_characters_are_named(client: Client) -> None:
    client.ingest(native(1, title="invoice\u202egnp.exe"))
    assert "invoiceU+202Egnp.exe" in page(client, "/incidents/1").text


def test_history_tells_what_happened_newest_first(client: Client, clock: HandClock) -> None:
    client.ingest(native(1, entities=shared_url("a")))
    clock.at += HOUR
    client.ingest(native(2, at=clock.at, entities=shared_url("a")))
    text = told(page(client, "/incidents/1"))
    assert text.index("1 alert joined by correlation") < text.index("Opened with 1 alert by correlation")
    assert "2026-03-02 10:00:00 UTC" in text


def test_one_account_and_one_machine_are_shown_once_in_the_form_that_says_most(client: Client) -> None:
    spellings = [
        {"entityType": "User", "accountName": "ada.king", "domainName": "NORTH"},
        {"entityType": "User", "userPrincipalName": "Ada.King@north.example"},
        {"entityType": "User", "accountName": "ada.king"},
    ]
    for number, entity in enumerate(spellings, 1):
        hosts = devices("PC-7" if number == 1 else "pc-7.north.example")
        client.ingest(native(number, devices=hosts, entities=[entity, *shared_url("a")]))
    shown = told(page(client, "/incidents/1"))
    assert "Devices 1 pc-7.north.example 3 Users 1 Ada.King@north.example 3 " in shown
    assert "more" not in told(page(client, "/incidents")).split("ada.king")[1]


def test_an_id_is_shown_by_the_name_that_an_alert_gives_it(client: Client) -> None:
    guid = "5d1f0a8e-8f4f-4f8a-9d7c-0c1d2e3f4a5b"
    client.ingest(native(1, entities=[{"entityType": "User", "accountName": "ada", "aadUserId": guid}]))
    client.ingest(native(2, entities=[{"entityType": "User", "aadUserId": guid}]))
    shown = told(page(client, "/incidents/1"))
    assert "same user ada seen" in shown
    assert "Users 1 ada 2 " in shown
    assert guid not in shown


def test_a_drawing_is_bounded_and_stays_in_its_box() -> None:
    alerts = [
        Told(f"title {n}", Severity.LOW, [Thing(DEVICES, f"host {n}"), Thing(ADDRESSES, f"10.0.0.{n % 50}")])
        for n in range(200)
    ]
    drawing = draw(alerts)
    assert drawing is not None
    assert len(drawing.nodes) <= ALERTS_MAX + 2 * SIDE_MAX
    assert drawing.left_out == 450 - len(drawing.nodes)
    for node in drawing.nodes:
        assert 0 <= node.x <= node.x + node.width <= drawing.width
        assert 0 <= node.y <= node.y + node.height <= drawing.height
    boxes = sorted((node.x, node.y) for node in drawing.nodes)
    assert all(a[0] != b[0] or b[1] - a[1] >= 26 for a, b in pairwise(boxes))


def test_a_drawing_prefers_severe_alerts_and_has_no_line_without_ends() -> None:
    things = [Thing(DEVICES, "host")]
    low = [Told(f"low {n}", Severity.LOW, things) for n in range(50)]
    drawing = draw([*low, Told("high", Severity.HIGH, things)])
    assert drawing is not None
    assert "high" in {node.whole for node in drawing.nodes}
    assert len(drawing.edges) == ALERTS_MAX
    assert draw([Told("alone", Severity.HIGH, [])]) is None
