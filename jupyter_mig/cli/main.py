"""The command line: parse, run the verb, turn errors into one clear message and a status."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Protocol

from jupyter_mig import __version__
from jupyter_mig.cli import (
    acceptance,
    admin,
    batch,
    broker,
    completion,
    demo,
    doctor,
    exits,
    kernels,
    leases,
    plan,
    release,
    run,
    sizes,
    status,
    top,
)
from jupyter_mig.cli.exits import Exit
from jupyter_mig.errors import JupyterMigError


class Verb(Protocol):
    """What a module must have to be a command."""

    HELP: str

    def options(self, parser: argparse.ArgumentParser, /) -> None:
        """Say what arguments it takes."""

    def run(self, arguments: argparse.Namespace, /) -> int:
        """Do it; the value is the exit status."""


VERBS: Mapping[str, Verb] = {
    "status": status,
    "sizes": sizes,
    "leases": leases,
    "top": top,
    "release": release,
    "run": run,
    "batch": batch,
    "plan": plan,
    "kernels": kernels,
    "doctor": doctor,
    "acceptance": acceptance,
    "broker": broker,
    "admin": admin,
    "completion": completion,
    "demo": demo,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the value is the process's exit status, see :mod:`jupyter_mig.cli.exits`.

    Errors of ours become lines on stderr. Anything else is a bug and shows as one.
    """
    whole = parser()
    completion.answer(whole)
    try:
        code = _run(whole.parse_args(arguments))
        sys.stdout.flush()
    except JupyterMigError as error:
        print(complaint(error), file=sys.stderr)
        return exits.of(error)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # Python flushes stdout once more at exit; let that go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.NOBODY_READS
    return code


def parser() -> argparse.ArgumentParser:
    """All verbs and their options."""
    whole = argparse.ArgumentParser(
        prog="jupyter mig",
        description="Every Jupyter kernel gets its own NVIDIA MIG slice.",
        epilog="Exit status: 0 done, 1 failed, 2 usage, 3 refused, 4 no usable driver or broker,"
        " 130 interrupted.",
    )
    whole.add_argument("--version", action="version", version=f"jupyter_mig {__version__}")
    commands = whole.add_subparsers(metavar="COMMAND", required=True)
    for name, verb in VERBS.items():
        command = commands.add_parser(name, help=verb.HELP, description=verb.HELP)
        command.set_defaults(run=verb.run)
        verb.options(command)
    return whole


def complaint(error: JupyterMigError) -> str:
    """What happened, what is free or allowed, what to do next, each on its line."""
    return f"jupyter mig: {error}"


def _run(arguments: argparse.Namespace) -> int:
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    return int(arguments.run(arguments))
