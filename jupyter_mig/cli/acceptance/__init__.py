"""``jupyter mig acceptance``: prove on an idle GPU that instances can be made and destroyed.

For administrators. It is the one verb that changes hardware without a broker, so it asks to be told
that the GPU is theirs, refuses one that anybody uses, and always takes down what it made.
"""

from __future__ import annotations

import argparse
import os
import re
import socket
import sys
from pathlib import Path

from jupyter_mig.cli import document
from jupyter_mig.cli.acceptance import guards, page, record
from jupyter_mig.cli.acceptance.record import Record
from jupyter_mig.cli.acceptance.trials import Bench
from jupyter_mig.cli.exits import Exit
from jupyter_mig.cli.hardware import opened
from jupyter_mig.cli.interrupts import heeded_later
from jupyter_mig.cli.terminal import of
from jupyter_mig.client import Settings
from jupyter_mig.client.place import directory_for
from jupyter_mig.core.geometry import Gpu
from jupyter_mig.errors import BadRequest
from jupyter_mig.nvml.examination import Examined, examine
from jupyter_mig.nvml.port import HardwarePort
from jupyter_mig.nvml.transcripts import recorded
from jupyter_mig.nvml.transcripts.anonymity import anonymous
from jupyter_mig.nvml.transcripts.recorder import Recorder

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
    settings = Settings.from_environment(os.environ)
    place = directory_for(settings)
    guards.require_no_broker(settings, place)
    with opened(settings, place) as driver, recorded() as recorder:
        examined = examine()
        gpu = _idle(driver, examined, arguments.gpu)
        path = arguments.output or Path(f"acceptance-{_slug(gpu.name)}.json")
        with record.claimed(path):
            found = _tried(driver, examined, gpu, recorder)
            record.write(found, path)
    if arguments.json:
        print(document.text(found))
    else:
        print("\n".join(page.lines(found, path, of(sys.stdout))))
    return _status(found)


def _idle(driver: HardwarePort, examined: Examined, index: int) -> Gpu:
    idle = guards.require_idle(examined, index)
    return next(gpu for gpu in driver.gpus() if gpu.uuid == idle.uuid)


def _tried(driver: HardwarePort, examined: Examined, gpu: Gpu, recorder: Recorder) -> Record:
    """From the first signal on, only what is under way is finished, and taken down again."""
    bench = Bench(driver, gpu)
    with heeded_later() as told_to_end:
        try:
            trials = list(bench.trials(told_to_end))
        finally:
            left_behind = bench.clear()
        complete = not told_to_end()
    return Record(
        simulated=examined.simulated,
        driver_version=examined.version,
        gpu_name=gpu.name,
        gpu_index=gpu.index,
        complete=complete,
        trials=trials,
        left_behind=left_behind,
        transcript=anonymous(recorder.transcript(), socket.gethostname()),
    )


def _status(found: Record) -> Exit:
    if not found.complete:
        return Exit.INTERRUPTED
    sound = not found.left_behind and not any(trial.problems for trial in found.trials)
    return Exit.DONE if sound else Exit.FAILED


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")
