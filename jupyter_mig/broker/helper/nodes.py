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

import msgspec

from jupyter_mig import errors
from jupyter_mig.broker import processes

FOR_OWNER = 0o400
FOR_NOBODY = 0o000
ROOT = 0
_FIXED = "DeviceFileModify: 0"


class InstanceNodes(msgspec.Struct, frozen=True):
    """The nodes of one instance: ``pairs`` of a node and the capability file that describes it, the
    GPU instance's first.
    """

    pairs: tuple[tuple[Path, Path], ...]

    def give_to(self, uid: int) -> None:
        """Let that user open them, and nobody else.

        Raises InUse, with the nodes closed to everybody, if somebody has one open already.
        """
        # Looked through while they are closed to all: the user himself may try to open them all the
        # time, and is none of those who should not.
        self.close()
        openers = self.openers()
        if openers:
            raise errors.InUse(
                "Somebody has the slice open who should not",
                situation=f"Processes with its device nodes open: {_listed(openers)}.",
                next_step="End them, or find out why they have it: jupyter mig doctor.",
            )
        for node, _ in self.pairs:
            _replace(node, uid, FOR_OWNER)

    def close(self) -> None:
        """Let nobody but root open them, the compute instance's first."""
        for node, capability in reversed(self.pairs):
            _fix(capability)
            _replace(node, ROOT, FOR_NOBODY)

    def devices(self) -> frozenset[int]:
        """Their device numbers."""
        return frozenset(node.stat().st_rdev for node, _ in self.pairs)

    def belong_to(self, uid: int) -> bool:
        """Whether they were given to that user."""
        return all(node.stat().st_uid == uid for node, _ in self.pairs)

    def openers(self) -> frozenset[int]:
        """The processes that have one open, by whatever path."""
        numbers = self.devices()
        return frozenset(pid for pid, device in open_devices() if device in numbers)


def _fix(capability: Path) -> None:
    """Take the node's owner and mode out of the driver's hands. It heeds what was written when the
    file is closed.
    """
    try:
        capability.write_text(f"{_FIXED}\n", encoding="ascii")
        told = capability.read_text(encoding="ascii")
    except OSError as error:
        raise _unprotected(capability, str(error.strerror)) from error
    if _FIXED not in told:
        raise _unprotected(capability, "it does not keep DeviceFileModify at 0")


def _replace(node: Path, uid: int, mode: int) -> None:
    """Another node of the same device in its place, the user's from the first moment on."""
    fresh = node.with_name(f".{node.name}.{os.getpid()}")
    with suppress(FileNotFoundError):
        fresh.unlink()
    try:
        device = node.lstat()
        if not stat.S_ISCHR(device.st_mode):
            raise _unprotected(node, "it is not a character device")
        os.mknod(fresh, stat.S_IFCHR, device.st_rdev)
        os.chown(fresh, uid, ROOT)
        fresh.chmod(mode)
        fresh.replace(node)
    except OSError as error:
        raise _unprotected(node, str(error.strerror)) from error


def open_devices() -> Iterator[tuple[int, int]]:
    """Every open descriptor of a device: process and device number, whatever its path was.

    A descriptor that only names one (O_PATH) is none: any user may have it, of any node, and would
    keep every slice from being handed over.

    Of all processes that we may look at: root with CAP_SYS_PTRACE may look at all.
    """
    for pid in processes.pids():
        with suppress(PermissionError, FileNotFoundError, ProcessLookupError):
            for descriptor in (processes.PROC / str(pid) / "fd").iterdir():
                with suppress(FileNotFoundError, ProcessLookupError):
                    opened = descriptor.stat()
                    if not stat.S_ISCHR(opened.st_mode):
                        continue
                    if not processes.opens_path_only(pid, descriptor.name):
                        yield pid, opened.st_rdev


def _unprotected(path: Path, reason: str) -> errors.NoPermission:
    return errors.NoPermission(
        "The slice cannot be closed to other users",
        situation=f"{path}: {reason}.",
        next_step="Run jupyter mig doctor as root.",
    )


def _listed(pids: frozenset[int]) -> str:
    return ", ".join(map(str, sorted(pids)))
