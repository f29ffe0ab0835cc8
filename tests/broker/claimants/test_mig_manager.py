"""Whether NVIDIA's mig-manager cuts GPUs here."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_mig.broker.claimants import mig_manager
from tests.broker.claimants.trees import process, service, write


def test_an_enabled_service_cuts_at_boot(tmp_path: Path) -> None:
    """The link that starts it is named."""
    link = service(tmp_path)
    (claimant,) = mig_manager.claimants(tmp_path)
    assert claimant.everything
    assert claimant.at_boot
    assert claimant.source == str(link)


def test_one_that_is_only_installed_does_not(tmp_path: Path) -> None:
    """With all of its settings."""
    service(tmp_path, enabled=False)
    write(tmp_path, "etc/nvidia-mig-manager/config.yaml", "version: v1")
    assert [*mig_manager.claimants(tmp_path)] == []


def test_one_that_is_masked_or_removed_does_not(tmp_path: Path) -> None:
    """Whatever links are left."""
    service(tmp_path)
    mask = tmp_path / "etc/systemd/system" / mig_manager.UNIT
    mask.symlink_to("/dev/null")
    assert [*mig_manager.claimants(tmp_path)] == []
    mask.unlink()
    (tmp_path / "lib/systemd/system" / mig_manager.UNIT).unlink()
    assert [*mig_manager.claimants(tmp_path)] == []


def test_the_one_of_kubernetes_cuts_at_any_time(tmp_path: Path) -> None:
    """It runs as a process, whose name the kernel cuts off."""
    process(tmp_path, "nvidia-mig-manager", "-kubeconfig", "x")
    (claimant,) = mig_manager.claimants(tmp_path)
    assert claimant.everything
    assert not claimant.at_boot
    assert "mig.config" in claimant.remedy


@pytest.mark.parametrize("in_the_way", ["etc/systemd/system", "proc"])
def test_a_file_where_a_directory_should_be(tmp_path: Path, in_the_way: str) -> None:
    """Then there is nothing in it."""
    write(tmp_path, in_the_way, "")
    write(tmp_path, f"lib/systemd/system/{mig_manager.UNIT}", "")
    assert [*mig_manager.claimants(tmp_path)] == []
