"""KubeSpawner: one size for each server, as NVIDIA's device plugin calls sizes.

Where kernels are to have sizes of their own, a broker on the node is what is needed instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from jupyter_mig.errors import MalformedSpec

_WHOLE = "full."


def mig_profile_list(
    sizes: Iterable[str] | Mapping[str, str], *, without_gpu: bool = True
) -> list[dict[str, Any]]:
    """``KubeSpawner.profile_list`` for these sizes, the first of which is proposed; ``sizes`` may
    also map names for people to sizes. ``without_gpu`` offers a server without one, too, and
    proposes that.

    Raises MalformedSpec for what is no profile: Kubernetes knows no requirements (``20gb+``).
    """
    named = dict(sizes) if isinstance(sizes, Mapping) else {size: size for size in sizes}
    entries = [_entry(name, size) for name, size in named.items()]
    if without_gpu:
        entries.insert(0, _plain())
    if entries:
        entries[0]["default"] = True
    return entries


def mig_resource(size: str) -> str:
    """What a pod asks for to get one slice of that size, with the plugin's *mixed* strategy:
    ``nvidia.com/mig-1g.10gb``. Media-engine variants have a dot where the profile has a plus, and
    a whole GPU is ``nvidia.com/gpu``.
    """
    if size.startswith(_WHOLE):
        return "nvidia.com/gpu"
    profile, _, variant = size.partition("+")
    slices, _, memory = profile.rpartition("g.")
    is_profile = slices.replace("c.", "").isdigit() and memory.removesuffix("gb").isdigit()
    if not is_profile or not memory.endswith("gb") or size.endswith("+"):
        raise MalformedSpec(
            f"Kubernetes has no size {size[:40]}.",
            next_step="Name profiles, such as 1g.10gb: jupyter mig sizes lists those of a node.",
        )
    return f"nvidia.com/mig-{profile}" + (f".{variant}" if variant else "")


def _entry(name: str, size: str) -> dict[str, Any]:
    return {
        "display_name": f"GPU: {name}",
        "slug": "mig-" + "".join(each if each.isalnum() else "-" for each in name.lower()),
        "description": "A GPU" if size.startswith(_WHOLE) else f"A MIG slice, {size}",
        "kubespawner_override": {"extra_resource_limits": {mig_resource(size): "1"}},
    }


def _plain() -> dict[str, Any]:
    return {
        "display_name": "No GPU",
        "slug": "no-gpu",
        "description": "For editing, and for what needs no GPU",
        "kubespawner_override": {},
    }
