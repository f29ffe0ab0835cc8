"""One acceptance run, from the first look to the record."""

from __future__ import annotations

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
from jupyter_mig.nvml.examination import Examined, examine
from jupyter_mig.nvml.port import HardwarePort
from jupyter_mig.nvml.transcripts import recorded
from jupyter_mig.nvml.transcripts.anonymity import anonymous
from jupyter_mig.nvml.transcripts.recorder import Recorder


def prove(index: int, output: Path | None, *, as_json: bool) -> Exit:
    """Do all trials on a GPU, take down what was made, write the record and print it."""
    settings = Settings.from_environment(os.environ)
    place = directory_for(settings)
    guards.require_no_broker(settings, place)
    with opened(settings, place) as driver, recorded() as recorder:
        examined = examine()
        gpu = _idle(driver, examined, index)
        path = output or Path(f"acceptance-{_slug(gpu.name)}.json")
        with record.claimed(path):
            found = _tried(driver, examined, gpu, recorder)
            record.write(found, path)
    if as_json:
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
