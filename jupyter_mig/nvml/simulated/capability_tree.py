"""The files and nodes by which a driver shows its capabilities, laid out under a directory.

``ROOT/proc/driver/nvidia/capabilities`` has a text file for each capability, ``ROOT/dev`` a node
for each GPU and ``ROOT/dev/nvidia-caps`` one for each capability (MIG user guide, "Device Nodes and
Capabilities"). The nodes are regular files, unless devices are asked for: a device node without its
driver cannot be opened, files can, and locked, and given to a user.

Files come and go with the instances. What an administrator changed in one (``DeviceFileModify``,
owner, mode) stays as long as its instance does.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from .identity import minor_number
from .silicon import Silicon

CAPABILITIES = Path("proc/driver/nvidia/capabilities")
NODES = Path("dev/nvidia-caps")

_FIRST_INSTANCE = 3
_PER_GPU = 135
_PER_GPU_INSTANCE = 9
_NOBODYS_MAJOR, _ANOTHER_MAJOR = 240, 241
"""Of the numbers for local use (the kernel's devices.txt): capabilities, and GPUs."""

_FOR_ALL = 0o444
_FOR_OWNER = 0o400
_GPU_NODE = 0o666


class _Capability(NamedTuple):
    file: Path
    minor: int
    mode: int = _FOR_ALL


class CapabilityTree:
    """The tree under one root."""

    def __init__(self, root: Path, *, devices: bool = False) -> None:
        self._make_node = _ensure_device if devices else _ensure_file
        self._make_gpu = _ensure_gpu if devices else _ensure_gpu_file
        self._files = root / CAPABILITIES
        self._nodes = root / NODES
        self._devices = root / "dev"

    def follow(self, silicon: Silicon) -> None:
        """Make the tree show what is there now."""
        for folder in (self._files, self._nodes):
            _ensure_folder(folder)
        for name in ("nvidiactl", "nvidia-uvm"):
            _ensure(self._devices / name, _GPU_NODE)
        for minor in _gpu_minors(silicon):
            self._make_gpu(self._devices / f"nvidia{minor}", minor)
        wanted = tuple(_capabilities(silicon))
        self._remove_all_but(wanted)
        for capability in wanted:
            self._add(capability)

    def clear(self) -> None:
        """Take away the instances' part; the rest belongs to the driver and its GPUs."""
        self._remove_all_but(tuple(_for_the_system()))

    def _add(self, capability: _Capability) -> None:
        file = self._files / capability.file
        _ensure_folder(file.parent)
        text = (
            f"DeviceFileMinor: {capability.minor}\n"
            f"DeviceFileMode: {capability.mode}\n"
            "DeviceFileModify: 1\n"
        )
        _ensure(file, capability.mode, text)
        self._make_node(self._nodes / _node(capability), capability)

    def _remove_all_but(self, wanted: tuple[_Capability, ...]) -> None:
        files = {self._files / one.file for one in wanted}
        nodes = {_node(one) for one in wanted}
        for node in self._nodes.iterdir():
            if node.name not in nodes:
                node.unlink()
        for path in sorted(self._files.rglob("*"), reverse=True):
            if path.is_file() and path not in files:
                path.unlink()
                _remove_if_empty(path.parent)


def capability_minor(gpu_minor: int, gi_id: int, ci_id: int | None = None) -> int:
    """The fixed minor number of a GPU instance's node, or of a compute instance's in it."""
    instance = _FIRST_INSTANCE + _PER_GPU * gpu_minor + _PER_GPU_INSTANCE * gi_id
    return instance if ci_id is None else instance + 1 + ci_id


def _gpu_minors(silicon: Silicon) -> Iterator[int]:
    count = len(silicon.gpus)
    return (minor_number(count, index) for index in range(count))


def _for_the_system() -> Iterator[_Capability]:
    yield _Capability(Path("mig/config"), 1, _FOR_OWNER)
    yield _Capability(Path("mig/monitor"), 2)


def _capabilities(silicon: Silicon) -> Iterator[_Capability]:
    yield from _for_the_system()
    for index, gpu in enumerate(silicon.gpus):
        minor = minor_number(len(silicon.gpus), index)
        for instance in gpu.instances:
            folder = Path(f"gpu{minor}/mig/gi{instance.id}")
            yield _Capability(folder / "access", capability_minor(minor, instance.id))
            for compute in instance.compute_instances:
                yield _Capability(
                    folder / f"ci{compute.id}/access",
                    capability_minor(minor, instance.id, compute.id),
                )


def _node(capability: _Capability) -> str:
    return f"nvidia-cap{capability.minor}"


def _ensure(path: Path, mode: int, text: str = "") -> None:
    """Make the file unless it is there: then it is left as it is."""
    if not path.exists():
        path.write_text(text, encoding="ascii")
        path.chmod(mode)


def _ensure_folder(folder: Path) -> None:
    """Open to all users, as below /proc and /dev."""
    if not folder.exists():
        _ensure_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)


def _ensure_file(node: Path, capability: _Capability) -> None:
    _ensure(node, capability.mode)


def _ensure_device(node: Path, capability: _Capability) -> None:
    _make_device(node, os.makedev(_NOBODYS_MAJOR, capability.minor), capability.mode)


def _ensure_gpu_file(node: Path, minor: int) -> None:
    del minor
    _ensure(node, _GPU_NODE)


def _ensure_gpu(node: Path, minor: int) -> None:
    _make_device(node, os.makedev(_ANOTHER_MAJOR, minor), _GPU_NODE)


def _make_device(node: Path, device: int, mode: int) -> None:
    if not node.exists():
        os.mknod(node, stat.S_IFCHR, device)
        node.chmod(mode)


def _remove_if_empty(folder: Path) -> None:
    if not any(folder.iterdir()):
        folder.rmdir()
