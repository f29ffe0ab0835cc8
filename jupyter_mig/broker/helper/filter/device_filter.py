"""Which cgroups may open which slices' nodes: the filter at work, and what it remembers.

The kernel keeps a program with what it is attached to, and the map with the program. So whoever was
let in stays in while the helper is away, and the next helper finds both by the program's name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path

from jupyter_mig import errors
from jupyter_mig.broker import processes
from jupyter_mig.broker.helper.filter import bpf, program

NAME = "jupyter_mig"
_MOST_KEYS = 4096
_DEEPEST = 12
"""How many levels of cgroups below the tree are looked up: sessions of systemd are on the fifth."""

_UNIFIED = re.compile(r"^0::(/.*)$", re.MULTILINE)


class DeviceFilter:
    """The filter below one cgroup, ``tree``, for the GPUs of these minor numbers.

    Nothing is filtered before the first slice is closed: only its nodes tell the devices' number.
    Raises MalformedSpec if the tree is no cgroup of version 2, or the kernel has no such filter: it
    must be Linux 5.7 or newer.
    """

    def __init__(self, tree: Path, gpu_minors: Iterable[int]) -> None:
        self._tree = tree
        self._gpus = tuple(gpu_minors)
        self._depth = _depth(tree)
        self._major: int | None = None
        try:
            self._cgroup = os.open(tree, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            self._map = self._kept() or bpf.create_map(program.KEY_BYTES, _MOST_KEYS)
            os.close(self._load(0))  # a kernel that does not take it says so now
        except OSError as error:
            raise _unusable(tree, error) from error

    def close_devices(self, devices: Collection[int]) -> None:
        """Let no cgroup open these any more. Raises NoPermission if that cannot be."""
        try:
            for device in devices:
                self._filter(os.major(device))
            minors = {os.minor(device) for device in devices}
            for key in bpf.keys(self._map, program.KEY_BYTES):
                if program.minor_in(key) in minors:
                    with suppress(FileNotFoundError):
                        bpf.remove(self._map, key)
        except OSError as error:
            raise errors.NoPermission(
                "The slice cannot be closed to other cgroups", situation=str(error.strerror)
            ) from error

    def let_in(self, pid: int, devices: Iterable[int]) -> None:
        """Let the cgroup of that process open them. Raises NoPermission if it has none that can be
        told from all others.
        """
        cgroup = self._cgroup_of(pid)
        try:
            for device in devices:
                bpf.add(self._map, program.key(cgroup.stat().st_ino, os.minor(device)))
        except OSError as error:
            raise errors.NoPermission(
                "A cgroup cannot be let in to its slice", situation=f"{cgroup}: {error.strerror}"
            ) from error

    def release(self) -> None:
        """Let go of it; it stays as it is."""
        os.close(self._map)
        os.close(self._cgroup)

    def _load(self, major: int) -> int:
        levels = range(self._depth + 1, self._depth + 1 + _DEEPEST)
        return bpf.load(program.assemble(self._map, major, self._gpus, levels), NAME)

    def _kept(self) -> int | None:
        """The map of the filter that is there already."""
        found = None
        for each in bpf.attached(self._cgroup, NAME):
            found = found or bpf.map_of(each)
            os.close(each)
        return found

    def _filter(self, major: int) -> None:
        """Be asked about devices of that number; what was asked before goes afterwards."""
        if major == self._major:
            return
        fresh = self._load(major)
        before = [*bpf.attached(self._cgroup, NAME)]
        bpf.attach(self._cgroup, fresh)
        for old in before:
            bpf.detach(self._cgroup, old)
        for each in (*before, fresh):
            os.close(each)
        self._major = major

    def _cgroup_of(self, pid: int) -> Path:
        try:
            text = (processes.PROC / str(pid) / "cgroup").read_text()
        except OSError as error:
            raise errors.NotFound(f"There is no process {pid}", code=6) from error
        found = _UNIFIED.search(text)
        top = self._tree if self._depth == 0 else self._tree.parents[self._depth - 1]
        cgroup = top / found[1].lstrip("/") if found else top
        if self._tree not in cgroup.parents:
            raise errors.NoPermission(
                "A slice cannot be given to a process without a cgroup of its own",
                situation=f"Process {pid} is in {cgroup}, which is not below {self._tree}.",
                next_step="Have the spawner give each server one; or unset cgroup_filter.",
            )
        return cgroup


def take_away(tree: Path) -> None:
    """Filter nothing there any more; a cgroup that is gone is fine."""
    try:
        cgroup = os.open(tree, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        for found in bpf.attached(cgroup, NAME):
            bpf.detach(cgroup, found)
            os.close(found)
    except OSError as error:
        raise _unusable(tree, error) from error
    finally:
        os.close(cgroup)


def _depth(tree: Path) -> int:
    """How far below the root of all cgroups it is."""
    if not is_cgroup(tree):
        raise _unusable(tree, OSError(0, "it is no cgroup of version 2"))
    return sum(is_cgroup(parent) for parent in tree.parents)


def is_cgroup(directory: Path) -> bool:
    """Whether it is one of version 2."""
    return (directory / "cgroup.controllers").exists()


def _unusable(tree: Path, error: OSError) -> errors.MalformedSpec:
    return errors.MalformedSpec(
        "The filter for cgroups cannot be set up.",
        situation=f"{tree}: {error.strerror}.",
        next_step="cgroup_filter must name a directory of the cgroup2 file system, or none.",
    )
