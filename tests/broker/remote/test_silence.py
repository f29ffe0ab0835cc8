"""How long a lease outlives the beats of its holder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from jupyter_mig.broker.holders.heartbeats import new_heartbeat
from jupyter_mig.client import Client
from jupyter_mig.core import events
from jupyter_mig.core.leases import LeaseState
from jupyter_mig.wire import codec
from jupyter_mig.wire.messages import LeaseRequest
from tests.broker.brokers import until
from tests.broker.households import household
from tests.broker.remote.afar import Afar, afar

ASK = {"kernel_id": "k", "size": "1g.5gb", "wait_seconds": 5}
HOUR = 3600.0


async def _bound(far: Afar, token: str, **wishes: object) -> dict[str, Any]:
    _, lease = await far.ask_as(token, "POST", "/v1/leases", {**ASK, **wishes})
    path = f"/v1/leases/{lease['lease_id']}/kernel"
    status, bound = await far.ask_as(token, "PUT", path, {"pid": 1})
    assert (status, bound["state"]) == (200, "bound")
    return dict(bound)


async def _only(far: Afar, *lease_ids: str) -> None:
    async def left() -> bool:
        return set(far.service.state.leases) == set(lease_ids)

    await until(left)


async def test_who_asks_may_be_silent_for_longer_than_others() -> None:
    """Several times as long as the usual here, each time that of a lease that did not ask; also
    after it was renewed and bound again. It beats as often as all, and is told what it got.
    """
    async with afar(silence=0.3, longest_silence=HOUR) as far:
        kept = await _bound(far, "alices", silence_seconds=600)
        assert (kept["silence_seconds"], kept["heartbeat_seconds"]) == (600, 0.3 / 3)
        path = f"/v1/leases/{kept['lease_id']}"
        for _ in range(3):
            await far.ask_as("bobs", "POST", "/v1/leases", {**ASK, "wait_seconds": 0})
            await _only(far, kept["lease_id"])
            assert (await far.ask_as("alices", "POST", f"{path}/renewal"))[0] == 200
            _, again = await far.ask_as("alices", "PUT", f"{path}/kernel", {"pid": 2})
            assert (again["state"], again["silence_seconds"]) == ("bound", 600)
        await far.ask_as("alices", "DELETE", path)
        await _only(far)


async def test_an_administrator_bounds_silence() -> None:
    """Whatever is asked for; who has asked falls silent, too."""
    async with afar(silence=0.3, longest_silence=0.9) as far:
        ask = {**ASK, "wait_seconds": 0, "silence_seconds": 1e300}
        _, greedy = await far.ask_as("alices", "POST", "/v1/leases", ask)
        assert greedy["silence_seconds"] == 0.9
        await _only(far)


@pytest.mark.parametrize("wish", [None, 0.0, 60.0, 1e9])
async def test_by_default_a_minute_is_all(wish: float | None) -> None:
    """And nobody gets less by asking."""
    async with afar() as far:
        lease = await _bound(far, "alices", silence_seconds=wish)
        assert (lease["silence_seconds"], lease["heartbeat_seconds"]) == (60, 20)


@pytest.mark.parametrize("wish", [-1, "long", True])
async def test_silence_is_a_number_of_seconds(wish: object) -> None:
    """Anything else is refused, and named."""
    async with afar() as far:
        ask = {**ASK, "silence_seconds": wish}
        status, body = await far.ask_as("alices", "POST", "/v1/leases", ask)
        assert (status, body["kind"]) == (400, "bad-request")
        assert "silence_seconds" in body["message"]


async def test_the_next_broker_knows_who_may_be_silent(tmp_path: Path) -> None:
    """By the log and by its snapshot, within the bound that is set then."""
    with household(tmp_path) as home:
        home.settings = msgspec.structs.replace(home.settings, silence=0.3, longest_silence=HOUR)
        quiet = new_heartbeat(HOUR)
        async with home.started() as service:
            ask = events.Ask("a", "k", 1000, quiet, "1g.5gb", patience_seconds=None)
            await service.post(events.SlicesRequested((ask,)))
            while service.state.leases["a"].state is not LeaseState.GRANTED:
                await service.changed("a", service.state.leases["a"].version)
            await service.post(events.LeaseBound("a", quiet))
        async with home.started() as service:
            assert service.heartbeats.silence_seconds(service.state.leases["a"].requester) == HOUR
            other = events.Ask("b", "l", 1000, new_heartbeat(), "1g.5gb", patience_seconds=None)
            await service.post(events.SlicesRequested((other,)))
            while "b" in service.state.leases:
                await service.changed("b", service.state.leases["b"].version)
            assert service.state.leases["a"].state is LeaseState.BOUND
        home.settings = msgspec.structs.replace(home.settings, longest_silence=0.3)
        async with home.started() as service:
            while "a" in service.state.leases:
                await service.changed("a", service.state.leases["a"].version)


async def test_a_slice_is_nobody_elses_until_its_holder_has_let_go() -> None:
    """Of a lease that an administrator took: the broker cannot make a container stop. The holder
    says that it has, and only then the next one in line is served.
    """
    async with afar(silence=600) as far:
        taken = await _bound(far, "alices", size="7g.40gb")
        await far.service.post(events.LeaseRevoked(taken["lease_id"], "for a lecture"))
        path = f"/v1/leases/{taken['lease_id']}"
        assert (await far.ask_as("alices", "GET", path))[1]["state"] == "draining"
        ask = {**ASK, "size": "7g.40gb", "patience_seconds": 60, "wait_seconds": 0.5}
        status, behind = await far.ask_as("bobs", "POST", "/v1/leases", ask)
        assert (status, behind["state"]) == (200, "waiting")
        await far.ask_as("alices", "DELETE", path)

        async def served() -> bool:
            _, view = await far.ask_as("bobs", "GET", f"/v1/leases/{behind['lease_id']}")
            return bool(view["state"] == "granted")

        await until(served)


async def test_beats_do_not_keep_what_was_taken() -> None:
    """A client that goes on beating has the slice for as long as one that fell silent."""
    async with afar(silence=1.5) as far:
        taken = await _bound(far, "alices")
        await far.service.post(events.LeaseRevoked(taken["lease_id"], "for a lecture"))
        path = f"/v1/leases/{taken['lease_id']}/heartbeat"

        async def over() -> bool:
            assert (await far.ask_as("alices", "PUT", path))[0] in (200, 410)
            return not far.service.state.leases

        await until(over)


async def test_a_broker_from_before_is_asked_as_before() -> None:
    """What is not wished for is not sent: brokers refuse what they do not know."""
    sent = codec.encode(LeaseRequest(kernel_id="k", size="1g.5gb"))
    assert b"silence" not in sent
    asked = LeaseRequest(kernel_id="k", size="1g.5gb", patience_seconds=None)
    assert codec.decode(codec.encode(asked), LeaseRequest) == asked
    async with afar(longest_silence=HOUR) as far:
        client: Client = far.client("alices")
        lease = await client.request(LeaseRequest(kernel_id="k", size="1g.5gb", silence_seconds=90))
        assert lease.silence_seconds == 90
        await client.release(lease.lease_id)
        client.close()
