"""The demo notebook's copy that the user may edit."""

from __future__ import annotations

from contextlib import suppress
from importlib.resources import files
from pathlib import Path

from jupyter_mig.errors import JupyterMigError

NAME = "welcome.ipynb"


def lay_out(directory: Path) -> Path:
    """Put the notebook into ``directory`` unless one is there already; gives its full path."""
    target = directory.absolute() / NAME
    original = files(__package__).joinpath(NAME).read_bytes()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError), target.open("xb") as copy:
            copy.write(original)
    except OSError as error:
        raise JupyterMigError(
            f"Cannot write {target}: {error.strerror}.",
            next_step="Name a directory of yours: jupyter mig demo --dir DIRECTORY",
        ) from error
    return target
