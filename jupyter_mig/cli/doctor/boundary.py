"""Whether slices are closed to those whose they are not: tried, as one of them.

``DeviceFileModify`` decides whether a closed node stays closed: any user may run nvidia-modprobe,
which is setuid and sets owner and mode back where it is 1.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from jupyter_mig.cli.doctor.finding import Finding, note, ok, problem
from jupyter_mig.cli.measures import counted
from jupyter_mig.nvml.access import AccessNodes

_ABOUT = "isolation"
_PAGE = "A convention, or a boundary"
_CONFIG = 1
"""The minor number of mig/config: who opens it cuts all GPUs."""
_MONITOR = 2
_REFUSED = (errno.EACCES, errno.EPERM)
"""By owner and mode, or by a device filter of our cgroup."""
_OTHERS = 0o077
_NOBODY = 65534


class Attempt(msgspec.Struct, frozen=True):
    """One node that is not the asker's. ``outcome`` is the error with which it did not open; 0 if
    it did. ``modifiable``: the capability file lets nvidia-modprobe set it back. ``also`` are
    users who may have it open beside the owner.
    """

    node: Path
    minor: int
    owner: int
    mode: int
    outcome: int
    capability: Path | None = None
    modifiable: bool = False
    also: tuple[int, ...] = ()

    @property
    def refused(self) -> bool:
        """Whether it is closed to whoever tried. Any other error comes from behind the node."""
        return self.outcome in _REFUSED


class BoundaryFacts(msgspec.Struct, frozen=True):
    """``wanted``: whether the node's broker is to isolate. ``tried_as`` is a uid, ``own`` how many
    nodes are that user's. ``makeable`` are capabilities without a node, which nvidia-modprobe would
    make for everybody.
    """

    wanted: bool
    tried_as: int
    attempts: tuple[Attempt, ...] = ()
    own: int = 0
    makeable: tuple[Path, ...] = ()


def look(root: Path, *, wanted: bool) -> BoundaryFacts:
    """Try to open every node of a capability below a root that is not ours. Root, who is kept out
    of nothing, tries as nobody.
    """
    access = AccessNodes.under(root)
    described = dict(_described(access.proc))
    with ordinary() as uid:
        found = list(_attempts(access.dev, described, uid))
    there = {each.minor for each in found}
    makeable = (file for minor, (file, free) in described.items() if free and minor not in there)
    return BoundaryFacts(
        wanted,
        uid,
        attempts=tuple(each for each in found if each.owner != uid),
        own=sum(each.owner == uid for each in found),
        makeable=tuple(sorted(makeable)),
    )


def check(facts: BoundaryFacts) -> Iterator[Finding]:
    """A boundary if all were refused and stay closed; else a convention, why, and what to do."""
    if not facts.wanted:
        opened = counted(sum(not each.refused for each in facts.attempts), "node")
        yield note(
            _ABOUT,
            "a convention: MIGBroker.isolation is off, so every user can open every slice"
            f" ({opened} of others opened)",
            "Take isolation out of the configuration and start the broker again.",
            _PAGE,
        )
        return
    wrong = [*_opened(facts), *_loose(facts), *_resettable(facts), *_makeable(facts)]
    yield from wrong
    if not wrong:
        yield _closed(facts)


def _closed(facts: BoundaryFacts) -> Finding:
    slices = [each for each in facts.attempts if each.minor > _MONITOR]
    if not slices:
        seen = "not tried: there is no slice now but this user's own"
        return note(_ABOUT, seen, "Look again while somebody else has one.", _PAGE)
    return ok(
        _ABOUT,
        f"a boundary: user {facts.tried_as} tried {counted(len(slices), 'node')} of others' slices,"
        " and none opened; they are closed by owner and mode, and stay so",
    )


def _opened(facts: BoundaryFacts) -> Iterator[Finding]:
    opened = [each for each in facts.attempts if not each.refused]
    if opened:
        yield _broken(
            f"user {facts.tried_as} could open {listed(opened)}",
            f"sudo chmod go= {paths(opened)}\nThen find out who opened them: ls -l, and the log"
            " of the broker.",
        )


def _loose(facts: BoundaryFacts) -> Iterator[Finding]:
    """Closed to the one who tried, but not to all."""
    loose = [each for each in facts.attempts if each.refused and each.mode & _OTHERS]
    if loose:
        yield _broken(
            f"modes let others than the owner in: {listed(loose)}",
            f"sudo chmod go= {paths(loose)}",
        )


def _resettable(facts: BoundaryFacts) -> Iterator[Finding]:
    free = [one for one in facts.attempts if one.modifiable and one.minor > _MONITOR]
    if free:
        files = " ".join(str(each.capability) for each in free)
        yield _broken(
            "any user can have nvidia-modprobe open them again, as DeviceFileModify is 1 for"
            f" {listed(free)}",
            f"echo 'DeviceFileModify: 0' | sudo tee {files}",
        )


def _makeable(facts: BoundaryFacts) -> Iterator[Finding]:
    if facts.makeable:
        files = " ".join(map(str, facts.makeable))
        yield _broken(
            f"nodes that are not there can be made for everybody with nvidia-modprobe: {files}",
            f"echo 'DeviceFileModify: 0' | sudo tee {files}",
        )


def _broken(why: str, fix: str) -> Finding:
    return problem(_ABOUT, f"a convention: {why}", fix, _PAGE)


def listed(attempts: Iterable[Attempt]) -> str:
    """Nodes, and whose they are."""
    return ", ".join(f"{each.node} (user {each.owner}, mode {each.mode:04o})" for each in attempts)


def paths(attempts: Iterable[Attempt]) -> str:
    """Nodes, for a command."""
    return " ".join(str(each.node) for each in attempts)


def _attempts(
    folder: Path, described: Mapping[int, tuple[Path, bool]], uid: int
) -> Iterator[Attempt]:
    """Of all nodes but that of mig/monitor, which is everybody's."""
    for node in sorted(folder.glob("nvidia-cap*"), key=lambda path: (len(path.name), path.name)):
        number = re.fullmatch(r"nvidia-cap(\d+)", node.name)
        if number is None or int(number[1]) == _MONITOR:
            continue
        with_file = described.get(int(number[1]), (None, False))
        try:
            seen = node.stat()
        except OSError:  # its instance went just now
            continue
        outcome = 0 if seen.st_uid == uid else opening(node)
        if outcome != errno.ENOENT:
            mode = stat.S_IMODE(seen.st_mode)
            yield Attempt(node, int(number[1]), seen.st_uid, mode, outcome, *with_file)


