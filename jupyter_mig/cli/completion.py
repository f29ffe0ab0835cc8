"""``jupyter mig completion``: the Tab key in bash, zsh and fish, for ``jupyter mig`` as well as for
``jupyter-mig``.

Argcomplete does it, which ``jupyter`` itself understands. Sizes and leases are asked of the broker
while the key is held, so it may take no time to speak of, and starts no broker.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any, TypeVar

from jupyter_mig.cli.conversation import hold
from jupyter_mig.cli.exits import Exit
from jupyter_mig.client import Client, Settings
from jupyter_mig.client.settings import SOCKET_VARIABLE
from jupyter_mig.errors import JupyterMigError

HELP = "have the Tab key complete commands, sizes and leases"

COMMANDS = ("jupyter-mig", "jupyter")
_ASKED = "_ARGCOMPLETE"
_PATIENCE_SECONDS = 0.5

Answer = TypeVar("Answer")


def options(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="the shell to print it for")


def run(arguments: argparse.Namespace) -> int:
    """Print what the shell has to evaluate."""
    try:
        from argcomplete.shell_integration import shellcode
    except ImportError:
        raise JupyterMigError(
            "Completion needs argcomplete, which is not installed.",
            next_step='Install it: pip install "jupyter-mig[completion]"',
        ) from None
    print(shellcode(list(COMMANDS), shell=arguments.shell))
    return Exit.DONE


def answer(whole: argparse.ArgumentParser) -> None:
    """If a shell asks for completions, answer and end the process; otherwise return."""
    if _ASKED in os.environ:
        with suppress(ImportError):
            import argcomplete

            argcomplete.autocomplete(whole)


def offer(action: argparse.Action, completer: Callable[..., Iterable[str]]) -> None:
    """Have an argument completed by what ``completer(prefix)`` gives."""
    action.completer = completer  # type: ignore[attr-defined]  # argcomplete looks for it


def sizes(prefix: str, **_more: Any) -> list[str]:
    """The sizes of this node; with a count before it, such as ``2x``, that many of them."""
    count, times, _ = prefix.rpartition("x")
    node = _asked(Client.node)
    offered = [size for size in node.sizes if not size.not_allowed] if node else []
    return [f"{count}{times}{size.size}" for size in offered]


def leases(prefix: str, **_more: Any) -> list[str]:  # noqa: ARG001 - the shell filters
    """The ids of the caller's leases."""
    return [lease.lease_id for lease in _asked(Client.leases) or ()]


def _asked(question: Callable[[Client], Awaitable[Answer]]) -> Answer | None:
    """The answer of the broker that runs, if one does and answers quickly."""

    async def quickly(client: Client) -> Answer:
        return await asyncio.wait_for(question(client), _PATIENCE_SECONDS)

    door = Client(Settings.from_environment(os.environ)).socket
    with suppress(JupyterMigError, asyncio.TimeoutError):
        # With its door named, none is started where there is none.
        return hold(quickly, {**os.environ, SOCKET_VARIABLE: str(door)})
    return None
