"""Query strings: how they are split and decoded, and what each odd one gets (`odata-inputs.md`)."""

from __future__ import annotations

import msgspec
import pytest

from tocsin.errors import InvalidQuery
from tocsin.model import IncidentStatus
from tocsin.odata import (
    INCIDENT_OPTIONS,
    And,
    Compare,
    Constant,
    Field,
    Operator,
    Order,
    Query,
    parse_options,
)

STAMP = 15_912_074_694_633_333
SINCE = Compare(Field.LAST_UPDATE, Operator.GE, STAMP)
GRAPH_LIKE = msgspec.structs.replace(
    INCIDENT_OPTIONS, offered=INCIDENT_OPTIONS.offered | {"$expand", "$format"}, top_max=50, clamp_top=True
)


def read(query_string: str) -> Query:
    return parse_options(query_string.encode(), INCIDENT_OPTIONS)


def refusal(query_string: str | bytes) -> str:
    raw = query_string if isinstance(query_string, bytes) else query_string.encode()
    with pytest.raises(InvalidQuery) as caught:
        parse_options(raw, INCIDENT_OPTIONS)
    return str(caught.value)


@pytest.mark.parametrize(
    "query_string",
    [
        "$filter=lastUpdateTime+ge+2020-06-03T18:04:29.4633333Z",
        "$filter=lastUpdateTime%20ge%202020-06-03T18%3A04%3A29.4633333Z",
        "%24filter=lastUpdateTime+ge+2020-06-03T18:04:29.4633333%2B00:00",
        "%24FILTER=lastUpdateTime+ge+2020-06-03T20:04:29.4633333%2b02%3A00",
        "$Filter=+lastUpdateTime++ge+2020-06-03T18:04:29.46333339Z+",
        "&&$filter=lastUpdateTime+ge+2020-06-03t18:04:29.4633333z&",
    ],
)
def test_the_same_poll_in_all_the_ways_clients_write_it(query_string: str) -> None:
    assert read(query_string) == Query(filter=SINCE)


def test_a_powershell_poll_whose_option_name_vanished_is_a_plain_list() -> None:
    assert read("=lastUpdateTime+ge+2020-06-03T18:04:29.4633333Z") == Query()


def test_all_options_together() -> None:
    assert read("$top=100&$skip=200&$orderby=createdTime&$filter=status+eq+'Active'") == Query(
        filter=Compare(Field.STATUS, Operator.EQ, IncidentStatus.ACTIVE),
        top=100,
        skip=200,
        order_by=Order(Field.CREATED, descending=False),
    )


@pytest.mark.parametrize("query_string", ["", "foo=1", "filter=nonsense", "top=1000", "foo", "a=1&a=2"])
def test_names_without_a_dollar_are_left_alone(query_string: str) -> None:
    assert read(query_string) == Query()


def test_the_value_is_split_from_its_name_at_the_first_equals_sign() -> None:
    assert read("$filter=assignedTo+eq+'a=b'").filter == Compare(Field.ASSIGNED_TO, Operator.EQ, "a=b")


def test_an_ampersand_inside_a_value_is_percent_encoded_and_decoded_once() -> None:
    text = "$filter=assignedTo+eq+'a%26b%2526%27%27c;d%2Be+f'"
    assert read(text).filter == Compare(Field.ASSIGNED_TO, Operator.EQ, "a&b%26'c;d+e f")


def test_a_semicolon_separates_nothing() -> None:
    assert refusal("$top=5;$skip=3").startswith("Invalid value '5;$skip=3' for $top")


def test_values_outside_ascii_are_utf8() -> None:
    expected = Compare(Field.ASSIGNED_TO, Operator.EQ, "Zoë")
    assert read("$filter=assignedTo+eq+'Zo%C3%AB'").filter == expected
    assert read("$filter=assignedTo+eq+'Zoë'").filter == expected


@pytest.mark.parametrize(("text", "top"), [("0", 0), ("1", 1), ("100", 100), ("007", 7), ("+5", 5)])
def test_top_is_a_whole_number_up_to_the_page_maximum(text: str, top: int) -> None:
    assert read(f"$TOP={text}").top == top


@pytest.mark.parametrize("name", ["top", "skip"])
@pytest.mark.parametrize("text", ["-1", "abc", "1.5", "9223372036854775808", "9" * 5000, "１", "0x5", "1e3", "5 5"])
def test_what_is_no_count_is_refused(name: str, text: str) -> None:
    assert refusal(f"${name}={text}") == (
        f"Invalid value '{text}' for ${name} query option found. "
        f"The ${name} query option requires a non-negative integer value."
    )


@pytest.mark.parametrize(
    ("query_string", "limit", "option", "value"),
    [
        ("$top=101", 100, "Top", "101"),
        ("$top=2147483647", 100, "Top", "2147483647"),
        ("$top=2147483648", 2147483647, "Top", "2147483648"),
        ("$top=9223372036854775807", 2147483647, "Top", "9223372036854775807"),
        ("$skip=2147483648", 2147483647, "Skip", "2147483648"),
    ],
)
def test_too_large_counts_are_refused_with_their_limit(query_string: str, limit: int, option: str, value: str) -> None:
    assert refusal(query_string) == (
        f"The limit of '{limit}' for {option} query has been exceeded. "
        f"The value from the incoming request is '{value}'."
    )


