"""Reading bodies: what callers may do to them without holding up anybody else."""

from __future__ import annotations

import asyncio
import gzip
import random
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.requests import Request

from tocsin.errors import InvalidInput, TooLarge, Unavailable
from tocsin.web.bodies import Room, read_body


def read(
    *messages: dict[str, Any], bytes_max: int = 100_000, encoding: str = "gzip", room: Room | None = None
) -> bytes:
    left: Iterator[dict[str, Any]] = iter(messages)

    async def receive() -> dict[str, Any]:
        return next(left)

    scope = {"type": "http", "method": "POST", "headers": [(b"content-encoding", encoding.encode())]}
    with (room or Room(bytes_max)).hold() as take:
        return asyncio.run(read_body(Request(scope, receive), bytes_max, take))


def whole(body: bytes) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": False}


@pytest.mark.parametrize("parts", [0, 1, 2, 9, 300])
def test_a_body_of_several_gzip_members_is_one_text_wherever_they_meet(parts: int) -> None:
    chance = random.Random(parts)
    texts = [chance.randbytes(chance.randint(0, 300)) for _ in range(parts)]
    plain = b"".join(texts)
    packed = b"".join(gzip.compress(text) for text in texts)
    assert read(whole(packed)) == plain
    if plain:
        with pytest.raises(TooLarge):
            read(whole(packed), bytes_max=len(plain) - 1)
        with pytest.raises(InvalidInput, match="too early"):
            read(whole(packed[:-1]))


def test_a_body_of_very_many_empty_members_is_refused_before_it_costs_much() -> None:
    """Each costs a start, and a look behind it copies: ten megabytes of them once held the server up for minutes."""
    packed = gzip.compress(b"") * 50_000
    with pytest.raises(InvalidInput, match="more than 10000 parts"):
        read(whole(packed), bytes_max=10_000_000)


def test_a_caller_that_goes_away_is_no_defect_of_ours() -> None:
    begun = {"type": "http.request", "body": b"{", "more_body": True}
    with pytest.raises(InvalidInput, match="went away"):
        read(begun, {"type": "http.disconnect"}, encoding="identity")


def test_a_body_alone_has_room_whatever_its_size() -> None:
    with Room(10).hold() as take:
        take(8)
        take(100)


def test_bodies_together_have_the_room_that_there_is_and_give_it_back() -> None:
    room = Room(1000)
    with room.hold() as take:
        take(600)
        with room.hold() as other:
            other(400)
            with pytest.raises(Unavailable) as refused:
                other(1)
            assert refused.value.retry_after > 0
        with room.hold() as third:
            third(400)
    with room.hold() as take:
        take(1000)


@pytest.mark.parametrize("packed", [False, True])
def test_a_body_counts_as_it_is_read_and_as_it_is_unpacked(packed: bool) -> None:
    room, body = Room(1500), b"x" * 1000
    with room.hold() as take:
        take(1000)
        with pytest.raises(Unavailable):
            read(whole(gzip.compress(body) if packed else body), encoding="gzip" if packed else "identity", room=room)
    assert read(whole(body), encoding="identity", room=room) == body
