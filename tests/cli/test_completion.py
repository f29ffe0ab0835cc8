"""The Tab key, in real shells, against a simulated node."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from jupyter_mig.cli import completion
from jupyter_mig.cli.exits import Exit
from jupyter_mig.client import Client
from jupyter_mig.wire.messages import LeaseRequest
from tests.cli.nodes import CommandLine
from tests.cli.screens import BASH, ZSH, Screen, shell

PROGRAMS = str(Path(sys.executable).parent)


def environ(mig: CommandLine) -> dict[str, str]:
    """That of somebody who has ``jupyter`` on the path."""
    return {**mig.environ, "PATH": f"{PROGRAMS}{os.pathsep}{mig.environ['PATH']}"}


def require(name: str) -> None:
    """Skip where the shell is not installed: we need none of them."""
    if shutil.which(name) is None:
        pytest.skip(f"there is no {name} here; as root on Debian, make shells installs it")


@pytest.fixture(params=[BASH, ZSH], ids=["bash", "zsh"])
def screen(mig: CommandLine, request: pytest.FixtureRequest) -> Iterator[Screen]:
    """A shell on a terminal that has evaluated what ``completion`` prints."""
    name = request.param.command[0]
    require(name)
    with shell(environ(mig), request.param) as screen:
        if name == "zsh":
            screen.command("autoload -U compinit; compinit -u -D")
        screen.command(f'eval "$(jupyter-mig completion {name})"')
        yield screen


def completed(screen: Screen, typed: str, expected: str) -> None:
    """The key completes what was typed to what was expected; the line is then thrown away."""
    screen.type(f"{typed}\t")
    screen.until(re.escape(expected))
    screen.type("\x15")


@pytest.mark.parametrize("program", ["jupyter-mig", "jupyter mig"])
async def test_commands_options_and_sizes(
    mig: CommandLine, client: Client, screen: Screen, program: str
) -> None:
    """Both ways to call it; the node has the sizes, 1g.10gb is the only one that begins so."""
    await client.node()
    completed(screen, f"{program} rel", f"{program} release ")
    completed(screen, f"{program} kernels ins", f"{program} kernels install ")
    completed(screen, f"{program} run --no-w", f"{program} run --no-wait ")
    completed(screen, f"{program} run --size 1g.1", f"{program} run --size 1g.10gb ")
    completed(screen, f"{program} plan 2x7", f"{program} plan 2x7g.40gb ")
    completed(screen, f"{program} kernels install --sizes 3", "install --sizes 3g.20gb ")


async def test_leases(mig: CommandLine, client: Client, screen: Screen) -> None:
    """By the beginning of their id."""
    lease = await client.acquire(LeaseRequest("k", "1g.5gb", patience_seconds=60))
    beginning = lease.lease_id[:6]
    completed(screen, f"jupyter mig release {beginning}", f"release {lease.lease_id} ")
    await client.release(lease.lease_id)


def fish(mig: CommandLine, lines: Iterable[str]) -> list[str]:
    """What a fish of nobody's, with our completion, says to these lines."""
    script = "\n".join(["jupyter-mig completion fish | source", *lines])
    done = subprocess.run(
        ["fish", "--no-config", "-c", script],
        env={**environ(mig), "HOME": mig.environ["XDG_RUNTIME_DIR"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize("program", ["jupyter-mig", "jupyter mig"])
async def test_fish_completes_them_too(mig: CommandLine, client: Client, program: str) -> None:
    """It tells without a terminal what the key would do, and describes commands and options."""
    require("fish")
    lease = await client.acquire(LeaseRequest("k", "1g.5gb", patience_seconds=60))
    completed = {
        "rel": "release\tgive one of your slices back",
        "run --no-w": "--no-wait\tfail if no slice is free now",
        "run --size 1g.1": "1g.10gb",
        "plan 2x7": "2x7g.40gb",
        f"release {lease.lease_id[:6]}": lease.lease_id,
    }
    said = fish(mig, [f"complete -C '{program} {typed}'" for typed in completed])
    await client.release(lease.lease_id)
    assert said == list(completed.values())


def test_without_a_broker_nothing_is_completed_and_none_started(
    fresh: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Tab key does not start processes."""
    for name, value in fresh.environ.items():
        monkeypatch.setenv(name, value)
    assert completion.sizes("") == []
    assert completion.leases("") == []
    assert not (Path(fresh.environ["XDG_RUNTIME_DIR"]) / "jupyter-mig").exists()


def test_a_broker_that_does_not_answer_is_not_waited_for(
    mig: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a second is long for a key."""
    path = f"{mig.environ['XDG_RUNTIME_DIR']}/mute"
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(path)
        mute.listen()
        for name, value in {**mig.environ, "JUPYTER_MIG_SOCKET": path}.items():
            monkeypatch.setenv(name, value)
        assert completion.sizes("") == []


def test_without_argcomplete_it_is_said(mig: CommandLine, tmp_path: Path) -> None:
    """And everything else works, asked by a shell or not."""
    (tmp_path / "argcomplete.py").write_text("raise ImportError\n")
    hidden = str(tmp_path)
    done = mig("completion", "bash", code=Exit.FAILED, PYTHONPATH=hidden)
    assert 'pip install "jupyter-mig[completion]"' in done.stderr
    assert mig("sizes", PYTHONPATH=hidden, _ARGCOMPLETE="1").stdout
