"""What the administrator's verbs share: how they ask, and how they print."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias, TypeVar

from jupyter_mig.cli import document, table
from jupyter_mig.cli.conversation import hold
from jupyter_mig.cli.exits import Exit
from jupyter_mig.cli.label import heading
from jupyter_mig.cli.table import Column
from jupyter_mig.cli.terminal import of
from jupyter_mig.client import Settings
from jupyter_mig.client.administrator import Administrator
from jupyter_mig.errors import BadRequest

Answer = TypeVar("Answer")
Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001
"""What verbs are added to; argparse has no public name for it."""


def ask(question: Callable[[Administrator], Awaitable[Answer]]) -> Answer:
    """Ask the node's broker; raises BadRequest where there is none: a user's own is never asked,
    nor started.
    """
    settings = Settings.from_environment(os.environ)
    if settings.system is None:
        raise BadRequest(
            "This node has no broker for all users.",
            next_step="The manual has how to set one up: how-to, a broker for all users.",
        )
    asking = Administrator(settings)
    return hold(lambda _: question(asking), client=asking)


def show(
    arguments: argparse.Namespace,
    question: Callable[[Administrator], Awaitable[list[Answer]]],
    columns: Sequence[Column],
    row: Callable[[Answer], Sequence[str]],
    nothing: str,
) -> int:
    """Ask for a list and print it: a table, what to say if it is empty, or JSON."""

    async def both(administrator: Administrator) -> tuple[bool, list[Answer]]:
        return (await administrator.broker()).simulated, await question(administrator)

    simulated, found = ask(both)
    if arguments.json:
        print(document.text(found))
        return Exit.DONE
    terminal = of(sys.stdout)
    rows = [row(each) for each in found]
    lines = table.lines(columns, rows, terminal) if rows else [nothing]
    print("\n".join([*heading(terminal, simulated=simulated), *lines]))
    return Exit.DONE


def done(arguments: argparse.Namespace, answer: object, sentence: str) -> int:
    """Say what was done, in words or as JSON."""
    print(document.text(answer) if arguments.json else sentence)
    return Exit.DONE


def with_reason(verb: argparse.ArgumentParser) -> None:
    """The option that says why."""
    verb.add_argument("--reason", default="", metavar="TEXT", help="for the audit log")


def verb(
    verbs: Verbs, name: str, words: str, below: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    """A verb below ``admin``."""
    made = verbs.add_parser(name, help=words, description=words)
    made.add_argument("--json", action="store_true", help="print JSON")
    made.set_defaults(below=below)
    return made
