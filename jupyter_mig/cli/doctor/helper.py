"""What only root may look at: the helper's directory, and what is open that should not be."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec

from jupyter_mig.broker import processes
from jupyter_mig.broker.helper.descriptors import open_devices
from jupyter_mig.broker.helper.register import Register
from jupyter_mig.broker.system.configuration import MIGBroker
from jupyter_mig.broker.system.directories import REGISTER
from jupyter_mig.cli.doctor.boundary import Attempt
from jupyter_mig.cli.doctor.finding import Finding, note, ok, problem
from jupyter_mig.errors import JupyterMigError
from jupyter_mig.nvml.examination import GpuExamined

_ABOUT = "helper"
_PAGE = "A broker for all users of a node"
_ROOT = 0


class Stash(msgspec.Struct, frozen=True):
    """A process of another user's than the node's that has it open."""

    node: Path
    owner: int
    pid: int
    uid: int


class HelperFacts(msgspec.Struct, frozen=True):
    """``made`` is the register: GPU UUIDs and GPU instance ids. ``there`` are those on the GPUs
    that are cut; None if the driver did not tell.
    """

    directory: Path
    owner: int = _ROOT
    mode: int = 0o700
    exists: bool = True
    made: frozenset[tuple[str, int]] = frozenset()
    there: frozenset[tuple[str, int]] | None = None
    error: JupyterMigError | None = None
    stashes: tuple[Stash, ...] = ()


def look(
    own: MIGBroker, gpus: tuple[GpuExamined, ...] | None, attempts: tuple[Attempt, ...]
) -> HelperFacts:
    """As root, and without changing anything."""
    directory = Path(own.helper_directory)
    stashes = tuple(_stashes(attempts))
    try:
        seen = directory.stat()
    except OSError:
        return HelperFacts(directory, exists=False, stashes=stashes)
    facts = HelperFacts(
        directory, seen.st_uid, stat.S_IMODE(seen.st_mode), there=_there(own, gpus), stashes=stashes
    )
    try:
        return msgspec.structs.replace(facts, made=Register(directory / REGISTER).made)
    except JupyterMigError as error:
        return msgspec.structs.replace(facts, error=error)


def check(facts: HelperFacts) -> Iterator[Finding]:
    """Is its memory safe, and does it agree with the hardware?"""
    findings = [*_directory(facts), *_register(facts), *_stashed(facts)]
    there = "" if facts.there is not None else "; it was not compared with the hardware"
    yield from findings or [
        ok(_ABOUT, f"{facts.directory} is root's alone, and its register reads back{there}")
    ]


def unseen() -> Finding:
    """What a user cannot look at."""
    return note(
        _ABOUT,
        "not looked at: the helper's directory and register, and whether somebody has nodes of"
        " others open from before",
        "Only root sees that: sudo jupyter mig doctor",
        _PAGE,
    )


def _directory(facts: HelperFacts) -> Iterator[Finding]:
    if not facts.exists:
        yield note(_ABOUT, f"{facts.directory} is not there: no broker has run yet")
    elif facts.owner != _ROOT or facts.mode & 0o077:
        yield problem(
            _ABOUT,
            f"{facts.directory} is not root's alone (user {facts.owner}, mode {facts.mode:04o}):"
            " what it says may be destroyed",
            f"sudo chown root {facts.directory}\nsudo chmod 0700 {facts.directory}",
            _PAGE,
        )


def _register(facts: HelperFacts) -> Iterator[Finding]:
    if facts.error is not None:
        seen = f"{facts.error.message} {facts.error.situation}"
        yield problem(_ABOUT, seen, facts.error.next_step, _PAGE)
        return
    if facts.there is None or not facts.exists:
        return
    gone, foreign = facts.made - facts.there, facts.there - facts.made
    if gone:
        yield note(
            _ABOUT,
            f"the register names instances that are gone: {_listed(gone)}",
            "Somebody destroyed them beside the broker. It forgets them when their leases end.",
            _PAGE,
        )
    if foreign:
        yield note(
            _ABOUT,
            f"instances that the helper did not make, and does not destroy: {_listed(foreign)}",
            "jupyter mig admin orphans lists them; adopt or destroy settles each.",
            _PAGE,
        )


def _stashed(facts: HelperFacts) -> Iterator[Finding]:
    for one in facts.stashes:
        yield problem(
            "open descriptors",
            f"process {one.pid} of user {one.uid} has {one.node} open, which is user {one.owner}'s:"
            " modes do not keep out who is in",
            f"kill {one.pid}\nThe broker ends it, too, at its next look, if the slice is held.",
            "Who can do what",
        )


def _stashes(attempts: tuple[Attempt, ...]) -> Iterator[Stash]:
    """By device, whatever path it was opened by."""
    devices = {each.node.stat().st_rdev: each for each in attempts if each.node.exists()}
    for pid, device in sorted(set(open_devices())):
        process = processes.find(pid) if device in devices else None
        if process is not None and process.uid not in (
            _ROOT,
            devices[device].owner,
            *devices[device].also,
        ):
            yield Stash(devices[device].node, devices[device].owner, pid, process.uid)


def _there(
    own: MIGBroker, gpus: tuple[GpuExamined, ...] | None
) -> frozenset[tuple[str, int]] | None:
    if gpus is None:
        return None
    cut = [gpu for gpu in gpus if gpu.uuid in own.gpus]
    return frozenset((gpu.uuid, one.identity.gi_id) for gpu in cut for one in gpu.instances)


def _listed(instances: frozenset[tuple[str, int]]) -> str:
    return ", ".join(f"{gi_id} on {uuid}" for uuid, gi_id in sorted(instances))
