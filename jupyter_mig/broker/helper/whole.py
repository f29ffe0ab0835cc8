"""Giving a GPU that is handed out whole to one user.

The kernel module makes no object on a GPU for a process that has not that GPU's own node open, so
its node is its boundary as those of a slice are that slice's. But no file of its own says who may
change it: nvidia-modprobe, which any user may run, and whatever of root's starts NVML set owner and
mode back while the driver's parameter ``ModifyDeviceFiles`` is 1. So nothing is given away then.

The broker measures through the node: its group has it, too.
"""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path

import msgspec

from jupyter_mig import errors
from jupyter_mig.broker import processes
from jupyter_mig.broker.helper.descriptors import mappers, open_devices
from jupyter_mig.broker.helper.nodes import ROOT, listed, replace
from jupyter_mig.broker.helper.register import Register
from jupyter_mig.broker.story import line
from jupyter_mig.core.geometry import Identity
from jupyter_mig.nvml.port import HardwarePort

log = logging.getLogger(__name__)

FOR_OWNER_AND_BROKER = 0o660
_FOR_ALL = 0o666
"""What the driver gives nodes that nobody has said anything about."""


class Keeper(msgspec.Struct, frozen=True):
    """The broker: its user, and the group that is that user's alone."""

    uid: int
    gid: int


class GpuNode(msgspec.Struct, frozen=True):
    """The node of one GPU, and the file with the driver's parameters."""

    node: Path
    parameters: Path
    keeper: Keeper

    def put(self, uid: int) -> None:
        """Have it be that user's and the broker's, and read that back."""
        try:
            replace(self.node, uid, self.keeper.gid, FOR_OWNER_AND_BROKER)
        except errors.NoPermission as error:
            raise _unprotected(error.situation.rstrip(".")) from error
        if not self.belongs_to(uid):
            raise _unprotected(f"{self.node} does not keep its owner and mode")

    def put_back(self) -> None:
        """Have it be as the driver's parameters say."""
        given = _parameters(self.parameters)
        uid, gid = (given.get(f"DeviceFile{each}", ROOT) for each in ("UID", "GID"))
        replace(self.node, uid, gid, given.get("DeviceFileMode", _FOR_ALL))

    def belongs_to(self, uid: int) -> bool:
        """Whether it is as :meth:`put` leaves it."""
        try:
            now = self.node.lstat()
        except OSError:
            return False
        wanted = (stat.S_IFCHR | FOR_OWNER_AND_BROKER, uid, self.keeper.gid)
        return (now.st_mode, now.st_uid, now.st_gid) == wanted

    def require_fixed(self) -> None:
        """Raise NoPermission if others than us may change it by the driver's own tool."""
        modifies = _parameters(self.parameters).get("ModifyDeviceFiles")
        if modifies is None:
            raise _unprotected(f"{self.parameters} does not tell ModifyDeviceFiles")
        if modifies:
            raise _unprotected(f"ModifyDeviceFiles is {modifies} in {self.parameters}")

    def openers(self) -> frozenset[int]:
        """The processes that have it open. Root's monitors have every GPU open, and so has the
        broker: they do not count.
        """
        try:
            device = self.node.stat().st_rdev
        except OSError:  # nobody has made it yet
            return frozenset()
        return self._strangers(frozenset(pid for pid, each in open_devices() if each == device))

    def mappers(self) -> frozenset[int]:
        """Those that have it mapped, perhaps without having it open any more."""
        return self._strangers(mappers(self.node.name))

    def _strangers(self, pids: frozenset[int]) -> frozenset[int]:
        found = (processes.find(pid) for pid in pids)
        return frozenset(
            one.pid
            for one in found
            if one is not None and one.uid != self.keeper.uid and not processes.is_roots(one)
        )


