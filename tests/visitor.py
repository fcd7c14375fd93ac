"""What the portal's tests share: a signed-in visitor, and HTML looked at as a tree."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

from house import Client, HandClock, native, shared_url
from tocsin.ticks import SECOND
from tocsin.web.portal.session import mint_sign_in_code

VOID = frozenset({"meta", "link", "input", "br", "img", "hr"})


def sign_in(client: Client, tenant_id: int | None = None) -> None:
    """Open a session in the client's browser."""
    code = mint_sign_in_code(
        client.service.settings.data_dir, tenant_id or client.tenant.tenant_id, client.service.clock()
    )
    answer = client.http.get(f"/sign-in?code={code}")
    assert answer.status_code == 200, answer.text


class Tree(HTMLParser):
    """A page's elements and text; remembers tags that are not closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.unbalanced: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        self.unbalanced += self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.unbalanced.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of every element of this name."""
        return [attributes for name, attributes in self.elements if name == tag]

    def links(self) -> list[str]:
        """Where the page leads."""
        return [link["href"] or "" for link in self.all("a")]


def page(client: Client, path: str, status: int = 200) -> Tree:
    """A page that must be well formed."""
    answer: Any = client.http.get(path)
    assert answer.status_code == status, answer.text[:2000]
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    tree = Tree(answer.text)
    assert tree.unbalanced == []
    return tree


def devices(*hosts: str) -> list[dict[str, str]]:
    return [{"deviceDnsName": host} for host in hosts]


def users(*accounts: str) -> list[dict[str, str]]:
    return [{"entityType": "User", "accountName": account} for account in accounts]


def two_that_merge(client: Client, clock: HandClock) -> None:
    """Incident 2 ends as a husk of incident 1."""
    first, second = shared_url("one"), shared_url("two")
    client.ingest(native(1, title="Elder", entities=first))
    client.ingest(native(2, title="Younger", entities=second))
    clock.at += SECOND
    client.ingest(native(3, title="Both", entities=first + second))
