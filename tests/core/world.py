"""A world for stories about the ledger: GPUs with windows, processes on them, a driver that answers
in order per GPU and may fail. It knows windows from what the actions say and nothing of how they
were chosen.
"""

from __future__ import annotations

from collections import deque

import msgspec

from jupyter_mig.core import actions, events
from jupyter_mig.core.geometry import Geometry, Gpu, Identity, Instance, Spec
from jupyter_mig.core.leases import Holder

UNKILLABLE = 1_000
"""Pids from here on do not die of signals."""


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


def kernel(pid: int) -> Holder:
    """A kernel process, as the broker would name it."""
    return Holder(f"kernel-{pid}")


def _is_claim_of(call: Call, instance_id: str) -> bool:
    return isinstance(call, actions.ClaimInstance) and call.instance_id == instance_id


class World:
    """What is really there. ``died`` are processes whose end nobody has told the ledger yet,
    ``locked`` instances that the broker has locks on, ``blind`` GPUs whose placements the reader
    may not learn. ``returned`` are instances given back while a claim of them is still to be
    answered. ``clumsy``: a creation that fails leaves half an instance behind.
    """

    def __init__(self, gpus: list[tuple[Gpu, bool]]) -> None:
        self.gpus = {gpu.uuid: gpu for gpu, _ in gpus}
        self.creates = {gpu.uuid: creates for gpu, creates in gpus}
        self.real: dict[str, list[Real]] = {uuid: [] for uuid in self.gpus}
        self.calls: dict[str, deque[Call]] = {uuid: deque() for uuid in self.gpus}
        self.died: list[Holder] = []
        self.locked: set[str] = set()
        self.returned: set[str] = set()
        self.blind: set[str] = set()
        self.clumsy = False

    def take(self, todo: list[actions.AnyAction]) -> None:
        """Queue the driver calls among the actions; carry out the others at once."""
        for action in todo:
            if isinstance(action, actions.SignalOccupants):
                if action.signal is actions.Signal.KILL:
                    self._kill({pid for pid in action.pids if pid < UNKILLABLE})
            elif isinstance(action, actions.LockInstance):
                self.locked.add(action.instance_id)
            elif isinstance(action, actions.ReturnInstance):
                self._give_back(action)
            elif isinstance(action, actions.CreateInstance):
                self.calls[action.spec.gpu_uuid].append(action)
            elif isinstance(action, CALLS):
                self.calls[action.gpu_uuid].append(action)

    def _give_back(self, action: actions.ReturnInstance) -> None:
        """In its turn: a claim that was asked for before comes first."""
        calls = self.calls[action.gpu_uuid]
        if any(_is_claim_of(call, action.instance_id) for call in calls):
            self.returned.add(action.instance_id)
        self.locked.discard(action.instance_id)

    def _kill(self, pids: set[int]) -> None:
        self.died += [kernel(pid) for pid in pids]
        for instances in self.real.values():
            for real in instances:
                real.occupants -= pids

    def answer(self, uuid: str, *, fail: bool = False, hopeless: bool = False) -> events.AnyEvent:
        """Carry out the oldest call on a GPU, or fail it."""
        call = self.calls[uuid].popleft()
        if isinstance(call, actions.ObserveGpu):
            return self.failed(uuid) if fail else self.observed(uuid)
        if isinstance(call, actions.CreateInstance):
            return self._create(call, fail=fail, hopeless=hopeless)
        real = self.find(uuid, call.identity)
        if isinstance(call, actions.DestroyInstance):
            return self._destroy(call, real, fail=fail)
        if isinstance(call, actions.ClaimInstance):
            return self._claim(call, real, fail=fail)
        return self._occupants(call, real, fail=fail)

    def find(self, uuid: str, identity: Identity) -> Real | None:
        """The instance that has that GI id now; it may be another one than was meant."""
        return next((r for r in self.real[uuid] if r.identity.gi_id == identity.gi_id), None)

    def _create(
        self, call: actions.CreateInstance, *, fail: bool, hopeless: bool
    ) -> events.AnyEvent:
        sound = not fail or self.clumsy
        able = sound and self.gpus[call.spec.gpu_uuid].mig_enabled
        made = self.create(call.spec) if able else None
        if made is not None and fail:
            self.half(made)
            return events.CreateFailed(call.instance_id, "Unknown", hopeless, left_there=True)
        if made is None:
            return events.CreateFailed(call.instance_id, "Insufficient Resources", hopeless)
        return events.InstanceCreated(call.instance_id, made.identity)

    def _claim(
        self, call: actions.ClaimInstance, real: Real | None, *, fail: bool
    ) -> events.AnyEvent:
        if fail or real is None or real.occupants:
            self.locked.discard(call.instance_id)
            self.returned.discard(call.instance_id)
            return events.ClaimFailed(call.instance_id, "in use")
        if call.instance_id not in self.returned:
            self.locked.add(call.instance_id)
        self.returned.discard(call.instance_id)
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
        self.locked.discard(call.instance_id)
        if real is not None and (fail or real.occupants):
            return events.DestroyFailed(call.instance_id, "In Use", tuple(sorted(real.occupants)))
        both_whole = real is not None and real.identity.whole and call.identity.whole
        if real is not None and both_whole and real.identity != call.identity:
            return events.DestroyFailed(call.instance_id, "another one by now")
        if real is not None:
            self.real[call.gpu_uuid].remove(real)
        return events.InstanceDestroyed(call.instance_id)

    def create(self, spec: Spec) -> Real | None:
        """Make an instance unless something is in the way, as the driver does."""
        assert spec.start is not None
        window = self._window(spec)
        if any(window & self._window(real.spec) for real in self.real[spec.gpu_uuid]):
            return None
        used = {real.identity.gi_id for real in self.real[spec.gpu_uuid]}
        gi_id = min(set(range(16)) - used)
        uuid = f"MIG-{spec.gpu_uuid}-{gi_id}-{spec.profile_id}-{spec.start}"
        real = Real(spec, Identity(gi_id, 0, uuid), set())
        self.real[spec.gpu_uuid].append(real)
        return real

    def _window(self, spec: Spec) -> set[int]:
        assert spec.start is not None
        width = self.gpus[spec.gpu_uuid].geometry.by_id[spec.profile_id].width
        return set(range(spec.start, spec.start + width))

    def observed(self, uuid: str) -> events.GpuObserved:
        """A full observation of one GPU."""
        gpu, blind = self.gpus[uuid], uuid in self.blind
        if not gpu.mig_enabled or blind:
            gpu = msgspec.structs.replace(gpu, geometry=Geometry())
        return events.GpuObserved(
            gpu,
            self.creates[uuid],
            tuple(
                self._seen(real, blind=blind)
                for real in self.real[uuid]
                if real.identity.whole or not blind
            ),
        )

    def _seen(self, real: Real, *, blind: bool) -> Instance:
        profile = self.gpus[real.spec.gpu_uuid].geometry.by_id[real.spec.profile_id]
        spec = msgspec.structs.replace(real.spec, start=None) if blind else real.spec
        pids = tuple(sorted(real.occupants))
        return Instance(spec, real.identity, profile.name, profile.memory_bytes, pids)

    def failed(self, uuid: str) -> events.GpuFailed:
        """An observation that did not work."""
        return events.GpuFailed(uuid, "GPU is lost")

    def half(self, real: Real) -> None:
        """An instance loses its compute instance."""
        real.identity = Identity(real.identity.gi_id)

    def turn_mig(self, uuid: str) -> None:
        """MIG is turned off (instances go with it), or on again."""
        gpu = self.gpus[uuid]
        self.gpus[uuid] = msgspec.structs.replace(gpu, mig_enabled=not gpu.mig_enabled)
        self.real[uuid].clear()

    def interrupt(self, uuid: str, *, done: bool, half: bool = False) -> None:
        """The broker is killed during the oldest call, which may have happened or not, or, if it
        was a creation, by half. All locks go with it.
        """
        if self.calls[uuid] and done:
            call = self.calls[uuid][0]
            self.answer(uuid)
            if half and isinstance(call, actions.CreateInstance):
                for real in self.real[uuid]:
                    if real.spec == call.spec:
                        self.half(real)
        self.calls[uuid].clear()
        self.locked.clear()

    def reboot(self) -> None:
        """Power is lost: no instance, no process, no lock, no call outlives it."""
        for uuid in self.gpus:
            self.real[uuid].clear()
            self.calls[uuid].clear()
        self.died.clear()
        self.locked.clear()
