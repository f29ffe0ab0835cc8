"""Asking a dcgm-exporter, and what may come instead of an answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from jupyter_mig.metrics.exporter import (
    ANSWER_SECONDS,
    FRESH_SECONDS,
    LARGEST_BYTES,
    RETRY_SECONDS,
    SETTLED_SECONDS,
    Exporter,
)
from jupyter_mig.metrics.readings import NotAvailable, Utilization
from tests.metrics.meters import Clock, leased

HALF = Utilization({"sm": 50.0}, "dcgm-exporter")
FORMER = NotAvailable("dcgm-exporter has not measured it since it was handed out")


class Fake:
    """A server on loopback that says what it is told to say."""

    def __init__(self, address: str = "") -> None:
        self.address = address
        self.asked = 0
        self.answer = b""

    def tells(self, ratio: str, energy: int = 0) -> None:
        """How busy the instance with id 1 is; ``energy`` is another one after each collection."""
        text = (
            f'DCGM_FI_PROF_SM_ACTIVE{{UUID="GPU-1",GPU_I_ID="1"}} {ratio}\n'
            f'DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{{UUID="GPU-1"}} {energy}\n'
        )
        self.answer = f"HTTP/1.1 200 OK\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request, or say nothing until the asker hangs up."""
        await reader.readuntil(b"\r\n\r\n")
        self.asked += 1
        writer.write(self.answer)
        if not self.answer:
            await reader.read()
        writer.close()
        await writer.wait_closed()


@asynccontextmanager
async def fake() -> AsyncIterator[Fake]:
    """A server, until the block ends."""
    served = Fake()
    server = await asyncio.start_server(served.serve, "127.0.0.1", 0)
    served.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/metrics"
    try:
        yield served
    finally:
        server.close()


async def test_it_is_asked_now_and_then() -> None:
    """Not with each pass: it knows nothing new so often."""
    clock = Clock()
    async with fake() as server:
        server.tells("0.5")
        exporter = Exporter(server.address, clock)
        assert (await exporter.exported()).utilization(leased(), clock.now) == HALF
        clock.now += FRESH_SECONDS - 0.1
        server.tells("0.75")
        assert (await exporter.exported()).utilization(leased(), clock.now) == HALF
        clock.now += 0.1
        assert (await exporter.exported()).utilization(leased(), clock.now) != HALF
        assert server.asked == 2


async def test_a_slice_it_does_not_list_is_told_so() -> None:
    """Instances made after it was started, above all."""
    async with fake() as server:
        server.tells("0.5")
        told = (await Exporter(server.address).exported()).utilization(leased(7), time.monotonic())
        assert isinstance(told, NotAvailable)
        assert "does not list this slice" in told.reason


async def test_nothing_is_told_of_the_tenant_before() -> None:
    """Only what was collected, from beginning to end, since the grant; or after a good while."""
    clock = Clock()
    async with fake() as server:
        exporter = Exporter(server.address, clock)
        granted_at = clock.now

        async def told() -> Utilization | NotAvailable:
            clock.now += FRESH_SECONDS
            mine = leased(life_seconds=clock.now - granted_at)
            return (await exporter.exported()).utilization(mine, clock.now)

        server.tells("0.9", energy=1)
        assert [await told() for _ in range(2)] == [FORMER, FORMER]
        server.tells("0.7", energy=2)  # collected since the grant, but may have begun before
        assert [await told() for _ in range(2)] == [FORMER, FORMER]
        server.tells("0.5", energy=3)
        assert [await told() for _ in range(2)] == [HALF, HALF]
        granted_at = clock.now
        assert await told() == FORMER
        clock.now += SETTLED_SECONDS
        assert await told() == HALF


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
        f"HTTP/1.1 200 OK\r\nContent-Length: {LARGEST_BYTES + 1}\r\n\r\n".encode(),
        b"",
    ],
    ids=["no page", "elsewhere", "no web server", "cut off", "too much", "silence"],
)
async def test_what_is_no_answer_is_a_reason(answer: bytes) -> None:
    """In good time; and it is left alone for a while, then asked again."""
    clock = Clock()
    async with fake() as server:
        server.answer = answer
        exporter = Exporter(server.address, clock)
        begin = time.monotonic()
        told = (await exporter.exported()).utilization(leased(), clock.now)
        assert time.monotonic() - begin < 3 * ANSWER_SECONDS
        assert isinstance(told, NotAvailable)
        assert told.reason.startswith(f"dcgm-exporter at {server.address}: ")
        server.tells("0.5")
        clock.now += RETRY_SECONDS - 1
        assert (await exporter.exported()).problem
        clock.now += 1
        assert (await exporter.exported()).utilization(leased(), clock.now) == HALF
        assert server.asked == 2


@pytest.mark.parametrize(
    "address",
    ["localhost:9400", "https://node/metrics", "http://", "file:///etc/passwd", "http://a:b/", "["],
)
async def test_an_address_that_is_none_is_a_reason(address: str) -> None:
    """That names the variable to correct; nothing is asked."""
    exported = await Exporter(address).exported()
    assert exported.problem.startswith("JUPYTER_MIG_DCGM_EXPORTER ")


async def test_nonsense_is_a_reason() -> None:
    """DCGM's mark for a blank value, for one."""
    async with fake() as server:
        server.tells("9223372036854775794")
        told = (await Exporter(server.address).exported()).utilization(leased(), time.monotonic())
        assert isinstance(told, NotAvailable)
        assert "nonsense" in told.reason
