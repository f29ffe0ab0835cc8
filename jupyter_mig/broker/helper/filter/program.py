"""The filter's program, for the kernel's own machine (Documentation/bpf/standardization).

In words: another device than a slice's, or a slice's of a GPU that is not ours: yes. A node that is
made, not opened: yes, for the helper is in a cgroup, too. Else, for each cgroup from the outermost
inwards that the process is in: if the map has the pair of that cgroup and the device, yes. Else no.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

FIRST_MINOR, MINORS_PER_GPU, MOST_GPUS = 3, 135, 32
"""How the driver numbers the nodes of instances (``/proc/driver/nvidia-caps/mig-minors``)."""

_ANCESTOR, _LOOKUP = 123, 1
"""Helpers of the kernel: bpf_get_current_ancestor_cgroup_id, bpf_map_lookup_elem."""

_ACCESS_AT, _MAJOR_AT, _MINOR_AT = 0, 4, 8
"""In ``struct bpf_cgroup_dev_ctx``."""

_MAKING = 1
"""BPF_DEVCG_ACC_MKNOD, in the upper half of the access type."""

_RESULT, _FIRST, _SECOND, _CONTEXT, _MINOR, _GPU, _STACK = 0, 1, 2, 6, 7, 8, 10
"""Registers: results and arguments, three that calls leave alone, and the end of the stack."""

_YES, _NO = "yes", "no"
_JUMPS = {"==": 0x15, "!=": 0x55, "<": 0xA5, ">=": 0x35}


def key(cgroup: int, minor: int) -> bytes:
    """A cgroup's id and the minor number of a device, as the program looks them up."""
    return struct.pack("=QII", cgroup, minor, 0)


def minor_in(pair: bytes) -> int:
    """The device of a key."""
    return int(struct.unpack("=QII", pair)[1])


KEY_BYTES = len(key(0, 0))


def assemble(map_: int, major: int, gpu_minors: Iterable[int], levels: range) -> bytes:
    """The program for slices' devices of that major number on those GPUs. ``levels`` are how deep
    the cgroups may be that are looked up, the root being 0.
    """
    code = _Code()
    code.move(_CONTEXT, _FIRST)
    code.load(_SECOND, _CONTEXT, _ACCESS_AT)
    code.compute(0x77, _SECOND, 16)
    code.jump("==", _SECOND, _MAKING, _YES)
    code.load(_SECOND, _CONTEXT, _MAJOR_AT)
    code.jump("!=", _SECOND, major, _YES)
    code.load(_MINOR, _CONTEXT, _MINOR_AT)
    code.jump("<", _MINOR, FIRST_MINOR, _YES)
    code.jump(">=", _MINOR, FIRST_MINOR + MINORS_PER_GPU * MOST_GPUS, _YES)
    code.move(_GPU, _MINOR)
    code.compute(0x07, _GPU, -FIRST_MINOR)
    code.compute(0x37, _GPU, MINORS_PER_GPU)
    for gpu in gpu_minors:
        code.jump("==", _GPU, gpu, "ours")
    code.leave(_YES)
    code.label("ours")
    code.store_word(-8, _MINOR)
    code.store_zero(-4)
    for level in levels:
        code.set(_FIRST, level)
        code.call(_ANCESTOR)
        code.jump("==", _RESULT, 0, _NO)
        code.store_long(-16, _RESULT)
        code.set_map(_FIRST, map_)
        code.move(_SECOND, _STACK)
        code.compute(0x07, _SECOND, -16)
        code.call(_LOOKUP)
        code.jump("!=", _RESULT, 0, _YES)
    return code.finished()


class _Code:
    """Instructions, with jumps to labels that are not known yet."""

    def __init__(self) -> None:
        self._code: list[bytes] = []
        self._labels: dict[str, int] = {}
        self._jumps: list[tuple[int, str]] = []

    def _put(self, code: int, to: int, source: int = 0, offset: int = 0, value: int = 0) -> None:
        self._code.append(struct.pack("=BBhi", code, source << 4 | to, offset, value))

    def move(self, to: int, source: int) -> None:
        self._put(0xBF, to, source)

    def set(self, to: int, value: int) -> None:
        self._put(0xB7, to, value=value)

    def compute(self, operation: int, to: int, value: int) -> None:
        self._put(operation, to, value=value)

    def load(self, to: int, source: int, offset: int) -> None:
        self._put(0x61, to, source, offset)

    def store_word(self, offset: int, source: int) -> None:
        self._put(0x63, _STACK, source, offset)

    def store_long(self, offset: int, source: int) -> None:
        self._put(0x7B, _STACK, source, offset)

    def store_zero(self, offset: int) -> None:
        self._put(0x62, _STACK, offset=offset)

    def set_map(self, to: int, map_: int) -> None:
        self._put(0x18, to, 1, value=map_)
        self._put(0, 0)

    def call(self, helper: int) -> None:
        self._put(0x85, 0, value=helper)

    def jump(self, test: str, register: int, value: int, label: str) -> None:
        self._jumps.append((len(self._code), label))
        self._put(_JUMPS[test], register, value=value)

    def leave(self, label: str) -> None:
        self._jumps.append((len(self._code), label))
        self._put(0x05, 0)

    def label(self, name: str) -> None:
        self._labels[name] = len(self._code)

    def finished(self) -> bytes:
        """With both answers at the end, and all jumps going where they should."""
        for answer, label in enumerate((_NO, _YES)):
            self.label(label)
            self.set(_RESULT, answer)
            self._put(0x95, 0)
        for place, label in self._jumps:
            head, _, value = struct.unpack("=hhi", self._code[place])
            self._code[place] = struct.pack("=hhi", head, self._labels[label] - place - 1, value)
        return b"".join(self._code)
