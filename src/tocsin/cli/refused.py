"""`tocsin refused`: input that could not be read, kept as it came; sending it through again, or throwing it away."""

from __future__ import annotations

import sys
from typing import Annotated, Final, TypeVar

import httpx2
import msgspec
import typer

from tocsin import ticks
from tocsin.cli.remote import CacertOption, KeyOption, UrlOption, named_server
from tocsin.cli.screen import moment, say, show_json, show_table
from tocsin.cli.session import DEFAULT, JsonOption, TenantOption, reading, settings_of, writing
from tocsin.errors import InvalidInput, NotFound, Unauthenticated, Unavailable
from tocsin.senders import REGISTRY
from tocsin.shipping import Server, connect, error_text
from tocsin.stores.sqlite.refusals import delete_refused

refused = typer.Typer(help="Input that could not be read: see why, and try it again.", no_args_is_help=True)

PAGE: Final = 200
T = TypeVar("T")
_BODY_SHOWN: Final = 120


class _Listed(msgspec.Struct, frozen=True, rename="camel"):
    refused_id: int
    sender: str


class _Page(msgspec.Struct, frozen=True):
    value: list[_Listed]


class _Result(msgspec.Struct, frozen=True, rename="camel"):
    refused_id: int | None = None


class _Receipt(msgspec.Struct, frozen=True):
    created: int
    duplicate: int
    refused: int
    skipped: int
    results: list[_Result]


