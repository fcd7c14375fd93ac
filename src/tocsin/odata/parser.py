"""The grammar of `$filter`: text → syntax tree, for the whole of OData 4.01's common expressions.

A Pratt parser. Nesting is bounded by DEPTH_MAX and size by NODES_MAX (`odata-inputs.md`), so no input comes
near the end of the stack. Precedence is that of OData 4.01: paths and calls, `in` and `has`, `not` and minus,
`mul div divby mod`, `add sub`, `gt ge lt le`, `eq ne`, `and`, `or`. Which of all that is offered is not known here.
"""

from __future__ import annotations

from typing import Final, NoReturn

from tocsin.errors import InvalidQuery
from tocsin.odata.lexer import Token, stray_character, tokenise
from tocsin.odata.literals import read_json_string, read_number, read_prefixed, read_string
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

DEPTH_MAX: Final = 50
NODES_MAX: Final = 100

_UNARY: Final = 7
_INFIX: Final = {
    "or": 1,
    "and": 2,
    "eq": 3,
    "ne": 3,
    "gt": 4,
    "ge": 4,
    "lt": 4,
    "le": 4,
    "add": 5,
    "sub": 5,
    "mul": 6,
    "div": 6,
    "divby": 6,
    "mod": 6,
    "has": 8,
    "in": 8,
}
_COMPARISONS: Final = frozenset({"eq", "ne", "gt", "ge", "lt", "le"})
_TEXT_FUNCTIONS: Final = frozenset({"startswith", "endswith", "contains"})
_CONSTANTS: Final[dict[str, tuple[str, bool | None]]] = {
    "true": ("Edm.Boolean", True),
    "false": ("Edm.Boolean", False),
    "null": ("null", None),
}
_FLOATS: Final = frozenset({"INF", "NaN"})

# Least and greatest number of arguments.
_FUNCTIONS: Final = {
    **dict.fromkeys(("now", "mindatetime", "maxdatetime"), (0, 0)),
    **dict.fromkeys(("length", "tolower", "toupper", "trim", "round", "floor", "ceiling"), (1, 1)),
    **dict.fromkeys(("year", "month", "day", "hour", "minute", "second", "fractionalseconds"), (1, 1)),
    **dict.fromkeys(("date", "time", "totaloffsetminutes", "totalseconds", "geo.length"), (1, 1)),
    **dict.fromkeys(("startswith", "endswith", "contains", "indexof", "concat", "matchespattern"), (2, 2)),
    **dict.fromkeys(("hassubset", "hassubsequence", "geo.distance", "geo.intersects"), (2, 2)),
    "substring": (2, 3),
}
_TYPE_FUNCTIONS: Final = frozenset({"cast", "isof"})
_LAMBDAS: Final = frozenset({"any", "all"})


def parse_syntax(text: str, *, padded: bool = False) -> Node:
    """The tree of one common expression. Spaces around the whole are only taken where `padded`.

    Raises InvalidQuery, in the words of the original's library (`odata-inputs.md`).
    """
    return _Parser(text).whole(padded)


