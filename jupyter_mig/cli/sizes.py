"""``jupyter mig sizes``: what sizes this node has, and how many are free."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Iterator

from jupyter_mig.cli import document, table
from jupyter_mig.cli.cells import printable
from jupyter_mig.cli.conversation import hold
from jupyter_mig.cli.exits import Exit
from jupyter_mig.cli.label import heading
from jupyter_mig.cli.measures import memory
from jupyter_mig.cli.table import Column
from jupyter_mig.cli.terminal import Terminal, of
from jupyter_mig.client import Client
from jupyter_mig.wire.messages import NodeView, SizeCount

_COLUMNS = (
    Column("SIZE"),
    Column("MEMORY", right=True),
    Column("SMS", right=True),
    Column("FREE", right=True),
    Column("TOTAL", right=True),
    Column("GPUS", least=8),
)

HELP = "the sizes this node offers, and how many are free"


def options(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    parser.add_argument("--json", action="store_true", help="print a JSON list")


def run(arguments: argparse.Namespace) -> int:
    """Print the sizes, smallest first."""
    node = hold(_ask)
    if arguments.json:
        print(document.text(node.sizes))
    elif node.sizes:
        print("\n".join(lines(node, of(sys.stdout))))
    else:
        print("No GPU here offers slices; jupyter mig status says why.")
    return Exit.DONE


async def _ask(client: Client) -> NodeView:
    return await client.node()


def lines(node: NodeView, terminal: Terminal) -> list[str]:
    """The table, smallest size first as the broker orders them; what a rule never allows is named
    below it.
    """
    rows = [_row(size, node) for size in node.sizes if not size.not_allowed]
    return [
        *heading(terminal, simulated=node.simulated),
        *(table.lines(_COLUMNS, rows, terminal) if rows else ()),
        *limits(node, terminal),
    ]


def limits(node: NodeView, terminal: Terminal) -> Iterator[str]:
    """What an administrator's rule means to who asks; nothing where none does."""
    if node.allowance_not_available:
        yield from _wrapped(f"Your limits are not known: {node.allowance_not_available}", terminal)
    if node.allowance is None:
        return
    name = node.allowance.rule.capitalize()
    yield from _wrapped(f"{name}: {node.allowance.allows}.", terminal)
    over = next((size.over_quota for size in node.sizes if size.over_quota), "")
    if over:
        yield from _wrapped(f"{over.capitalize()}: give one back for another.", terminal)
    never = [size.size for size in node.sizes if size.not_allowed]
    if never:
        yield from _wrapped(f"Not allowed to you: {', '.join(never)}.", terminal)


def _wrapped(text: str, terminal: Terminal) -> list[str]:
    return textwrap.wrap(printable(text), max(terminal.breadth, 1), break_on_hyphens=False)


def _row(size: SizeCount, node: NodeView) -> list[str]:
    return [
        size.size,
        memory(size.memory_bytes),
        str(size.multiprocessors) if size.multiprocessors else "?",
        str(size.free),
        str(size.total),
        ", ".join(size.models or dict.fromkeys(gpu.name for gpu in node.gpus)),
    ]
