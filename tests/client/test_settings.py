from __future__ import annotations

from pathlib import Path

from jupyter_mig.client import Settings


def test_without_variables_it_is_the_real_driver() -> None:
    """Simulation is never chosen silently."""
    settings = Settings.from_environment({})
    assert settings == Settings(driver="nvml")
    assert not settings.simulated


def test_variables_are_taken_as_they_are() -> None:
    """Driver, socket, runtime directory, visible devices, readings: each has its variable."""
    settings = Settings.from_environment(
        {
            "JUPYTER_MIG_DRIVER": "simulated:1xA30",
            "JUPYTER_MIG_SOCKET": "/run/mig.sock",
            "XDG_RUNTIME_DIR": "/run/user/7",
            "CUDA_VISIBLE_DEVICES": "0,1",
            "JUPYTER_MIG_INVENTORY": "dynamic:0",
            "JUPYTER_MIG_DCGM_EXPORTER": "http://127.0.0.1:9400/metrics",
            "JUPYTER_MIG_KEEP_READING": "0",
        }
    )
    assert settings.simulated
    assert settings.socket == Path("/run/mig.sock")
    assert settings.runtime_directory == Path("/run/user/7")
    assert settings.visible_devices == "CUDA_VISIBLE_DEVICES=0,1"
    assert settings.inventory == "dynamic:0"
    assert settings.dcgm_exporter == "http://127.0.0.1:9400/metrics"
    assert settings.keep_reading == "0"


def test_an_empty_variable_is_none() -> None:
    """``JUPYTER_MIG_SOCKET= jupyter lab`` means no socket, not one at the empty path."""
    ours = ("DRIVER", "INVENTORY", "SOCKET", "DCGM_EXPORTER", "KEEP_READING")
    names = (*(f"JUPYTER_MIG_{name}" for name in ours), "XDG_RUNTIME_DIR")
    assert Settings.from_environment(dict.fromkeys(names, "")) == Settings.from_environment({})


def test_no_devices_is_not_the_same_as_none_named() -> None:
    """An empty ``CUDA_VISIBLE_DEVICES`` forbids all devices; an absent one says nothing."""
    empty = Settings.from_environment({"CUDA_VISIBLE_DEVICES": ""})
    assert empty.visible_devices == "CUDA_VISIBLE_DEVICES="
    both = Settings.from_environment({"NVIDIA_VISIBLE_DEVICES": "all", "CUDA_VISIBLE_DEVICES": "0"})
    assert both.visible_devices == "CUDA_VISIBLE_DEVICES=0\nNVIDIA_VISIBLE_DEVICES=all"


def test_the_order_of_devices_counts_with_their_list() -> None:
    """Alone it means nothing to us, and sends nobody to another broker."""
    order = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    assert Settings.from_environment(order) == Settings()
    listed = Settings.from_environment({**order, "CUDA_VISIBLE_DEVICES": "1"})
    assert listed.visible_devices == "CUDA_VISIBLE_DEVICES=1\nCUDA_DEVICE_ORDER=PCI_BUS_ID"
