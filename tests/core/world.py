"""A world for the ledger's stateful test: GPUs with windows, processes on them, a driver that
answers in order per GPU and may fail. It knows windows from what the actions say and nothing of
how they were chosen.
"""

from __future__ import annotations

from collections import deque

import msgspec

from jupyter_mig.core import actions, events
from jupyter_mig.core.geometry import Gpu, Identity, Instance, Spec


class Real(msgspec.Struct):
    """An instance that exists."""

    spec: Spec
    identity: Identity
    occupants: set[int]


Call = (
    actions.CreateInstance
    | actions.ClaimInstance
    | actions.DestroyInstance
    | actions.ObserveOccupants
    | actions.ObserveGpu
)
CALLS = (
    actions.CreateInstance,
    actions.ClaimInstance,
    actions.DestroyInstance,
    actions.ObserveOccupants,
    actions.ObserveGpu,
)


class World:
    """What is really there."""

    def __init__(self, gpus: list[tuple[Gpu, bool]]) -> None:
        self.gpus = {gpu.uuid: (gpu, creates) for gpu, creates in gpus}
        self.real: dict[str, list[Real]] = {uuid: [] for uuid in self.gpus}
        self.calls: dict[str, deque[Call]] = {uuid: deque() for uuid in self.gpus}
        self.made = 0

    def take(self, todo: list[actions.AnyAction]) -> None:
        """Queue the driver calls among the actions; carry out the others at once."""
        for action in todo:
            if isinstance(action, actions.SignalOccupants):
                if action.signal is actions.Signal.KILL:
                    self._kill(set(action.pids))
            elif isinstance(action, CALLS):
                uuid = (
                    action.spec.gpu_uuid
                    if isinstance(action, actions.CreateInstance)
                    else action.gpu_uuid
                )
                self.calls[uuid].append(action)

    def _kill(self, pids: set[int]) -> None:
        for instances in self.real.values():
            for real in instances:
                real.occupants -= {pid for pid in pids if pid < 1_000}

    def answer(self, uuid: str, *, fail: bool) -> events.AnyEvent:
        """Carry out the oldest call on a GPU, or fail it."""
        call = self.calls[uuid].popleft()
        if isinstance(call, actions.ObserveGpu):
            return self.failed(uuid) if fail else self.observed(uuid)
        if isinstance(call, actions.CreateInstance):
            return self._create(call, fail=fail)
        real = next((r for r in self.real[uuid] if r.identity.gi_id == call.identity.gi_id), None)
        if isinstance(call, actions.DestroyInstance):
            return self._destroy(call, real, fail=fail)
        if isinstance(call, actions.ClaimInstance):
            return self._claim(call, real, fail=fail)
        return self._occupants(call, real, fail=fail)

    def _create(self, call: actions.CreateInstance, *, fail: bool) -> events.AnyEvent:
        identity = None if fail else self.create(call.spec)
        if identity is None:
            return events.CreateFailed(call.instance_id, "Insufficient Resources")
        return events.InstanceCreated(call.instance_id, identity)

    def _claim(
        self, call: actions.ClaimInstance, real: Real | None, *, fail: bool
    ) -> events.AnyEvent:
        if fail or real is None or real.occupants:
            return events.ClaimFailed(call.instance_id, "in use")
        return events.InstanceClaimed(call.instance_id)

    def _occupants(
        self, call: actions.ObserveOccupants, real: Real | None, *, fail: bool
    ) -> events.AnyEvent:
        if fail:
            return events.OccupantsUnknown(call.instance_id, "GPU is lost")
        pids = tuple(sorted(real.occupants)) if real else ()
        return events.OccupantsObserved(call.instance_id, pids)

    def _destroy(
        self, call: actions.DestroyInstance, real: Real | None, *, fail: bool
    ) -> events.AnyEvent:
        if real is not None and (fail or real.occupants):
            return events.DestroyFailed(call.instance_id, "In Use", tuple(sorted(real.occupants)))
        if real is not None:
            self.real[call.gpu_uuid].remove(real)
        return events.InstanceDestroyed(call.instance_id)

    def create(self, spec: Spec) -> Identity | None:
        """Make an instance unless something is in the way, as the driver does."""
        assert spec.start is not None
        profile = self.gpus[spec.gpu_uuid][0].geometry.by_id[spec.profile_id]
        window = set(range(spec.start, spec.start + profile.width))
        for real in self.real[spec.gpu_uuid]:
            assert real.spec.start is not None
            width = self.gpus[spec.gpu_uuid][0].geometry.by_id[real.spec.profile_id].width
            if window & set(range(real.spec.start, real.spec.start + width)):
                return None
        used = {real.identity.gi_id for real in self.real[spec.gpu_uuid]}
        gi_id = min(set(range(16)) - used)
        identity = Identity(gi_id, 0, f"MIG-{spec.gpu_uuid}-{gi_id}")
        self.real[spec.gpu_uuid].append(Real(spec, identity, set()))
        return identity

    def observed(self, uuid: str) -> events.GpuObserved:
        """A full observation of one GPU."""
        gpu, creates = self.gpus[uuid]
        return events.GpuObserved(
            gpu,
            creates,
            tuple(
                Instance(
                    real.spec,
                    real.identity,
                    gpu.geometry.by_id[real.spec.profile_id].name,
                    gpu.geometry.by_id[real.spec.profile_id].memory_bytes,
                    tuple(sorted(real.occupants)),
                )
                for real in self.real[uuid]
            ),
        )

    def failed(self, uuid: str) -> events.GpuFailed:
        """An observation that did not work."""
        return events.GpuFailed(uuid, "GPU is lost")

    def interrupt(self, uuid: str, *, done: bool) -> None:
        """The broker is killed during the oldest call: it may or may not have happened."""
        if self.calls[uuid] and done:
            self.answer(uuid, fail=False)
        self.calls[uuid].clear()
