"""What `/api/machines` and the alerts of a machine take: as much as the clients of `/api/incidents` send there."""

from __future__ import annotations

from typing import Final

from tocsin.odata.expression import Field
from tocsin.odata.fields import Kind, Properties, Property, by_name
from tocsin.odata.options import Options

PAGE_MAX: Final = 10_000
"""The original's greatest page of machines."""


def machine_options(others: frozenset[str]) -> Options:
    """The list of machines. `others` are names that answers have."""
    declared = by_name(
        (
            Property(name="id", field=Field.DEVICE_ID, kind=Kind.TEXT, type_name="Edm.String"),
            Property(name="computerDnsName", field=Field.DEVICE_NAME, kind=Kind.TEXT, type_name="Edm.String"),
        )
    )
    return Options(
        properties=Properties(type_name="tocsin.Machine", by_name=declared, unfilterable=others - declared.keys()),
        offered=frozenset({"$filter", "$top", "$skip", "$select"}),
        top_max=PAGE_MAX,
        clamp_top=False,
    )


def only(options: Options, *names: str) -> Options:
    """The same resource, taking these options alone."""
    return Options(
        properties=options.properties,
        offered=frozenset(names),
        top_max=options.top_max,
        clamp_top=options.clamp_top,
    )
