"""Tokens of walks: what they carry, for whom, and that nobody else can make or change one; pins of `$skip` pagers."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.errors import InvalidQuery
from tocsin.odata import INCIDENT_OPTIONS, parse_options
from tocsin.odata.options import Query
from tocsin.ticks import HOUR, SECOND
from tocsin.walks import PIN_LIFE, PINS_MAX, TOKEN_CHARACTERS_MAX, Walk, Walker, Walks, load_walk_key

KEY = bytes(range(32))
WHO = Walker(1, "7d0cbb9c-6bb7-4c36-9e55-2d7a0e6a1f7a", "api/incidents")
NOW = 50 * HOUR
OPTIONS = msgspec.structs.replace(INCIDENT_OPTIONS, offered=INCIDENT_OPTIONS.offered | {"$deltatoken"})


def walks() -> Walks:
    return Walks(KEY, HOUR)


def begin(made: Walks, query_string: str = "", *, walker: Walker = WHO, now: int = NOW) -> Walk:
    raw = query_string.encode()
    query = parse_options(raw, OPTIONS)
    return made.begin(walker, raw, query, page_size=100, top=query.top, not_before=7, now=now)


def read(made: Walks, walk: Walk, rows: int, *, as_of: int, last: int, ended: bool = False, now: int = NOW) -> None:
    """Note a page as if it had been read."""
    made.note(walk, as_of=as_of, given=rows, last=(last,), ended=ended, now=now)


def resumed(made: Walks, token: str, *, walker: Walker = WHO, more: str = "", name: str = "$skiptoken") -> Walk:
    query = parse_options(f"{name}={token}{more}".encode(), OPTIONS)
    return made.resume(walker, query, OPTIONS, not_before=7)


def test_a_token_brings_the_walk_back_also_after_a_restart() -> None:
    walk = begin(walks(), "$filter=status+eq+'Active'&foo=1&$top=100&$orderby=createdTime")
    onward = walk.onward(41, 60, (17,))
    assert onward is not None
    found = resumed(walks(), walks().token(onward))
    assert found == msgspec.structs.replace(onward, query=found.query)
    assert (found.query.filter, found.query.order_by) == (walk.query.filter, walk.query.order_by)
    assert (found.as_of, found.after, found.top, found.offset) == (41, (17,), 40, 60)
    assert found.options_text == b"$filter=status+eq+'Active'&$orderby=createdTime"


def test_a_walk_whose_top_is_used_up_does_not_go_on() -> None:
    assert begin(walks(), "$top=100").onward(1, 100, (1,)) is None


@given(st.data())
def test_a_token_that_was_changed_anywhere_is_refused(data: st.DataObject) -> None:
    made = walks()
    token = made.token(msgspec.structs.replace(begin(made), as_of=3, after=(9,)))
    place = data.draw(st.integers(0, len(token) - 1))
    letter = data.draw(st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"))
    changed = token[:place] + letter + token[place + 1 :]
    if changed != token:
        with pytest.raises(InvalidQuery, match="begin anew"):
            resumed(made, changed)


@pytest.mark.parametrize("token", ["x", "A" * 1000, "==", "ä", "AAAA AAAA", "0" * 23])
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(InvalidQuery, match="begin anew"):
        resumed(walks(), token)


def test_another_key_makes_other_tokens() -> None:
    token = Walks(bytes(32), HOUR).token(begin(walks()))
    with pytest.raises(InvalidQuery, match="begin anew"):
        resumed(walks(), token)


@pytest.mark.parametrize(
    ("walker", "said"),
    [
        (Walker(2, WHO.app_id, WHO.resource), "another application or tenant"),
        (Walker(1, "someone-else", WHO.resource), "another application or tenant"),
        (Walker(1, WHO.app_id, "v1.0/security/incidents"), "another list"),
    ],
)
def test_a_token_works_for_its_caller_and_list_alone(walker: Walker, said: str) -> None:
    with pytest.raises(InvalidQuery, match=said):
        resumed(walks(), walks().token(begin(walks())), walker=walker)


def test_options_beside_a_token_may_repeat_the_walk_and_nothing_else() -> None:
    token = walks().token(begin(walks(), "$filter=status eq 'Active'"))
    assert resumed(walks(), token, more="&$filter=status+eq+'Active'").page_size == 100
    assert resumed(walks(), token, more="&$top=5").page_size == 5
    for other in ("$filter=status eq 'Resolved'", "$skip=5", "$orderby=createdTime"):
        with pytest.raises(InvalidQuery, match="other options"):
            resumed(walks(), token, more=f"&{other}")


def test_a_token_of_a_list_is_none_of_a_change_feed() -> None:
    made = walks()
    feed = made.token(msgspec.structs.replace(begin(made), since=12))
    assert resumed(made, feed, name="$deltatoken").since == 12
    with pytest.raises(InvalidQuery, match="another list"):
        resumed(made, feed)
    with pytest.raises(InvalidQuery, match="another list"):
        resumed(made, made.token(begin(made)), name="$deltatoken")


def test_the_longest_filter_still_fits_into_an_address() -> None:
    made = walks()
    terms = " or ".join(f"assignedTo eq '{hash((7, number)):x}{'q' * 100}{number * 7919:x}'" for number in range(25))
    walk = begin(made, f"$filter={terms}")
    assert len(made.token(walk)) <= TOKEN_CHARACTERS_MAX
    random_terms = " or ".join(f"assignedTo eq '{hash((number, 3)) ** 13:x}'" for number in range(25))
    walk = begin(made, f"$filter={random_terms[: random_terms.rindex(' or ')]}")
    token = made.token(walk)
    assert len(token) <= TOKEN_CHARACTERS_MAX
    assert resumed(made, token).query.filter == walk.query.filter
    with pytest.raises(InvalidQuery, match="no longer known"):
        resumed(walks(), token)


def test_a_walk_may_see_what_went_past_retention_while_it_lasts_and_no_longer() -> None:
    made = walks()
    token = made.token(begin(made))
    query = Query(passed_on={"$skiptoken": token})
    assert made.resume(WHO, query, OPTIONS, not_before=8).not_before == 7
    assert made.resume(WHO, query, OPTIONS, not_before=8 + HOUR).not_before == 8


def test_a_later_skip_of_the_same_query_reads_the_moment_of_the_first_page() -> None:
    made = walks()
    read(made, begin(made, "$filter=status+eq+'Active'&$top=100"), 100, as_of=55, last=20)
    second = begin(made, "%24top=100&%24skip=100&$filter=status%20eq%20'Active'")
    assert (second.as_of, second.after, second.skip, second.offset) == (55, (20,), 0, 100)
    read(made, second, 100, as_of=55, last=10)
    assert begin(made, "$filter=status eq 'Active'&$skip=203").after == (10,)
    assert begin(made, "$filter=status eq 'Active'&$skip=203").skip == 3
    assert begin(made, "$filter=status eq 'Active'&$skip=100").after == (20,)
    early = begin(made, "$filter=status eq 'Active'&$skip=50")
    assert (early.as_of, early.after, early.skip) == (55, (), 50)


@pytest.mark.parametrize(
    "query_string", ["$skip=100&$filter=status eq 'Resolved'", "$skip=100&$orderby=createdTime", "$skip=100"]
)
def test_another_query_has_another_pin(query_string: str) -> None:
    made = walks()
    read(made, begin(made, "$filter=status eq 'Active'"), 100, as_of=55, last=20)
    assert begin(made, query_string).as_of is None


def test_another_caller_has_another_pin() -> None:
    made = walks()
    read(made, begin(made), 100, as_of=55, last=20)
    assert begin(made, "$skip=100", walker=Walker(1, "other", WHO.resource)).as_of is None
    assert begin(made, "$skip=100", walker=Walker(2, WHO.app_id, WHO.resource)).as_of is None
    assert begin(made, "$skip=100").as_of == 55


def test_a_new_first_page_pins_anew_and_a_pin_ends_after_ten_minutes() -> None:
    made = walks()
    read(made, begin(made), 100, as_of=55, last=20)
    read(made, begin(made), 100, as_of=60, last=33)
    assert begin(made, "$skip=100").after == (33,)
    assert begin(made, "$skip=100", now=NOW + PIN_LIFE - 1).as_of == 60
    late = begin(made, "$skip=100", now=NOW + PIN_LIFE)
    assert (late.as_of, late.after, late.skip) == (None, (), 100)
    read(made, late, 100, as_of=70, last=5, now=NOW + PIN_LIFE)
    assert begin(made, "$skip=200", now=NOW + PIN_LIFE + SECOND).as_of == 70


def test_a_skip_behind_the_end_gives_nothing_without_a_look() -> None:
    made = walks()
    read(made, begin(made), 30, as_of=55, last=20, ended=True)
    assert begin(made, "$skip=1000").limit == 0
    assert begin(made, "$skip=30").limit == 0
    assert begin(made, "$skip=29").limit == 100


def test_a_page_of_a_token_leaves_the_pin_alone() -> None:
    made = walks()
    read(made, begin(made), 100, as_of=55, last=20)
    other = begin(made).onward(80, 100, (77,))
    assert other is not None
    read(made, resumed(made, made.token(other)), 100, as_of=80, last=60)
    assert begin(made, "$skip=200").as_of == 55


def test_pins_are_bounded_and_the_oldest_go_first() -> None:
    made = walks()
    for number in range(PINS_MAX + 1):
        read(made, begin(made, walker=Walker(1, str(number), "x")), 1, as_of=5, last=1)
    assert begin(made, "$skip=1", walker=Walker(1, "0", "x")).as_of is None
    assert begin(made, "$skip=1", walker=Walker(1, "1", "x")).as_of == 5


def test_the_key_is_kept_for_the_owner_alone(tmp_path: Path) -> None:
    key = load_walk_key(tmp_path)
    assert len(key) == 32
    assert load_walk_key(tmp_path) == key
    assert (tmp_path / "keys" / "walks.key").stat().st_mode & 0o777 == 0o600