def test_skip_has_no_smaller_limit() -> None:
    assert read("$skip=2147483647").skip == 2147483647


@pytest.mark.parametrize("name", ["$filter", "$top", "$skip", "$orderby"])
@pytest.mark.parametrize("rest", ["", "=", "=+", "=%20"])
def test_an_empty_value_is_refused(name: str, rest: str) -> None:
    assert refusal(name + rest) == f"The value for OData query '{name}' cannot be empty."


@pytest.mark.parametrize("query_string", ["$top=1&$top=1", "$top=1&$TOP=2", "$top=1&%24Top=1"])
def test_an_option_given_twice_is_refused_in_any_casing(query_string: str) -> None:
    assert refusal(query_string).startswith("Query option '$top' was specified more than once")


@pytest.mark.parametrize("name", ["$foo", "$", "$filter ", " $filter", "$$top", "$top[]"])
def test_an_unknown_option_is_refused_by_name(name: str) -> None:
    assert refusal(f"{name}=1") == f"The query parameter '{name}' is not supported."


@pytest.mark.parametrize(
    "name", ["$apply", "$compute", "$count", "$expand", "$format", "$search", "$select", "$deltatoken"]
)
def test_a_known_option_that_is_not_offered_is_refused_by_name(name: str) -> None:
    assert refusal(f"{name}=true").startswith(f"Query option '{name}' is not allowed. This resource takes $filter, ")


@pytest.mark.parametrize("query_string", ["$filter=%zz", "$top=1%", "%2=1", "foo=%G0", "$filter=a%2"])
def test_a_broken_percent_encoding_is_refused(query_string: str) -> None:
    assert "no percent-encoding" in refusal(query_string)


@pytest.mark.parametrize("raw", [b"$filter=%ff", b"$filter=%C3", b"foo=\xff", b"$filter=%ED%A0%80", b"$filter=%C0%80"])
def test_what_is_not_utf8_is_refused(raw: bytes) -> None:
    assert "not UTF-8" in refusal(raw)


def test_a_nul_is_refused_with_its_position() -> None:
    assert refusal("$filter=assignedTo+eq+'%00'").startswith(
        "Syntax error: character 'U+0000' is not valid at position 15"
    )


def test_a_filter_is_at_most_8_kib_after_decoding() -> None:
    longest = "assignedTo eq '" + "x" * (8192 - 16) + "'"
    assert read(f"$filter={longest}").filter is not None
    assert refusal(f"$filter={longest.replace('x', 'xx', 1)}") == "The $filter query option is longer than 8192 bytes."
    assert "8192" in refusal("$filter=assignedTo eq '" + "é" * 4100 + "'")


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("lastUpdateTime", Order(Field.LAST_UPDATE, descending=False)),
        ("lastUpdateTime asc", Order(Field.LAST_UPDATE, descending=False)),
        ("lastUpdateTime+desc", Order(Field.LAST_UPDATE, descending=True)),
        (" createdTime  DESC ", Order(Field.CREATED, descending=True)),
    ],
)
def test_lists_can_be_ordered_by_either_time(text: str, order: Order) -> None:
    assert read(f"$orderby={text}").order_by == order


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("foo", "Could not find a property named 'foo' on type 'tocsin.Incident'."),
        ("severity desc", "The property 'severity' cannot be used in the $orderby query option."),
        ("incidentName", "The property 'incidentName' cannot be used in the $orderby query option."),
        (
            "createdTime,lastUpdateTime",
            "The $orderby query option takes one property and then asc or desc, like 'lastUpdateTime desc', "
            "not 'createdTime,lastUpdateTime'.",
        ),
    ],
)
def test_other_orders_are_refused(text: str, sentence: str) -> None:
    assert refusal(f"$orderby={text}") == sentence


def test_positions_count_characters_of_the_decoded_filter() -> None:
    assert "position 22 in" in refusal("$filter=assignedTo%20eq%20'%C3%A9'%20and%20!")


def test_an_error_in_the_filter_is_not_hidden_by_other_options() -> None:
    assert read("$filter=true and false&foo=1").filter == And((Constant(True), Constant(False)))
    assert "foo" in refusal("$filter=foo eq 1&$top=5")


def test_a_dialect_may_clamp_the_page_size() -> None:
    assert parse_options(b"$top=2000", GRAPH_LIKE).top == 50
    with pytest.raises(InvalidQuery, match="2147483647"):
        parse_options(b"$top=2147483648", GRAPH_LIKE)


def test_options_that_only_the_dialect_understands_are_passed_on() -> None:
    query = parse_options(b"$expand=alerts&%24FORMAT=json", GRAPH_LIKE)
    assert query.passed_on == {"$expand": "alerts", "$format": "json"}
