"""The grammar: what is read how, and at which position a refusal points."""

from __future__ import annotations

import pytest

from tocsin.errors import InvalidQuery
from tocsin.odata import parse_syntax
from tocsin.odata.parser import DEPTH_MAX, NODES_MAX
from tocsin.odata.syntax import Comparison, Junction, Literal, Membership, Name, Negation, Other


def refusal(text: str, *, padded: bool = False) -> str:
    with pytest.raises(InvalidQuery) as caught:
        parse_syntax(text, padded=padded)
    return str(caught.value)


def named(position: int, name: str = "a") -> Name:
    return Name(name, position)


def test_not_binds_tighter_than_comparison_that_than_and_and_that_than_or() -> None:
    tree = parse_syntax("a or b and c eq 1 or not d")
    assert tree == Junction(
        "or",
        (
            named(0),
            Junction("and", (named(5, "b"), Comparison("eq", named(11, "c"), Literal("Edm.Int32", 1, 16), 13))),
            Negation(named(25, "d")),
        ),
    )


def test_order_comparisons_bind_tighter_than_equality() -> None:
    tree = parse_syntax("a eq b gt c")
    assert isinstance(tree, Comparison)
    assert (tree.operator, tree.left) == ("eq", named(0))


def test_not_covers_the_whole_of_a_membership_and_only_the_left_of_a_comparison() -> None:
    assert isinstance(parse_syntax("not a in (1,2)"), Negation)
    assert isinstance(parse_syntax("not a eq 1"), Comparison)


@pytest.mark.parametrize("text", ["A EQ 1 AND B IN (2)", "A eQ 1 aNd B In (2)"])
def test_operators_are_case_insensitive(text: str) -> None:
    tree = parse_syntax(text)
    assert isinstance(tree, Junction)
    assert isinstance(tree.terms[0], Comparison)
    assert isinstance(tree.terms[1], Membership)


@pytest.mark.parametrize(
    ("literal", "type_name", "value"),
    [
        ("null", "null", None),
        ("TRUE", "Edm.Boolean", True),
        ("7", "Edm.Int32", 7),
        ("+7", "Edm.Int32", 7),
        ("-2147483649", "Edm.Int64", -2147483649),
        ("9223372036854775807", "Edm.Int64", 2**63 - 1),
        ("9223372036854775808", "Edm.Decimal", "9223372036854775808"),
        ("1.50", "Edm.Decimal", "1.50"),
        ("1e3", "Edm.Double", "1e3"),
        ("-INF", "Edm.Double", "-INF"),
        ("'it''s'", "Edm.String", "it's"),
        ("''", "Edm.String", ""),
        ("1970-01-02", "Edm.Date", 864_000_000_000),
        ("1970-01-02Z", "Edm.Date", 864_000_000_000),
        ("1970-01-01T00:00:01Z", "Edm.DateTimeOffset", 10_000_000),
        ("1970-01-01t00:01z", "Edm.DateTimeOffset", 600_000_000),
        ("1970-01-01T02:00:00+02:00", "Edm.DateTimeOffset", 0),
        ("1969-12-31T23:00:00-01:00", "Edm.DateTimeOffset", 0),
        ("1970-01-01T00:00:00.1Z", "Edm.DateTimeOffset", 1_000_000),
        ("1970-01-01T00:00:00.1234567Z", "Edm.DateTimeOffset", 1_234_567),
        ("1970-01-01T00:00:00.12345679999Z", "Edm.DateTimeOffset", 1_234_567),
        ("1969-12-31T23:59:59.9999999Z", "Edm.DateTimeOffset", -1),
        ("0001-01-01T00:00:00Z", "Edm.DateTimeOffset", -621_355_968_000_000_000),
        ("0000-01-01T00:00:00Z", "Edm.DateTimeOffset", None),
        ("12:30", "Edm.TimeOfDay", "12:30"),
        ("abcdef01-89ab-cdef-0123-456789abcdef", "Edm.Guid", "abcdef01-89ab-cdef-0123-456789abcdef"),
        ("duration'P1DT2H'", "Edm.Duration", "P1DT2H"),
    ],
)
def test_literals_have_their_type_and_value(literal: str, type_name: str, value: object) -> None:
    assert parse_syntax(literal) == Literal(type_name, value, 0)  # type: ignore[arg-type]


def test_an_enum_literal_keeps_the_type_it_was_written_with() -> None:
    assert parse_syntax("x.Status'Active'") == Literal("x.Status", "Active", 0, is_enum=True)


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("a eq 'x", 5),
        ("'", 0),
        ("a eq 'it''", 5),
        ('a in ["x]', 6),
    ],
)
def test_an_open_string_is_refused_where_it_begins(text: str, position: int) -> None:
    assert refusal(text) == f"There is an unterminated string literal at position {position} in '{text}'."


