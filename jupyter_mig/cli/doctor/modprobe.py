"""The driver's own tool, which any user may run, and what it may do to device nodes."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec

from jupyter_mig.cli.doctor.finding import Finding, note, ok

_ABOUT = "nvidia-modprobe"
_PAGE = "A convention, or a boundary"
_PARAMETERS = Path("proc/driver/nvidia/params")


class ModprobeFacts(msgspec.Struct, frozen=True):
    """``tool`` if there is one. ``modifies`` is the driver's parameter (NVreg_ModifyDeviceFiles);
    None if the driver does not tell.
    """

    tool: Path | None = None
    setuid: bool = False
    modifies: bool | None = None


def look(root: Path) -> ModprobeFacts:
    """It is not run: that would make nodes."""
    modifies = modifies_nodes(root)
    found = shutil.which("nvidia-modprobe", path="/usr/bin:/usr/sbin:/bin:/sbin")
    if found is None:
        return ModprobeFacts(modifies=modifies)
    try:
        mode = Path(found).stat().st_mode
    except OSError:
        return ModprobeFacts(modifies=modifies)
    return ModprobeFacts(Path(found), bool(mode & stat.S_ISUID), modifies)


def modifies_nodes(root: Path) -> bool | None:
    """``ModifyDeviceFiles`` among the driver's parameters below a root."""
    try:
        text = (root / _PARAMETERS).read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "ModifyDeviceFiles":
            return value.strip() != "0"
    return None


def check(facts: ModprobeFacts) -> Iterator[Finding]:
    """With the parameter at 0 it changes no node of a GPU; those of slices have their own files."""
    tool = "is not installed" if facts.tool is None else f"{facts.tool}"
    if facts.setuid:
        tool += ", setuid: any user runs it as root"
    if facts.modifies is None:
        yield ok(_ABOUT, f"{tool}; the driver does not tell whether it may change nodes of GPUs")
    elif facts.modifies:
        yield note(
            _ABOUT,
            f"{tool}; NVreg_ModifyDeviceFiles is 1, so it sets owners and modes of /dev/nvidiaN"
            " back. Nodes of slices go by their own capability files",
            "For whole GPUs: options nvidia NVreg_ModifyDeviceFiles=0 in /etc/modprobe.d, and a"
            " udev rule that makes the nodes.",
            _PAGE,
        )
    else:
        yield ok(_ABOUT, f"{tool}; NVreg_ModifyDeviceFiles is 0: it changes no node of a GPU")
