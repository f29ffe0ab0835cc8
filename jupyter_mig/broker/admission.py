"""Where cgroups are told apart: that of a lease's kernel is let in to the lease's slice.

It is done in the lane of the GPU. Whatever takes the slice away from the lease comes there later,
and closes it to the cgroup again; beside the lane, a call that is late would let the server that
had the slice before in to what another server of the same user has now.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial

from jupyter_mig import errors
from jupyter_mig.broker import processes
from jupyter_mig.broker.service import Service
from jupyter_mig.core.leases import USABLE, Lease
from jupyter_mig.nvml.port import HardwarePort, Warden


async def admit(service: Service, driver: HardwarePort, lease: Lease, pid: int) -> None:
    """Let the cgroup of that process in; 0 is one that cannot be seen. Raises NoPermission if it
    has none of its own, NotFound if it has ended.
    """
    if not isinstance(driver, Warden) or not driver.filters:
        return
    process = processes.find(pid) if pid else None
    if process is None:
        return
    # From here until it stands in the lane nothing else happens on the loop.
    place = service.state.place_of(lease)
    if lease.state in USABLE and place is not None and place.identity is not None:
        gpu_uuid = place.spec.gpu_uuid
        who = (process.pid, process.started_ticks)
        await service.lanes.ask(gpu_uuid, partial(driver.admit, gpu_uuid, place.identity, *who))


async def admit_early(service: Service, driver: HardwarePort, lease: Lease, pid: int) -> None:
    """The same for who was given a slice: its kernel will be started beside it, most likely, and
    may open the slice before anybody has said which process it is.
    """
    with suppress(errors.DriverError):  # whoever has no cgroup of his own is told when he binds
        await admit(service, driver, lease, pid)
