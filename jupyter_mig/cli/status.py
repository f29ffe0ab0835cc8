"""``jupyter mig status``: who answers, each GPU drawn to scale, what is free, who waits."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

from jupyter_mig.cli import document, drawing, table
from jupyter_mig.cli.cells import pad_left, pad_right, printable, width
from jupyter_mig.cli.conversation import hold
from jupyter_mig.cli.drawing import Look
from jupyter_mig.cli.exits import Exit
from jupyter_mig.cli.label import heading
from jupyter_mig.cli.measures import counted, memory
from jupyter_mig.cli.sizes import limits
from jupyter_mig.cli.terminal import Ink, Terminal, of
from jupyter_mig.client import Client
from jupyter_mig.wire.messages import BrokerView, GpuView, InstanceView, NodeView, SizeCount

HELP = "the GPUs, their slices, who waits"

_ORIGINS = {
    "dynamic": "slices are made as they are wanted",
    "static": "slices as the administrator made them",
    "visible": "slices that can be opened here",
    "full": "handed out whole",
}
"""What an inventory means for whoever wants a slice."""


def options(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print the node as the broker sees it."""
    broker, node, socket = hold(_ask)
    if arguments.json:
        print(document.text({"broker": broker, "socket": socket, "node": node}))
    else:
        print("\n".join(lines(broker, socket, node, of(sys.stdout))))
    return Exit.DONE


async def _ask(client: Client) -> tuple[BrokerView, NodeView, Path]:
    return await client.broker(), await client.node(), client.socket


def lines(broker: BrokerView, socket: Path, node: NodeView, terminal: Terminal) -> Iterator[str]:
    """The whole page."""
    yield from heading(terminal, simulated=node.simulated)
    yield f"{node.driver}, broker pid {broker.pid}"
    yield terminal.paint(str(socket), Ink.FAINT)
    looks: set[Look] = set()
    for gpu in node.gpus:
        yield ""
        yield from _gpu(gpu, node, looks, terminal)
    yield ""
    if looks - {Look.FREE, Look.NOTHING}:
        yield drawing.legend(looks, terminal)
        yield ""
    yield from _free(node.sizes, terminal)
    yield from limits(node, terminal)
    yield f"Waiting: {counted(node.waiting, 'request') if node.waiting else 'nobody'}"


def _gpu(gpu: GpuView, node: NodeView, looks: set[Look], terminal: Terminal) -> Iterator[str]:
    title = f"GPU {gpu.index}  {gpu.name}, {memory(gpu.memory_bytes)}"
    yield terminal.paint(title, Ink.STRONG)
    yield from _indented(_origin(gpu, simulated=node.simulated), terminal, Ink.FAINT)
    if gpu.problem:
        yield from _indented(f"cannot be used: {gpu.problem}", terminal, Ink.WRONG)
        yield from _indented(gpu.next_step, terminal, Ink.PLAIN)
    if gpu.instances or (gpu.mode == "dynamic" and gpu.units):
        parts = drawing.stretches(gpu, room=_room(gpu, node.sizes))
        looks.update(part.look for part in parts)
        yield drawing.bar(parts, terminal)
    elif not gpu.problem:
        yield from _indented(_nothing(gpu), terminal, Ink.WRONG)
    for instance in gpu.instances:
        if drawing.look(instance) is Look.STUCK:
            yield from _indented(_stuck(instance), terminal, Ink.WRONG)
    for note in gpu.notes:
        yield from _indented(note, terminal, Ink.FAINT)


def _origin(gpu: GpuView, *, simulated: bool) -> str:
    """What is handed out and why. Slices that are made on a simulated node go without saying, and
    so does what an older broker does not tell.
    """
    inventory = gpu.inventory or gpu.mode
    if inventory not in _ORIGINS or (simulated and inventory == "dynamic"):
        return ""
    return f"{_ORIGINS[inventory]}: {gpu.why}" if gpu.why else _ORIGINS[inventory]


def _nothing(gpu: GpuView) -> str:
    if gpu.inventory == "visible":
        return "no slices that can be opened here"
    making = f"nvidia-smi mig -i {gpu.index} -cgi PROFILE -C"
    return f"no slices; an administrator makes them: {making}"


def _indented(text: str, terminal: Terminal, ink: Ink) -> Iterator[str]:
    room = max(terminal.breadth - 2, 1)
    for line in textwrap.wrap(printable(text), room, break_on_hyphens=False):
        yield "  " + terminal.paint(line, ink)


def _room(gpu: GpuView, sizes: tuple[SizeCount, ...]) -> Look:
    """Memory without an instance is free only where one can be made that fits."""
    usable = gpu.mode == "dynamic" and any(size.unclaimed or size.free for size in sizes)
    return Look.FREE if usable else Look.NOTHING


def _stuck(instance: InstanceView) -> str:
    pids = ", ".join(str(pid) for pid in instance.suspects)
    on_it = f"in use by pid {pids}" if pids else "nobody is known to use it"
    return f"{instance.profile} will not clear: {on_it}; it is retried"


def _free(every: tuple[SizeCount, ...], terminal: Terminal) -> Iterator[str]:
    if not every:
        yield "No GPU here offers slices."
    sizes = [size for size in every if not size.not_allowed]
    if not sizes:
        return
    title = "Free now: "
    names = max(width(size.size) for size in sizes)
    digits = max(len(str(size.free)) for size in sizes)
    items = [
        f"{pad_right(size.size, names)} {pad_left(str(size.free), digits)} of {size.total}"
        for size in sizes
    ]
    for row in table.flow(items, terminal.breadth - len(title)):
        yield title + row
        title = " " * len(title)
