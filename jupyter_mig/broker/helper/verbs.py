"""What a broker may ask of its privileged helper, and what comes back.

A closed set. All arguments are integers: ``gpu`` is a place in the list of GPUs that the helper was
started with, not a number of NVML's. Whoever takes over the broker can ask for these and for
nothing else. A GPU that is handed out whole is, as for NVML, the instance 0xFFFFFFFF.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec

from jupyter_mig.core.geometry import Gpu, Identity, Instance

Number = Annotated[int, msgspec.Meta(ge=0, lt=2**32)]
Ticks = Annotated[int, msgspec.Meta(ge=0, lt=2**62)]


class Describe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """What GPUs are there, and what can they be cut into? Placements are root's to know."""


class LookOut(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """Who else manages GPUs here by now? Only root may read all that tells."""


class LetGo(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """Close NVML, so that the driver can be replaced."""


class TakeUp(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """Open it again."""


class Observe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """What instances does the GPU have? Only root is told all, and where they are."""

    gpu: Number


class Look(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """Who is on the instance? Only root sees who has its nodes open."""

    gpu: Number
    gi_id: Number


class Secure(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """Have the node of a GPU that is handed out whole be as it should be."""

    gpu: Number


class Create(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """Make an instance."""

    gpu: Number
    profile_id: Number
    start: Number


class Destroy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """Destroy an instance that this helper, or one before it, has made."""

    gpu: Number
    gi_id: Number


class Own(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """Take the instance for one that this helper has made: an administrator wants it to go."""

    gpu: Number
    gi_id: Number


class Protect(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """Let one user open the instance's device nodes, and nobody else."""

    gpu: Number
    gi_id: Number
    uid: Number


class Unprotect(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """Let nobody open them any more."""

    gpu: Number
    gi_id: Number


class Admit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """Let the cgroup of a process of the instance's user open the nodes."""

    gpu: Number
    gi_id: Number
    pid: Number
    started_ticks: Ticks


class Kill(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """End a process that is on the instance, the hard way or (``gently``) by asking it to.

    Where instances are given to one user each: one that computes there, or that is that user's.
    Anybody can be sent an open node without a say in it.
    """

    gpu: Number
    gi_id: Number
    pid: Number
    started_ticks: Ticks
    gently: bool


OfNode: TypeAlias = Describe | LookOut | LetGo | TakeUp
"""Verbs about all of it."""

OfInstance: TypeAlias = Destroy | Own | Protect | Unprotect | Admit | Kill
"""Verbs about an instance that is there."""

Verb: TypeAlias = OfNode | Observe | Look | Secure | Create | OfInstance


class Described(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """The helper's GPUs, in its order."""

    gpus: tuple[Gpu, ...]


class Observed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """A full observation."""

    instances: tuple[Instance, ...]


class Occupied(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """The pids on it, and which of them compute there: others just have its nodes open."""

    pids: tuple[int, ...]
    computing: tuple[int, ...] = ()


class Claimed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """Places of GPUs that others manage, and who does."""

    gpus: tuple[tuple[Number, str], ...]


class Created(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """The new instance."""

    identity: Identity


class Done(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """It is done."""


class Failed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """It is not, and nothing is left half done."""

    kind: str
    message: str
    situation: str = ""
    next_step: str = ""
    code: int = 999
    call: str = ""


Outcome: TypeAlias = Described | Observed | Occupied | Claimed | Created | Done | Failed


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One verb. Outcomes come back under its number, in any order."""

    number: Number
    verb: Verb


class Reply(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What came of the request with that number."""

    number: Number
    outcome: Outcome
