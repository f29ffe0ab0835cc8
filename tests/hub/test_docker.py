"""The real DockerSpawner with our slices: a broker with its TCP door, and a daemon's API."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
from traitlets import TraitError

from jupyter_mig.hub.docker import Refusal, SliceDockerSpawner
from tests.broker.brokers import until
from tests.broker.households import NODE
from tests.broker.remote.afar import Afar, afar
from tests.hub.daemon import Daemon, daemon
from tests.hub.spawners import user_of

SILENCE_SECONDS = 3.0


class Place:
    """A node with a broker and a Docker daemon."""

    def __init__(self, far: Afar, docker: Daemon) -> None:
        self.far = far
        self.docker = docker

    @contextmanager
    def spawner(self, **traits: Any) -> Iterator[SliceDockerSpawner]:
        """Alice's, as a Hub makes it that has just been started."""
        chosen = {
            "client_kwargs": {"base_url": self.docker.url},
            "broker_url": self.far.url,
            "slice_size": "1g.5gb",
            **traits,
        }
        with user_of(SliceDockerSpawner, "alice", **chosen) as user:
            try:
                yield user.spawner
            finally:
                user.spawner.clear_state()

    async def start(self, spawner: SliceDockerSpawner) -> None:
        """With a new token, as the Hub does."""
        spawner.api_token = "alices"
        assert await spawner.start() == ("127.0.0.1", 40000)

    async def leases(self, of: str = "alices") -> list[dict[str, Any]]:
        """Those that are live."""
        status, found = await self.far.ask_as(of, "GET", "/v1/leases")
        assert status == 200
        return list(found)

    async def free(self, of: str = "alices") -> None:
        """Wait until they are given back, which takes a moment: nothing may run on a slice."""

        async def none() -> bool:
            return not await self.leases(of)

        await until(none)


@asynccontextmanager
async def _place(silence: float = 60.0, longest_silence: float = 60.0) -> AsyncIterator[Place]:
    async with afar(silence, longest_silence=longest_silence) as far, daemon() as docker:
        yield Place(far, docker)


