"""Syntax tree + property table → the expression that stores answer.

Whatever is grammatical but unknown, of the wrong type or not offered is refused, in the sentences of the
original's library (`odata-inputs.md`); where a sentence alone would not help, one of ours says what to write.
"""

from __future__ import annotations

from typing import Final, assert_never

from tocsin.errors import InvalidQuery
from tocsin.odata.expression import (
    And,
    Compare,
    Constant,
    Expression,
    HasTag,
    Not,
    OneOf,
    Operator,
    Or,
    TextFunction,
    TextMatch,
    Value,
)
from tocsin.odata.fields import Kind, Properties, Property
from tocsin.odata.parser import parse_syntax
from tocsin.odata.syntax import (
    AnyOf,
    Call,
    Collection,
    Comparison,
    Junction,
    Literal,
    Membership,
    Name,
    Negation,
    Node,
    Other,
)

_OPERATORS: Final = {operator.value: operator for operator in Operator}
_FLIPPED: Final = {
    Operator.EQ: Operator.EQ,
    Operator.NE: Operator.NE,
    Operator.GT: Operator.LT,
    Operator.GE: Operator.LE,
    Operator.LT: Operator.GT,
    Operator.LE: Operator.GE,
}
_KIND_NAMES: Final = {
    Operator.EQ: "Equal",
    Operator.NE: "NotEqual",
    Operator.GT: "GreaterThan",
    Operator.GE: "GreaterThanOrEqual",
    Operator.LT: "LessThan",
    Operator.LE: "LessThanOrEqual",
}
_EQUALITIES: Final = frozenset({Operator.EQ, Operator.NE})
_TIMES: Final = frozenset({"Edm.DateTimeOffset", "Edm.Date"})
_NUMBERS: Final = frozenset({"Edm.Int32", "Edm.Int64"})
_BOOLEAN: Final = "Edm.Boolean"
_NOT_BINDS_TIGHTER: Final = " 'not' binds tighter than a comparison: write not (a eq b)."


def parse_filter(text: str, properties: Properties) -> Expression:
    """Read the decoded value of `$filter`. Positions in messages are 0-based characters of `text`.

    Spaces around the whole are taken, as the original does. Raises InvalidQuery.
    """
    tree = parse_syntax(text, padded=True)
    return _Binder(text, properties).whole(tree)


class _Binder:
    def __init__(self, text: str, properties: Properties) -> None:
        self._text = text
        self._properties = properties

    def whole(self, tree: Node) -> Expression:
        if self._type_of(tree) != _BOOLEAN:
            raise InvalidQuery("The $filter expression must evaluate to a single boolean value.")
        return self._boolean(tree)

    def _boolean(self, node: Node) -> Expression:
        """The expression of a node whose type is boolean."""
        match node:
            case Comparison():
                return self._comparison(node)
            case Junction():
                return self._junction(node)
            case Negation(operand):
                return self._negation(operand)
            case Membership():
                return self._membership(node)
            case Call():
                return self._text_match(node)
            case AnyOf():
                return self._has_tag(node)
            case Literal(value=bool(value)):
                return Constant(value)
            case Literal() | Name() | Collection() | Other():
                raise self._not_offered(node)
        assert_never(node)

    def _type_of(self, node: Node) -> str:
        """The type a node has, as messages call it. Raises InvalidQuery for what is not offered at all."""
        match node:
            case Name():
                return self._property(node).type_name
            case Literal(type_name):
                return type_name
            case Comparison() | Junction() | Negation() | Membership() | Call() | AnyOf():
                return _BOOLEAN
            case Collection() | Other():
                raise self._not_offered(node)
        assert_never(node)

    def _property(self, name: Name) -> Property:
        found = self._properties.by_name.get(name.name)
        if found is not None:
            return found
        if name.name in self._properties.unfilterable:
            raise InvalidQuery(f"The property '{name.name}' cannot be used in the $filter query option.")
        raise unknown_property(name.name, self._properties)

    def _has_tag(self, node: AnyOf) -> Expression:
        """`tags/any(t: t eq 'x')`, the one thing that can be asked of a collection."""
        match node.body:
            case Comparison("eq", Name(variable), Literal(value=str(tag))) if variable == node.variable:
                pass
            case Comparison("eq", Literal(value=str(tag)), Name(variable)) if variable == node.variable:
                pass
            case _:
                raise self._not_offered(node)
        if node.name != self._properties.tags:
            raise self._not_offered(node)
        return HasTag(tag)

    def _not_offered(self, node: Literal | Name | Collection | AnyOf | Other) -> InvalidQuery:
        what = node.what if isinstance(node, Other | AnyOf) else "A collection outside the operator 'in'"
        return InvalidQuery(f"{what} is not supported here, at position {node.position} in '{self._text}'.")

    # Logic

    def _junction(self, node: Junction) -> Expression:
        shape = And if node.operator == "and" else Or
        terms: list[Expression] = []
        for operand in node.terms:
            kind = self._type_of(operand)
            if kind != _BOOLEAN:
                raise _incompatible(kind, _BOOLEAN, node.operator.capitalize())
            term = self._boolean(operand)
            # Grouping makes no difference, so (a and b) and c is the same expression as a and b and c.
            if isinstance(term, And | Or) and type(term) is shape:
                terms.extend(term.terms)
            else:
                terms.append(term)
        return shape(tuple(terms))

    def _negation(self, operand: Node) -> Expression:
        kind = self._type_of(operand)
        if kind != _BOOLEAN:
            raise InvalidQuery(
                "A unary operator with an incompatible type was detected. "
                f"Found operand type '{kind}' for operator kind 'Not'.{_NOT_BINDS_TIGHTER}"
            )
        return Not(self._boolean(operand))

    # Leaves

    def _comparison(self, node: Comparison) -> Expression:
        operator = _OPERATORS[node.operator]
        left, right = node.left, node.right
        if isinstance(left, Literal) and isinstance(right, Name):
            left, right, operator = right, left, _FLIPPED[operator]
        if isinstance(left, Name) and isinstance(right, Literal):
            return self._compare(self._property(left), operator, right)
        one, other = self._type_of(node.left), self._type_of(node.right)
        if one != other and "null" not in {one, other}:
            hint = _NOT_BINDS_TIGHTER if isinstance(node.left, Negation) else ""
            raise _incompatible(one, other, _KIND_NAMES[operator], hint)
        raise InvalidQuery(
            f"The operator '{node.operator}' at position {node.position} in '{self._text}' is not supported here: "
            "it compares a property with a literal."
        )

    def _compare(self, prop: Property, operator: Operator, literal: Literal) -> Expression:
        if operator not in _EQUALITIES:
            if literal.type_name == "null":
                # An order comparison with null is false for every row.
                return Constant(False)
            if not prop.ordered:
                raise InvalidQuery(
                    f"The operator '{operator}' is not supported for the property '{prop.name}', at position "
                    f"{literal.position} in '{self._text}': its values have no order. Use eq, ne or in."
                )
        return Compare(prop.field, operator, _value(prop, literal, _KIND_NAMES[operator]))

    def _membership(self, node: Membership) -> Expression:
        left = node.left
        if not isinstance(left, Name):
            self._type_of(left)
            raise InvalidQuery(
                f"The operator 'in' at position {node.position} in '{self._text}' is not supported here: "
                "to its left it takes a property."
            )
        prop = self._property(left)
        values = tuple(_value(prop, item, "Equal") for item in node.items)
        return OneOf(prop.field, values) if values else Constant(False)

    def _text_match(self, node: Call) -> Expression:
        subject, wanted = node.arguments
        if isinstance(subject, Name) and isinstance(wanted, Literal):
            prop = self._property(subject)
            if prop.kind is Kind.TEXT and wanted.type_name == "Edm.String" and isinstance(wanted.value, str):
                return TextMatch(prop.field, TextFunction(node.name), wanted.value)
        self._type_of(subject)
        self._type_of(wanted)
        raise InvalidQuery(
            f"No function signature for the function with name '{node.name}' matches the specified arguments. "
            f"The function signatures considered are: {node.name}(property Edm.String, literal Edm.String), "
            f"at position {node.position} in '{self._text}'."
        )


