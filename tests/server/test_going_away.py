"""Uninstalled, switched off or replaced, the package leaves nothing behind and breaks nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.server.environments import Environment
from tests.server.servers import Home, Server, serving, until

pytestmark = pytest.mark.timeout(600)  # each installs into an environment of its own

ROOT = Path(__file__).parents[2]
SMALL = "python3-mig-1g.5gb"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The package as it is published."""
    folder = str(tmp_path_factory.mktemp("wheel"))
    built = subprocess.run(
        [sys.executable, "-c", f"import build_backend as b; print(b.build_wheel({folder!r}))"],
        env={**os.environ, "PYTHONPATH": str(ROOT / "labextension"), "PYTHONWARNINGS": "ignore"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return str(Path(folder, built.stdout.split()[-1]))


@pytest.fixture
def fresh(user: Home) -> Environment:
    """An environment that the user's programs run in, without the package."""
    del user.environ["PYTHONPATH"]
    return Environment(user.directory / "fresh")


async def _names(server: Server) -> list[str]:
    return list((await server.ask("GET", "api/kernelspecs")).body["kernelspecs"])


def _ours(user: Home) -> list[Path]:
    """Whatever bears our name in the places where Jupyter and the system keep things."""
    places = [user.directory / name for name in ("data", "jupyter", "config", "settings")]
    found = [path for place in places for path in place.rglob("*")]
    return [path for path in found if "-mig" in path.name or "_mig" in path.name]


async def test_install_use_and_uninstall(user: Home, fresh: Environment, wheel: str) -> None:
    """Afterwards everything is as it was: files, kernelspecs, sockets, processes, instances."""
    before = fresh.files()
    fresh.pip("install", "--no-deps", "--no-index", wheel)
    async with serving(user, python=fresh.python) as server:
        assert SMALL in await _names(server)
        assert await server.run(await server.start(SMALL), "print(1)") == "1\n"
        assert user.instances() == 1
        server.stop()
    await user.empty()
    broker = await user.broker_pid()
    os.kill(broker, signal.SIGTERM)  # or wait a minute: an idle broker leaves
    await _ended(broker)
    fresh.pip("uninstall", "--yes", "jupyter-mig")
    assert _without_empty(fresh.files() - before) == set()
    assert _ours(user) == []
    assert list(user.runtime.rglob("*.sock")) == []
    async with serving(user, python=fresh.python, ready="is running at") as server:
        assert await _names(server) == ["python3"]


async def _ended(pid: int) -> None:
    async def gone() -> bool:
        return not psutil.pid_exists(pid)

    await until(gone, f"for process {pid} to end")


def _without_empty(files: set[Path]) -> set[Path]:
    return {path for path in files if path.is_file()}


async def test_switched_off(user: Home, fresh: Environment, wheel: str) -> None:
    """Jupyter's own switch: no sizes, no word, no broker; kernels start as ever."""
    fresh.pip("install", "--no-deps", "--no-index", wheel)
    switch = ("jupyter_server.extension.serverextension", "disable", "--sys-prefix")
    fresh.run(user, *switch, "jupyter_mig")
    async with serving(user, python=fresh.python, ready="is running at") as server:
        assert await _names(server) == ["python3"]
        assert "jupyter_mig" not in server.log()
        assert await server.run(await server.start("python3"), "print(1)") == "1\n"
    assert list(user.runtime.rglob("*.sock")) == []
    assert _ours(user) == []


async def test_kernelspecs_that_stay_on_disk_are_not_shown(
    user: Home, fresh: Environment, wheel: str
) -> None:
    """Pip cannot remove what `jupyter mig kernels install` wrote; Jupyter drops it by itself."""
    fresh.pip("install", "--no-deps", "--no-index", wheel)
    fresh.run(user, "jupyter_mig.cli", "kernels", "install")
    installed = _ours(user)
    assert installed
    fresh.pip("uninstall", "--yes", "jupyter-mig")
    async with serving(user, python=fresh.python, ready="is running at") as server:
        assert await _names(server) == ["python3"]
    fresh.pip("install", "--no-deps", "--no-index", wheel)
    fresh.run(user, "jupyter_mig.cli", "kernels", "remove", "--all")
    assert _ours(user) == []


async def test_replaced_while_kernels_run(user: Home, fresh: Environment, wheel: str) -> None:
    """The files go, come, and the broker is started anew: kernels keep their slices, restart on
    them, and new ones start.
    """
    fresh.pip("install", "--no-deps", "--no-index", wheel)
    async with serving(user, python=fresh.python) as server:
        kernel = await server.start(SMALL)
        pid = await server.pid(kernel)
        before = await server.lease_in(kernel, "bound")
        fresh.pip("uninstall", "--yes", "jupyter-mig")
        fresh.pip("install", "--no-deps", "--no-index", wheel)
        old = await user.broker_pid()
        os.kill(old, signal.SIGTERM)
        await _ended(old)
        after = await server.lease_in(kernel, "bound")
        assert await user.broker_pid() != old
        assert (after.lease_id, after.slice) == (before.lease_id, before.slice)
        assert await server.pid(kernel) == pid
        assert (await server.ask("POST", f"api/kernels/{kernel}/restart")).status == 200
        assert await server.pid(kernel) != pid
        assert (await server.lease_in(kernel, "bound")).slice == before.slice
        assert await server.run(await server.start(SMALL), "print(1)") == "1\n"
        server.stop()
    await user.empty()
