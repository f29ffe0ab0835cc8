"""bpf(2), as far as it is needed here. Each call raises OSError with what the kernel says."""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from collections.abc import Iterator

_CALL = {"x86_64": 321, "aarch64": 280, "ppc64le": 361}
"""Its number among the system calls (asm/unistd.h) on machines that have NVIDIA's GPUs."""

_ATTRIBUTE_BYTES = 144
_HASH, _CGROUP_DEVICE, _ATTACH_DEVICE, _ALLOW_MULTI = 1, 15, 6, 2
_NAME_BYTES = 16
_MOST_ATTACHED = 64
_LICENSE = ctypes.create_string_buffer(b"GPL")
_INFO_BYTES, _MAPS_AT, _NAME_AT = 256, 52, 64
"""In ``struct bpf_prog_info`` (linux/bpf.h)."""

_libc = ctypes.CDLL(None, use_errno=True)


def create_map(key_bytes: int, most: int) -> int:
    """A hash of keys, with a byte to each; a descriptor."""
    return _bpf(0, struct.pack("=5I", _HASH, key_bytes, 1, most, 0))


def add(map_: int, key: bytes) -> None:
    """Have a key in it."""
    held, one = ctypes.create_string_buffer(key, len(key)), ctypes.create_string_buffer(1)
    _bpf(2, struct.pack("=2I3Q", map_, 0, ctypes.addressof(held), ctypes.addressof(one), 0))


def remove(map_: int, key: bytes) -> None:
    """Have it there no more."""
    held = ctypes.create_string_buffer(key, len(key))
    _bpf(3, struct.pack("=2IQ", map_, 0, ctypes.addressof(held)))


def keys(map_: int, key_bytes: int) -> list[bytes]:
    """All keys in it."""
    found: list[bytes] = []
    following = ctypes.create_string_buffer(key_bytes)
    last = 0
    while True:
        try:
            _bpf(4, struct.pack("=2I2Q", map_, 0, last, ctypes.addressof(following)))
        except FileNotFoundError:  # there is none after the last
            return found
        found.append(following.raw)
        held = ctypes.create_string_buffer(following.raw, key_bytes)
        last = ctypes.addressof(held)


def load(instructions: bytes, name: str) -> int:
    """A program, which the kernel has found sound; a descriptor."""
    code = ctypes.create_string_buffer(instructions, len(instructions))
    count = len(instructions) // 8
    addresses = (ctypes.addressof(code), ctypes.addressof(_LICENSE))
    head = struct.pack("=2I2Q2IQ2I", _CGROUP_DEVICE, count, *addresses, 0, 0, 0, 0, 0)
    return _bpf(5, head + name.encode().ljust(_NAME_BYTES, b"\0"))


def attach(cgroup: int, program: int) -> None:
    """Have the program asked below that cgroup, beside others: all must agree."""
    _bpf(8, struct.pack("=4I", cgroup, program, _ATTACH_DEVICE, _ALLOW_MULTI))


def detach(cgroup: int, program: int) -> None:
    """Have it asked there no more."""
    _bpf(9, struct.pack("=4I", cgroup, program, _ATTACH_DEVICE, 0))


def attached(cgroup: int, name: str) -> Iterator[int]:
    """Descriptors of the programs of that name that are attached there, for the caller to close."""
    ids = (ctypes.c_uint32 * _MOST_ATTACHED)()
    query = struct.pack("=4IQI", cgroup, _ATTACH_DEVICE, 0, 0, ctypes.addressof(ids), len(ids))
    count = struct.unpack_from("=I", _answer(16, query), 24)[0]
    for number in ids[:count]:
        program = _bpf(13, struct.pack("=I", number))
        if _info(program, 0)[_NAME_AT:].split(b"\0")[0] == name.encode():
            yield program
        else:
            os.close(program)


def map_of(program: int) -> int:
    """A descriptor of the one map that a program uses."""
    number = ctypes.c_uint32()
    _info(program, ctypes.addressof(number))
    return _bpf(14, struct.pack("=I", number.value))


def _info(program: int, maps: int) -> bytes:
    info = ctypes.create_string_buffer(_INFO_BYTES)
    if maps:
        struct.pack_into("=IQ", info, _MAPS_AT, 1, maps)
    _bpf(15, struct.pack("=2IQ", program, _INFO_BYTES, ctypes.addressof(info)))
    return info.raw


def _bpf(command: int, attribute: bytes) -> int:
    result, _ = _asked(command, attribute)
    return result


def _answer(command: int, attribute: bytes) -> bytes:
    _, answer = _asked(command, attribute)
    return answer


def _asked(command: int, attribute: bytes) -> tuple[int, bytes]:
    held = ctypes.create_string_buffer(attribute.ljust(_ATTRIBUTE_BYTES, b"\0"), _ATTRIBUTE_BYTES)
    number = _CALL.get(platform.machine())
    if number is None:
        raise OSError(0, f"bpf is not known on {platform.machine()}")
    result = int(_libc.syscall(number, command, held, _ATTRIBUTE_BYTES))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result, held.raw