class _Parser:
    """One pass over the tokens. `_next` is the token not yet taken."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = tokenise(text)
        self._index = 0
        self._next = self._tokens[0]
        self._depth = 0
        self._any: tuple[str, Node] | None = None  # the lambda that was read last
        self._nodes = 0
        self._json = 0

    def whole(self, padded: bool) -> Node:
        if not padded and self._text[:1] in {" ", "\t"}:
            self._syntax_error(0)
        tree = self._expression(0)
        if self._next.kind != "end":
            self._syntax_error(self._next.start)
        if not padded and self._text[-1] in " \t":
            self._syntax_error(len(self._text) - 1)
        return tree

    # Tokens

    def _take(self) -> Token:
        token = self._next
        self._index += 1
        self._next = self._tokens[self._index]
        return token

    def _peek(self) -> Token:
        """The token after the next; only asked where the next is not the end."""
        return self._tokens[self._index + 1]

    def _at(self, mark: str) -> bool:
        return self._next.kind == "mark" and self._next.text == mark

    def _accept(self, mark: str) -> bool:
        if self._at(mark):
            self._take()
            return True
        return False

    def _close(self, mark: str, otherwise: str) -> None:
        if not self._accept(mark):
            raise InvalidQuery(f"'{mark}' or {otherwise} expected at position {self._next.start} in '{self._text}'.")

    def _syntax_error(self, position: int) -> NoReturn:
        raise InvalidQuery(f"Syntax error at position {position} in '{self._text}'.")

    def _count(self) -> None:
        self._nodes += 1
        if self._nodes > NODES_MAX:
            raise InvalidQuery(f"The node count limit of '{NODES_MAX}' has been exceeded.")

    def _enter(self) -> None:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise InvalidQuery(
                f"Recursion depth exceeded allowed limit of {DEPTH_MAX} at position {self._next.start} of $filter."
            )

    # Expressions

    def _expression(self, least: int) -> Node:
        left = self._unary()
        while self._next.kind == "word":
            operator = self._next.text.lower()
            power = _INFIX.get(operator, 0)
            if power == 0 or power < least:
                break
            token = self._take()
            self._count()
            if operator == "in":
                left = self._membership(left, token)
            elif power <= 2:
                left = _joined(operator, left, self._expression(power + 1))
            else:
                right = self._expression(power + 1)
                if operator in _COMPARISONS:
                    left = Comparison(operator, left, right, token.start)
                else:
                    left = Other(f"The operator '{operator}'", token.start)
        return left

    def _unary(self) -> Node:
        token = self._next
        if token.kind == "word" and token.text.lower() == "not" and self._peek().text != "/":
            self._take()
            self._count()
            self._enter()
            operand = self._expression(_UNARY)
            self._depth -= 1
            return Negation(operand)
        if self._at("-"):
            self._take()
            self._count()
            if self._next.text == "INF" and self._next.start == token.end:
                self._take()
                return Literal("Edm.Double", "-INF", token.start)
            self._enter()
            self._expression(_UNARY)
            self._depth -= 1
            return Other("The operator '-'", token.start)
        return self._primary()

    def _primary(self) -> Node:
        token = self._next
        literal = self._literal()
        if literal is not None:
            self._count()
            return literal
        match token.kind:
            case "word" | "dollar" | "at":
                return self._path()
            case "mark" if token.text == "(":
                self._take()
                self._enter()
                inner = self._expression(0)
                self._depth -= 1
                self._close(")", "operator")
                return inner
            case "mark" if token.text == "[":
                return self._collection()
            case "mark" if token.text == "{":
                return self._object()
            case "json":
                raise stray_character(self._text, token.start)
        raise InvalidQuery(f"Expression expected at position {token.start} in '{self._text}'.")

    def _literal(self) -> Literal | None:
        """Take a literal where there is one; no node is counted."""
        token = self._next
        kind = token.kind
        if kind == "number":
            self._take()
            return read_number(token, self._text)
        if kind == "string":
            self._take()
            return read_string(token)
        if kind == "guid":
            self._take()
            return Literal("Edm.Guid", token.text, token.start)
        if kind == "json" and self._json:
            self._take()
            return read_json_string(token, self._text)
        if kind != "word":
            return None
        following = self._peek()
        if following.kind == "string" and following.start == token.end:
            self._take()
            return read_prefixed(token, self._take(), self._text)
        if constant := _CONSTANTS.get(token.text.lower()):
            self._take()
            return Literal(*constant, token.start)
        if token.text in _FLOATS:
            self._take()
            return Literal("Edm.Double", token.text, token.start)
        return None

    def _membership(self, left: Node, operator: Token) -> Node:
        if self._at("("):
            self._take()
            if self._accept(")"):
                return Membership(left, (), operator.start)
            first = self._literal()
            if first is not None:
                return Membership(left, self._rest_of_list(first), operator.start)
            # No literal, so no list: a common expression in parentheses, whose value is a collection.
            self._enter()
            self._expression(0)
            self._depth -= 1
            self._close(")", "operator")
            return Other("The operator 'in' with anything but a list of literals", operator.start)
        right = self._primary()
        if isinstance(right, Collection):
            items = tuple(item for item in right.items if isinstance(item, Literal))
            if len(items) == len(right.items):
                return Membership(left, items, operator.start)
        return Other("The operator 'in' with anything but a list of literals", operator.start)

    def _rest_of_list(self, first: Literal) -> tuple[Literal, ...]:
        # Items are not counted as nodes, as in the original's library: the size of $filter bounds them.
        items = [first]
        while self._accept(","):
            item = self._literal()
            if item is None:
                raise InvalidQuery(f"Literal expected at position {self._next.start} in '{self._text}'.")
            items.append(item)
        self._close(")", "','")
        return tuple(items)

    def _collection(self) -> Node:
        opening = self._take()
        self._count()
        self._enter()
        self._json += 1
        items: list[Node] = []
        if not self._accept("]"):
            items.append(self._expression(0))
            while self._accept(","):
                items.append(self._expression(0))
            self._close("]", "','")
        self._json -= 1
        self._depth -= 1
        return Collection(tuple(items), opening.start)

    def _object(self) -> Node:
        opening = self._take()
        self._count()
        self._enter()
        self._json += 1
        if not self._accept("}"):
            self._pair()
            while self._accept(","):
                self._pair()
            self._close("}", "','")
        self._json -= 1
        self._depth -= 1
        return Other("An object", opening.start)

    def _pair(self) -> None:
        if self._next.kind != "json":
            self._syntax_error(self._next.start)
        read_json_string(self._take(), self._text)
        if not self._accept(":"):
            self._syntax_error(self._next.start)
        self._expression(0)

    # Paths and calls

    def _path(self) -> Node:
        first = self._take()
        self._count()
        node: Node = Name(first.text, first.start)
        if first.kind == "word" and self._at("("):
            if first.text.lower() in _LAMBDAS:
                self._syntax_error(first.start)
            node = self._call(first)
        elif first.kind != "word":
            if (first.kind == "dollar" and first.text not in {"$it", "$root", "$this"}) or (
                first.text == "$root" and not self._at("/")
            ):
                self._syntax_error(first.start)
            node = Other(f"The path '{first.text}'", first.start)
        elif "." in first.text and not self._at("/"):
            # A type by itself is no value; it leads a path or stands in cast and isof.
            self._syntax_error(first.end)
        if not self._at("/"):
            return node
        more, segments = True, 0
        self._any = None
        while more and self._accept("/"):
            more = self._segment()
            segments += 1
        end = self._tokens[self._index - 1].end
        what = f"The path '{self._text[first.start : end]}'"
        if segments == 1 and self._any is not None and isinstance(node, Name):
            variable, body = self._any
            return AnyOf(first.text, variable, body, what, first.start)
        return Other(what, first.start)

    def _segment(self) -> bool:
        """Take what follows a slash; True where another slash may follow."""
        token = self._next
        if token.kind not in {"word", "dollar", "at"}:
            self._syntax_error(token.start)
        self._take()
        self._count()
        if token.kind == "dollar":
            if token.text == "$count":
                if self._accept("("):
                    self._count_filter()
                return False
            if token.text != "$filter" or not self._accept("("):
                self._syntax_error(token.start)
            self._enter()
            self._expression(0)
            self._depth -= 1
            self._close(")", "operator")
            if self._accept("("):
                self._arguments()
        elif token.kind == "word" and self._accept("("):
            if token.text.lower() in _LAMBDAS:
                self._lambda(token.text.lower())
                return False
            self._arguments()
        return True

    def _count_filter(self) -> None:
        """`$filter=expression)`, as `$count` may have it."""
        if self._next.text != "$filter":
            self._syntax_error(self._next.start)
        self._take()
        if not self._accept("="):
            self._syntax_error(self._next.start)
        self._enter()
        self._expression(0)
        self._depth -= 1
        self._close(")", "operator")

    def _lambda(self, name: str) -> None:
        if name == "any" and self._accept(")"):
            return
        variable = self._next
        if variable.kind != "word" or "." in variable.text:
            self._syntax_error(variable.start)
        self._take()
        if not self._accept(":"):
            self._syntax_error(self._next.start)
        self._enter()
        body = self._expression(0)
        self._depth -= 1
        self._close(")", "operator")
        self._any = (variable.text, body) if name == "any" else None

    def _call(self, name: Token) -> Node:
        self._take()
        lower = name.text.lower()
        if lower in _TYPE_FUNCTIONS:
            self._typed_arguments()
        elif lower in _FUNCTIONS:
            arguments = self._positional(name, *_FUNCTIONS[lower])
            if lower in _TEXT_FUNCTIONS:
                return Call(lower, arguments, name.start)
        else:
            self._arguments()
            return Other(f"An unknown function with name '{name.text}' was found. It", name.start)
        return Other(f"The function '{lower}'", name.start)

    def _positional(self, name: Token, least: int, most: int) -> tuple[Node, ...]:
        arguments: list[Node] = []
        self._enter()
        if not self._accept(")"):
            arguments.append(self._expression(0))
            while self._accept(","):
                arguments.append(self._expression(0))
            self._close(")", "','")
        self._depth -= 1
        if not least <= len(arguments) <= most:
            count = str(least) if least == most else f"{least} or {most}"
            raise InvalidQuery(
                f"No function signature for the function with name '{name.text}' matches the specified arguments: "
                f"it takes {count}, at position {name.start} in '{self._text}'."
            )
        return tuple(arguments)

    def _typed_arguments(self) -> None:
        """`Type)` or `expression, Type)`."""
        self._enter()
        if not (self._next.kind == "word" and self._peek().text == ")"):
            self._expression(0)
            if not self._accept(","):
                self._syntax_error(self._next.start)
        if self._next.kind != "word":
            self._syntax_error(self._next.start)
        if self._take().text == "Collection" and self._accept("("):
            if self._next.kind != "word":
                self._syntax_error(self._next.start)
            self._take()
            self._close(")", "type")
        self._close(")", "','")
        self._depth -= 1

    def _arguments(self) -> None:
        """A key, or the named parameters of a function: nothing, one expression, or `name=expression,...`."""
        if self._accept(")"):
            return
        self._enter()
        if self._next.kind == "word" and self._peek().text == "=":
            self._named()
            while self._accept(","):
                self._named()
        else:
            self._expression(0)
        self._close(")", "','")
        self._depth -= 1

    def _named(self) -> None:
        if self._next.kind != "word":
            self._syntax_error(self._next.start)
        self._take()
        if not self._accept("="):
            self._syntax_error(self._next.start)
        self._expression(0)


def _joined(operator: str, left: Node, right: Node) -> Junction:
    """`a and b and c` is one junction of three terms: chains add no depth to the tree."""
    if isinstance(left, Junction) and left.operator == operator:
        return Junction(operator, (*left.terms, right))
    return Junction(operator, (left, right))
