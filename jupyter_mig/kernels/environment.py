"""What a kernel finds in its environment."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from jupyter_mig.wire.messages import SliceView

UUID = "JUPYTER_MIG_UUID"
LEASE = "JUPYTER_MIG_LEASE"
KEY = "JUPYTER_MIG_KEY"
PROFILE = "JUPYTER_MIG_PROFILE"
INSTEAD_OF = "JUPYTER_MIG_INSTEAD_OF"
MEMORY_BYTES = "JUPYTER_MIG_MEMORY_BYTES"
GPU = "JUPYTER_MIG_GPU"
GPU_INDEX = "JUPYTER_MIG_GPU_INDEX"
SIMULATED = "JUPYTER_MIG_SIMULATED"
SOCKET = "JUPYTER_MIG_SOCKET"

_OURS = (UUID, LEASE, KEY, PROFILE, INSTEAD_OF, MEMORY_BYTES, GPU, GPU_INDEX, SIMULATED)
# In a kernel's environment it would send nested runs (nbclient in a notebook) back to us, for a
# second slice; they shall inherit their parent's.
_NOT_FOR_KERNELS = "JUPYTER_DEFAULT_PROVISIONER_NAME"


def is_on_slice(environment: Mapping[str, str]) -> bool:
    """Whether whoever has this environment, and what it starts, is on a slice already."""
    return bool(environment.get(LEASE))


def inherited(environment: Mapping[str, str]) -> dict[str, str]:
    """``environment`` for a kernel that shares its parent's slice."""
    return {name: value for name, value in environment.items() if name != _NOT_FOR_KERNELS}


def without_gpu(environment: Mapping[str, str]) -> dict[str, str]:
    """``environment`` for a kernel that shall see no GPU.

    CUDA takes an empty list for none; container tools take ``void`` for none and empty for unset.
    """
    kept = {name: value for name, value in inherited(environment).items() if name not in _OURS}
    return {**kept, "CUDA_VISIBLE_DEVICES": "", "NVIDIA_VISIBLE_DEVICES": "void"}


def with_slice(
    environment: Mapping[str, str],
    mine: SliceView,
    *,
    lease_id: str,
    key: str,
    instead_of: str = "",
    socket: Path,
    simulated: bool,
) -> dict[str, str]:
    """``environment`` for a kernel on the slice ``mine``; ours wins over what the spec set.

    The lease id names the slice to readers and gives no rights; ``key`` opens its readings (empty:
    none was to be had). ``instead_of`` is the size that was asked for if this node lacks it.
    """
    return {
        **without_gpu(environment),
        "CUDA_VISIBLE_DEVICES": mine.mig_uuid,
        "NVIDIA_VISIBLE_DEVICES": mine.mig_uuid,
        UUID: mine.mig_uuid,
        LEASE: lease_id,
        **({KEY: key} if key else {}),
        PROFILE: mine.profile,
        MEMORY_BYTES: str(mine.memory_bytes),
        GPU: mine.gpu_name,
        GPU_INDEX: str(mine.gpu_index),
        SOCKET: str(socket),
        **({INSTEAD_OF: instead_of} if instead_of else {}),
        **({SIMULATED: "1"} if simulated else {}),
    }
