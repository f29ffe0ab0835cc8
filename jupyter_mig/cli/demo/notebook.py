"""The demo notebook's copy that the user may edit, for the sizes of the node it is on."""

from __future__ import annotations

import json
from contextlib import suppress
from importlib.resources import files
from pathlib import Path

from jupyter_mig.core.sizes import slug
from jupyter_mig.errors import JupyterMigError
from jupyter_mig.kernels import choices
from jupyter_mig.wire.messages import NodeView

NAME = "welcome.ipynb"


def lay_out(directory: Path, node: NodeView) -> Path:
    """Put the notebook into ``directory`` unless one is there already; gives its full path."""
    target = directory.absolute() / NAME
    content = json.loads(files(__package__).joinpath(NAME).read_bytes())
    content["metadata"]["kernelspec"] |= _kernel(node)
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError), target.open("x", encoding="utf-8") as copy:
            copy.write(text)
    except OSError as error:
        raise JupyterMigError(
            f"Cannot write {target}: {error.strerror}.",
            next_step="Name a directory of yours: jupyter mig demo --dir DIRECTORY",
        ) from error
    return target


def _kernel(node: NodeView) -> dict[str, str]:
    """Python on the smallest slice; without one where there is none (MIG mode is off)."""
    smallest = next((choice.name for choice in choices.usual(node)), "")
    if not smallest:
        return {"name": "python3", "display_name": "Python 3"}
    display_name = f"Python 3 ({smallest}) simulated"
    return {"name": f"python3-mig-{slug(smallest)}", "display_name": display_name}
