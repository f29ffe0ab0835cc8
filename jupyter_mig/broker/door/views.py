"""What the ledger knows, as the messages that leave by the door."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Literal

import jupyter_mig
from jupyter_mig.broker.door import allowances
from jupyter_mig.broker.door.refusals import Refusals, problem_of, remedy_of
from jupyter_mig.broker.hardware.stock import Stock
from jupyter_mig.broker.holders.heartbeats import Heartbeats, is_kept_by_heartbeats
from jupyter_mig.core import queries, quotas
from jupyter_mig.core.allowance import sizes_for
from jupyter_mig.core.leases import Lease, LeaseState
from jupyter_mig.core.policy import Limits
from jupyter_mig.core.rooms import rooms
from jupyter_mig.core.rules import Rules
from jupyter_mig.core.state import GpuState, Place, State
from jupyter_mig.nvml.port import HardwarePort, Warden
from jupyter_mig.wire import codec
from jupyter_mig.wire.messages import (
    PROTOCOL,
    AllowanceView,
    BrokerView,
    ErrorBody,
    GpuView,
    InstanceView,
    LeaseView,
    NodeView,
    RoomView,
    SizeCount,
    SliceView,
)


def broker_view(driver: HardwarePort) -> BrokerView:
    """Who answers."""
    return BrokerView(
        protocol=PROTOCOL,
        version=jupyter_mig.__version__,
        driver=driver.name,
        simulated=driver.simulated,
        pid=os.getpid(),
        uid=os.getuid(),
        boundary=isinstance(driver, Warden) and driver.isolates,
    )


class Views:
    """The state as one user may see it at ``now`` (seconds on the ledger's clock). ``stocks`` is
    what GPUs had to offer when last seen, by UUID, ``locked`` the device nodes that are locked now,
    by instance; ``heartbeats`` are of holders that cannot be seen (None: no lease is shown).
    """

    def __init__(
        self,
        state: State,
        rules: Rules,
        now: float,
        viewer: int,
        stocks: Mapping[str, Stock] = MappingProxyType({}),
        *,
        locked: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
        heartbeats: Heartbeats | None = None,
    ) -> None:
        self._state = state
        self._rules = rules
        self._now = now
        self._viewer = viewer
        self._stocks = stocks
        self._locked = locked
        self._heartbeats = heartbeats

    def lease(self, lease: Lease) -> LeaseView:
        """One lease of the viewer's."""
        waiting = lease.state is LeaseState.WAITING
        beats = self._heartbeats if is_kept_by_heartbeats(lease) else None
        return LeaseView(
            lease_id=lease.lease_id,
            kernel_id=lease.kernel_id,
            state=lease.state.value,
            version=lease.version,
            size=lease.size,
            label=lease.label,
            held_seconds=self._held_seconds(lease),
            slice=self._slice(lease),
            kernel_pid=lease.kernel_pid,
            place=self._places.get(lease.lease_id) if waiting else None,
            estimate_seconds=(
                queries.estimate_seconds(self._state, self._rules, lease.lease_id)
                if waiting and self._places.get(lease.lease_id) == 1
                else None
            ),
            gives_up_in_seconds=(
                max(lease.deadline - self._now, 0.0)
                if waiting and lease.deadline is not None
                else None
            ),
            refusal=self._refusal(lease),
            over_quota=self._over_quota(lease) if waiting else "",
            heartbeat_seconds=beats.interval_seconds if beats else None,
            silence_seconds=(
                beats.silence_seconds(lease.kernel or lease.requester) if beats else None
            ),
            end_reason=lease.reason.value if lease.reason else "",
            rule=lease.limits.rule if lease.limits else "",
            ends_in_seconds=(
                max(lease.expires_at - self._now, 0.0) if lease.expires_at is not None else None
            ),
        )

    @cached_property
    def _places(self) -> dict[str, int]:
        """Found once, however many leases are shown."""
        return queries.places_in_line(self._state, self._rules)

    def leases(self) -> list[LeaseView]:
        """The viewer's live leases, the oldest first."""
        mine = [lease for lease in self._state.leases.values() if lease.owner == self._viewer]
        return [self.lease(lease) for lease in sorted(mine, key=lambda lease: lease.order)]

    def node(
        self, driver: HardwarePort, limits: Limits | None = None, not_available: str = ""
    ) -> NodeView:
        """The whole picture. ``limits`` are the viewer's; ``not_available``: why nobody knows."""
        gpus = sorted(self._state.gpus.values(), key=lambda gpu: gpu.gpu.index)
        return NodeView(
            driver=driver.name,
            simulated=driver.simulated,
            gpus=tuple(self._gpu(gpu) for gpu in gpus),
            sizes=self._sizes(limits),
            waiting=len(self._state.waiting()),
            allowance=self._allowance(limits) if limits is not None else None,
            allowance_not_available=not_available,
        )

    def _allowance(self, limits: Limits) -> AllowanceView:
        has = quotas.held(self._state, self._viewer)
        return AllowanceView(limits.rule, allowances.allowance(limits), allowances.amount(has))

    def _sizes(self, limits: Limits | None) -> tuple[SizeCount, ...]:
        has = quotas.held(self._state, self._viewer)
        never = limits.rule if limits is not None else ""
        over = allowances.used(limits, has) if limits is not None else ""
        return tuple(
            SizeCount(
                size=each.offer.name,
                free=each.free,
                total=each.offer.total,
                memory_bytes=each.offer.memory_bytes,
                multiprocessors=each.offer.multiprocessors,
                width=each.offer.width,
                models=each.offer.models,
                unclaimed=each.offer.free,
                not_allowed=never if each.never else "",
                over_quota=over if each.over_quota else "",
                instead_of=each.instead_of,
            )
            for each in sizes_for(self._state, self._rules, self._viewer, limits)
        )

    def _held_seconds(self, lease: Lease) -> float:
        if lease.granted_at is None:
            return 0.0
        until = lease.since if lease.state is LeaseState.RELEASED else self._now
        return max(until - lease.granted_at, 0.0)

    def _slice(self, lease: Lease) -> SliceView | None:
        place = self._state.place_of(lease)
        if place is None or place.identity is None or place.identity.mig_uuid is None:
            return None
        gpu = self._state.gpus[place.spec.gpu_uuid].gpu
        profile = gpu.geometry.by_id.get(place.spec.profile_id)
        stock = self._stocks.get(gpu.uuid)
        return SliceView(
            mig_uuid=place.identity.mig_uuid,
            profile=place.profile_name,
            memory_bytes=place.memory_bytes,
            multiprocessors=profile.multiprocessors if profile else 0,
            gpu_uuid=gpu.uuid,
            gpu_index=gpu.index,
            gpu_name=gpu.name,
            gi_id=place.identity.gi_id,
            start=place.spec.start,
            whole_gpu=place.identity.is_gpu,
            access_nodes=self._locked.get(place.instance_id, ()),
            near_cpus=stock.near_cpus if stock else "",
        )

    def _over_quota(self, lease: Lease) -> str:
        if not quotas.exceeded(self._state, self._rules, lease):
            return ""
        return Refusals(self._state, self._rules, self._now).over_quota(lease).situation

    def _refusal(self, lease: Lease) -> ErrorBody | None:
        error = Refusals(self._state, self._rules, self._now).of(lease)
        return codec.body_of(error) if error is not None else None

    def _gpu(self, gpu: GpuState) -> GpuView:
        places = sorted(self._state.on_gpu(gpu.gpu.uuid), key=_position)
        stock = self._stocks.get(gpu.gpu.uuid)
        mode: Literal["dynamic", "static"] = "dynamic" if gpu.creates else "static"
        return GpuView(
            uuid=gpu.gpu.uuid,
            index=gpu.gpu.index,
            name=gpu.gpu.name,
            memory_bytes=gpu.gpu.memory_bytes,
            units=gpu.gpu.geometry.units,
            mode="unusable" if gpu.problem else mode,
            instances=tuple(self._instance(gpu, place) for place in places),
            problem=problem_of(gpu),
            next_step=remedy_of(gpu),
            inventory=stock.choice.inventory.value if stock else mode,
            why=stock.choice.why if stock else "",
            notes=stock.notes if stock else (),
            drained=gpu.gpu.uuid in self._state.drained,
            rooms=tuple(
                RoomView(room.start, room.width, room.sizes)
                for room in rooms(self._state, gpu.gpu.uuid)
            ),
        )

    def _instance(self, gpu: GpuState, place: Place) -> InstanceView:
        lease = self._state.lease_of(place)
        mine = lease is not None and lease.owner == self._viewer
        profile = gpu.gpu.geometry.by_id.get(place.spec.profile_id)
        return InstanceView(
            profile=place.profile_name,
            memory_bytes=place.memory_bytes,
            state=place.state.value,
            start=place.spec.start,
            width=profile.width if profile and profile.width else None,
            lease_id=lease.lease_id if lease and mine else None,
            label=lease.label if lease and mine else "",
            mine=mine,
            suspects=place.suspects,
            instance_id=place.instance_id,
        )


def _position(place: Place) -> tuple[int, str]:
    return (place.spec.start if place.spec.start is not None else -1, place.instance_id)
