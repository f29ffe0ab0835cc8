"""Slices that cannot be had although they are there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from jupyter_mig.cli.cells import printable
from jupyter_mig.cli.doctor.finding import Finding, note, ok, problem
from jupyter_mig.wire.messages import GpuView, InstanceView, NodeView

_HOWTO = "When a kernel does not start"
_RULES = "A broker for all users of a node"


class SliceFacts(msgspec.Struct, frozen=True):
    """The broker's picture, and the names of the programs whose pids are in it."""

    node: NodeView
    programs: Mapping[int, str]


def look(node: NodeView, proc: Path = Path("/proc")) -> SliceFacts:
    """Look up the suspects' programs, as far as they can be read."""
    suspects = {pid for gpu in node.gpus for one in gpu.instances for pid in one.suspects}
    named = ((pid, _program(proc / str(pid) / "comm")) for pid in sorted(suspects))
    return SliceFacts(node, {pid: name for pid, name in named if name})


def check(facts: SliceFacts) -> Iterator[Finding]:
    """GPUs that the broker cannot use, slices that will not clear, slices that nobody holds."""
    findings = [
        finding
        for gpu in facts.node.gpus
        for finding in (*_unusable(gpu), *_stuck(gpu, facts.programs), *_outside(gpu))
    ]
    yield from findings or [ok("slices", "all are held by a kernel or free")]
    yield from _limits(facts.node)


def _limits(node: NodeView) -> Iterator[Finding]:
    """What an administrator's rule means to who asks; nothing where none does."""
    if node.allowance_not_available:
        seen = f"not known: {node.allowance_not_available}"
        yield note("limits", seen, "Slices are refused until they are.", _RULES)
    elif node.allowance is not None:
        mine = node.allowance
        never = [size.size for size in node.sizes if size.not_allowed]
        refused = f"; never: {', '.join(never)}" if never else ""
        yield ok("limits", f"{mine.rule}: {mine.allows}{refused}; you hold {mine.holds}")


def _unusable(gpu: GpuView) -> Iterator[Finding]:
    if gpu.problem:
        yield problem(
            f"GPU {gpu.index}",
            f"the broker does not use it: {gpu.problem}",
            gpu.next_step or "When that is mended, the broker sees it within half a minute.",
            _HOWTO,
        )
    for text in gpu.notes:
        yield note(f"GPU {gpu.index}", text, page=_HOWTO)


def _stuck(gpu: GpuView, programs: Mapping[int, str]) -> Iterator[Finding]:
    for one in gpu.instances:
        if one.state == "condemned":
            yield problem(
                f"slice {one.profile}",
                f"on GPU {gpu.index} it will not clear: {_by_whom(one, programs)}; it is retried",
                _end(one),
                _HOWTO,
            )


def _by_whom(instance: InstanceView, programs: Mapping[int, str]) -> str:
    if not instance.suspects:
        return "nobody is known to use it"
    names = (f"{pid} ({programs.get(pid, 'unknown')})" for pid in instance.suspects)
    return f"in use by process {', '.join(names)}"


def _end(instance: InstanceView) -> str:
    if not instance.suspects:
        return (
            "A monitor may hold it open without being listed (DCGM, an exporter): restart that.\n"
            "sudo systemctl restart nvidia-dcgm"
        )
    return f"End what is still on it: kill {' '.join(map(str, instance.suspects))}"


def _outside(gpu: GpuView) -> Iterator[Finding]:
    unheld = [one for one in gpu.instances if one.state == "outside"]
    if unheld:
        yield note(
            f"GPU {gpu.index}",
            f"the broker did not make these and leaves them alone: {_profiles(unheld)}",
            "If nobody wants them: sudo nvidia-smi mig -i"
            f" {gpu.index} -dci; sudo nvidia-smi mig -i {gpu.index} -dgi",
            _HOWTO,
        )


def _profiles(instances: list[InstanceView]) -> str:
    return ", ".join(one.profile for one in instances)


def _program(comm: Path) -> str:
    try:
        return printable(comm.read_text(encoding="utf-8", errors="replace").strip())
    except OSError:
        return ""
