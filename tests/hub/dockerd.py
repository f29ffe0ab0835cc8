"""A real Docker daemon of a test's own. Its containers see the files of this machine and nothing
else, so there is no image to be had from anywhere.

NVIDIA's hook is the edge of the physical world: what stands in for it notes the devices that each
container is given.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from docker import APIClient

ROOT = Path(__file__).parents[2]
IMAGE = "mig-tests:latest"
HOME = "/home/jovyan"
PATIENCE_SECONDS = 60.0

_HOOK = """#!/bin/sh
bundle=$(sed -n 's/.*"bundle":"\\([^"]*\\)".*/\\1/p')
devices=$(sed -n 's/.*"NVIDIA_VISIBLE_DEVICES=\\([^"]*\\)".*/\\1/p' "$bundle/config.json")
echo "$devices" >> {noted}
"""


@cache
def lacking() -> str:
    """Why there can be no daemon here; empty if there can, which is tried."""
    if os.getuid() != 0:
        return "only root can start a Docker daemon"
    if shutil.which("dockerd") is None:
        return "no dockerd here (Debian: docker.io)"
    try:
        with dockerd():
            return ""
    except CannotStart as cannot:
        return f"no Docker daemon runs here: {cannot}"


class CannotStart(Exception):
    """What the daemon said last."""


class Dockerd:
    """The daemon, its address, and what was asked of NVIDIA's hook."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.url = f"unix://{directory}/docker.sock"
        self._process: subprocess.Popen[bytes] | None = None

    home = HOME

    @property
    def files(self) -> dict[str, dict[str, str]]:
        """What containers see of this machine, as volumes: enough for this Python."""
        seen = ("/usr", sys.base_prefix, sys.prefix, str(ROOT))
        return {path: {"bind": path, "mode": "ro"} for path in seen}

    @property
    def devices(self) -> list[str]:
        """What containers were given, in the order in which they were started."""
        noted = self.directory / "noted"
        return noted.read_text().split() if noted.exists() else []

    def start(self) -> None:
        """Start it, wait until it answers, and give it an image."""
        hook = self.directory / "nvidia-container-runtime-hook"
        hook.write_text(_HOOK.format(noted=self.directory / "noted"))
        hook.chmod(0o755)
        with (self.directory / "dockerd.out").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    "dockerd",
                    *("--host", self.url, "--pidfile", str(self.directory / "pid")),
                    *("--data-root", str(self.directory / "data")),
                    *("--exec-root", str(self.directory / "exec")),
                    *("--storage-driver", "vfs", "--bridge", "none"),
                    *("--iptables=false", "--ip6tables=false"),
                    *("--exec-opt", "native.cgroupdriver=cgroupfs"),
                ],
                env={**os.environ, "PATH": f"{self.directory}:{os.environ['PATH']}"},
                stdout=log,
                stderr=log,
            )
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > give_up_at:
                raise CannotStart(self.said()[-500:])
            time.sleep(0.05)
        with self.client() as client:
            client.import_image_from_data(_image(), repository=IMAGE)

    def stop(self) -> None:
        """End it; its containers end with it, and it leaves a mount behind."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(PATIENCE_SECONDS)
            self._process = None
        for line in Path("/proc/mounts").read_text().splitlines():
            if line.split()[1].startswith(f"{self.directory}/"):
                subprocess.run(["umount", "--lazy", line.split()[1]], check=True)

    def pid(self, name: str) -> int:
        """The first process of a container, as this machine counts."""
        with self.client() as client:
            return int(client.inspect_container(name)["State"]["Pid"])

    def kill(self, name: str) -> None:
        """End a container hard."""
        with self.client() as client:
            client.kill(name)

    def said(self) -> str:
        """Its log."""
        return (self.directory / "dockerd.out").read_text()

    @contextmanager
    def client(self) -> Iterator[APIClient]:
        """A connection to it."""
        client = APIClient(base_url=self.url, version="auto")
        try:
            yield client
        finally:
            client.close()

    def _answers(self) -> bool:
        if not (self.directory / "docker.sock").exists():
            return False
        with self.client() as client:
            return bool(client.ping())


def _image() -> bytes:
    """Where files of this machine are mounted, and what no container can be without."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as image:
        for name in ("usr", "etc", "tmp", "proc", "sys", "dev", HOME.lstrip("/")):
            directory = tarfile.TarInfo(name)
            directory.type, directory.mode = tarfile.DIRTYPE, 0o755
            image.addfile(directory)
        for name in ("bin", "lib", "lib64", "sbin"):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, f"usr/{name}"
            image.addfile(link)
        users = b"root:x:0:0:root:/home/jovyan:/bin/sh\n"
        passwd = tarfile.TarInfo("etc/passwd")
        passwd.size = len(users)
        image.addfile(passwd, io.BytesIO(users))
    return written.getvalue()


@contextmanager
def dockerd() -> Iterator[Dockerd]:
    """One that runs; ended and removed afterwards, with all that it made."""
    directory = Path(tempfile.mkdtemp(prefix="mig-", dir="/tmp"))
    one = Dockerd(directory)
    try:
        one.start()
        yield one
    finally:
        one.stop()
        shutil.rmtree(directory)
