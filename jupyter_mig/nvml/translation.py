"""What NVML's return codes mean here: which of our errors, in which words, and what to do next.

The texts are those of libnvidia-ml itself; pynvml's own differ for 16, 17 and 18.
"""

from __future__ import annotations

import msgspec

from jupyter_mig import errors

FUNCTION_NOT_FOUND = 13


class Meaning(msgspec.Struct, frozen=True):
    """One return code: NVML's text for it, our class, and advice."""

    text: str
    error: type[errors.DriverError] = errors.DriverError
    next_step: str = ""


INSTALL_DRIVER = (
    "Check that nvidia-smi works here; install or load the NVIDIA driver if it does not.\n"
    "To try everything without a GPU, start with JUPYTER_MIG_DRIVER=simulated:2xA100-SXM4-40GB"
)
LOAD_DRIVER = (
    "Check that nvidia-smi works here. The library is there, its kernel module is not: load it\n"
    "(sudo modprobe nvidia), or have the container or job started with the GPUs.\n"
    "To try everything without a GPU, start with JUPYTER_MIG_DRIVER=simulated:2xA100-SXM4-40GB"
)
GAIN_PERMISSION = (
    "Run the broker as root, or let its user read the mig/config capability:\n"
    "the node /dev/nvidia-caps/nvidia-cap1 (in a container: NVIDIA_MIG_CONFIG_DEVICES=all).\n"
    "Without it only slices that an administrator made can be handed out."
)
TURN_MIG_ON = (
    "Turn MIG mode on, with INDEX as nvidia-smi -L shows it: sudo nvidia-smi -i INDEX -mig 1\n"
    "(A30 and A100 then need a GPU reset with no process on the GPU.) Older GPUs have no MIG."
)
RESET_GPU = (
    "Look for Xid lines in the kernel log (dmesg). Stop all work on the GPU, then reset it\n"
    "(sudo nvidia-smi -i INDEX --gpu-reset) or reboot; its MIG instances do not survive that."
)
FIND_CLIENTS = (
    "Find its processes with nvidia-smi. If none is listed, a monitor may hold the instance open\n"
    "(DCGM, an exporter): restart that, then try again."
)
CHOOSE_ANOTHER_PLACE = (
    "Look at what is there (nvidia-smi mig -lgi) and choose a free place or a smaller size."
)
REBOOT_AFTER_UPGRADE = (
    "The driver was upgraded under running processes: reload the nvidia kernel modules or reboot,\n"
    "then start the broker again."
)
LOOK_AGAIN = "It may have been destroyed, or the GPU was reset: look again (nvidia-smi -L)."
UPGRADE_DRIVER = "Install a newer NVIDIA driver."
GRANT_DEVICE = "This container or batch job was not given the device node of the GPU: ask for it."

MEANINGS = {
    1: Meaning("Uninitialized", errors.NoDriver, INSTALL_DRIVER),
    2: Meaning("Invalid Argument", errors.InvalidArgument, LOOK_AGAIN),
    3: Meaning("Not Supported", errors.NotSupported, TURN_MIG_ON),
    4: Meaning("Insufficient Permissions", errors.NoPermission, GAIN_PERMISSION),
    6: Meaning("Not Found", errors.NotFound, LOOK_AGAIN),
    7: Meaning("Insufficient Size"),
    9: Meaning("Driver Not Loaded", errors.NoDriver, LOAD_DRIVER),
    10: Meaning("Timeout"),
    12: Meaning("NVML Shared Library Not Found", errors.NoDriver, INSTALL_DRIVER),
    FUNCTION_NOT_FOUND: Meaning("Function Not Found", errors.DriverError, UPGRADE_DRIVER),
    15: Meaning("GPU is lost", errors.GpuLost, RESET_GPU),
    16: Meaning("GPU requires reset", errors.GpuLost, RESET_GPU),
    17: Meaning("The operating system has blocked the request", errors.NoPermission, GRANT_DEVICE),
    18: Meaning("Driver/library version mismatch", errors.NoDriver, REBOOT_AFTER_UPGRADE),
    19: Meaning("In use by another client", errors.InUse, FIND_CLIENTS),
    20: Meaning("Insufficient Memory"),
    23: Meaning("Insufficient Resources", errors.InsufficientResources, CHOOSE_ANOTHER_PLACE),
    25: Meaning("Argument version mismatch", errors.DriverError, UPGRADE_DRIVER),
    27: Meaning("System is not in ready state"),
    28: Meaning("GPU not found", errors.NotFound, LOOK_AGAIN),
    999: Meaning("Unknown Error"),
}


def error_for(code: int, call: str) -> errors.DriverError:
    """The error to raise when ``call`` returned ``code``."""
    meaning = MEANINGS.get(code, Meaning(f"Error {code}"))
    return meaning.error(
        f"NVML says: {meaning.text}",
        situation=f"{call} returned {code}.",
        next_step=meaning.next_step,
        code=code,
        call=call,
    )
