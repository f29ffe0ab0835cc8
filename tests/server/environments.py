"""Python environments of their own, made in a second: packages are links to those we run with."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

from tests.server.servers import Home


class Environment:
    """A virtual environment with everything that is installed here but this package."""

    def __init__(self, directory: Path) -> None:
        packages, here = directory / "packages", Path(sysconfig.get_paths()["purelib"])
        packages.mkdir(parents=True)
        for entry in here.iterdir():
            if "jupyter_mig" not in entry.name and entry.suffix != ".pth":
                (packages / entry.name).symlink_to(entry)
        self.prefix = directory / "venv"
        venv.create(self.prefix, symlinks=True)
        paths = sysconfig.get_paths(vars={"base": str(self.prefix)})
        Path(paths["purelib"], "packages.pth").write_text(str(packages))

    @property
    def python(self) -> str:
        """The environment's interpreter."""
        return str(self.prefix / "bin" / "python")

    def pip(self, *arguments: str) -> None:
        """What people type."""
        command = (sys.executable, "-W", "ignore", "-m", "pip", "--python", self.python)
        subprocess.run([*command, "--quiet", *arguments], check=True)

    def run(self, user: Home, *arguments: str) -> None:
        """Run a module of the environment's."""
        command = [self.python, "-m", *arguments]
        subprocess.run(command, env=user.environ, check=True, stdout=subprocess.DEVNULL)

    def files(self) -> set[Path]:
        """All that is in it, but for compiled modules."""
        found = {path for path in self.prefix.rglob("*") if path.suffix != ".pyc"}
        return {path for path in found if path.name != "__pycache__"}
