"""What administrators are shown: everybody's leases, orphans, and what the annals hold."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

import msgspec

from jupyter_mig import errors
from jupyter_mig.broker.callers.accounts import Accounts, uid_of
from jupyter_mig.broker.remote.hub import MARK
from jupyter_mig.broker.remote.members import Members
from jupyter_mig.broker.words import plain
from jupyter_mig.core.leases import Lease
from jupyter_mig.core.state import Place, State
from jupyter_mig.metrics.readings import NotAvailable
from jupyter_mig.wire.administration import (
    AnyLeaseView,
    AuditView,
    Entry,
    Interval,
    IntervalView,
    OrphanView,
    UseView,
)
from jupyter_mig.wire.messages import HistoryPoint


class Names:
    """The names of users, looked up all at once."""

    def __init__(self, accounts: Accounts, members: Members) -> None:
        self._accounts = accounts
        self._members = members

    async def of(self, uids: Iterable[int | None]) -> dict[int | None, str]:
        """A name for each: that of an account here, or else ``hub:`` and that of a user of the Hub;
        empty for those who have neither, and for nobody.
        """
        known = sorted({uid for uid in uids if uid is not None})
        found = await asyncio.gather(*(self._accounts.of(uid) for uid in known))
        pairs = zip(known, found, strict=True)
        return {None: "", **{uid: each.name or self._from_afar(uid) for uid, each in pairs}}

    async def owner(self, name: str) -> int:
        """Who is called so. Raises UnknownUser if nobody is, or if it is root: in
        a Hub anybody may be called so.
        """
        return await asyncio.to_thread(self._owner, name)

    def _owner(self, name: str) -> int:
        try:
            hub_name = name.removeprefix(MARK)
            owner = uid_of(name) if hub_name == name else self._members.owners.owner(hub_name)
        except errors.Unauthenticated:
            owner = None
        if not owner:
            raise errors.UnknownUser(f"{plain(name, 40)} is no user of this node.")
        return owner

    def _from_afar(self, uid: int) -> str:
        name = self._members.name_of(uid, "")
        return f"{MARK}{name}" if name else ""


def lease_view(state: State, lease: Lease, user: str, now: float) -> AnyLeaseView:
    """One lease of anybody's; ``now`` is on the ledger's clock, in seconds."""
    place = state.place_of(lease)
    gpu = state.gpus.get(place.spec.gpu_uuid) if place is not None else None
    return AnyLeaseView(
        lease_id=lease.lease_id,
        user=user,
        uid=lease.owner,
        label=lease.label,
        state=lease.state.value,
        size=lease.size,
        profile=place.profile_name if place is not None else "",
        mig_uuid=_mig_uuid(place) if place is not None else "",
        gpu_uuid=place.spec.gpu_uuid if place is not None else "",
        gpu_index=gpu.gpu.index if gpu is not None else None,
        kernel_pid=lease.kernel_pid,
        held_seconds=0.0 if lease.granted_at is None else max(now - lease.granted_at, 0.0),
        ends_in_seconds=(
            max(lease.expires_at - now, 0.0) if lease.expires_at is not None else None
        ),
    )


def use_view(
    lease: Lease,
    user: str,
    now: float,
    processes: int | NotAvailable,
    points: Sequence[HistoryPoint],
) -> UseView:
    """What a lease's slice has been used for; ``points`` are its last minutes."""
    measured = [each.utilization for each in points if each.utilization is not None]
    return UseView(
        lease_id=lease.lease_id,
        user=user,
        uid=lease.owner,
        held_seconds=0.0 if lease.granted_at is None else max(now - lease.granted_at, 0.0),
        utilization=max(measured, default=None),
        processes=processes if isinstance(processes, int) else None,
    )


def orphan_view(state: State, place: Place) -> OrphanView:
    """One orphan."""
    return OrphanView(
        instance_id=place.instance_id,
        state=place.state.value,  # type: ignore[arg-type]  # those that are ours alone are none
        profile=place.profile_name,
        gpu_uuid=place.spec.gpu_uuid,
        gpu_index=state.gpus[place.spec.gpu_uuid].gpu.index,
        gi_id=place.identity.gi_id if place.identity is not None else None,
        start=place.spec.start,
        mig_uuid=_mig_uuid(place),
    )


def audit_view(entry: Entry, names: dict[int | None, str]) -> AuditView:
    """One entry, with names."""
    given = msgspec.structs.asdict(entry)
    return AuditView(user=names[entry.uid], by=names[entry.by_uid], **given)


def interval_view(interval: Interval, names: dict[int | None, str]) -> IntervalView:
    """One interval, with a name."""
    return IntervalView(user=names[interval.uid], **msgspec.structs.asdict(interval))


def _mig_uuid(place: Place) -> str:
    return (place.identity.mig_uuid or "") if place.identity is not None else ""
