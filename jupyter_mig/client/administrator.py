"""The client of whoever looks after a node with a broker for all users."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from jupyter_mig.client.client import Client
from jupyter_mig.wire.administration import (
    ActRequest,
    AnyLeaseView,
    AuditView,
    DriverView,
    IntervalView,
    OrphanView,
    RevokeRequest,
    UseView,
)
from jupyter_mig.wire.messages import GpuView, NodeView

_BASE = "/v1/admin"
_RELEASE = f"{_BASE}/driver/release"


class Administrator(Client):
    """A client that also asks what administrators may ask; others get NotAllowed."""

    async def all_leases(self) -> list[AnyLeaseView]:
        """Everybody's live leases, the oldest first."""
        return await self._ask("GET", f"{_BASE}/leases", list[AnyLeaseView])

    async def node_of(self, user: str) -> NodeView:
        """The node as that user sees it; raises UnknownUser if nobody is called so."""
        return await self._ask("GET", f"{_BASE}/node?{urlencode({'user': user})}", NodeView)

    async def uses(self) -> list[UseView]:
        """Whether those who hold slices use them, the oldest lease first."""
        return await self._ask("GET", f"{_BASE}/uses", list[UseView])

    async def revoke(self, lease_id: str, reason: str) -> AnyLeaseView:
        """Take a lease or a request away; its owner is told the reason."""
        path = f"{_BASE}/leases/{quote(lease_id, safe='')}"
        return await self._ask("DELETE", path, AnyLeaseView, RevokeRequest(reason))

    async def drain(self, gpu_uuid: str, reason: str) -> GpuView:
        """Have nothing new started on a GPU."""
        return await self._ask("POST", _drain(gpu_uuid), GpuView, ActRequest(reason))

    async def undrain(self, gpu_uuid: str, reason: str) -> GpuView:
        """Have it used again."""
        return await self._ask("DELETE", _drain(gpu_uuid), GpuView, ActRequest(reason))

    async def release_driver(self, reason: str) -> DriverView:
        """Have the broker let go of the driver; raises Refused unless all GPUs are empty."""
        return await self._ask("POST", _RELEASE, DriverView, ActRequest(reason))

    async def take_up_driver(self, reason: str) -> DriverView:
        """Have it open the driver again."""
        return await self._ask("DELETE", _RELEASE, DriverView, ActRequest(reason))

    async def orphans(self) -> list[OrphanView]:
        """Instances that the broker did not make, as far as it knows, on GPUs that it cuts."""
        return await self._ask("GET", f"{_BASE}/orphans", list[OrphanView])

    async def adopt(self, instance_id: str, reason: str) -> OrphanView:
        """Have one handed out as it is."""
        return await self._ask(
            "POST", _orphan(instance_id, "adopt"), OrphanView, ActRequest(reason)
        )

    async def destroy(self, instance_id: str, reason: str) -> OrphanView:
        """Have one destroyed as soon as nobody is on it."""
        path = _orphan(instance_id, "destroy")
        return await self._ask("POST", path, OrphanView, ActRequest(reason))

    async def audit(self, since: float = 0.0) -> list[AuditView]:
        """What happened since then (Unix time), the oldest first."""
        return await self._ask("GET", f"{_BASE}/audit?since={since}", list[AuditView])

    async def intervals(self, since: float = 0.0, until: float | None = None) -> list[IntervalView]:
        """Which slice was whose between the two, in Unix time."""
        given = {"since": since} if until is None else {"since": since, "until": until}
        return await self._ask("GET", f"{_BASE}/intervals?{urlencode(given)}", list[IntervalView])


def _drain(gpu_uuid: str) -> str:
    return f"{_BASE}/gpus/{quote(gpu_uuid, safe='')}/drain"


def _orphan(instance_id: str, what: str) -> str:
    return f"{_BASE}/orphans/{quote(instance_id, safe='')}/{what}"
