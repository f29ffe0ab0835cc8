"""What a server's kernel picker offers, with Jupyter's own kernelspec manager."""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.kernelspec import KernelSpecManager
from traitlets import TraitError

from jupyter_mig.kernels.picker import MIGPicker, remove_abandoned
from tests.kernels.nodes import A100, RTX, document, node, ruled


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A runtime directory of our own."""
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    return tmp_path / "runtime"


@pytest.fixture
def specs(tmp_path: Path) -> KernelSpecManager:
    """A spec manager that knows two kernels: python3 and ir."""
    for name in ("python3", "ir"):
        _put(tmp_path / "kernels", name, document(name))
    return KernelSpecManager(kernel_dirs=[str(tmp_path / "kernels")])


def _put(kernels: Path, name: str, content: dict[str, Any]) -> None:
    (kernels / name).mkdir(parents=True)
    (kernels / name / "kernel.json").write_text(json.dumps(content))


def _picker(specs: KernelSpecManager, **traits: Any) -> MIGPicker:
    picker = MIGPicker(specs=specs, **traits)
    picker.open()
    return picker


def _sized(specs: KernelSpecManager) -> set[str]:
    return {name for name in specs.find_kernel_specs() if "-mig-" in name}


def test_offers_come_and_go_with_the_nodes_sizes(runtime: Path, specs: KernelSpecManager) -> None:
    """The spec manager sees each change at once, and nothing is left at the end."""
    picker = _picker(specs, base_kernels=["python3"])
    assert picker.offer(node("1g.5gb", "2g.10gb")) == ["python3-mig-1g.5gb", "python3-mig-2g.10gb"]
    assert _sized(specs) == {"python3-mig-1g.5gb", "python3-mig-2g.10gb"}
    picker.offer(node("2g.10gb", "7g.40gb"))
    assert _sized(specs) == {"python3-mig-2g.10gb", "python3-mig-7g.40gb"}
    picker.offer(node())
    assert _sized(specs) == set()
    picker.close()
    assert list(runtime.iterdir()) == []


def test_a_spec_that_says_the_same_is_not_written_again(
    runtime: Path, specs: KernelSpecManager
) -> None:
    """Free counts change by the minute and are no part of a spec."""
    picker = _picker(specs)
    picker.offer(node("1g.5gb"))
    before = {path: path.stat().st_ino for path in picker.directory.rglob("*")}
    picker.offer(node("1g.5gb"))
    assert {path: path.stat().st_ino for path in picker.directory.rglob("*")} == before


def test_every_local_kernel_gets_sizes_unless_it_is_too_many(
    runtime: Path, specs: KernelSpecManager, caplog: pytest.LogCaptureFixture
) -> None:
    """Above the bound only the default kernel does, and the log says how to choose."""
    assert len(_picker(specs).offer(node(*A100))) == 12
    few = _picker(specs, most_specs=11).offer(node(*A100))
    assert [name.partition("-mig-")[0] for name in few] == ["python3"] * 6
    assert "c.MIGPicker.base_kernels" in caplog.text


def test_sizes_can_be_chosen(
    runtime: Path, specs: KernelSpecManager, caplog: pytest.LogCaptureFixture
) -> None:
    """By name, variants too; one that the node lacks is named in the log."""
    picker = _picker(specs, base_kernels=["py*"], sizes=["2g.48gb+gfx", "1g.24gb", "9g.9gb"])
    assert picker.offer(node(*RTX)) == ["python3-mig-1g.24gb", "python3-mig-2g.48gb.gfx"]
    assert "this node has no size 9g.9gb" in caplog.text


def test_sizes_can_have_the_administrators_names(
    runtime: Path, specs: KernelSpecManager, caplog: pytest.LogCaptureFixture
) -> None:
    """These alone are offered then, with profiles where they are asked for by name."""
    names = {"small": "24gb+", "large": "4g.96gb", "huge": "200gb+"}
    traits = {"base_kernels": ["python3"], "named_sizes": names}
    picker = _picker(specs, **traits)
    assert picker.offer(node(*RTX)) == ["python3-mig-small", "python3-mig-large"]
    spec = specs.get_kernel_spec("python3-mig-small")
    assert " ".join(spec.display_name.split()) == "python3 (small)"
    assert spec.metadata["kernel_provisioner"]["config"] == {"size": "24gb+"}
    assert "this node has no size huge" in caplog.text
    picker.close()
    chosen = _picker(specs, **traits, sizes=["large", "2g.48gb"])
    assert chosen.offer(node(*RTX)) == ["python3-mig-large", "python3-mig-2g.48gb"]


def test_what_a_rule_never_allows_is_not_offered(
    runtime: Path, specs: KernelSpecManager, caplog: pytest.LogCaptureFixture
) -> None:
    """Nor is it said that the node has no such size, where it was to be offered."""
    picker = _picker(specs, base_kernels=["python3"])
    mine = ruled(node(*A100), "1g.5gb", "2g.10gb")
    assert picker.offer(mine) == ["python3-mig-1g.5gb", "python3-mig-2g.10gb"]
    picker.close()
    chosen = _picker(specs, base_kernels=["python3"], sizes=["1g.5gb", "7g.40gb"])
    assert chosen.offer(mine) == ["python3-mig-1g.5gb"]
    assert "no size 7g.40gb that rule 1 (*) allows" in caplog.text


def test_names_of_sizes_must_do_for_kernelspecs(specs: KernelSpecManager) -> None:
    """Jupyter would drop a kernelspec of any other name."""
    with pytest.raises(TraitError, match="Very Large"):
        MIGPicker(specs=specs, named_sizes={"Very Large": "4g.96gb"})


def test_sizes_are_allowed_if_their_base_is(runtime: Path, specs: KernelSpecManager) -> None:
    """An administrator's list of allowed kernels hides all others, so it would hide ours."""
    specs.allowed_kernelspecs = {"ir"}
    assert _picker(specs).offer(node("1g.5gb")) == ["ir-mig-1g.5gb"]
    assert set(specs.find_kernel_specs()) == {"ir", "ir-mig-1g.5gb"}


