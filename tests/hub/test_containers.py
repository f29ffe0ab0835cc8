"""A real JupyterHub, a real Docker daemon, and containers with one slice each."""

from __future__ import annotations

import asyncio
import signal

import pytest

from tests.broker.system import shared_node
from tests.hub import dockerd
from tests.hub.hub_of_containers import HubOfContainers, hub_of_containers
from tests.hub.hubs import User
from tests.server.servers import until

_lacking = dockerd.lacking() or shared_node.lacking()
pytestmark = pytest.mark.skipif(bool(_lacking), reason=_lacking)

RULE = {"who": ["*"], "slices": 2}


async def _holds(one: HubOfContainers, count: int) -> None:
    """Wait until there are so many leases."""

    async def so_many() -> bool:
        return one.count() == count

    await until(so_many, f"for {count} leases\n{one.said()[-4000:]}")


async def _answers(user: User) -> bool:
    """Whether his server does, behind the proxy."""
    return (await user.ask("GET", "api/status")).status == 200


@pytest.mark.timeout(300)
async def test_containers_of_a_hub() -> None:
    """Each has a slice of its own and is told which; who may have no more is shown why; slices stay
    while the Hub is started again, and while it is down for longer than others may be silent; they
    are given back when containers end, also while there is no Hub.
    """
    try:
        async with hub_of_containers(longest_silence_seconds=3600, policy=[RULE]) as one:
            await _try(one)
    except dockerd.CannotStart as cannot:
        pytest.skip(f"no Docker daemon runs here: {cannot}")


async def _try(one: HubOfContainers) -> None:
    alice, bob = await asyncio.gather(*(one.login(name) for name in ("alice", "bob")))
    held = one.held()
    given = {user: one.environ(user)["NVIDIA_VISIBLE_DEVICES"] for user in (alice, bob)}
    assert given == {user: held[f"hub:{user.name}"][1] for user in (alice, bob)}
    assert len(set(given.values())) == 2
    assert set(one.docker.devices) == set(given.values())

    await one.ask_broker(alice)
    refused = await one.ask("POST", "hub/api/users/alice/servers/second")
    assert (refused.status, "at most 2 slices" in refused.body["message"]) == (409, True)
    page = await asyncio.to_thread(one.shown, "hub/spawn/alice/second", alice)
    assert "at most 2 slices" in page

    one.stop()
    await one.start()
    await until(lambda: _answers(alice), "for the server of alice")
    assert one.held() == held

    await _holds(one, 2)
    await one.ask_broker(alice)
    one.stop(signal.SIGKILL)
    one.kill(bob)
    await _holds(one, 2)  # who asked for no longer silence is over
    assert one.held() == held

    await one.start()
    await _holds(one, 1)
    assert one.held() == {"hub:alice": held["hub:alice"]}
    assert await _answers(alice)

    one.kill(alice)
    await _holds(one, 0)