def unknown_property(name: str, properties: Properties) -> InvalidQuery:
    """The refusal of a name that the resource does not have, with the right spelling where only case is wrong."""
    sentence = f"Could not find a property named '{name}' on type '{properties.type_name}'."
    for known in properties.by_name:
        if known.lower() == name.lower():
            return InvalidQuery(f"{sentence} Names are case-sensitive: did you mean '{known}'?")
    return InvalidQuery(sentence)


def _incompatible(left: str, right: str, operator_kind: str, hint: str = "") -> InvalidQuery:
    return InvalidQuery(
        "A binary operator with incompatible types was detected. "
        f"Found operand types '{left}' and '{right}' for operator kind '{operator_kind}'.{hint}"
    )


def _value(prop: Property, literal: Literal, operator_kind: str) -> Value:
    """The model's value of a literal compared with `prop`. Raises InvalidQuery where the types do not fit."""
    kind, value = literal.type_name, literal.value
    hint = ""
    if kind == "null":
        return None
    match prop.kind:
        case Kind.TIME:
            if kind in _TIMES:
                if isinstance(value, int):
                    return value
                raise InvalidQuery(f"The year of the time for the property '{prop.name}' is not between 1 and 9999.")
            if kind == "Edm.String":
                hint = " Write the time without quotes."
        case Kind.NUMBER:
            if kind in _NUMBERS and isinstance(value, int):
                return value
            if kind in {"Edm.Decimal", "Edm.Double"}:
                hint = f" '{prop.name}' is compared with whole numbers of 64 bits."
        case Kind.TEXT:
            if kind == "Edm.String" and isinstance(value, str):
                return value
        case Kind.ENUM:
            return _member(prop, literal, operator_kind)
        case _:
            assert_never(prop.kind)
    raise _incompatible(prop.type_name, kind, operator_kind, hint)


def _member(prop: Property, literal: Literal, operator_kind: str) -> Value:
    qualified = literal.is_enum and literal.type_name.rpartition(".")[2] == prop.type_name.rpartition(".")[2]
    if not qualified and literal.type_name != "Edm.String":
        raise _incompatible(prop.type_name, literal.type_name, operator_kind)
    assert isinstance(literal.value, str)
    if literal.value in prop.elsewhere:
        return None  # equal to no row, as null is
    member = prop.members.get(literal.value)
    if member is None:
        offered = ", ".join(prop.members)
        raise InvalidQuery(
            f"The string '{literal.value}' is not a valid enumeration type constant. '{prop.name}' takes: {offered}."
        )
    return member
