"""What an NVML library was asked and what it answered, written down and played back.

A recording is made under pynvml, of the C functions themselves: names, arguments, return codes and
what they wrote into the caller's memory. So one that an administrator made on hardware we do not
have lets our driver be tested against that hardware's answers.

1. ``ctypes_values``: arguments of C functions as plain JSON values, and back.
2. ``transcript``: calls in order. 3. ``recorder``: makes one. 4. ``player``: answers from one.
5. ``anonymity``: takes out what names a machine.
"""

from __future__ import annotations

from .player import Mismatch, played
from .recorder import recorded
from .transcript import Call, Transcript

__all__ = ["Call", "Mismatch", "Transcript", "played", "recorded"]
