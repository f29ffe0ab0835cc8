"""``jupyter mig doctor``: what is wrong here, and how to mend it.

Each module looks at one thing (``look``: facts, from the world) and judges it (``check``: findings,
from the facts alone). Nothing is changed, and nothing is started unless asked for.
"""

from __future__ import annotations

import argparse
import os
import sys

from jupyter_mig.cli import document
from jupyter_mig.cli.exits import Exit
from jupyter_mig.cli.terminal import of

HELP = "what is wrong on this machine, and how to mend it"


def options(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    parser.add_argument("--start", action="store_true", help="start a broker first, if none runs")
    parser.add_argument("--json", action="store_true", help="print a JSON list of findings")


def run(arguments: argparse.Namespace) -> int:
    """Print what was found; the status is 1 if there are problems."""
    # Here, not above: it reads Jupyter's settings and NVML's, and other verbs need neither.
    from jupyter_mig.cli.doctor import examination, page
    from jupyter_mig.cli.doctor.finding import Level

    report = examination.examine(os.environ, start=arguments.start)
    if arguments.json:
        print(document.text(report.findings))
    else:
        print("\n".join(page.lines(report, of(sys.stdout))))
    broken = any(finding.level is Level.PROBLEM for finding in report.findings)
    return Exit.FAILED if broken else Exit.DONE
