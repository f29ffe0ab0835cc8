"""A node's broker, both of its processes, answers strangers as it says, and loses nothing by it."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests.broker.system.shared_node import ALICE, SharedNode, interpreter, lacking, shared_node
from tests.broker.test_fuzzing import forwarded, fuzz

_HASTY = """
import sys
import msgspec
from jupyter_mig.broker.system.configuration import MIGBroker
from jupyter_mig.cli.main import main
settings = MIGBroker.settings
MIGBroker.settings = property(
    lambda self: msgspec.structs.replace(settings.fget(self), longest_wait=0.05)
)
sys.exit(main())
"""
"""The broker, which holds no answer back for long: schemathesis asks one thing at a time."""

MORE_DESCRIPTORS = 16
"""That a broker may have once it has met everything: threads open the annals, for one."""

MORE_MEMORY_KIB = 64 * 1024


@pytest.mark.parametrize("uid", [ALICE, 0], ids=["user", "root"])
async def test_schemathesis_finds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uid: int
) -> None:
    """No answer is a bug or comes late, for a user and for root, who administers; afterwards nobody
    holds anything, and both processes have no more open than before.
    """
    if lacking():
        pytest.skip(lacking())
    python = interpreter()
    assert python is not None
    with shared_node() as node:
        cli = node._cli

        def hasty(*arguments: str) -> list[str]:
            return [python, "-c", _HASTY, *arguments] if "broker" in arguments else cli(*arguments)

        monkeypatch.setattr(node, "_cli", hasty)
        node.start()
        assert node.asked(ALICE, "run", "--size", "1g.5gb", "--", "true").returncode == 0
        before = [_costs(pid) for pid in node.processes()]
        async with forwarded(node.socket, python, uid) as url:
            await fuzz(url, tmp_path)
        _until_empty(node)
        for pid, (files, kibibytes) in zip(node.processes(), before, strict=True):
            assert _costs(pid)[0] <= files + MORE_DESCRIPTORS
            assert _costs(pid)[1] <= kibibytes + MORE_MEMORY_KIB
        assert "Traceback" not in node.said()


def _costs(pid: int) -> tuple[int, int]:
    """How many descriptors a process has open, and its memory in KiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    (resident,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()), int(resident.split()[1])


def _until_empty(node: SharedNode) -> None:
    """Who asked is gone: so is what he held, and the device nodes of it are nobody's."""
    give_up_at = time.monotonic() + 60
    while json.loads(node.asked(0, "admin", "leases", "--json").stdout):
        assert time.monotonic() < give_up_at, node.said()