def test_somebody_elses_spec_of_that_name_wins_and_is_named(
    runtime: Path, tmp_path: Path, specs: KernelSpecManager, caplog: pytest.LogCaptureFixture
) -> None:
    """Earlier directories win in Jupyter; ours would be hidden without a word."""
    _put(tmp_path / "kernels", "ir-mig-1g.5gb", document("mine"))
    picker = _picker(specs, base_kernels=["python3", "ir"])
    for _ in range(2):
        assert picker.offer(node("1g.5gb")) == ["python3-mig-1g.5gb"]
    assert caplog.text.count("Kernelspec ir-mig-1g.5gb in") == 1


def test_an_installed_spec_of_ours_is_no_clash(
    runtime: Path, tmp_path: Path, specs: KernelSpecManager, caplog: pytest.LogCaptureFixture
) -> None:
    """`jupyter mig kernels install` may have written it for other programs."""
    content = document("mine", metadata={"jupyter_mig": {"profile": "1g.5gb"}})
    _put(tmp_path / "kernels", "ir-mig-1g.5gb", content)
    assert _picker(specs).offer(node("1g.5gb")) == ["python3-mig-1g.5gb"]
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_killed_servers_specs_are_removed_by_the_next(
    runtime: Path, specs: KernelSpecManager
) -> None:
    """Only those of dead processes on this host: runtime directories may be on a shared home."""
    pid = _dead_pid()
    names = [
        f"jupyter-mig-kernels-{socket.gethostname()}-{pid}",
        f"jupyter-mig-kernels-another-host-{pid}",
        f"jupyter-mig-kernels-{socket.gethostname()}-{os.getppid()}",
    ]
    for name in names:
        (runtime / name).mkdir(parents=True)
    remove_abandoned(runtime)
    assert sorted(path.name for path in runtime.iterdir()) == sorted(names[1:])


def _dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid
