"""The sentences that say why."""

from __future__ import annotations

import pytest

from tocsin import ticks
from tocsin.correlation.engine import Link, LinkEvidence, Merge
from tocsin.correlation.explain import explain, phrases

URL = LinkEvidence("url", "http://a.example/x", "sharedIndicators", 0.75, 12 * ticks.SECOND)
USER = LinkEvidence("user", "eva", "sameAsset", 0.7, 0)


def test_a_link_reads_as_a_sentence() -> None:
    assert explain(Link(7, 3, 0.925, (URL, USER))) == (
        "joined: same url http://a.example/x seen 12 s apart (+.75, shared indicator); "
        "same user eva seen at the same time (+.70, same asset); score .93"
    )


def test_a_merge_names_both() -> None:
    assert explain(Merge(9, 4, 0.8, (USER,), 3)).startswith("merged 9 into 4: same user eva ")


def test_a_moment_has_no_name() -> None:
    moment = LinkEvidence("moment", "", "temporalProximity", 0.2, ticks.SECOND)
    assert "joined: 1 s apart, and little else was going on (+.20); " in explain(Link(7, 3, 0.6, (moment,)))
    assert "also little else was going on at that time (+.20); " in explain(Link(7, 3, 0.6, (moment, URL, USER)))


def test_the_strongest_two_come_first_and_the_others_in_short() -> None:
    domain = LinkEvidence("domain", "a.example", "sharedIndicators", 0.1, ticks.SECOND)
    path = LinkEvidence("path", "c:\\x", "similarArtifacts", 0.2, ticks.SECOND)
    assert explain(Link(7, 3, 0.9, (domain, USER, path, URL))).endswith(
        "(+.70, same asset); also same file path c:\\x (+.20); same domain a.example (+.10); score .90"
    )


def test_an_id_of_a_person_is_shown_by_name() -> None:
    user = LinkEvidence("user", "0A1B", "sameAsset", 0.7, 0)
    assert "same user eva seen" in explain(Link(7, 3, 0.7, (user,)), {"0a1b": "eva"})


def test_what_sensors_wrote_stands_apart() -> None:
    told = [phrase.text for phrase in phrases(Link(7, 3, 0.925, (URL, USER))) if phrase.told]
    assert told == ["http://a.example/x", "eva"]


@pytest.mark.parametrize(
    ("age", "text"), [(61 * ticks.SECOND, "1 min"), (3 * ticks.HOUR, "3 h"), (2 * ticks.DAY, "2 d")]
)
def test_ages(age: int, text: str) -> None:
    edge = Link(7, 3, 0.6, (LinkEvidence("url", "u", "sharedIndicators", 0.6, age),))
    assert f"seen {text} apart" in explain(edge)


def test_a_score_is_never_rounded_up_to_certain() -> None:
    assert explain(Link(7, 3, 0.9999, (USER,))).endswith("score .99")
