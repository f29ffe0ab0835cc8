"""What can happen, as past participles. The ledger changes only by handling these.

Every event is logged before it is handled, so its JSON form (tagged by ``event``) is the format
of the log: add fields with defaults, never change a meaning.
"""

from __future__ import annotations

import msgspec

from jupyter_mig.core.geometry import Gpu, Identity, Instance
from jupyter_mig.core.leases import Holder
from jupyter_mig.core.policy import Limits
from jupyter_mig.core.rules import Rules


class Event(
    msgspec.Struct,
    frozen=True,
    tag_field="event",
    tag=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
):
    """Base of all events. A log with fields we do not know was written by a newer version: it is
    refused, for to drop them would be to misread it.
    """


class Ask(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One wish for a slice. ``lease_id`` is chosen by the broker: ids come in with events.
    ``instead_of`` names the lease whose parked room may be used. ``limits`` are what the broker's
    policy allows the owner now.
    """

    lease_id: str
    kernel_id: str
    owner: int
    requester: Holder
    size: str
    label: str = ""
    patience_seconds: float | None = 0
    instead_of: str = ""
    limits: Limits | None = None


class SlicesRequested(Event, frozen=True):
    """Somebody wants slices. Several in one event are planned together, largest first."""

    asks: tuple[Ask, ...]


class LeaseBound(Event, frozen=True):
    """The kernel process has been started and checked; the lease is tied to it from now on."""

    lease_id: str
    kernel: Holder
    kernel_pid: int | None = None


class LeaseRenewed(Event, frozen=True):
    """A server means to start the kernel of this lease again (restart, or a new server)."""

    lease_id: str
    requester: Holder


class LeaseReleased(Event, frozen=True):
    """The owner is done with the lease, or takes the request back."""

    lease_id: str


class HolderLeft(Event, frozen=True):
    """A process (or heartbeat) that leases hang on is gone."""

    holder: Holder


class ResizeRequested(Event, frozen=True):
    """The owner wants another size in the place of this lease's: keep room for both."""

    lease_id: str
    size: str
    limits: Limits | None = None


class InstanceCreated(Event, frozen=True):
    """The driver made the instance we asked for."""

    instance_id: str
    identity: Identity


class CreateFailed(Event, frozen=True):
    """The driver did not. ``hopeless`` when asking again cannot help (no permission, MIG off).
    ``left_there`` when what was made of it, perhaps by half, could not be undone.
    """

    instance_id: str
    error: str
    hopeless: bool = False
    left_there: bool = False


class InstanceClaimed(Event, frozen=True):
    """An existing instance was found empty and is locked for us."""

    instance_id: str


class ClaimFailed(Event, frozen=True):
    """An existing instance is in somebody else's use."""

    instance_id: str
    error: str


class InstanceTaken(Event, frozen=True):
    """Somebody else was given an instance that a lease of ours holds, while no broker of ours lived
    and nobody of ours was there.
    """

    instance_id: str


class InstanceDestroyed(Event, frozen=True):
    """The driver destroyed the instance, or it was gone already."""

    instance_id: str


class DestroyFailed(Event, frozen=True):
    """The driver would not destroy the instance."""

    instance_id: str
    error: str
    suspects: tuple[int, ...] = ()


class OccupantsObserved(Event, frozen=True):
    """Who is on an instance that we wait for to be empty: pids, and those we may signal."""

    instance_id: str
    pids: tuple[int, ...]


class OccupantsUnknown(Event, frozen=True):
    """The driver could not say who is on the instance; that never frees it."""

    instance_id: str
    error: str


class GpuObserved(Event, frozen=True):
    """A full, successful observation of one GPU, in order with the driver calls on that GPU.

    ``creates`` is whether we may create and destroy there (dynamic) or hand out what exists.
    ``offers_unknown`` is False when the log that knew the instances was lost: somebody may hold
    one without being on it, so those we do not know are not handed out. ``withheld`` are the UUIDs
    of instances that are there and not to be handed out, because this process may not use them.
    ``problem`` says what is in the way of starting anything there, if the observer knows.
    """

    gpu: Gpu
    creates: bool
    instances: tuple[Instance, ...] = ()
    offers_unknown: bool = True
    problem: str = ""
    withheld: tuple[str, ...] = ()


class GpuFailed(Event, frozen=True):
    """A GPU could not be observed, or is not listed any more. Ends no lease."""

    gpu_uuid: str
    error: str


class BrokerStarted(Event, frozen=True):
    """A broker took over this log. Calls that were under way have an unknown outcome.

    Another ``boot_id`` means a reboot: instances and processes are gone. ``rules`` hold from now
    on; logs from before they were kept have none, and go by those of whoever reads them.
    """

    boot_id: str
    rules: Rules | None = None


class LeaseRevoked(Event, frozen=True):
    """An administrator takes the lease or the request away; ``why`` is for its owner."""

    lease_id: str
    why: str


class GpuDrained(Event, frozen=True):
    """An administrator wants nothing new on that GPU until it is reopened."""

    gpu_uuid: str
    why: str


class GpuReopened(Event, frozen=True):
    """It may be used again."""

    gpu_uuid: str


class OrphanAdopted(Event, frozen=True):
    """An administrator has an instance that we did not make handed out as it is."""

    instance_id: str


class OrphanCondemned(Event, frozen=True):
    """An administrator has an instance that we did not make destroyed, once nobody is on it."""

    instance_id: str


class TimePassed(Event, frozen=True):
    """Nothing but time: deadlines are due."""


AnyEvent = (
    SlicesRequested
    | LeaseBound
    | LeaseRenewed
    | LeaseReleased
    | HolderLeft
    | ResizeRequested
    | InstanceCreated
    | CreateFailed
    | InstanceClaimed
    | ClaimFailed
    | InstanceTaken
    | InstanceDestroyed
    | DestroyFailed
    | OccupantsObserved
    | OccupantsUnknown
    | GpuObserved
    | GpuFailed
    | BrokerStarted
    | LeaseRevoked
    | GpuDrained
    | GpuReopened
    | OrphanAdopted
    | OrphanCondemned
    | TimePassed
)
