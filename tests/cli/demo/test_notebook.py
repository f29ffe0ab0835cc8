"""The demo notebook's copy."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jupyter_mig.cli.demo import notebook
from jupyter_mig.errors import JupyterMigError
from tests.cli.views import node, size

NODE = node(sizes=(size("4g.24gb", 1, 1), size("1g.6gb+me", 1, 1), size("1g.6gb", 4, 4)))


def test_the_notebook_is_laid_out(tmp_path: Path) -> None:
    """A valid notebook in a directory that is made if need be."""
    laid = notebook.lay_out(tmp_path / "new" / "place", NODE)
    assert laid == tmp_path / "new" / "place" / "welcome.ipynb"
    assert json.loads(laid.read_text(encoding="utf-8"))["nbformat"] == 4


def test_its_kernel_has_the_smallest_slice_of_the_node(tmp_path: Path) -> None:
    """And none on a node that has no sizes."""
    for view, name, shown in (
        (NODE, "python3-mig-1g.6gb", "Python 3 (1g.6gb) simulated"),
        (node(), "python3", "Python 3"),
    ):
        laid = notebook.lay_out(tmp_path / name, view)
        kernelspec = json.loads(laid.read_text(encoding="utf-8"))["metadata"]["kernelspec"]
        assert (kernelspec["name"], kernelspec["display_name"]) == (name, shown)


def test_an_edited_copy_is_kept(tmp_path: Path) -> None:
    """Whatever is in it."""
    notebook.lay_out(tmp_path, NODE).write_text("mine", encoding="utf-8")
    assert notebook.lay_out(tmp_path, NODE).read_text(encoding="utf-8") == "mine"


def test_a_place_that_cannot_be_is_said(tmp_path: Path) -> None:
    """A file where the directory should be: one line, and what to do."""
    (tmp_path / "file").touch()
    with pytest.raises(JupyterMigError, match="Cannot write") as raised:
        notebook.lay_out(tmp_path / "file", NODE)
    assert "--dir" in raised.value.next_step
