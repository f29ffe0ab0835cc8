"""Random histories: the invariants hold after every event, replay agrees, nothing is left over."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from jupyter_mig.core import events
from jupyter_mig.core.events import AnyEvent, Ask
from jupyter_mig.core.geometry import Spec
from jupyter_mig.core.leases import USABLE, Holder
from jupyter_mig.core.ledger import Ledger
from jupyter_mig.core.rules import Rules
from tests.core.nodes import A30, A100, RTX_PRO, gpu
from tests.core.world import World

SIZES = ["1g.5gb", "1g.10gb", "2g.10gb", "3g.20gb", "7g.40gb", "10gb+", "1g.6gb", "2g.12gb"]
SIZES += ["1g.24gb", "2g.48gb", "1g.5gb+me", "9g.99gb", "small"]
PATIENCE = st.sampled_from([0.0, 5.0, 400.0, None])
OWNERS = st.sampled_from([1000, 1001])


class Histories(RuleBasedStateMachine):
    """Two users, a node of several GPUs, a driver that may fail, a broker that may be killed."""

    @initialize(warm=st.sampled_from([0.0, 60.0]), static=st.booleans(), node=st.integers(0, 2))
    def start(self, warm: float, static: bool, node: int) -> None:
        """Draw a node: an A100 with a static or dynamic neighbour of another kind."""
        second = [A100, A30, RTX_PRO][node]
        self.terms = Rules(warm=warm, names={"small": "1g.5gb"})
        self.world = World([(gpu(0, A100), True), (gpu(1, second), not static)])
        if static:
            widest = second.profiles[0]
            for at in widest.starts[:3]:
                self.world.create(Spec("GPU-1", widest.profile_id, at))
        self.ledger = Ledger(self.terms)
        self.log: list[tuple[AnyEvent, float]] = []
        self.now = 0.0
        self.names = 0
        self.boot = 1
        self.restart_broker(done=False)

    def happen(self, event: AnyEvent) -> None:
        """Log, handle, take over the actions, check."""
        self.log.append((event, self.now))
        self.world.take(self.ledger.handle(event, self.now))
        self.ledger.check()

    def name(self, prefix: str) -> str:
        """A name not used before."""
        self.names += 1
        return f"{prefix}{self.names}"

    def ask(self, owner: int, size: str, patience: float | None, *, again: bool) -> Ask:
        """An ask from the owner's server, perhaps for a kernel it has a lease for already."""
        kernels = [ls.kernel_id for ls in self.ledger.state.leases.values()]
        kernel = kernels[0] if again and kernels else self.name("kernel")
        parked = next(iter(self.ledger.state.parkings), "")
        requester = Holder(f"server-{owner}-{self.boot}")
        return Ask(self.name("lease"), kernel, owner, requester, size, "", patience, parked)

    @rule(
        owner=OWNERS,
        sizes=st.lists(st.sampled_from(SIZES), min_size=1, max_size=4),
        patience=PATIENCE,
        again=st.booleans(),
    )
    def request(self, owner: int, sizes: list[str], patience: float | None, again: bool) -> None:
        """One or several requests, perhaps for a kernel that has one."""
        asks = tuple(
            self.ask(owner, size, patience, again=again and not i) for i, size in enumerate(sizes)
        )
        self.happen(events.SlicesRequested(asks))

    @rule(data=st.data())
    def bind(self, data: st.DataObject) -> None:
        """A kernel starts on a granted slice, and may become a CUDA client."""
        usable = [ls for ls in self.ledger.state.leases.values() if ls.state in USABLE]
        if not usable:
            return
        lease = data.draw(st.sampled_from(usable))
        self.happen(events.LeaseBound(lease.lease_id, Holder(self.name("process")), 7))
        place = self.ledger.state.place_of(lease)
        if data.draw(st.booleans()) and place is not None and place.identity is not None:
            for real in self.world.real[place.spec.gpu_uuid]:
                if real.identity.gi_id == place.identity.gi_id:
                    real.occupants.add(data.draw(st.sampled_from([1, 2, 5_000])))

    @rule(data=st.data(), what=st.sampled_from(["release", "renew", "kernel dies", "server dies"]))
    def end(self, data: st.DataObject, what: str) -> None:
        """Something ends, or is started again."""
        leases = list(self.ledger.state.leases.values())
        if not leases:
            return
        lease = data.draw(st.sampled_from(leases))
        if what == "release":
            self.happen(events.LeaseReleased(lease.lease_id))
        elif what == "renew":
            self.happen(events.LeaseRenewed(lease.lease_id, Holder(f"server-{lease.owner}-x")))
        elif what == "kernel dies" and lease.kernel:
            self.happen(events.HolderLeft(lease.kernel))
        elif what == "server dies":
            self.boot += 1
            self.happen(events.HolderLeft(lease.requester))

    @rule(data=st.data(), size=st.sampled_from(SIZES))
    def resize(self, data: st.DataObject, size: str) -> None:
        """Somebody wants another size."""
        leases = list(self.ledger.state.leases.values())
        if leases:
            lease = data.draw(st.sampled_from(leases))
            self.happen(events.ResizeRequested(lease.lease_id, size))

    @rule(uuid=st.sampled_from(["GPU-0", "GPU-1"]), fail=st.sampled_from([False] * 4 + [True]))
    def driver_answers(self, uuid: str, fail: bool) -> None:
        """The oldest call on a GPU ends."""
        if self.world.calls[uuid]:
            self.happen(self.world.answer(uuid, fail=fail))

    @rule(uuid=st.sampled_from(["GPU-0", "GPU-1"]), fail=st.booleans())
    def look(self, uuid: str, fail: bool) -> None:
        """A routine observation, in order with the calls on that GPU."""
        if not self.world.calls[uuid]:
            self.happen(self.world.failed(uuid) if fail else self.world.observed(uuid))

    @rule(seconds=st.sampled_from([0.3, 4.0, 31.0, 350.0]))
    def time_passes(self, seconds: float) -> None:
        """Nothing happens for a while."""
        self.now += seconds
        self.happen(events.TimePassed())

    @rule(uuid=st.sampled_from(["GPU-0", "GPU-1"]), done=st.booleans())
    def broker_killed(self, uuid: str, done: bool) -> None:
        """SIGKILL in the middle of a call; the next broker replays the log."""
        self.world.interrupt(uuid, done=done)
        self.restart_broker(done=False)

    def restart_broker(self, *, done: bool) -> None:
        """Interrupt every GPU's oldest call, replay, observe."""
        for uuid in self.world.calls:
            self.world.interrupt(uuid, done=done)
        self.ledger = Ledger.replay(self.log, self.terms)
        self.happen(events.BrokerStarted("boot-1"))
        for uuid in self.world.gpus:
            self.happen(self.world.observed(uuid))

    @rule(at=st.integers(0, 6), width=st.sampled_from([14, 19]))
    def outsider_creates(self, at: int, width: int) -> None:
        """An administrator makes an instance by hand."""
        if at in A100.by_id[width].starts:
            self.world.create(Spec("GPU-0", width, at))

    @rule(data=st.data(), uuid=st.sampled_from(["GPU-0", "GPU-1"]))
    def outsider_destroys(self, data: st.DataObject, uuid: str) -> None:
        """An administrator destroys an instance by hand."""
        if self.world.real[uuid]:
            self.world.real[uuid].remove(data.draw(st.sampled_from(self.world.real[uuid])))

    @precondition(lambda self: hasattr(self, "ledger"))
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
        for owner in {ls.requester for ls in self.ledger.state.leases.values()}:
            self.happen(events.HolderLeft(owner))
        for kernel in {ls.kernel for ls in self.ledger.state.leases.values() if ls.kernel}:
            self.happen(events.HolderLeft(kernel))
        for instances in self.world.real.values():
            for real in instances:
                real.occupants.clear()
        self.run_down()
        assert not self.ledger.state.leases
        assert not [p for p in self.ledger.state.instances.values() if p.ours]
        snapshot = self.ledger.snapshot()
        assert Ledger.replay(self.log, self.terms).snapshot() == snapshot
        assert Ledger.restore(snapshot, self.terms).snapshot() == snapshot

    def run_down(self) -> None:
        """Let the driver answer everything and all deadlines pass."""
        for _ in range(60):
            for uuid in self.world.calls:
                while self.world.calls[uuid]:
                    self.happen(self.world.answer(uuid, fail=False))
                self.happen(self.world.observed(uuid))
            due = self.ledger.next_deadline()
            if due is None and not any(self.world.calls.values()):
                return
            self.now = max(self.now + 1.0, due or 0.0)
            self.happen(events.TimePassed())
        raise AssertionError("the ledger never comes to rest")


TestHistories = Histories.TestCase
TestHistories.settings = settings(
    max_examples=2_000,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
