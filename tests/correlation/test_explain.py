"""The sentences that say why."""

from __future__ import annotations

import pytest

from tocsin import ticks
from tocsin.correlation.engine import Link, LinkEvidence, Merge
from tocsin.correlation.explain import explain

URL = LinkEvidence("url", "http://a.example/x", "sharedIndicators", 0.75, 12 * ticks.SECOND)
USER = LinkEvidence("user", "eva", "sameAsset", 0.7, 0)


def test_a_link_reads_as_a_sentence() -> None:
    assert explain(Link(7, 3, 0.925, (URL, USER))) == (
        "joined: same url http://a.example/x seen 12 s apart (+.75 sharedIndicators); "
        "same user eva seen at the same time (+.70 sameAsset); score .93"
    )


def test_a_merge_names_both() -> None:
    assert explain(Merge(9, 4, 0.8, (USER,), 3)).startswith("merged 9 into 4: same user eva ")


def test_a_moment_has_no_name() -> None:
    moment = LinkEvidence("moment", "", "temporalProximity", 0.2, ticks.SECOND)
    assert "joined: quiet moment seen 1 s apart (+.20 temporalProximity); " in explain(Link(7, 3, 0.6, (moment,)))


@pytest.mark.parametrize(
    ("age", "text"), [(61 * ticks.SECOND, "1 min"), (3 * ticks.HOUR, "3 h"), (2 * ticks.DAY, "2 d")]
)
def test_ages(age: int, text: str) -> None:
    edge = Link(7, 3, 0.6, (LinkEvidence("url", "u", "sharedIndicators", 0.6, age),))
    assert f"seen {text} apart" in explain(edge)


def test_a_score_is_never_rounded_up_to_certain() -> None:
    assert explain(Link(7, 3, 0.9999, (USER,))).endswith("score .99")
