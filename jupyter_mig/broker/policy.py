"""An administrator's rules: who may have what, and who may look after the node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec

from jupyter_mig.broker.callers.accounts import Account, Accounts
from jupyter_mig.broker.callers.owners import UnixUsers
from jupyter_mig.broker.remote.hub import MARK
from jupyter_mig.broker.remote.members import Members
from jupyter_mig.core.policy import Limits

Seconds = Annotated[float, msgspec.Meta(ge=0)]
Words = Annotated[
    tuple[Annotated[str, msgspec.Meta(min_length=1)], ...], msgspec.Meta(min_length=1)
]


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Limits for those in ``who``: names of users, ``@`` and a Unix group, ``hub:`` and a name or
    ``hub:@`` and a group of a JupyterHub, or ``*`` for all. The rest is as in
    :class:`~jupyter_mig.core.policy.Limits`; what is not said is not limited.
    """

    who: Words
    sizes: tuple[str, ...] = ()
    slices: Annotated[int, msgspec.Meta(ge=0)] | None = None
    share: Annotated[float, msgspec.Meta(ge=0)] | None = None
    wait_seconds: Seconds | None = None
    lifetime_seconds: Annotated[float, msgspec.Meta(gt=0)] | None = None

    @property
    def needs_hub(self) -> bool:
        """Whether only a JupyterHub knows whom it means."""
        return any(word.startswith(MARK) for word in self.who)

    def limits(self, number: int) -> Limits:
        """As the ledger knows them; people count the rules from 1."""
        return Limits(
            rule=f"rule {number} ({', '.join(self.who)})",
            sizes=self.sizes,
            slices=self.slices,
            share=self.share,
            wait_seconds=self.wait_seconds,
            lifetime_seconds=self.lifetime_seconds,
        )


class Policy:
    """The rules of one node: the first that means a user is his. Whom none means is not limited.

    ``members`` are users of the node's JupyterHub; it is asked only about who has come to a rule
    that needs it.
    """

    def __init__(
        self,
        rules: Sequence[Rule] = (),
        admins: tuple[str, ...] = (),
        accounts: Accounts | None = None,
        members: Members | None = None,
    ) -> None:
        self._rules = [(rule, rule.limits(number)) for number, rule in enumerate(rules, 1)]
        self._admins = admins
        self._accounts = accounts or Accounts()
        self.members = members or Members(UnixUsers())

    async def limits(self, uid: int) -> Limits | None:
        """What a user may have now. Raises HubUnreachable where the Hub must say who he is, is
        silent, and has never said it.
        """
        if not self._rules:
            return None
        account = await self._accounts.of(uid)
        for rule, limits in self._rules:
            if account.is_among(rule.who) or await self._is_meant(uid, account, rule):
                return limits
        return None

    async def _is_meant(self, uid: int, account: Account, rule: Rule) -> bool:
        """Whether a rule means a user of the Hub."""
        user = await self.members.of(uid, account.name) if rule.needs_hub else None
        return user is not None and user.is_among(rule.who)

    async def is_admin(self, uid: int) -> bool:
        """Whether a user may look after the node: root always."""
        return uid == 0 or (await self._account(uid)).is_among(self._admins)

    async def _account(self, uid: int) -> Account:
        return await self._accounts.of(uid) if self._admins else Account()
