"""Servers on the node, as the real SystemdSpawner and SudoSpawner start them."""

from __future__ import annotations

import asyncio
import getpass
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sudospawner import SudoSpawner
from systemdspawner import SystemdSpawner, systemd

from jupyter_mig import hub
from tests.hub.spawners import user_of

ELSEWHERE = "/srv/node/broker.json"

SYSTEMD_RUN = """#!/bin/sh
printf '%s\\n' "$@" > "$(dirname "$0")/asked"
"""

SYSTEMCTL = """#!/bin/sh
case "$1" in
  --version) echo "systemd 252 (252)" ;;
  is-active) test -e "$(dirname "$0")/asked" ;;
  is-failed) false ;;
esac
"""


def _program(file: Path, text: str) -> None:
    file.write_text(text)
    file.chmod(0o755)


def _lines(file: Path) -> list[str]:
    return file.read_text().splitlines()


@pytest.fixture
def systemd_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where what systemd was asked for is written down, an argument a line."""
    _program(tmp_path / "systemd-run", SYSTEMD_RUN)
    _program(tmp_path / "systemctl", SYSTEMCTL)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(systemd, "RUN_ROOT", str(tmp_path))
    systemd.get_systemd_version.cache_clear()
    return tmp_path / "asked"


async def test_a_server_under_systemd(systemd_asked: Path) -> None:
    """It is told where the broker's configuration is, and keeps the node's /dev with its GPUs."""
    environment = hub.local_environment(ELSEWHERE)
    with user_of(
        SystemdSpawner,
        getpass.getuser(),
        environment=environment,
        cmd=[sys.executable, "-m", "jupyterhub.singleuser"],
    ) as user:
        await user.spawner.start()
    asked = _lines(systemd_asked)
    key = "--property=EnvironmentFile="
    (file,) = [each.removeprefix(key) for each in asked if each.startswith(key)]
    assert f"JUPYTER_MIG_SYSTEM={ELSEWHERE}" in _lines(Path(file))
    assert not [each for each in asked if "PrivateDevices" in each]


def _may_sudo() -> bool:
    command = ["sudo", "-n", "-u", getpass.getuser(), "true"]
    return bool(shutil.which("sudo")) and not subprocess.run(command, check=False).returncode


SUDOSPAWNER = f"""#!{sys.executable}
from sudospawner.mediator import main
main()
"""

SINGLEUSER = """#!/bin/sh
printf '%s\\n' "$JUPYTER_MIG_SYSTEM" > "$(dirname "$0")/told"
exec sleep 100
"""


# The package waits for none of the processes that it starts.
@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
@pytest.mark.skipif(not _may_sudo(), reason="sudo asks for a password here, or is missing")
async def test_a_server_by_sudo(tmp_path: Path) -> None:
    """What it is told passes sudo, which drops the environment of who calls it."""
    _program(tmp_path / "sudospawner", SUDOSPAWNER)
    _program(tmp_path / "sudospawner-singleuser", SINGLEUSER)
    with user_of(
        SudoSpawner,
        getpass.getuser(),
        environment=hub.local_environment(ELSEWHERE),
        sudospawner_path=str(tmp_path / "sudospawner"),
    ) as user:
        spawner = user.spawner
        await spawner.start()
        try:
            assert (tmp_path / "told").read_text().strip() == ELSEWHERE
        finally:
            await spawner.stop(now=True)
    # It reads on what they complain of, until all of them have ended.
    await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})
