from __future__ import annotations

import asyncio
import grp
import os
import pwd
import threading

import msgspec
import pytest

from jupyter_mig.broker.callers import accounts
from jupyter_mig.broker.callers.accounts import Account, Accounts, look_up
from jupyter_mig.broker.policy import Policy, Rule
from jupyter_mig.core.policy import Limits

ALICE = Account("alice", frozenset({"students", "users"}))
WITHOUT_ACCOUNT = 2**31 + 5


@pytest.mark.parametrize(
    ("who", "means"),
    [("alice", True), ("@students", True), ("*", True), ("@alice", False), ("students", False)],
)
def test_whom_a_rule_means(who: str, means: bool) -> None:
    """A user by name, a group by ``@``, or everybody."""
    assert ALICE.is_among((who,)) is means


@pytest.mark.parametrize(("who", "means"), [("", False), ("@", False), ("*", True)])
def test_one_without_an_account(who: str, means: bool) -> None:
    """Has no name to be meant by."""
    assert look_up(WITHOUT_ACCOUNT).is_among((who,)) is means


def test_the_system_knows_users() -> None:
    """By name and all their groups."""
    user = pwd.getpwuid(os.getuid())
    account = look_up(user.pw_uid)
    assert account.name == user.pw_name
    assert grp.getgrgid(user.pw_gid).gr_name in account.groups


async def test_the_first_rule_that_means_a_user_is_his() -> None:
    """It is named so that people find it; whom none means is not limited."""
    me = pwd.getpwuid(os.getuid()).pw_name
    rules = [Rule(("nobody-else",), slices=0), Rule((me, "@x"), slices=2), Rule((me,), slices=3)]
    policy = Policy(rules)
    assert await policy.limits(os.getuid()) == Limits(f"rule 2 ({me}, @x)", slices=2)
    assert await policy.limits(WITHOUT_ACCOUNT) is None


async def test_admins() -> None:
    """Root always; others by name or group."""
    mine = grp.getgrgid(pwd.getpwuid(os.getuid()).pw_gid).gr_name
    assert await Policy().is_admin(0)
    assert not await Policy(admins=("root",)).is_admin(WITHOUT_ACCOUNT)
    assert await Policy(admins=(f"@{mine}",)).is_admin(os.getuid())


async def test_accounts_are_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many want to know; again after a minute; and never on the event loop."""
    asked: list[int] = []
    loops = threading.get_ident()

    def slow(uid: int) -> Account:
        assert threading.get_ident() != loops
        asked.append(uid)
        return ALICE

    monkeypatch.setattr(accounts, "look_up", slow)
    now = [0.0]
    known = Accounts(lambda: now[0])
    assert await asyncio.gather(*(known.of(7) for _ in range(50))) == [ALICE] * 50
    now[0] = accounts.REMEMBER_SECONDS - 1
    await known.of(7)
    assert asked == [7]
    now[0] += 1
    await known.of(7)
    assert asked == [7, 7]


@pytest.mark.parametrize(
    "given",
    [{}, {"who": []}, {"who": [""]}, {"who": ["*"], "slices": -1}, {"who": ["*"], "slice": 1}],
)
def test_rules_that_are_none(given: dict[str, object]) -> None:
    """Nobody meant, a number below zero, a word we do not know."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(given, Rule)
