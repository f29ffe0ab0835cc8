"""``jupyter mig leases``: what you hold, and what you wait for."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence

from jupyter_mig.cli import document, table
from jupyter_mig.cli.cells import printable
from jupyter_mig.cli.conversation import hold
from jupyter_mig.cli.exits import Exit
from jupyter_mig.cli.label import heading
from jupyter_mig.cli.measures import duration, ordinal, roughly
from jupyter_mig.cli.table import NOTHING, Column
from jupyter_mig.cli.terminal import Terminal, of
from jupyter_mig.client import Client
from jupyter_mig.wire.messages import BrokerView, LeaseView

_COLUMNS = (
    Column("NOTEBOOK", least=12, tail=True),
    Column("SIZE"),
    Column("STATE"),
    Column("GPU", right=True),
    Column("HELD", right=True),
    Column("ENDS IN", right=True, optional=True),
    Column("KERNEL", right=True),
    Column("MIG UUID", least=8),
    Column("LEASE", least=8),
)

HELP = "which of your kernels holds which slice"


def options(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    parser.add_argument("--json", action="store_true", help="print a JSON list")


def run(arguments: argparse.Namespace) -> int:
    """Print the caller's live leases."""
    broker, leases = hold(_ask)
    terminal = of(sys.stdout)
    if arguments.json:
        print(document.text(leases))
    else:
        page = [*heading(terminal, simulated=broker.simulated), *lines(leases, terminal)]
        print("\n".join(page))
    return Exit.DONE


async def _ask(client: Client) -> tuple[BrokerView, list[LeaseView]]:
    return await client.broker(), await client.leases()


def lines(leases: Sequence[LeaseView], terminal: Terminal) -> Iterator[str]:
    """The table, and one line for each that waits, or is on its way out for a reason."""
    if not leases:
        yield "You hold no slice and wait for none."
        return
    yield from table.lines(_COLUMNS, [_row(lease) for lease in leases], terminal)
    for lease in leases:
        if lease.state == "waiting":
            yield waiting(lease)
        elif lease.refusal is not None:
            yield f"{title(lease)}: {printable(lease.refusal.message)}"


def title(lease: LeaseView) -> str:
    """What the user calls the lease: the notebook, or else the kernel."""
    return printable(lease.label) or f"kernel {printable(lease.kernel_id)[:8]}"


def ends_in(seconds: float | None) -> str:
    """How long a slice is had still, as a cell: in the largest unit, rounded down."""
    return NOTHING if seconds is None else roughly(seconds)


def _row(lease: LeaseView) -> list[str]:
    place = lease.slice
    return [
        title(lease),
        place.profile if place else lease.size,
        lease.state,
        str(place.gpu_index) if place else "-",
        duration(lease.held_seconds) if place else "-",
        ends_in(lease.ends_in_seconds),
        str(lease.kernel_pid or "-"),
        place.mig_uuid if place else "-",
        lease.lease_id,
    ]


def waiting(lease: LeaseView) -> str:
    """How it stands with a lease that waits."""
    if lease.over_quota:
        why = printable(lease.over_quota)
        return f"{title(lease)} waits for {lease.size} until one of yours ends. {why}"
    facts = [f"{ordinal(lease.place)} in line"] if lease.place else []
    if lease.estimate_seconds is not None:
        facts.append(f"about {duration(lease.estimate_seconds)}")
    if lease.gives_up_in_seconds is not None:
        facts.append(f"gives up in {duration(lease.gives_up_in_seconds)}")
    return f"{title(lease)} waits for {lease.size}" + (": " if facts else "") + ", ".join(facts)
