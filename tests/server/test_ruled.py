"""A real server whose user is under an administrator's rule."""

from __future__ import annotations

from typing import Any

import pytest_asyncio

from tests.server.listeners import Listener, listening
from tests.server.ruled import QUICK, RuledHome, ruled_user
from tests.server.servers import serving

user = pytest_asyncio.fixture(ruled_user)


SMALL = "python3-mig-1g.5gb"


async def test_a_rule_as_front_ends_meet_it(user: RuledHome) -> None:
    """What it never allows is not offered. The end of a slice is told beforehand; who holds all he
    may have waits, and is told for what; what an administrator takes is not taken again by the
    dead kernel's restart, and why is told. The one that waited has its slice then.
    """
    async with serving(user, *QUICK) as server, listening(server) as listener:
        specs = (await server.ask("GET", "api/kernelspecs")).body["kernelspecs"]
        assert {name for name in specs if "-mig-" in name} == {SMALL, "python3-mig-2g.10gb"}
        first = await server.start(SMALL)
        lease = await server.lease_in(first, "bound")
        assert (await _next(listener, "ending"))["kernel_id"] == first
        second = await server.start(SMALL)
        waiting = await _next(listener, "waiting")
        assert waiting["kernel_id"] == second
        assert "until one of yours ends" in waiting["message"]
        assert waiting["next_step"].startswith("You hold 1 slice, 0.125 of a GPU. Rule 1 (*):")
        user.revoke(lease.lease_id, "maintenance at noon")
        lost, granted = await _all(listener, "lost", "granted")
        assert lost["kernel_id"] == first
        assert "The administrator revoked it: maintenance at noon." in lost["message"]
        assert granted["kernel_id"] == second
        await server.gone(first)
        assert [each.kernel_id for each in await user.leases()] == [second]


async def _next(listener: Listener, kind: str) -> dict[str, Any]:
    """The next event of that kind. (Each slice that is granted will end, too.)"""
    (event,) = await _all(listener, kind)
    return event


async def _all(listener: Listener, *kinds: str) -> list[dict[str, Any]]:
    """The next events of these kinds, in whatever order they are told."""
    found: dict[str, dict[str, Any]] = {}
    while found.keys() != set(kinds):
        event = await listener.next()
        assert event["kind"] in {"ending", *kinds}, event
        found |= {event["kind"]: event} if event["kind"] in kinds else {}
    return [found[kind] for kind in kinds]