@pytest.fixture(autouse=True)
def _connected_anew(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """DockerSpawner keeps one connection for all spawners; the broker is a simulated one."""
    monkeypatch.setenv("JUPYTER_MIG_DRIVER", f"simulated:{NODE}")
    monkeypatch.setattr(SliceDockerSpawner, "_client", None)
    yield
    if SliceDockerSpawner._client is not None:
        SliceDockerSpawner._client.close()


async def test_a_container_has_the_slice_of_its_server_until_it_stops() -> None:
    """And what was configured besides; the lease is its user's, and given back after the stop."""
    async with _place() as place:
        with place.spawner(extra_host_config={"shm_size": "1g"}) as spawner:
            await place.start(spawner)
            (lease,) = await place.leases()
            assert lease["state"] == "bound"
            host = place.docker.only["HostConfig"]
            (request,) = host["DeviceRequests"]
            assert request["Driver"] == "nvidia"
            assert request["DeviceIDs"] == [lease["slice"]["mig_uuid"]]
            assert "gpu" in request["Capabilities"][0]
            assert (host["ShmSize"], host["AutoRemove"]) == (2**30, True)
            assert spawner.extra_host_config == {"shm_size": "1g"}
            assert await spawner.poll() is None
            await spawner.stop()
            assert place.docker.containers == {}
            await place.free()
            assert "mig_lease_id" not in spawner.get_state()


async def test_each_start_has_a_slice_of_its_own() -> None:
    """Sizes may depend on the spawner, and none is a server without a GPU."""
    sizes = {"": "1g.5gb", "big": "3g.20gb", "none": ""}
    async with _place() as place:
        with place.spawner(slice_size=lambda one: sizes[one.user_options["gpu"]]) as spawner:
            for choice, size in sizes.items():
                spawner.user_options = {"gpu": choice}
                await place.start(spawner)
                assert [each["size"] for each in await place.leases()] == [size][: bool(size)]
                assert bool(place.docker.only["HostConfig"].get("DeviceRequests")) is bool(size)
                await spawner.stop()
                await place.free()


async def test_a_hub_that_is_started_again_goes_on_keeping_the_slice() -> None:
    """The state has no token; others fall silent meanwhile, and lose theirs."""
    async with _place(SILENCE_SECONDS) as place:
        with place.spawner() as before:
            await place.start(before)
            (lease,) = await place.leases()
            state = before.get_state()
            assert "alices" not in str(state)
        ask = {"kernel_id": "k", "size": "1g.5gb", "wait_seconds": 5}
        with place.spawner() as after:
            after.load_state(state)
            assert await after.poll() is None
            await place.far.ask_as("bobs", "POST", "/v1/leases", ask)
            await place.free("bobs")
            assert await after.poll() is None
            assert [each["lease_id"] for each in await place.leases()] == [lease["lease_id"]]
            await after.stop()
            await place.free()


async def test_a_hub_that_is_down_for_long_keeps_the_slice() -> None:
    """For as long as the broker allows: one lease after another falls silent meanwhile."""
    async with _place(silence=0.5, longest_silence=600) as place:
        with place.spawner() as before:
            await place.start(before)
            state = before.get_state()
        ask = {"kernel_id": "k", "size": "1g.5gb"}
        for _ in range(3):
            await place.far.ask_as("bobs", "POST", "/v1/leases", ask)
            await place.free("bobs")
        with place.spawner() as after:
            after.load_state(state)
            assert await after.poll() is None
            (lease,) = await place.leases()
            assert (lease["state"], lease["silence_seconds"]) == ("bound", 600)
            await after.stop()
            await place.free()


async def test_a_server_whose_lease_is_over_is_stopped() -> None:
    """Its slice may be somebody else's next."""
    async with _place() as place:
        with place.spawner() as spawner:
            await place.start(spawner)
            (lease,) = await place.leases()
            await place.far.ask_as("alices", "DELETE", f"/v1/leases/{lease['lease_id']}")
            assert await spawner.poll()
            assert len(place.docker.removed) == 1


async def test_a_container_that_ends_by_itself_gives_its_slice_back() -> None:
    """The Hub polls, and does not stop what has ended."""
    async with _place() as place:
        with place.spawner() as spawner:
            await place.start(spawner)
            place.docker.end()
            assert await spawner.poll() == 0
            await place.free()


async def test_a_container_that_cannot_be_made_keeps_no_slice() -> None:
    """The Hub polls then, to know whether there is something to stop."""
    async with _place() as place:
        place.docker.refuses_to_create = True
        with place.spawner() as spawner:
            spawner.api_token = "alices"
            with pytest.raises(Exception, match="no space left"):
                await spawner.start()
            assert len(await place.leases()) == 1
            assert await spawner.poll() == 0
            await place.free()


async def test_without_room_no_container_is_made() -> None:
    """The user reads why, and the Hub takes it for no trouble of its own."""
    async with _place() as place:
        with place.spawner(slice_size="7g.40gb", slice_wait_seconds=0) as spawner:
            ask = {"kernel_id": "k", "size": "1g.5gb", "wait_seconds": 5}
            await place.far.ask_as("bobs", "POST", "/v1/leases", ask)
            spawner.api_token = "alices"
            with pytest.raises(Refusal) as refused:
                await spawner.start()
            assert refused.value.status_code == 409
            assert refused.value.jupyterhub_message.startswith("No 7g.40gb slice is free")
            assert place.docker.containers == {}
            assert await spawner.poll() == 0


async def test_while_the_broker_cannot_say_the_server_runs_on() -> None:
    """Nobody's work is stopped because the broker is down."""
    async with _place() as place:
        with place.spawner() as before:
            await place.start(before)
            state = before.get_state()
        with place.spawner(broker_url="http://127.0.0.1:1") as after:
            after.load_state(state)
            assert await after.poll() is None
            assert len(place.docker.containers) == 1


def test_containers_cannot_be_kept() -> None:
    """They would be started again on a slice that is somebody else's."""
    with (
        user_of(SliceDockerSpawner, "alice", remove=False) as user,
        pytest.raises(TraitError, match="remove"),
    ):
        _ = user.spawner
