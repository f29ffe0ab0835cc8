"""What a kernel finds in its environment."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from jupyter_mig.wire.messages import SliceView

# In a kernel's environment it would send nested runs (nbclient in a notebook) back to us, for a
# second slice; they shall inherit their parent's.
_NOT_FOR_KERNELS = ("JUPYTER_DEFAULT_PROVISIONER_NAME", "JUPYTER_MIG_SIMULATED")


def with_slice(
    environment: Mapping[str, str],
    mine: SliceView,
    *,
    lease_id: str,
    socket: Path,
    simulated: bool,
) -> dict[str, str]:
    """``environment`` for a kernel on the slice ``mine``; ours wins over what the spec set.

    The lease id names the slice to readers; it gives no rights.
    """
    kept = {name: value for name, value in environment.items() if name not in _NOT_FOR_KERNELS}
    ours = {
        "CUDA_VISIBLE_DEVICES": mine.mig_uuid,
        "NVIDIA_VISIBLE_DEVICES": mine.mig_uuid,
        "JUPYTER_MIG_UUID": mine.mig_uuid,
        "JUPYTER_MIG_LEASE": lease_id,
        "JUPYTER_MIG_PROFILE": mine.profile,
        "JUPYTER_MIG_MEMORY_BYTES": str(mine.memory_bytes),
        "JUPYTER_MIG_GPU": mine.gpu_name,
        "JUPYTER_MIG_SOCKET": str(socket),
    }
    return {**kept, **ours, **({"JUPYTER_MIG_SIMULATED": "1"} if simulated else {})}
