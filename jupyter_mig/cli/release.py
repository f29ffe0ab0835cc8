"""``jupyter mig release``: give one slice of yours back, or take a request back."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import PurePosixPath

from jupyter_mig.cli import completion, document
from jupyter_mig.cli.conversation import hold
from jupyter_mig.cli.exits import Exit
from jupyter_mig.cli.leases import title
from jupyter_mig.cli.measures import duration
from jupyter_mig.client import Client
from jupyter_mig.errors import BadRequest, UnknownLease
from jupyter_mig.wire.messages import LeaseView

_SHORTEST = 5
"""Fewer characters than this are no beginning of an id: every MIG UUID has the first four."""

HELP = "give one of your slices back"


def options(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    lease = parser.add_argument(
        "lease",
        metavar="LEASE",
        help="a lease id or its beginning, a notebook, or a MIG UUID; see: jupyter mig leases",
    )
    completion.offer(lease, completion.leases)
    parser.add_argument("--json", action="store_true", help="print the lease as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Release the lease and say what that means for its kernel."""

    async def give_back(client: Client) -> tuple[LeaseView, LeaseView]:
        before = find(arguments.lease, await client.leases())
        return before, await client.release(before.lease_id)

    before, after = hold(give_back)
    print(document.text(after) if arguments.json else sentence(before, after))
    return Exit.DONE


def find(text: str, leases: Sequence[LeaseView]) -> LeaseView:
    """The one lease that ``text`` means; the error for none (UnknownLease) or several (BadRequest)
    lists them.
    """
    wanted = text.rstrip("….")
    found = [lease for lease in leases if text in _names(lease)] or [
        lease
        for lease in leases
        if len(wanted) >= _SHORTEST and any(name.startswith(wanted) for name in _ids(lease))
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise BadRequest(
            f"Several of your leases are called {text}.",
            situation=_inventory(found),
            next_step="Name one by its lease id.",
        )
    raise UnknownLease(f"You have no lease {text}.", situation=_inventory(leases))


def _ids(lease: LeaseView) -> tuple[str, ...]:
    """Names that a table may have cut short."""
    return (lease.lease_id, lease.slice.mig_uuid) if lease.slice else (lease.lease_id,)


def _names(lease: LeaseView) -> tuple[str, ...]:
    """What the lease is called anywhere we show it."""
    path = PurePosixPath(lease.label)
    notebook = (lease.label, path.name, path.name.removesuffix(".ipynb")) if lease.label else ()
    return (*_ids(lease), *notebook)


def _inventory(leases: Sequence[LeaseView]) -> str:
    if not leases:
        return "You hold no slice and wait for none."
    return (
        "Yours: " + ", ".join(f"{title(one)} ({one.lease_id}, {one.size})" for one in leases) + "."
    )


def sentence(before: LeaseView, after: LeaseView) -> str:
    """What was done, and what remains to be done by others."""
    if before.slice is None:
        return f"Took back the request of {title(before)} for {before.size}."
    done = (
        f"Released {before.slice.profile} on GPU {before.slice.gpu_index}"
        f" of {title(before)}, held {duration(before.held_seconds)}."
    )
    if after.state == "draining":
        done += "\nIt is free as soon as nobody uses it any more."
    if before.kernel_pid:
        done += f"\nIts kernel (pid {before.kernel_pid}) is ended."
    return done
