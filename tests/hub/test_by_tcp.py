"""Users of a JupyterHub whose servers reach the broker by TCP alone, with the Hub's tokens."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPRequest

from tests.broker.system.shared_node import lacking
from tests.hub.hubs import MEANT_FOR_THE_BROKER, Hub, User, hub_by_tcp
from tests.server.servers import until

KERNEL = "python3-mig-1g.5gb"
WHO = "import os; print(os.getuid(), os.environ['CUDA_VISIBLE_DEVICES'])"

pytestmark = pytest.mark.skipif(bool(lacking()), reason=lacking())


async def _asked(one: Hub, token: str) -> tuple[int, Any]:
    """What the broker says to a token about its leases."""
    listen = json.loads(one.node.configuration.read_text())["MIGBroker"]["listen"]
    response = await AsyncHTTPClient().fetch(
        HTTPRequest(
            f"http://{listen}/v1/leases",
            headers={"Authorization": f"Bearer {token}"},
        ),
        raise_error=False,
    )
    return response.code, json.loads(response.body)


async def _token(one: Hub, name: str, **wish: Any) -> str:
    reply = await one.ask("POST", f"hub/api/users/{name}/tokens", wish)
    assert reply.status == 201, reply
    return str(reply.body["token"])


async def _bound(user: User, kernel_id: str) -> dict[str, Any]:
    async def found() -> dict[str, Any] | None:
        leases = [each for each in await user.leases() if each["kernel_id"] == kernel_id]
        return leases[0] if leases and leases[0]["state"] == "bound" else None

    await until(lambda: _is(found()), f"for the kernel of {user.name}")
    lease = await found()
    assert lease is not None
    return lease


async def _is(found: Any) -> bool:
    return await found is not None


async def test_servers_that_the_broker_cannot_see() -> None:
    """Each user's server is known by the token that the Hub gave it, and its kernels have slices
    of their own, which others' tokens, and those of others, do not open. Without the Hub, who is
    not known yet is told so, and nothing is lost.
    """
    async with hub_by_tcp(2) as one:
        alice, bob = [await one.login(name) for name in one.users]
        kernels = {user: await user.start(KERNEL, f"of-{user.name}.ipynb") for user in (alice, bob)}
        leases = {user: await _bound(user, kernels[user]) for user in (alice, bob)}
        for user in (alice, bob):
            told = (await user.run(kernels[user], WHO)).split()
            assert told == [str(user.uid), leases[user]["slice"]["mig_uuid"]]
            assert leases[user]["heartbeat_seconds"] == 20
            assert leases[user]["kernel_pid"] is None

        status, seen = await _asked(one, await _token(one, alice.name))
        assert (status, [lease["kernel_id"] for lease in seen]) == (200, [kernels[alice]])

        meant = await _token(one, alice.name, scopes=[MEANT_FOR_THE_BROKER])
        assert (await _asked(one, meant))[0] == 200
        other = await _token(one, alice.name, scopes=["access:servers!user"])
        status, refusal = await _asked(one, other)
        assert (status, refusal["kind"]) == (401, "unauthenticated")
        assert "lacks the scope" in refusal["situation"]
        status, refusal = await _asked(one, one.token)
        assert status == 401
        assert "of a service" in refusal["situation"]
        assert (await _asked(one, "made-up"))[0] == 401
        brief = await _token(one, bob.name, expires_in=1)

        async def expired() -> bool:
            reply = await one.ask("GET", "hub/api/user", token=brief)
            return reply.status == 403

        await until(expired, "for a token to expire")
        assert (await _asked(one, brief))[0] == 401

        new = await _token(one, bob.name)
        one.stop()
        status, refusal = await _asked(one, new)
        assert (status, refusal["kind"]) == (503, "hub-unreachable")
        await one.start()
        assert (await _asked(one, new))[0] == 200
        assert [lease["state"] for lease in await alice.leases()] == ["bound"]

        await alice.ask("DELETE", f"api/kernels/{kernels[alice]}")

        async def free() -> bool:
            return not await alice.leases()

        await until(free, "for Alice to hold nothing")
