"""The driver's capability files and nodes, under a directory."""

from __future__ import annotations

import stat
from pathlib import Path

import pynvml
import pytest

from jupyter_mig.nvml import simulated
from jupyter_mig.nvml.simulated.capability_tree import capability_minor
from tests.nvml.simulated import program
from tests.nvml.simulated.program import gpu, make

CAPABILITIES = "proc/driver/nvidia/capabilities"


def files(root: Path) -> set[str]:
    """All capability files."""
    folder = root / CAPABILITIES
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def nodes(root: Path) -> set[str]:
    """All capability nodes."""
    return {path.name for path in (root / "dev/nvidia-caps").iterdir()}


def test_files_and_nodes_come_and_go_with_the_instances(tmp_path: Path) -> None:
    """Each instance has its own, each compute instance too, numbered by GPU minor and ids."""
    with program.running(f"2xA30?root={tmp_path}") as node:
        assert files(tmp_path) == {"mig/config", "mig/monitor"}
        assert nodes(tmp_path) == {"nvidia-cap1", "nvidia-cap2"}
        made = make(gpu(0), 14, 2)
        assert pynvml.nvmlDeviceGetMinorNumber(gpu(0)) == 1
        assert files(tmp_path) == {
            "mig/config",
            "mig/monitor",
            "gpu1/mig/gi5/access",
            "gpu1/mig/gi5/ci0/access",
        }
        assert nodes(tmp_path) == {
            "nvidia-cap1",
            "nvidia-cap2",
            f"nvidia-cap{3 + 135 + 9 * 5}",
            f"nvidia-cap{3 + 135 + 9 * 5 + 1}",
        }
        pynvml.nvmlComputeInstanceDestroy(made.compute_instance)
        assert "gpu1/mig/gi5/ci0/access" not in files(tmp_path)
        assert "gpu1/mig/gi5/access" in files(tmp_path)
        pynvml.nvmlGpuInstanceDestroy(made.gpu_instance)
        assert files(tmp_path) == {"mig/config", "mig/monitor"}
        node.create(1, "1g.6gb")
        node.reset(1)
        assert nodes(tmp_path) == {"nvidia-cap1", "nvidia-cap2"}


def test_the_last_number_of_all_is_4322() -> None:
    """As the driver's own table ends."""
    assert capability_minor(0, 0) == 3
    assert capability_minor(31, 14, 7) == 4322


def test_a_file_says_which_node_and_whose(tmp_path: Path) -> None:
    """Configuring is for the owner, using an instance for all, as the driver leaves it."""
    with program.running(f"1xA30?root={tmp_path}") as node:
        node.create(0, "4g.24gb")
        folder = tmp_path / CAPABILITIES
        assert (folder / "gpu0/mig/gi0/ci0/access").read_text(encoding="ascii") == (
            "DeviceFileMinor: 4\nDeviceFileMode: 292\nDeviceFileModify: 1\n"
        )
        modes = {
            name: stat.S_IMODE((tmp_path / name).stat().st_mode)
            for name in (
                f"{CAPABILITIES}/mig/config",
                "dev/nvidia-caps/nvidia-cap1",
                "dev/nvidia-caps/nvidia-cap2",
                "dev/nvidia-caps/nvidia-cap4",
                "dev/nvidia0",
            )
        }
        assert list(modes.values()) == [0o400, 0o400, 0o444, 0o444, 0o666]


def test_what_an_administrator_changed_lasts_as_long_as_the_instance(tmp_path: Path) -> None:
    """Other changes leave it alone; the next instance in the slot is as the driver makes it."""
    with program.running(f"1xA30?root={tmp_path}") as node:
        uuid = node.create(0, "1g.6gb", 0)
        file = tmp_path / CAPABILITIES / "gpu0/mig/gi3/access"
        mine = file.read_text(encoding="ascii").replace("Modify: 1", "Modify: 0")
        file.write_text(mine, encoding="ascii")
        node.create(0, "1g.6gb", 1)
        assert file.read_text(encoding="ascii") == mine
        node.destroy(uuid)
        assert not file.exists()
        node.create(0, "1g.6gb", 0)
        assert "Modify: 1" in file.read_text(encoding="ascii")


def test_the_tree_of_a_shared_state_is_followed_by_all(tmp_path: Path) -> None:
    """It outlives the block as the state does; who attaches changes it too; leftovers go."""
    state, root = tmp_path / "silicon.json", tmp_path / "root"
    spec = f"1xA30?root={root}"
    with program.running(spec, state=state) as node:
        uuid = node.create(0, "4g.24gb")
    assert "gpu0/mig/gi0/access" in files(root)
    stray = root / CAPABILITIES / "gpu0/mig/gi9/access"
    stray.parent.mkdir()
    stray.touch()
    with simulated.attached(state) as outside:
        outside.destroy(uuid)
    assert files(root) == {"mig/config", "mig/monitor"}
    with (
        pytest.raises(simulated.StateError, match=r"files in .*, not of"),
        simulated.installed("1xA30", state=state),
    ):
        pass


def test_a_node_in_memory_takes_its_instances_along(tmp_path: Path) -> None:
    """Files about what is nowhere would mislead."""
    with program.running(f"1xA30?root={tmp_path}") as node:
        node.create(0, "4g.24gb")
    assert files(tmp_path) == {"mig/config", "mig/monitor"}


def test_a_root_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """The error names the directory."""
    root = tmp_path / "file"
    root.touch()
    with (
        pytest.raises(simulated.StateError, match=str(root)),
        simulated.installed(f"1xA30?root={root}"),
    ):
        pass
