"""Short words for telling the ledger what happens, in front of a world that answers it."""

from __future__ import annotations

from jupyter_mig.core import actions, events
from jupyter_mig.core.actions import AnyAction
from jupyter_mig.core.choices import Choice
from jupyter_mig.core.events import AnyEvent, Ask
from jupyter_mig.core.geometry import Geometry, Spec
from jupyter_mig.core.leases import EndReason, Holder, Lease, LeaseState
from jupyter_mig.core.ledger import Ledger
from jupyter_mig.core.policy import Limits
from jupyter_mig.core.rules import Rules
from jupyter_mig.core.state import Place
from tests.core.nodes import gpu
from tests.core.world import Real, World, kernel

ALICE, BOB = 1000, 1001


def server(owner: int) -> Holder:
    """The Jupyter server of a user."""
    return Holder(f"server-{owner}")


class Story:
    """A ledger and the world it acts upon. Invariants are checked after every event.

    GPUs named in ``static`` hold the instances listed there and are not created on.
    """

    def __init__(
        self,
        *geometries: Geometry,
        rules: Rules | None = None,
        static: dict[int, list[tuple[str, int]]] | None = None,
    ) -> None:
        given = static or {}
        self.rules = rules or Rules()
        self.world = World([(gpu(i, g), i not in given) for i, g in enumerate(geometries)])
        for index, instances in given.items():
            for name, start in instances:
                self.exists(index, name, start)
        self.ledger = Ledger(self.rules)
        self.log: list[tuple[AnyEvent, float, tuple[Choice, ...]]] = []
        self.now = 100.0
        self.said: list[AnyAction] = []
        self.happen(events.BrokerStarted("boot-1"))
        self.look()

    def exists(self, index: int, name: str, start: int) -> Real:
        """An instance that somebody else made."""
        uuid = f"GPU-{index}"
        profile = self.world.gpus[uuid].geometry.by_name[name]
        real = self.world.create(Spec(uuid, profile.profile_id, start))
        assert real is not None
        return real

    def happen(self, event: AnyEvent) -> list[AnyAction]:
        """Handle, log, check; what the ledger says to it."""
        self.said = self.ledger.handle(event, self.now)
        self.log.append((event, self.now, self.ledger.choices))
        self.world.take(self.said)
        self.ledger.check()
        due = self.ledger.next_deadline()
        assert due is None or due > self.ledger.state.now, "busy without time passing"
        return self.said

    def look(self) -> None:
        """Observe every GPU."""
        for uuid in self.world.gpus:
            self.happen(self.world.observed(uuid))

    def answer(self, *, fail: bool = False, gpu: int = 0) -> list[AnyAction]:
        """The oldest driver call on a GPU ends."""
        return self.happen(self.world.answer(f"GPU-{gpu}", fail=fail))

    def settle(self) -> None:
        """The driver answers everything, well; who was killed is seen to be gone."""
        while self.world.died or any(self.world.calls.values()):
            while self.world.died:
                self.happen(events.HolderLeft(self.world.died.pop()))
            for uuid, calls in self.world.calls.items():
                if calls:
                    self.happen(self.world.answer(uuid, fail=False))

    def wait(self, seconds: float) -> list[AnyAction]:
        """Nothing happens but time."""
        self.now += seconds
        return self.happen(events.TimePassed())

    def ask(
        self,
        name: str,
        size: str,
        owner: int = ALICE,
        patience: float | None = 0,
        instead_of: str = "",
        *,
        limits: Limits | None = None,
    ) -> list[AnyAction]:
        """The owner's server wants a slice for kernel ``name``; the lease has the same name."""
        ask = Ask(name, name, owner, server(owner), size, "", patience, instead_of, limits)
        return self.happen(events.SlicesRequested((ask,)))

    def granted(
        self,
        name: str,
        size: str,
        owner: int = ALICE,
        instead_of: str = "",
        limits: Limits | None = None,
    ) -> Place:
        """A lease with its slice."""
        self.ask(name, size, owner, None, instead_of, limits=limits)
        self.settle()
        assert self.state(name) is LeaseState.GRANTED
        return self.place(name)

    def bound(
        self,
        name: str,
        size: str,
        owner: int = ALICE,
        pid: int = 500,
        limits: Limits | None = None,
    ) -> Place:
        """A lease with a kernel on its slice."""
        place = self.granted(name, size, owner, limits=limits)
        self.bind(name, pid)
        return place

    def bind(self, name: str, pid: int = 500) -> list[AnyAction]:
        """The kernel process of a lease is started."""
        return self.happen(events.LeaseBound(name, kernel(pid), pid))

    def release(self, name: str) -> list[AnyAction]:
        """The owner is done."""
        return self.happen(events.LeaseReleased(name))

    def dies(self, holder: Holder) -> list[AnyAction]:
        """A process ends."""
        return self.happen(events.HolderLeft(holder))

    def occupy(self, name: str, *pids: int) -> None:
        """Processes become CUDA clients of a lease's slice. Pids from 1000 on cannot be killed."""
        self.real(name).occupants.update(pids)

    def real(self, name: str) -> Real:
        """The instance that a lease has."""
        place = self.place(name)
        assert place.identity is not None
        real = self.world.find(place.spec.gpu_uuid, place.identity)
        assert real is not None
        return real

    def lease(self, name: str) -> Lease:
        """A lease, live or over."""
        state = self.ledger.state
        return state.leases.get(name) or state.ended[name]

    def state(self, name: str) -> LeaseState:
        """Where a lease is."""
        return self.lease(name).state

    def reason(self, name: str) -> EndReason | None:
        """Why a lease ended."""
        return self.lease(name).reason

    def place(self, name: str) -> Place:
        """The instance of a live lease."""
        place = self.ledger.state.place_of(self.lease(name))
        assert place is not None
        return place

    def start(self, name: str) -> int | None:
        """Where the instance of a lease is."""
        return self.place(name).spec.start

    def restart(
        self, *, done: bool = False, half: bool = False, boot_id: str = "boot-1"
    ) -> list[AnyAction]:
        """The broker is killed, in the middle of the oldest call on each GPU, and started again:
        it replays its log.
        """
        for uuid in self.world.gpus:
            self.world.interrupt(uuid, done=done, half=half)
        self.ledger = Ledger.replay(self.log, self.rules)
        return self.happen(events.BrokerStarted(boot_id))


def kinds(said: list[AnyAction]) -> list[type[actions.Action]]:
    """What sorts of actions these are."""
    return [type(action) for action in said]
