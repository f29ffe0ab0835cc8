"""Commands are on the CPUs near their slices' GPUs."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.nodes import CommandLine, simulated

CPUS = sorted(os.sched_getaffinity(0))
TELL = (sys.executable, "-c", "import os; print(*sorted(os.sched_getaffinity(0)))")

pytestmark = pytest.mark.skipif(
    len(CPUS) < 2 or len(CPUS) < (os.cpu_count() or 1), reason="needs two CPUs, and all there are"
)


@pytest.fixture(scope="module")
def mig() -> Iterator[CommandLine]:
    """A node of two GPUs and two NUMA nodes."""
    with simulated("simulated:2xA100-SXM4-40GB?time_scale=0&numa=2") as command_line:
        yield command_line


def cpus_in(line: str) -> list[int]:
    """What the command told."""
    return [int(cpu) for cpu in line.split()]


def test_run_stays_near_unless_told(mig: CommandLine) -> None:
    """Half of the CPUs, or all."""
    near = cpus_in(mig("run", "--size", "1g.5gb", "--", *TELL).stdout)
    assert near in (CPUS[: len(CPUS) // 2], CPUS[len(CPUS) // 2 :])
    anywhere = mig("run", "--size", "1g.5gb", "--any-cpu", "--", *TELL)
    assert cpus_in(anywhere.stdout) == CPUS


def test_jobs_of_a_batch_are_each_near_their_own(mig: CommandLine, tmp_path: Path) -> None:
    """Two jobs at once on two GPUs have all CPUs between them; or each has all."""
    jobs = tmp_path / "jobs"
    jobs.write_text(f"7g.40gb {shlex.join(TELL)}\n" * 2)
    each = tmp_path / "near"
    mig("batch", str(jobs), "--output-dir", str(each))
    told = [cpus_in(file.read_text()) for file in sorted(each.glob("*.out"))]
    assert len(told) == 2
    assert all(len(cpus) < len(CPUS) for cpus in told)
    each = tmp_path / "any"
    mig("batch", str(jobs), "--any-cpu", "--output-dir", str(each))
    assert [cpus_in(file.read_text()) for file in sorted(each.glob("*.out"))] == [CPUS, CPUS]
