"""A SIEM's poller: asks for what changed since the greatest stamp it has seen, and pages until a page is short.

It knows only what the list shows, like the clients it imitates: texts of stamps go back exactly as they came.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import httpx2

PAGE: Final = 100
FIRST_CURSOR: Final = "2000-01-01T00:00:00.0000000Z"

Fetch = Callable[[str, str, int], list[tuple[int, str]]]
"""(ge or gt, cursor, skip) -> a page of (incident id, lastUpdateTime), newest first."""


class Poller:
    """`seen` is the last version that the poller saw of each incident; `rows` counts all it was given."""

    def __init__(self, operator: str, fetch: Fetch) -> None:
        self.operator, self._fetch = operator, fetch
        self.cursor = FIRST_CURSOR
        self.seen: dict[int, str] = {}
        self.polls = self.rows = 0

    def poll(self) -> bool:
        """One walk through what changed; True when it brought anything new."""
        cursor, skip, fresh = self.cursor, 0, False
        self.polls += 1
        while True:
            page = self._fetch(self.operator, cursor, skip)
            for incident_id, stamp in page:
                fresh = fresh or self.seen.get(incident_id, "") < stamp
                self.seen[incident_id] = max(stamp, self.seen.get(incident_id, ""))
                self.cursor = max(self.cursor, stamp)
            self.rows += len(page)
            skip += len(page)
            if len(page) < PAGE:
                return fresh

    def missed(self, truth: dict[int, str]) -> int:
        """Of incident -> its last stamp: how many this poller does not know in that version."""
        return sum(self.seen.get(incident_id) != stamp for incident_id, stamp in truth.items())


def over_https(reader: httpx2.Client) -> Fetch:
    """Ask the server."""

    def fetch(operator: str, cursor: str, skip: int) -> list[tuple[int, str]]:
        query = {"$filter": f"lastUpdateTime {operator} {cursor}", "$top": str(PAGE), "$skip": str(skip)}
        answer = reader.get("/api/incidents", params=query)
        assert answer.status_code == 200, answer.text
        value: list[dict[str, Any]] = answer.json()["value"]
        return [(incident["incidentId"], incident["lastUpdateTime"]) for incident in value]

    return fetch
