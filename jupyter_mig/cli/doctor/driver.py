"""The NVIDIA driver and the GPUs behind it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from jupyter_mig.broker.hardware import inventory
from jupyter_mig.broker.hardware.hints import Hints
from jupyter_mig.broker.hardware.inventory import Choice, Inventories, Inventory
from jupyter_mig.broker.system.configuration import MIGBroker
from jupyter_mig.cli.doctor.finding import Finding, note, ok, problem
from jupyter_mig.cli.hardware import opened
from jupyter_mig.cli.measures import counted
from jupyter_mig.client import Settings
from jupyter_mig.core.geometry import Gpu
from jupyter_mig.errors import BadRequest, DriverError, JupyterMigError
from jupyter_mig.nvml.examination import Examined, GpuExamined, Mig, examine
from jupyter_mig.nvml.translation import (
    GAIN_PERMISSION,
    INSTALL_DRIVER,
    MEANINGS,
    TURN_MIG_ON,
)

_HOWTO = "When a kernel does not start"
_SETTING = "Environment variables"
_BOUNDARY = "A convention, or a boundary"


class DriverFacts(msgspec.Struct, frozen=True):
    """What NVML told, or the error it ended with; and whence each GPU's slices come. ``listed`` are
    the GPUs of the node's broker; None where each user has a broker of his own. ``turned_on`` are
    those on which it turns MIG mode on when it starts.
    """

    name: str
    examined: Examined | None = None
    error: JupyterMigError | None = None
    inventories: Inventories = Inventories()
    listed: tuple[str, ...] | None = None
    turned_on: tuple[str, ...] = ()


def look(settings: Settings, place: Path) -> DriverFacts:
    """Open NVML, examine it, close it; for a broker of this user's."""
    try:
        inventories = inventory.parse(settings.inventory, Hints.read(settings.visible_devices))
        inventories.require_named(simulated=settings.simulated)
        with opened(settings, place):
            return DriverFacts(settings.driver, examine(), inventories=inventories)
    except (DriverError, BadRequest) as error:
        return DriverFacts(settings.driver, error=error)


def look_for_node(settings: Settings, own: MIGBroker) -> DriverFacts:
    """The same for the node's broker, which has its inventories from its configuration."""
    try:
        with opened(settings, Path(own.state_directory)):
            return DriverFacts(
                settings.driver,
                examine(),
                inventories=own.inventories,
                listed=own.listed,
                turned_on=tuple(own.gpus) if own.enable_mig_mode else (),
            )
    except DriverError as error:
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
    ways = {gpu.index: _way(gpu, facts) for gpu in examined.gpus}
    for gpu in examined.gpus:
        if facts.listed is not None and gpu.uuid not in facts.listed and not gpu.trouble:
            yield ok(f"GPU {gpu.index}", f"{gpu.name}: not one of the broker's")
        else:
            yield _gpu(gpu, ways[gpu.index], _to_turn_on(gpu, ways[gpu.index], facts))
    if facts.listed is not None:  # its helper may do all of that; users need not
        return
    yield from _making([gpu for gpu in examined.gpus if _is_cut(gpu, ways[gpu.index])])
    yield from _monitoring(examined.gpus)


def _unusable(facts: DriverFacts) -> Finding:
    error = facts.error or JupyterMigError("No driver.")
    if isinstance(error, BadRequest):
        return problem(
            "driver", error.message, error.next_step,
            "Environment variables",
        )  # fmt: skip
    seen = f"{error.message} ({error.situation.rstrip('.')})" if error.situation else error.message
    return problem("driver", seen, _sentences(error.next_step or INSTALL_DRIVER), _HOWTO)


def _way(gpu: GpuExamined, facts: DriverFacts) -> Choice:
    """How the broker would use it."""
    on = gpu.mig in (Mig.ON, Mig.TURNING_OFF)
    plain = Gpu(gpu.uuid, gpu.index, gpu.name, gpu.minor, memory_bytes=0, mig_enabled=on)
    simulated = facts.examined is not None and facts.examined.simulated
    return facts.inventories.of(plain, simulated=simulated)


def _is_cut(gpu: GpuExamined, way: Choice) -> bool:
    """Whether instances are made on it as they are wanted."""
    return way.inventory is Inventory.DYNAMIC and gpu.configures is not None


