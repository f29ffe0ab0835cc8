"""When an acceptance run is refused: it needs a GPU on which nobody is, and nobody's broker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from jupyter_mig import errors
from jupyter_mig.client import Settings
from jupyter_mig.nvml.examination import Examined, GpuExamined, Mig
from jupyter_mig.nvml.translation import GAIN_PERMISSION, TURN_MIG_ON, error_for

_MODULE = "jupyter_mig.broker"


class RunningBroker(msgspec.Struct, frozen=True):
    """A broker's process, by its command line."""

    pid: int
    driver: str
    place: Path


def require_idle(examined: Examined, index: int) -> GpuExamined:
    """The GPU, if it is there, in MIG mode, ours to cut, and nothing is on it."""
    gpu = next((gpu for gpu in examined.gpus if gpu.index == index), None)
    if gpu is None:
        raise errors.BadRequest(
            f"There is no GPU {index}.",
            situation=f"There are: {', '.join(str(gpu.index) for gpu in examined.gpus) or 'none'}.",
        )
    if gpu.trouble:
        raise error_for(gpu.code, f"GPU {index}")
    if gpu.mig is not Mig.ON:
        raise errors.NotSupported(
            f"GPU {index} is not in MIG mode: it is {gpu.mig.value}.", next_step=TURN_MIG_ON
        )
    if not gpu.configures:
        raise errors.NoPermission("This user may not make instances.", next_step=GAIN_PERMISSION)
    if gpu.instances or gpu.pids:
        raise errors.Refused(
            f"GPU {index} is not idle, and is left alone.",
            situation=_on_it(gpu),
            next_step="Choose an idle one, or have its users leave it and destroy its instances.",
        )
    return gpu


def require_no_broker(settings: Settings, place: Path, proc: Path = Path("/proc")) -> None:
    """Nobody's broker may manage the GPU meanwhile: it would hand our instances out."""
    others = [one for one in brokers(proc) if _shares(one, settings, place)]
    if others:
        pids = ", ".join(str(one.pid) for one in others)
        raise errors.Refused(
            "A broker manages the GPUs of this node.",
            situation=f"Its process: {pids}. It would hand out what is made here.",
            next_step="End it when its kernels have ended; it leaves by itself a minute later.",
        )


def brokers(proc: Path = Path("/proc")) -> Iterator[RunningBroker]:
    """The brokers of all users, as far as their command lines can be read."""
    for entry in proc.iterdir():
        words = _words(entry / "cmdline") if entry.name.isdigit() else []
        if _MODULE in words and "--driver" in words and "--place" in words:
            yield RunningBroker(
                int(entry.name), _after(words, "--driver"), Path(_after(words, "--place"))
            )


def _shares(broker: RunningBroker, settings: Settings, place: Path) -> bool:
    """Whether it has the same hardware: each place has a simulated node of its own."""
    return broker.driver == settings.driver and (not settings.simulated or broker.place == place)


def _on_it(gpu: GpuExamined) -> str:
    instances = ", ".join(one.profile_name for one in gpu.instances) or "none"
    pids = ", ".join(map(str, gpu.pids)) or "none"
    return f"Instances: {instances}. Processes: {pids}."


def _after(words: list[str], option: str) -> str:
    return next(iter(words[words.index(option) + 1 :]), "")


def _words(cmdline: Path) -> list[str]:
    try:
        return cmdline.read_text(encoding="utf-8", errors="replace").split("\0")
    except OSError:  # it ended, or is none of our business
        return []
