"""Where the slices of a GPU come from: the four ways there are, and which GPU goes which way.

===========  ====================================================================================
``dynamic``  instances are made and destroyed as they are wanted
``static``   the instances that exist are handed out, and stay
``visible``  of what exists, only what this process can open: in containers and batch jobs
``full``     the GPU as a whole, where MIG is off or missing
===========  ====================================================================================

A setting such as ``dynamic:0,1 full:GPU-4c0b static`` names GPUs by number or UUID; a word without
GPUs is for all others. Who is not named goes the way a person would expect (``auto``).
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

import msgspec

from jupyter_mig import errors
from jupyter_mig.broker.hardware.hints import Hints
from jupyter_mig.broker.words import plain
from jupyter_mig.core.geometry import Gpu

AUTO = "auto"
VARIABLE = "JUPYTER_MIG_INVENTORY"


class Inventory(str, Enum):
    """See the module's table."""

    DYNAMIC = "dynamic"
    STATIC = "static"
    VISIBLE = "visible"
    FULL = "full"


class Choice(NamedTuple):
    """The way of one GPU, and why."""

    inventory: Inventory
    why: str


class Inventories(msgspec.Struct, frozen=True):
    """The ways of all GPUs. ``named`` is by NVML index or UUID; None is ``auto``.
    ``said_by``: the setting that they are from.
    """

    named: dict[str, Inventory | None] = {}
    others: Inventory | None = None
    hints: Hints = Hints()
    said_by: str = VARIABLE

    def of(self, gpu: Gpu, *, simulated: bool) -> Choice:
        """The way of one GPU as it is now."""
        for name in (str(gpu.index), gpu.uuid):
            chosen = self.named.get(name)
            if chosen is not None:
                return Choice(chosen, f"{self.said_by} says so for GPU {name}")
            if name in self.named:
                return self._expected(gpu, simulated=simulated)
        if self.others is not None:
            return Choice(self.others, f"{self.said_by} says so")
        return self._expected(gpu, simulated=simulated)

    def may_cut(self, *, simulated: bool) -> bool:
        """Whether instances are made and destroyed on any GPU at all."""
        return simulated or Inventory.DYNAMIC in (self.others, *self.named.values())

    def _expected(self, gpu: Gpu, *, simulated: bool) -> Choice:
        """What a person expects who has chosen nothing."""
        if simulated:
            return Choice(Inventory.DYNAMIC, "it is simulated")
        if self.hints.given:
            return Choice(Inventory.VISIBLE, f"{self.hints.given} is set")
        if gpu.mig_enabled:
            return Choice(Inventory.STATIC, "MIG mode is on")
        return Choice(Inventory.FULL, "MIG mode is off or missing")

    def require_named(self, *, simulated: bool) -> None:
        """Raise MalformedSpec if real GPUs would be partitioned that nobody named."""
        if self.others is Inventory.DYNAMIC and not simulated:
            raise errors.MalformedSpec(
                "dynamic must name the GPUs that may be partitioned.",
                situation="On real hardware nothing is made or destroyed on any other GPU.",
                next_step=f"Set {VARIABLE} to, say, dynamic:0 (numbers as nvidia-smi -L has them).",
            )


def parse(text: str, hints: Hints | None = None, said_by: str = VARIABLE) -> Inventories:
    """The ways that a setting describes. Raises MalformedSpec."""
    named: dict[str, Inventory | None] = {}
    others: list[Inventory | None] = []
    for word in text.split():
        way, colon, gpus = word.partition(":")
        inventory = _way(way, word)
        names = [name for name in gpus.split(",") if name]
        if colon and not names:
            raise _malformed(f"{word} names no GPU")
        if not set(names).isdisjoint(named) or len(set(names)) < len(names):
            raise _malformed(f"{word} names a GPU that has been named")
        named.update(dict.fromkeys(names, inventory))
        others += [] if colon else [inventory]
    if len(others) > 1:
        raise _malformed("Two words are for all other GPUs")
    return Inventories(named, others[0] if others else None, hints or Hints(), said_by)


def _way(name: str, word: str) -> Inventory | None:
    if name == AUTO:
        return None
    try:
        return Inventory(name)
    except ValueError:
        raise _malformed(f"{word} is no inventory") from None


def _malformed(what: str) -> errors.MalformedSpec:
    ways = ", ".join((AUTO, *Inventory))
    return errors.MalformedSpec(
        f"{plain(what)}.",
        situation=f"Inventories are: {ways}; with GPUs, dynamic:0,1.",
        next_step=f"Correct {VARIABLE}, or unset it.",
    )
