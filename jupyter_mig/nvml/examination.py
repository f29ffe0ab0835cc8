"""What is the matter with a node: each GPU in turn, whatever the others answer.

The driver leaves out GPUs that cannot be used; who looks for faults wants just those.
"""

from __future__ import annotations

from enum import Enum

import msgspec

from jupyter_mig import errors
from jupyter_mig.core.geometry import Instance
from jupyter_mig.nvml import discovery, observation, raw
from jupyter_mig.nvml.facts import Device


class Mig(str, Enum):
    """MIG on one GPU. The two in the middle wait for a reset of the GPU, or for its clients."""

    NONE = "none"
    OFF = "off"
    TURNING_ON = "turning on"
    TURNING_OFF = "turning off"
    ON = "on"


class GpuExamined(msgspec.Struct, frozen=True):
    """One GPU. ``code`` is NVML's where the GPU does not answer, with ``trouble`` in words.

    ``configures``: whether this process may make and destroy instances on it; ``monitors``: whether
    it may see the memory and processes of all. Both are None where MIG is off. ``instances`` are
    those that may be seen, ``pids`` those of all processes on the GPU.
    """

    index: int
    name: str = ""
    uuid: str = ""
    minor: int = 0
    mig: Mig = Mig.NONE
    configures: bool | None = None
    monitors: bool | None = None
    instances: tuple[Instance, ...] = ()
    pids: tuple[int, ...] = ()
    code: int = 0
    trouble: str = ""


class Examined(msgspec.Struct, frozen=True):
    """A driver that answers, with the version of it that is loaded."""

    version: str
    simulated: bool
    gpus: tuple[GpuExamined, ...]


def examine() -> Examined:
    """Look at everything. Needs an open driver; raises its error if it answers nothing at all."""
    count = raw.device_count()
    return Examined(
        version=raw.driver_version(),
        simulated=raw.is_simulated(),
        gpus=tuple(_gpu(index) for index in range(count)),
    )


def _gpu(index: int) -> GpuExamined:
    try:
        return _answering(index, raw.device_by_index(index))
    except errors.DriverError as error:
        return GpuExamined(index, code=error.code, trouble=error.message)


def _answering(index: int, device: Device) -> GpuExamined:
    mig = _mig(device)
    found = GpuExamined(
        index,
        name=raw.device_name(device),
        uuid=raw.device_uuid(device),
        minor=raw.device_minor(device),
        mig=mig,
        pids=_pids(device),
    )
    if mig not in (Mig.ON, Mig.TURNING_OFF):
        return found
    return msgspec.structs.replace(
        found,
        configures=_configures(device),
        monitors=_monitors(device),
        instances=observation.instances(device, discovery.geometry(device)),
    )


def _mig(device: Device) -> Mig:
    try:
        now, later = raw.mig_mode(device)
    except errors.NotSupported:
        return Mig.NONE
    return {
        (False, False): Mig.OFF,
        (False, True): Mig.TURNING_ON,
        (True, False): Mig.TURNING_OFF,
        (True, True): Mig.ON,
    }[now, later]


def _configures(device: Device) -> bool:
    """Listing instances needs what making them needs, and changes nothing."""
    try:
        for profile in raw.profiles(device)[:1]:
            raw.gpu_instances(device, profile.profile_id, profile.max_count)
    except errors.NoPermission:
        return False
    return True


def _monitors(device: Device) -> bool:
    """A GPU in MIG mode tells its memory in all only to those who may monitor it."""
    try:
        raw.memory(device)
    except errors.NoPermission:
        return False
    except errors.NotSupported:  # it shares the host's memory and has none of its own
        return True
    return True


def _pids(device: Device) -> tuple[int, ...]:
    try:
        return tuple(sorted({process.pid for process in raw.processes(device)}))
    except (errors.NoPermission, errors.NotSupported):
        return ()
