"""The answer that the front end's poll asks for."""

from __future__ import annotations

import asyncio
import gzip
import json

import msgspec
import pytest
from tornado.httpclient import AsyncHTTPClient

from jupyter_mig.client import Client
from jupyter_mig.errors import BrokerStartFailed, DriverError
from jupyter_mig.server.overview import MIGOverview
from jupyter_mig.wire.messages import NodeView
from tests.server.servers import TOKEN, Home, serving

SMALL = "python3-mig-1g.5gb"


async def test_the_overview_tells_everything_at_once(user: Home) -> None:
    """Node, rooms, leases and readings belong together; strangers get none of it."""
    async with serving(user) as server:
        kernel = await server.start(SMALL)
        lease = await server.lease_in(kernel, "bound")
        seen = (await server.ask("GET", "jupyter-mig/api/overview")).body
        assert [each["lease_id"] for each in seen["leases"]] == [lease.lease_id]
        (gpu,) = seen["node"]["gpus"]
        (instance,) = gpu["instances"]
        assert (instance["lease_id"], instance["mine"]) == (lease.lease_id, True)
        assert sum(room["width"] for room in gpu["rooms"]) == gpu["units"] - instance["width"]
        (reading,) = seen["readings"]["slices"]
        assert reading["instance_id"] == instance["instance_id"]
        stranger = await server.ask("GET", "jupyter-mig/api/overview", token="wrong")
        assert stranger.status == 403


async def test_a_cancelled_wait_is_seen_at_once(user: Home) -> None:
    """The answer that tabs share is not older than what one of them did."""
    async with serving(user) as server:
        running = await server.start("python3-mig-7g.40gb")
        await server.lease_in(running, "bound")
        waiting = await server.start(SMALL)
        await server.lease_in(waiting, "waiting")
        before = (await server.ask("GET", "jupyter-mig/api/overview")).body
        await server.ask("DELETE", f"jupyter-mig/api/leases/{waiting}")
        after = (await server.ask("GET", "jupyter-mig/api/overview")).body
        assert [len(before["leases"]), len(after["leases"])] == [2, 1]


class Counting(Client):
    """A real client that counts its questions."""

    asked = 0

    async def node(self) -> NodeView:
        """Count, and ask."""
        self.asked += 1
        return await super().node()


async def test_a_hundred_tabs_cost_one_question(user: Home) -> None:
    """Those that ask while one is asked get its answer, also when the first goes away."""
    client = Counting(user.client._settings)
    overview = MIGOverview(client)
    tabs = [asyncio.ensure_future(overview.now()) for _ in range(100)]
    await asyncio.sleep(0)
    tabs[0].cancel()
    answers = await asyncio.gather(*tabs[1:])
    assert len({id(answer) for answer in answers}) == 1
    assert client.asked == 1
    client.close()


async def test_what_cannot_be_is_not_asked_for_again(user: Home) -> None:
    """Without a driver, each question would start a broker that ends at once."""
    settings = msgspec.structs.replace(user.client._settings, driver="nvml")
    client = Counting(settings)
    overview = MIGOverview(client)
    for _ in range(3):
        with pytest.raises((DriverError, BrokerStartFailed)):
            await overview.now(oldest_seconds=0)
    assert client.asked == 1


async def test_it_travels_compressed_to_those_who_take_it(user: Home) -> None:
    """The same answer, in a fraction of the bytes."""
    async with serving(user) as server:
        headers = {"Authorization": f"token {TOKEN}"}
        address = f"{server.url}/jupyter-mig/api/overview"
        answers = [
            await AsyncHTTPClient().fetch(
                address, headers={**headers, **encoding}, decompress_response=False
            )
            for encoding in ({}, {"Accept-Encoding": "gzip"})
        ]
        plain, packed = answers
        assert packed.headers["Content-Encoding"] == "gzip"
        unpacked = json.loads(gzip.decompress(packed.body))
        assert unpacked["node"] == json.loads(plain.body)["node"]
        assert 2 * len(packed.body) < len(plain.body)
