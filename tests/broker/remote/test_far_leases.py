"""Leases of those who come by TCP: their keys, and what becomes of them without the Hub."""

from __future__ import annotations

import asyncio
import logging
import threading

import pytest

from jupyter_mig import errors
from jupyter_mig.broker.remote import hub as hub_module
from jupyter_mig.kernels.environment import with_slice
from jupyter_mig.widget.current import current_slice
from jupyter_mig.wire.messages import LeaseRequest
from tests.broker.brokers import until
from tests.broker.remote.afar import afar

ASK = {"kernel_id": "k", "size": "1g.5gb", "wait_seconds": 5}


async def test_a_key_opens_its_slice_from_afar() -> None:
    """A kernel in a container has nothing else: no token is asked for, a wrong key is answered as
    on the socket, a wrong name of the door as ever, and with the key nothing else can be done.
    """
    async with afar() as far:
        _, lease = await far.ask_as("alices", "POST", "/v1/leases", ASK)
        _, other = await far.ask_as("bobs", "POST", "/v1/leases", ASK)
        _, told = await far.ask_as("alices", "GET", f"/v1/leases/{lease['lease_id']}/key")
        key = told["key"]
        asked = len(far.hub.asked)
        path = f"/v1/slice?lease={lease['lease_id']}"
        status, seen = await far.ask_as(key, "GET", path)
        assert (status, seen["slice"]["mig_uuid"]) == (200, lease["slice"]["mig_uuid"])
        for wrong in (f"/v1/slice?lease={other['lease_id']}", "/v1/slice?lease=none", "/v1/slice"):
            status, body = await far.ask_as(key, "GET", wrong)
            assert (status, body["kind"]) == (404, "unknown-lease")
        assert (await far.ask("GET", path))[0] == 404
        status, _ = await far.ask("GET", path, Authorization=f"Bearer {key}", Host="evil.example")
        assert status == 400
        assert len(far.hub.asked) == asked, "the Hub has no part in it"
        for method, target in (("GET", "/v1/leases"), ("DELETE", f"/v1/leases/{key}")):
            assert (await far.ask_as(key, method, target))[0] == 401
        await far.ask_as("alices", "DELETE", f"/v1/leases/{lease['lease_id']}")

        async def over() -> bool:
            status, body = await far.ask_as(key, "GET", path)
            return (status, body.get("kind")) == (410, "lease-ended")

        await until(over)  # for a moment it is draining


async def test_a_program_in_a_container_knows_its_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    """``current_slice()``, in an environment as a kernel has it there."""
    async with afar() as far:
        client = far.client("alices")
        lease = await client.acquire(LeaseRequest(kernel_id="k", size="1g.5gb"))
        assert lease.slice is not None
        kernels = with_slice(
            {"JUPYTER_MIG_URL": far.url},
            lease.slice,
            lease_id=lease.lease_id,
            key=await client.key(lease.lease_id),
            socket=client.socket,
            simulated=True,
        )
        for name, value in kernels.items():
            monkeypatch.setenv(name, value)
        mine = current_slice()
        assert mine is not None
        seen = await asyncio.to_thread(mine.now)
        assert (seen.lease_id, seen.slice) == (lease.lease_id, lease.slice)
        client.close()


async def test_while_the_hub_is_down_beats_keep_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody can say then that a holder is not who he was; nothing else is done for him, nor for
    one who was never known.
    """
    monkeypatch.setattr(hub_module, "REMEMBER_SECONDS", 0.0)
    async with afar(silence=600) as far:
        _, lease = await far.ask_as("alices", "POST", "/v1/leases", ASK)
        far.hub.tokens.update(alices=500, bobs=500)
        path = f"/v1/leases/{lease['lease_id']}"
        assert (await far.ask_as("alices", "PUT", f"{path}/heartbeat"))[0] == 200
        assert (await far.ask_as("bobs", "PUT", f"{path}/heartbeat"))[0] == 503
        for method in ("GET", "DELETE"):
            assert (await far.ask_as("alices", method, path))[0] == 503
        assert (await far.ask_as("alices", "POST", "/v1/leases", ASK))[0] == 503


async def test_a_revoked_token_ends_its_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """The Hub takes a server's token back when it stops: its beats count no more, and the slice is
    free after the time of silence. Not even a Hub that is down then brings it back.
    """
    monkeypatch.setattr(hub_module, "REMEMBER_SECONDS", 0.0)
    monkeypatch.setattr(hub_module, "REMEMBER_REFUSED_SECONDS", 0.0)
    async with afar(silence=1.0) as far:
        client = far.client("alices")
        lease = await client.acquire(LeaseRequest(kernel_id="k", size="1g.5gb"))
        far.hub.tokens["alices"] = None
        status, _ = await far.ask_as("alices", "PUT", f"/v1/leases/{lease.lease_id}/heartbeat")
        assert status == 401
        far.hub.tokens["alices"] = 500
        status, _ = await far.ask_as("alices", "PUT", f"/v1/leases/{lease.lease_id}/heartbeat")
        assert status == 503

        async def over() -> bool:
            return not far.service.state.leases

        await until(over)
        client.close()


async def test_nothing_is_said_for_a_request_that_is_over(caplog: pytest.LogCaptureFixture) -> None:
    """One that waited in vain, that a client has spoken for meanwhile: its next beat is its last,
    and nobody is told that the broker was not told.
    """
    others = set(threading.enumerate())
    ask = LeaseRequest(kernel_id="k", size="7g.40gb", silence_seconds=600, patience_seconds=0.4)
    async with afar(silence=0.9, longest_silence=600) as far:
        bob, alice = far.client("bobs"), far.client("alices")
        await bob.acquire(ask)
        with pytest.raises(errors.OutOfPatience):
            await alice.acquire(ask)
        bob.close()
        with caplog.at_level(logging.WARNING, "jupyter_mig.client.heartbeats"):

            async def silent() -> bool:
                speaking = (each.name == "heartbeats" for each in {*threading.enumerate()} - others)
                return bool(caplog.records) or not any(speaking)

            await until(silent)
        assert [record.message for record in caplog.records] == []
        alice.close()
