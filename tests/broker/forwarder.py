"""A TCP port on loopback that leads to a Unix socket: for tools that know TCP alone.

To the broker this process is who asks. It prints its port and ends with its standard input.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
    writer.close()


async def _join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    there, back = await asyncio.open_unix_connection(sys.argv[1])
    await asyncio.gather(_copy(reader, back), _copy(there, writer))


async def _main() -> None:
    server = await asyncio.start_server(_join, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_main())
