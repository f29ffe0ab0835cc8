"""``jupyter mig plan``: would this mix of slices fit, and where?"""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator

from jupyter_mig.cli import absent, completion, document, drawing
from jupyter_mig.cli.cells import printable
from jupyter_mig.cli.conversation import hold
from jupyter_mig.cli.drawing import Look
from jupyter_mig.cli.exits import Exit
from jupyter_mig.cli.label import heading
from jupyter_mig.cli.measures import memory
from jupyter_mig.cli.terminal import Ink, Terminal, of
from jupyter_mig.client import Client
from jupyter_mig.errors import BadRequest, NoDriver
from jupyter_mig.wire.messages import MOST_REQUESTS, Outline, PlanRequest, PlanView

HELP = "would this mix of slices fit, and where?"

_TIMES = re.compile(r"(\d{1,4})x(.+)")


def options(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    sizes = parser.add_argument("sizes", nargs="+", metavar="SIZE", help="such as 2x3g.20gb 1g.5gb")
    completion.offer(sizes, completion.sizes)
    parser.add_argument(
        "--gpu",
        default="",
        metavar="MODEL",
        help="only on GPUs whose name contains that, or on one that this node does not have",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print where each would go: 0 if all fit now, 3 if once others have ended, 1 if never."""
    answer = _answer(PlanRequest(mix(arguments.sizes), printable(arguments.gpu)))
    terminal = of(sys.stdout)
    if arguments.json:
        print(document.text(answer))
    else:
        print("\n".join([*heading(terminal, simulated=answer.simulated), *page(answer, terminal)]))
    if answer.now.fits:
        return Exit.DONE
    return Exit.REFUSED if answer.empty.fits else Exit.FAILED


class Answer(PlanView, frozen=True):
    """A plan, and where: ``absent_model`` is one that this node does not have."""

    simulated: bool = False
    absent_model: str = ""


def _answer(request: PlanRequest) -> Answer:
    """On this node; for a model that it does not have, on a simulated one that does."""

    async def ask(client: Client) -> Answer | None:
        node = await client.node()
        if request.gpu and not any(request.gpu.lower() in gpu.name.lower() for gpu in node.gpus):
            return None
        view = await client.plan(request)
        return Answer(view.now, view.empty, node.simulated)

    try:
        found = hold(ask)
    except NoDriver:
        if not request.gpu:
            raise
        found = None
    if found is not None:
        return found
    model = absent.model(request.gpu)
    view = absent.plan(request, model)
    return Answer(view.now, view.empty, simulated=True, absent_model=model)


def mix(texts: Iterable[str]) -> tuple[str, ...]:
    """``2x3g.20gb`` is two of them; raises BadRequest if there are none or too many."""
    sizes: list[str] = []
    for text in texts:
        found = _TIMES.fullmatch(text)
        count, size = (int(found[1]), found[2]) if found else (1, text)
        sizes += [printable(size)] * count
    if not 0 < len(sizes) <= MOST_REQUESTS:
        raise BadRequest(f"A plan has 1 to {MOST_REQUESTS} slices, this one {len(sizes)}.")
    return tuple(sizes)


def page(answer: Answer, terminal: Terminal) -> Iterator[str]:
    """The plan; of a model that is not here that is said first."""
    if not answer.absent_model:
        yield from lines(answer, terminal)
        return
    note = f"A model this node does not have: one {answer.absent_model}, by its profile table."
    yield from textwrap.wrap(note, max(terminal.breadth, 1))
    fits = "It fits." if answer.empty.fits else "It does not fit, placed the largest first."
    yield from _outline(fits, answer.empty, terminal)


def lines(view: PlanView, terminal: Terminal) -> Iterator[str]:
    """The page: as things are, and if that is not enough, with nobody there."""
    if view.now.fits:
        yield from _outline("It fits now.", view.now, terminal)
    elif view.empty.fits:
        yield from _outline("It does not fit now.", view.now, terminal)
        yield ""
        yield from _outline("With nobody on the node it fits.", view.empty, terminal)
    else:
        title = "Even with nobody on the node it does not fit, placed the largest first."
        yield from _outline(title, view.empty, terminal)


def _outline(title: str, outline: Outline, terminal: Terminal) -> Iterator[str]:
    yield terminal.paint(title, Ink.STRONG)
    if outline.left_over:
        yield f"What fits of it: {_counted(one.size for one in outline.slices) or 'nothing'}"
        reasons = {one.size: one.why for one in outline.left_over}
        for size, count in Counter(one.size for one in outline.left_over).items():
            yield f"Left over: {count}x{size}: {reasons[size]}"
    looks: set[Look] = set()
    for gpu in outline.gpus:
        yield f"GPU {gpu.index}  {gpu.name}, {memory(gpu.memory_bytes)}"
        parts = drawing.stretches(gpu, room=Look.FREE if gpu.mode == "dynamic" else Look.NOTHING)
        looks.update(part.look for part in parts)
        yield drawing.bar(parts, terminal)
    yield drawing.legend(looks, terminal)


def _counted(sizes: Iterable[str]) -> str:
    return " ".join(f"{count}x{size}" for size, count in Counter(sizes).items())
