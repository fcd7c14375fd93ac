"""Ids in paths: any name but those of the siblings that have routes of their own.

Without this a method that a sibling does not offer would be taken for one of an item with the sibling's name:
PATCH of `incidents/$count` has to be 405, not a complaint about the incident `$count`.
"""

from __future__ import annotations

from starlette.convertors import Convertor, register_url_convertor


class _Item(Convertor[str]):
    regex = r"(?!(?:\$count|delta|delta\(\)|refused)(?:/|$))[^/]+"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


def register() -> None:
    """Make `{name:item}` known to routes that are made from then on."""
    register_url_convertor("item", _Item())