class WholeGpus:
    """The GPUs that are handed out whole, and whose each is: that is on file, so that a node can be
    put right whatever happened to it or to us.

    Without a ``keeper`` they are closed to nobody.
    """

    def __init__(
        self,
        driver: HardwarePort,
        register: Register,
        gpu_uuids: tuple[str, ...] = (),
        keeper: Keeper | None = None,
    ) -> None:
        self._driver = driver
        self._register = register
        self._uuids = gpu_uuids
        self._keeper = keeper

    def __contains__(self, gpu_uuid: str) -> bool:
        return gpu_uuid in self._uuids

    def begin(self) -> None:
        """Put right what an earlier helper left, on as many GPUs as possible."""
        cut = {gpu.uuid for gpu in self._driver.gpus() if gpu.mig_enabled}
        closed = (
            () if self._keeper is None else tuple(each for each in self._uuids if each not in cut)
        )
        for uuid in {*closed, *self._register.closed}:
            try:
                self.secure(uuid) if uuid in closed else self._reopen(uuid)
            except errors.JupyterMigError as error:  # noqa: PERF203 - one of many
                log.warning("gpu=%s: %s %s", uuid, error.message, error.situation)

    def secure(self, gpu_uuid: str) -> None:
        """Have the node be its user's, or nobody's, whatever became of it. Raises NoPermission if
        it would not stay so, InUse if somebody has it open while it is nobody's.
        """
        node = self._node(gpu_uuid)
        if node is None:
            return
        node.require_fixed()
        owner = self._register.closed.get(gpu_uuid)
        if owner is None:
            self._register.close(gpu_uuid, ROOT)
        if not node.belongs_to(owner or ROOT):
            if owner is not None:
                log.warning("%s", line("Changed", gpu=gpu_uuid, uid=owner, **_described(node.node)))
            node.put(owner or ROOT)
        if not owner:
            _require_nobody(node.openers())

    def give(self, gpu_uuid: str, uid: int) -> None:
        """Let that user open it, and nobody else. Raises NoPermission if that would not last, InUse
        if somebody uses it already; then nobody can.
        """
        node = self._node(gpu_uuid)
        if node is None:
            return
        node.require_fixed()
        self.take_back(gpu_uuid)
        computing = self._driver.occupants(gpu_uuid, Identity.of_gpu(gpu_uuid))
        _require_nobody(node.openers() | node.mappers() | frozenset(computing))
        self._register.close(gpu_uuid, uid)
        node.put(uid)
        node.require_fixed()

    def take_back(self, gpu_uuid: str) -> None:
        """Let nobody but root and the broker open it any more."""
        node = self._node(gpu_uuid)
        if node is not None:
            self._register.close(gpu_uuid, ROOT)
            node.put(ROOT)
            node.require_fixed()

    def belongs_to(self, gpu_uuid: str, uid: int) -> bool:
        """Whether it was given to that user."""
        return self._register.closed.get(gpu_uuid) == uid

    def openers(self, gpu_uuid: str) -> frozenset[int]:
        """The processes that have it open; none are looked for where it is closed to nobody, as
        then every monitor of every user may.
        """
        node = self._node(gpu_uuid)
        return frozenset() if node is None else node.openers()

    def _reopen(self, gpu_uuid: str) -> None:
        """It is handed out whole, or closed, no more: who uses slices of it needs its node."""
        for node, parameters in self._pairs(gpu_uuid):
            GpuNode(node, parameters, Keeper(ROOT, ROOT)).put_back()
            log.info("%s", line("Reopened", gpu=gpu_uuid, node=node))
        self._register.reopen(gpu_uuid)

    def _node(self, gpu_uuid: str) -> GpuNode | None:
        """None if it is not to be closed, or is simulated without nodes."""
        if self._keeper is None:
            return None
        found = [GpuNode(*pair, self._keeper) for pair in self._pairs(gpu_uuid)]
        return found[0] if found else None

    def _pairs(self, gpu_uuid: str) -> tuple[tuple[Path, Path], ...]:
        return self._driver.described_nodes(gpu_uuid, Identity.of_gpu(gpu_uuid))


def _require_nobody(pids: frozenset[int]) -> None:
    if pids:
        raise errors.InUse(
            "Somebody has the GPU open who should not",
            situation=f"Processes: {listed(pids)}. Root's and the broker's may have it open.",
            next_step="End them; have monitors run as root (nvidia-persistenced without --user).",
        )


def _parameters(file: Path) -> dict[str, int]:
    """Those that are numbers; none where there is no such file."""
    try:
        text = file.read_text(encoding="ascii", errors="replace")
    except OSError:
        return {}
    pairs = (each.partition(":") for each in text.splitlines())
    return {name.strip(): int(value) for name, _, value in pairs if value.strip().isdigit()}


def _described(node: Path) -> dict[str, object]:
    try:
        now = node.lstat()
    except OSError as error:
        return {"node": node, "problem": os.strerror(error.errno or 0)}
    return {"node": node, "owner": now.st_uid, "group": now.st_gid, "mode": f"{now.st_mode:o}"}


def _unprotected(reason: str) -> errors.NoPermission:
    return errors.NoPermission(
        "The GPU cannot be closed to other users",
        situation=f"{reason}.",
        next_step="Load the driver with NVreg_ModifyDeviceFiles=0 (/etc/modprobe.d), and have a"
        " udev rule make the nodes; or leave whole_gpus empty.",
    )
