"""Profile names, for drivers whose profile info carries none (the first version of the struct)."""

from __future__ import annotations

import re

_SUFFIXES = {
    0x7: "+me",
    0x8: "+me",
    0xA: "+gfx",
    0xB: "+gfx",
    0xC: "+gfx",
    0xD: "-me",
    0xE: "-me",
    0xF: "+me.all",
    0x10: "+me.all",
    0x11: "+gfx",
}
_PLAIN = frozenset({0x0, 0x1, 0x2, 0x3, 0x4, 0x5, 0x6, 0x9})

_GIB_IN_MIB = 1024


def gigabytes(memory_mib: int, total_mib: int) -> int:
    """The number in a profile's name.

    NVIDIA counts how many eighths of the GPU's memory a profile takes, rounded up, and names
    that share of the GPU's size in whole GiB, rounded half up: 16384 of 143771 MiB is "18gb".
    Of a GPU whose memory is not known it is the profile's own, rounded up.
    """
    if total_mib <= 0:
        return -(-memory_mib // _GIB_IN_MIB)
    eighths = -(-memory_mib * 8 // total_mib)
    total_gib = -(-total_mib // _GIB_IN_MIB)
    return (eighths * total_gib + 4) // 8


def profile_name(enum: int, compute_slices: int, memory_mib: int, total_mib: int) -> str:
    """The name NVIDIA would give the profile.

    An enum from a newer driver than this table gets its number as suffix, so that it cannot
    take the name of another profile.
    """
    suffix = "" if enum in _PLAIN else _SUFFIXES.get(enum, f"+enum{enum}")
    return f"{compute_slices}g.{gigabytes(memory_mib, total_mib)}gb{suffix}"


def sensible(name: str) -> str:
    """The name if it can be a profile's, be it one that we have never heard of; else nothing."""
    return name if re.fullmatch(r"\d+g\.\d+gb([+-][a-z0-9.]+)?", name) else ""


def stripped(name: str) -> str:
    """A profile name out of what NVML says: ``MIG 1g.5gb``, or a MIG device's whole name
    (``NVIDIA A100-SXM4-40GB MIG 1c.3g.20gb``, where ``1c.`` is a part of the GPU instance).
    """
    last = name.rpartition("MIG ")[2].strip()
    part, dot, rest = last.partition(".")
    return rest if dot and part.endswith("c") else last
