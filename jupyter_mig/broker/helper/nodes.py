"""Giving the device nodes of an instance to one user.

The kernel module asks nothing but whether a process has the instance's node open, and any user may
run ``nvidia-modprobe``, which sets a node's owner and mode back as long as its capability file says
``DeviceFileModify: 1`` (nvidia-modprobe's own page). So the file is changed first, and the node is
made anew: who had the old one open or linked keeps nothing that this path leads to.

Descriptors that were opened before are beyond this: they are looked for, and an instance whose
nodes somebody has open is not handed over.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Lock

import msgspec

from jupyter_mig import errors
from jupyter_mig.broker import processes
from jupyter_mig.broker.helper.descriptors import open_devices

FOR_OWNER = 0o400
FOR_NOBODY = 0o000
ROOT = 0
_FIXED = "DeviceFileModify: 0"
_CAPABILITY = "nvidia-cap"
_replacing = Lock()


class InstanceNodes(msgspec.Struct, frozen=True):
    """The nodes of one instance: ``pairs`` of a node and the capability file that describes it, the
    GPU instance's first. ``broker`` is the user as whom the broker measures it.
    """

    pairs: tuple[tuple[Path, Path], ...]
    broker: int | None = None

    def give_to(self, uid: int) -> None:
        """Let that user open them, and nobody else.

        Raises InUse, with the nodes closed to everybody, if somebody has one open already.
        """
        # Looked through while they are closed to all: the user himself may try to open them all the
        # time, and is none of those who should not.
        self.close()
        for node, capability in self.pairs:
            if not node.exists():
                _make(node, capability)
        openers = self.openers()
        if openers:
            raise errors.InUse(
                "Somebody has the slice open who should not",
                situation=f"Processes with its device nodes open: {listed(openers)}.",
                next_step="End them, or find out why they have it: jupyter mig doctor.",
            )
        for node, _ in self.pairs:
            replace(node, uid, ROOT, FOR_OWNER)

    def close(self) -> None:
        """Let nobody but root open them, the compute instance's first. One that is missing opens
        for nobody, and nobody else makes it once its capability file is fixed.
        """
        for node, capability in reversed(self.pairs):
            _fix(capability)
            if node.exists():
                replace(node, ROOT, ROOT, FOR_NOBODY)

    def devices(self) -> frozenset[int]:
        """Their device numbers; without those of nodes that are missing."""
        return frozenset(found.st_rdev for found in self._found())

    def belong_to(self, uid: int) -> bool:
        """Whether they were given to that user."""
        owners = [found.st_uid for found in self._found()]
        return bool(owners) and set(owners) == {uid}

    def openers(self) -> frozenset[int]:
        """The processes that have one open, by whatever path. Root's monitors and the broker may
        have every slice open, as NVML opens what it is asked about: they do not count.
        """
        numbers = self.devices()
        pids = frozenset(pid for pid, device in open_devices() if device in numbers)
        found = map(processes.find, pids)
        return frozenset(
            one.pid
            for one in found
            if one is not None and one.uid != self.broker and not processes.is_roots(one)
        )

    def _found(self) -> Iterator[os.stat_result]:
        for node, _ in self.pairs:
            with suppress(FileNotFoundError):
                yield node.stat()


def _fix(capability: Path) -> None:
    """Take the node's owner and mode out of the driver's hands. It heeds what was written when the
    file is closed.
    """
    try:
        capability.write_text(f"{_FIXED}\n", encoding="ascii")
        told = capability.read_text(encoding="ascii")
    except OSError as error:
        raise unprotected(capability, str(error.strerror)) from error
    if _FIXED not in told:
        raise unprotected(capability, "it does not keep DeviceFileModify at 0")


def _make(node: Path, capability: Path) -> None:
    """Make a node that nobody has asked for yet, for nobody. The driver's own tool makes them when
    they are first needed, but not any more once the capability file is fixed.
    """
    try:
        major = _major(capability)
    except OSError as error:
        raise unprotected(node, f"it is missing, and so is its number: {error}") from error
    if major is None:
        raise unprotected(node, "it is missing, and /proc/devices knows no nvidia-caps")
    minor = int(node.name.removeprefix(_CAPABILITY))
    _put(node, os.makedev(major, minor), ROOT, ROOT, FOR_NOBODY)


def _major(capability: Path) -> int | None:
    """Of all capabilities' nodes: the kernel chooses it when the module is loaded (``devices``, in
    the same ``/proc`` as the ``driver`` folder of capability files).
    """
    for driver in capability.parents:
        if driver.name == "driver":
            text = driver.with_name("devices").read_text(encoding="ascii")
            numbers = (line.split() for line in text.splitlines())
            return next((int(each[0]) for each in numbers if each[1:] == ["nvidia-caps"]), None)
    return None


def replace(node: Path, uid: int, gid: int, mode: int) -> None:
    """Another node of the same device in its place, the user's from the first moment on. Raises
    NoPermission if that cannot be.
    """
    try:
        device = node.lstat()
    except OSError as error:
        raise unprotected(node, str(error.strerror)) from error
    if not stat.S_ISCHR(device.st_mode):
        raise unprotected(node, "it is not a character device")
    _put(node, device.st_rdev, uid, gid, mode)


def _put(node: Path, device: int, uid: int, gid: int, mode: int) -> None:
    """A new node at that place. One that a helper left half way, when it was killed, is in the way
    of none and kept by none: it has always the same name.
    """
    fresh = node.with_name(f".{node.name}.new")
    try:
        with _replacing:
            fresh.unlink(missing_ok=True)
            os.mknod(fresh, stat.S_IFCHR, device)
            os.chown(fresh, uid, gid)
            fresh.chmod(mode)
            fresh.replace(node)
    except OSError as error:
        raise unprotected(node, str(error.strerror)) from error


def unprotected(path: Path, reason: str) -> errors.NoPermission:
    """What is not closed, and why."""
    return errors.NoPermission(
        "The slice cannot be closed to other users",
        situation=f"{path}: {reason}.",
        next_step="Run jupyter mig doctor as root.",
    )


def listed(pids: frozenset[int]) -> str:
    """Pids, for people."""
    return ", ".join(map(str, sorted(pids)))
