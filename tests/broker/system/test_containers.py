"""Users whose processes count pids for themselves, as in a container with the broker's socket."""

from __future__ import annotations

import subprocess

import pytest

from tests.broker.system.shared_node import ALICE, SharedNode

_INTO = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
_WHO = ("setpriv", f"--reuid={ALICE}", f"--regid={ALICE}", "--clear-groups")


def _contained(node: SharedNode, *command: str, said: str = "") -> subprocess.CompletedProcess[str]:
    """``jupyter mig …`` as Alice in a pid namespace of its own."""
    return subprocess.run(
        [*_INTO, *_WHO, *node._cli(*command)],
        input=said,
        check=False,
        capture_output=True,
        text=True,
        env=node.environ(),
        cwd="/",
        timeout=60,
    )


@pytest.fixture(autouse=True)
def _can_unshare(node: SharedNode) -> None:
    if subprocess.run([*_INTO, "true"], check=False, capture_output=True).returncode:
        pytest.skip("pid namespaces cannot be made here")


def test_leases_of_a_container_hang_on_heartbeats(node: SharedNode) -> None:
    """The pids that it names are other processes' here: none of these is tied to anything."""
    jobs = "1g.5gb sh -c 'echo $CUDA_VISIBLE_DEVICES; sleep 0.2'\n" * 2
    done = _contained(node, "batch", "-", said=jobs)
    assert done.stdout.count("MIG-") == 2, (done, node.said())
    assert done.returncode == 0


def test_a_command_in_a_container_is_told_why_not(node: SharedNode) -> None:
    """And holds nothing afterwards."""
    done = _contained(node, "run", "--size", "1g.5gb", "--", "true")
    assert "cannot see the processes here" in done.stderr
    assert done.returncode != 0
    assert node.asked(ALICE, "leases", "--json").stdout.strip() == b"[]"
