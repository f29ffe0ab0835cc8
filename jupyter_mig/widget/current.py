"""The slice of this process, for programs."""

from __future__ import annotations

import os
from collections.abc import Mapping

import msgspec

from jupyter_mig import errors
from jupyter_mig.kernels.environment import (
    GPU,
    GPU_INDEX,
    INSTEAD_OF,
    LEASE,
    MEMORY_BYTES,
    PROFILE,
    SIMULATED,
    UUID,
)
from jupyter_mig.widget.keyhole import Keyhole
from jupyter_mig.wire.messages import SliceNowView


class CurrentSlice(msgspec.Struct, frozen=True):
    """The slice that this process was started on. It holds no key: printing it tells no secret.

    ``mig_uuid`` is what CUDA sees. ``memory_bytes`` and ``gpu_index`` are None where the
    environment does not tell. ``instead_of`` is the size that was asked for, if this node lacks it.
    """

    lease_id: str
    mig_uuid: str
    profile: str
    memory_bytes: int | None
    gpu_name: str
    gpu_index: int | None
    simulated: bool
    instead_of: str = ""

    def now(self) -> SliceNowView:
        """What the slice is doing now: memory, utilization, the last minutes. Blocks shortly.

        Raises BrokerUnreachable if nobody answers or this process was given no key, and
        LeaseEnded once the slice is another's.
        """
        keyhole = Keyhole.of(os.environ)
        if keyhole is None:
            raise no_key()
        return keyhole.look()


def current_slice() -> CurrentSlice | None:
    """The slice of this process, from its environment; None if it was not started on one."""
    return slice_in(os.environ)


def slice_in(environ: Mapping[str, str]) -> CurrentSlice | None:
    """The slice that an environment tells of."""
    lease_id = environ.get(LEASE)
    if not lease_id:
        return None
    return CurrentSlice(
        lease_id=lease_id,
        mig_uuid=environ.get(UUID, ""),
        profile=environ.get(PROFILE, ""),
        memory_bytes=_number(environ.get(MEMORY_BYTES, "")),
        gpu_name=environ.get(GPU, ""),
        gpu_index=_number(environ.get(GPU_INDEX, "")),
        simulated=bool(environ.get(SIMULATED)),
        instead_of=environ.get(INSTEAD_OF, ""),
    )


def no_key() -> errors.BrokerUnreachable:
    """What keeps a process without a key from looking."""
    return errors.BrokerUnreachable(
        "This program was given no key to its slice.",
        situation="Memory in use and utilization cannot be shown.",
    )


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() else None
