"""The grammar takes and refuses what the OASIS ABNF test cases say, read in place from outside the repository."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import msgspec
import pytest

from tocsin.errors import InvalidQuery
from tocsin.odata import parse_syntax
from tocsin.odata.syntax import Literal, Node

FILE = Path(__file__).parents[3] / "shared" / "data" / "odata-abnf-testcases.yaml"


class Case(NamedTuple):
    name: str
    rule: str
    text: str
    valid: bool


def _scalar(lines: list[str]) -> str:
    """A YAML scalar over one or more lines: plain, or in single or double quotes; breaks fold to a space."""
    folded = " ".join(line.strip() for line in lines if line.strip())
    if folded.startswith("'"):
        return folded[1:-1].replace("''", "'")
    if folded.startswith('"'):
        joined = re.sub(r"\\ (?=\S)", "", folded)
        return msgspec.json.decode(re.sub(r"\\(?![\"\\/bfnrtu])", "", joined), type=str)
    return folded


def read_cases(text: str) -> list[Case]:
    """The list below `TestCases:`: mappings of scalars, each key at four columns, the first after a dash."""
    cases = []
    body = text[text.index("\nTestCases:") :]
    for block in re.split(r"\n  - ", body)[1:]:
        fields: dict[str, list[str]] = {}
        key = ""
        for line in block.split("\n"):
            if found := re.match(r"(?:    )?([A-Z][A-Za-z]+):(?: (.*))?$", line):
                key = found[1]
                fields[key] = [found[2] or ""]
            elif not line.startswith("#"):
                fields[key].append(line)
        values = {name: _scalar(lines) for name, lines in fields.items()}
        cases.append(Case(values["Name"], values["Rule"], values["Input"], "FailAt" not in values))
    return cases


def _tree(text: str) -> Node:
    return parse_syntax(unquote(text))


def _payload_tree(text: str) -> Node:
    """Values in payloads have no percent-encoding; the grammar of the value itself is the same."""
    return parse_syntax(text)


def _option(text: str) -> Node:
    # OASIS takes the name with or without its dollar sign; what we do with each is a matter of options.
    found = re.fullmatch(r"\$?filter=(.*)", text, re.DOTALL)
    if found is None:
        raise InvalidQuery("no $filter")
    return _tree(found[1])


def _literal(*type_names: str, decoded: bool = True) -> Callable[[str], Node]:
    def read(text: str) -> Node:
        tree = _tree(text) if decoded else _payload_tree(text)
        if not isinstance(tree, Literal) or (tree.type_name not in type_names and not tree.is_enum):
            raise InvalidQuery("another kind of literal")
        if tree.is_enum and "enum" not in type_names:
            raise InvalidQuery("an enum literal")
        return tree

    return read


WHOLE = ("Edm.Int32", "Edm.Int64")
NUMBER = (*WHOLE, "Edm.Decimal", "Edm.Double")
GEO = tuple(
    f"{space}{shape}"
    for space in ("geography", "geometry")
    for shape in ("Collection", "LineString", "MultiLineString", "MultiPoint", "MultiPolygon", "Point", "Polygon")
)
READERS: dict[str, Callable[[str], Node]] = {
    **dict.fromkeys(("boolCommonExpr", "boolcommonExpr", "commonExpr", "firstMemberExpr"), _tree),
    **dict.fromkeys(("notExpr", "isofExpr", "propertyPathExpr"), _tree),
    "functionParameter": lambda text: _tree(f"Model.Function({text})"),
    "anyExpr": lambda text: _tree(f"Products/{text}"),
    "filter": _option,
    "primitiveLiteral": _literal(*NUMBER, "Edm.String"),
    "null": _literal("null"),
    "boolean": _literal("Edm.Boolean"),
    "binaryLiteral": _literal("Edm.Binary"),
    "date": _literal("Edm.Date"),
    "dateValue": _literal("Edm.Date", decoded=False),
    "dateTimeOffsetLiteral": _literal("Edm.DateTimeOffset"),
    "dateTimeOffsetValueInUrl": _literal("Edm.DateTimeOffset"),
    "dateTimeOffsetValue": _literal("Edm.DateTimeOffset", decoded=False),
    "timeOfDayLiteral": _literal("Edm.TimeOfDay"),
    "timeOfDayValue": _literal("Edm.TimeOfDay", decoded=False),
    "durationLiteral": _literal("Edm.Duration", "Edm.String"),
    "durationValue": lambda text: _payload_tree(f"duration'{text}'"),
    "enumLiteral": _literal("enum", "Edm.String"),
    "enumValue": lambda text: _payload_tree(f"Sales.Pattern'{text}'"),
    "guid": _literal("Edm.Guid"),
    "stringLiteral": _literal("Edm.String"),
    "stringInUrl": lambda text: _tree(f"[{text}]"),
    "odataIdentifier": lambda text: _payload_tree(f"Products/any({text}:true)"),
    **dict.fromkeys(("decimalLiteral", "doubleLiteral", "singleLiteral"), _literal(*NUMBER)),
    **dict.fromkeys(("decimalValue", "doubleValue", "singleValue"), _literal(*NUMBER, decoded=False)),
    **dict.fromkeys(("sbyteLiteral", "int16Literal", "int32Literal", "int64Literal"), _literal(*WHOLE)),
    **dict.fromkeys(("byteValue", "sbyteValue", "int16Value"), _literal(*WHOLE, decoded=False)),
    **dict.fromkeys(("int32Value", "int64Value"), _literal(*WHOLE, decoded=False)),
    **dict.fromkeys(GEO, _literal("Edm.Geography", "Edm.Geometry")),
}


def _cases() -> list[Case]:
    if not FILE.exists():
        return []
    return [case for case in read_cases(FILE.read_text(encoding="utf-8")) if case.rule in READERS]


@pytest.mark.skipif(not FILE.exists(), reason="the OASIS test cases are kept outside the repository and are not here")
def test_the_reader_finds_the_cases_of_the_expression_rules() -> None:
    cases = _cases()
    assert len(cases) > 330
    assert sum(not case.valid for case in cases) > 30


@pytest.mark.parametrize("case", _cases(), ids=lambda case: f"{case.rule}: {case.text}")
def test_each_case_is_taken_or_refused_as_the_file_says(case: Case) -> None:
    try:
        READERS[case.rule](case.text)
        taken = True
    except InvalidQuery:
        taken = False
    assert taken is case.valid, case.name
