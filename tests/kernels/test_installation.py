"""Sized kernelspecs on disk: written, listed, removed; those of others left alone."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from jupyter_client.kernelspec import KernelSpecManager

from jupyter_mig.errors import MalformedSpec, NotAllowed, UnknownSize
from jupyter_mig.kernels import installation
from jupyter_mig.kernels.choices import usual
from tests.kernels.nodes import A100, document, node, ruled


def test_install_list_remove(tmp_path: Path) -> None:
    """The way of the command line, with the kernels of this environment."""
    kernels = tmp_path / "kernels"
    written = installation.install(node(*A100), kernels, sizes=["1g.10gb", "1g.5gb"])
    assert [spec.name for spec in written] == ["python3-mig-1g.5gb", "python3-mig-1g.10gb"]
    assert [spec.display_name for spec in written] == ["Python 3 (1g.5gb)", "Python 3 (1g.10gb)"]
    assert installation.installed([kernels]) == written
    assert set(KernelSpecManager(kernel_dirs=[str(kernels)]).find_kernel_specs()) == {
        "python3",
        "python3-mig-1g.5gb",
        "python3-mig-1g.10gb",
    }
    installation.remove(written[:1])
    assert installation.installed([kernels]) == written[1:]


def test_by_default_the_usual_sizes(tmp_path: Path) -> None:
    """Which these are, the picker and the command line agree upon."""
    written = installation.install(node(*A100), tmp_path)
    assert [spec.size for spec in written] == [each.name for each in usual(node(*A100))]


def test_the_python_is_spelled_out(tmp_path: Path) -> None:
    """A bare ``python`` would become the Python of whichever program reads the spec."""
    (spec,) = installation.install(node("1g.5gb"), tmp_path)
    argv = json.loads((spec.directory / "kernel.json").read_text())["argv"]
    assert argv[0] == sys.executable


def test_an_unknown_size_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    """The refusal names the sizes that there are."""
    with pytest.raises(UnknownSize, match=r"no size 9g\.9gb") as refused:
        installation.install(node(*A100), tmp_path, sizes=["1g.5gb", "9g.9gb"])
    assert "1g.5gb, 1g.5gb+me, 1g.10gb" in refused.value.situation
    assert list(tmp_path.iterdir()) == []


def test_a_size_that_a_rule_never_allows_is_refused_by_its_name(tmp_path: Path) -> None:
    """Without names only the others are written."""
    mine = ruled(node(*A100), "1g.5gb", "2g.10gb")
    with pytest.raises(NotAllowed, match=r"may not have 3g\.20gb") as refused:
        installation.install(mine, tmp_path, sizes=["3g.20gb"])
    assert refused.value.situation == "By rule 1 (*)."
    assert [spec.size for spec in installation.install(mine, tmp_path)] == ["1g.5gb", "2g.10gb"]


def test_an_unknown_kernel_is_refused(tmp_path: Path) -> None:
    """The refusal names the kernels that there are."""
    with pytest.raises(MalformedSpec, match="no local kernel named fortran") as refused:
        installation.install(node("1g.5gb"), tmp_path, base_kernels=["fortran"])
    assert "python3" in refused.value.situation


def test_a_spec_that_is_not_ours_is_neither_replaced_nor_listed_nor_removed(
    tmp_path: Path,
) -> None:
    """Ours are known by their metadata, not by their name."""
    theirs = tmp_path / "python3-mig-2g.10gb"
    theirs.mkdir()
    (theirs / "kernel.json").write_text(json.dumps(document("theirs")))
    with pytest.raises(MalformedSpec, match="is not ours"):
        installation.install(node("1g.5gb", "2g.10gb"), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [theirs.name]
    assert installation.installed([tmp_path]) == []
    (ours,) = installation.install(node("1g.5gb"), tmp_path)
    (ours.directory / "kernel.json").write_text(json.dumps(document("taken over")))
    installation.remove([ours])
    assert ours.directory.exists()


def test_where_specs_go(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Into the directories in which Jupyter looks."""
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path))
    assert installation.user_dir() == tmp_path / "kernels"
    assert str(installation.prefix_dir()) in KernelSpecManager().kernel_dirs
