"""A real JupyterHub, a real Docker daemon, and containers with one slice each."""

from __future__ import annotations

import asyncio
import signal

import pytest

from tests.broker.system import shared_node
from tests.hub import dockerd
from tests.hub.hub_of_containers import Docker, HubOfContainers, hub_of_containers, processes
from tests.hub.hubs import User
from tests.server.servers import until

pytestmark = pytest.mark.skipif(bool(shared_node.lacking()), reason=shared_node.lacking())

RULE = {"who": ["*"], "slices": 1}


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
    while the Hub is down for longer than others may be silent, and after it was started again; they
    are given back when containers end, also while there is no Hub.
    """
    if dockerd.lacking():
        pytest.skip(dockerd.lacking())
    with dockerd.dockerd() as docker:
        await _try(docker)


@pytest.mark.timeout(300)
async def test_the_same_where_no_daemon_can_run() -> None:
    """With processes for containers."""
    if not dockerd.lacking():
        pytest.skip("a real Docker daemon is tried")
    async with processes() as docker:
        await _try(docker)


async def _try(docker: Docker) -> None:
    async with hub_of_containers(docker, longest_silence_seconds=3600, policy=[RULE]) as one:
        await _all_goes_well(one)


async def _all_goes_well(one: HubOfContainers) -> None:
    alice, bob = await asyncio.gather(*(one.login(name) for name in ("alice", "bob")))
    held = one.held()
    given = {user: one.environ(user)["NVIDIA_VISIBLE_DEVICES"] for user in (alice, bob)}
    assert given == {user: held[f"hub:{user.name}"][1] for user in (alice, bob)}
    assert len(set(given.values())) == 2
    assert set(one.docker.devices) == set(given.values())

    refused = await one.ask("POST", "hub/api/users/alice/servers/second")
    assert (refused.status, "at most 1 slice" in refused.body["message"]) == (409, True)
    page = await asyncio.to_thread(one.shown, "hub/spawn/alice/second", alice)
    assert "at most 1 slice" in page

    await one.ask_broker("carol")
    await asyncio.to_thread(one.stop, signal.SIGKILL)
    one.kill(bob)
    await _holds(one, 2)  # carol's is over, who asked for no longer silence
    assert one.held() == held

    await one.start()
    await _holds(one, 1)
    assert one.held() == {"hub:alice": held["hub:alice"]}
    await until(lambda: _answers(alice), "for the server of alice")

    one.kill(alice)
    await _holds(one, 0)
