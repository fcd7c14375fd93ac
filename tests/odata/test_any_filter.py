"""Whatever comes in, a query or InvalidQuery comes out."""

from __future__ import annotations

import collections
import random
import sys
from pathlib import Path
from urllib.parse import urlencode

import pytest

from house import HandClock, native, running
from tocsin.errors import InvalidQuery
from tocsin.odata import INCIDENT_OPTIONS, INCIDENT_PROPERTIES, Query, parse_filter, parse_options
from tocsin.stores.filters import bounds, where

COUNT = 20_000
SEEDS = [
    "lastUpdateTime ge 2020-06-03T18:04:29.4633333Z",
    "createdTime ge 2021-01-01T00:00:00+01:00 and createdTime lt 2021-01-02",
    "(status eq 'Active' or status eq 'InProgress') and assignedTo eq 'o''neil@x.example'",
    "not (severity lt 'High') and incidentId in (1,-2,3)",
    "startswith(assignedTo,'a') or endswith(assignedTo,'b') and not contains(assignedTo,'c')",
    "assignedTo ne null and classification eq x.Classification'TruePositive'",
    'alerts/any(a:a/severity eq \'High\') and tags in [["a","\\u00e9"],{"b":[1,null]}]',
    "year(createdTime) add 1 mul -2 divby 3.5e-1 gt length(trim(assignedTo)) mod 2",
    "cast(alerts,Model.Alert)/$count($filter=true) eq 0 or geo.distance(a/b,geography'SRID=0;Point(1 2)') lt INF",
    "@p/$filter(id eq 01234567-89ab-cdef-0123-456789abcdef)(1)/Model.F(a=@b,c={}) has x.Y'A,B'",
    "duration'P1DT2H' eq binary'Zg==' or 12:30:00.5 lt 23:59",
]
PIECES = [
    *("(", ")", ",", "'", "''", '"', "/", ":", "=", "[", "]", "{", "}", "-", "+", ".", "$", "@", "#", "\\", ";", "%"),
    *(" ", "\t", "\n", "é", "١", "²", "\U0001f514", "\ufeff", "\x01", "9" * 30, "1e99999", "-INF", "NaN", "0000-00-00"),
    *("not ", " and ", " or ", " in ", " eq ", "null", "true", "any(", "$it", "$count", "(((", "not not ", "T", "Z"),
    *("status", "assignedTo", "incidentId", "lastUpdateTime", "foo", "contains(", "x.Y'", "9999-12-31T23:59:60-23:59"),
]


def mutated(chance: random.Random) -> str:
    text = chance.choice(SEEDS)
    for _ in range(chance.choice((1, 1, 1, 1, 2, 3, 6))):
        at, to = sorted((chance.randint(0, len(text)), chance.randint(0, len(text))))
        match chance.randint(0, 6):
            case 0:
                text = text[:at] + text[min(to, at + 4) :]
            case 1:
                text = text[:at] + chance.choice(PIECES) + text[at:]
            case 2:
                text = text[:at] + chance.choice(PIECES) + text[at + 1 :]
            case 3:
                text = text[:to] + text[at:]
            case 4:
                text = f"not ({text})" if at % 2 else f"({text}) or {chance.choice(SEEDS)}"
            case 5:
                text = text[:at] + chance.choice("0123456789aZ ") + text[at + 1 :]
            case _:
                text = text[:at] + chance.choice(SEEDS)[chance.randint(0, 40) :]
    return text


def read_or_refuse(seed: int, count: int) -> int:
    """Read `count` mutated filters and make their SQL; how many were not refused."""
    chance = random.Random(seed)
    read = 0
    for _ in range(count):
        text = mutated(chance)
        try:
            expression = parse_filter(text, INCIDENT_PROPERTIES)
        except InvalidQuery:
            continue
        else:
            bounds(expression)
            condition, parameters = where(expression)
            assert condition.count("?") == len(parameters)
            read += 1
    return read


@pytest.mark.parametrize("seed", range(4))
def test_mutated_filters_are_read_or_refused(seed: int) -> None:
    assert read_or_refuse(seed, COUNT // 4) > 100


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(1000, 1008))
def test_two_hundred_thousand_more_are_read_or_refused(seed: int) -> None:
    assert read_or_refuse(seed, 25_000) > 500


@pytest.mark.parametrize("path", ["/api/incidents", "/v1.0/security/incidents", "/v1.0/security/alerts_v2"])
def test_mutated_filters_are_answered_or_refused_over_http(path: str, tmp_path: Path) -> None:
    chance = random.Random(path)
    with running(tmp_path, HandClock(), quota_per_minute=1_000_000, quota_per_hour=1_000_000) as client:
        client.ingest(*(native(number) for number in range(3)))
        answers: collections.Counter[int] = collections.Counter()
        for _ in range(700):
            text = mutated(chance)
            if path != "/api/incidents":
                text = text.replace("lastUpdateTime", "lastUpdateDateTime").replace("createdTime", "createdDateTime")
            query = urlencode({"$filter": text, "$top": "1"}, errors="surrogatepass")
            answers[client.get(f"{path}?{query}").status_code] += 1
    assert answers.keys() == {200, 400}, answers
    assert min(answers.values()) > 5


@pytest.mark.parametrize("seed", range(2))
def test_mutated_query_strings_are_read_or_refused(seed: int) -> None:
    chance = random.Random(seed)
    names = [b"$filter=", b"%24top=", b"$skip=", b"$OrderBy=", b"$", b"=", b"", b"foo=", b"$select="]
    for _ in range(COUNT // 10):
        parts = [chance.choice(names) + mutated(chance).encode() for _ in range(chance.randint(1, 3))]
        raw = bytearray(b"&".join(parts).replace(b" ", b"+"))
        for _ in range(chance.randint(0, 3)):
            raw[chance.randrange(len(raw)) : 0] = chance.choice([b"%", b"%00", b"\xff", b"%C3", b"&", b"%27", b"%2B"])
        try:
            assert isinstance(parse_options(bytes(raw), INCIDENT_OPTIONS), Query)
        except InvalidQuery:
            continue


def deep(frames: int, text: str) -> None:
    """Read `text` when `frames` of the stack are already in use."""
    if frames:
        deep(frames - 1, text)
    else:
        with pytest.raises(InvalidQuery):
            parse_filter(text, INCIDENT_PROPERTIES)


@pytest.mark.parametrize(
    "nest", ["(", "not(", "a or b and c eq d gt e add f mul -(", "a/any(x:", "[", "length(", '{"a":']
)
def test_no_nesting_needs_more_than_half_of_the_stack(nest: str) -> None:
    deep(sys.getrecursionlimit() // 2 - 100, nest * (8000 // len(nest)))
