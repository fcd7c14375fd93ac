"""A proxy on the loopback that is asked for the host names which clients have built in, and brings them to the server.

Some clients cannot be told another host. They do take a proxy and a file of trusted authorities from the environment,
as on any company's network. For each `CONNECT` to one of the names this ends the TLS of the client with a certificate
for that name and begins one with the server, as a reverse proxy would; bytes and `Host` pass unchanged. Run as a
program: arguments are the folder for the certificates, the server's port and its authority; prints the port it
listens on.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from pathlib import Path
from typing import Final

from tocsin import ticks
from tocsin.identity.authority import ensure_tls

NAMES: Final = ("login.microsoftonline.com", "graph.microsoft.com", "api.security.microsoft.com")


async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """Pass bytes on until there are no more."""
    try:
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
    except OSError:
        pass  # either side hanging up ends the talk
    finally:
        target.close()


class Cloud:
    """The proxy. Names that are not ours are refused: nothing ever leaves this machine."""

    def __init__(self, folder: Path, server_port: int, server_ca: str) -> None:
        self._port = server_port
        self._inward = ssl.create_default_context(cafile=server_ca)
        self._outward = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._outward.load_cert_chain(ensure_tls(folder, NAMES, ticks.now()).server)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of a client."""
        head = await reader.readuntil(b"\r\n\r\n")
        method, target, _ = head.split(b"\r\n")[0].decode().split(" ")
        if method != "CONNECT" or target.removesuffix(":443") not in NAMES:
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            writer.close()
            return
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await writer.start_tls(self._outward)
        there, thither = await asyncio.open_connection("127.0.0.1", self._port, ssl=self._inward)
        await asyncio.gather(pump(reader, thither), pump(there, writer))


async def main(folder: str, server_port: str, server_ca: str) -> None:
    """Listen until killed."""
    cloud = Cloud(Path(folder), int(server_port), server_ca)
    listener = await asyncio.start_server(cloud.talk, "127.0.0.1", 0)
    print(listener.sockets[0].getsockname()[1], flush=True)
    await listener.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4]))
