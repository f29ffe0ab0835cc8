"""The NVIDIA driver and the GPUs behind it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from jupyter_mig.cli.doctor.finding import Finding, note, ok, problem
from jupyter_mig.cli.hardware import opened
from jupyter_mig.cli.measures import counted
from jupyter_mig.client import Settings
from jupyter_mig.errors import DriverError, JupyterMigError, UnknownDriver
from jupyter_mig.nvml.examination import Examined, GpuExamined, Mig, examine
from jupyter_mig.nvml.translation import (
    GAIN_PERMISSION,
    INSTALL_DRIVER,
    MEANINGS,
    TURN_MIG_ON,
)

_HOWTO = "docs/howto/troubleshoot.md"
_BOUNDARY = "docs/explanation/boundary.md"


class DriverFacts(msgspec.Struct, frozen=True):
    """What NVML told, or the error it ended with."""

    name: str
    examined: Examined | None = None
    error: JupyterMigError | None = None


def look(settings: Settings, place: Path) -> DriverFacts:
    """Open NVML, examine it, close it."""
    try:
        with opened(settings, place):
            return DriverFacts(settings.driver, examine())
    except (DriverError, UnknownDriver) as error:
        return DriverFacts(settings.driver, error=error)


def check(facts: DriverFacts) -> Iterator[Finding]:
    """The driver, then each GPU, then what this user may do with them."""
    if facts.examined is None:
        yield _unusable(facts)
        return
    examined = facts.examined
    kind = ", simulated" if examined.simulated else ""
    if not examined.gpus:
        yield problem(
            "driver", f"{examined.version}{kind}, and no GPU", _sentences(INSTALL_DRIVER), _HOWTO
        )
        return
    count = counted(len(examined.gpus), "GPU")
    yield ok("driver", f"{examined.version}{kind}, library and kernel module match, {count}")
    for gpu in examined.gpus:
        yield _gpu(gpu)
    yield from _permissions(examined.gpus)


def _unusable(facts: DriverFacts) -> Finding:
    error = facts.error or JupyterMigError("No driver.")
    if isinstance(error, UnknownDriver):
        return problem(
            "driver", error.message, error.next_step,
            "docs/reference/environment.md",
        )  # fmt: skip
    seen = f"{error.message} ({error.situation.rstrip('.')})" if error.situation else error.message
    return problem("driver", seen, _sentences(error.next_step or INSTALL_DRIVER), _HOWTO)


def _gpu(gpu: GpuExamined) -> Finding:
    about = f"GPU {gpu.index}"
    if gpu.trouble:
        return problem(about, gpu.trouble, _advice(gpu, MEANINGS[gpu.code].next_step), _HOWTO)
    match gpu.mig:
        case Mig.NONE:
            return note(about, f"{gpu.name}: has no MIG", "It can only be used whole.", _HOWTO)
        case Mig.OFF:
            seen = f"{gpu.name}: MIG mode is off"
            return problem(about, seen, _advice(gpu, TURN_MIG_ON), _HOWTO)
        case Mig.TURNING_ON | Mig.TURNING_OFF:
            return problem(
                about,
                f"{gpu.name}: MIG mode is {gpu.mig.value}, which waits for a reset of the GPU",
                f"End all work on the GPU and its monitors (nvidia-smi, DCGM, persistenced), then\n"
                f"sudo nvidia-smi -i {gpu.index} --gpu-reset",
                _HOWTO,
            )
        case Mig.ON:
            return ok(about, f"{gpu.name}: MIG mode is on, {_count(gpu)}")


def _advice(gpu: GpuExamined, text: str) -> str:
    told = text.replace(", with INDEX as nvidia-smi -L shows it", "")
    return _sentences(told.replace("INDEX", str(gpu.index)))


def _sentences(text: str) -> str:
    """Lines that end with a sentence: the page breaks them where its own width is."""
    return ".\n".join(part.replace("\n", " ") for part in text.split(".\n"))


def _count(gpu: GpuExamined) -> str:
    return counted(len(gpu.instances), "instance") if gpu.instances else "no instances"


def _permissions(gpus: tuple[GpuExamined, ...]) -> Iterator[Finding]:
    """Who may make instances, who may watch them; empty where MIG is off."""
    asked = [gpu for gpu in gpus if gpu.configures is not None]
    if not asked:
        return
    if all(gpu.configures for gpu in asked):
        yield ok("making slices", "this user may make and destroy instances")
    elif any(gpu.instances for gpu in asked):
        yield note(
            "making slices",
            "this user may not make instances; those that exist are handed out",
            _sentences(GAIN_PERMISSION),
            _BOUNDARY,
        )
    else:
        yield problem(
            "making slices",
            "this user may not make instances, and none exists",
            f"{_sentences(GAIN_PERMISSION)}\nOr have an administrator make some: "
            "sudo nvidia-smi mig -i INDEX -cgi PROFILE -C",
            _HOWTO,
        )
    if all(gpu.monitors for gpu in asked):
        yield ok("monitoring", "this user may see memory and processes of the whole GPU")
    else:
        yield note(
            "monitoring",
            "this user sees memory and processes of single slices only",
            "To see all: root, or the node /dev/nvidia-caps/nvidia-cap2 (mig/monitor).",
            _BOUNDARY,
        )
