"""Turning MIG mode on.

On Hopper and newer it takes no reset, and is lost at each boot; on A30 and A100 the driver resets
the GPU for it, and it lasts (MIG User Guide, "Enable MIG Mode"). We reset nothing.
"""

from __future__ import annotations

from jupyter_mig import errors
from jupyter_mig.nvml import observation, raw
from jupyter_mig.nvml.facts import Device

_CALL = "nvmlDeviceSetMigMode"
_RESET_REQUIRED = 16


def turn_on(device: Device) -> bool:
    """Have MIG mode on; whether it was off. Raises NotSupported where there is none, InUse if
    somebody computes on the GPU, DriverError if it takes a reset.
    """
    on, _ = raw.mig_mode(device)
    if on:
        return False
    if not raw.turns_without_reset(device):
        raise _takes_reset(device)
    computing = observation.computing(device)
    if computing:
        raise errors.InUse(
            "Somebody computes on the GPU, so MIG mode stays off",
            situation=f"Processes: {', '.join(map(str, computing))}.",
            next_step="End them, then restart the broker.",
            code=19,
            call=_CALL,
        )
    raw.turn_mig_on(device)
    return True


def _takes_reset(device: Device) -> errors.DriverError:
    _, pending = raw.mig_mode(device)
    then = "sudo nvidia-smi -i INDEX " + ("--gpu-reset" if pending else "-mig 1")
    state = "waits for a reset of the GPU" if pending else "is off, and takes a reset of the GPU"
    return errors.DriverError(
        f"MIG mode {state}",
        situation="The broker resets none. On this GPU MIG mode outlasts a reboot.",
        next_step=f"End all work on it and its monitors (DCGM, persistenced), once; then {then}",
        code=_RESET_REQUIRED,
        call=_CALL,
    )
