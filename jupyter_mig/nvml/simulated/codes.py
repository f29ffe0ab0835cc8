"""NVML's return codes, the library's own texts for them, and the exception that carries one.

The texts are those printed by ``nvmlErrorString`` of libnvidia-ml 535; pynvml's built-in
fallbacks differ for 16, 17 and 18. Those of 5, 8, 10, 11, 14, 17, 20, 21, 22, 24, 26 and 28
are taken from pynvml or the header's names, unseen in a library.
"""

from __future__ import annotations

from enum import IntEnum


class Code(IntEnum):
    """``nvmlReturn_t``, as far as the simulator or a fault script uses it."""

    SUCCESS = 0
    UNINITIALIZED = 1
    INVALID_ARGUMENT = 2
    NOT_SUPPORTED = 3
    NO_PERMISSION = 4
    NOT_FOUND = 6
    INSUFFICIENT_SIZE = 7
    DRIVER_NOT_LOADED = 9
    TIMEOUT = 10
    FUNCTION_NOT_FOUND = 13
    GPU_IS_LOST = 15
    RESET_REQUIRED = 16
    LIB_RM_VERSION_MISMATCH = 18
    IN_USE = 19
    INSUFFICIENT_RESOURCES = 23
    ARGUMENT_VERSION_MISMATCH = 25
    NOT_READY = 27
    UNKNOWN = 999


TEXTS = {
    0: "Success",
    1: "Uninitialized",
    2: "Invalid Argument",
    3: "Not Supported",
    4: "Insufficient Permissions",
    5: "Already Initialized",
    6: "Not Found",
    7: "Insufficient Size",
    8: "Insufficient External Power",
    9: "Driver Not Loaded",
    10: "Timeout",
    11: "Interrupt Request Issue",
    12: "NVML Shared Library Not Found",
    13: "Function Not Found",
    14: "Corrupted infoROM",
    15: "GPU is lost",
    16: "GPU requires reset",
    17: "GPU access blocked by the operating system",
    18: "Driver/library version mismatch",
    19: "In use by another client",
    20: "Insufficient Memory",
    21: "No data",
    22: "The requested vgpu operation is not available on target device, because ECC is enabled",
    23: "Insufficient Resources",
    24: "Requested frequency is not supported",
    25: "Argument version mismatch",
    26: "Deprecated",
    27: "System is not in ready state",
    28: "No GPUs were found",
    999: "Unknown Error",
}


class Returned(Exception):
    """A simulated function ends with this code, which is not success."""

    def __init__(self, code: int) -> None:
        self.code = int(code)
        super().__init__(f"{self.code} {TEXTS.get(self.code, 'Unknown Error')}")
