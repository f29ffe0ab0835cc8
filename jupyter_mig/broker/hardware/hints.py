"""What ``CUDA_VISIBLE_DEVICES`` and ``NVIDIA_VISIBLE_DEVICES`` say of what this process may use.

They are hints, which narrow what can be opened and never widen it:

* A UUID means the same everywhere. What it names and cannot be opened is not there.
* A number means something in one numbering only. CUDA counts the devices that it can open, MIG
  devices among them; NVIDIA's container runtime counts the host's GPUs and has applied the list
  before the container began. Numbers that do not all exist here are of another numbering.
* What is no name of a device (a path, the name of a CDI device) tells nothing here.

https://docs.nvidia.com/cuda/cuda-c-programming-guide/ ("CUDA Environment Variables"),
https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/ ("Environment variables").
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from jupyter_mig.core.geometry import Identity

CUDA = "CUDA_VISIBLE_DEVICES"
NVIDIA = "NVIDIA_VISIBLE_DEVICES"
ORDER = "CUDA_DEVICE_ORDER"

_NOBODY = frozenset({"-1", "none", "nodevfiles"})
"""Words for no device at all; the last one is Slurm's. CUDA's list also ends at a negative."""

_OLD_MIG = re.compile(r"MIG-(GPU-[0-9A-Fa-f-]+)/(\d+)/(\d+)")
_NUMBER = re.compile(r"(\d+)(?::(\d+))?")
_MANY = 3
_IN_DOUBT = "is read in the order of nvidia-smi, and CUDA may count these GPUs otherwise"


class CudaDevice(NamedTuple):
    """Something that CUDA can compute on: a MIG device, or a GPU without MIG."""

    gpu_index: int
    gpu_uuid: str
    identity: Identity
    gpu_name: str = ""

    @property
    def uuid(self) -> str:
        """What CUDA calls it."""
        return self.identity.mig_uuid or ""


class Narrowed(NamedTuple):
    """The UUIDs that are left, and what a person should hear about it."""

    uuids: frozenset[str]
    notes: tuple[str, ...]


class Hints(msgspec.Struct, frozen=True):
    """The variables that are set: an empty one is not an absent one."""

    values: dict[str, str] = {}

    @classmethod
    def read(cls, text: str) -> Hints:
        """From lines of ``NAME=value``, as clients hand them over."""
        pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
        return cls({name: value for name, _, value in pairs})

    @property
    def given(self) -> str:
        """The name of the variable that counts most; empty if none is set."""
        return next((name for name in (CUDA, NVIDIA) if name in self.values), "")

    def narrow(self, devices: Sequence[CudaDevice]) -> Narrowed:
        """Which of ``devices``, those that can be opened in CUDA's order, are meant."""
        left = frozenset(device.uuid for device in devices)
        notes: list[str] = []
        for name in (CUDA, NVIDIA):
            if name in self.values:
                meant, said = _Reading(name, self.values[name], devices).result()
                notes += said
                if meant is not None:
                    left &= meant
        notes += self._about_order(devices)
        return Narrowed(left, tuple(notes))

    def _about_order(self, devices: Sequence[CudaDevice]) -> list[str]:
        """CUDA counts the fastest first unless told otherwise, by an estimate that nobody else can
        make; NVML counts as PCI does.
        """
        words = self.values.get(CUDA, "").split(",")
        counted = any(_NUMBER.fullmatch(word.strip()) for word in words)
        models = {device.gpu_name for device in devices}
        if not counted or len(models) < 2 or self.values.get(ORDER) == "PCI_BUS_ID":
            return []
        return [f"{CUDA} {_IN_DOUBT}: set {ORDER}=PCI_BUS_ID, or name UUIDs"]


class _Reading:
    """One variable, read against the devices that can be opened."""

    def __init__(self, name: str, value: str, devices: Sequence[CudaDevice]) -> None:
        self._name = name
        self._devices = devices
        self._words = [word.strip() for word in value.split(",")]

    def result(self) -> tuple[frozenset[str] | None, list[str]]:
        """The UUIDs meant (None: all that can be opened), and what is worth saying."""
        first = self._words[0].lower()
        if first == "all" or (first in ("", "void") and self._name == NVIDIA):
            return None, []
        if first == "" or first in _NOBODY:
            return frozenset(), [f"{self._name} says: no device"]
        return self._listed()

    def _listed(self) -> tuple[frozenset[str] | None, list[str]]:
        names, numbers, strange = self._sorted()
        notes = [f"{self._name}: {word} is no device's name" for word in strange[:_MANY]]
        found = {word: self._named(word) for word in names}
        notes += [
            f"{self._name} names {word}, which cannot be opened here"
            for word in names
            if not found[word]
        ][:_MANY]
        counted = [self._counted(number) for number in numbers]
        if not all(counted):
            notes.append(f"{self._name} counts other devices than can be opened here: not heeded")
            counted = []
        if not names and not counted:
            return None, notes
        return frozenset().union(*found.values(), *counted), notes

    def _sorted(self) -> tuple[list[str], list[str], list[str]]:
        """Names, numbers, and what is neither."""
        names, numbers, strange = [], [], []
        for word in self._words:
            if word.startswith("-"):
                break  # CUDA heeds nothing after an impossible number
            if word.startswith(("GPU-", "MIG-")):
                names.append(word)
            elif _NUMBER.fullmatch(word):
                numbers.append(word)
            else:
                strange.append(word)
        return names, numbers, strange

    def _named(self, word: str) -> frozenset[str]:
        """The devices a UUID means: a GPU's means all on it. CUDA allows its beginning alone."""
        old = _OLD_MIG.fullmatch(word)
        if old is not None:
            parts = (old[1], int(old[2]), int(old[3]))
            return frozenset(
                one.uuid
                for one in self._devices
                if (one.gpu_uuid, one.identity.gi_id, one.identity.ci_id) == parts
            )
        if word.startswith("MIG-"):
            return frozenset(one.uuid for one in self._devices if one.uuid.startswith(word))
        gpus = {one.gpu_uuid for one in self._devices if one.gpu_uuid.startswith(word)}
        if len(gpus) != 1:  # an ambiguous beginning means nothing to CUDA
            return frozenset()
        return frozenset(one.uuid for one in self._devices if one.gpu_uuid in gpus)

    def _counted(self, number: str) -> frozenset[str]:
        """The devices a number means, in the numbering of the variable."""
        gpu, _, mig = number.partition(":")
        on_gpu = [one.uuid for one in self._devices if one.gpu_index == int(gpu)]
        if mig:
            return frozenset(on_gpu[int(mig) : int(mig) + 1])
        if self._name == NVIDIA:
            return frozenset(on_gpu)
        return frozenset(one.uuid for one in self._devices[int(gpu) : int(gpu) + 1])