@pytest.mark.parametrize(
    ("text", "shown", "position"),
    [
        ("a eq !", "!", 5),
        ("a ; b", ";", 2),
        ("a\teq\n1", "U+000A", 4),
        ("é eq \U0001f514", "\U0001f514", 5),
        ('a eq "x"', '"', 5),
    ],
)
def test_a_stray_character_is_named_with_its_position(text: str, shown: str, position: int) -> None:
    assert refusal(text).startswith(f"Syntax error: character '{shown}' is not valid at position {position} in '")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "Expression expected at position 0 in ''."),
        ("a eq", "Expression expected at position 4 in 'a eq'."),
        ("a eq )", "Expression expected at position 5 in 'a eq )'."),
        ("(a eq 1", "')' or operator expected at position 7 in '(a eq 1'."),
        ("(a eq 1 b", "')' or operator expected at position 8 in '(a eq 1 b'."),
        ("a in (1,2", "')' or ',' expected at position 9 in 'a in (1,2'."),
        ("a in (1,b)", "Literal expected at position 8 in 'a in (1,b)'."),
        ("a eq 1)", "Syntax error at position 6 in 'a eq 1)'."),
        ("a b", "Syntax error at position 2 in 'a b'."),
        (" a", "Syntax error at position 0 in ' a'."),
        ("a ", "Syntax error at position 1 in 'a '."),
        ("a/", "Syntax error at position 2 in 'a/'."),
    ],
)
def test_other_refusals_say_what_was_expected_where(text: str, sentence: str) -> None:
    assert refusal(text) == sentence


@pytest.mark.parametrize(
    "literal",
    [
        "2024-13-01T00:00:00Z",
        "2024-02-30T00:00:00Z",
        "2024-02-01T12:00:0Z",
        "2024-02-01T24:00:00Z",
        "2024-02-01T12:00:00",
        "2024-02-01T12:00:00.Z",
        "2024-02-01T12:00:00+0100",
        "2024-2-1T12:00:00Z",
    ],
)
def test_a_bad_time_is_refused_with_its_position(literal: str) -> None:
    assert refusal(f"a ge {literal}").startswith(f"Unrecognized 'Edm.DateTimeOffset' literal '{literal}' at '5' in '")


def test_a_plus_that_became_a_space_gets_a_hint() -> None:
    assert "%2B" in refusal("a ge 2024-02-01T12:00:00 00:00")


@pytest.mark.parametrize("literal", ["1x", "42.", "1..2", "0x10", "1e", "01234g67-89ab-cdef-0123-456789abcdef"])
def test_what_is_no_number_is_refused(literal: str) -> None:
    refusal(f"a eq {literal}")


def test_spaces_around_the_whole_are_taken_only_where_asked_for() -> None:
    assert parse_syntax("  a ", padded=True) == named(2)
    assert refusal("   ", padded=True) == "Expression expected at position 3 in '   '."


@pytest.mark.parametrize(
    ("opening", "closing"),
    [("(", ")"), ("not ", ""), ("not (", ")"), ("-", ""), ("[", "]"), ("length(", ")"), ("a/any(x:", ")")],
)
def test_nesting_is_refused_beyond_its_bound_and_long_before_the_stack_ends(opening: str, closing: str) -> None:
    depth = 8000 // len(opening + closing)
    assert "limit" in refusal(opening * depth + "a" + closing * depth)


def test_the_deepest_allowed_nesting_is_read() -> None:
    assert parse_syntax("(" * DEPTH_MAX + "a" + ")" * DEPTH_MAX) == named(DEPTH_MAX)
    assert "depth" in refusal("(" * (DEPTH_MAX + 1) + "a" + ")" * (DEPTH_MAX + 1))


def test_the_largest_allowed_number_of_nodes_is_read() -> None:
    # 34 names and 33 operators of one node each, 16 comparisons of 2 more.
    names = " and ".join(["a"] * (NODES_MAX // 2))
    assert isinstance(parse_syntax(names), Junction)
    assert refusal(names + " and a") == f"The node count limit of '{NODES_MAX}' has been exceeded."


def test_items_of_a_list_are_no_nodes() -> None:
    tree = parse_syntax(f"a in ({','.join(['1'] * 1000)})")
    assert isinstance(tree, Membership)
    assert len(tree.items) == 1000


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("tolower(a)", "The function 'tolower'"),
        ("a add 1", "The operator 'add'"),
        ("-a", "The operator '-'"),
        ("a/b/c", "The path 'a/b/c'"),
        ("$it", "The path '$it'"),
        ("@p", "The path '@p'"),
        ("a/all(x:x/b eq 1)", "The path 'a/all(x:x/b eq 1)'"),
        ("a has x.Y'b'", "The operator 'has'"),
        ('{"a":1}', "An object"),
    ],
)
def test_what_is_grammatical_and_offered_nowhere_keeps_its_name(text: str, what: str) -> None:
    tree = parse_syntax(text)
    assert isinstance(tree, Other)
    assert tree.what == what


def test_a_lone_surrogate_or_nul_cannot_come_in_by_a_json_escape() -> None:
    refusal(r'a in ["\ud800"]')
    refusal(r'a in ["\u0000"]')
