"""Everybody's leases: see them, revoke one."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from jupyter_mig.cli.admin import asking
from jupyter_mig.cli.admin.asking import Verbs
from jupyter_mig.cli.cells import printable
from jupyter_mig.cli.leases import ends_in
from jupyter_mig.cli.measures import duration
from jupyter_mig.cli.table import Column
from jupyter_mig.client.administrator import Administrator
from jupyter_mig.errors import BadRequest, UnknownLease
from jupyter_mig.wire.administration import AnyLeaseView

_SHORTEST = 5
"""Fewer characters are no beginning of an id: every MIG UUID has the first four."""

_COLUMNS = (
    Column("USER", least=6),
    Column("NOTEBOOK", least=10, tail=True),
    Column("SIZE"),
    Column("STATE"),
    Column("GPU", right=True),
    Column("HELD", right=True),
    Column("ENDS IN", right=True, optional=True),
    Column("KERNEL", right=True),
    Column("MIG UUID", least=8),
    Column("LEASE", least=8),
)


def verbs(below: Verbs) -> None:
    """``leases`` and ``revoke``."""
    asking.verb(below, "leases", "who holds and waits for what", leases)
    revoking = asking.verb(below, "revoke", "take a lease away; its user is told why", revoke)
    revoking.add_argument(
        "lease", metavar="LEASE", help="a lease id or MIG UUID, or its first characters"
    )
    revoking.add_argument("--reason", required=True, metavar="TEXT", help="what its user is told")


def leases(arguments: argparse.Namespace) -> int:
    """Print them."""
    nothing = "Nobody holds a slice or waits for one."
    return asking.show(arguments, Administrator.all_leases, _COLUMNS, _row, nothing)


def revoke(arguments: argparse.Namespace) -> int:
    """Revoke one."""

    async def question(administrator: Administrator) -> AnyLeaseView:
        found = _find(arguments.lease, await administrator.all_leases())
        return await administrator.revoke(found.lease_id, arguments.reason)

    lease = asking.ask(question)
    return asking.done(arguments, lease, f"Revoked {lease.size} of {owner(lease)}: {lease.state}.")


def owner(lease: AnyLeaseView) -> str:
    """The name of its user, or his number."""
    return printable(lease.user) or str(lease.uid)


def _row(lease: AnyLeaseView) -> list[str]:
    return [
        owner(lease),
        printable(lease.label) or "-",
        lease.profile or lease.size,
        lease.state,
        "-" if lease.gpu_index is None else str(lease.gpu_index),
        duration(lease.held_seconds) if lease.profile else "-",
        ends_in(lease.ends_in_seconds),
        str(lease.kernel_pid or "-"),
        lease.mig_uuid or "-",
        lease.lease_id,
    ]


def _find(text: str, leases: Sequence[AnyLeaseView]) -> AnyLeaseView:
    found = [each for each in leases if text in (each.lease_id, each.mig_uuid)] or [
        each
        for each in leases
        if len(text) >= _SHORTEST
        and (each.lease_id.startswith(text) or each.mig_uuid.startswith(text))
    ]
    if len(found) > 1:
        raise BadRequest(f"Several leases begin with {text}.", next_step="Name one in full.")
    if not found:
        raise UnknownLease(f"There is no lease {text}.", next_step="See jupyter mig admin leases.")
    return found[0]
