"""Random histories: the invariants hold after every event, replay agrees, nothing is left over."""

from __future__ import annotations

import os
from collections import Counter

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from jupyter_mig.core import actions, events, supply
from jupyter_mig.core.choices import Choice
from jupyter_mig.core.events import AnyEvent, Ask
from jupyter_mig.core.geometry import Identity, Spec
from jupyter_mig.core.leases import USABLE, Holder, Lease, LeaseState
from jupyter_mig.core.ledger import Ledger
from jupyter_mig.core.placement import choose
from jupyter_mig.core.policy import Limits
from jupyter_mig.core.rules import Rules
from jupyter_mig.core.state import PlaceState
from tests.core.another_rule import another_rule
from tests.core.implied import implied
from tests.core.nodes import A30, A100, RTX_PRO, gpu
from tests.core.terms import ANOTHER, HASTY, ORDINARY, POOLED
from tests.core.thorough import everybody_is_tried
from tests.core.world import UNKILLABLE, World, kernel

SIZES = ["1g.5gb", "1g.10gb", "2g.10gb", "3g.20gb", "7g.40gb", "10gb+", "1g.6gb", "2g.12gb"]
SIZES += ["1g.24gb", "2g.48gb", "1g.5gb+me", "9g.99gb", "small"]
PATIENCE = st.sampled_from([0.0, 5.0, 400.0, None])
OWNERS = st.sampled_from([1000, 1001, 1002])
LIMITS = st.sampled_from(
    [
        None,
        None,
        Limits("few", slices=2, wait_seconds=50.0),
        Limits("one", slices=1, lifetime_seconds=40.0),
        Limits("half", share=0.5),
        Limits("small", ("1g.5gb", "10gb+"), share=0.375, lifetime_seconds=400.0),
        Limits("none", slices=0),
    ]
)
GPUS = st.sampled_from(["GPU-0", "GPU-1"])
TERMS = st.sampled_from([ORDINARY, HASTY, POOLED])
SELDOM = st.sampled_from([False] * 4 + [True])
pytestmark = pytest.mark.timeout(600)  # half a minute on an idle machine
HISTORIES = int(os.environ.get("JUPYTER_MIG_TEST_HISTORIES", "2000"))


