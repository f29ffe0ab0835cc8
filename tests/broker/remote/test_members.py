from __future__ import annotations

import os
import pwd
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from jupyter_mig import errors
from jupyter_mig.broker.callers.owners import NumberedUsers, UnixUsers
from jupyter_mig.broker.policy import Policy, Rule
from jupyter_mig.broker.remote import members as module
from jupyter_mig.broker.remote.hub import Hub, HubUser
from jupyter_mig.broker.remote.members import Asking, Members
from tests.broker.clocks import Clock
from tests.broker.remote.hubs import OURS, SmallHub, small_hub

ME = pwd.getpwuid(os.getuid()).pw_name
NOBODY = pwd.getpwnam("nobody").pw_uid


@pytest.fixture
async def far() -> AsyncIterator[SmallHub]:
    """A Hub in which ``nobody`` is a student."""
    async with small_hub() as far:
        far.users["nobody"] = {"kind": "user", "name": "nobody", "groups": ["students"]}
        yield far


@pytest.fixture
def clock() -> Clock:
    """What is known of members ages by it."""
    return Clock()


@pytest.fixture
async def asking(far: SmallHub, clock: Clock, tmp_path: Path) -> AsyncIterator[Members]:
    """Members, with a token to ask about them."""
    token = tmp_path / "token"
    token.write_text(f"{OURS}\n")
    hub = Hub(far.url, "jupyter-mig")
    yield Members(UnixUsers(), Asking(hub, token), clock)
    hub.close()


@pytest.mark.parametrize(
    ("who", "means"),
    [
        ("hub:alice", True),
        ("hub:@students", True),
        ("hub:bob", False),
        ("hub:@alice", False),
        ("hub:students", False),
        ("alice", False),
        ("@students", False),
        ("hub:", False),
        ("hub:@", False),
    ],
)
def test_whom_a_word_means(who: str, means: bool) -> None:
    """With the mark, users and groups of the Hub, and never those of the node."""
    assert HubUser("alice", frozenset({"students"})).is_among((who,)) is means


def test_nobody_is_a_group_by_his_name() -> None:
    """A Hub may let users choose their names; and one without a name is nobody."""
    assert not HubUser("@students").is_among(("hub:@students",))
    assert not HubUser("").is_among(("hub:", "hub:@"))


async def test_groups_are_the_hubs_to_tell(asking: Members, far: SmallHub, clock: Clock) -> None:
    """Asked for once a minute; a change is noticed then. Of a user that the Hub does not know it
    tells none.
    """
    students = HubUser("nobody", frozenset({"students"}))
    assert [await asking.of(NOBODY, "nobody") for _ in range(3)] == [students] * 3
    assert far.asked == ["nobody"]
    far.users["nobody"] = {"kind": "user", "name": "nobody", "groups": []}
    clock.now = module.REMEMBER_SECONDS
    assert await asking.of(NOBODY, "nobody") == HubUser("nobody")
    assert await asking.of(7, "stranger") == HubUser("stranger")
    assert await asking.of(0, "root") is None
    far.tokens[OURS] = {"kind": "service", "name": "broker", "scopes": ["read:users:name"]}
    with pytest.raises(errors.HubUnreachable, match="lacks the scope"):
        await asking.of(8, "hidden")


@pytest.mark.parametrize("answer", [500, 403, {"kind": "user", "name": "nobody"}, []])
async def test_what_was_known_holds_while_the_hub_is_silent(
    asking: Members, far: SmallHub, clock: Clock, answer: object
) -> None:
    """However long; it is not asked again at once. Who was never known is told to try again."""
    known = await asking.of(NOBODY, "nobody")
    far.users.update(nobody=answer, bob=answer)
    clock.now = 1e6
    for _ in range(2):
        assert await asking.of(NOBODY, "nobody") == known
    assert far.asked == ["nobody"] * 2
    with pytest.raises(errors.HubUnreachable):
        await asking.of(7, "bob")


async def test_a_token_that_cannot_be_read_is_said(far: SmallHub, tmp_path: Path) -> None:
    """To the user, as trouble; what to do, to the administrator."""
    hub = Hub(far.url, "jupyter-mig")
    for content in (None, "", "two\nlines"):
        file = tmp_path / "token"
        if content is not None:
            file.write_text(content)
        with pytest.raises(errors.HubUnreachable, match="cannot ask"):
            await Members(UnixUsers(), Asking(hub, file)).of(NOBODY, "nobody")
    hub.close()


async def test_who_came_by_tcp_is_known_without_asking(clock: Clock) -> None:
    """For a minute, by whatever door he comes then; after that his groups are not known."""
    members = Members(UnixUsers(), clock=clock)
    assert await members.of(NOBODY, "nobody") == HubUser("nobody")
    told = HubUser("nobody", frozenset({"students"}))
    members.tell(NOBODY, told)
    assert await members.of(NOBODY, "nobody") == told
    clock.now = module.REMEMBER_SECONDS
    assert await members.of(NOBODY, "nobody") == HubUser("nobody")


async def test_numbered_users_have_names_in_the_hub_alone(tmp_path: Path) -> None:
    """A user of the node who is called the same is somebody else."""
    users = NumberedUsers(tmp_path / "numbers.json")
    alice = users.owner("alice")
    again = Members(NumberedUsers(tmp_path / "numbers.json"))
    for members in (Members(users), again):
        assert await members.of(alice, "") == HubUser("alice")
        assert await members.of(1000, "alice") is None


async def test_the_hub_is_asked_only_where_it_matters(asking: Members, far: SmallHub) -> None:
    """Whoever is meant by an earlier rule does not depend on it."""
    rules = [Rule((ME,), slices=1), Rule(("hub:@students",), slices=2), Rule(("*",), slices=3)]
    policy = Policy(rules, members=asking)
    first = await policy.limits(os.getuid())
    assert (first.slices if first else None, far.asked) == (1, [])
    second = await policy.limits(NOBODY)
    assert second is not None
    assert (second.slices, second.rule) == (2, "rule 2 (hub:@students)")
    third = await Policy(rules).limits(NOBODY)
    assert third is not None
    assert third.slices == 3
