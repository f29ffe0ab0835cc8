"""Reading what dcgm-exporter exposes: text in the format of Prometheus, a sample in each line.

::

    DCGM_FI_PROF_SM_ACTIVE{gpu="0",UUID="GPU-5f…",GPU_I_PROFILE="1g.5gb",GPU_I_ID="7"} 0.25

Of a GPU instance it names the parent GPU's UUID and the instance's id, never a MIG UUID. The
profiling fields are ratios of 0 to 1 (dcgm-exporter's own description of its counters).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

Key = tuple[str, "int | None"]
"""A GPU's UUID, and the id of the GPU instance on it; None for the GPU itself."""

FIELDS = {
    "DCGM_FI_PROF_SM_ACTIVE": "sm",
    "DCGM_FI_PROF_GR_ENGINE_ACTIVE": "graphics",
    "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE": "tensor",
    "DCGM_FI_PROF_DRAM_ACTIVE": "dram",
}
"""The fields that are read, by our names for them."""

_SAMPLE = re.compile(r"(?P<field>\w+)\{(?P<labels>.*)\}\s+(?P<value>\S+)(?:\s+-?\d+)?\s*")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def percent_by_slice(text: str) -> Mapping[Key, dict[str, float]]:
    """Utilization in per cent, as it stands there: it may be nonsense. Lines that are about
    something else, or cannot be read, are passed over.
    """
    found: dict[Key, dict[str, float]] = {}
    for line in text.splitlines():
        sample = _SAMPLE.fullmatch(line) if line.upper().startswith("DCGM_FI_PROF_") else None
        if sample is None:
            continue
        name = FIELDS.get(sample["field"].upper())
        labels = {label.upper(): value for label, value in _LABEL.findall(sample["labels"])}
        key, ratio = _key(labels), _number(sample["value"])
        if name and key and ratio is not None:
            found.setdefault(key, {})[name] = 100 * ratio
    return found


def _key(labels: Mapping[str, str]) -> Key | None:
    uuid, instance = labels.get("UUID"), labels.get("GPU_I_ID", "")
    if not uuid or not (instance == "" or instance.isdecimal()):
        return None
    return uuid, int(instance) if instance else None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
