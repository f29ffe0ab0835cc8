"""What a kubelet's directory says of GPUs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jupyter_mig.broker.claimants import kubelet
from jupyter_mig.broker.claimants.claimant import Claimant
from tests.broker.claimants.trees import PLUGINS, checkpoint, gpu, listener, process, write

FIRST, SECOND = gpu(0), gpu(1)
SLICE = "MIG-11111111-2222-3333-4444-555555555555"


def found(root: Path) -> list[Claimant]:
    """What the kubelet has."""
    return [*kubelet.claimants(root)]


def test_a_plugin_that_is_there_has_all(tmp_path: Path) -> None:
    """Its socket tells, if nothing tells which."""
    socket = listener(tmp_path, f"{PLUGINS}/nvidia-mig-1g.10gb.sock")
    listener(tmp_path, f"{PLUGINS}/kubelet.sock")
    (claimant,) = found(tmp_path)
    assert claimant.everything
    assert (claimant.name, claimant.source) == ("Kubernetes", str(socket))


def test_the_driver_for_dynamic_allocation_has_all(tmp_path: Path) -> None:
    """It is no device plugin, and registers itself elsewhere."""
    listener(tmp_path, "var/lib/kubelet/plugins_registry/gpu.nvidia.com-reg.sock")
    assert found(tmp_path)[0].everything


@pytest.mark.parametrize("device", [FIRST.uuid, f"{FIRST.uuid}::3", f"MIG-{FIRST.uuid}/7/0", SLICE])
def test_registered_devices_are_known(tmp_path: Path, device: str) -> None:
    """GPUs, parts of them in time, and slices by their old names and new ones."""
    listener(tmp_path, f"{PLUGINS}/nvidia-gpu.sock")
    file = checkpoint(tmp_path, {"nvidia.com/gpu": [device], "example.com/nic": ["eth0"]})
    (claimant,) = found(tmp_path)
    assert claimant.source == str(file)
    assert claimant.has(FIRST, [SLICE])
    assert not claimant.has(SECOND, ["MIG-else"])


@pytest.mark.parametrize("devices", [[SECOND.uuid], {"-1": [SECOND.uuid], "0": None}])
def test_devices_of_pods_are_known(tmp_path: Path, devices: object) -> None:
    """As kubelets of two generations write them; the plugin may be gone meanwhile."""
    entry = {"PodUID": "p", "ResourceName": "nvidia.com/mig-1g.5gb", "DeviceIDs": devices}
    checkpoint(tmp_path, {"nvidia.com/gpu": None}, [entry])
    (claimant,) = found(tmp_path)
    assert claimant.has(SECOND)
    assert not claimant.has(FIRST)


def test_devices_without_a_uuid_may_be_any(tmp_path: Path) -> None:
    """Nobody knows what 0 is."""
    checkpoint(tmp_path, {"nvidia.com/gpu": ["0", FIRST.uuid]})
    assert found(tmp_path)[0].everything


@pytest.mark.parametrize("registered", [{}, None, {"nvidia.com/gpu": []}, {"amd.com/gpu": ["0"]}])
def test_a_kubelet_without_such_devices(tmp_path: Path, registered: object) -> None:
    """It has no GPU of NVIDIA's."""
    checkpoint(tmp_path, registered)
    write(tmp_path, f"{PLUGINS}/nvidia.sock", "no socket")
    assert found(tmp_path) == []


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"Data": 5}', '{"Data": {"RegisteredDevices": [1]}}', "[" * 100_000]
)
def test_what_cannot_be_understood_may_be_anything(tmp_path: Path, text: str) -> None:
    """Torn, of another version, or made to hurt."""
    file = write(tmp_path, f"{PLUGINS}/kubelet_internal_checkpoint", text)
    (claimant,) = found(tmp_path)
    assert claimant.everything
    assert str(file) in claimant.source


def test_a_kubelet_elsewhere(tmp_path: Path) -> None:
    """Other distributions, and an option of its own."""
    listener(tmp_path, "var/lib/k0s/kubelet/device-plugins/nvidia-gpu.sock")
    listener(tmp_path, "srv/kubelet/device-plugins/nvidia-gpu.sock")
    process(tmp_path, "kubelet", "--root-dir=/srv/kubelet", "--v", "2")
    assert [one.source.removeprefix(str(tmp_path)) for one in found(tmp_path)] == [
        "/srv/kubelet/device-plugins/nvidia-gpu.sock",
        "/var/lib/k0s/kubelet/device-plugins/nvidia-gpu.sock",
    ]


@pytest.mark.skipif(os.getuid() != 0, reason="only root is kept out of nothing")
def test_who_may_not_look_must_not_guess(tmp_path: Path) -> None:
    """A user's own broker, where the kubelet's directory is root's."""
    checkpoint(tmp_path, {})
    tmp_path.chmod(0o755)
    (tmp_path / PLUGINS).chmod(0o700)
    look = (
        "import os, sys; from pathlib import Path\n"
        "from jupyter_mig.broker.claimants import kubelet\n"
        "os.setuid(64301)\n"
        "print([one.source for one in kubelet.claimants(Path(sys.argv[1])) if one.everything])"
    )
    for parent in tmp_path.parents[:2]:
        if parent.stat().st_uid == 0 and parent != Path("/tmp"):
            parent.chmod(0o755)
    told = subprocess.check_output([sys.executable, "-c", look, str(tmp_path)], text=True)
    assert "cannot be read: Permission denied" in told


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.recursive(
        st.none() | st.text(max_size=9),
        lambda some: (
            st.lists(some) | st.dictionaries(st.sampled_from(["nvidia.com/gpu", "0"]), some)
        ),
        max_leaves=9,
    )
)
def test_any_checkpoint_is_read(tmp_path: Path, registered: object) -> None:
    """Whatever is in it, an answer comes."""
    checkpoint(tmp_path, registered)
    assert isinstance(found(tmp_path), list)
