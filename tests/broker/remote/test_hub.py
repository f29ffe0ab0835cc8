from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from jupyter_mig import errors
from jupyter_mig.broker.remote import hub as module
from jupyter_mig.broker.remote.hub import Hub, HubUser
from tests.broker.clocks import Clock
from tests.broker.remote.hubs import MEANT_FOR_US, SmallHub, small_hub, user

NO_GROUPS = {"kind": "user", "name": "a", "scopes": [MEANT_FOR_US]}
ALICE = HubUser("alice", frozenset({"students"}))


@pytest.fixture
async def far() -> AsyncIterator[SmallHub]:
    """A Hub that knows Alice's token."""
    async with small_hub() as far:
        far.tokens["alices"] = user("alice", groups=["students"])
        yield far


@pytest.fixture
def clock() -> Clock:
    """What the answers of the Hub age by."""
    return Clock()


@pytest.fixture
async def near(far: SmallHub, clock: Clock) -> AsyncIterator[Hub]:
    """What our side knows of it."""
    near = Hub(far.url, "jupyter-mig", clock)
    yield near
    near.close()


async def test_a_token_is_asked_about_once_in_a_while(
    near: Hub, far: SmallHub, clock: Clock
) -> None:
    """The Hub's answer holds for as long as is said, and a revoked token opens no longer."""
    assert [await near.user_of("alices") for _ in range(3)] == [ALICE] * 3
    assert far.asked == ["alices"]
    del far.tokens["alices"]
    clock.now = 29.9
    assert await near.user_of("alices") == ALICE
    clock.now = 30.0
    with pytest.raises(errors.Unauthenticated):
        await near.user_of("alices")


async def test_a_refusal_is_remembered_shortly(near: Hub, far: SmallHub, clock: Clock) -> None:
    """Who hammers with a wrong token troubles the Hub little; one just made valid opens soon."""
    for _ in range(3):
        with pytest.raises(errors.Unauthenticated):
            await near.user_of("new")
    assert far.asked == ["new"]
    far.tokens["new"] = user("bob")
    clock.now = 5.0
    assert await near.user_of("new") == HubUser("bob")


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ({"kind": "service", "name": "alice", "scopes": [MEANT_FOR_US]}, "of a service"),
        (user("alice", "access:services!service=other"), "lacks the scope"),
        (user("alice", "access:servers!server=alice/", "users:activity!user=alice"), "lacks"),
        (user("alice", "read:users"), "lacks the scope"),
        (user("", MEANT_FOR_US), "of a service"),
        (None, "expired"),
        (401, "expired"),
    ],
    ids=["service", "for another service", "of a server", "scope", "no name", "unknown", "401"],
)
async def test_tokens_that_open_nothing(near: Hub, far: SmallHub, model: Any, reason: str) -> None:
    """Those of services, those that users showed to other services, and those that are expired."""
    far.tokens["odd"] = model
    with pytest.raises(errors.Unauthenticated, match=reason):
        await near.user_of("odd")


@pytest.mark.parametrize("token", ["", "x" * 257, "a\r\nHost: b", "pässword", "\0"])
async def test_what_is_no_token_never_reaches_the_hub(near: Hub, far: SmallHub, token: str) -> None:
    """Nothing can be smuggled into the question."""
    with pytest.raises(errors.Unauthenticated):
        await near.user_of(token)
    assert far.asked == []


@pytest.mark.parametrize(
    "model",
    [
        500,
        502,
        302,
        [],
        {"name": "alice"},
        {"kind": "user", "name": "a", "scopes": "all"},
        NO_GROUPS,
    ],
)
async def test_a_hub_in_trouble_is_said_to_be(near: Hub, far: SmallHub, model: Any) -> None:
    """Trouble is no refusal: it is not remembered, and the status says to try again."""
    far.tokens["alices"] = model
    for _ in range(2):
        with pytest.raises(errors.HubUnreachable) as caught:
            await near.user_of("alices")
    assert caught.value.status == 503
    assert len(far.asked) == 2


async def test_a_hub_that_is_down_is_said_to_be(clock: Clock) -> None:
    """And whoever is known already goes on meanwhile."""
    async with small_hub() as far:
        far.tokens["alices"] = user("alice", groups=["students"])
        near = Hub(far.url, "jupyter-mig", clock)
        await near.user_of("alices")
    assert await near.user_of("alices") == ALICE
    clock.now = 30.0
    with pytest.raises(errors.HubUnreachable, match="does not say"):
        await near.user_of("alices")
    near.close()


async def test_a_hub_that_does_not_answer_holds_nobody_for_ever(
    near: Hub, far: SmallHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The question ends after its time."""
    monkeypatch.setattr(module, "TIMEOUT_SECONDS", 0.1)
    far.gate.clear()
    with pytest.raises(errors.HubUnreachable):
        await near.user_of("alices")


async def test_many_at_once_are_one_question(near: Hub, far: SmallHub) -> None:
    """A server's kernels start together; one of them giving up does not spoil it for the others."""
    far.gate.clear()
    asking = [asyncio.ensure_future(near.user_of("alices")) for _ in range(20)]
    await far.called.wait()
    asking[0].cancel()
    far.gate.set()
    assert await asyncio.gather(*asking[1:]) == [ALICE] * 19
    assert far.asked == ["alices"]


async def test_what_is_remembered_is_bounded(
    near: Hub, far: SmallHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever makes tokens up fills nothing: the oldest answers are forgotten."""
    monkeypatch.setattr(module, "MOST_REMEMBERED", 5)
    for number in range(12):
        with pytest.raises(errors.Unauthenticated):
            await near.user_of(f"made-up-{number}")
    assert near.remembered == 5
    assert await near.user_of("alices") == ALICE
    assert near.remembered == 5
