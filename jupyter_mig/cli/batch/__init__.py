"""``jupyter mig batch``: many commands, each on a slice of its own, as many at once as fit.

The jobs' slices are asked for together and planned largest first; a job starts when its slice is
there. Jobs are children of this process, each in a session of its own.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from jupyter_mig.cli import document
from jupyter_mig.cli.batch import summary
from jupyter_mig.cli.batch.crew import Crew
from jupyter_mig.cli.batch.jobs import Outcome, read
from jupyter_mig.cli.batch.output import Files, Printed
from jupyter_mig.cli.conversation import hold
from jupyter_mig.cli.exits import Exit
from jupyter_mig.cli.label import heading
from jupyter_mig.cli.run import near_gpu
from jupyter_mig.cli.terminal import of
from jupyter_mig.client import Client, Settings
from jupyter_mig.errors import JupyterMigError

HELP = "run many commands, each on a slice of its own"


def options(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    parser.add_argument(
        "file", metavar="FILE", help="one job a line: SIZE COMMAND ...; - reads them from stdin"
    )
    failing = parser.add_mutually_exclusive_group()
    failing.add_argument(
        "--keep-going",
        dest="keep_going",
        action="store_true",
        default=True,
        help="run all, whatever fails (the default)",
    )
    failing.add_argument(
        "--stop-on-failure",
        dest="keep_going",
        action="store_false",
        help="start no more when one has failed; those that run go on",
    )
    parser.add_argument(
        "--output-dir",
        type=Path,
        metavar="DIR",
        help="each job's output to files there (default: printed, the job before each line)",
    )
    near_gpu(parser)
    parser.add_argument("--json", action="store_true", help="print what became of them as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Run the jobs to their end and print what became of them."""
    settings = Settings.from_environment(os.environ)
    jobs = read(_text(arguments.file), os.environ)
    outlet = _outlet(arguments, len(jobs))
    for line in heading(of(sys.stderr), simulated=settings.simulated):
        print(line, file=sys.stderr)

    async def work(client: Client) -> tuple[list[Outcome], int | None]:
        crew = Crew(
            client,
            settings,
            outlet,
            keep_going=arguments.keep_going,
            near_gpu=arguments.near_gpu,
        )
        return await crew.work(jobs), crew.interrupted_by

    outcomes, signal_number = hold(work)
    _show(arguments, outcomes, simulated=settings.simulated)
    if signal_number is not None:
        return 128 + signal_number
    return Exit.DONE if all(one.state == "done" for one in outcomes) else Exit.FAILED


def _text(name: str) -> str:
    """The list of jobs; file names in it may be any bytes."""
    try:
        raw = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise JupyterMigError(f"Cannot read {name}: {error.strerror}.") from error
    return os.fsdecode(raw)


def _outlet(arguments: argparse.Namespace, count: int) -> Printed | Files:
    if arguments.output_dir is not None:
        return Files(arguments.output_dir, count)
    # What --json prints shall be all there is on stdout.
    usual = sys.stderr if arguments.json else sys.stdout
    return Printed(usual.buffer, sys.stderr.buffer, count)


def _show(arguments: argparse.Namespace, outcomes: Sequence[Outcome], *, simulated: bool) -> None:
    if arguments.json:
        print(document.text(outcomes))
        return
    terminal = of(sys.stdout)
    page = [*heading(terminal, simulated=simulated), *summary.lines(outcomes, terminal)]
    print("\n".join(page))