def _to_turn_on(gpu: GpuExamined, way: Choice, facts: DriverFacts) -> str:
    """What to do if its MIG mode is off. A node's broker may turn it on, where it cuts the GPU."""
    by_hand = _advice(gpu, TURN_MIG_ON)
    if facts.listed is None or way.inventory is not Inventory.DYNAMIC:
        return by_hand
    if gpu.uuid in facts.turned_on:
        return (
            "MIGBroker.enable_mig_mode is set, and the broker did not turn it on when it started."
            f" Its log says why: journalctl -u jupyter-mig\n{by_hand}"
        )
    return (
        "On GPUs of the Hopper generation and newer, which lose it at each boot, the broker turns"
        f" it on when it starts if MIGBroker.enable_mig_mode is true.\n{by_hand}"
    )


def _gpu(gpu: GpuExamined, way: Choice, to_turn_on: str) -> Finding:
    about = f"GPU {gpu.index}"
    if gpu.trouble:
        return problem(about, gpu.trouble, _advice(gpu, _remedy(gpu.code)), _HOWTO)
    if way.inventory is Inventory.FULL:
        return _whole(gpu, way)
    match gpu.mig:
        case Mig.NONE:
            seen = f"{gpu.name}: has no MIG, and {way.why}"
            return note(about, seen, "JUPYTER_MIG_INVENTORY=full hands it out whole.", _SETTING)
        case Mig.OFF:
            seen = f"{gpu.name}: MIG mode is off"
            return problem(about, seen, to_turn_on, _HOWTO)
        case Mig.TURNING_ON | Mig.TURNING_OFF:
            return problem(
                about,
                f"{gpu.name}: MIG mode is {gpu.mig.value}, which waits for a reset of the GPU",
                f"End all work on the GPU and its monitors (nvidia-smi, DCGM, persistenced), then\n"
                f"sudo nvidia-smi -i {gpu.index} --gpu-reset",
                _HOWTO,
            )
        case Mig.ON:
            return _cut(gpu, way)


def _whole(gpu: GpuExamined, way: Choice) -> Finding:
    about, seen = f"GPU {gpu.index}", f"{gpu.name}: handed out whole, as {way.why}"
    if gpu.mig in (Mig.NONE, Mig.OFF):
        return ok(about, seen)
    fix = "Name another inventory for it, or have MIG mode switched off."
    return problem(about, f"{seen}, and MIG mode is {gpu.mig.value}", fix, _SETTING)


def _cut(gpu: GpuExamined, way: Choice) -> Finding:
    about = f"GPU {gpu.index}"
    count = counted(len(gpu.instances), "instance") if gpu.instances else "no instances"
    if way.inventory is Inventory.DYNAMIC or gpu.instances:
        return ok(about, f"{gpu.name}: MIG mode is on, {count}, {way.inventory.value}")
    return problem(
        about,
        f"{gpu.name}: MIG mode is on, there are no slices, and those that exist are handed out",
        f"An administrator makes some: sudo nvidia-smi mig -i {gpu.index} -cgi PROFILE -C\n"
        f"Or they are made as they are wanted: JUPYTER_MIG_INVENTORY=dynamic:{gpu.index}",
        _HOWTO,
    )


def _remedy(code: int) -> str:
    known = MEANINGS.get(code)
    return (known and known.next_step) or "Look for NVRM and Xid lines in the kernel log (dmesg)."


def _advice(gpu: GpuExamined, text: str) -> str:
    told = text.replace(", with INDEX as nvidia-smi -L shows it", "")
    return _sentences(told.replace("INDEX", str(gpu.index)))


def _sentences(text: str) -> str:
    """Lines that end with a sentence: the page breaks them where its own width is."""
    return ".\n".join(part.replace("\n", " ") for part in text.split(".\n"))


def _making(cut: Sequence[GpuExamined]) -> Iterator[Finding]:
    """Whether this user may do what the inventory means to do."""
    barred = [gpu for gpu in cut if not gpu.configures]
    if barred:
        names = ", ".join(str(gpu.index) for gpu in barred)
        yield problem(
            "making slices",
            f"this user may not make instances on GPU {names}, whose inventory is dynamic",
            f"{_sentences(GAIN_PERMISSION)}\n"
            "With JUPYTER_MIG_INVENTORY=static those are handed out.",
            _HOWTO,
        )
    elif cut:
        yield ok("making slices", "this user may make and destroy instances")


def _monitoring(gpus: Sequence[GpuExamined]) -> Iterator[Finding]:
    asked = [gpu.monitors for gpu in gpus if gpu.monitors is not None]
    if asked and all(asked):
        yield ok("monitoring", "this user may see memory and processes of the whole GPU")
    elif asked:
        yield note(
            "monitoring",
            "this user sees memory and processes of single slices only",
            "To see all: root, or the node /dev/nvidia-caps/nvidia-cap2 (mig/monitor).",
            _BOUNDARY,
        )