@refused.command("list")
def list_refused(
    context: typer.Context,
    top: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many, the oldest first.")] = 50,
    above: Annotated[int, typer.Option(min=0, help="Only with a greater id, to read on.")] = 0,
    tenant: TenantOption = DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """List refused inputs, the oldest first. JSON has each one in full."""
    with reading(context, tenant) as store:
        found = store.store.find_refused(store.scope, top=top, above=above)
    if as_json:
        views = [
            {
                "refusedId": each.refused_id,
                "receivedTime": ticks.format_ticks(each.received),
                "sender": each.sender,
                "line": each.line,
                "reason": each.reason,
                "body": each.body.decode("utf-8", "replace"),
            }
            for each in found
        ]
        show_json(views)
        return
    rows = [
        (
            str(each.refused_id),
            moment(each.received),
            each.sender,
            str(each.line),
            each.reason,
            each.body[:_BODY_SHOWN].decode("utf-8", "replace"),
        )
        for each in found
    ]
    show_table(("ID", "RECEIVED", "SENDER", "LINE", "REASON", "BEGINS WITH"), rows, empty="nothing is refused")


@refused.command("retry")
def retry_refused(
    context: typer.Context,
    *,
    ids: Annotated[
        list[int] | None, typer.Argument(metavar="[ID]...", help="Which; see `tocsin refused list`.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All that are kept now.")] = False,
    sender: Annotated[
        str, typer.Option("--sender", "-s", help="Read them as this sender's, whoever's they were said to be.")
    ] = "",
    of: Annotated[
        str, typer.Option("--from", metavar="SENDER", help="With --all: only those sent as this one's.")
    ] = "",
    url: UrlOption = "",
    key: KeyOption = "",
    cacert: CacertOption = None,
) -> None:
    """Send refused inputs through again, e.g. after an update of Tocsin. Needs the server to run.

    What is refused again is kept under a new id, as input of the sender it was read as; then the exit code is 3.

    \b
    Examples:
      tocsin refused retry 17 18
      tocsin refused retry --all
      tocsin refused retry --all --from wazuh --sender suricata
    """
    if bool(ids) == every:
        raise InvalidInput("give the ids of what to send again, or --all")
    if of and ids:
        raise InvalidInput("--from goes with --all")
    for name in (sender, of):
        _known(name)
    server = named_server(settings_of(context), url, key, cacert)
    with connect(server.authority) as client:
        total = _retry(client, server, ids, sender) if ids else _retry_all(client, server, sender, of)
    typer.echo(
        f"created {total.created}, duplicate {total.duplicate}, refused {total.refused}, skipped {total.skipped}"
    )
    if ids and (gone := len(set(ids)) - len(total.results)) > 0:
        say(f"{gone} of the ids are not there")
        raise typer.Exit(1)
    if total.refused:
        raise typer.Exit(3)


@refused.command("delete")
def delete(
    context: typer.Context,
    *,
    ids: Annotated[
        list[int] | None, typer.Argument(metavar="[ID]...", help="Which; see `tocsin refused list`.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All that are kept now.")] = False,
    sender: Annotated[str, typer.Option("--sender", "-s", help="All that were sent as this sender's.")] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    tenant: TenantOption = DEFAULT,
) -> None:
    """Throw refused inputs away, whether a server runs or not. There is no way back.

    \b
    Examples:
      tocsin refused delete 17 18
      tocsin refused delete --sender wazuh
    """
    if (bool(ids), every, bool(sender)).count(True) != 1:
        raise InvalidInput("give the ids of what to delete, or --all, or --sender NAME")
    with reading(context, tenant) as store:
        settings, tenant_id = store.settings, store.tenant.tenant_id
    if not yes:
        which = (
            f"all refused inputs{f' of {sender}' if sender else ''}" if not ids else f"{len(set(ids))} refused inputs"
        )
        if not sys.stdin.isatty():
            raise InvalidInput(f"{which} would be deleted; give --yes if that is meant")
        typer.confirm(f"Delete {which}?", abort=True, err=True)
    with writing(settings) as connection:
        count = delete_refused(connection, tenant_id, ids=ids or None, sender=sender or None)
    typer.echo(f"deleted {count}")
    if ids and count < len(set(ids)):
        say(f"{len(set(ids)) - count} of the ids are not there")
        raise typer.Exit(1)


def _known(sender: str) -> None:
    if sender and sender not in REGISTRY:
        raise NotFound(f"there is no sender {sender[:40]!r}; there are {', '.join(REGISTRY)}")


def _retry_all(client: httpx2.Client, server: Server, sender: str, of: str) -> _Receipt:
    """Page by page, up to the first that was refused again while we were at it: those have newer ids."""
    total, above, end = _Receipt(0, 0, 0, 0, []), 0, 2**63
    while True:
        listed = _decode(_call(client, server, "GET", f"/ingest/refused?above={above}", b""), _Page)
        page = [each.refused_id for each in listed.value if each.refused_id < end]
        if not page:
            return total
        wanted = [each.refused_id for each in listed.value if each.refused_id < end and of in ("", each.sender)]
        for start in range(0, len(wanted), PAGE):
            receipt = _retry(client, server, wanted[start : start + PAGE], sender)
            end = min([end, *[each.refused_id for each in receipt.results if each.refused_id is not None]])
            total = _add(total, receipt)
        above = page[-1]


def _retry(client: httpx2.Client, server: Server, ids: list[int], sender: str) -> _Receipt:
    body = msgspec.json.encode({"ids": ids, **({"sender": sender} if sender else {})})
    return _decode(_call(client, server, "POST", "/ingest/refused/retry", body), _Receipt)


def _decode(content: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.DecodeError:
        raise InvalidInput("the answer is not Tocsin's; is this the address of one?") from None


def _call(client: httpx2.Client, server: Server, method: str, path: str, body: bytes) -> bytes:
    headers = {"authorization": f"Bearer {server.key}", "content-type": "application/json"}
    try:
        response = client.request(method, f"{server.url}{path}", content=body, headers=headers)
    except httpx2.RequestError as error:
        raise Unavailable(f"{server.url} cannot be reached: {error}") from None
    if response.status_code == 401:
        raise Unauthenticated(f"{server.url} does not take this key: {error_text(response)}")
    if response.status_code not in (200, 422):
        raise InvalidInput(error_text(response))
    return response.content


def _add(total: _Receipt, other: _Receipt) -> _Receipt:
    return _Receipt(
        total.created + other.created,
        total.duplicate + other.duplicate,
        total.refused + other.refused,
        total.skipped + other.skipped,
        [*total.results, *other.results],
    )
