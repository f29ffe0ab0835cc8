"""``jupyter mig acceptance``: prove on an idle GPU that instances can be made and destroyed.

For administrators. It is the one verb that changes hardware without a broker, so it asks to be told
that the GPU is theirs, refuses one that anybody uses, and always takes down what it made.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from jupyter_mig.errors import BadRequest

HELP = "try every profile at every start on an idle GPU (for administrators)"


def options(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    parser.add_argument("--gpu", type=int, required=True, metavar="N", help="as nvidia-smi -L")
    parser.add_argument(
        "--i-own-this-gpu",
        action="store_true",
        help="instances may be made and destroyed on it, and nobody else does that meanwhile",
    )
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="default: acceptance-MODEL.json, here"
    )
    parser.add_argument("--json", action="store_true", help="print the record, not the table")


def run(arguments: argparse.Namespace) -> int:
    """Do all trials, take down what was made, write the record; 1 if anything was not right."""
    if not arguments.i_own_this_gpu:
        raise BadRequest(
            f"This makes and destroys instances on GPU {arguments.gpu}.",
            situation="Nobody may use that GPU, and no other program may partition it meanwhile.",
            next_step=f"If it is yours: jupyter mig acceptance --gpu {arguments.gpu}"
            " --i-own-this-gpu",
        )
    # Here, not above: other verbs open no NVML.
    from jupyter_mig.cli.acceptance.proof import prove

    return prove(arguments.gpu, arguments.output, as_json=arguments.json)
