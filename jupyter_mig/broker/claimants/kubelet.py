"""GPUs that a kubelet gives to pods: NVIDIA's device plugin, and its driver for dynamic resource
allocation.

The plugin's sockets say that it is there. The kubelet's checkpoint says which devices it has
registered: the UUIDs of GPUs or of MIG devices, with a number behind them where they are shared.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from jupyter_mig.broker.claimants import daemons
from jupyter_mig.broker.claimants.claimant import Claimant
from jupyter_mig.broker.claimants.files import Unreadable, below, names, read

NAME = "Kubernetes"
REMEDY = (
    "Keep NVIDIA's device plugin off this node or those GPUs; if there is no kubelet any more,"
    " remove its directory."
)

PLACES = (
    "/var/lib/kubelet",
    "/var/lib/k0s/kubelet",
    "/var/snap/microk8s/common/var/lib/kubelet",
)
"""Where kubelets keep their things if nobody says otherwise."""

_CHECKPOINT = "kubelet_internal_checkpoint"
_DOMAIN = "nvidia.com/"
_UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_GPU = re.compile(f"(?:MIG-)?(GPU-{_UUID})")
_SLICE = re.compile(f"MIG-{_UUID}")


class _Entry(msgspec.Struct, rename="pascal"):
    """Devices that a pod has: by NUMA node, or (older kubelets) in one list."""

    resource_name: str = ""
    device_i_ds: dict[str, list[str] | None] | list[str] | None = msgspec.field(
        name="DeviceIDs", default=None
    )

    @property
    def devices(self) -> Iterator[str]:
        lists = self.device_i_ds
        for devices in lists.values() if isinstance(lists, dict) else [lists]:
            yield from devices or ()


class _Data(msgspec.Struct, rename="pascal"):
    pod_device_entries: list[_Entry] | None = None
    registered_devices: dict[str, list[str] | None] | None = None


class _Checkpoint(msgspec.Struct, rename="pascal"):
    data: _Data


def claimants(root: Path) -> Iterator[Claimant]:
    """What each kubelet's directory says."""
    given = [place for one in daemons.find(root, "kubelet") for place in one.options("--root-dir")]
    for place in dict.fromkeys((*given, *PLACES)):
        home = below(root, place)
        try:
            yield from _claims(home)
        except Unreadable as error:
            yield _all_of_them(str(error), hidden=error.closed)


def _all_of_them(source: str, *, hidden: bool = False) -> Claimant:
    return Claimant(NAME, source, REMEDY, everything=True, hidden=hidden)


def _claims(home: Path) -> Iterator[Claimant]:
    plugins = home / "device-plugins"
    sockets = [*_sockets(plugins, "nvidia"), *_sockets(home / "plugins_registry", "gpu.nvidia.com")]
    checkpoint = plugins / _CHECKPOINT
    devices = _devices(checkpoint)
    uuids = frozenset(match[1] for match in map(_GPU.match, devices) if match)
    slices = frozenset(match[0] for match in map(_SLICE.match, devices) if match)
    if any(not _GPU.match(device) and not _SLICE.match(device) for device in devices):
        yield _all_of_them(f"{checkpoint}, which names devices by no UUID")
    elif devices:
        yield Claimant(NAME, str(checkpoint), REMEDY, uuids=uuids, slices=slices)
    elif sockets:
        yield _all_of_them(str(sockets[0]))


def _sockets(directory: Path, beginning: str) -> list[Path]:
    found = [directory / name for name in names(directory) if name.startswith(beginning)]
    return [path for path in found if _is_socket(path)]


def _is_socket(path: Path) -> bool:
    try:
        return stat.S_ISSOCK(path.stat().st_mode)
    except OSError:
        return False


def _devices(checkpoint: Path) -> frozenset[str]:
    """The devices of NVIDIA's that are registered, or in a pod's hands."""
    text = read(checkpoint)
    if text is None:
        return frozenset()
    try:
        data = msgspec.json.decode(text, type=_Checkpoint).data
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError) as error:
        raise Unreadable(checkpoint, str(error)) from error
    entries: Iterable[tuple[str, Any]] = (
        *(data.registered_devices or {}).items(),
        *((entry.resource_name, [*entry.devices]) for entry in data.pod_device_entries or ()),
    )
    return frozenset(
        device
        for resource, devices in entries
        if resource.startswith(_DOMAIN)
        for device in devices or ()
    )
