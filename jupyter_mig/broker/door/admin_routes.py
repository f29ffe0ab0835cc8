"""The routes of administrators: everybody's leases, GPUs, orphans, and the annals.

Never over TCP. Whatever is done here is noted in the annals, with who did it and why.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, TypeAlias

import msgspec

from jupyter_mig import errors
from jupyter_mig.broker import story
from jupyter_mig.broker.callers.accounts import Accounts
from jupyter_mig.broker.door import administrators
from jupyter_mig.broker.door.admin_views import (
    Names,
    audit_view,
    interval_view,
    lease_view,
    orphan_view,
    use_view,
)
from jupyter_mig.broker.door.routes import Audience, Route
from jupyter_mig.broker.gauges import Gauges
from jupyter_mig.broker.memory.annals import Annals
from jupyter_mig.broker.service import Service
from jupyter_mig.broker.words import seen
from jupyter_mig.core import administration, events
from jupyter_mig.core.events import AnyEvent
from jupyter_mig.core.leases import Lease, LeaseState
from jupyter_mig.core.state import Place, PlaceState, State
from jupyter_mig.nvml.port import HardwarePort, Registrar, Removable
from jupyter_mig.wire import codec
from jupyter_mig.wire.administration import ActRequest, DriverView, Entry, RevokeRequest
from jupyter_mig.wire.messages import Name

log = logging.getLogger(__name__)

Rules: TypeAlias = list[tuple[str, type[Route], dict[str, Any]]]

_UNTOUCHED = (PlaceState.OUTSIDE, PlaceState.IDLE)
_GOING = (PlaceState.DESTROYING, PlaceState.CONDEMNED)


class Since(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A query: what has happened since then, in Unix time."""

    since: float = 0.0


