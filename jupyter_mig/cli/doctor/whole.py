"""Whether GPUs that a node's broker hands out whole are closed to others: tried, as one of them."""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from jupyter_mig.broker.system.configuration import MIGBroker
from jupyter_mig.cli.doctor import modprobe
from jupyter_mig.cli.doctor.boundary import Attempt, listed, opening, ordinary, paths
from jupyter_mig.cli.doctor.finding import Finding, note, ok, problem
from jupyter_mig.cli.measures import counted
from jupyter_mig.nvml.access import AccessNodes
from jupyter_mig.nvml.examination import GpuExamined

_ABOUT = "whole GPUs"
_PAGE = "A broker for all users of a node"
_OTHERS = 0o007
_GPUS = Path("proc/driver/nvidia/gpus")


class WholeFacts(msgspec.Struct, frozen=True):
    """``tried_as`` is a uid, ``own`` how many of the GPUs are that user's, ``keeper`` the group of
    the broker. ``unknown`` are GPUs whose nodes nobody names. ``modifies`` is the driver's
    parameter; None if the driver does not tell.
    """

    tried_as: int
    attempts: tuple[Attempt, ...] = ()
    groups: tuple[int, ...] = ()
    keeper: int = 0
    own: int = 0
    unknown: tuple[str, ...] = ()
    modifies: bool | None = None


def look(root: Path, own: MIGBroker, gpus: tuple[GpuExamined, ...]) -> WholeFacts | None:
    """Try to open each that is not ours, to read and write as CUDA does. None where no GPU is to be
    closed.
    """
    if not (own.isolation and own.whole_gpus):
        return None
    minors = {**_told(root / _GPUS), **{gpu.uuid: gpu.minor for gpu in gpus if not gpu.trouble}}
    nodes = [
        AccessNodes.under(root).gpus / f"nvidia{minors[each]}"
        for each in own.whole_gpus
        if each in minors
    ]
    keeper = _user(own.user)
    with ordinary() as uid:
        found = [each for each in (_tried(node, uid, keeper) for node in nodes) if each is not None]
    others = [each for each in found if each[0].owner != uid]
    return WholeFacts(
        uid,
        attempts=tuple(each for each, _ in others),
        groups=tuple(group for _, group in others),
        keeper=keeper.pw_gid if keeper else 0,
        own=len(found) - len(others),
        unknown=tuple(each for each in own.whole_gpus if each not in minors),
        modifies=modprobe.modifies_nodes(root),
    )


def check(facts: WholeFacts | None) -> Iterator[Finding]:
    """A boundary if all were refused and stay closed; else what is wrong, and what to do."""
    if facts is None:
        return
    wrong = [*_modifiable(facts), *_opened(facts), *_loose(facts)]
    yield from wrong
    if facts.unknown:
        yield note(_ABOUT, f"not tried: no node is known of {', '.join(facts.unknown)}")
    if not wrong and facts.attempts:
        yield ok(
            _ABOUT,
            f"a boundary: user {facts.tried_as} tried {counted(len(facts.attempts), 'node')} of"
            " others' GPUs, and none opened; they are closed by owner and mode, and stay so",
        )


def _modifiable(facts: WholeFacts) -> Iterator[Finding]:
    if facts.modifies is False:
        return
    told = "is 1" if facts.modifies else "is not told by the driver"
    yield problem(
        _ABOUT,
        f"NVreg_ModifyDeviceFiles {told}: any user can have nvidia-modprobe open /dev/nvidiaN to"
        " all, so the broker hands no GPU out whole",
        "options nvidia NVreg_ModifyDeviceFiles=0 in /etc/modprobe.d, a udev rule that makes the"
        " nodes, and the driver loaded anew.",
        _PAGE,
    )


def _opened(facts: WholeFacts) -> Iterator[Finding]:
    opened = [each for each in facts.attempts if not each.refused]
    if opened:
        yield problem(
            _ABOUT,
            f"a convention: user {facts.tried_as} could open {listed(opened)}",
            f"sudo chmod o= {paths(opened)}\nThe broker closes them at its next look; its log says"
            " Changed, and if not, why.",
            _PAGE,
        )


def _loose(facts: WholeFacts) -> Iterator[Finding]:
    """Closed to the one who tried, but not to all."""
    pairs = zip(facts.attempts, facts.groups, strict=True)
    loose = [
        each
        for each, group in pairs
        if each.refused and (each.mode & _OTHERS or group not in (0, facts.keeper))
    ]
    if loose:
        yield problem(
            _ABOUT,
            f"a convention: others than owner and broker are let in: {listed(loose)}",
            f"sudo chown :{facts.keeper} {paths(loose)}\nsudo chmod o= {paths(loose)}",
            _PAGE,
        )


def _tried(node: Path, uid: int, keeper: pwd.struct_passwd | None) -> tuple[Attempt, int] | None:
    """And the node's group."""
    try:
        seen = node.stat()
    except OSError:
        return None
    outcome = 0 if seen.st_uid == uid else opening(node, os.O_RDWR)
    also = (keeper.pw_uid,) if keeper else ()
    mode = stat.S_IMODE(seen.st_mode)
    attempt = Attempt(node, os.minor(seen.st_rdev), seen.st_uid, mode, outcome, also=also)
    return attempt, seen.st_gid


def _user(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _told(folder: Path) -> Mapping[str, int]:
    """The numbers of nodes, by GPU, as the driver tells everybody; NVML names no GPU to who cannot
    open it.
    """
    found: dict[str, int] = {}
    for file in sorted(folder.glob("*/information")):
        try:
            lines = file.read_text(encoding="ascii", errors="replace").splitlines()
        except OSError:  # the GPU went just now
            continue
        words = {key.strip(): text.strip() for key, _, text in (x.partition(":") for x in lines)}
        if words.get("Device Minor", "").isdigit():
            found[words.get("GPU UUID", "")] = int(words["Device Minor"])
    return found