class Histories(RuleBasedStateMachine):
    """Three users, a node of several GPUs, a driver that may fail, a broker that may be killed."""

    @initialize(
        terms=TERMS,
        static=st.booleans(),
        blind=SELDOM,
        node=st.integers(0, 2),
    )
    def start(self, terms: Rules, static: bool, blind: bool, node: int) -> None:
        """Draw a node: an A100 with a static or dynamic neighbour of another kind."""
        second = [A100, A30, RTX_PRO][node]
        self.terms = terms
        self.world = World([(gpu(0, A100), True), (gpu(1, second), not static)])
        if static:
            widest = second.profiles[0]
            for at in widest.starts[:3]:
                self.world.create(Spec("GPU-1", widest.profile_id, at))
            if blind:
                self.world.blind.add("GPU-1")
        self.ledger = Ledger(self.terms)
        self.log: list[tuple[AnyEvent, float, tuple[Choice, ...]]] = []
        self.now = 1_000.0
        self.names = self.remembered = 0
        self.server = self.boots = 1
        self.prompt, self.stumbles, self.hopeless = True, 0, False
        self.restart_broker()

    def happen(self, event: AnyEvent) -> None:
        """Something happens, and a prompt driver answers all that follows from it."""
        self.tell(event)
        if self.prompt:
            self.settle()

    def settle(self) -> None:
        """The driver answers everything, but for a few calls that fail, and who was killed is
        seen to be gone. It comes to an end without time passing.
        """
        for _ in range(200):
            busy = [uuid for uuid, calls in self.world.calls.items() if calls]
            if self.world.died:
                self.tell(events.HolderLeft(self.world.died.pop()))
            elif busy:
                self.stumbles -= 1
                fail = self.stumbles >= 0
                self.tell(self.world.answer(busy[0], fail=fail, hopeless=self.hopeless))
            else:
                return
            self.calls_are_implied()
        raise AssertionError("actions and answers go on for ever")

    def tell(self, event: AnyEvent) -> None:
        """Handle, log, take over the actions, check."""
        todo = self.ledger.handle(event, self.now)
        self.log.append((event, self.now, self.ledger.choices))
        self.world.take(todo)
        self.ledger.check()
        due = self.ledger.next_deadline()
        assert due is None or due > self.ledger.state.now, "busy without time passing"
        assert len(self.ledger.state.ended) <= max(self.terms.remembered, self.remembered)

    def calls_are_implied(self) -> None:
        """What is under way follows from the state: exactly one call of each sort it names."""
        under_way: Counter[tuple[type[actions.Action], str]] = Counter(
            (
                type(call),
                call.gpu_uuid if isinstance(call, actions.ObserveGpu) else call.instance_id,
            )
            for calls in self.world.calls.values()
            for call in calls
        )
        for call in implied(self.ledger.state):
            assert under_way[call] == 1, f"{call} is under way {under_way[call]} times"

    def name(self, prefix: str) -> str:
        """A name not used before."""
        self.names += 1
        return f"{prefix}{self.names}"

    def ask(
        self,
        owner: int,
        size: str,
        patience: float | None,
        limits: Limits | None,
        *,
        again: bool,
    ) -> Ask:
        """An ask from the owner's server, perhaps for a kernel it has a lease for already."""
        kernels = [ls.kernel_id for ls in self.ledger.state.leases.values()]
        kernel_id = kernels[0] if again and kernels else self.name("kernel")
        parked = next(iter(self.ledger.state.parkings), "")
        requester = Holder(f"server-{owner}-{self.server}")
        lease_id = self.name("lease")
        return Ask(lease_id, kernel_id, owner, requester, size, "", patience, parked, limits)

    @rule(
        owner=OWNERS,
        sizes=st.lists(st.sampled_from(SIZES), min_size=1, max_size=4),
        patience=PATIENCE,
        limits=LIMITS,
        again=st.booleans(),
    )
    def request(
        self,
        owner: int,
        sizes: list[str],
        patience: float | None,
        limits: Limits | None,
        again: bool,
    ) -> None:
        """One or several requests, perhaps for a kernel that has one."""
        asks = tuple(
            self.ask(owner, size, patience, limits, again=again and not i)
            for i, size in enumerate(sizes)
        )
        self.happen(events.SlicesRequested(asks))

    @rule(computes=st.sampled_from([True, True, False]), stubborn=SELDOM)
    def kernels_start(self, computes: bool, stubborn: bool) -> None:
        """Every slice that waits for its kernel gets it; the kernels may be CUDA clients, and may
        not die of signals.
        """
        for lease in list(self.ledger.state.leases.values()):
            if lease.state in (LeaseState.GRANTED, LeaseState.ORPHANED):
                self.names += 1
                pid = self.names + (UNKILLABLE if stubborn else 0)
                self.happen(events.LeaseBound(lease.lease_id, kernel(pid), pid))
                if computes:
                    self.compute(lease, pid)

    def compute(self, lease: Lease, pid: int) -> None:
        """A process becomes a CUDA client of the lease's slice."""
        place = self.ledger.state.place_of(lease)
        if place is not None and place.identity is not None:
            real = self.world.find(place.spec.gpu_uuid, place.identity)
            if real is not None:
                real.occupants.add(pid)

    @rule(data=st.data())
    def bind_again(self, data: st.DataObject) -> None:
        """A kernel is replaced by another while it still lives."""
        lease = self.draw_lease(data, LeaseState.BOUND)
        if lease is not None:
            self.names += 1
            self.happen(events.LeaseBound(lease.lease_id, kernel(self.names), self.names))

    def draw_lease(self, data: st.DataObject, *states: LeaseState) -> Lease | None:
        """Some live lease in one of the states, if there is any."""
        leases = [ls for ls in self.ledger.state.leases.values() if ls.state in states]
        return data.draw(st.sampled_from(leases)) if leases else None

    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        """An owner lets go, or takes a request back; of a lease that a kernel has, if possible."""
        lease = self.draw_lease(data, LeaseState.BOUND) or self.draw_lease(data, *LeaseState)
        if lease is not None:
            self.happen(events.LeaseReleased(lease.lease_id))

    @rule(data=st.data())
    def revoke(self, data: st.DataObject) -> None:
        """An administrator takes a lease or a request away."""
        lease = self.draw_lease(data, *LeaseState)
        if lease is not None:
            self.happen(events.LeaseRevoked(lease.lease_id, "maintenance"))

    @rule(uuid=GPUS, reopen=st.booleans())
    def drain(self, uuid: str, reopen: bool) -> None:
        """An administrator wants nothing new on a GPU, or no longer minds."""
        event = events.GpuReopened(uuid) if reopen else events.GpuDrained(uuid, "maintenance")
        self.happen(event)
        self.calls_are_implied()

    @rule(data=st.data(), adopt=st.booleans())
    def orphan(self, data: st.DataObject, adopt: bool) -> None:
        """An administrator has an instance of somebody else's handed out, or destroyed."""
        found = [each.instance_id for each in self.ledger.state.instances.values()]
        if found:
            instance_id = data.draw(st.sampled_from(found))
            told = events.OrphanAdopted if adopt else events.OrphanCondemned
            self.happen(told(instance_id))
            self.calls_are_implied()

    @rule(data=st.data())
    def kernel_dies(self, data: st.DataObject) -> None:
        """A kernel process ends."""
        lease = self.draw_lease(data, LeaseState.BOUND, LeaseState.DRAINING)
        if lease is not None and lease.kernel is not None:
            self.happen(events.HolderLeft(lease.kernel))

    @rule(data=st.data(), again=st.booleans())
    def server_dies(self, data: st.DataObject, again: bool) -> None:
        """A server ends; or another one takes a lease over."""
        lease = self.draw_lease(data, *LeaseState)
        if lease is None:
            return
        if again:
            self.happen(events.LeaseRenewed(lease.lease_id, Holder(f"server-{lease.owner}-x")))
        else:
            self.server += 1
            self.happen(events.HolderLeft(lease.requester))

    @rule(data=st.data(), size=st.sampled_from(SIZES), limits=LIMITS)
    def resize(self, data: st.DataObject, size: str, limits: Limits | None) -> None:
        """Somebody wants another size."""
        lease = self.draw_lease(data, *USABLE)
        if lease is not None:
            self.happen(events.ResizeRequested(lease.lease_id, size, limits))

    @rule(prompt=st.sampled_from([True, True, False]))
    def driver_dawdles(self, prompt: bool) -> None:
        """From now on the driver answers at once, or call by call."""
        self.prompt = prompt
        if prompt:
            self.settle()

    @rule(times=st.integers(1, 6), hopeless=SELDOM, clumsy=SELDOM)
    def driver_stumbles(self, times: int, hopeless: bool, clumsy: bool) -> None:
        """The next calls of a prompt driver fail; it may leave half-made instances behind."""
        self.stumbles, self.hopeless, self.world.clumsy = times, hopeless, clumsy

    @rule(uuid=GPUS, fail=SELDOM, hopeless=SELDOM)
    def driver_answers(self, uuid: str, fail: bool, hopeless: bool) -> None:
        """The oldest call on a GPU ends."""
        if self.world.calls[uuid]:
            self.happen(self.world.answer(uuid, fail=fail, hopeless=hopeless))
            self.calls_are_implied()

    @rule(uuid=GPUS, fail=st.booleans())
    def look(self, uuid: str, fail: bool) -> None:
        """A routine observation, in order with the calls on that GPU."""
        if not self.world.calls[uuid]:
            self.happen(self.world.failed(uuid) if fail else self.world.observed(uuid))

    @rule(seconds=st.sampled_from([-50.0, 0.3, 4.0, 31.0, 350.0]))
    def time_passes(self, seconds: float) -> None:
        """Nothing happens for a while; the clock may be set back."""
        self.now = max(self.now + seconds, 0.0)
        self.happen(events.TimePassed())
        self.calls_are_implied()

    @rule(done=st.booleans(), half=st.booleans(), blink=SELDOM, reboot=SELDOM, terms=TERMS)
    def broker_killed(
        self, done: bool, half: bool, blink: bool, reboot: bool, terms: Rules
    ) -> None:
        """SIGKILL in the middle of the calls, or a power cut; the next broker replays the log, and
        goes by rules that may have changed.
        """
        self.terms, self.remembered = terms, len(self.ledger.state.ended)
        for uuid in self.world.calls:
            self.world.interrupt(uuid, done=done, half=half)
        if reboot:
            self.boots += 1
            self.now = 1.0
            self.world.reboot()
        self.restart_broker(blink=blink)

    def restart_broker(self, *, blink: bool = False) -> None:
        """Replay and observe; at a ``blink`` one GPU does not answer at first."""
        if self.log:
            self.ledger = self.replayed()
        self.tell(events.BrokerStarted(f"boot-{self.boots}", self.terms))
        for uuid in self.world.gpus:
            blinks = blink and uuid == "GPU-0"
            self.tell(self.world.failed(uuid) if blinks else self.world.observed(uuid))
        self.calls_are_implied()

    def replayed(self) -> Ledger:
        """The past, lived through again by a version that would have placed everything elsewhere:
        and has other rules: it comes to the same. So it does if everybody in line is tried after
        each event.
        """
        with another_rule(), everybody_is_tried():
            replayed = Ledger.replay(self.log, ANOTHER)
        assert replayed.snapshot() == self.ledger.snapshot()
        return replayed

    @rule(data=st.data(), uuid=GPUS, what=st.sampled_from(["make", "half", "whole", "no", "mode"]))
    def outsider(self, data: st.DataObject, uuid: str, what: str) -> None:
        """An administrator makes an instance by hand, or destroys one, or its compute instance, or
        completes it; or turns MIG off, or on again.
        """
        if what == "make":
            real = self.world.create(Spec("GPU-0", 14, data.draw(st.sampled_from([0, 2, 4]))))
            if real is not None and data.draw(st.booleans()):
                self.world.half(real)
        elif what == "mode":
            self.world.turn_mig(uuid)
        elif self.world.real[uuid]:
            real = data.draw(st.sampled_from(self.world.real[uuid]))
            if what == "no":
                self.world.real[uuid].remove(real)
            elif what == "half":
                self.world.half(real)
            elif not real.identity.whole:
                real.identity = Identity(real.identity.gi_id, 0, f"MIG-new-{real.identity.gi_id}")

    @precondition(lambda self: hasattr(self, "ledger"))
    @invariant()
    def the_best_place_is_on_one_of_the_different_gpus(self) -> None:
        """Leaving out those that are like another changes nothing."""
        state = self.ledger.state
        for name in {offer.name for offer in supply.offers(state)}:
            everywhere = choose(supply.candidates(state, name, supply.NOTHING))
            assert choose(supply.different(state, name, supply.NOTHING)) == everywhere

    @precondition(lambda self: hasattr(self, "ledger"))
    @invariant()
    def what_is_kept_is_what_would_be_found(self) -> None:
        """The line, those apart, and the instances and neighbours of each GPU, as they are found by
        looking at everything.
        """
        state = self.ledger.state
        waiting = [one for one in state.leases.values() if one.state is LeaseState.WAITING]
        assert state.waiting() == sorted(waiting, key=lambda lease: lease.order)
        apart = {
            place.instance_id
            for place in state.instances.values()
            if place.state is PlaceState.IDLE or place.pooled or not place.ours
        }
        assert {place.instance_id for place in state.apart()} == apart
        alike = [uuids for _, uuids in state.index.alike(state.gpus)]
        assert sorted(uuid for uuids in alike for uuid in uuids) == sorted(state.gpus)
        for uuids in alike:
            creating = [(state.gpus[uuid].gpu.index, state.gpus[uuid].creates) for uuid in uuids]
            assert creating == sorted(creating)
            assert len({creates for _, creates in creating}) == 1
        for uuid in state.gpus:
            there = [place for place in state.instances.values() if place.spec.gpu_uuid == uuid]
            assert state.on_gpu(uuid) == there

    @invariant()
    def no_slice_has_two_leases(self) -> None:
        """Two usable leases never name the same live instance."""
        slices = [
            (place.spec.gpu_uuid, place.identity.gi_id)
            for lease in self.ledger.state.leases.values()
            if lease.state in USABLE
            for place in [self.ledger.state.place_of(lease)]
            if place is not None and place.identity is not None
        ]
        assert len(slices) == len(set(slices))

    def teardown(self) -> None:
        """Everybody leaves and the driver recovers: nothing of ours is left, and replay agrees."""
        if not hasattr(self, "ledger"):
            return
        self.stumbles = 0
        self.prompt = False
        for owner in {ls.requester for ls in self.ledger.state.leases.values()}:
            self.happen(events.HolderLeft(owner))
        for process in {ls.kernel for ls in self.ledger.state.leases.values() if ls.kernel}:
            self.happen(events.HolderLeft(process))
        for instances in self.world.real.values():
            for real in instances:
                real.occupants.clear()
        self.run_down()
        state = self.ledger.state
        assert not state.leases
        assert not [p for p in state.instances.values() if p.ours and not p.pooled]
        assert not state.parkings
        assert not state.served
        assert self.world.locked <= {p.instance_id for p in state.instances.values() if p.pooled}
        snapshot = self.ledger.snapshot()
        self.replayed()
        assert Ledger.restore(snapshot, ANOTHER).snapshot() == snapshot

    def run_down(self) -> None:
        """Let the driver answer everything and all deadlines pass."""
        for _ in range(60):
            self.settle()
            for uuid in self.world.calls:
                self.tell(self.world.observed(uuid))
            due = self.ledger.next_deadline()
            if due is None and not any(self.world.calls.values()):
                return
            self.now = max(self.now + 1.0, due or 0.0)
            self.tell(events.TimePassed())
        raise AssertionError("the ledger never comes to rest")


TestHistories = Histories.TestCase
TestHistories.settings = settings(
    max_examples=HISTORIES,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