class Between(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A query: what was at some time between the two, in Unix time."""

    since: float = 0.0
    until: float | None = None


class OfUser(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A query: by what name administrators are told of him."""

    user: Name


class _AdminRoute(Route):
    """What they share: who may use them, and how it is noted."""

    annals: Annals
    names: Names

    def initialize(  # type: ignore[override]  # Tornado hands over what each route was made with
        self,
        service: Service,
        driver: HardwarePort,
        audience: Audience,
        annals: Annals | None,
        accounts: Accounts,
    ) -> None:
        """Tornado hands over what the route was made with. Called for each request."""
        super().initialize(service, driver, audience)
        self._annals = annals
        self.names = Names(accounts, service.policy.members)

    async def prepare(self) -> None:
        """Administrators alone, of a broker that is everybody's."""
        await super().prepare()
        if self._annals is None:
            raise errors.BadRequest(
                "This broker has no administrators: it is one user's own.",
                next_step="jupyter mig admin is for nodes with a broker for all users.",
            )
        self.annals = self._annals
        try:
            await administrators.require(self.peer, self.service.policy)
        except errors.NotAllowed as refusal:
            self.audience.tell_refused(self.peer.uid, refusal, self.request.path)
            raise

    async def act(self, event: AnyEvent, note: Entry) -> None:
        """Have it done, and note who did it; ``note`` lacks that and the time."""
        await self.service.post(event)
        self.note(note)

    def note(self, note: Entry) -> None:
        """Write down what was done, and by whom."""
        note = msgspec.structs.replace(note, at=self.annals.now(), by_uid=self.peer.uid)
        log.info("%s", story.noted(note))
        self.annals.note(note)

    def reason(self) -> str:
        """Why, from a body that may be empty."""
        body = self.request.body
        return seen(codec.decode(body, ActRequest).reason) if body else ""


class AdminLeasesRoute(_AdminRoute):
    """``/v1/admin/leases``."""

    async def get(self) -> None:
        """Everybody's live leases, the oldest first."""
        leases = sorted(self.service.state.leases.values(), key=lambda lease: lease.order)
        names = await self.names.of(lease.owner for lease in leases)
        state, now = self.service.state, self.service.clock()
        self.answer([lease_view(state, each, names[each.owner], now) for each in leases])


class AdminNodeRoute(_AdminRoute):
    """``/v1/admin/node``."""

    async def get(self) -> None:
        """The whole picture as that user sees it, with what his limits leave him of it."""
        owner = await self.names.owner(codec.query(self.query(), OfUser).user)
        self.answer(await self.node_of(owner))


class AdminLeaseRoute(_AdminRoute):
    """``/v1/admin/leases/{id}``."""

    async def delete(self, lease_id: str) -> None:
        """Revoke it: its slice is cleared, and its owner told why."""
        reason = seen(codec.decode(self.request.body, RevokeRequest).reason)
        lease = self._live(lease_id)
        place = self.service.state.place_of(lease)
        note = Entry(0.0, "revoked", lease.owner, lease_id, lease.size, lease.label, reason=reason)
        await self.act(events.LeaseRevoked(lease_id, reason), _about(note, place))
        names = await self.names.of([lease.owner])
        self.answer(lease_view(self.service.state, lease, names[lease.owner], self.service.clock()))

    def _live(self, lease_id: str) -> Lease:
        lease = self.service.find(lease_id)
        if lease is None:
            raise errors.UnknownLease(
                f"There is no lease {lease_id[:40]}.", next_step="See jupyter mig admin leases."
            )
        if lease.state is LeaseState.RELEASED:
            raise errors.LeaseEnded(f"Lease {lease_id[:40]} is over already.")
        return lease


class DrainRoute(_AdminRoute):
    """``/v1/admin/gpus/{uuid}/drain``."""

    async def post(self, gpu_uuid: str) -> None:
        """Nothing new is started there, also by later brokers, until this is taken back."""
        self._require_known(gpu_uuid)
        reason = self.reason()
        note = Entry(0.0, "drained", gpu_uuid=gpu_uuid, reason=reason)
        await self.act(events.GpuDrained(gpu_uuid, reason), note)
        self._answer_gpu(gpu_uuid)

    async def delete(self, gpu_uuid: str) -> None:
        """Take it back."""
        self._require_known(gpu_uuid)
        note = Entry(0.0, "reopened", gpu_uuid=gpu_uuid, reason=self.reason())
        await self.act(events.GpuReopened(gpu_uuid), note)
        self._answer_gpu(gpu_uuid)

    def _require_known(self, gpu_uuid: str) -> None:
        if gpu_uuid not in self.service.state.gpus:
            raise errors.BadRequest(
                f"This node's broker has no GPU {seen(gpu_uuid)[:60]}.",
                situation=f"It has {', '.join(self.service.state.gpus) or 'none'}.",
            )

    def _answer_gpu(self, gpu_uuid: str) -> None:
        node = self.views().node(self.driver)
        self.answer(next(gpu for gpu in node.gpus if gpu.uuid == gpu_uuid))


class ReleaseRoute(_AdminRoute):
    """``/v1/admin/driver/release``."""

    async def post(self) -> None:
        """Let go of the driver: all GPUs must be drained, and empty."""
        reason = self.reason()
        driver = self._removable()
        if not _is_empty(self.service.state):
            raise errors.Refused(
                "Not every GPU is drained and empty.",
                next_step="Drain them, and wait: jupyter mig admin release-driver does both.",
            )
        await asyncio.to_thread(driver.let_go)
        self._tell("released", reason, is_open=False)

    async def delete(self) -> None:
        """Open it again. A broker that is started does so, too."""
        reason = self.reason()
        await asyncio.to_thread(self._removable().take_up)
        self._tell("taken-up", reason, is_open=True)

    def _removable(self) -> Removable:
        if not isinstance(self.driver, Removable):
            raise errors.NotSupported("This driver cannot be let go of.")
        return self.driver

    def _tell(self, what: str, reason: str, *, is_open: bool) -> None:
        self.note(Entry(0.0, f"driver-{what}", reason=reason))
        self.answer(DriverView(self.driver.name, is_open))


def _is_empty(state: State) -> bool:
    """Whether nothing is there, nor will be."""
    held = any(lease.instance_id for lease in state.leases.values())
    ours = any(place.ours for place in state.instances.values())
    return not (held or ours) and state.gpus.keys() <= state.drained.keys()


class OrphansRoute(_AdminRoute):
    """``/v1/admin/orphans``."""

    def get(self) -> None:
        """Instances that we did not make, as far as we know, on GPUs that we cut."""
        state = self.service.state
        self.answer([orphan_view(state, place) for place in administration.orphans(state)])


class _OrphanRoute(_AdminRoute):
    """What is done to one orphan."""

    def orphan(self, instance_id: str) -> Place:
        """One that nobody has."""
        state = self.service.state
        for place in administration.orphans(state):
            if place.instance_id == instance_id and place.state in _UNTOUCHED:
                return place
        raise errors.BadRequest(
            f"{instance_id[:20]} is no orphan that nobody has.",
            next_step="See jupyter mig admin orphans.",
        )

    async def deal_with(self, place: Place, event: AnyEvent, what: str) -> None:
        """Do it, and show what has become of it."""
        note = _about(Entry(0.0, what, size=place.profile_name, reason=self.reason()), place)
        await self.act(event, note)
        self.answer(orphan_view(self.service.state, place))


class AdoptRoute(_OrphanRoute):
    """``/v1/admin/orphans/{id}/adopt``."""

    async def post(self, instance_id: str) -> None:
        """Hand it out as it is, from now on."""
        place = self.orphan(instance_id)
        if place.state is PlaceState.IDLE:
            raise errors.BadRequest(f"{instance_id} has been adopted already.")
        await self.deal_with(place, events.OrphanAdopted(instance_id), "adopted")


class DestroyRoute(_OrphanRoute):
    """``/v1/admin/orphans/{id}/destroy``."""

    async def post(self, instance_id: str) -> None:
        """Destroy it, as soon as nobody is on it. One that we are destroying in vain already is
        the helper's to destroy from now on, whatever it has forgotten.
        """
        place = self._stuck(instance_id) or self.orphan(instance_id)
        if isinstance(self.driver, Registrar) and place.identity is not None:
            await asyncio.to_thread(self.driver.own, place.spec.gpu_uuid, place.identity)
        await self.deal_with(place, events.OrphanCondemned(instance_id), "destroyed")

    def _stuck(self, instance_id: str) -> Place | None:
        place = self.service.state.instances.get(instance_id)
        return place if place is not None and place.state in _GOING and place.failures else None


class AuditRoute(_AdminRoute):
    """``/v1/admin/audit``."""

    async def get(self) -> None:
        """The latest entries since then, the oldest first."""
        since = codec.query(self.query(), Since).since
        await asyncio.to_thread(self.annals.settle)
        entries = await asyncio.to_thread(self.annals.entries, since)
        names = await self.names.of(uid for each in entries for uid in (each.uid, each.by_uid))
        self.answer([audit_view(each, names) for each in entries])


class IntervalsRoute(_AdminRoute):
    """``/v1/admin/intervals``."""

    async def get(self) -> None:
        """Which slice was whose, the earliest first."""
        between = codec.query(self.query(), Between)
        await asyncio.to_thread(self.annals.settle)
        found = await asyncio.to_thread(self.annals.intervals, between.since, between.until)
        names = await self.names.of(each.uid for each in found)
        self.answer([interval_view(each, names) for each in found])


class UsesRoute(_AdminRoute):
    """``/v1/admin/uses``."""

    gauges: Gauges

    def initialize(self, *, gauges: Gauges, **given: Any) -> None:  # type: ignore[override]  # Tornado hands over what each route was made with
        """Tornado hands over what the route was made with. Called for each request."""
        super().initialize(**given)
        self.gauges = gauges

    async def get(self) -> None:
        """Whether those who hold slices use them, the oldest lease first."""
        readings, _ = await self.gauges.readings()
        slices = {one.instance_id: one for one in readings.slices}
        state, now = self.service.state, self.service.clock()
        held = [each for each in state.leases.values() if each.instance_id in slices]
        names = await self.names.of(lease.owner for lease in held)
        self.answer(
            [
                use_view(
                    lease,
                    names[lease.owner],
                    now,
                    slices[lease.instance_id or ""].processes,
                    self.gauges.history(lease.lease_id),
                )
                for lease in sorted(held, key=lambda lease: lease.order)
            ]
        )


def _about(note: Entry, place: Place | None) -> Entry:
    """The same, with the slice it was about."""
    if place is None or place.identity is None:
        return note
    mig_uuid = place.identity.mig_uuid or ""
    return msgspec.structs.replace(note, mig_uuid=mig_uuid, gpu_uuid=place.spec.gpu_uuid)


def rules(given: dict[str, Any], annals: Annals | None, gauges: Gauges) -> Rules:
    """The routes as an application takes them."""
    known = {**given, "annals": annals, "accounts": Accounts()}
    orphan = r"/v1/admin/orphans/(\w+)"
    return [
        (r"/v1/admin/leases", AdminLeasesRoute, known),
        (r"/v1/admin/node", AdminNodeRoute, known),
        (r"/v1/admin/uses", UsesRoute, {**known, "gauges": gauges}),
        (r"/v1/admin/leases/([0-9A-Za-z_-]+)", AdminLeaseRoute, known),
        (r"/v1/admin/gpus/([0-9A-Za-z_-]+)/drain", DrainRoute, known),
        (r"/v1/admin/driver/release", ReleaseRoute, known),
        (r"/v1/admin/orphans", OrphansRoute, known),
        (f"{orphan}/adopt", AdoptRoute, known),
        (f"{orphan}/destroy", DestroyRoute, known),
        (r"/v1/admin/audit", AuditRoute, known),
        (r"/v1/admin/intervals", IntervalsRoute, known),
    ]
