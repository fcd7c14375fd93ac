"""The limit of a page: the same server stack sending bytes it has in memory. Arguments: READY_FD PORT PEM FILE."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvicorn


def main() -> None:
    """Serve the file's bytes at every path."""
    ready, port, pem, file = sys.argv[1:]
    body = Path(file).read_bytes()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]

    async def application(
        scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
    ) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    class Server(uvicorn.Server):
        async def startup(self, sockets: list | None = None) -> None:  # type: ignore[type-arg]
            await super().startup(sockets)
            os.write(int(ready), b"ready\n")

    config = uvicorn.Config(
        application,
        port=int(port),
        http="httptools",
        loop="uvloop",
        access_log=False,
        log_config=None,
        ssl_certfile=pem,
    )
    Server(config).run()


if __name__ == "__main__":
    main()
