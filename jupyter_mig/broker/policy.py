"""An administrator's rules: who may have what, and who may look after the node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec

from jupyter_mig.broker.accounts import Account, Accounts
from jupyter_mig.core.policy import Limits

Seconds = Annotated[float, msgspec.Meta(ge=0)]
Words = Annotated[
    tuple[Annotated[str, msgspec.Meta(min_length=1)], ...], msgspec.Meta(min_length=1)
]


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Limits for those in ``who``: names of users, ``@`` and a Unix group, or ``*`` for all. The
    rest is as in :class:`~jupyter_mig.core.policy.Limits`; what is not said is not limited.
    """

    who: Words
    sizes: tuple[str, ...] = ()
    slices: Annotated[int, msgspec.Meta(ge=0)] | None = None
    share: Annotated[float, msgspec.Meta(ge=0)] | None = None
    wait_seconds: Seconds | None = None
    lifetime_seconds: Annotated[float, msgspec.Meta(gt=0)] | None = None

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
    """The rules of one node: the first that means a user is his. Whom none means is not limited."""

    def __init__(
        self,
        rules: Sequence[Rule] = (),
        admins: tuple[str, ...] = (),
        accounts: Accounts | None = None,
    ) -> None:
        self._rules = [(rule.who, rule.limits(number)) for number, rule in enumerate(rules, 1)]
        self._admins = admins
        self._accounts = accounts or Accounts()

    async def limits(self, uid: int) -> Limits | None:
        """What a user may have now."""
        if not self._rules:
            return None
        account = await self._accounts.of(uid)
        return next((limits for who, limits in self._rules if account.is_among(who)), None)

    async def is_admin(self, uid: int) -> bool:
        """Whether a user may look after the node: root always."""
        return uid == 0 or (await self._account(uid)).is_among(self._admins)

    async def _account(self, uid: int) -> Account:
        return await self._accounts.of(uid) if self._admins else Account()
