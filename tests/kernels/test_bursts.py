"""Many kernels at once. benchmarks/bursts.py does more of it, beside the stock provisioner."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.server.servers import Home, Server, serving

TOGETHER = 7
GRAB_PORTS = """
import socket
mine = []
while True:
    one = socket.socket()
    one.bind(("127.0.0.1", 0))
    mine.append(one)
    if len(mine) > 500:
        mine.pop(0).close()
"""


@asynccontextmanager
async def _somebody_who_grabs_ports() -> AsyncIterator[None]:
    """A process that is given hundreds of ports, always others."""
    process = await asyncio.create_subprocess_exec("nice", sys.executable, "-c", GRAB_PORTS)
    try:
        yield
    finally:
        process.kill()
        await process.wait()


async def _profile(server: Server) -> str:
    kernel = await server.start("python3-mig-1g.5gb")
    return (await server.environment(kernel))["CUDA_VISIBLE_DEVICES"]


async def test_all_of_a_burst_come_up_each_on_a_slice_of_its_own(user: Home) -> None:
    """Though others are given ports all the time between the choice of a kernel's and its use."""
    async with serving(user) as server, _somebody_who_grabs_ports():
        slices = await asyncio.gather(*(_profile(server) for _ in range(TOGETHER)))
        assert len(set(slices)) == TOGETHER
        server.stop()
    await user.empty()
