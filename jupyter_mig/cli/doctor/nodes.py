"""The device nodes through which CUDA reaches GPUs and slices, and whom they let in."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from jupyter_mig.cli.doctor.finding import Finding, note, ok, problem
from jupyter_mig.cli.measures import counted
from jupyter_mig.nvml.access import AccessNodes
from jupyter_mig.nvml.examination import GpuExamined

_BOUNDARY = "A convention, or a boundary"
_EVERYBODY = 0o004


class NodeFile(msgspec.Struct, frozen=True):
    """One device node. ``modifiable``: the driver's own tool may reset owner and mode."""

    path: Path
    use: str
    capability: Path | None = None
    exists: bool = False
    opens: bool = False
    mode: int = 0
    owner: int = 0
    modifiable: bool = True


class NodeFacts(msgspec.Struct, frozen=True):
    """The nodes, and whether the driver's setuid tool is there, which makes them when CUDA asks."""

    files: tuple[NodeFile, ...] = ()
    made_on_demand: bool = False


def look(root: Path, gpus: tuple[GpuExamined, ...]) -> NodeFacts:
    """The nodes of GPUs and slices below a root (``/`` but for simulated nodes and tests)."""
    access = AccessNodes.under(root)
    found = [_seen(root / "dev" / name, "CUDA") for name in ("nvidiactl", "nvidia-uvm")]
    for gpu in gpus:
        if not gpu.trouble:
            found.append(_seen(root / "dev" / f"nvidia{gpu.minor}", f"GPU {gpu.index}"))
        for instance in gpu.instances:
            use = f"{instance.profile_name} on GPU {gpu.index}"
            found += [
                _seen(node, use, capability)
                for node, capability in access.pairs(gpu.minor, instance.identity)
            ]
    return NodeFacts(tuple(found), shutil.which("nvidia-modprobe") is not None)


def check(facts: NodeFacts) -> Iterator[Finding]:
    """Can this user open all of them; and can others, which decides what a slice is worth."""
    yield from opening(facts)
    yield _boundary([file for file in facts.files if file.capability is not None and file.exists])


def opening(facts: NodeFacts) -> Iterator[Finding]:
    """Can this user open all of them."""
    files = facts.files
    missing = [file for file in files if not file.exists]
    closed = [file for file in files if file.exists and not file.opens]
    if missing:
        yield _missing(missing, note if facts.made_on_demand else problem)
    if closed:
        yield _closed(closed)
    if files and not missing and not closed:
        yield ok("device nodes", f"{counted(len(files), 'node')}, this user may open all of them")


def _seen(path: Path, use: str, capability: Path | None = None) -> NodeFile:
    try:
        found = path.stat()
    except OSError:
        return NodeFile(path, use, capability)
    return NodeFile(
        path,
        use,
        capability,
        exists=True,
        opens=os.access(path, os.R_OK),
        mode=stat.S_IMODE(found.st_mode),
        owner=found.st_uid,
        modifiable=_modifiable(capability),
    )


def _modifiable(capability: Path | None) -> bool:
    """``DeviceFileModify`` of the capability file; the driver's default if unreadable."""
    try:
        lines = capability.read_text(encoding="ascii").splitlines() if capability else []
    except OSError:
        return True
    return "0" not in [line.partition(":")[2].strip() for line in lines if "Modify" in line]


def _missing(files: list[NodeFile], judged: Callable[..., Finding]) -> Finding:
    first = files[0]
    if first.capability is not None:
        command = f"nvidia-modprobe -f {first.capability}"
        fix = f"Have the driver make it: {command}\nIn a container, ask for the slice by its UUID."
    else:
        fix = "Have the driver make it: nvidia-modprobe -u -c0\nIn a container, ask for the GPU."
    return judged("device nodes", f"not there: {_names(files)}", fix, _BOUNDARY)


def _closed(files: list[NodeFile]) -> Finding:
    first = files[0]
    return problem(
        "device nodes",
        f"this user may not open: {_names(files)}",
        f"They are somebody else's by intent, or else: ls -l {first.path}\n"
        "An administrator lets you in with setfacl -m u:USER:r on the nodes of your slice.",
        _BOUNDARY,
    )


def _names(files: list[NodeFile]) -> str:
    return ", ".join(f"{file.path} ({file.use})" for file in files)


def _boundary(nodes: list[NodeFile]) -> Finding:
    about = "isolation"
    open_to_all = [file for file in nodes if file.mode & _EVERYBODY]
    if nodes and not open_to_all and not any(file.modifiable for file in nodes):
        return ok(about, "a boundary: slices can be opened by their owners only")
    if nodes and not open_to_all:
        return note(
            about,
            "a convention: slices are closed to others, but any user can have the driver's own tool"
            " (nvidia-modprobe) open them again",
            "Write DeviceFileModify: 0 into each access file of the capabilities.",
            _BOUNDARY,
        )
    return note(
        about,
        "a convention: CUDA_VISIBLE_DEVICES says which slice a kernel uses, and nothing stops"
        " another process from using it",
        "Where people who do not trust each other share the node: a broker for all users of it,"
        " or containers, or jobs.",
        _BOUNDARY,
    )
