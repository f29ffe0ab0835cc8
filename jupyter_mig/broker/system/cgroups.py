"""The filter for cgroups that a configuration asks for, and the one that an earlier asked for."""

from __future__ import annotations

from pathlib import Path

from jupyter_mig.broker.helper.filter.device_filter import DeviceFilter, is_cgroup, take_away
from jupyter_mig.broker.system.configuration import MIGBroker
from jupyter_mig.nvml.port import HardwarePort

FILTERED = "filtered"
"""In the helper's directory: the cgroup whose filter outlasts the helper."""


def is_for_all(own: MIGBroker) -> bool:
    """Whether the filter that is asked for is for all cgroups there are."""
    tree = Path(own.cgroup_filter)
    return bool(own.cgroup_filter) and not is_cgroup(tree.parent)


def filter_of(own: MIGBroker, driver: HardwarePort) -> DeviceFilter | None:
    """The filter; None if there is to be none. One of another cgroup is taken away.

    Raises MalformedSpec if it cannot be set up.
    """
    kept = Path(own.helper_directory) / FILTERED
    before = kept.read_text() if kept.exists() else ""
    if before and before != own.cgroup_filter:
        take_away(Path(before))
        kept.unlink()
    if not own.cgroup_filter:
        return None
    minors = [gpu.minor for gpu in driver.gpus() if gpu.uuid in own.listed]
    if not minors:
        return None  # the helper says what is missing
    found = DeviceFilter(Path(own.cgroup_filter), minors)
    kept.write_text(own.cgroup_filter)
    return found
