"""The query string → a `Query`: which options there are, how they are decoded, and what each refusal says.

The table of `odata-inputs.md` is binding. What a resource offers is a value (`Options`), so a dialect declares
it and has no code here. Names without `$` are not ours and are left alone, as by the original's library.
"""

from __future__ import annotations

import re
from typing import Final, NoReturn
from urllib.parse import unquote_to_bytes

import msgspec

from tocsin.errors import InvalidQuery
from tocsin.odata.binding import parse_filter, unknown_property
from tocsin.odata.expression import Expression, Field
from tocsin.odata.fields import Properties
from tocsin.odata.lexer import stray_character

FILTER_BYTES_MAX: Final = 8 * 1024
INT32_MAX: Final = 2**31 - 1
INT64_MAX: Final = 2**63 - 1

# The system query options of OData 4.01 (and its aggregation extension): known, whether offered or not.
_KNOWN: Final = frozenset(
    (
        *("$apply", "$compute", "$count", "$deltatoken", "$expand", "$filter", "$format", "$index"),
        *("$orderby", "$schemaversion", "$search", "$select", "$skip", "$skiptoken", "$top"),
    )
)
_BAD_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_WHOLE: Final = re.compile(r"[0-9]+", re.ASCII)
_ORDER: Final = re.compile(r"[ \t]*([^\s,]+)(?:[ \t]+(asc|desc))?[ \t]*", re.IGNORECASE)


class Order(msgspec.Struct, frozen=True):
    """Order by one field. Ties, and the end of every order, are the store's: incident id."""

    field: Field
    descending: bool


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """A list request. None means "not said": for `top` a default page, for `order_by` newest update first.

    `passed_on` are the texts, decoded and not empty, of options that only the dialect understands
    (`$expand`, `$select`, `$format`, `$count`, `$skiptoken`), by lower-case name, where it offers them.
    """

    filter: Expression | None = None
    top: int | None = None
    skip: int = 0
    order_by: Order | None = None
    passed_on: dict[str, str] = {}


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What one resource takes: lower-case names with `$`, its properties, and the greatest `$top`.

    `clamp_top`: a greater `$top` is cut to `top_max` (Graph) instead of refused (`/api/incidents`).
    """

    properties: Properties
    offered: frozenset[str]
    top_max: int
    clamp_top: bool


def parse_options(query_string: bytes, options: Options) -> Query:
    """Read a raw query string, without its `?`. Raises InvalidQuery whose text is the detail of the answer.

    Split at `&` and the first `=`, then decoded once as UTF-8; `+` is a space.
    """
    values = _named_values(query_string, options)
    passed_on = {name: text for name, text in values.items() if name not in _READ_HERE}
    text = values.get("$filter")
    order = values.get("$orderby")
    return Query(
        filter=None if text is None else _filter(text, options),
        top=_top(values["$top"], options) if "$top" in values else None,
        skip=_number("skip", values["$skip"], INT32_MAX) if "$skip" in values else 0,
        order_by=None if order is None else _order(order, options.properties),
        passed_on=passed_on,
    )


_READ_HERE: Final = frozenset({"$filter", "$top", "$skip", "$orderby"})


def _named_values(query_string: bytes, options: Options) -> dict[str, str]:
    """The offered options by lower-case name, decoded and not empty."""
    values: dict[str, str] = {}
    for part in query_string.split(b"&"):
        if not part:
            continue
        raw_name, _, raw_value = part.partition(b"=")
        written = _decode(raw_name)
        value = _decode(raw_value)
        # A name is looked at without the spaces around it, so that ' $filter' is refused and not left alone.
        if not written.strip().startswith("$"):
            continue
        name = written.lower()
        if name not in _KNOWN:
            raise InvalidQuery(f"The query parameter '{written}' is not supported.")
        if name not in options.offered:
            offered = ", ".join(sorted(options.offered))
            raise InvalidQuery(f"Query option '{name}' is not allowed. This resource takes {offered}.")
        if name in values:
            raise InvalidQuery(f"Query option '{name}' was specified more than once; once is all it may be.")
        if not value.strip():
            raise InvalidQuery(f"The value for OData query '{name}' cannot be empty.")
        values[name] = value
    return values


def _decode(raw: bytes) -> str:
    if b"%" in raw:
        if bad := _BAD_ESCAPE.search(raw):
            shown = raw[bad.start() : bad.start() + 3].decode("ascii", "replace")
            raise InvalidQuery(f"The query string has '{shown}', which is no percent-encoding of a byte.")
        raw = unquote_to_bytes(raw.replace(b"+", b" "))
    else:
        raw = raw.replace(b"+", b" ")
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise InvalidQuery(f"The query string is not UTF-8 after decoding, at byte {error.start} of a part.") from None
    if "\0" in text:
        raise stray_character(text, text.index("\0"))
    return text


def _filter(text: str, options: Options) -> Expression:
    if len(text) > FILTER_BYTES_MAX or len(text.encode()) > FILTER_BYTES_MAX:
        raise InvalidQuery(f"The $filter query option is longer than {FILTER_BYTES_MAX} bytes.")
    return parse_filter(text, options.properties)


def _top(text: str, options: Options) -> int:
    if options.clamp_top:
        return min(_number("top", text, INT32_MAX), options.top_max)
    value = _number("top", text, INT32_MAX)
    if value > options.top_max:
        _over("top", options.top_max, text)
    return value


def _number(name: str, text: str, most: int) -> int:
    digits = text.strip(" ")
    # 19 digits hold every 64-bit number; leading zeros beyond that are not worth an answer of their own.
    value = int(digits) if _WHOLE.fullmatch(digits) and len(digits) <= 19 else -1
    if not 0 <= value <= INT64_MAX:
        raise InvalidQuery(
            f"Invalid value '{text}' for ${name} query option found. "
            f"The ${name} query option requires a non-negative integer value."
        )
    if value > most:
        _over(name, most, text)
    return value


def _over(name: str, most: int, text: str) -> NoReturn:
    raise InvalidQuery(
        f"The limit of '{most}' for {name.capitalize()} query has been exceeded. "
        f"The value from the incoming request is '{text.strip(' ')}'."
    )


def _order(text: str, properties: Properties) -> Order:
    found = _ORDER.fullmatch(text)
    if found is None:
        raise InvalidQuery(
            f"The $orderby query option takes one property and then asc or desc, like 'lastUpdateTime desc', "
            f"not '{text}'."
        )
    name, direction = found.groups()
    known = properties.by_name.get(name)
    if known is not None and known.orderable:
        return Order(known.field, descending=(direction or "asc").lower() == "desc")
    if known is not None or name in properties.unfilterable:
        raise InvalidQuery(f"The property '{name}' cannot be used in the $orderby query option.")
    raise unknown_property(name, properties)
