"""The process that serves users has been taken over: what root's does with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.broker.system.shared_node import SharedNode, lacking, shared_node
from tests.broker.system.test_system_broker import pidfd_gone

_TAKEN_OVER = """
import os, signal, sys, time
from pathlib import Path
from jupyter_mig.broker.helper import verbs
from jupyter_mig.broker.system import configuration, processes
import msgspec

class TakenOver(processes.SystemBroker, frozen=True):
    def _be_broker(self, end, manager):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print(os.getpid(), flush=True)
        ask = msgspec.json.encode(verbs.Request(1, verbs.Describe()))
        end.send(ask)
        end.recv(1 << 20)  # the helper is at work
        if sys.argv[2] == "nonsense":
            end.send(b"Hello!")
        elif sys.argv[2] == "flood":
            end.settimeout(1)
            try:
                for _ in range(1_000_000):
                    end.send(ask)
            except TimeoutError:
                pass
        print("done", flush=True)
        time.sleep(1000)

processes.PATIENCE_SECONDS = 1
sys.exit(TakenOver(configuration.read(Path(sys.argv[1]))).run())
"""


@pytest.fixture
def node() -> Iterator[SharedNode]:
    """One whose broker is none."""
    if lacking():
        pytest.skip(lacking())
    with shared_node() as one:
        yield one


@contextmanager
def _taken_over(node: SharedNode, how: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Root's process, and the pid of its child once that has said what it says."""
    process = subprocess.Popen(
        [sys.executable, "-c", _TAKEN_OVER, str(node.configuration), how],
        env={**os.environ, **node.environ()},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    child = int(process.stdout.readline())
    try:
        while process.stdout.readline() != "done\n":
            assert process.poll() is None
        yield process, child
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


def test_who_says_what_is_no_verb_does_not_serve_on(node: SharedNode) -> None:
    """The helper ends, and so does the process that was taken over, which would rather not."""
    with _taken_over(node, "nonsense") as (process, child):
        assert process.wait(60) != 0
        pidfd_gone(child)


@pytest.mark.parametrize("how", ["silence", "flood"])
def test_it_is_ended_when_the_service_is(node: SharedNode, how: str) -> None:
    """Though it heeds no signal, and has asked a million times and read no answer, which does not
    fill root's memory.
    """
    with _taken_over(node, how) as (process, child):
        status = Path(f"/proc/{process.pid}/status").read_text()
        (resident,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
        assert int(resident.split()[1]) < 200_000, resident
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 128 + signal.SIGKILL
        pidfd_gone(child)
