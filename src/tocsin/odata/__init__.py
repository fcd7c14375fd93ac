"""The query language: query string → `Query`, and `matches()`, which says what a filter means.

Pure. `options.py` reads the query string; `lexer.py`, `literals.py` and `parser.py` are the grammar of
`$filter`; `binding.py` gives names and types their meaning; `expression.py` is the result; `fields.py` and
`incidents.py` declare what a resource offers. Stores turn expressions into their own language elsewhere.
"""

from tocsin.odata.binding import parse_filter
from tocsin.odata.expression import (
    And,
    Compare,
    Constant,
    Expression,
    Field,
    HasTag,
    Not,
    OneOf,
    Operator,
    Or,
    TextFunction,
    TextMatch,
    Value,
)
from tocsin.odata.fields import Kind, Properties, Property, by_name, spelled, spelled_camel
from tocsin.odata.incidents import INCIDENT_OPTIONS, INCIDENT_PROPERTIES
from tocsin.odata.meaning import Row, matches
from tocsin.odata.options import Options, Order, Query, parse_options
from tocsin.odata.parser import parse_syntax
from tocsin.odata.writing import write_filter

__all__ = [
    "INCIDENT_OPTIONS",
    "INCIDENT_PROPERTIES",
    "And",
    "Compare",
    "Constant",
    "Expression",
    "Field",
    "HasTag",
    "Kind",
    "Not",
    "OneOf",
    "Operator",
    "Options",
    "Or",
    "Order",
    "Properties",
    "Property",
    "Query",
    "Row",
    "TextFunction",
    "TextMatch",
    "Value",
    "by_name",
    "matches",
    "parse_filter",
    "parse_options",
    "parse_syntax",
    "spelled",
    "spelled_camel",
    "write_filter",
]