def opening(node: Path, how: int = os.O_RDONLY) -> int:
    """The error with which a node does not open; 0 if it does."""
    try:
        os.close(os.open(node, how | os.O_CLOEXEC | os.O_NONBLOCK))
    except OSError as error:
        return error.errno or errno.EIO
    return 0


def _described(proc: Path) -> Iterator[tuple[int, tuple[Path, bool]]]:
    """Minor number, capability file, and whether nvidia-modprobe may set its node back."""
    for file in sorted(proc.glob("gpu*/mig/**/access")):
        try:
            lines = file.read_text(encoding="ascii").splitlines()
        except OSError:  # its instance went just now
            continue
        words = {key.strip(): text.strip() for key, _, text in (x.partition(":") for x in lines)}
        if words.get("DeviceFileMinor", "").isdigit():
            modifiable = words.get("DeviceFileModify") != "0"
            yield int(words["DeviceFileMinor"]), (file, modifiable)


@contextmanager
def ordinary() -> Iterator[int]:
    """Be a user whom modes keep out; who that is."""
    if os.geteuid() != 0:
        yield os.geteuid()
        return
    group, groups = os.getegid(), os.getgroups()
    os.setgroups([])
    os.setegid(_NOBODY)
    os.seteuid(_NOBODY)
    try:
        yield _NOBODY
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)
